/*
 * ferry spawner: not for users. It is what `ferry serve` starts to fork the workers of lent calls: this
 * program anew, which puts up the walls around itself, and whose workers have Linux for a kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "cmd/option.h"
#include "cmd/serve_lend.h"
#include "cmd/verb.h"
#include "kernel/limits.h"
#include "kernel/linux_kernel.h"
#include "kernel/linux_path.h"
#include "kernel/sandbox.h"
#include "kernel/spawner.h"
#include "kernel/worker_process.h"

/* For tests: which walls not to put up. */
#define WALLS_VARIABLE "FERRY_WALLS"

struct lending {
	struct linux_policy policy;
	struct sandbox_options sandbox;
	struct sandbox_walls walls;
	const char *user;
	bool is_traced;
	struct option_list lent;
	struct worker_process *worker; /* this process's */
	struct linux_kernel *kernel;
	struct linux_root root; /* where there is no view */
};

/* The walls */

static int lend_all(struct lending *lending, char ret_text[CHANNEL_TEXT_MAX])
{
	int error = 0;

	for (size_t i = 0; error == 0 && i < lending->lent.count; i++)
		error = linux_policy_lend(&lending->policy, lending->lent.items[i], ret_text,
			CHANNEL_TEXT_MAX);
	return error;
}

static void take_limits(struct sandbox_options *sandbox)
{
	const char *left_out = getenv(WALLS_VARIABLE);
	struct rlimit descriptors;

	sandbox->descriptor_max = KERNEL_GUEST_DESCRIPTORS_MAX + KERNEL_WINDOW_DESCRIPTORS;
	if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 &&
		descriptors.rlim_max < sandbox->descriptor_max)
		sandbox->descriptor_max = descriptors.rlim_max;
	if (left_out == NULL)
		return;
	sandbox->is_without_namespaces = strstr(left_out, "no-namespaces") != NULL;
	sandbox->is_without_landlock = strstr(left_out, "no-landlock") != NULL;
}

static int confine(void *context, char ret_text[CHANNEL_TEXT_MAX])
{
	struct lending *lending = context;
	int error = 0;

	linux_policy_init(&lending->policy);
	take_limits(&lending->sandbox);
	if (lending->user != NULL)
		error = sandbox_find_user(lending->user, &lending->sandbox);
	if (error != 0) {
		(void)snprintf(ret_text, CHANNEL_TEXT_MAX, "--user=%s: %s", lending->user,
			error == -ENOENT ? "there is no such user" : strerrordesc_np(-error));
		return error;
	}
	error = lend_all(lending, ret_text);
	if (error != 0)
		return error;
	error = sandbox_enter(&lending->policy, &lending->sandbox, &lending->walls, ret_text,
		CHANNEL_TEXT_MAX);
	if (error == 0)
		(void)snprintf(ret_text, CHANNEL_TEXT_MAX, "%s", lending->walls.text);
	return error;
}

/* The workers */

static void pass_log_on(void *context, enum log_level level, const char *line)
{
	worker_process_log(context, level, line);
}

static void pass_trace_on(void *context, const char *line)
{
	worker_process_trace(context, line);
}

static int kernel_new(void *context, struct worker_process *worker, struct ferry_kernel *ret_kernel)
{
	struct lending *lending = context;
	bool has_view = lending->walls.view != SANDBOX_VIRTUAL;
	const struct linux_kernel_options options = {
		.policy = &lending->policy,
		.root = has_view ? NULL : &lending->root,
		.log = pass_log_on,
		.trace = lending->is_traced ? pass_trace_on : NULL,
		.context = worker,
	};
	int error = has_view ? 0 : linux_root_open(&lending->policy, &lending->root);

	if (error == 0)
		error = linux_kernel_new(&options, &lending->kernel);
	if (error == 0)
		*ret_kernel = linux_kernel_of(lending->kernel);
	return error;
}

static void kernel_counts(void *context, const struct ferry_kernel *kernel,
	struct channel_counts *ret_counts)
{
	const struct lending *lending = context;
	struct linux_counts counts;

	(void)kernel;
	linux_kernel_counts(lending->kernel, &counts);
	*ret_counts = (struct channel_counts){
		.calls = counts.calls,
		.failures = counts.failures,
		.refusals = counts.refusals,
	};
}

static int work(void *context, int channel)
{
	struct lending *lending = context;
	const struct worker_process_duties duties = {
		.kernel_new = kernel_new,
		.kernel_counts = kernel_counts,
		.context = lending,
	};

	if (sandbox_enter_worker(&lending->walls) != 0)
		return EXIT_FAILURE;
	return worker_process_run(&duties, channel);
}

int verb_spawner(int argc, char **argv)
{
	struct lending lending = {.is_traced = false};
	const struct option_row rows[] = {
		{"trace", NULL, "tell of each call", OPTION_FLAG, {.is_set = &lending.is_traced}, 0,
			0},
		{"user", "NAME", "become this user", OPTION_TEXT, {.text = &lending.user}, 0, 0},
	};
	const struct option_table table = {
		.verb = SERVE_SPAWNER_VERB,
		.usage = "[OPTIONS] -- LENT...",
		.description = "Started by 'ferry serve', and of no use without it.",
		.rows = rows,
		.row_count = ARRAY_LENGTH(rows),
	};
	const struct spawner_duties duties = {confine, work, &lending};
	enum option_outcome outcome = option_parse(&table, argc, argv, &lending.lent);

	if (outcome != OPTION_PARSED)
		return option_exit_status(outcome);
	return spawner_run(SPAWNER_CHANNEL_FD, &duties);
}
