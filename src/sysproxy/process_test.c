/*
 * Processes: forks, exec, and ends.
 */
#include "sysproxy/process.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "test/sysproxy/server_bench.h"

static void connect_to(struct server_bench *bench, struct raw_peer *peer)
{
	raw_peer_connect(peer, ferry_sysproxy_server_url(bench->server));
}

static void get_ids(struct raw_peer *peer, uint64_t ret_ids[2])
{
	raw_peer_send_syscall(peer, FAKE_GETPID, 61, 0, 0);
	assert_int_equal(raw_peer_syscall_reply(peer, 61, ret_ids), 0);
}

static void expect_no_fork(struct server_bench *bench, const struct wire_cookie *cookie)
{
	struct raw_peer peer;

	connect_to(bench, &peer);
	raw_peer_send_fork(&peer, cookie, 0);
	raw_peer_expect_error(&peer, 60, WIRE_ERROR_INVALID_PREFORK);
	raw_peer_expect_end(&peer);
	raw_peer_end(&peer);
}

static void test_process_has_a_child_when_its_fork_connects(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer parent, child;
	struct wire_cookie cookie;
	uint64_t ids[2], child_ids[2];

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &parent);
	get_ids(&parent, ids);
	cookie = raw_peer_prefork(&parent);
	assert_int_equal(ferry_sysproxy_server_process_count(bench->server), 2);
	connect_to(bench, &child);
	raw_peer_send_fork(&child, &cookie, 0);
	raw_peer_expect(&child, WIRE_RESPONSE, WIRE_HANDSHAKE, 60);
	assert_int_equal(child.payload_bytes, 4);
	get_ids(&child, child_ids);
	assert_int_not_equal(child_ids[0], ids[0]);
	assert_int_equal(child_ids[1], ids[0]);
	/* A cookie serves once. */
	expect_no_fork(bench, &cookie);
	/* The child outlives its parent. */
	raw_peer_end(&parent);
	fake_kernel_await_processes(bench->kernel, 1);
	get_ids(&child, child_ids);
	raw_peer_end(&child);
}

static void test_process_has_an_extended_child_when_that_says_hello(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer parent, child, lane;
	struct wire_session_reply reply, forked;
	struct wire_cookie cookie;
	uint64_t ids[2];

	server_bench_open(bench, NULL);
	reply = server_bench_session(bench, &parent);
	cookie = raw_peer_prefork(&parent);
	connect_to(bench, &child);
	(void)raw_peer_hello(&child);
	raw_peer_send_fork(&child, &cookie, 0);
	raw_peer_expect(&child, WIRE_RESPONSE, WIRE_HANDSHAKE, 60);
	assert_int_equal(child.payload_bytes, sizeof(forked));
	memcpy(&forked, child.payload, sizeof(forked));
	assert_memory_not_equal(&forked.lane, &reply.lane, sizeof(forked.lane));
	assert_memory_not_equal(&forked.lane, &cookie, sizeof(forked.lane));
	connect_to(bench, &lane);
	raw_peer_lane(&lane, &forked.lane, 1);
	assert_int_equal(raw_peer_call(&lane, FAKE_GETPID, 0, 0, ids), 0);
	assert_int_equal(ids[0], le64_get(forked.process_id));
	assert_int_equal(ids[1], le64_get(reply.process_id));
	raw_peer_end(&lane);
	raw_peer_end(&child);
	raw_peer_end(&parent);
}

static void test_process_has_no_child_when_the_cookie_is_forged(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer parent;
	struct wire_session_reply reply;
	struct wire_cookie cookie;

	server_bench_open(bench, NULL);
	reply = server_bench_session(bench, &parent);
	/* Neither the name for lanes nor nothing at all. */
	expect_no_fork(bench, &reply.lane);
	memset(&cookie, 0, sizeof(cookie));
	expect_no_fork(bench, &cookie);
	cookie = raw_peer_prefork(&parent);
	cookie.bytes[15] ^= 1;
	expect_no_fork(bench, &cookie);
	raw_peer_end(&parent);
}

static void test_process_has_no_child_when_it_has_ended(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer parent;
	struct wire_cookie cookies[3];

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &parent);
	for (unsigned i = 0; i < 3; i++)
		cookies[i] = raw_peer_prefork(&parent);
	fake_kernel_await_processes(bench->kernel, 4);
	raw_peer_end(&parent);
	fake_kernel_await_processes(bench->kernel, 0);
	for (unsigned i = 0; i < 3; i++)
		expect_no_fork(bench, &cookies[i]);
}

static void test_process_has_no_child_when_that_is_late(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer parent;
	struct wire_cookie cookie;

	bench->options.prefork_timeout_ms = 20;
	server_bench_open(bench, NULL);
	server_bench_guest(bench, &parent);
	cookie = raw_peer_prefork(&parent);
	fake_kernel_await_processes(bench->kernel, 1);
	server_bench_await_processes(bench, 1);
	expect_no_fork(bench, &cookie);
	assert_true(server_bench_log_has(bench, "has not connected in time"));
	raw_peer_end(&parent);
}

static void test_process_has_no_child_when_the_fork_is_cancelled(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer parent, peer;
	struct wire_cookie cookie;

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &parent);
	cookie = raw_peer_prefork(&parent);
	connect_to(bench, &peer);
	raw_peer_send_fork(&peer, &cookie, 1);
	raw_peer_expect_end(&peer);
	raw_peer_end(&peer);
	fake_kernel_await_processes(bench->kernel, 1);
	expect_no_fork(bench, &cookie);
	raw_peer_end(&parent);
}

static void test_process_has_no_child_when_the_kernel_cannot(void **state)
{
	const struct {
		int error;
		uint32_t code;
	} rows[] = {
		{-EAGAIN, WIRE_ERROR_RFORK_FAILED},
		{-ENOMEM, WIRE_ERROR_NO_MEMORY},
	};
	struct server_bench *bench = *state;
	struct raw_peer parent;

	bench->options.processes_max = 2;
	server_bench_open(bench, NULL);
	server_bench_guest(bench, &parent);
	for (size_t i = 0; i < 2; i++) {
		fake_kernel_refuse(bench->kernel, rows[i].error);
		raw_peer_request(&parent, WIRE_PREFORK, 5, 0);
		raw_peer_expect_error(&parent, 5, rows[i].code);
		server_bench_await_processes(bench, 1);
	}
	fake_kernel_refuse(bench->kernel, 0);
	(void)raw_peer_prefork(&parent);
	/* Full, with the one that is expected. */
	raw_peer_request(&parent, WIRE_PREFORK, 6, 0);
	raw_peer_expect_error(&parent, 6, WIRE_ERROR_NO_MEMORY);
	raw_peer_end(&parent);
}

static void test_process_has_no_child_when_too_many_are_expected(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer parent, child;
	struct wire_cookie cookie;

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &parent);
	for (unsigned i = 0; i < PROCESS_CHILDREN_MAX; i++)
		cookie = raw_peer_prefork(&parent);
	raw_peer_request(&parent, WIRE_PREFORK, 6, 0);
	raw_peer_expect_error(&parent, 6, WIRE_ERROR_NO_MEMORY);
	/* One that connects makes room. */
	connect_to(bench, &child);
	raw_peer_send_fork(&child, &cookie, 0);
	raw_peer_expect(&child, WIRE_RESPONSE, WIRE_HANDSHAKE, 60);
	(void)raw_peer_prefork(&parent);
	raw_peer_end(&parent);
	fake_kernel_await_processes(bench->kernel, 1);
	raw_peer_end(&child);
}

static void test_process_leaves_no_child_when_it_ends_while_the_kernel_forks(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer parent;

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &parent);
	fake_kernel_hold(bench->kernel, true);
	for (unsigned i = 0; i < 3; i++)
		raw_peer_request(&parent, WIRE_PREFORK, i, 0);
	fake_kernel_await_held(bench->kernel);
	raw_peer_end(&parent);
	fake_kernel_hold(bench->kernel, false);
	fake_kernel_await_processes(bench->kernel, 0);
	server_bench_await_processes(bench, 0);
}

/* Exec */

static void send_exec(struct raw_peer *peer, const char *name)
{
	const struct wire_frame frame = {.number = 80, .aux = WIRE_EXEC};

	raw_peer_send(peer, &frame, name, strlen(name) + 1);
}

static void test_process_stays_the_same_when_it_execs(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer;
	char text[FAKE_TEXT_MAX];
	uint64_t before[2], after[2];

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	get_ids(&peer, before);
	send_exec(&peer, "another");
	raw_peer_expect(&peer, WIRE_RESPONSE, WIRE_HANDSHAKE, 80);
	assert_int_equal(peer.payload_bytes, 4);
	fake_kernel_text(bench->kernel, text);
	assert_string_equal(text, "another");
	get_ids(&peer, after);
	assert_int_equal(before[0], after[0]);
	raw_peer_end(&peer);
	fake_kernel_await_processes(bench->kernel, 0);
	assert_int_equal(fake_kernel_counts(bench->kernel).processes_exec, 1);
}

static void test_process_ends_calls_and_lanes_when_it_execs(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer, lane, late;
	struct wire_session_reply before, after;
	struct raw_call call = raw_call_of(FAKE_STUBBORN, 3, 3, 0);

	server_bench_open(bench, NULL);
	before = server_bench_session(bench, &peer);
	connect_to(bench, &lane);
	raw_peer_lane(&lane, &before.lane, 1);
	raw_peer_send_call(&lane, &call);
	raw_peer_send_syscall(&peer, FAKE_STUBBORN, 4, 3, 0);
	fake_kernel_await_blocked(bench->kernel, 2);
	send_exec(&peer, "another");
	/* The call is answered first. */
	assert_int_equal(raw_peer_syscall_reply(&peer, 4, NULL), EINTR);
	raw_peer_expect(&peer, WIRE_RESPONSE, WIRE_HANDSHAKE, 80);
	assert_int_equal(peer.payload_bytes, sizeof(after));
	memcpy(&after, peer.payload, sizeof(after));
	raw_peer_end(&lane);
	assert_int_equal(le64_get(before.process_id), le64_get(after.process_id));
	assert_memory_not_equal(&before.lane, &after.lane, sizeof(after.lane));

	connect_to(bench, &late);
	(void)raw_peer_hello(&late);
	const struct wire_frame frame = {.number = 1, .type = WIRE_LANE};
	const struct wire_lane wanted = {.lane = before.lane, .id = le64_of(1)};

	raw_peer_send(&late, &frame, &wanted, sizeof(wanted));
	raw_peer_expect_error(&late, 1, WIRE_ERROR_INVALID_PREFORK);
	raw_peer_end(&late);
	connect_to(bench, &late);
	raw_peer_lane(&late, &after.lane, 1);
	assert_int_equal(raw_peer_call(&late, FAKE_NULL, 0, 0, NULL), 0);
	raw_peer_end(&late);
	raw_peer_end(&peer);
}

/* A process in the midst of an exec: a call does not heed that it was cancelled. */
static void begin_exec(struct server_bench *bench, struct raw_peer *peer)
{
	raw_peer_send_syscall(peer, FAKE_STUBBORN, 4, 1000, 0);
	fake_kernel_await_blocked(bench->kernel, 1);
	send_exec(peer, "another");
}

static void test_process_refuses_what_comes_when_it_is_in_an_exec(void **state)
{
	const struct {
		struct wire_frame frame;
		bool is_end;
	} rows[] = {
		{{.number = 5, .type = WIRE_SYSCALL}, false},
		{{.number = 5, .type = WIRE_PREFORK}, true},
		{{.number = 5, .type = WIRE_HANDSHAKE, .aux = WIRE_EXEC}, true},
	};
	struct server_bench *bench = *state;
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		server_bench_guest(bench, &peer);
		begin_exec(bench, &peer);
		raw_peer_send(&peer, &rows[i].frame, NULL, 0);
		raw_peer_expect_error(&peer, 5, WIRE_ERROR_IN_EXEC);
		if (rows[i].is_end)
			raw_peer_expect_end(&peer);
		fake_kernel_release(bench->kernel);
		if (!rows[i].is_end) {
			assert_int_equal(raw_peer_syscall_reply(&peer, 4, NULL), EINTR);
			raw_peer_expect(&peer, WIRE_RESPONSE, WIRE_HANDSHAKE, 80);
		}
		raw_peer_end(&peer);
		fake_kernel_await_processes(bench->kernel, 0);
	}
	assert_int_equal(fake_kernel_counts(bench->kernel).processes_exec, 1);
}

static void test_process_ends_when_it_vanishes_in_an_exec(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	(void)raw_peer_prefork(&peer);
	begin_exec(bench, &peer);
	fake_kernel_await_processes(bench->kernel, 2);
	raw_peer_end(&peer);
	/* The child that was expected shows that the server knows. */
	fake_kernel_await_processes(bench->kernel, 1);
	fake_kernel_release(bench->kernel);
	fake_kernel_await_processes(bench->kernel, 0);
	assert_int_equal(fake_kernel_counts(bench->kernel).processes_exec, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_bench_setup, server_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_process_has_a_child_when_its_fork_connects),
		TEST(test_process_has_an_extended_child_when_that_says_hello),
		TEST(test_process_has_no_child_when_the_cookie_is_forged),
		TEST(test_process_has_no_child_when_it_has_ended),
		TEST(test_process_has_no_child_when_that_is_late),
		TEST(test_process_has_no_child_when_the_fork_is_cancelled),
		TEST(test_process_has_no_child_when_the_kernel_cannot),
		TEST(test_process_has_no_child_when_too_many_are_expected),
		TEST(test_process_leaves_no_child_when_it_ends_while_the_kernel_forks),
		TEST(test_process_stays_the_same_when_it_execs),
		TEST(test_process_ends_calls_and_lanes_when_it_execs),
		TEST(test_process_refuses_what_comes_when_it_is_in_an_exec),
		TEST(test_process_ends_when_it_vanishes_in_an_exec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
