/*
 * New connections: what they may say first, and what becomes of those that say something else, nothing,
 * or vanish.
 */
#include "sysproxy/greeting.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/sysproxy/server_bench.h"

static void connect_to(struct server_bench *bench, struct raw_peer *peer)
{
	raw_peer_connect(peer, ferry_sysproxy_server_url(bench->server));
}

static void send_hello(struct raw_peer *peer, uint32_t version, const char *machine)
{
	const struct wire_frame frame = {.number = 900, .type = WIRE_HELLO};
	struct wire_hello hello = {.version = le32_of(version)};

	if (machine == NULL)
		banner_machine(hello.machine);
	else
		memcpy(hello.machine, machine, strlen(machine));
	raw_peer_send(peer, &frame, &hello, sizeof(hello));
}

/* It is told @code and hung up on; the server goes on. */
static void expect_refused(struct server_bench *bench, struct raw_peer *peer, uint64_t number,
	uint32_t code)
{
	raw_peer_expect_error(peer, number, code);
	raw_peer_expect_end(peer);
	raw_peer_end(peer);
	server_bench_guest(bench, peer);
	raw_peer_end(peer);
	fake_kernel_await_processes(bench->kernel, 0);
}

static void test_greeting_begins_a_process_when_the_name_is_odd(void **state)
{
	const struct {
		const char *name;
		size_t bytes;
		size_t length; /* of what the kernel is told */
	} rows[] = {
		{"", 0, 0}, /* a frame of 24 bytes */
		{"", 1, 0},
		{"sh", 2, 2}, /* without NUL */
		{"sh", 3, 2},
		{"s\0h", 4, 1},
	};
	static const uint8_t zero[4];
	struct server_bench *bench = *state;
	char text[FAKE_TEXT_MAX];
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct wire_frame frame = {.number = i, .aux = WIRE_GUEST};

		connect_to(bench, &peer);
		raw_peer_send(&peer, &frame, rows[i].name, rows[i].bytes);
		raw_peer_expect(&peer, WIRE_RESPONSE, WIRE_HANDSHAKE, i);
		assert_int_equal(peer.payload_bytes, sizeof(zero));
		assert_memory_equal(peer.payload, zero, sizeof(zero));
		fake_kernel_text(bench->kernel, text);
		assert_int_equal(strlen(text), rows[i].length);
		raw_peer_end(&peer);
	}
}

static void test_greeting_cuts_a_name_when_it_is_long(void **state)
{
	struct server_bench *bench = *state;
	char name[WIRE_NAME_MAX], text[FAKE_TEXT_MAX];
	const struct wire_frame frame = {.number = 1, .aux = WIRE_GUEST};
	struct raw_peer peer;

	memset(name, 'x', sizeof(name));
	server_bench_open(bench, NULL);
	connect_to(bench, &peer);
	raw_peer_send(&peer, &frame, name, sizeof(name));
	raw_peer_expect(&peer, WIRE_RESPONSE, WIRE_HANDSHAKE, 1);
	fake_kernel_text(bench->kernel, text);
	assert_int_equal(strlen(text), 255);
	raw_peer_end(&peer);
}

static void test_greeting_says_what_it_grants_when_it_is_greeted(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer;
	struct wire_hello hello;
	char machine[sizeof(hello.machine)];

	bench->options.calls_max = 77;
	bench->options.os_name = "Tree";
	bench->options.os_release = "9";
	server_bench_open(bench, NULL);
	connect_to(bench, &peer);
	assert_memory_equal(peer.banner, "RUMPSP-0.4-Tree-9/", 18);
	hello = raw_peer_hello(&peer);
	banner_machine(machine);
	assert_int_equal(le32_get(hello.version), WIRE_VERSION);
	assert_int_equal(le32_get(hello.features), 0);
	assert_int_equal(le32_get(hello.carried_max), WIRE_CARRIED_MAX);
	assert_int_equal(le32_get(hello.ranges_max), WIRE_RANGES_MAX);
	assert_int_equal(le32_get(hello.lanes_max), 77);
	assert_int_equal(le32_get(hello.calls_max), 77);
	assert_memory_equal(hello.machine, machine, sizeof(machine));
	raw_peer_end(&peer);
}

static void test_greeting_keeps_to_what_the_client_takes_when_that_is_less(void **state)
{
	struct server_bench *bench = *state;
	const struct wire_frame frame = {.number = 900, .type = WIRE_HELLO};
	/* With fields of a later version. */
	struct {
		struct wire_hello hello;
		uint8_t more[100];
	} hello = {.hello = {.version = le32_of(2), .carried_max = le32_of(100)}};
	struct raw_call call = raw_call_of(FAKE_PLACE, 7, 0x1000, 101);
	const struct wire_range range = raw_range(0x1000, 200, WIRE_RANGE_OUT, 0);
	struct wire_reply_view view;
	struct raw_peer peer;

	banner_machine(hello.hello.machine);
	server_bench_open(bench, NULL);
	connect_to(bench, &peer);
	raw_peer_send(&peer, &frame, &hello, sizeof(hello));
	raw_peer_expect(&peer, WIRE_RESPONSE, WIRE_HELLO, 900);
	memcpy(&hello.hello, peer.payload, sizeof(hello.hello));
	assert_int_equal(le32_get(hello.hello.version), 1);
	assert_int_equal(le32_get(hello.hello.carried_max), 100);
	raw_peer_request(&peer, WIRE_HANDSHAKE, 1, WIRE_GUEST);
	raw_peer_expect(&peer, WIRE_RESPONSE, WIRE_HANDSHAKE, 1);
	raw_call_range(&call, &range, NULL);
	raw_peer_send_call(&peer, &call);
	assert_int_equal(raw_peer_reply(&peer, 7, &view), ENOENT);
	call.arguments[1] = 100;
	raw_peer_send_call(&peer, &call);
	assert_int_equal(raw_peer_reply(&peer, 7, &view), 0);
	raw_peer_end(&peer);
}

static void test_greeting_refuses_a_hello_when_it_makes_no_sense(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	connect_to(bench, &peer);
	send_hello(&peer, 0, NULL);
	expect_refused(bench, &peer, 900, WIRE_ERROR_MALFORMED);
	connect_to(bench, &peer);
	send_hello(&peer, 1, "pdp11");
	expect_refused(bench, &peer, 900, WIRE_ERROR_MALFORMED);
	assert_true(server_bench_log_has(bench, "pdp11"));
	connect_to(bench, &peer);
	(void)raw_peer_hello(&peer);
	send_hello(&peer, 1, NULL);
	expect_refused(bench, &peer, 900, WIRE_ERROR_MALFORMED);
}

static void test_greeting_refuses_a_frame_when_it_is_no_greeting(void **state)
{
	const struct {
		struct wire_frame frame;
		size_t bytes;
		uint32_t code;
	} rows[] = {
		{{.type = WIRE_SYSCALL}, 16, WIRE_ERROR_AUTH},
		{{.type = WIRE_PREFORK}, 0, WIRE_ERROR_AUTH},
		{{.type = WIRE_CALL}, 8, WIRE_ERROR_AUTH},
		{{.type = WIRE_LANE}, 24, WIRE_ERROR_AUTH}, /* before HELLO */
		{{.type = WIRE_HANDSHAKE, .aux = WIRE_AUTH}, 8, WIRE_ERROR_AUTH},
		{{.type = WIRE_HANDSHAKE, .aux = WIRE_EXEC}, 8, WIRE_ERROR_AUTH},
		{{.type = WIRE_HANDSHAKE, .aux = 9}, 8, WIRE_ERROR_AUTH},
		{{.class = WIRE_RESPONSE, .type = WIRE_COPYIN}, 8, WIRE_ERROR_AUTH},
		{{.type = WIRE_HELLO}, 39, WIRE_ERROR_MALFORMED},
		{{.type = WIRE_HANDSHAKE}, WIRE_NAME_MAX + 1, WIRE_ERROR_MALFORMED},
		{{.type = WIRE_HANDSHAKE, .aux = WIRE_FORK}, 19, WIRE_ERROR_MALFORMED},
		{{.type = WIRE_HANDSHAKE, .aux = WIRE_FORK}, 21, WIRE_ERROR_MALFORMED},
		{{.type = WIRE_HANDSHAKE, .aux = WIRE_FORK}, 0, WIRE_ERROR_MALFORMED},
		{{.type = WIRE_HANDSHAKE, .aux = WIRE_FORK}, 20, WIRE_ERROR_INVALID_PREFORK},
		{{.type = 500}, 50000, WIRE_ERROR_MALFORMED},
		{{.class = WIRE_ERROR}, 0, WIRE_ERROR_MALFORMED},
		{{.class = 9}, 0, WIRE_ERROR_MALFORMED},
	};
	struct server_bench *bench = *state;
	uint8_t *bytes = calloc(1, 50000);
	struct raw_peer peer;

	assert_non_null(bytes);
	server_bench_open(bench, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire_frame frame = rows[i].frame;

		frame.number = 40 + i;
		connect_to(bench, &peer);
		raw_peer_send(&peer, &frame, bytes, rows[i].bytes);
		expect_refused(bench, &peer, 40 + i, rows[i].code);
	}
	free(bytes);
}

static void test_greeting_refuses_a_frame_when_its_length_is_impossible(void **state)
{
	static const uint64_t lengths[] = {0, 1, 23, WIRE_FRAME_MAX + 1, 1ull << 63, UINT64_MAX};
	struct server_bench *bench = *state;
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct wire_header header = {.bytes = le64_of(lengths[i]), .number = le64_of(3)};

		connect_to(bench, &peer);
		assert_true(raw_peer_send_bytes(&peer, &header, sizeof(header)));
		expect_refused(bench, &peer, 3, WIRE_ERROR_MALFORMED);
	}
}

static void test_greeting_knows_no_extension_when_the_server_is_plain(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer;

	bench->options.is_plain = 1;
	server_bench_open(bench, NULL);
	connect_to(bench, &peer);
	assert_null(strstr(peer.banner, "FERRY"));
	send_hello(&peer, 1, NULL);
	expect_refused(bench, &peer, 900, WIRE_ERROR_MALFORMED);
}

static void test_greeting_hangs_up_when_nothing_is_said_in_time(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer, begun;

	bench->options.handshake_timeout_ms = 20;
	server_bench_open(bench, NULL);
	connect_to(bench, &peer);
	connect_to(bench, &begun);
	assert_true(raw_peer_send_bytes(&begun, "abc", 3));
	raw_peer_expect_end(&peer);
	raw_peer_expect_end(&begun);
	raw_peer_end(&peer);
	raw_peer_end(&begun);
	assert_true(server_bench_log_has(bench, "has not said in time"));
	/* One that has is not hurried. */
	server_bench_guest(bench, &peer);
	server_bench_guest(bench, &begun);
	raw_peer_send_syscall(&peer, FAKE_NULL, 1, 0, 0);
	assert_int_equal(raw_peer_syscall_reply(&peer, 1, NULL), 0);
	raw_peer_end(&peer);
	raw_peer_end(&begun);
}

static void test_greeting_tells_that_the_server_is_full_when_it_is(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peers[2], last;

	bench->options.processes_max = 2;
	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peers[0]);
	(void)server_bench_session(bench, &peers[1]);
	connect_to(bench, &last);
	raw_peer_request(&last, WIRE_HANDSHAKE, 5, WIRE_GUEST);
	raw_peer_expect_error(&last, 5, WIRE_ERROR_NO_MEMORY);
	raw_peer_expect_end(&last);
	raw_peer_end(&last);
	assert_true(server_bench_log_has(bench, "as many processes as may be"));
	raw_peer_end(&peers[0]);
	server_bench_await_processes(bench, 1);
	server_bench_guest(bench, &peers[0]);
	raw_peer_end(&peers[0]);
	raw_peer_end(&peers[1]);
}

static void test_greeting_refuses_connections_when_too_many_say_nothing(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer *peers = calloc(SERVER_GREETINGS_MAX, sizeof(*peers));
	struct raw_peer last;

	assert_non_null(peers);
	server_bench_open(bench, NULL);
	for (unsigned i = 0; i < SERVER_GREETINGS_MAX; i++)
		connect_to(bench, &peers[i]);
	connect_to(bench, &last);
	raw_peer_expect_error(&last, 0, WIRE_ERROR_NO_MEMORY);
	raw_peer_expect_end(&last);
	raw_peer_end(&last);
	for (unsigned i = 0; i < SERVER_GREETINGS_MAX; i++)
		raw_peer_end(&peers[i]);
	free(peers);
}

static void test_greeting_has_room_for_others_when_refused_ones_linger(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer *peers = calloc(SERVER_GREETINGS_MAX, sizeof(*peers));
	struct raw_peer other;

	assert_non_null(peers);
	server_bench_open(bench, NULL);
	for (unsigned i = 0; i < SERVER_GREETINGS_MAX; i++) {
		connect_to(bench, &peers[i]);
		raw_peer_request(&peers[i], WIRE_SYSCALL, 1, 0);
		raw_peer_expect_error(&peers[i], 1, WIRE_ERROR_AUTH);
	}
	server_bench_guest(bench, &other);
	raw_peer_end(&other);
	for (unsigned i = 0; i < SERVER_GREETINGS_MAX; i++)
		raw_peer_end(&peers[i]);
	free(peers);
}

static void test_greeting_tells_why_when_the_kernel_refuses(void **state)
{
	const struct {
		int error;
		uint32_t code;
	} rows[] = {
		{-ENOMEM, WIRE_ERROR_NO_MEMORY},
		{-EAGAIN, WIRE_ERROR_TRY_AGAIN},
		{-EPERM, WIRE_ERROR_AUTH},
	};
	struct server_bench *bench = *state;
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake_kernel_refuse(bench->kernel, rows[i].error);
		connect_to(bench, &peer);
		raw_peer_request(&peer, WIRE_HANDSHAKE, 5, WIRE_GUEST);
		raw_peer_expect_error(&peer, 5, rows[i].code);
		raw_peer_expect_end(&peer);
		raw_peer_end(&peer);
		server_bench_await_processes(bench, 0);
	}
	fake_kernel_refuse(bench->kernel, 0);
	assert_int_equal(fake_kernel_counts(bench->kernel).processes_exited, 0);
}

static void test_greeting_frees_the_process_when_it_vanishes_meanwhile(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	fake_kernel_hold(bench->kernel, true);
	connect_to(bench, &peer);
	raw_peer_request(&peer, WIRE_HANDSHAKE, 5, WIRE_GUEST);
	fake_kernel_await_held(bench->kernel);
	raw_peer_end(&peer);
	/* The loop is not held up. */
	connect_to(bench, &peer);
	(void)raw_peer_hello(&peer);
	raw_peer_end(&peer);
	fake_kernel_hold(bench->kernel, false);
	server_bench_await_processes(bench, 0);
	assert_int_equal(fake_kernel_counts(bench->kernel).processes_exited, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_bench_setup, server_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_greeting_begins_a_process_when_the_name_is_odd),
		TEST(test_greeting_cuts_a_name_when_it_is_long),
		TEST(test_greeting_says_what_it_grants_when_it_is_greeted),
		TEST(test_greeting_keeps_to_what_the_client_takes_when_that_is_less),
		TEST(test_greeting_refuses_a_hello_when_it_makes_no_sense),
		TEST(test_greeting_refuses_a_frame_when_it_is_no_greeting),
		TEST(test_greeting_refuses_a_frame_when_its_length_is_impossible),
		TEST(test_greeting_knows_no_extension_when_the_server_is_plain),
		TEST(test_greeting_hangs_up_when_nothing_is_said_in_time),
		TEST(test_greeting_tells_that_the_server_is_full_when_it_is),
		TEST(test_greeting_refuses_connections_when_too_many_say_nothing),
		TEST(test_greeting_has_room_for_others_when_refused_ones_linger),
		TEST(test_greeting_tells_why_when_the_kernel_refuses),
		TEST(test_greeting_frees_the_process_when_it_vanishes_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
