/*
 * The broker ends with the test, and its workers end with it.
 */
#include "test/calls/lender.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/broker.h"
#include "kernel/limits.h"
#include "kernel/linux_kernel.h"
#include "kernel/worker_process.h"
#include "loop/loop.h"

/* The worker */

static void log_line(void *context, enum log_level level, const char *line)
{
	worker_process_log(context, level, line);
}

static int kernel_new(void *context, struct worker_process *worker, struct ferry_kernel *ret_kernel)
{
	const struct linux_kernel_options options = {.log = log_line, .context = worker};
	struct linux_kernel *kernel;
	int error = linux_kernel_new(&options, &kernel);

	(void)context;
	if (error == 0)
		*ret_kernel = linux_kernel_of(kernel);
	return error;
}

static void kernel_counts(void *context, const struct ferry_kernel *kernel,
	struct channel_counts *ret_counts)
{
	struct linux_counts counts;

	(void)context;
	linux_kernel_counts(kernel->data, &counts);
	*ret_counts = (struct channel_counts){.calls = counts.calls,
		.failures = counts.failures,
		.refusals = counts.refusals};
}

static int work(void *context, int channel)
{
	static const struct worker_process_duties duties = {
		.kernel_new = kernel_new,
		.kernel_counts = kernel_counts,
	};
	const struct rlimit descriptors = {LENDER_WINDOW + KERNEL_WINDOW_DESCRIPTORS,
		LENDER_WINDOW + KERNEL_WINDOW_DESCRIPTORS};

	(void)context;
	if (setrlimit(RLIMIT_NOFILE, &descriptors) != 0)
		return EXIT_FAILURE;
	return worker_process_run(&duties, channel);
}

static int confine(void *context, char ret_text[CHANNEL_TEXT_MAX])
{
	(void)context;
	ret_text[0] = '\0';
	return 0;
}

int lender_spawn(void)
{
	const struct spawner_duties duties = {.confine = confine, .work = work};

	return spawner_run(SPAWNER_CHANNEL_FD, &duties);
}

/* The broker */

static _Noreturn void be_broker(const char *url, int ready)
{
	char *const arguments[] = {(char *)LENDER_VERB, (char *)LENDER_VERB, NULL};
	char text[CHANNEL_TEXT_MAX], error[FERRY_SYSPROXY_ERROR_MAX];
	struct broker_options options = {0};
	struct spawner spawner;
	struct broker *broker;
	const char *reached;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
		spawner_start(arguments, &spawner, text) != 0 ||
		loop_new(NULL, &options.loop) != 0 ||
		broker_new(&options, &spawner, &broker) != 0 ||
		broker_listen(broker, url, &reached, error) != 0 || write(ready, "", 1) != 1)
		_exit(EXIT_FAILURE);
	_exit(loop_run(options.loop) != 0);
}

pid_t lender_start(const char *url)
{
	int ends[2];
	pid_t pid;
	char byte;

	assert(pipe(ends) == 0);
	pid = fork();
	assert(pid >= 0);
	if (pid == 0)
		be_broker(url, ends[1]);
	assert(close(ends[1]) == 0);
	assert(read(ends[0], &byte, 1) == 1);
	assert(close(ends[0]) == 0);
	return pid;
}

void lender_stop(pid_t lender)
{
	int status;

	assert(kill(lender, SIGKILL) == 0);
	assert(waitpid(lender, &status, 0) == lender);
}
