/*
 * New connections that want to be lanes, and those that vanish while they say what they want.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sysproxy/banner.h"
#include "test/sysproxy/server_bench.h"

static void connect_to(struct server_bench *bench, struct raw_peer *peer)
{
	raw_peer_connect(peer, ferry_sysproxy_server_url(bench->server));
}

/* Lanes */

static void send_lane(struct raw_peer *peer, const struct wire_cookie *cookie, uint64_t id)
{
	const struct wire_frame frame = {.number = 902, .type = WIRE_LANE};
	struct wire_lane lane = {.lane = *cookie, .id = le64_of(id)};

	(void)raw_peer_hello(peer);
	raw_peer_send(peer, &frame, &lane, sizeof(lane));
}

static void test_greeting_makes_no_lane_when_cookie_or_id_is_wrong(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer session, lane, peer;
	struct wire_session_reply reply;
	struct wire_cookie forged;

	server_bench_open(bench, NULL);
	reply = server_bench_session(bench, &session);
	raw_peer_connect(&lane, ferry_sysproxy_server_url(bench->server));
	raw_peer_lane(&lane, &reply.lane, 5);
	for (unsigned bit = 0; bit < 128; bit += 9) {
		forged = reply.lane;
		forged.bytes[bit / 8] = (uint8_t)(forged.bytes[bit / 8] ^ 1u << bit % 8);
		connect_to(bench, &peer);
		send_lane(&peer, &forged, 6);
		raw_peer_expect_error(&peer, 902, WIRE_ERROR_INVALID_PREFORK);
		raw_peer_expect_end(&peer);
		raw_peer_end(&peer);
	}
	static const uint64_t ids[] = {0, 5};

	for (unsigned i = 0; i < 2; i++) {
		connect_to(bench, &peer);
		send_lane(&peer, &reply.lane, ids[i]);
		raw_peer_expect_error(&peer, 902, WIRE_ERROR_MALFORMED);
		raw_peer_expect_end(&peer);
		raw_peer_end(&peer);
	}
	/* An id can be used again; a cookie ends with its process. */
	raw_peer_end(&session);
	raw_peer_expect_end(&lane);
	raw_peer_end(&lane);
	fake_kernel_await_processes(bench->kernel, 0);
	connect_to(bench, &peer);
	send_lane(&peer, &reply.lane, 5);
	raw_peer_expect_error(&peer, 902, WIRE_ERROR_INVALID_PREFORK);
	raw_peer_end(&peer);
}

static void test_greeting_makes_no_lane_when_there_are_too_many(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer session, lanes[2], peer;
	struct wire_session_reply reply;

	bench->options.calls_max = 2;
	server_bench_open(bench, NULL);
	reply = server_bench_session(bench, &session);
	for (unsigned i = 0; i < 2; i++) {
		connect_to(bench, &lanes[i]);
		raw_peer_lane(&lanes[i], &reply.lane, i + 1);
	}
	connect_to(bench, &peer);
	send_lane(&peer, &reply.lane, 9);
	raw_peer_expect_error(&peer, 902, WIRE_ERROR_NO_MEMORY);
	raw_peer_end(&peer);
	for (unsigned i = 0; i < 2; i++)
		raw_peer_end(&lanes[i]);
	raw_peer_end(&session);
}

/* Vanishing */

#define SCRIPT_MAX 1024

struct script {
	uint8_t bytes[SCRIPT_MAX];
	size_t count;
};

static void add_frame(struct script *script, const struct wire_frame *frame, const void *payload,
	size_t bytes)
{
	struct wire_header header;

	wire_header_put(&header, frame, bytes);
	assert_true(script->count + sizeof(header) + bytes <= SCRIPT_MAX);
	memcpy(script->bytes + script->count, &header, sizeof(header));
	if (bytes > 0)
		memcpy(script->bytes + script->count + sizeof(header), payload, bytes);
	script->count += sizeof(header) + bytes;
}

static void add_hello(struct script *script)
{
	struct wire_hello hello = {.version = le32_of(1), .carried_max = le32_of(1000)};

	banner_machine(hello.machine);
	add_frame(script, &(struct wire_frame){.type = WIRE_HELLO}, &hello, sizeof(hello));
}

/* A call that copies in 3 bytes, and the answer to that. */
static void add_call(struct script *script)
{
	struct {
		struct wire_call call;
		le64 arguments[2];
		struct wire_range range;
	} call = {
		.call = {.argument_count = le16_of(2), .range_count = le16_of(1)},
		.arguments = {le64_of(0x1000), le64_of(3)},
		.range = raw_range(0x1000, 3, WIRE_RANGE_IN, 0),
	};
	const struct {
		struct wire_call_copy_reply head;
		uint8_t data[3];
	} answer = {0};

	add_frame(script, &(struct wire_frame){.type = WIRE_CALL, .aux = FAKE_COPYIN}, &call,
		sizeof(call));
	add_frame(script,
		&(struct wire_frame){.number = 1, .class = WIRE_RESPONSE, .type = WIRE_CALL_COPYIN},
		&answer, sizeof(struct wire_call_copy_reply) + 3);
}

static void test_greeting_leaves_nothing_when_a_session_vanishes_at_any_byte(void **state)
{
	struct server_bench *bench = *state;
	struct script script = {.count = 0};
	const le64 arguments[2] = {le64_of(4), le64_of(0)};
	const struct wire_cancel cancel = {.call = le64_of(1)};
	struct raw_peer peer;

	add_hello(&script);
	add_frame(&script, &(struct wire_frame){.aux = WIRE_GUEST}, "name", 5);
	add_call(&script);
	add_frame(&script,
		&(struct wire_frame){.number = 1, .type = WIRE_SYSCALL, .aux = FAKE_BLOCK},
		arguments, sizeof(arguments));
	add_frame(&script, &(struct wire_frame){.type = WIRE_PREFORK}, NULL, 0);
	add_frame(&script, &(struct wire_frame){.type = WIRE_CANCEL}, &cancel, sizeof(cancel));
	add_frame(&script, &(struct wire_frame){.aux = WIRE_EXEC}, "exec", 5);
	server_bench_open(bench, NULL);
	for (size_t cut = 0; cut <= script.count; cut++) {
		connect_to(bench, &peer);
		assert_true(raw_peer_send_bytes(&peer, script.bytes, cut));
		raw_peer_end(&peer);
	}
	server_bench_guest(bench, &peer);
	server_bench_await_processes(bench, 1);
	fake_kernel_await_processes(bench->kernel, 1);
	raw_peer_end(&peer);
}

static void test_greeting_leaves_nothing_when_a_lane_vanishes_at_any_byte(void **state)
{
	struct server_bench *bench = *state;
	struct script script = {.count = 0};
	struct wire_session_reply reply;
	struct raw_peer session, peer;
	struct wire_lane lane = {.id = le64_of(0)};
	size_t id_at;

	server_bench_open(bench, NULL);
	reply = server_bench_session(bench, &session);
	lane.lane = reply.lane;
	add_hello(&script);
	add_frame(&script, &(struct wire_frame){.type = WIRE_LANE}, &lane, sizeof(lane));
	id_at = script.count - sizeof(le64);
	add_call(&script);
	for (size_t cut = 0; cut <= script.count; cut++) {
		const le64 id = le64_of(cut + 1);

		memcpy(script.bytes + id_at, &id, sizeof(id));
		connect_to(bench, &peer);
		assert_true(raw_peer_send_bytes(&peer, script.bytes, cut));
		raw_peer_end(&peer);
	}
	fake_kernel_await_lwps(bench->kernel, 0);
	assert_int_equal(raw_peer_call(&session, FAKE_NULL, 1, 2, NULL), 0);
	raw_peer_end(&session);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_bench_setup, server_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_greeting_makes_no_lane_when_cookie_or_id_is_wrong),
		TEST(test_greeting_makes_no_lane_when_there_are_too_many),
		TEST(test_greeting_leaves_nothing_when_a_session_vanishes_at_any_byte),
		TEST(test_greeting_leaves_nothing_when_a_lane_vanishes_at_any_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
