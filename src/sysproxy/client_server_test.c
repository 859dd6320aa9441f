/*
 * A client and a server, and a kernel for tests behind it: everything that both ends do together.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/sysproxy/server_bench.h"

#define THREADS    8
#define CALLS_EACH 200
#define LARGE      (3u << 20) /* more than a call carries */

static struct ferry_sysproxy *open_client(struct server_bench *bench,
	const struct ferry_sysproxy_options *options)
{
	struct ferry_sysproxy *client;
	char error[FERRY_SYSPROXY_ERROR_MAX];

	if (ferry_sysproxy_open(ferry_sysproxy_server_url(bench->server), options, &client,
		    error) != 0)
		fail_msg("%s", error);
	return client;
}

static struct ferry_sysproxy *open_plain(struct server_bench *bench)
{
	struct ferry_sysproxy_options options = {.struct_bytes = sizeof(options), .is_plain = 1};

	return open_client(bench, &options);
}

/* Make a call that is expected to be answered. @return errno. */
static int make(struct ferry_sysproxy *client, struct ferry_sysproxy_call *call)
{
	int error = ferry_sysproxy_call(client, call);

	if (error != 0)
		fail_msg("the call was not answered: %s", strerror(-error));
	return call->error;
}

static struct ferry_sysproxy_call call_of(enum fake_call number, const uint64_t *arguments)
{
	return (struct ferry_sysproxy_call){.number = number,
		.arguments = arguments,
		.argument_count = 4};
}

/* Memory, both ways, of any length, with the extension and without */

static void check_memory(struct ferry_sysproxy *client, size_t bytes)
{
	uint8_t *memory = malloc(bytes + 1);
	uint64_t arguments[4] = {(uintptr_t)memory, bytes, 7, 0}, sum = 0;
	struct ferry_sysproxy_range range = {memory, bytes, FERRY_SYSPROXY_IN};
	struct ferry_sysproxy_call call = call_of(FAKE_COPYIN, arguments);

	assert_non_null(memory);
	for (size_t i = 0; i < bytes; i++) {
		memory[i] = (uint8_t)(i * 13 >> 4);
		sum += memory[i];
	}
	call.ranges = &range;
	call.range_count = 1;
	assert_int_equal(make(client, &call), 0);
	assert_int_equal(call.values[0], sum);
	range.flags = FERRY_SYSPROXY_OUT;
	call.number = FAKE_COPYOUT;
	memory[bytes] = 0xa5;
	assert_int_equal(make(client, &call), 0);
	for (size_t i = 0; i < bytes; i++) {
		if (memory[i] != (uint8_t)(7 + i))
			fail_msg("byte %zu of %zu", i, bytes);
	}
	assert_int_equal(memory[bytes], 0xa5);
	free(memory);
}

static void check_string(struct ferry_sysproxy *client)
{
	char text[] = "/a/path";
	const uint64_t arguments[4] = {(uintptr_t)text, 1024};
	struct ferry_sysproxy_range range = {text, sizeof(text), FERRY_SYSPROXY_IN};
	struct ferry_sysproxy_call call = call_of(FAKE_COPYINSTR, arguments);

	call.ranges = &range;
	call.range_count = 1;
	assert_int_equal(make(client, &call), 0);
	assert_int_equal(call.values[0], sizeof(text));
	/* A string that does not end in what was declared. */
	range.bytes = 4;
	assert_int_equal(make(client, &call), EFAULT);
}

static void check_mapping(struct ferry_sysproxy *client)
{
	const uint64_t arguments[4] = {10000, 3};
	struct ferry_sysproxy_call call = call_of(FAKE_MMAP, arguments);
	uint8_t *mapped;

	assert_int_equal(make(client, &call), 0);
	mapped = (uint8_t *)(uintptr_t)call.values[0];
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(mapped[i], (uint8_t)(3 + i));
	assert_int_equal(munmap(mapped, 10000), 0);
}

static void test_client_and_server_move_memory_when_it_is_of_any_length(void **state)
{
	static const size_t lengths[] = {0, 1, 4095, 4096, 65536, (1u << 20) - 1, 1u << 20,
		(1u << 20) + 1, LARGE};
	struct server_bench *bench = *state;

	server_bench_open(bench, NULL);
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		struct ferry_sysproxy *client =
			is_plain ? open_plain(bench) : open_client(bench, NULL);

		assert_int_equal(ferry_sysproxy_is_extended(client), !is_plain);
		for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++)
			check_memory(client, lengths[i]);
		check_string(client);
		check_mapping(client);
		ferry_sysproxy_close(client);
	}
}

static void test_client_and_server_agree_on_a_bad_pointer_when_it_was_not_declared(void **state)
{
	struct server_bench *bench = *state;

	server_bench_open(bench, NULL);
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		struct ferry_sysproxy *client =
			is_plain ? open_plain(bench) : open_client(bench, NULL);
		static const enum fake_call numbers[] = {FAKE_COPYIN, FAKE_COPYINSTR};
		const uint64_t arguments[4] = {8, 100};

		for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
			struct ferry_sysproxy_call call = call_of(numbers[i], arguments);

			assert_int_equal(make(client, &call), EFAULT);
		}
		ferry_sysproxy_close(client);
	}
}

/* Threads */

struct crowd {
	struct ferry_sysproxy *client;
	uint64_t process_id;
};

static void *call_often(void *context)
{
	struct crowd *crowd = context;
	uint8_t memory[512];
	const uint64_t arguments[4] = {(uintptr_t)memory, sizeof(memory), 9};
	struct ferry_sysproxy_range range = {memory, sizeof(memory), FERRY_SYSPROXY_OUT};

	for (unsigned i = 0; i < CALLS_EACH; i++) {
		struct ferry_sysproxy_call call = call_of(FAKE_GETPID, arguments);

		if (make(crowd->client, &call) != 0 ||
			(uint64_t)call.values[0] != crowd->process_id)
			return "another process answered";
		call.number = FAKE_COPYOUT;
		call.ranges = &range;
		call.range_count = 1;
		if (make(crowd->client, &call) != 0 || memory[100] != (uint8_t)(9 + 100))
			return "other bytes came";
	}
	return NULL;
}

static void test_client_serves_many_threads_when_they_call_at_once(void **state)
{
	struct server_bench *bench = *state;

	server_bench_open(bench, NULL);
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		struct crowd crowd = {
			.client = is_plain ? open_plain(bench) : open_client(bench, NULL)};
		struct ferry_sysproxy_call call = call_of(FAKE_GETPID, (uint64_t[4]){0});
		pthread_t threads[THREADS];

		assert_int_equal(make(crowd.client, &call), 0);
		crowd.process_id = (uint64_t)call.values[0];
		for (unsigned i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, call_often, &crowd), 0);
		for (unsigned i = 0; i < THREADS; i++) {
			void *complaint;

			assert_int_equal(pthread_join(threads[i], &complaint), 0);
			if (complaint != NULL)
				fail_msg("%s", (char *)complaint);
		}
		ferry_sysproxy_close(crowd.client);
	}
}

static void test_client_uses_its_session_when_the_server_has_no_more_lanes(void **state)
{
	struct server_bench *bench = *state;
	struct crowd crowd = {0};
	pthread_t threads[THREADS];

	bench->options.calls_max = 1;
	server_bench_open(bench, NULL);
	crowd.client = open_client(bench, NULL);
	crowd.process_id = ferry_sysproxy_process_id(crowd.client);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_often, &crowd), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		void *complaint;

		assert_int_equal(pthread_join(threads[i], &complaint), 0);
		assert_null(complaint);
	}
	ferry_sysproxy_close(crowd.client);
}

/* Calls that block */

struct blocked {
	struct ferry_sysproxy *client;
	struct ferry_sysproxy_call call;
	int outcome;
};

static void *block(void *context)
{
	static const uint64_t arguments[4] = {1};
	struct blocked *blocked = context;

	blocked->call.number = FAKE_BLOCK;
	blocked->call.arguments = arguments;
	blocked->call.argument_count = 4;
	blocked->outcome = ferry_sysproxy_call(blocked->client, &blocked->call);
	return NULL;
}

static void test_client_cancels_a_call_when_another_thread_asks(void **state)
{
	struct server_bench *bench = *state;
	struct blocked blocked = {0};
	pthread_t thread;

	server_bench_open(bench, NULL);
	blocked.client = open_client(bench, NULL);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(pthread_create(&thread, NULL, block, &blocked), 0);
		fake_kernel_await_blocked(bench->kernel, 1);
		ferry_sysproxy_cancel(blocked.client, &blocked.call);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(blocked.outcome, 0);
		assert_int_equal(blocked.call.error, EINTR);
	}
	/* What is not in progress cannot be cancelled. */
	ferry_sysproxy_cancel(blocked.client, &blocked.call);
	ferry_sysproxy_close(blocked.client);
}

static void note(int signal)
{
	(void)signal;
}

static void test_client_cancels_a_call_when_a_signal_is_handled(void **state)
{
	struct sigaction action = {.sa_handler = note};
	struct server_bench *bench = *state;
	struct blocked blocked = {.call.flags = FERRY_SYSPROXY_INTERRUPTIBLE};
	pthread_t thread;

	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	server_bench_open(bench, NULL);
	blocked.client = open_client(bench, NULL);
	assert_int_equal(pthread_create(&thread, NULL, block, &blocked), 0);
	fake_kernel_await_blocked(bench->kernel, 1);
	assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(blocked.outcome, 0);
	assert_int_equal(blocked.call.error, EINTR);
	ferry_sysproxy_close(blocked.client);
}

static void test_client_wakes_a_blocked_thread_when_another_calls(void **state)
{
	struct server_bench *bench = *state;

	server_bench_open(bench, NULL);
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		struct blocked blocked = {
			.client = is_plain ? open_plain(bench) : open_client(bench, NULL)};
		const uint64_t arguments[4] = {1};
		struct ferry_sysproxy_call call = call_of(FAKE_WAKE, arguments);
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, block, &blocked), 0);
		fake_kernel_await_blocked(bench->kernel, 1);
		assert_int_equal(make(blocked.client, &call), 0);
		assert_int_equal(call.values[0], 1);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(blocked.outcome, 0);
		assert_int_equal(blocked.call.error, 0);
		ferry_sysproxy_close(blocked.client);
	}
}

/* Signals */

static void note_signal(void *context, int signal)
{
	*(int *)context = signal;
}

static void test_client_has_raised_the_signal_when_its_call_has_returned(void **state)
{
	struct server_bench *bench = *state;

	server_bench_open(bench, NULL);
	for (uint8_t is_plain = 0; is_plain < 2; is_plain++) {
		int signal = 0;
		struct ferry_sysproxy_options options = {.struct_bytes = sizeof(options),
			.is_plain = is_plain,
			.signal = note_signal,
			.signal_context = &signal};
		struct ferry_sysproxy *client = open_client(bench, &options);
		const uint64_t arguments[4] = {13};
		struct ferry_sysproxy_call call = call_of(FAKE_RAISE, arguments);

		assert_int_equal(make(client, &call), 0);
		assert_int_equal(signal, 13);
		ferry_sysproxy_close(client);
	}
}

/* A server that is lost */

static void reopen(struct server_bench *bench)
{
	server_bench_close(bench);
	server_bench_open(bench, NULL);
}

static void test_client_says_that_the_server_is_lost_when_it_shall_not_reconnect(void **state)
{
	struct server_bench *bench = *state;

	server_bench_open(bench, NULL);
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		struct ferry_sysproxy *client =
			is_plain ? open_plain(bench) : open_client(bench, NULL);
		struct ferry_sysproxy_call call = call_of(FAKE_NULL, (uint64_t[4]){0});

		assert_int_equal(make(client, &call), 0);
		reopen(bench);
		assert_true(ferry_sysproxy_call(client, &call) < 0);
		assert_int_equal(ferry_sysproxy_call(client, &call), -ENOTCONN);
		assert_int_equal(ferry_sysproxy_call(client, &call), -ENOTCONN);
		ferry_sysproxy_close(client);
	}
}

static void test_client_is_a_new_process_when_it_has_reconnected(void **state)
{
	struct server_bench *bench = *state;

	server_bench_open(bench, NULL);
	for (uint8_t is_plain = 0; is_plain < 2; is_plain++) {
		struct ferry_sysproxy_options options = {.struct_bytes = sizeof(options),
			.is_plain = is_plain,
			.reconnect_ms = FERRY_SYSPROXY_ALWAYS};
		struct ferry_sysproxy *client = open_client(bench, &options);
		struct ferry_sysproxy_call call = call_of(FAKE_NULL, (uint64_t[4]){0});

		call.flags = FERRY_SYSPROXY_REPEATABLE;
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(make(client, &call), 0);
			reopen(bench);
		}
		assert_int_equal(make(client, &call), 0);
		assert_int_equal(fake_kernel_counts(bench->kernel).processes_new -
				fake_kernel_counts(bench->kernel).processes_exited,
			1);
		ferry_sysproxy_close(client);
		server_bench_await_processes(bench, 0);
	}
}

static void test_client_never_repeats_a_call_when_it_was_not_told_to(void **state)
{
	struct server_bench *bench = *state;
	struct ferry_sysproxy_options options = {.struct_bytes = sizeof(options),
		.reconnect_ms = FERRY_SYSPROXY_ALWAYS};
	struct ferry_sysproxy_call call = call_of(FAKE_NULL, (uint64_t[4]){0});
	struct blocked blocked = {0};
	pthread_t thread;

	server_bench_open(bench, NULL);
	blocked.client = open_client(bench, &options);
	assert_int_equal(pthread_create(&thread, NULL, block, &blocked), 0);
	fake_kernel_await_blocked(bench->kernel, 1);
	reopen(bench);
	assert_int_equal(pthread_join(thread, NULL), 0);
	/* Cancelled by the server's end and answered, or lost in the midst: never made twice. */
	assert_true(blocked.outcome == -ECONNABORTED ||
		(blocked.outcome == 0 && blocked.call.error == EINTR));
	assert_int_equal(make(blocked.client, &call), 0);
	fake_kernel_await_blocked(bench->kernel, 0);
	ferry_sysproxy_close(blocked.client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_bench_setup, server_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_client_and_server_move_memory_when_it_is_of_any_length),
		TEST(test_client_and_server_agree_on_a_bad_pointer_when_it_was_not_declared),
		TEST(test_client_serves_many_threads_when_they_call_at_once),
		TEST(test_client_uses_its_session_when_the_server_has_no_more_lanes),
		TEST(test_client_cancels_a_call_when_another_thread_asks),
		TEST(test_client_cancels_a_call_when_a_signal_is_handled),
		TEST(test_client_wakes_a_blocked_thread_when_another_calls),
		TEST(test_client_has_raised_the_signal_when_its_call_has_returned),
		TEST(test_client_says_that_the_server_is_lost_when_it_shall_not_reconnect),
		TEST(test_client_is_a_new_process_when_it_has_reconnected),
		TEST(test_client_never_repeats_a_call_when_it_was_not_told_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
