/*
 * Handovers that come to nothing: refusals, full servers, clients that vanish, ends of either server.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sysproxy/banner.h"
#include "test/sysproxy/handover_bench.h"

static void send_guest(struct raw_peer *peer)
{
	const struct wire_frame frame = {.number = 80, .aux = WIRE_GUEST};

	raw_peer_send(peer, &frame, "late", 5);
}

static void expect_refused(struct handover_bench *bench, uint32_t code)
{
	struct raw_peer peer;

	handover_bench_connect(bench, &peer);
	send_guest(&peer);
	/* It need not have waited for its answer. */
	raw_peer_request(&peer, WIRE_SYSCALL, 81, FAKE_NULL);
	raw_peer_expect_error(&peer, 80, code);
	raw_peer_expect_end(&peer);
	raw_peer_end(&peer);
}

static void test_handover_is_refused_when_the_router_has_no_place(void **state)
{
	struct handover_bench *bench = *state;

	bench->refusal = WIRE_ERROR_NO_MEMORY;
	handover_bench_open(bench);
	for (unsigned i = 0; i < 3; i++)
		expect_refused(bench, WIRE_ERROR_NO_MEMORY);
	assert_true(
		server_bench_log_has(bench->base, "a connection is refused: the bench refuses"));
	handover_bench_await_adopters(bench, 0);
}

static void test_handover_is_refused_when_it_fails_after_routing(void **state)
{
	struct handover_bench *bench = *state;

	bench->late = WIRE_ERROR_TRY_AGAIN;
	handover_bench_open(bench);
	for (unsigned i = 0; i < 3; i++)
		expect_refused(bench, WIRE_ERROR_TRY_AGAIN);
	assert_true(
		server_bench_log_has(bench->base, "a connection is refused: the bench is late"));
}

static void test_handover_is_refused_when_the_adopter_is_full(void **state)
{
	struct handover_bench *bench = *state;
	struct raw_peer first;

	bench->is_shared = true;
	bench->base->options.processes_max = 1;
	handover_bench_open(bench);
	(void)handover_bench_session(bench, &first);
	expect_refused(bench, WIRE_ERROR_NO_MEMORY);
	raw_peer_end(&first);
	handover_bench_await_adopters(bench, 0);
}

static void test_handover_is_refused_when_the_kernel_does_not_want_it(void **state)
{
	const struct {
		int error;
		uint32_t code;
	} rows[] = {
		{-ENOMEM, WIRE_ERROR_NO_MEMORY},
		{-EAGAIN, WIRE_ERROR_TRY_AGAIN},
		{-EACCES, WIRE_ERROR_AUTH},
	};
	struct handover_bench *bench = *state;

	handover_bench_open(bench);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake_kernel_refuse(bench->base->kernel, rows[i].error);
		expect_refused(bench, rows[i].code);
		handover_bench_await_adopters(bench, 0);
	}
	assert_int_equal(handover_bench_ended_count(bench), 3);
}

/* Vanishing */

#define SCRIPT_MAX 512

struct script {
	uint8_t bytes[SCRIPT_MAX];
	size_t count;
};

static void add_frame(struct script *script, const struct wire_frame *frame, const void *payload,
	size_t bytes)
{
	struct wire_header header;

	assert_true(script->count + sizeof(header) + bytes <= SCRIPT_MAX);
	wire_header_put(&header, frame, bytes);
	memcpy(script->bytes + script->count, &header, sizeof(header));
	if (bytes > 0)
		memcpy(script->bytes + script->count + sizeof(header), payload, bytes);
	script->count += sizeof(header) + bytes;
}

static void add_hello(struct script *script)
{
	const struct wire_frame frame = {.number = 1, .type = WIRE_HELLO};
	struct wire_hello hello = {.version = le32_of(1), .carried_max = le32_of(1000)};

	banner_machine(hello.machine);
	add_frame(script, &frame, &hello, sizeof(hello));
}

static void add_call(struct script *script)
{
	const struct wire_frame frame = {.number = 3, .type = WIRE_SYSCALL, .aux = FAKE_BLOCK};
	const le64 arguments[2] = {le64_of(9), le64_of(0)};

	add_frame(script, &frame, arguments, sizeof(arguments));
}

/* Send the first @count bytes, and vanish. */
static void play(struct handover_bench *bench, const struct script *script, size_t count)
{
	struct raw_peer peer;

	handover_bench_connect(bench, &peer);
	assert_true(raw_peer_send_bytes(&peer, script->bytes, count));
	raw_peer_end(&peer);
}

static void test_handover_leaves_nothing_when_a_guest_vanishes(void **state)
{
	const struct wire_frame guest = {.number = 2, .aux = WIRE_GUEST};
	const struct wire_frame prefork = {.number = 4, .type = WIRE_PREFORK};
	struct handover_bench *bench = *state;
	struct script script = {.count = 0};

	/* The fork would wait for its child. */
	bench->fork_error = -EIO;
	handover_bench_open(bench);
	add_hello(&script);
	add_frame(&script, &guest, "ghost", 6);
	add_frame(&script, &prefork, NULL, 0);
	add_call(&script);
	for (size_t count = 0; count <= script.count; count++)
		play(bench, &script, count);
	handover_bench_await_adopters(bench, 0);
	fake_kernel_await_processes(bench->base->kernel, 0);
}

/* Give up a fork that may have been come for. */
static void cancel_fork(struct handover_bench *bench, const struct wire_cookie *cookie)
{
	const struct wire_frame frame = {.number = 2, .aux = WIRE_FORK};
	const struct wire_fork fork = {.cookie = *cookie, .is_cancelled = le32_of(1)};
	struct raw_peer peer;

	handover_bench_connect(bench, &peer);
	raw_peer_send(&peer, &frame, &fork, sizeof(fork));
	if (raw_peer_receive(&peer))
		assert_int_equal(peer.frame.aux, WIRE_ERROR_INVALID_PREFORK);
	raw_peer_end(&peer);
}

static void test_handover_leaves_nothing_when_a_fork_vanishes(void **state)
{
	const struct wire_frame frame = {.number = 2, .aux = WIRE_FORK};
	struct handover_bench *bench = *state;
	struct raw_peer parent;
	size_t bytes = 1;

	handover_bench_open(bench);
	(void)handover_bench_session(bench, &parent);
	for (size_t count = 0; count < bytes; count++) {
		struct script script = {.count = 0};
		struct wire_fork fork = {.is_cancelled = le32_of(0)};

		raw_peer_request(&parent, WIRE_PREFORK, 50, 0);
		raw_peer_expect(&parent, WIRE_RESPONSE, WIRE_PREFORK, 50);
		memcpy(&fork.cookie, parent.payload, sizeof(fork.cookie));
		add_frame(&script, &frame, &fork, sizeof(fork));
		add_call(&script);
		bytes = script.count + 1;
		play(bench, &script, count);
		cancel_fork(bench, &fork.cookie);
		handover_bench_await_adopters(bench, 1);
	}
	raw_peer_end(&parent);
	handover_bench_await_adopters(bench, 0);
	assert_int_equal(handover_bench_ended_count(bench), 1 + bytes);
}

static void test_handover_keeps_the_process_when_a_lane_vanishes(void **state)
{
	const struct wire_frame frame = {.number = 2, .type = WIRE_LANE};
	struct handover_bench *bench = *state;
	struct wire_session_reply reply;
	struct script script = {.count = 0};
	struct wire_lane lane;
	struct raw_peer session;
	uint64_t values[2];

	handover_bench_open(bench);
	reply = handover_bench_session(bench, &session);
	lane = (struct wire_lane){.lane = reply.lane, .id = le64_of(9)};
	add_hello(&script);
	add_frame(&script, &frame, &lane, sizeof(lane));
	add_call(&script);
	for (size_t count = 0; count <= script.count; count++)
		play(bench, &script, count);
	assert_int_equal(raw_peer_call(&session, FAKE_NULL, 1, 2, values), 0);
	raw_peer_end(&session);
	handover_bench_await_adopters(bench, 0);
}

/* Ends */

static void test_handover_router_hangs_up_when_it_closes_during_greetings(void **state)
{
	struct handover_bench *bench = *state;
	struct raw_peer silent, greeted, refused, session;
	uint64_t values[2];

	bench->base->options.processes_max = 1;
	bench->is_shared = true;
	handover_bench_open(bench);
	(void)handover_bench_session(bench, &session);
	handover_bench_connect(bench, &silent);
	handover_bench_connect(bench, &greeted);
	(void)raw_peer_hello(&greeted);
	handover_bench_connect(bench, &refused);
	send_guest(&refused);
	raw_peer_expect_error(&refused, 80, WIRE_ERROR_NO_MEMORY);
	handover_bench_close_router(bench);
	raw_peer_expect_end(&silent);
	raw_peer_end(&silent);
	raw_peer_expect_end(&greeted);
	raw_peer_end(&greeted);
	/* What was routed is none of its business. */
	assert_int_equal(raw_peer_call(&session, FAKE_NULL, 1, 2, values), 0);
	raw_peer_end(&session);
	raw_peer_expect_end(&refused);
	raw_peer_end(&refused);
}

static void test_handover_adopter_ends_its_calls_when_it_closes(void **state)
{
	struct handover_bench *bench = *state;
	struct raw_peer session, lane;
	struct wire_session_reply reply;
	struct raw_call call = raw_call_of(FAKE_BLOCK, 7, 3, 0);

	handover_bench_open(bench);
	reply = handover_bench_session(bench, &session);
	handover_bench_connect(bench, &lane);
	raw_peer_lane(&lane, &reply.lane, 1);
	raw_peer_send_call(&session, &call);
	raw_peer_send_call(&lane, &call);
	fake_kernel_await_blocked(bench->base->kernel, 2);
	/* A fork that nobody has come for. */
	raw_peer_request(&session, WIRE_PREFORK, 50, 0);
	raw_peer_expect(&session, WIRE_RESPONSE, WIRE_PREFORK, 50);
	handover_bench_close_adopters(bench);
	assert_false(raw_peer_receive(&session));
	raw_peer_end(&session);
	raw_peer_end(&lane);
	assert_int_equal(handover_bench_ended_count(bench), 0);
}

static void test_handover_router_needs_no_more_time_when_a_client_is_silent(void **state)
{
	struct handover_bench *bench = *state;
	struct raw_peer peer;

	bench->base->options.handshake_timeout_ms = 50;
	handover_bench_open(bench);
	handover_bench_connect(bench, &peer);
	raw_peer_expect_end(&peer);
	raw_peer_end(&peer);
	/* One that has been routed has no more to do with that. */
	(void)handover_bench_session(bench, &peer);
	raw_peer_send_call(&peer, &(struct raw_call){.wanted = FAKE_NULL, .number = 9});
	raw_peer_expect(&peer, WIRE_RESPONSE, WIRE_CALL, 9);
	raw_peer_end(&peer);
}

#define BENCH_TEST(test) \
	cmocka_unit_test_setup_teardown(test, handover_bench_setup, handover_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_handover_is_refused_when_the_router_has_no_place),
		BENCH_TEST(test_handover_is_refused_when_it_fails_after_routing),
		BENCH_TEST(test_handover_is_refused_when_the_adopter_is_full),
		BENCH_TEST(test_handover_is_refused_when_the_kernel_does_not_want_it),
		BENCH_TEST(test_handover_leaves_nothing_when_a_guest_vanishes),
		BENCH_TEST(test_handover_leaves_nothing_when_a_fork_vanishes),
		BENCH_TEST(test_handover_keeps_the_process_when_a_lane_vanishes),
		BENCH_TEST(test_handover_router_hangs_up_when_it_closes_during_greetings),
		BENCH_TEST(test_handover_adopter_ends_its_calls_when_it_closes),
		BENCH_TEST(test_handover_router_needs_no_more_time_when_a_client_is_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
