/*
 * Programs that become other programs and go on as the same process. The other program is this one
 * again, by its arguments: --after PLAIN ID ..., see after_exec().
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/sysproxy/process_bench.h"

#define BLOCKED 4
#define CHANNEL 5

static struct ferry_sysproxy *open_inherited(void)
{
	struct ferry_sysproxy *client;
	char error[FERRY_SYSPROXY_ERROR_MAX] = "";

	if (ferry_sysproxy_open(NULL, NULL, &client, error) != 0) {
		(void)fprintf(stderr, "%s\n", error);
		abort();
	}
	return client;
}

static void exec_self(struct ferry_sysproxy *client, const char *what, uint64_t id)
{
	char number[32];
	const char *arguments[] = {"exec_test", "--after", what, number, NULL};

	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)id);
	(void)ferry_sysproxy_exec(client, "/proc/self/exe", (char *const *)(uintptr_t)arguments,
		environ);
	abort();
}

static int write_text(struct ferry_sysproxy *client, int fd)
{
	char text[] = "text";

	return simple_move(client, SYS_write, fd, text, sizeof(text));
}

#define KEPT   0 /* the descriptors, as the kernel gives them out */
#define CLOSED 1

static int exec_with_files(void *context)
{
	const struct process_bench *bench = context;
	struct ferry_sysproxy *client = simple_open(bench->server_url, false);

	assert(simple_open_file(client, "kept", O_CREAT | O_RDWR) == KEPT);
	assert(simple_open_file(client, "closed", O_CREAT | O_RDWR | O_CLOEXEC) == CLOSED);
	assert(write_text(client, KEPT) > 0 && write_text(client, CLOSED) > 0);
	exec_self(client, "files", ferry_sysproxy_process_id(client));
	return 1;
}

static void after_exec_with_files(uint64_t id)
{
	struct ferry_sysproxy *client = open_inherited();

	assert(ferry_sysproxy_process_id(client) == id);
	assert((uint64_t)simple_call(client, SYS_getpid, 0, 0) == id);
	assert(write_text(client, KEPT) > 0);
	assert(write_text(client, CLOSED) == -EBADF);
	ferry_sysproxy_close(client);
}

static void test_exec_keeps_descriptors_when_they_are_not_closed_on_exec(void **state)
{
	struct process_bench *bench = *state;

	bench->program = bench->kernel_tree;
	process_bench_start(bench, NULL);
	assert_int_equal(child_await(child_start(exec_with_files, bench)), 0);
}

/* With other threads in calls */

struct blocked {
	struct ferry_sysproxy *client;
	int outcome;
};

static void *block(void *context)
{
	struct blocked *blocked = context;

	blocked->outcome = simple_try(blocked->client, FAKE_BLOCK, CHANNEL, 0, NULL);
	return NULL;
}

static void *call_on(void *context)
{
	struct blocked *blocked = context;

	for (;;)
		simple_exercise(blocked->client, 1);
	return NULL;
}

static void await_blocked(struct ferry_sysproxy *client, int64_t count)
{
	while (simple_call(client, FAKE_BLOCKED, 0, 0) != count)
		;
}

static void exec_with_threads(struct ferry_sysproxy *client, const char *what)
{
	struct blocked blocked = {.client = client};
	pthread_t thread;

	for (unsigned i = 0; i < BLOCKED; i++) {
		assert(pthread_create(&thread, NULL, block, &blocked) == 0);
		assert(pthread_create(&thread, NULL, call_on, &blocked) == 0);
	}
	await_blocked(client, BLOCKED);
	exec_self(client, what, (uint64_t)simple_call(client, FAKE_GETPID, 0, 0));
}

static int exec_with_lanes(void *context)
{
	const struct process_bench *bench = context;

	exec_with_threads(simple_open(bench->server_url, false), "lanes");
	return 1;
}

static int exec_with_sharers(void *context)
{
	const struct process_bench *bench = context;

	exec_with_threads(simple_open(bench->server_url, true), "sharers");
	return 1;
}

static void check_fork(struct ferry_sysproxy *client)
{
	pid_t pid = ferry_sysproxy_fork(client);

	if (pid == 0) {
		simple_exercise(client, 1);
		_exit(0);
	}
	assert(pid > 0 && child_await(pid) == 0);
}

/* Whatever was in progress has ended, and the process goes on, twice even. */
static void after_exec_with_threads(const char *what, uint64_t id)
{
	struct ferry_sysproxy *client = open_inherited();
	bool is_plain = strncmp(what, "sharers", 7) == 0;

	assert(ferry_sysproxy_is_extended(client) == !is_plain);
	assert((uint64_t)simple_call(client, FAKE_GETPID, 0, 0) == id);
	assert(simple_call(client, FAKE_BLOCKED, 0, 0) == 0);
	simple_exercise(client, 3);
	check_fork(client);
	if (strcmp(what, "lanes") == 0)
		exec_with_threads(client, "lanes again");
	if (strcmp(what, "sharers") == 0)
		exec_with_threads(client, "sharers again");
	ferry_sysproxy_close(client);
}

static void test_exec_ends_calls_in_progress_when_other_threads_are_blocked(void **state)
{
	struct process_bench *bench = *state;

	process_bench_open(bench, NULL);
	assert_int_equal(child_await(child_start(exec_with_lanes, bench)), 0);
	assert_int_equal(child_await(child_start(exec_with_sharers, bench)), 0);
	process_bench_await_processes(bench, 1);
	process_bench_await_blocked(bench, 0);
}

/* Failures */

static int fail_to_exec(struct ferry_sysproxy *client, const char *what)
{
	char *const arguments[] = {"nothing", NULL};
	struct blocked blocked = {.client = client, .outcome = -1};
	uint64_t id = (uint64_t)simple_call(client, FAKE_GETPID, 0, 0);
	pthread_t thread;

	assert(pthread_create(&thread, NULL, block, &blocked) == 0);
	await_blocked(client, 1);
	assert(ferry_sysproxy_exec(client, "/nonexistent/program", arguments, environ) == -ENOENT);
	assert((uint64_t)simple_call(client, FAKE_GETPID, 0, 0) == id);
	simple_exercise(client, 3);
	assert(simple_call(client, FAKE_WAKE, CHANNEL, 0) == 1);
	assert(pthread_join(thread, NULL) == 0 && blocked.outcome == 0);
	exec_self(client, what, id);
	return 1;
}

static int fail_to_exec_with_lanes(void *context)
{
	const struct process_bench *bench = context;

	return fail_to_exec(simple_open(bench->server_url, false), "lanes");
}

static int fail_to_exec_with_sharers(void *context)
{
	const struct process_bench *bench = context;

	return fail_to_exec(simple_open(bench->server_url, true), "sharers");
}

static void test_exec_leaves_all_as_it_was_when_there_is_no_such_program(void **state)
{
	struct process_bench *bench = *state;

	process_bench_open(bench, NULL);
	assert_int_equal(child_await(child_start(fail_to_exec_with_lanes, bench)), 0);
	assert_int_equal(child_await(child_start(fail_to_exec_with_sharers, bench)), 0);
	process_bench_await_processes(bench, 1);
}

static int after_exec(char **argv)
{
	uint64_t id = strtoull(argv[1], NULL, 10);

	if (strcmp(argv[0], "files") == 0)
		after_exec_with_files(id);
	else
		after_exec_with_threads(argv[0], id);
	return 0;
}

int main(int argc, char **argv)
{
	struct process_bench bench;
#define TEST(name)                                                          \
	cmocka_unit_test_prestate_setup_teardown(name, process_bench_setup, \
		process_bench_teardown, &bench)
	const struct CMUnitTest tests[] = {
		TEST(test_exec_keeps_descriptors_when_they_are_not_closed_on_exec),
		TEST(test_exec_ends_calls_in_progress_when_other_threads_are_blocked),
		TEST(test_exec_leaves_all_as_it_was_when_there_is_no_such_program),
	};

	if (argc == 4 && strcmp(argv[1], "--after") == 0)
		return after_exec(argv + 2);
	process_bench_arguments(&bench, argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
