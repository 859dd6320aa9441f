/*
 * Calls on a lane: what is refused, what cancels them, and signals.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/sysproxy/lane_bench.h"

static void test_lane_answers_when_a_call_is_unknown_or_short(void **state)
{
	struct lane_bench *bench = *state;
	uint64_t values[2];
	struct raw_call call = raw_call_of(FAKE_SUM, 7, 5, 6);
	struct wire_reply_view view;

	assert_int_equal(raw_peer_call(&bench->lane, 0xffffffffu, 0, 0, values), ENOSYS);
	assert_int_equal(values[0], 0);
	raw_peer_send_call(&bench->lane, &call);
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
	assert_int_equal(view.values[0], 11);
	assert_int_equal(view.values[1], 2);
	call.argument_count = 0;
	raw_peer_send_call(&bench->lane, &call);
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
	assert_int_equal(view.values[0], 0);
	assert_int_equal(raw_peer_call(&bench->lane, FAKE_EXTENDED, 0, 0, values), 0);
	assert_int_equal(values[0], 1);
}

static void test_lane_copies_as_in_plain_when_the_call_is_a_syscall(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_peer *lane = &bench->lane;
	struct wire_frame answer = {.class = WIRE_RESPONSE, .type = WIRE_COPYIN};
	uint64_t values[2];

	raw_peer_send_syscall(lane, FAKE_ECHO_BACK, 3, LANE_BENCH_ADDRESS, 4);
	raw_peer_expect(lane, WIRE_REQUEST, WIRE_COPYOUT, 1);
	assert_memory_equal(lane->payload + sizeof(struct wire_copy), "\1\2\3\4", 4);
	raw_peer_expect(lane, WIRE_REQUEST, WIRE_COPYIN, 2);
	answer.number = 2;
	raw_peer_send(lane, &answer, "\1\1\1\1", 4);
	assert_int_equal(raw_peer_syscall_reply(lane, 3, values), 0);
	assert_int_equal(values[0], 4);

	raw_peer_send_syscall(lane, FAKE_COPYIN, 4, LANE_BENCH_ADDRESS, 4);
	raw_peer_expect(lane, WIRE_REQUEST, WIRE_COPYIN, 3);
	answer.number = 3;
	raw_peer_send(lane, &answer, "\1", 1);
	assert_int_equal(raw_peer_syscall_reply(lane, 4, NULL), EFAULT);

	/* The numbers of its calls are this machine's all the same. */
	raw_peer_send_syscall(lane, FAKE_EXTENDED, 5, 0, 0);
	assert_int_equal(raw_peer_syscall_reply(lane, 5, values), 0);
	assert_int_equal(values[0], 1);
}

static void test_lane_refuses_a_frame_when_it_is_no_call(void **state)
{
	const struct {
		struct wire_frame frame;
		size_t bytes;
	} rows[] = {
		{{.type = WIRE_SYSCALL}, 15},
		{{.type = WIRE_PREFORK}, 0},
		{{.type = WIRE_CANCEL}, 16},
		{{.type = WIRE_HELLO}, 40},
		{{.type = 1000}, 100000},
		{{.class = 7}, 0},
		{{.class = WIRE_ERROR}, 0},
		{{.type = WIRE_CALL}, 0},
		{{.type = WIRE_CALL}, 9},
		{{.class = WIRE_RESPONSE, .type = WIRE_CALL_COPYIN}, 17},
	};
	struct lane_bench *bench = *state;
	uint8_t *bytes = calloc(1, 100000);

	assert_non_null(bytes);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire_frame frame = rows[i].frame;

		frame.number = i;
		raw_peer_send(&bench->lane, &frame, bytes, rows[i].bytes);
		raw_peer_expect_error(&bench->lane, i, WIRE_ERROR_MALFORMED);
		lane_bench_expect_null_call(bench);
	}
	free(bytes);
}

static void test_lane_hangs_up_when_a_length_is_impossible(void **state)
{
	static const uint64_t lengths[] = {0, 23, WIRE_FRAME_MAX + 1, 1ull << 63, UINT64_MAX};
	struct lane_bench *bench = *state;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct wire_header header = {
			.bytes = le64_of(lengths[i]),
			.type = le16_of(WIRE_CALL),
		};

		assert_true(raw_peer_send_bytes(&bench->lane, &header, sizeof(header)));
		lane_bench_expect_gone(bench);
		raw_peer_end(&bench->lane);
		raw_peer_end(&bench->session);
		server_bench_lane(bench->base, &bench->session, &bench->lane);
	}
}

static void test_lane_hangs_up_when_an_answer_is_out_of_step(void **state)
{
	const struct wire_frame frames[] = {
		{.number = 999, .class = WIRE_RESPONSE, .type = WIRE_CALL_COPYIN},
		{.number = 1, .class = WIRE_ERROR},
		{.number = 1, .class = WIRE_REQUEST, .type = WIRE_CALL},
	};
	struct lane_bench *bench = *state;
	struct raw_call call = lane_bench_call(FAKE_COPYIN, 5, WIRE_RANGE_IN, NULL, 0);
	static const uint8_t bytes[21];

	for (size_t i = 0; i < 3; i++) {
		raw_peer_send_call(&bench->lane, &call);
		(void)lane_bench_expect_copy(&bench->lane, WIRE_CALL_COPYIN);
		raw_peer_send(&bench->lane, &frames[i], bytes, sizeof(bytes));
		lane_bench_expect_gone(bench);
		raw_peer_end(&bench->lane);
		raw_peer_end(&bench->session);
		server_bench_lane(bench->base, &bench->session, &bench->lane);
	}
}

static void test_lane_hangs_up_when_a_second_call_comes_before_the_reply(void **state)
{
	struct lane_bench *bench = *state;
	const struct wire_frame frame = {.number = 1, .type = WIRE_CALL};
	uint8_t frames[2 * (WIRE_HEADER_BYTES + sizeof(struct wire_call))] = {0};
	struct wire_header header;

	wire_header_put(&header, &frame, sizeof(struct wire_call));
	memcpy(frames, &header, sizeof(header));
	memcpy(frames + sizeof(frames) / 2, &header, sizeof(header));
	assert_true(raw_peer_send_bytes(&bench->lane, frames, sizeof(frames)));
	lane_bench_expect_gone(bench);
}

static void test_lane_cancels_its_call_when_it_hangs_up(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = raw_call_of(FAKE_STUBBORN, 7, 5, 0);

	raw_peer_send_call(&bench->lane, &call);
	fake_kernel_await_blocked(bench->base->kernel, 1);
	raw_peer_close(&bench->lane);
	fake_kernel_await_lwps(bench->base->kernel, 0);
	assert_true(fake_kernel_counts(bench->base->kernel).cancels >= 5);
	assert_int_equal(raw_peer_call(&bench->session, FAKE_NULL, 1, 2, NULL), 0);
}

static void test_lane_fails_a_copy_when_it_hangs_up_in_between(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = lane_bench_call(FAKE_COPYIN, 5, WIRE_RANGE_IN, NULL, 0);

	raw_peer_send_call(&bench->lane, &call);
	(void)lane_bench_expect_copy(&bench->lane, WIRE_CALL_COPYIN);
	raw_peer_close(&bench->lane);
	fake_kernel_await_lwps(bench->base->kernel, 0);
}

static void send_cancel(struct raw_peer *session, uint64_t lane, uint64_t call)
{
	const struct wire_frame frame = {.number = 5, .type = WIRE_CANCEL};
	const struct wire_cancel cancel = {.lane = le64_of(lane), .call = le64_of(call)};

	raw_peer_send(session, &frame, &cancel, sizeof(cancel));
}

static void test_lane_cancels_a_call_when_its_session_says_so(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = raw_call_of(FAKE_STUBBORN, 7, 5, 0);
	struct wire_reply_view view;

	raw_peer_send_call(&bench->lane, &call);
	fake_kernel_await_blocked(bench->base->kernel, 1);
	/* Others are passed over. */
	send_cancel(&bench->session, 2, 7);
	send_cancel(&bench->session, 0, 7);
	assert_int_equal(raw_peer_call(&bench->session, FAKE_NULL, 0, 0, NULL), 0);
	assert_int_equal(fake_kernel_counts(bench->base->kernel).cancels, 0);
	send_cancel(&bench->session, 1, 7);
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), EINTR);
	assert_true(fake_kernel_counts(bench->base->kernel).cancels >= 5);
	lane_bench_expect_null_call(bench);
}

static void test_lane_never_begins_a_call_when_its_cancel_came_first(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = raw_call_of(FAKE_BLOCK, 7, 5, 0);
	struct wire_reply_view view;
	unsigned calls;

	lane_bench_expect_null_call(bench);
	send_cancel(&bench->session, 1, 7);
	assert_int_equal(raw_peer_call(&bench->session, FAKE_NULL, 0, 0, NULL), 0);
	calls = fake_kernel_counts(bench->base->kernel).calls;
	raw_peer_send_call(&bench->lane, &call);
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), EINTR);
	assert_int_equal(fake_kernel_counts(bench->base->kernel).calls, calls);
	lane_bench_expect_null_call(bench);
}

static void test_lane_tells_a_signal_before_the_reply_when_one_is_raised(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = raw_call_of(FAKE_RAISE, 7, 13, 0);
	struct wire_reply_view view;

	raw_peer_send_call(&bench->lane, &call);
	raw_peer_expect(&bench->lane, WIRE_REQUEST, WIRE_RAISE, 0);
	assert_int_equal(bench->lane.frame.aux, 13);
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
	lane_bench_expect_null_call(bench);
}

static void test_lane_tells_a_signal_at_once_when_a_call_is_in_progress(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = raw_call_of(FAKE_BLOCK, 7, 5, 0);
	struct wire_reply_view view;
	uint64_t values[2];

	assert_int_equal(raw_peer_call(&bench->lane, FAKE_GETPID, 0, 0, values), 0);
	raw_peer_send_call(&bench->lane, &call);
	fake_kernel_await_blocked(bench->base->kernel, 1);
	fake_kernel_raise(bench->base->kernel, values[0], 15);
	raw_peer_expect(&bench->lane, WIRE_REQUEST, WIRE_RAISE, 0);
	assert_int_equal(bench->lane.frame.aux, 15);
	assert_int_equal(raw_peer_call(&bench->session, FAKE_WAKE, 5, 0, NULL), 0);
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
}

static void test_lane_tells_a_signal_later_when_no_call_is_in_progress(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = raw_call_of(FAKE_NULL, 7, 5, 0);
	struct wire_reply_view view;
	uint64_t values[2];

	assert_int_equal(raw_peer_call(&bench->lane, FAKE_GETPID, 0, 0, values), 0);
	fake_kernel_raise(bench->base->kernel, values[0], 15);
	fake_kernel_raise(bench->base->kernel, values[0], 1);
	fake_kernel_raise(bench->base->kernel, values[0], 15);
	raw_peer_send_call(&bench->lane, &call);
	raw_peer_expect(&bench->lane, WIRE_REQUEST, WIRE_RAISE, 0);
	assert_int_equal(bench->lane.frame.aux, 15);
	raw_peer_expect(&bench->lane, WIRE_REQUEST, WIRE_RAISE, 0);
	assert_int_equal(bench->lane.frame.aux, 1);
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
}

static void test_lane_ends_when_its_session_does(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = raw_call_of(FAKE_BLOCK, 7, 5, 0);

	raw_peer_send_call(&bench->lane, &call);
	fake_kernel_await_blocked(bench->base->kernel, 1);
	raw_peer_close(&bench->session);
	raw_peer_expect_end(&bench->lane);
	fake_kernel_await_processes(bench->base->kernel, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lane_bench_setup, lane_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lane_answers_when_a_call_is_unknown_or_short),
		TEST(test_lane_copies_as_in_plain_when_the_call_is_a_syscall),
		TEST(test_lane_refuses_a_frame_when_it_is_no_call),
		TEST(test_lane_hangs_up_when_a_length_is_impossible),
		TEST(test_lane_hangs_up_when_an_answer_is_out_of_step),
		TEST(test_lane_hangs_up_when_a_second_call_comes_before_the_reply),
		TEST(test_lane_cancels_its_call_when_it_hangs_up),
		TEST(test_lane_fails_a_copy_when_it_hangs_up_in_between),
		TEST(test_lane_cancels_a_call_when_its_session_says_so),
		TEST(test_lane_never_begins_a_call_when_its_cancel_came_first),
		TEST(test_lane_tells_a_signal_before_the_reply_when_one_is_raised),
		TEST(test_lane_tells_a_signal_at_once_when_a_call_is_in_progress),
		TEST(test_lane_tells_a_signal_later_when_no_call_is_in_progress),
		TEST(test_lane_ends_when_its_session_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
