/*
 * A router and adopters together are one server to whoever connects: processes, lanes, forks and exec.
 */
#include "sysproxy/handover.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "test/sysproxy/handover_bench.h"

static void test_handover_check_refuses_when_a_field_is_out_of_bounds(void **state)
{
	const struct {
		struct handover handover;
		bool is_legal;
	} rows[] = {
		{{.kind = HANDOVER_GUEST}, true},
		{{.kind = HANDOVER_LANE, .is_extended = 1, .carried_max = WIRE_CARRIED_MAX}, true},
		{{.kind = HANDOVER_FORK, .is_cancelled = 1}, true},
		{{.kind = HANDOVER_LANE + 1}, false},
		{{.kind = UINT32_MAX}, false},
		{{.is_extended = 2}, false},
		{{.carried_max = WIRE_CARRIED_MAX + 1}, false},
		{{.is_cancelled = 2}, false},
	};
	struct handover handover = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(handover_check(&rows[i].handover), rows[i].is_legal);
	memset(handover.name, 'x', sizeof(handover.name));
	assert_false(handover_check(&handover));
	handover.name[HANDOVER_NAME_MAX - 1] = '\0';
	assert_true(handover_check(&handover));
}

static void expect_null_call(struct raw_peer *peer)
{
	uint64_t values[2];

	assert_int_equal(raw_peer_call(peer, FAKE_NULL, 5, 6, values), 0);
	assert_int_equal(values[0], 5);
	assert_int_equal(values[1], 6);
}

static void expect_null_syscall(struct raw_peer *peer)
{
	uint64_t values[2];

	raw_peer_send_syscall(peer, FAKE_NULL, 40, 7, 8);
	assert_int_equal(raw_peer_syscall_reply(peer, 40, values), 0);
	assert_int_equal(values[0], 7);
	assert_int_equal(values[1], 8);
}

static struct wire_session_reply exec(struct raw_peer *peer, const char *name)
{
	const struct wire_frame frame = {.number = 70, .aux = WIRE_EXEC};
	struct wire_session_reply reply;

	raw_peer_send(peer, &frame, name, strlen(name) + 1);
	raw_peer_expect(peer, WIRE_RESPONSE, WIRE_HANDSHAKE, 70);
	assert_int_equal(peer->payload_bytes, sizeof(reply));
	memcpy(&reply, peer->payload, sizeof(reply));
	return reply;
}

static void send_lane(struct handover_bench *bench, struct raw_peer *peer,
	const struct wire_cookie *cookie, uint64_t id)
{
	const struct wire_frame frame = {.number = 902, .type = WIRE_LANE};
	const struct wire_lane lane = {.lane = *cookie, .id = le64_of(id)};

	handover_bench_connect(bench, peer);
	(void)raw_peer_hello(peer);
	raw_peer_send(peer, &frame, &lane, sizeof(lane));
}

static void expect_no_lane(struct handover_bench *bench, const struct wire_cookie *cookie,
	uint64_t id, uint32_t code)
{
	struct raw_peer peer;

	send_lane(bench, &peer, cookie, id);
	raw_peer_expect_error(&peer, 902, code);
	raw_peer_expect_end(&peer);
	raw_peer_end(&peer);
}

static void expect_no_fork(struct handover_bench *bench, const struct wire_cookie *cookie)
{
	struct raw_peer peer;

	handover_bench_connect(bench, &peer);
	raw_peer_send_fork(&peer, cookie, 0);
	raw_peer_expect_error(&peer, 60, WIRE_ERROR_INVALID_PREFORK);
	raw_peer_expect_end(&peer);
	raw_peer_end(&peer);
}

static void test_handover_serves_session_and_lanes_when_routed(void **state)
{
	struct handover_bench *bench = *state;
	struct raw_peer session, lanes[2];
	struct wire_session_reply reply;
	char text[FAKE_TEXT_MAX];

	handover_bench_open(bench);
	reply = handover_bench_session(bench, &session);
	fake_kernel_text(bench->base->kernel, text);
	assert_string_equal(text, "test");
	expect_null_call(&session);
	for (unsigned i = 0; i < 2; i++) {
		handover_bench_connect(bench, &lanes[i]);
		raw_peer_lane(&lanes[i], &reply.lane, i + 1);
		expect_null_call(&lanes[i]);
	}
	raw_peer_end(&lanes[0]);
	expect_null_call(&lanes[1]);
	expect_null_call(&session);
	raw_peer_end(&session);
	raw_peer_expect_end(&lanes[1]);
	raw_peer_end(&lanes[1]);
	handover_bench_await_adopters(bench, 0);
	assert_int_equal(handover_bench_ended_count(bench), 1);
}

static void test_handover_serves_each_guest_by_its_own_when_there_are_many(void **state)
{
	struct handover_bench *bench = *state;
	struct raw_peer guests[10];

	handover_bench_open(bench);
	for (unsigned i = 0; i < 10; i++)
		(void)handover_bench_session(bench, &guests[i]);
	handover_bench_await_adopters(bench, 10);
	for (unsigned i = 0; i < 10; i++) {
		expect_null_call(&guests[i]);
		raw_peer_end(&guests[i]);
	}
	handover_bench_await_adopters(bench, 0);
}

static void test_handover_serves_plain_clients_when_they_say_no_hello(void **state)
{
	struct handover_bench *bench = *state;
	struct raw_peer parent, child;
	struct wire_cookie cookie;

	handover_bench_open(bench);
	handover_bench_connect(bench, &parent);
	raw_peer_guest(&parent, "plain");
	expect_null_syscall(&parent);
	cookie = raw_peer_prefork(&parent);
	handover_bench_connect(bench, &child);
	raw_peer_send_fork(&child, &cookie, 0);
	raw_peer_expect(&child, WIRE_RESPONSE, WIRE_HANDSHAKE, 60);
	assert_int_equal(child.payload_bytes, 4);
	expect_null_syscall(&child);
	raw_peer_end(&parent);
	expect_null_syscall(&child);
	raw_peer_end(&child);
	handover_bench_await_adopters(bench, 0);
}

static void test_handover_tells_a_new_cookie_when_a_process_execs(void **state)
{
	struct handover_bench *bench = *state;
	struct raw_peer session, lane;
	struct wire_session_reply before, after;
	char text[FAKE_TEXT_MAX];

	handover_bench_open(bench);
	before = handover_bench_session(bench, &session);
	handover_bench_connect(bench, &lane);
	raw_peer_lane(&lane, &before.lane, 1);
	after = exec(&session, "other");
	fake_kernel_text(bench->base->kernel, text);
	assert_string_equal(text, "other");
	raw_peer_expect_end(&lane);
	raw_peer_end(&lane);
	expect_no_lane(bench, &before.lane, 1, WIRE_ERROR_INVALID_PREFORK);
	handover_bench_connect(bench, &lane);
	raw_peer_lane(&lane, &after.lane, 1);
	expect_null_call(&lane);
	raw_peer_end(&lane);
	raw_peer_end(&session);
}

static void test_handover_forks_elsewhere_when_a_process_forks(void **state)
{
	struct handover_bench *bench = *state;
	struct raw_peer parent, child, grandchild, lane;
	struct wire_cookie cookie, other;
	struct wire_session_reply reply;
	char text[FAKE_TEXT_MAX];

	handover_bench_open(bench);
	(void)handover_bench_session(bench, &parent);
	(void)exec(&parent, "renamed");
	cookie = raw_peer_prefork(&parent);
	handover_bench_await_adopters(bench, 2);
	assert_int_equal(fake_kernel_counts(bench->base->kernel).processes_forked, 0);
	handover_bench_connect(bench, &child);
	(void)raw_peer_hello(&child);
	raw_peer_send_fork(&child, &cookie, 0);
	raw_peer_expect(&child, WIRE_RESPONSE, WIRE_HANDSHAKE, 60);
	assert_int_equal(child.payload_bytes, sizeof(reply));
	memcpy(&reply, child.payload, sizeof(reply));
	fake_kernel_text(bench->base->kernel, text);
	assert_string_equal(text, "renamed");
	/* A cookie serves once, and the parent's has its own lanes. */
	expect_no_fork(bench, &cookie);
	handover_bench_connect(bench, &lane);
	raw_peer_lane(&lane, &reply.lane, 3);
	expect_null_call(&lane);
	raw_peer_end(&parent);
	handover_bench_await_adopters(bench, 1);
	other = raw_peer_prefork(&child);
	handover_bench_connect(bench, &grandchild);
	(void)raw_peer_hello(&grandchild);
	raw_peer_send_fork(&grandchild, &other, 0);
	raw_peer_expect(&grandchild, WIRE_RESPONSE, WIRE_HANDSHAKE, 60);
	raw_peer_end(&child);
	raw_peer_expect_end(&lane);
	raw_peer_end(&lane);
	expect_null_call(&grandchild);
	raw_peer_end(&grandchild);
	handover_bench_await_adopters(bench, 0);
	assert_int_equal(handover_bench_ended_count(bench), 3);
}

static void test_handover_makes_many_forks_when_none_has_connected(void **state)
{
	struct handover_bench *bench = *state;
	struct raw_peer parent, child;
	struct wire_cookie cookies[20];

	handover_bench_open(bench);
	(void)handover_bench_session(bench, &parent);
	for (unsigned i = 0; i < 20; i++)
		raw_peer_request(&parent, WIRE_PREFORK, 100 + i, 0);
	for (unsigned i = 0; i < 20; i++) {
		raw_peer_expect(&parent, WIRE_RESPONSE, WIRE_PREFORK, 100 + i);
		memcpy(&cookies[i], parent.payload, sizeof(cookies[i]));
	}
	expect_null_call(&parent);
	for (unsigned i = 0; i < 20; i++) {
		handover_bench_connect(bench, &child);
		raw_peer_send_fork(&child, &cookies[i], 0);
		raw_peer_expect(&child, WIRE_RESPONSE, WIRE_HANDSHAKE, 60);
		raw_peer_end(&child);
	}
	raw_peer_end(&parent);
	handover_bench_await_adopters(bench, 0);
}

static void test_handover_ends_the_fork_when_it_is_cancelled(void **state)
{
	struct handover_bench *bench = *state;
	struct raw_peer parent, child;
	struct wire_cookie cookie;

	handover_bench_open(bench);
	(void)handover_bench_session(bench, &parent);
	cookie = raw_peer_prefork(&parent);
	handover_bench_connect(bench, &child);
	raw_peer_send_fork(&child, &cookie, 1);
	raw_peer_expect_end(&child);
	raw_peer_end(&child);
	handover_bench_await_adopters(bench, 1);
	expect_no_fork(bench, &cookie);
	expect_null_call(&parent);
	raw_peer_end(&parent);
}

static void test_handover_tells_the_client_when_a_fork_fails(void **state)
{
	const struct {
		int error;
		uint32_t code;
	} rows[] = {
		{-ENOMEM, WIRE_ERROR_NO_MEMORY},
		{-ENFILE, WIRE_ERROR_NO_MEMORY},
		{-EAGAIN, WIRE_ERROR_TRY_AGAIN},
		{-EIO, WIRE_ERROR_RFORK_FAILED},
	};
	struct handover_bench *bench = *state;
	struct raw_peer peer;

	handover_bench_open(bench);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bench->fork_error = rows[i].error;
		(void)handover_bench_session(bench, &peer);
		raw_peer_request(&peer, WIRE_PREFORK, 51, 0);
		raw_peer_expect_error(&peer, 51, rows[i].code);
		expect_null_call(&peer);
		raw_peer_end(&peer);
		handover_bench_await_adopters(bench, 0);
	}
}

static void test_handover_makes_no_lane_when_cookie_or_id_is_wrong(void **state)
{
	struct handover_bench *bench = *state;
	struct raw_peer session, lane;
	struct wire_session_reply reply;
	struct wire_cookie forged;

	handover_bench_open(bench);
	reply = handover_bench_session(bench, &session);
	handover_bench_connect(bench, &lane);
	raw_peer_lane(&lane, &reply.lane, 5);
	forged = reply.lane;
	forged.bytes[15] = (uint8_t)(forged.bytes[15] ^ 0x80);
	expect_no_lane(bench, &forged, 6, WIRE_ERROR_INVALID_PREFORK);
	/* An adopter looks itself, whatever the router thought. */
	bench->is_lane_misplaced = true;
	expect_no_lane(bench, &forged, 6, WIRE_ERROR_INVALID_PREFORK);
	expect_no_lane(bench, &reply.lane, 5, WIRE_ERROR_MALFORMED);
	expect_no_lane(bench, &reply.lane, 0, WIRE_ERROR_MALFORMED);
	expect_null_call(&lane);
	raw_peer_end(&lane);
	raw_peer_end(&session);
}

#define BENCH_TEST(test) \
	cmocka_unit_test_setup_teardown(test, handover_bench_setup, handover_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handover_check_refuses_when_a_field_is_out_of_bounds),
		BENCH_TEST(test_handover_serves_session_and_lanes_when_routed),
		BENCH_TEST(test_handover_serves_each_guest_by_its_own_when_there_are_many),
		BENCH_TEST(test_handover_serves_plain_clients_when_they_say_no_hello),
		BENCH_TEST(test_handover_tells_a_new_cookie_when_a_process_execs),
		BENCH_TEST(test_handover_forks_elsewhere_when_a_process_forks),
		BENCH_TEST(test_handover_makes_many_forks_when_none_has_connected),
		BENCH_TEST(test_handover_ends_the_fork_when_it_is_cancelled),
		BENCH_TEST(test_handover_tells_the_client_when_a_fork_fails),
		BENCH_TEST(test_handover_makes_no_lane_when_cookie_or_id_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
