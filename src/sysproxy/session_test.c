/*
 * Conversations on the first connection of a process: those of plain 0.4, and what the extension adds.
 */
#include "sysproxy/session.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/sysproxy/server_bench.h"

#define ADDRESS 0x10000u

static void expect_null_call(struct raw_peer *peer)
{
	raw_peer_send_syscall(peer, FAKE_NULL, 70, 1, 2);
	assert_int_equal(raw_peer_syscall_reply(peer, 70, NULL), 0);
}

static void test_session_tells_signals_when_they_are_raised(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer;
	uint64_t values[2];

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	raw_peer_send_syscall(&peer, FAKE_RAISE, 1, 13, 0);
	raw_peer_expect(&peer, WIRE_REQUEST, WIRE_RAISE, 0);
	assert_int_equal(peer.frame.aux, 13);
	assert_int_equal(raw_peer_syscall_reply(&peer, 1, NULL), 0);

	raw_peer_send_syscall(&peer, FAKE_GETPID, 2, 0, 0);
	assert_int_equal(raw_peer_syscall_reply(&peer, 2, values), 0);
	raw_peer_send_syscall(&peer, FAKE_BLOCK, 3, 9, 0);
	fake_kernel_await_blocked(bench->kernel, 1);
	fake_kernel_raise(bench->kernel, values[0], 15);
	raw_peer_expect(&peer, WIRE_REQUEST, WIRE_RAISE, 0);
	assert_int_equal(peer.frame.aux, 15);
	raw_peer_send_syscall(&peer, FAKE_WAKE, 4, 9, 0);
	assert_true(raw_peer_receive(&peer));
	assert_true(raw_peer_receive(&peer));

	/* No call is in progress. */
	fake_kernel_raise(bench->kernel, values[0], 1);
	raw_peer_send_syscall(&peer, FAKE_NULL, 5, 0, 0);
	raw_peer_expect(&peer, WIRE_REQUEST, WIRE_RAISE, 0);
	assert_int_equal(peer.frame.aux, 1);
	assert_int_equal(raw_peer_syscall_reply(&peer, 5, NULL), 0);
	raw_peer_end(&peer);
}

static void test_session_answers_out_of_order_when_a_call_blocks(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer;
	struct wire_copy copy;
	struct wire_frame first;

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	raw_peer_send_syscall(&peer, FAKE_BLOCK, 1, 9, 0);
	/* Two that wait for the client, who answers the second first. */
	raw_peer_send_syscall(&peer, FAKE_COPYIN, 2, ADDRESS, 1);
	copy = raw_peer_expect_copy(&peer, WIRE_COPYIN);
	assert_int_equal(le64_get(copy.bytes), 1);
	first = peer.frame;
	raw_peer_send_syscall(&peer, FAKE_COPYIN, 3, ADDRESS, 2);
	copy = raw_peer_expect_copy(&peer, WIRE_COPYIN);
	assert_int_equal(le64_get(copy.bytes), 2);
	raw_peer_answer_copy(&peer, "ab", 2);
	assert_int_equal(raw_peer_syscall_reply(&peer, 3, NULL), 0);
	peer.frame = first;
	raw_peer_answer_copy(&peer, "c", 1);
	assert_int_equal(raw_peer_syscall_reply(&peer, 2, NULL), 0);
	fake_kernel_await_blocked(bench->kernel, 1);
	raw_peer_send_syscall(&peer, FAKE_WAKE, 4, 9, 0);
	assert_true(raw_peer_receive(&peer));
	assert_true(raw_peer_receive(&peer));
	raw_peer_end(&peer);
}

static void test_session_drops_a_response_when_nobody_waits_for_it(void **state)
{
	struct server_bench *bench = *state;
	uint8_t *data = calloc(1, 100000);
	struct raw_peer peer;

	assert_non_null(data);
	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	for (unsigned i = 0; i < 4; i++) {
		peer.frame.number = i;
		raw_peer_answer_copy(&peer, data, i * 33333);
		expect_null_call(&peer);
	}
	raw_peer_end(&peer);
	free(data);
}

static void test_session_refuses_a_frame_when_it_is_malformed(void **state)
{
	const struct {
		struct wire_frame frame;
		size_t bytes;
	} rows[] = {
		{{.type = WIRE_COPYIN}, 16},
		{{.type = WIRE_RAISE}, 0},
		{{.type = WIRE_CALL}, 8},
		{{.type = WIRE_LANE}, 24},
		{{.type = WIRE_HELLO}, 40},
		{{.type = 9}, 0},
		{{.type = 1000}, 90000},
		{{.class = WIRE_ERROR}, 0},
		{{.class = 3}, 7},
		{{.type = WIRE_SYSCALL}, 129},
		{{.type = WIRE_SYSCALL}, 15},
		{{.type = WIRE_PREFORK}, 1},
		{{.type = WIRE_HANDSHAKE, .aux = WIRE_EXEC}, WIRE_NAME_MAX + 1},
	};
	struct server_bench *bench = *state;
	uint8_t *data = calloc(1, 90000);
	struct raw_peer peer;

	assert_non_null(data);
	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire_frame frame = rows[i].frame;

		frame.number = i;
		raw_peer_send(&peer, &frame, data, rows[i].bytes);
		raw_peer_expect_error(&peer, i, WIRE_ERROR_MALFORMED);
		expect_null_call(&peer);
	}
	raw_peer_end(&peer);
	free(data);
}

static void test_session_hangs_up_when_it_is_greeted_again(void **state)
{
	const struct {
		uint32_t aux;
		uint32_t error;
	} rows[] = {
		{WIRE_GUEST, WIRE_ERROR_MALFORMED},
		{WIRE_FORK, WIRE_ERROR_MALFORMED},
		{WIRE_AUTH, WIRE_ERROR_AUTH},
		{77, WIRE_ERROR_MALFORMED},
	};
	struct server_bench *bench = *state;
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		server_bench_guest(bench, &peer);
		raw_peer_request(&peer, WIRE_HANDSHAKE, 5, rows[i].aux);
		raw_peer_expect_error(&peer, 5, rows[i].error);
		raw_peer_expect_end(&peer);
		raw_peer_end(&peer);
		fake_kernel_await_processes(bench->kernel, 0);
	}
}

static void test_session_hangs_up_when_a_length_is_impossible(void **state)
{
	static const uint64_t lengths[] = {0, 23, WIRE_FRAME_MAX + 1, 1ull << 63, UINT64_MAX};
	struct server_bench *bench = *state;
	struct raw_peer peer, other;

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &other);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct wire_header header = {
			.bytes = le64_of(lengths[i]),
			.type = le16_of(WIRE_SYSCALL),
		};

		server_bench_guest(bench, &peer);
		raw_peer_send_syscall(&peer, FAKE_BLOCK, 1, 9, 0);
		assert_true(raw_peer_send_bytes(&peer, &header, sizeof(header)));
		raw_peer_expect_end(&peer);
		raw_peer_end(&peer);
		fake_kernel_await_processes(bench->kernel, 1);
		expect_null_call(&other);
	}
	raw_peer_end(&other);
}

static void test_session_reads_on_when_a_frame_comes_byte_by_byte(void **state)
{
	struct server_bench *bench = *state;
	const struct wire_frame frame = {.number = 8, .type = WIRE_SYSCALL, .aux = FAKE_NULL};
	uint8_t bytes[WIRE_HEADER_BYTES + 16] = {0};
	struct wire_header header;
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	wire_header_put(&header, &frame, 16);
	memcpy(bytes, &header, sizeof(header));
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			assert_true(raw_peer_send_bytes(&peer, bytes + i, 1));
		assert_int_equal(raw_peer_syscall_reply(&peer, 8, NULL), 0);
	}
	raw_peer_end(&peer);
}

static void test_session_refuses_a_call_when_too_many_are_in_progress(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer;

	bench->options.calls_max = 3;
	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	for (unsigned i = 0; i < 3; i++)
		raw_peer_send_syscall(&peer, FAKE_BLOCK, i, 9, 0);
	fake_kernel_await_blocked(bench->kernel, 3);
	raw_peer_send_syscall(&peer, FAKE_WAKE, 3, 9, 0);
	raw_peer_expect_error(&peer, 3, WIRE_ERROR_NO_MEMORY);
	raw_peer_end(&peer);
	fake_kernel_await_processes(bench->kernel, 0);
}

static void test_session_refuses_a_call_when_all_threads_are_busy(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer, other;

	bench->options.threads_max = 3;
	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	for (unsigned i = 0; i < 3; i++)
		raw_peer_send_syscall(&peer, FAKE_BLOCK, i, 9, 0);
	fake_kernel_await_blocked(bench->kernel, 3);
	/* Processes come and go all the same. */
	server_bench_guest(bench, &other);
	raw_peer_send_syscall(&other, FAKE_NULL, 3, 9, 0);
	raw_peer_expect_error(&other, 3, WIRE_ERROR_NO_MEMORY);
	raw_peer_end(&peer);
	fake_kernel_await_blocked(bench->kernel, 0);
	raw_peer_end(&other);
}

static void test_session_carries_memory_when_it_is_extended(void **state)
{
	struct server_bench *bench = *state;
	struct raw_call call = raw_call_of(FAKE_COPYIN, 7, ADDRESS, 3);
	struct wire_range range = raw_range(ADDRESS, 3, WIRE_RANGE_IN, 3);
	struct wire_reply_view view;
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	(void)server_bench_session(bench, &peer);
	raw_call_range(&call, &range, "\1\2\3");
	raw_peer_send_call(&peer, &call);
	assert_int_equal(raw_peer_reply(&peer, 7, &view), 0);
	assert_int_equal(view.values[0], 6);

	call = raw_call_of(FAKE_COPYOUT, 8, ADDRESS, 65536);
	range = raw_range(ADDRESS, 65536, WIRE_RANGE_OUT, 0);
	raw_call_range(&call, &range, NULL);
	raw_peer_send_call(&peer, &call);
	assert_int_equal(raw_peer_reply(&peer, 8, &view), 0);
	assert_int_equal(view.piece_count, 1);
	assert_int_equal(view.data_bytes, 65536);
	assert_int_equal(view.data[300], 300 & 0xff);

	/* A malformed one among them. */
	call = raw_call_of(FAKE_COPYIN, 9, ADDRESS, 3);
	range = raw_range(ADDRESS, 3, 4, 0);
	raw_call_range(&call, &range, NULL);
	raw_peer_send_call(&peer, &call);
	raw_peer_expect_error(&peer, 9, WIRE_ERROR_MALFORMED);
	raw_peer_end(&peer);
}

static void test_session_asks_with_the_number_of_the_call_when_it_is_extended(void **state)
{
	struct server_bench *bench = *state;
	struct raw_call call = raw_call_of(FAKE_COPYIN, 7, ADDRESS, 3);
	const struct wire_range range = raw_range(ADDRESS, 3, WIRE_RANGE_IN, 0);
	const struct wire_call_copy_reply failed = {.error = le32_of(EFAULT)};
	struct wire_frame answer = {.class = WIRE_RESPONSE, .type = WIRE_CALL_COPYIN};
	struct wire_reply_view view;
	struct wire_call_copy copy;
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	(void)server_bench_session(bench, &peer);
	raw_call_range(&call, &range, NULL);
	raw_peer_send_call(&peer, &call);
	raw_peer_expect(&peer, WIRE_REQUEST, WIRE_CALL_COPYIN, 1);
	memcpy(&copy, peer.payload, sizeof(copy));
	assert_int_equal(le64_get(copy.call), 7);
	answer.number = peer.frame.number;
	raw_peer_send(&peer, &answer, &failed, sizeof(failed));
	assert_int_equal(raw_peer_reply(&peer, 7, &view), EFAULT);
	raw_peer_end(&peer);
}

static void test_session_cancels_a_call_when_it_is_told(void **state)
{
	struct server_bench *bench = *state;
	const struct wire_frame frame = {.type = WIRE_CANCEL};
	struct wire_cancel cancel = {.call = le64_of(7)};
	struct raw_call call = raw_call_of(FAKE_STUBBORN, 7, 4, 0);
	struct wire_reply_view view;
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	(void)server_bench_session(bench, &peer);
	raw_peer_send(&peer, &frame, &cancel, sizeof(cancel));
	raw_peer_send_call(&peer, &call);
	fake_kernel_await_blocked(bench->kernel, 1);
	assert_int_equal(fake_kernel_counts(bench->kernel).cancels, 0);
	raw_peer_send(&peer, &frame, &cancel, sizeof(cancel));
	assert_int_equal(raw_peer_reply(&peer, 7, &view), EINTR);
	assert_int_equal(fake_kernel_counts(bench->kernel).cancels, 4);
	raw_peer_end(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_bench_setup, server_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_session_tells_signals_when_they_are_raised),
		TEST(test_session_answers_out_of_order_when_a_call_blocks),
		TEST(test_session_drops_a_response_when_nobody_waits_for_it),
		TEST(test_session_refuses_a_frame_when_it_is_malformed),
		TEST(test_session_hangs_up_when_it_is_greeted_again),
		TEST(test_session_hangs_up_when_a_length_is_impossible),
		TEST(test_session_reads_on_when_a_frame_comes_byte_by_byte),
		TEST(test_session_refuses_a_call_when_too_many_are_in_progress),
		TEST(test_session_refuses_a_call_when_all_threads_are_busy),
		TEST(test_session_carries_memory_when_it_is_extended),
		TEST(test_session_asks_with_the_number_of_the_call_when_it_is_extended),
		TEST(test_session_cancels_a_call_when_it_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
