/*
 * The life of a server, seen from a socket.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "test/sysproxy/server_bench.h"

static void test_server_answers_a_call_when_it_comes_on_a_lane(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer session, lane;
	uint64_t values[2];

	server_bench_open(bench, NULL);
	server_bench_lane(bench, &session, &lane);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(raw_peer_call(&lane, FAKE_NULL, i, ~(uint64_t)i, values), 0);
		assert_int_equal(values[0], i);
		assert_int_equal(values[1], ~(uint64_t)i);
	}
	raw_peer_end(&lane);
	fake_kernel_await_lwps(bench->kernel, 0);
	raw_peer_end(&session);
	fake_kernel_await_processes(bench->kernel, 0);
}

static void test_server_answers_a_call_when_it_comes_on_a_session(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer session;
	uint64_t values[2];

	server_bench_open(bench, NULL);
	(void)server_bench_session(bench, &session);
	assert_int_equal(raw_peer_call(&session, FAKE_NULL, 1, 2, values), 0);
	assert_int_equal(values[0], 1);
	raw_peer_end(&session);
	fake_kernel_await_processes(bench->kernel, 0);
}

static void test_server_answers_a_call_when_it_is_plain(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer session;
	uint64_t values[2];

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &session);
	raw_peer_send_syscall(&session, FAKE_NULL, 5, 1, 2);
	assert_int_equal(raw_peer_syscall_reply(&session, 5, values), 0);
	assert_int_equal(values[0], 1);
	assert_int_equal(values[1], 2);
	raw_peer_end(&session);
	fake_kernel_await_processes(bench->kernel, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_bench_setup, server_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_server_answers_a_call_when_it_comes_on_a_lane),
		TEST(test_server_answers_a_call_when_it_comes_on_a_session),
		TEST(test_server_answers_a_call_when_it_is_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
