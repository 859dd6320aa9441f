/*
 * A sorted array: there are few ranges, and they change rarely.
 */
#include "target/bad_blocks.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct bad_blocks *bad_blocks_new(void)
{
	struct bad_blocks *blocks = calloc(1, sizeof(*blocks));

	if (blocks != NULL)
		(void)pthread_mutex_init(&blocks->mutex, NULL);
	return blocks;
}

void bad_blocks_free(struct bad_blocks *blocks)
{
	if (blocks == NULL)
		return;
	(void)pthread_mutex_destroy(&blocks->mutex);
	free(blocks->ranges);
	free(blocks);
}

/* The mutex is held in all that follows. */

static uint32_t count_of(const struct bad_blocks *blocks)
{
	return atomic_load_explicit(&blocks->range_count, memory_order_relaxed);
}

/* @return the index of the first range that ends at @block or later. */
static uint32_t find_end(const struct bad_blocks *blocks, uint64_t block)
{
	uint32_t low = 0, high = count_of(blocks);

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (blocks->ranges[middle].end < block)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* @return the index of the first range from @index on that begins at @block or later. */
static uint32_t find_first(const struct bad_blocks *blocks, uint32_t index, uint64_t block)
{
	uint32_t low = index, high = count_of(blocks);

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (blocks->ranges[middle].first < block)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Put @count ranges in the place of those from @from up to @to. */
static void replace(struct bad_blocks *blocks, uint32_t from, uint32_t to,
	const struct bad_range *ranges, uint32_t count)
{
	uint32_t rest = count_of(blocks) - to;

	assert(from + count + rest <= BAD_BLOCKS_RANGES_MAX);
	memmove(&blocks->ranges[from + count], &blocks->ranges[to], rest * sizeof(*ranges));
	memcpy(&blocks->ranges[from], ranges, count * sizeof(*ranges));
	atomic_store_explicit(&blocks->range_count, from + count + rest, memory_order_relaxed);
}

static int mark(struct bad_blocks *blocks, struct bad_range range)
{
	/* Those it touches become one with it. */
	uint32_t from = find_end(blocks, range.first);
	uint32_t to = find_first(blocks, from, range.end + 1);

	if (from == to && count_of(blocks) >= BAD_BLOCKS_MARKED_MAX)
		return -ENOSPC;
	if (from < to && blocks->ranges[from].first < range.first)
		range.first = blocks->ranges[from].first;
	if (from < to && blocks->ranges[to - 1].end > range.end)
		range.end = blocks->ranges[to - 1].end;
	replace(blocks, from, to, &range, 1);
	return 0;
}

static int clear(struct bad_blocks *blocks, const struct bad_range *range)
{
	uint32_t from = find_end(blocks, range->first + 1);
	uint32_t to = find_first(blocks, from, range->end);
	struct bad_range rests[2];
	uint32_t rest_count = 0;

	if (from == to)
		return 0;
	if (blocks->ranges[from].first < range->first)
		rests[rest_count++] = (struct bad_range){blocks->ranges[from].first, range->first};
	if (blocks->ranges[to - 1].end > range->end)
		rests[rest_count++] = (struct bad_range){range->end, blocks->ranges[to - 1].end};
	if (count_of(blocks) - (to - from) + rest_count > BAD_BLOCKS_RANGES_MAX)
		return -ENOSPC;
	replace(blocks, from, to, rests, rest_count);
	return 0;
}

/* For all. */

int bad_blocks_mark(struct bad_blocks *blocks, uint64_t first, uint64_t end)
{
	int error = 0;

	assert(first < end && end < UINT64_MAX);
	(void)pthread_mutex_lock(&blocks->mutex);
	if (blocks->ranges == NULL)
		blocks->ranges = calloc(BAD_BLOCKS_RANGES_MAX, sizeof(*blocks->ranges));
	if (blocks->ranges == NULL)
		error = -ENOMEM;
	else
		error = mark(blocks, (struct bad_range){first, end});
	(void)pthread_mutex_unlock(&blocks->mutex);
	return error;
}

int bad_blocks_clear(struct bad_blocks *blocks, uint64_t first, uint64_t end)
{
	const struct bad_range range = {first, end};
	int error = 0;

	if (first >= end || bad_blocks_is_empty(blocks))
		return 0;
	(void)pthread_mutex_lock(&blocks->mutex);
	if (!bad_blocks_is_empty(blocks))
		error = clear(blocks, &range);
	(void)pthread_mutex_unlock(&blocks->mutex);
	return error;
}

bool bad_blocks_find(struct bad_blocks *blocks, uint64_t first, uint64_t end, uint64_t *ret_block)
{
	bool is_found = false;
	uint32_t index;

	if (bad_blocks_is_empty(blocks))
		return false;
	(void)pthread_mutex_lock(&blocks->mutex);
	index = find_end(blocks, first + 1);
	if (index < count_of(blocks) && blocks->ranges[index].first < end) {
		is_found = true;
		*ret_block =
			blocks->ranges[index].first > first ? blocks->ranges[index].first : first;
	}
	(void)pthread_mutex_unlock(&blocks->mutex);
	return is_found;
}
