/*
 * A server that is killed and started again and again while threads of a client call it. What the
 * kernel has done is tallied in a file that outlives it.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/sysproxy/process_bench.h"

#define THREADS        4
#define RESTARTS_SHORT 5u
#define RESTARTS_LONG  20u
#define CALLS_BETWEEN  20u        /* that succeed between two restarts, at least */
#define TALLIES        (1u << 25) /* calls in all, at most; the file is sparse */

/* Of a client process, shared with the test that started it. */
struct shared {
	atomic_uint made, lost, aborted;
	atomic_uint next; /* index of a call */
	atomic_bool is_over;
};

struct caller {
	const char *url;
	bool is_plain;
	unsigned flags;
	int32_t reconnect_ms;
	struct shared *shared;
	const uint8_t *tally;
	struct ferry_sysproxy *client;
};

static int make_call(const struct caller *caller, uint64_t index)
{
	struct ferry_sysproxy_call call = {.number = FAKE_TALLY,
		.flags = caller->flags,
		.arguments = &index,
		.argument_count = 1};
	int error = ferry_sysproxy_call(caller->client, &call);

	/* A server that ends may have cancelled it. */
	assert(error != 0 || call.error == 0);
	return error;
}

/* How often a call was made must be what its outcome says. */
static void check_tally(const struct caller *caller, uint64_t index, int error)
{
	unsigned count = ((const volatile uint8_t *)caller->tally)[index];

	if (error == 0)
		assert((caller->flags & FERRY_SYSPROXY_REPEATABLE) != 0 ? count >= 1 : count == 1);
	else if (error == -ENOTCONN)
		assert(count == 0);
	else
		assert(error == -ECONNABORTED && count <= 1);
}

static void *call_on(void *context)
{
	const struct caller *caller = context;
	struct shared *shared = caller->shared;

	/* Once at least, however late it runs. */
	do {
		uint64_t index = atomic_fetch_add(&shared->next, 1);
		int error = make_call(caller, index);

		check_tally(caller, index, error);
		atomic_fetch_add(error == 0          ? &shared->made
				: error == -ENOTCONN ? &shared->lost
						     : &shared->aborted,
			1);
		if (error != 0 && caller->reconnect_ms == FERRY_SYSPROXY_NEVER)
			break;
	} while (!atomic_load(&shared->is_over));
	return NULL;
}

static int be_caller(void *context)
{
	struct caller *caller = context;
	struct ferry_sysproxy_options options = {.struct_bytes = sizeof(options),
		.is_plain = caller->is_plain,
		.reconnect_ms = caller->reconnect_ms};
	char error[FERRY_SYSPROXY_ERROR_MAX];
	pthread_t threads[THREADS];

	assert(ferry_sysproxy_open(caller->url, &options, &caller->client, error) == 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert(pthread_create(&threads[i], NULL, call_on, caller) == 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert(pthread_join(threads[i], NULL) == 0);
	if (caller->reconnect_ms == FERRY_SYSPROXY_NEVER)
		assert(simple_try(caller->client, FAKE_NULL, 0, 0, NULL) == -ENOTCONN);
	ferry_sysproxy_close(caller->client);
	return 0;
}

static void await_made(const struct shared *shared, unsigned count)
{
	unsigned start = atomic_load(&shared->made);

	while (atomic_load(&shared->made) - start < count)
		(void)sched_yield();
}

/* A file of TALLIES bytes. */
static const uint8_t *make_tally(const struct process_bench *bench, char *path, size_t bytes)
{
	void *memory;
	int fd;

	(void)snprintf(path, bytes, "tally=%s/tally", bench->folder);
	fd = open(strchr(path, '/'), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	assert(fd >= 0 && ftruncate(fd, TALLIES) == 0);
	memory = mmap(NULL, TALLIES, PROT_READ, MAP_SHARED, fd, 0);
	assert(memory != MAP_FAILED && close(fd) == 0);
	return memory;
}

/* Run @caller through restarts. It has ended well by then. */
static struct shared *run_restarts(struct process_bench *bench, struct caller *caller)
{
	unsigned restarts = bench->is_long ? RESTARTS_LONG : RESTARTS_SHORT;
	char option[128];
	pid_t pid;

	caller->url = bench->url;
	caller->shared = mmap(NULL, sizeof(*caller->shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert(caller->shared != MAP_FAILED);
	caller->tally = make_tally(bench, option, sizeof(option));
	bench->options[0] = option;
	process_bench_start(bench, NULL);
	pid = child_start(be_caller, caller);
	if (caller->reconnect_ms == FERRY_SYSPROXY_NEVER)
		restarts = 1;
	for (unsigned i = 0; i < restarts; i++) {
		await_made(caller->shared, CALLS_BETWEEN);
		process_bench_kill(bench);
		process_bench_start(bench, NULL);
	}
	if (caller->reconnect_ms != FERRY_SYSPROXY_NEVER)
		await_made(caller->shared, CALLS_BETWEEN);
	atomic_store(&caller->shared->is_over, true);
	assert_int_equal(child_await(pid), 0);
	process_bench_stop(bench);
	assert_int_equal(unlink(strchr(option, '/')), 0);
	assert_int_equal(munmap((void *)(uintptr_t)caller->tally, TALLIES), 0);
	return caller->shared;
}

static void end_shared(struct shared *shared)
{
	assert_int_equal(munmap(shared, sizeof(*shared)), 0);
}

static void test_call_succeeds_when_it_may_be_repeated_and_the_server_is_restarted(void **state)
{
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		struct caller caller = {.is_plain = is_plain != 0,
			.flags = FERRY_SYSPROXY_REPEATABLE,
			.reconnect_ms = FERRY_SYSPROXY_ALWAYS};
		struct shared *shared = run_restarts(*state, &caller);

		assert_int_equal(atomic_load(&shared->lost), 0);
		assert_int_equal(atomic_load(&shared->aborted), 0);
		end_shared(shared);
	}
}

static void test_call_is_never_made_twice_when_it_may_not_be_repeated(void **state)
{
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		struct caller caller = {.is_plain = is_plain != 0,
			.reconnect_ms = FERRY_SYSPROXY_ALWAYS};
		struct shared *shared = run_restarts(*state, &caller);

		/* It is said of those that were in the midst only. */
		assert_int_equal(atomic_load(&shared->lost), 0);
		end_shared(shared);
	}
}

static void test_call_fails_for_good_when_the_client_shall_not_reconnect(void **state)
{
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		struct caller caller = {.is_plain = is_plain != 0,
			.reconnect_ms = FERRY_SYSPROXY_NEVER};
		struct shared *shared = run_restarts(*state, &caller);

		assert_int_equal(atomic_load(&shared->lost) + atomic_load(&shared->aborted),
			THREADS);
		end_shared(shared);
	}
}

int main(int argc, char **argv)
{
	struct process_bench bench;
#define TEST(name)                                                          \
	cmocka_unit_test_prestate_setup_teardown(name, process_bench_setup, \
		process_bench_teardown, &bench)
	const struct CMUnitTest tests[] = {
		TEST(test_call_succeeds_when_it_may_be_repeated_and_the_server_is_restarted),
		TEST(test_call_is_never_made_twice_when_it_may_not_be_repeated),
		TEST(test_call_fails_for_good_when_the_client_shall_not_reconnect),
	};

	process_bench_arguments(&bench, argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
