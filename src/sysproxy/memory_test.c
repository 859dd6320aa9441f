/*
 * Ranges, what they carried, and pieces, each at its edges.
 */
#include "sysproxy/memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IN    WIRE_RANGE_IN
#define OUT   WIRE_RANGE_OUT
#define INOUT (WIRE_RANGE_IN | WIRE_RANGE_OUT)

static struct wire_range range_of(uint64_t address, uint64_t bytes, uint32_t flags,
	uint32_t carried)
{
	return (struct wire_range){
		.address = le64_of(address),
		.bytes = le64_of(bytes),
		.flags = le32_of(flags),
		.carried_bytes = le32_of(carried),
	};
}

static void begin(struct memory *memory, const struct wire_range *ranges, uint16_t count,
	const char *carried)
{
	const struct wire_call_view view = {
		.ranges = (const uint8_t *)ranges,
		.range_count = count,
		.carried = (const uint8_t *)carried,
		.carried_bytes = strlen(carried),
	};

	assert_int_equal(memory_begin(memory, &view, 1000), 0);
}

static void test_memory_finds_a_range_when_all_of_it_is_declared(void **state)
{
	const struct wire_range ranges[] = {
		range_of(1000, 100, IN, 0),
		range_of(2000, 50, OUT, 0),
		range_of(UINT64_MAX - 10, 10, INOUT, 0),
		range_of(3000, 0, IN, 0),
	};
	const struct {
		uint64_t address, bytes;
		uint32_t flag;
		int index; /* -1: none */
	} rows[] = {
		{1000, 100, IN, 0},
		{1000, 1, IN, 0},
		{1099, 1, IN, 0},
		{1000, 101, IN, -1},
		{999, 2, IN, -1},
		{1100, 1, IN, -1},
		{1000, 1, OUT, -1},
		{2049, 1, OUT, 1},
		{2049, 2, OUT, -1},
		{2000, UINT64_MAX, OUT, -1},
		{2001, UINT64_MAX - 1, OUT, -1},
		{UINT64_MAX - 10, 10, IN, 2},
		{UINT64_MAX - 1, 1, OUT, 2},
		{UINT64_MAX - 1, 2, OUT, -1},
		{0, 1, IN, -1},
		{3000, 1, IN, -1},
	};
	struct memory memory;

	(void)state;
	memory_init(&memory);
	begin(&memory, ranges, 4, "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct memory_range *found =
			memory_find(&memory, rows[i].address, rows[i].bytes, rows[i].flag);

		assert_int_equal(found != NULL ? found - memory.ranges : -1, rows[i].index);
	}
	memory_end(&memory);
	assert_null(memory_find(&memory, 1000, 1, IN));
	memory_deinit(&memory);
}

static void test_memory_looks_at_what_was_carried_when_it_is_whole(void **state)
{
	const struct wire_range ranges[] = {
		range_of(100, 10, IN, 4),
		range_of(200, 3, INOUT, 3),
	};
	struct memory memory;

	(void)state;
	memory_init(&memory);
	begin(&memory, ranges, 2, "abcdxyz");
	assert_memory_equal(memory_look(&memory, &memory.ranges[0], 100, 4), "abcd", 4);
	assert_memory_equal(memory_look(&memory, &memory.ranges[0], 102, 2), "cd", 2);
	assert_null(memory_look(&memory, &memory.ranges[0], 102, 3));
	assert_null(memory_look(&memory, &memory.ranges[0], 105, 1));
	assert_memory_equal(memory_look(&memory, &memory.ranges[1], 200, 3), "xyz", 3);
	memory_end(&memory);
	memory_deinit(&memory);
}

static void test_memory_makes_a_table_when_pieces_are_collected(void **state)
{
	const struct wire_range ranges[] = {
		range_of(100, 10, IN, 0),
		range_of(200, 1000, OUT, 0),
	};
	struct memory memory;
	char *place;

	(void)state;
	memory_init(&memory);
	begin(&memory, ranges, 2, "");
	for (unsigned i = 0; i < 40; i++) {
		place = memory_place(&memory, &memory.ranges[1], 200 + 10 * i, 5);
		assert_non_null(place);
		/* Nothing of the heap may be sent. */
		assert_memory_equal(place, "\0\0\0\0\0", 5);
		memset(place, 'h', 5);
	}
	memory_trim(&memory, 2);
	assert_int_equal(memory.piece_count, 40);
	for (unsigned i = 0; i < 40; i++) {
		const struct iovec *part = &memory.parts[MEMORY_SPARE + i];

		assert_int_equal(le32_get(memory.table[i].range_index), 1);
		assert_int_equal(le64_get(memory.table[i].offset), 10 * i);
		assert_int_equal(le32_get(memory.table[i].bytes), i < 39 ? 5 : 2);
		assert_int_equal(part->iov_len, i < 39 ? 5 : 2);
		assert_memory_equal(part->iov_base, "hhhhh", part->iov_len);
	}
	memory_end(&memory);
	assert_int_equal(memory.piece_count, 0);
	memory_deinit(&memory);
}

static void test_memory_collects_no_more_when_a_limit_is_reached(void **state)
{
	const struct wire_range ranges[] = {range_of(100, 4096, OUT, 0)};
	struct memory memory;

	(void)state;
	memory_init(&memory);
	begin(&memory, ranges, 1, "");
	assert_null(memory_place(&memory, &memory.ranges[0], 100, 1001));
	assert_non_null(memory_place(&memory, &memory.ranges[0], 100, 1000));
	assert_null(memory_place(&memory, &memory.ranges[0], 100, 1));
	memory_end(&memory);
	/* Pieces without bytes count, too. */
	begin(&memory, ranges, 1, "");
	for (unsigned i = 0; i < WIRE_REPLIED_MAX; i++)
		assert_non_null(memory_place(&memory, &memory.ranges[0], 100, 0));
	assert_null(memory_place(&memory, &memory.ranges[0], 100, 0));
	memory_end(&memory);
	memory_deinit(&memory);
}

static void test_memory_reads_back_what_was_written_when_pieces_overlap(void **state)
{
	const struct wire_range ranges[] = {range_of(100, 10, INOUT, 10)};
	static const char before[] = "0123456789";
	struct memory memory;
	char bytes[10];

	(void)state;
	memory_init(&memory);
	begin(&memory, ranges, 1, before);
	memcpy(memory_place(&memory, &memory.ranges[0], 102, 3), "abc", 3);
	memcpy(memory_place(&memory, &memory.ranges[0], 104, 2), "XY", 2);
	assert_null(memory_look(&memory, &memory.ranges[0], 100, 10));
	assert_null(memory_look(&memory, &memory.ranges[0], 105, 1));
	assert_non_null(memory_look(&memory, &memory.ranges[0], 106, 4));
	memcpy(bytes, before, sizeof(bytes));
	memory_overlay(&memory, 100, bytes, 10);
	assert_memory_equal(bytes, "01abXY6789", 10);
	memcpy(bytes, before, sizeof(bytes));
	memory_overlay(&memory, 105, bytes + 5, 5);
	assert_memory_equal(bytes, "01234Y6789", 10);
	memory_end(&memory);
	memory_deinit(&memory);
}

static void test_memory_keeps_what_was_sent_when_pieces_follow(void **state)
{
	const struct wire_range ranges[] = {range_of(100, 10, INOUT, 10)};
	struct memory memory;

	(void)state;
	memory_init(&memory);
	begin(&memory, ranges, 1, "0123456789");
	memcpy(memory_place(&memory, &memory.ranges[0], 100, 4), "abcd", 4);
	/* Sent now, so the reply must not bring back c and d, nor what was carried. */
	memory_written(&memory, 102, "SENT", 4);
	assert_memory_equal(memory.parts[MEMORY_SPARE].iov_base, "abSE", 4);
	assert_null(memory_look(&memory, &memory.ranges[0], 104, 2));
	assert_null(memory_look(&memory, &memory.ranges[0], 106, 2));
	memory_end(&memory);
	memory_deinit(&memory);
}

static void test_memory_allows_copies_when_the_client_has_mapped_it(void **state)
{
	struct memory memory;

	(void)state;
	memory_init(&memory);
	begin(&memory, NULL, 0, "");
	for (unsigned i = 1; i <= 40; i++)
		assert_int_equal(memory_add_mapped(&memory, 0x10000 * i, 0x1000), 0);
	assert_int_equal(memory_add_mapped(&memory, UINT64_MAX - 5, 6), -ENOMEM);
	for (unsigned i = 1; i <= 40; i++) {
		const struct memory_range *range =
			memory_find(&memory, 0x10000 * i + 0xfff, 1, INOUT);

		assert_non_null(range);
		/* The client knows no index of it. */
		assert_null(memory_place(&memory, range, 0x10000 * i, 1));
		assert_null(memory_look(&memory, range, 0x10000 * i, 1));
	}
	assert_null(memory_find(&memory, 0x11000, 1, IN));
	memory_end(&memory);
	assert_null(memory_find(&memory, 0x10000, 1, IN));
	memory_deinit(&memory);
}

static void test_memory_is_clean_when_it_is_used_again(void **state)
{
	struct wire_range *ranges = calloc(WIRE_RANGES_MAX, sizeof(*ranges));
	struct memory memory;

	(void)state;
	assert_non_null(ranges);
	memory_init(&memory);
	for (unsigned i = 0; i < WIRE_RANGES_MAX; i++)
		ranges[i] = range_of(100 * (i + 1), 10, INOUT, 0);
	for (unsigned round = 0; round < 3; round++) {
		begin(&memory, ranges, WIRE_RANGES_MAX, "");
		for (unsigned i = 0; i < 100; i++)
			assert_non_null(memory_place(&memory, &memory.ranges[i],
				le64_get(ranges[i].address), 10));
		assert_null(memory_place(&memory, &memory.ranges[0], 100, 1));
		memory_end(&memory);
		assert_int_equal(memory.collected_bytes, 0);
	}
	free(ranges);
	memory_deinit(&memory);
	memory_deinit(&memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_finds_a_range_when_all_of_it_is_declared),
		cmocka_unit_test(test_memory_looks_at_what_was_carried_when_it_is_whole),
		cmocka_unit_test(test_memory_makes_a_table_when_pieces_are_collected),
		cmocka_unit_test(test_memory_collects_no_more_when_a_limit_is_reached),
		cmocka_unit_test(test_memory_reads_back_what_was_written_when_pieces_overlap),
		cmocka_unit_test(test_memory_keeps_what_was_sent_when_pieces_follow),
		cmocka_unit_test(test_memory_allows_copies_when_the_client_has_mapped_it),
		cmocka_unit_test(test_memory_is_clean_when_it_is_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
