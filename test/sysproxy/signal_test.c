/*
 * Signals that a kernel raises, and calls made by signal handlers.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/sysproxy/process_bench.h"

#define CHANNEL 2
#define RAISED  SIGWINCH
#define STORM   20 /* signals that find the thread in a call */

/* A program that notes what is raised. */
struct listener {
	const char *url;
	bool is_plain;
	bool is_blocking; /* in a call when it is raised; otherwise between two */
	struct child_line ready, go, heard;
};

static void hear(void *context, int signal)
{
	const struct listener *listener = context;

	assert(signal == RAISED);
	child_line_tell(&listener->heard);
}

static int be_listener(void *context)
{
	struct listener *listener = context;
	struct ferry_sysproxy_options options = {.struct_bytes = sizeof(options),
		.is_plain = listener->is_plain,
		.signal = hear,
		.signal_context = listener};
	struct ferry_sysproxy *client;
	char error[FERRY_SYSPROXY_ERROR_MAX];

	assert(ferry_sysproxy_open(listener->url, &options, &client, error) == 0);
	(void)simple_call(client, FAKE_PUT, 0, (uint64_t)simple_call(client, FAKE_GETPID, 0, 0));
	child_line_tell(&listener->ready);
	if (listener->is_blocking) {
		(void)simple_call(client, FAKE_BLOCK, CHANNEL, 0);
	} else {
		child_line_await(&listener->go, 1);
		(void)simple_call(client, FAKE_NULL, 0, 0);
	}
	ferry_sysproxy_close(client);
	return 0;
}

static void check_listener(struct process_bench *bench, struct listener listener)
{
	uint64_t id;
	pid_t pid;

	listener.url = bench->server_url;
	child_line_open(&listener.ready);
	child_line_open(&listener.go);
	child_line_open(&listener.heard);
	pid = child_start(be_listener, &listener);
	id = (uint64_t)simple_call(bench->client, FAKE_TAKE, 0, 0);
	child_line_await(&listener.ready, 1);
	if (listener.is_blocking)
		process_bench_await_blocked(bench, 1);
	(void)simple_call(bench->client, FAKE_RAISE_FOR, id, RAISED);
	if (!listener.is_blocking)
		child_line_tell(&listener.go);
	child_line_await(&listener.heard, 1);
	/* It has heard that while it was blocked, and still is. */
	if (listener.is_blocking)
		assert_int_equal(simple_call(bench->client, FAKE_WAKE, CHANNEL, 0), 1);
	assert_int_equal(child_await(pid), 0);
	child_line_close(&listener.ready);
	child_line_close(&listener.go);
	child_line_close(&listener.heard);
}

static void test_signal_is_raised_when_its_process_is_in_a_call(void **state)
{
	struct process_bench *bench = *state;

	process_bench_open(bench, NULL);
	check_listener(bench, (struct listener){.is_blocking = true});
	check_listener(bench, (struct listener){.is_blocking = true, .is_plain = true});
}

static void test_signal_is_raised_with_the_next_call_when_there_is_none(void **state)
{
	struct process_bench *bench = *state;

	process_bench_open(bench, NULL);
	check_listener(bench, (struct listener){.is_blocking = false});
	check_listener(bench, (struct listener){.is_plain = true});
}

static int be_killed(void *context)
{
	const struct listener *listener = context;
	struct ferry_sysproxy *client = simple_open(listener->url, listener->is_plain);

	(void)simple_call(client, FAKE_RAISE, SIGUSR1, 0);
	return 0;
}

static void test_signal_ends_the_program_when_that_is_its_default(void **state)
{
	struct process_bench *bench = *state;
	struct listener listener = {.url = bench->server_url};

	process_bench_open(bench, NULL);
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		int status;

		listener.is_plain = is_plain != 0;
		status = child_await(child_start(be_killed, &listener));
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
	}
	process_bench_await_processes(bench, 1);
}

/* Handlers that call: each child has one of its own */

static struct ferry_sysproxy *handler_client;
static atomic_int in_call_count, made_count;

static void call_from_handler(int signal)
{
	int saved = errno;
	int error = simple_try(handler_client, FAKE_NULL, 0, 0, NULL);

	(void)signal;
	if (error == -EDEADLK)
		atomic_fetch_add(&in_call_count, 1);
	else if (error == 0)
		atomic_fetch_add(&made_count, 1);
	else
		abort();
	errno = saved;
}

static void *block(void *context)
{
	const uint64_t arguments[1] = {CHANNEL};
	struct ferry_sysproxy_call call = {.number = FAKE_BLOCK,
		.flags = *(const unsigned *)context,
		.arguments = arguments,
		.argument_count = 1};

	assert(ferry_sysproxy_call(handler_client, &call) == 0);
	assert(call.error == ((call.flags & FERRY_SYSPROXY_INTERRUPTIBLE) != 0 ? EINTR : 0));
	simple_exercise(handler_client, 1);
	return NULL;
}

/* The handler interrupts a thread that is in a call, and then calls for sure. */
static void interrupt_a_call(struct ferry_sysproxy *other, unsigned flags)
{
	int before = atomic_load(&in_call_count);
	pthread_t thread;

	assert(pthread_create(&thread, NULL, block, &flags) == 0);
	while (simple_call(other, FAKE_BLOCKED, 0, 0) != 1)
		;
	assert(pthread_kill(thread, SIGUSR2) == 0);
	while (atomic_load(&in_call_count) == before)
		(void)simple_call(other, FAKE_NULL, 0, 0);
	if ((flags & FERRY_SYSPROXY_INTERRUPTIBLE) == 0)
		assert(simple_call(other, FAKE_WAKE, CHANNEL, 0) == 1);
	assert(pthread_join(thread, NULL) == 0);
}

static int call_in_handlers(void *context)
{
	const struct listener *listener = context;
	struct ferry_sysproxy *other = simple_open(listener->url, false);
	struct sigaction action = {.sa_handler = call_from_handler};
	struct itimerval timer = {.it_interval.tv_usec = 500, .it_value.tv_usec = 500};

	handler_client = simple_open(listener->url, listener->is_plain);
	assert(sigaction(SIGUSR2, &action, NULL) == 0 && sigaction(SIGALRM, &action, NULL) == 0);
	/* A thread's first call allocates its lane. */
	simple_exercise(handler_client, 1);
	/* Between calls a handler calls like anybody. */
	assert(raise(SIGUSR2) == 0 && atomic_load(&made_count) == 1);
	interrupt_a_call(other, 0);
	if (!listener->is_plain)
		interrupt_a_call(other, FERRY_SYSPROXY_INTERRUPTIBLE);
	assert(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	while (atomic_load(&in_call_count) < STORM)
		simple_exercise(handler_client, 1);
	timer = (struct itimerval){0};
	assert(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	ferry_sysproxy_close(handler_client);
	ferry_sysproxy_close(other);
	return 0;
}

static void test_call_of_a_handler_is_refused_when_it_interrupts_another(void **state)
{
	struct process_bench *bench = *state;
	struct listener listener = {.url = bench->server_url};

	process_bench_open(bench, NULL);
	assert_int_equal(child_await(child_start(call_in_handlers, &listener)), 0);
	listener.is_plain = true;
	assert_int_equal(child_await(child_start(call_in_handlers, &listener)), 0);
	process_bench_await_processes(bench, 1);
}

int main(int argc, char **argv)
{
	struct process_bench bench;
#define TEST(name)                                                          \
	cmocka_unit_test_prestate_setup_teardown(name, process_bench_setup, \
		process_bench_teardown, &bench)
	const struct CMUnitTest tests[] = {
		TEST(test_signal_is_raised_when_its_process_is_in_a_call),
		TEST(test_signal_is_raised_with_the_next_call_when_there_is_none),
		TEST(test_signal_ends_the_program_when_that_is_its_default),
		TEST(test_call_of_a_handler_is_refused_when_it_interrupts_another),
	};

	process_bench_arguments(&bench, argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
