/*
 * Programs that fork while they are processes of another kernel too.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/sysproxy/process_bench.h"

#define TALKS   100
#define FORKS   10
#define CALLERS 8

static void check_ended_well(pid_t pid)
{
	assert_true(pid > 0);
	assert_int_equal(child_await(pid), 0);
}

static struct ferry_sysproxy_cookie prepare(struct ferry_sysproxy *client)
{
	struct ferry_sysproxy_cookie cookie;

	assert_int_equal(ferry_sysproxy_fork_prepare(client, &cookie), 0);
	return cookie;
}

static void test_fork_makes_another_process_when_the_program_forks(void **state)
{
	struct process_bench *bench = *state;

	process_bench_open(bench, NULL);
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		struct ferry_sysproxy *client = simple_open(bench->server_url, is_plain);
		int64_t parent = simple_call(client, FAKE_GETPID, 0, 0);
		pid_t pid = ferry_sysproxy_fork(client);

		if (pid == 0) {
			int64_t values[2];

			assert(simple_try(client, FAKE_GETPID, 0, 0, values) == 0);
			assert(values[0] != parent && values[1] == parent);
			assert(is_plain ||
				ferry_sysproxy_process_id(client) == (uint64_t)values[0]);
			simple_exercise(client, 3);
			ferry_sysproxy_close(client);
			_exit(0);
		}
		check_ended_well(pid);
		assert_int_equal(simple_call(client, FAKE_GETPID, 0, 0), parent);
		process_bench_await_processes(bench, 2);
		ferry_sysproxy_close(client);
	}
}

/* Descriptors, of files of the example kernel */

static void test_fork_copies_the_descriptors_when_there_are_some(void **state)
{
	struct process_bench *bench = *state;
	char text[] = "abcdef", got[] = "...";
	int written, read;
	pid_t pid;

	bench->program = bench->kernel_tree;
	process_bench_open(bench, NULL);
	written = simple_open_file(bench->client, "file", O_CREAT | O_RDWR);
	assert_int_equal(simple_move(bench->client, SYS_write, written, text, 3), 3);
	read = simple_open_file(bench->client, "file", O_RDONLY);
	pid = ferry_sysproxy_fork(bench->client);
	if (pid == 0) {
		assert(simple_move(bench->client, SYS_read, read, got, 3) == 3 &&
			memcmp(got, "abc", 3) == 0);
		assert(simple_move(bench->client, SYS_write, written, text + 3, 3) == 3);
		assert(simple_try(bench->client, SYS_close, (uint64_t)read, 0, NULL) == 0);
		assert(simple_move(bench->client, SYS_read, read, got, 3) == -EBADF);
		_exit(0);
	}
	check_ended_well(pid);
	/* The parent's are its own: neither moved nor closed. */
	assert_int_equal(simple_move(bench->client, SYS_read, read, got, 3), 3);
	assert_memory_equal(got, "abc", 3);
	assert_int_equal(simple_move(bench->client, SYS_read, read, got, 3), 3);
	assert_memory_equal(got, "def", 3);
}

static void test_fork_lets_parent_and_child_talk_when_both_are_there(void **state)
{
	struct process_bench *bench = *state;

	process_bench_open(bench, NULL);
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		struct ferry_sysproxy *client = simple_open(bench->server_url, is_plain);
		pid_t pid = ferry_sysproxy_fork(client);

		if (pid == 0) {
			for (int i = 0; i < TALKS; i++) {
				int64_t heard = simple_call(client, FAKE_TAKE, 0, 0);

				simple_call(client, FAKE_PUT, 1, (uint64_t)heard + 1);
			}
			_exit(0);
		}
		assert_true(pid > 0);
		for (uint64_t i = 0; i < TALKS; i++) {
			simple_call(client, FAKE_PUT, 0, i * 10);
			assert_int_equal(simple_call(client, FAKE_TAKE, 1, 0), i * 10 + 1);
		}
		check_ended_well(pid);
		ferry_sysproxy_close(client);
	}
}

/* Threads that call all the while */

struct callers {
	struct ferry_sysproxy *client;
	atomic_bool is_over;
};

static void *call_on(void *context)
{
	struct callers *callers = context;

	while (!atomic_load(&callers->is_over))
		simple_exercise(callers->client, 1);
	return NULL;
}

/* Sanitizers do not like threads in the child of a program with threads: it has but the one. */
static void fork_again(struct ferry_sysproxy *client, int64_t parent)
{
	pid_t pid = ferry_sysproxy_fork(client);

	if (pid == 0) {
		if (simple_call(client, FAKE_GETPID, 0, 0) == parent)
			_exit(1);
		simple_exercise(client, 3);
		_exit(0);
	}
	assert(pid > 0 && child_await(pid) == 0);
}

static int fork_among_threads(void *context)
{
	struct callers callers = {.client = context};
	int64_t id = simple_call(callers.client, FAKE_GETPID, 0, 0);
	pthread_t threads[CALLERS];

	for (unsigned i = 0; i < CALLERS; i++)
		assert(pthread_create(&threads[i], NULL, call_on, &callers) == 0);
	for (unsigned i = 0; i < FORKS; i++)
		fork_again(callers.client, id);
	atomic_store(&callers.is_over, true);
	for (unsigned i = 0; i < CALLERS; i++)
		assert(pthread_join(threads[i], NULL) == 0);
	ferry_sysproxy_close(callers.client);
	return 0;
}

static int fork_among_lanes(void *context)
{
	struct process_bench *bench = context;

	return fork_among_threads(simple_open(bench->server_url, false));
}

static int fork_among_sharers(void *context)
{
	struct process_bench *bench = context;

	return fork_among_threads(simple_open(bench->server_url, true));
}

static void test_fork_succeeds_when_other_threads_call_at_the_moment(void **state)
{
	struct process_bench *bench = *state;

	process_bench_open(bench, NULL);
	assert_int_equal(child_await(child_start(fork_among_lanes, bench)), 0);
	assert_int_equal(child_await(child_start(fork_among_sharers, bench)), 0);
	process_bench_await_processes(bench, 1);
}

/* Cookies */

struct fork_attempt {
	struct ferry_sysproxy *client;
	struct ferry_sysproxy_cookie cookie;
	int expected;
};

static int be_forked(void *context)
{
	struct fork_attempt *attempt = context;

	assert(ferry_sysproxy_fork_child(attempt->client, &attempt->cookie) == attempt->expected);
	if (attempt->expected != 0) {
		/* Neither a process of its own nor its parent's. */
		assert(simple_try(attempt->client, FAKE_NULL, 0, 0, NULL) == -ENOTCONN);
		return 0;
	}
	simple_exercise(attempt->client, 3);
	return 0;
}

static void expect_fork(struct ferry_sysproxy *client, struct ferry_sysproxy_cookie cookie,
	int expected)
{
	struct fork_attempt attempt = {client, cookie, expected};

	assert_int_equal(child_await(child_start(be_forked, &attempt)), 0);
}

static void test_fork_is_refused_when_the_cookie_is_forged(void **state)
{
	struct process_bench *bench = *state;
	struct ferry_sysproxy_cookie cookie, forged;

	process_bench_open(bench, NULL);
	cookie = prepare(bench->client);
	for (size_t i = 0; i < sizeof(cookie.bytes); i++) {
		forged = cookie;
		forged.bytes[i] ^= 1;
		expect_fork(bench->client, forged, -ESRCH);
	}
	memset(&forged, 0, sizeof(forged));
	expect_fork(bench->client, forged, -ESRCH);
	/* The true one is as good as before. */
	expect_fork(bench->client, cookie, 0);
}

static void test_fork_is_refused_when_the_cookie_was_used_before(void **state)
{
	struct process_bench *bench = *state;
	struct ferry_sysproxy_cookie cookie;

	process_bench_open(bench, NULL);
	cookie = prepare(bench->client);
	expect_fork(bench->client, cookie, 0);
	expect_fork(bench->client, cookie, -ESRCH);
	process_bench_await_processes(bench, 1);
}

struct bequest {
	const char *url;
	int fds[2];
};

/* Prepare a fork, and die. */
static int bequeath(void *context)
{
	const struct bequest *bequest = context;
	struct ferry_sysproxy *client = simple_open(bequest->url, false);
	struct ferry_sysproxy_cookie cookie;

	assert(ferry_sysproxy_fork_prepare(client, &cookie) == 0);
	assert(write(bequest->fds[1], &cookie, sizeof(cookie)) == sizeof(cookie));
	return 0;
}

static void test_fork_is_refused_when_the_parent_has_died(void **state)
{
	struct process_bench *bench = *state;
	struct bequest bequest = {.url = bench->server_url};
	struct ferry_sysproxy_cookie cookie;

	process_bench_open(bench, NULL);
	assert_int_equal(pipe(bequest.fds), 0);
	assert_int_equal(child_await(child_start(bequeath, &bequest)), 0);
	assert_int_equal(read(bequest.fds[0], &cookie, sizeof(cookie)), sizeof(cookie));
	process_bench_await_processes(bench, 1);
	expect_fork(bench->client, cookie, -ESRCH);
	assert_int_equal(close(bequest.fds[0]), 0);
	assert_int_equal(close(bequest.fds[1]), 0);
}

static void test_fork_is_over_when_it_was_cancelled(void **state)
{
	struct process_bench *bench = *state;
	struct ferry_sysproxy_cookie cookie;

	process_bench_open(bench, NULL);
	cookie = prepare(bench->client);
	process_bench_await_processes(bench, 2);
	ferry_sysproxy_fork_cancel(bench->client, &cookie);
	process_bench_await_processes(bench, 1);
	expect_fork(bench->client, cookie, -ESRCH);
	simple_exercise(bench->client, 3);
}

static void test_fork_is_over_when_the_child_does_not_come_in_time(void **state)
{
	struct process_bench *bench = *state;
	struct ferry_sysproxy_cookie cookie;

	bench->options[0] = "prefork_timeout_ms=20";
	process_bench_open(bench, NULL);
	cookie = prepare(bench->client);
	process_bench_await_processes(bench, 1);
	expect_fork(bench->client, cookie, -ESRCH);
	simple_exercise(bench->client, 3);
}

/* fork(2) alone */

static int use_the_parents(void *context)
{
	struct ferry_sysproxy *client = context;
	char *const arguments[] = {"true", NULL};
	struct ferry_sysproxy_cookie cookie;

	assert(simple_try(client, FAKE_NULL, 0, 0, NULL) == -ENOTCONN);
	assert(ferry_sysproxy_fork_prepare(client, &cookie) == -ENOTCONN);
	assert(ferry_sysproxy_fork(client) == -1 && errno == ENOTCONN);
	assert(ferry_sysproxy_exec(client, "/bin/true", arguments, arguments + 1) == -ENOTCONN);
	ferry_sysproxy_close(client);
	return 0;
}

static void test_client_is_not_connected_when_its_program_has_forked_alone(void **state)
{
	struct process_bench *bench = *state;

	process_bench_open(bench, NULL);
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		struct ferry_sysproxy *client = simple_open(bench->server_url, is_plain);

		simple_exercise(client, 1);
		child_run(use_the_parents, client);
		/* The parent has not noticed. */
		simple_exercise(client, 3);
		ferry_sysproxy_close(client);
	}
}

int main(int argc, char **argv)
{
	struct process_bench bench;
#define TEST(name)                                                          \
	cmocka_unit_test_prestate_setup_teardown(name, process_bench_setup, \
		process_bench_teardown, &bench)
	const struct CMUnitTest tests[] = {
		TEST(test_fork_makes_another_process_when_the_program_forks),
		TEST(test_fork_copies_the_descriptors_when_there_are_some),
		TEST(test_fork_lets_parent_and_child_talk_when_both_are_there),
		TEST(test_fork_succeeds_when_other_threads_call_at_the_moment),
		TEST(test_fork_is_refused_when_the_cookie_is_forged),
		TEST(test_fork_is_refused_when_the_cookie_was_used_before),
		TEST(test_fork_is_refused_when_the_parent_has_died),
		TEST(test_fork_is_over_when_it_was_cancelled),
		TEST(test_fork_is_over_when_the_child_does_not_come_in_time),
		TEST(test_client_is_not_connected_when_its_program_has_forked_alone),
	};

	process_bench_arguments(&bench, argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
