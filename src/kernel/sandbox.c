/*
 * The order of the walls: the user and the namespaces, while there is the right to make them; the view;
 * capabilities; limits; Landlock; and, in each worker, the filter.
 */
#include "kernel/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/sandbox_filter.h"
#include "kernel/sandbox_landlock.h"
#include "kernel/sandbox_problem.h"
#include "kernel/sandbox_rights.h"
#include "kernel/sandbox_view.h"

#define SIGNAL_STATUS 128 /* the exit status of who was killed, as shells have it */

/* Find the best view that can be had, and be the user that makes it. */
static int choose_view(const struct sandbox_options *options, struct sandbox_walls *walls,
	const struct sandbox_problem *problem)
{
	int error;

	walls->view = SANDBOX_VIRTUAL;
	if (!options->is_without_namespaces && geteuid() == 0 &&
		sandbox_view_try(SANDBOX_MOUNT) == 0) {
		walls->view = SANDBOX_MOUNT;
		return 0;
	}
	error = sandbox_rights_become(options, problem);
	if (error < 0)
		return error;
	if (!options->is_without_namespaces && sandbox_view_try(SANDBOX_USER) == 0)
		walls->view = SANDBOX_USER;
	return 0;
}

/* Wait for the child, and end as it does. */
static void end_with(pid_t child) __attribute__((noreturn));

static void end_with(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			_exit(EXIT_FAILURE);
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_STATUS + WTERMSIG(status));
}

/* Go on in a child, the first process of its namespace. @ret_life hangs up when the parent dies. */
static int go_on_in_child(int *ret_life, const struct sandbox_problem *problem)
{
	int life[2];
	pid_t child;

	if (pipe2(life, O_CLOEXEC) != 0)
		return sandbox_fail(problem, -errno, "a pipe");
	child = fork();
	if (child < 0) {
		int error = -errno;

		(void)close(life[0]);
		(void)close(life[1]);
		return sandbox_fail(problem, error, "the first process of a namespace");
	}
	if (child > 0) {
		/* Of all descriptors only the end of the pipe stays: it says that this one lives. */
		if (life[1] > 0)
			(void)close_range(0, (unsigned)life[1] - 1, 0);
		(void)close_range((unsigned)life[1] + 1, UINT32_MAX, 0);
		end_with(child);
	}
	(void)close(life[1]);
	*ret_life = life[0];
	return 0;
}

/* Die with the parent, which has not died yet. */
static int die_with_parent(int life, const struct sandbox_problem *problem)
{
	struct pollfd watched = {.fd = life};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return sandbox_fail(problem, -errno, "the end with the parent");
	if (poll(&watched, 1, 0) != 0)
		return sandbox_fail(problem, -ESRCH, "the parent");
	return 0;
}

/* What needs no namespaces. */
static int put_up_others(const struct linux_policy *policy, const struct sandbox_options *options,
	struct sandbox_walls *walls, const struct sandbox_problem *problem)
{
	int error = sandbox_rights_limit(options, problem);

	if (error < 0)
		return error;
	sandbox_rights_bound();
	if (walls->view == SANDBOX_MOUNT)
		error = sandbox_rights_become(options, problem);
	if (error == 0)
		error = sandbox_rights_drop(problem);
	if (error < 0)
		return error;
	walls->landlock = options->is_without_landlock ? 0 : sandbox_landlock_version();
	if (walls->landlock != 0)
		error = sandbox_landlock_enter(policy, walls->view, walls->landlock);
	if (error < 0)
		return sandbox_fail(problem, error, "Landlock");
	error = sandbox_filter_make(policy->has_network, &walls->filter);
	return error < 0 ? sandbox_fail(problem, error, "the filter of system calls") : 0;
}

static void describe(struct sandbox_walls *walls)
{
	static const char *const views[] = {
		[SANDBOX_VIRTUAL] = "no namespaces",
		[SANDBOX_USER] = "user namespace",
		[SANDBOX_MOUNT] = "mount namespace",
	};

	if (walls->landlock != 0)
		(void)snprintf(walls->text, sizeof(walls->text), "%s, Landlock %d, seccomp",
			views[walls->view], walls->landlock);
	else
		(void)snprintf(walls->text, sizeof(walls->text), "%s, no Landlock, seccomp",
			views[walls->view]);
}

int sandbox_enter(const struct linux_policy *policy, const struct sandbox_options *options,
	struct sandbox_walls *ret_walls, char *ret_problem, size_t bytes)
{
	const struct sandbox_problem problem = {ret_problem, bytes};
	CLEANUP(cleanup_close) int life = -1;
	struct sandbox_walls walls = {.landlock = 0};
	int error = choose_view(options, &walls, &problem);

	if (error < 0)
		return error;
	(void)umask(S_IWGRP | S_IWOTH);
	if (walls.view != SANDBOX_VIRTUAL) {
		error = sandbox_view_unshare(walls.view, policy->has_network, &problem);
		if (error == 0)
			error = go_on_in_child(&life, &problem);
		if (error == 0)
			error = sandbox_view_enter(policy, &problem);
	}
	if (error == 0)
		error = put_up_others(policy, options, &walls, &problem);
	/* After the change of user, which makes the kernel forget it */
	if (error == 0 && life >= 0)
		error = die_with_parent(life, &problem);
	if (error == 0 && chdir("/") != 0)
		error = sandbox_fail(&problem, -errno, "/");
	if (error < 0)
		return error;
	describe(&walls);
	*ret_walls = walls;
	return 0;
}

int sandbox_enter_worker(const struct sandbox_walls *walls)
{
	int error = sandbox_landlock_enter_worker(walls->landlock);

	return error < 0 ? error : sandbox_filter_load(&walls->filter);
}
