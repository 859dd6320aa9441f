#include "target/bad_blocks.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define RANGES_MAX 4

struct change {
	char what; /* 'm'ark or 'c'lear */
	uint64_t first, end;
};

static int apply(struct bad_blocks *blocks, const struct change *change)
{
	return change->what == 'm' ? bad_blocks_mark(blocks, change->first, change->end)
				   : bad_blocks_clear(blocks, change->first, change->end);
}

static void assert_ranges(const struct bad_blocks *blocks, const struct bad_range *expected)
{
	uint32_t count = 0;

	while (count < RANGES_MAX && expected[count].end != 0) {
		assert_true(count < atomic_load(&blocks->range_count));
		assert_int_equal(blocks->ranges[count].first, expected[count].first);
		assert_int_equal(blocks->ranges[count].end, expected[count].end);
		count++;
	}
	assert_int_equal(atomic_load(&blocks->range_count), count);
	assert_int_equal(bad_blocks_is_empty(blocks), count == 0);
}

static void test_bad_blocks_has_ranges_that_lie_apart_when_some_are_marked_and_cleared(void **state)
{
	static const struct {
		struct change changes[5];
		struct bad_range expected[RANGES_MAX];
	} rows[] = {
		{{{'c', 0, 9}}, {{0}}},
		{{{'m', 10, 20}}, {{10, 20}}},
		{{{'m', 10, 20}, {'m', 30, 40}}, {{10, 20}, {30, 40}}},
		{{{'m', 30, 40}, {'m', 10, 20}}, {{10, 20}, {30, 40}}},
		/* Marks that touch, overlap or contain others. */
		{{{'m', 10, 20}, {'m', 20, 21}}, {{10, 21}}},
		{{{'m', 10, 20}, {'m', 9, 10}}, {{9, 20}}},
		{{{'m', 10, 20}, {'m', 21, 22}}, {{10, 20}, {21, 22}}},
		{{{'m', 10, 20}, {'m', 30, 40}, {'m', 20, 30}}, {{10, 40}}},
		{{{'m', 10, 20}, {'m', 30, 40}, {'m', 19, 31}}, {{10, 40}}},
		{{{'m', 10, 20}, {'m', 30, 40}, {'m', 0, 99}}, {{0, 99}}},
		{{{'m', 10, 20}, {'m', 12, 13}}, {{10, 20}}},
		{{{'m', 10, 20}, {'m', 30, 40}, {'m', 50, 60}, {'m', 15, 35}},
			{{10, 40}, {50, 60}}},
		/* Clearing the whole, an end, the middle, over several, between. */
		{{{'m', 10, 20}, {'c', 10, 20}}, {{0}}},
		{{{'m', 10, 20}, {'c', 0, 99}}, {{0}}},
		{{{'m', 10, 20}, {'c', 10, 11}}, {{11, 20}}},
		{{{'m', 10, 20}, {'c', 19, 20}}, {{10, 19}}},
		{{{'m', 10, 20}, {'c', 12, 15}}, {{10, 12}, {15, 20}}},
		{{{'m', 10, 20}, {'m', 30, 40}, {'c', 15, 35}}, {{10, 15}, {35, 40}}},
		{{{'m', 10, 20}, {'m', 30, 40}, {'m', 50, 60}, {'c', 20, 50}},
			{{10, 20}, {50, 60}}},
		{{{'m', 10, 20}, {'c', 0, 10}, {'c', 20, 30}}, {{10, 20}}},
		{{{'m', 10, 20}, {'c', 15, 15}}, {{10, 20}}},
		{{{'m', 10, 20}, {'m', 30, 40}, {'c', 12, UINT64_MAX}}, {{10, 12}}},
		{{{'m', 0, UINT64_MAX - 1}, {'c', 5, 6}}, {{0, 5}, {6, UINT64_MAX - 1}}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct bad_blocks *blocks = bad_blocks_new();

		assert_non_null(blocks);
		for (size_t j = 0; j < ARRAY_LENGTH(rows[i].changes) && rows[i].changes[j].end; j++)
			assert_int_equal(apply(blocks, &rows[i].changes[j]), 0);
		assert_ranges(blocks, rows[i].expected);
		bad_blocks_free(blocks);
	}
	bad_blocks_free(NULL);
}

static void test_bad_blocks_finds_the_lowest_when_ranges_vary(void **state)
{
	static const struct {
		uint64_t first, end;
		bool is_found;
		uint64_t block;
	} rows[] = {
		{0, 10, false, 0},
		{0, 11, true, 10},
		{10, 11, true, 10},
		{19, 99, true, 19},
		{20, 30, false, 0},
		{20, 31, true, 30},
		{15, 16, true, 15},
		{40, UINT64_MAX, false, 0},
	};
	struct bad_blocks *blocks = bad_blocks_new();
	uint64_t block;

	(void)state;
	assert_non_null(blocks);
	assert_false(bad_blocks_find(blocks, 0, UINT64_MAX, &block));
	assert_int_equal(bad_blocks_mark(blocks, 10, 20), 0);
	assert_int_equal(bad_blocks_mark(blocks, 30, 40), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		block = 0;
		assert_int_equal(bad_blocks_find(blocks, rows[i].first, rows[i].end, &block),
			rows[i].is_found);
		assert_int_equal(block, rows[i].block);
	}
	bad_blocks_free(blocks);
}

static void test_bad_blocks_refuses_when_there_are_too_many(void **state)
{
	const uint64_t none = 3 * BAD_BLOCKS_MARKED_MAX;
	struct bad_blocks *blocks = bad_blocks_new();

	(void)state;
	assert_non_null(blocks);
	/* Two blocks of each four, and a long range behind them. */
	for (uint64_t i = 0; i < BAD_BLOCKS_MARKED_MAX - 1; i++)
		assert_int_equal(bad_blocks_mark(blocks, 4 * i, 4 * i + 2), 0);
	assert_int_equal(bad_blocks_mark(blocks, 10 * none, 20 * none), 0);
	assert_int_equal(bad_blocks_mark(blocks, 2 * none, 2 * none + 1), -ENOSPC);
	/* What makes no more ranges still goes, as does what makes them by writing, for a while. */
	assert_int_equal(bad_blocks_mark(blocks, 2, 3), 0);
	for (uint64_t i = 1; i <= BAD_BLOCKS_RANGES_MAX - BAD_BLOCKS_MARKED_MAX; i++)
		assert_int_equal(bad_blocks_clear(blocks, 10 * none + 2 * i, 10 * none + 2 * i + 1),
			0);
	assert_int_equal(atomic_load(&blocks->range_count), BAD_BLOCKS_RANGES_MAX);
	assert_int_equal(bad_blocks_clear(blocks, 20 * none - 2, 20 * none - 1), -ENOSPC);
	assert_int_equal(bad_blocks_mark(blocks, 2 * none, 2 * none + 1), -ENOSPC);
	/* That has changed nothing, and what makes fewer goes. */
	assert_int_equal(atomic_load(&blocks->range_count), BAD_BLOCKS_RANGES_MAX);
	assert_int_equal(bad_blocks_clear(blocks, 20 * none - 2, UINT64_MAX), 0);
	assert_int_equal(bad_blocks_clear(blocks, 0, 20 * none), 0);
	assert_true(bad_blocks_is_empty(blocks));
	bad_blocks_free(blocks);
}

/* A generator of its own, so that each run is the same. */
static uint32_t next_random(uint32_t *random)
{
	*random = *random * 1664525u + 1013904223u;
	return *random >> 8;
}

#define BITMAP_BLOCKS 256

static bool find_in_bitmap(const bool *is_bad, uint64_t first, uint64_t end, uint64_t *ret_block)
{
	for (uint64_t block = first; block < end; block++) {
		if (is_bad[block]) {
			*ret_block = block;
			return true;
		}
	}
	return false;
}

static void test_bad_blocks_is_what_a_bitmap_is_when_changes_are_random(void **state)
{
	struct bad_blocks *blocks = bad_blocks_new();
	bool is_bad[BITMAP_BLOCKS] = {false};
	uint32_t random = 1;

	(void)state;
	assert_non_null(blocks);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t first = next_random(&random) % (BITMAP_BLOCKS - 1);
		uint64_t end = first + 1 + next_random(&random) % 16;
		const struct change change = {next_random(&random) % 2 ? 'm' : 'c', first,
			end > BITMAP_BLOCKS ? BITMAP_BLOCKS : end};
		uint64_t expected = 0, found = 0;

		assert_int_equal(apply(blocks, &change), 0);
		memset(&is_bad[first], change.what == 'm', change.end - first);
		first = next_random(&random) % BITMAP_BLOCKS;
		end = first + 1 + next_random(&random) % (BITMAP_BLOCKS - first);
		assert_int_equal(bad_blocks_find(blocks, first, end, &found),
			find_in_bitmap(is_bad, first, end, &expected));
		assert_int_equal(found, expected);
		for (uint32_t j = 1; j < atomic_load(&blocks->range_count); j++)
			assert_true(blocks->ranges[j - 1].end < blocks->ranges[j].first);
	}
	bad_blocks_free(blocks);
}

#define THREAD_BLOCKS 64

struct marker {
	struct bad_blocks *blocks;
	uint64_t first; /* of THREAD_BLOCKS blocks that are its own, two apart */
	bool has_seen_its_own;
};

static void *mark_and_clear(void *context)
{
	struct marker *marker = context;
	uint64_t found;

	marker->has_seen_its_own = true;
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t block = marker->first + 4 * (i % THREAD_BLOCKS);

		if (bad_blocks_mark(marker->blocks, block, block + 1) != 0 ||
			!bad_blocks_find(marker->blocks, block, block + 1, &found) ||
			bad_blocks_clear(marker->blocks, block, block + 1) != 0 ||
			bad_blocks_find(marker->blocks, block, block + 1, &found))
			marker->has_seen_its_own = false;
	}
	return NULL;
}

static void test_bad_blocks_keeps_each_thread_s_own_when_several_change_it(void **state)
{
	struct bad_blocks *blocks = bad_blocks_new();
	struct marker markers[2] = {{blocks, 0, false}, {blocks, 2, false}};
	pthread_t threads[2];

	(void)state;
	assert_non_null(blocks);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, mark_and_clear, &markers[i]), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_true(markers[i].has_seen_its_own);
	}
	assert_true(bad_blocks_is_empty(blocks));
	bad_blocks_free(blocks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_bad_blocks_has_ranges_that_lie_apart_when_some_are_marked_and_cleared),
		cmocka_unit_test(test_bad_blocks_finds_the_lowest_when_ranges_vary),
		cmocka_unit_test(test_bad_blocks_refuses_when_there_are_too_many),
		cmocka_unit_test(test_bad_blocks_is_what_a_bitmap_is_when_changes_are_random),
		cmocka_unit_test(test_bad_blocks_keeps_each_thread_s_own_when_several_change_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
