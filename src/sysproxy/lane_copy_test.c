/*
 * What a call on a lane carries, and what is copied in its midst.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/sysproxy/lane_bench.h"

#define IN    WIRE_RANGE_IN
#define OUT   WIRE_RANGE_OUT
#define INOUT (WIRE_RANGE_IN | WIRE_RANGE_OUT)

static void test_lane_copies_nothing_when_the_call_carries_it(void **state)
{
	static const uint32_t sizes[] = {1, 100, 65536, WIRE_CARRIED_MAX};
	struct lane_bench *bench = *state;
	uint8_t *bytes = calloc(1, WIRE_CARRIED_MAX);
	struct wire_reply_view view;

	assert_non_null(bytes);
	bytes[0] = 200;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct raw_call call = lane_bench_call(FAKE_COPYIN, sizes[i], IN, bytes, sizes[i]);

		bytes[sizes[i] - 1] = 200;
		raw_peer_send_call(&bench->lane, &call);
		assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
		assert_int_equal(view.values[0], sizes[i] == 1 ? 200 : 200 * (i + 1));
		call.wanted = FAKE_LOOK;
		raw_peer_send_call(&bench->lane, &call);
		assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
		assert_int_equal(view.values[0], sizes[i] == 1 ? 200 : 200 * (i + 1));
		assert_int_equal(view.piece_count, 0);
	}
	assert_int_equal(fake_kernel_counts(bench->base->kernel).blocks, 0);
	free(bytes);
}

static void test_lane_asks_for_memory_when_it_was_not_carried(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = lane_bench_call(FAKE_COPYIN, 5, IN, "ab", 2);
	struct wire_reply_view view;
	struct wire_call_copy copy;

	raw_peer_send_call(&bench->lane, &call);
	copy = lane_bench_expect_copy(&bench->lane, WIRE_CALL_COPYIN);
	assert_int_equal(le64_get(copy.address), LANE_BENCH_ADDRESS);
	assert_int_equal(le64_get(copy.bytes), 5);
	lane_bench_answer(&bench->lane, 0, 0, "\1\2\3\4\5", 5);
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
	assert_int_equal(view.values[0], 15);
	assert_int_equal(fake_kernel_counts(bench->base->kernel).blocks, 1);
}

static void test_lane_fails_a_copy_when_the_answer_is_bad(void **state)
{
	const struct {
		uint32_t error;
		size_t bytes;
	} rows[] = {{EFAULT, 0}, {0, 4}, {0, 0}, {0, 6}, {0, 100000}, {EFAULT, 5}, {EIO, 3}};
	struct lane_bench *bench = *state;
	struct raw_call call = lane_bench_call(FAKE_COPYIN, 5, IN, NULL, 0);
	uint8_t *bytes = calloc(1, 100000);
	struct wire_reply_view view;

	assert_non_null(bytes);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		raw_peer_send_call(&bench->lane, &call);
		(void)lane_bench_expect_copy(&bench->lane, WIRE_CALL_COPYIN);
		lane_bench_answer(&bench->lane, rows[i].error, 0, bytes, rows[i].bytes);
		assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), EFAULT);
		lane_bench_expect_null_call(bench);
	}
	free(bytes);
}

static void test_lane_fails_a_copy_when_the_answer_is_too_short_to_be_one(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = lane_bench_call(FAKE_COPYIN, 5, IN, NULL, 0);
	struct wire_frame answer = {.class = WIRE_RESPONSE, .type = WIRE_CALL_COPYIN};
	struct wire_reply_view view;

	for (unsigned bytes = 0; bytes < 16; bytes += 5) {
		raw_peer_send_call(&bench->lane, &call);
		(void)lane_bench_expect_copy(&bench->lane, WIRE_CALL_COPYIN);
		answer.number = bench->lane.frame.number;
		raw_peer_send(&bench->lane, &answer, "0123456789abcdef", bytes);
		assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), EFAULT);
		lane_bench_expect_null_call(bench);
	}
}

static void test_lane_asks_for_nothing_when_memory_was_not_declared(void **state)
{
	const struct {
		uint32_t wanted;
		uint64_t address, bytes;
		uint32_t flags;
		uint32_t error;
	} rows[] = {
		{FAKE_COPYIN, LANE_BENCH_ADDRESS, 11, IN, EFAULT},
		{FAKE_COPYIN, LANE_BENCH_ADDRESS - 1, 1, IN, EFAULT},
		{FAKE_COPYIN, LANE_BENCH_ADDRESS + 10, 1, IN, EFAULT},
		{FAKE_COPYIN, LANE_BENCH_ADDRESS, 10, OUT, EFAULT},
		{FAKE_COPYIN, 0, 1, IN, EFAULT},
		{FAKE_COPYIN, UINT64_MAX, 8, IN, EFAULT},
		{FAKE_COPYIN, 0, 0, IN, 0},
		{FAKE_COPYINSTR, LANE_BENCH_ADDRESS + 10, 1, IN, EFAULT},
		{FAKE_COPYINSTR, 8, 10, IN, EFAULT},
		{FAKE_COPYINSTR, LANE_BENCH_ADDRESS, 0, IN, ENAMETOOLONG},
		{FAKE_COPYOUT, LANE_BENCH_ADDRESS, 11, OUT, EFAULT},
		{FAKE_COPYOUT, LANE_BENCH_ADDRESS, 10, IN, EFAULT},
		{FAKE_COPYOUT, 8, 10, OUT, EFAULT},
		{FAKE_LOOK, LANE_BENCH_ADDRESS, 11, IN, ENOENT},
		{FAKE_LOOK, 0, 1, IN, ENOENT},
		{FAKE_PLACE, LANE_BENCH_ADDRESS, 11, OUT, ENOENT},
		{FAKE_PLACE, LANE_BENCH_ADDRESS, 10, IN, ENOENT},
		{FAKE_COPYOUTSTR, LANE_BENCH_ADDRESS, 11, IN, EFAULT},
	};
	struct lane_bench *bench = *state;
	struct wire_reply_view view;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct raw_call call =
			raw_call_of(rows[i].wanted, 7, rows[i].address, rows[i].bytes);
		struct wire_range range = raw_range(LANE_BENCH_ADDRESS, 10, rows[i].flags, 0);

		raw_call_range(&call, &range, NULL);
		raw_peer_send_call(&bench->lane, &call);
		assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), rows[i].error);
		assert_int_equal(view.piece_count, 0);
	}
	assert_int_equal(fake_kernel_counts(bench->base->kernel).blocks, 0);
}

static void test_lane_finds_the_end_of_a_string_when_it_is_carried_or_copied(void **state)
{
	const struct {
		const char *carried;
		uint32_t carried_bytes, range_bytes, most;
		const char *answer; /* NULL: nothing is asked */
		size_t answer_bytes;
		uint32_t error;
		uint64_t bytes;
	} rows[] = {
		{"name", 5, 5, 100, NULL, 0, 0, 5},
		{"name", 5, 5, 5, NULL, 0, 0, 5},
		{"", 1, 1, 100, NULL, 0, 0, 1},
		{"name", 5, 5, 4, NULL, 0, ENAMETOOLONG, 0},
		/* The range ends before the string does. */
		{"name", 4, 4, 100, NULL, 0, EFAULT, 0},
		{"name", 4, 4, 4, NULL, 0, ENAMETOOLONG, 0},
		/* What was carried does not reach the end. */
		{"name", 4, 20, 100, "names", 6, 0, 6},
		{NULL, 0, 20, 100, "names", 6, 0, 6},
		/* More after the NUL does no harm. */
		{NULL, 0, 20, 100, "na\0es", 6, 0, 3},
		{NULL, 0, 20, 4, "name", 4, ENAMETOOLONG, 0},
		/* Unterminated, though more was asked for. */
		{NULL, 0, 20, 100, "name", 4, EFAULT, 0},
		{NULL, 0, 4, 100, "name", 4, EFAULT, 0},
		{NULL, 0, 20, 100, "", 0, EFAULT, 0},
		{NULL, 0, 4, 100, "names", 6, EFAULT, 0},
	};
	struct lane_bench *bench = *state;
	struct wire_reply_view view;
	char text[FAKE_TEXT_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct raw_call call =
			raw_call_of(FAKE_COPYINSTR, 7, LANE_BENCH_ADDRESS, rows[i].most);
		struct wire_range range = raw_range(LANE_BENCH_ADDRESS, rows[i].range_bytes, IN,
			rows[i].carried_bytes);
		uint32_t asked =
			rows[i].most < rows[i].range_bytes ? rows[i].most : rows[i].range_bytes;

		raw_call_range(&call, &range, rows[i].carried);
		raw_peer_send_call(&bench->lane, &call);
		if (rows[i].answer != NULL) {
			struct wire_call_copy copy =
				lane_bench_expect_copy(&bench->lane, WIRE_CALL_COPYINSTR);

			assert_int_equal(le64_get(copy.bytes), asked);
			lane_bench_answer(&bench->lane, 0, 0, rows[i].answer, rows[i].answer_bytes);
		}
		assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), rows[i].error);
		assert_int_equal(view.values[0], rows[i].bytes);
		fake_kernel_text(bench->base->kernel, text);
		if (rows[i].error == 0)
			assert_int_equal(strlen(text) + 1, rows[i].bytes);
	}
}

static void expect_piece(const struct wire_reply_view *view, unsigned index,
	const struct wire_piece *wanted)
{
	assert_memory_equal(view->pieces + index * sizeof(*wanted), wanted, sizeof(*wanted));
}

static void test_lane_sends_output_with_the_reply_when_it_fits(void **state)
{
	static const uint32_t calls[] = {FAKE_COPYOUT, FAKE_PLACE};
	static const uint32_t sizes[] = {1, 65536, WIRE_CARRIED_MAX};
	struct lane_bench *bench = *state;
	struct wire_reply_view view;

	for (unsigned i = 0; i < 6; i++) {
		uint32_t bytes = sizes[i / 2];
		struct raw_call call = raw_call_of(calls[i % 2], 7, LANE_BENCH_ADDRESS + 10, bytes);
		const struct wire_range other = raw_range(5, 1, INOUT, 0);
		const struct wire_range range =
			raw_range(LANE_BENCH_ADDRESS, 2 * WIRE_CARRIED_MAX, OUT, 0);
		const struct wire_piece piece = {
			.range_index = le32_of(1),
			.bytes = le32_of(bytes),
			.offset = le64_of(10),
		};

		raw_call_range(&call, &other, NULL);
		raw_call_range(&call, &range, NULL);
		call.argument_count = 3;
		call.arguments[2] = 9;
		raw_peer_send_call(&bench->lane, &call);
		assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
		assert_int_equal(view.piece_count, 1);
		expect_piece(&view, 0, &piece);
		assert_int_equal(view.data_bytes, bytes);
		for (uint32_t at = 0; at < bytes; at++)
			assert_true(view.data[at] == (uint8_t)(9 + at));
	}
}

static void test_lane_sends_less_when_the_kernel_trims(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = lane_bench_call(FAKE_PLACE, 100, OUT, NULL, 0);
	struct wire_reply_view view;

	call.argument_count = 4;
	call.arguments[2] = 1;
	call.arguments[3] = 97;
	raw_peer_send_call(&bench->lane, &call);
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
	assert_int_equal(view.data_bytes, 3);
	assert_memory_equal(view.data, "\1\2\3", 3);
	call.arguments[3] = 100;
	raw_peer_send_call(&bench->lane, &call);
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
	assert_int_equal(view.data_bytes, 0);
}

static void test_lane_copies_out_when_the_reply_is_full(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = lane_bench_call(FAKE_COPYOUT, WIRE_CARRIED_MAX + 5, OUT, NULL, 0);
	static const uint32_t answers[] = {0, EFAULT};
	struct wire_reply_view view;
	struct wire_call_copy copy;

	for (unsigned i = 0; i < 2; i++) {
		raw_peer_send_call(&bench->lane, &call);
		copy = lane_bench_expect_copy(&bench->lane, WIRE_CALL_COPYOUT);
		assert_int_equal(le64_get(copy.address), LANE_BENCH_ADDRESS);
		assert_int_equal(le64_get(copy.bytes), WIRE_COPY_MAX);
		assert_int_equal(bench->lane.payload_bytes, sizeof(copy) + WIRE_COPY_MAX);
		assert_int_equal(bench->lane.payload[sizeof(copy) + 3], 3);
		lane_bench_answer(&bench->lane, answers[i], 0, NULL, 0);
		if (answers[i] == 0) {
			copy = lane_bench_expect_copy(&bench->lane, WIRE_CALL_COPYOUT);
			assert_int_equal(le64_get(copy.address),
				LANE_BENCH_ADDRESS + WIRE_COPY_MAX);
			assert_int_equal(le64_get(copy.bytes), 5);
			lane_bench_answer(&bench->lane, 0, 0, NULL, 0);
		}
		assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), answers[i]);
		assert_int_equal(view.piece_count, 0);
	}
}

static void test_lane_reads_back_what_was_written_when_it_is_not_sent_yet(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = lane_bench_call(FAKE_ECHO_BACK, 4, INOUT, "\0\0\0\0", 4);
	struct wire_reply_view view;

	/* Whether it was carried or the client is asked. */
	raw_peer_send_call(&bench->lane, &call);
	(void)lane_bench_expect_copy(&bench->lane, WIRE_CALL_COPYIN);
	lane_bench_answer(&bench->lane, 0, 0, "\0\0\0\0", 4);
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
	assert_int_equal(view.values[0], 1 + 2 + 3 + 4);
}

static void test_lane_sends_many_pieces_when_output_is_scattered(void **state)
{
	struct lane_bench *bench = *state;
	const uint64_t count = WIRE_REPLIED_MAX + 2;
	struct raw_call call = raw_call_of(FAKE_LIST, 7, LANE_BENCH_ADDRESS, count);
	const struct wire_range range = raw_range(LANE_BENCH_ADDRESS, 2 * count, OUT, 0);
	struct wire_reply_view view;

	raw_call_range(&call, &range, NULL);
	raw_peer_send_call(&bench->lane, &call);
	for (unsigned i = 0; i < 2; i++) {
		struct wire_call_copy copy =
			lane_bench_expect_copy(&bench->lane, WIRE_CALL_COPYOUT);

		assert_int_equal(le64_get(copy.address),
			LANE_BENCH_ADDRESS + 2 * (WIRE_REPLIED_MAX + i));
		lane_bench_answer(&bench->lane, 0, 0, NULL, 0);
	}
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
	assert_int_equal(view.piece_count, WIRE_REPLIED_MAX);
	for (unsigned i = 0; i < WIRE_REPLIED_MAX; i++) {
		const struct wire_piece piece = {
			.bytes = le32_of(1),
			.offset = le64_of(2 * (uint64_t)i),
		};

		expect_piece(&view, i, &piece);
		assert_int_equal(view.data[i], (uint8_t)i);
	}
}

static void test_lane_maps_memory_when_the_client_can(void **state)
{
	struct lane_bench *bench = *state;
	struct raw_call call = raw_call_of(FAKE_MMAP, 7, 4096, 1);
	struct wire_reply_view view;
	struct wire_call_copy copy;

	raw_peer_send_call(&bench->lane, &call);
	copy = lane_bench_expect_copy(&bench->lane, WIRE_CALL_ANONMMAP);
	assert_int_equal(le64_get(copy.bytes), 4096);
	lane_bench_answer(&bench->lane, 0, 0x7000, NULL, 0);
	/* The call may use what it has mapped. */
	copy = lane_bench_expect_copy(&bench->lane, WIRE_CALL_COPYOUT);
	assert_int_equal(le64_get(copy.address), 0x7000);
	assert_int_equal(le64_get(copy.bytes), 4096);
	lane_bench_answer(&bench->lane, 0, 0, NULL, 0);
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), 0);
	assert_int_equal(view.values[0], 0x7000);

	raw_peer_send_call(&bench->lane, &call);
	(void)lane_bench_expect_copy(&bench->lane, WIRE_CALL_ANONMMAP);
	lane_bench_answer(&bench->lane, ENOMEM, 0, NULL, 0);
	assert_int_equal(raw_peer_reply(&bench->lane, 7, &view), ENOMEM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lane_bench_setup, lane_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lane_copies_nothing_when_the_call_carries_it),
		TEST(test_lane_asks_for_memory_when_it_was_not_carried),
		TEST(test_lane_fails_a_copy_when_the_answer_is_bad),
		TEST(test_lane_fails_a_copy_when_the_answer_is_too_short_to_be_one),
		TEST(test_lane_asks_for_nothing_when_memory_was_not_declared),
		TEST(test_lane_finds_the_end_of_a_string_when_it_is_carried_or_copied),
		TEST(test_lane_sends_output_with_the_reply_when_it_fits),
		TEST(test_lane_sends_less_when_the_kernel_trims),
		TEST(test_lane_copies_out_when_the_reply_is_full),
		TEST(test_lane_reads_back_what_was_written_when_it_is_not_sent_yet),
		TEST(test_lane_sends_many_pieces_when_output_is_scattered),
		TEST(test_lane_maps_memory_when_the_client_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
