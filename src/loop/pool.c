/*
 * The buddy method over blocks of POOL_BUFFER_MIN bytes << order. What is known of a block lies in a
 * table beside the region, at the index of its first unit, so that free memory is never touched.
 *
 * A block that is given back is not merged at once: it goes on a stack of its order (warm), whence
 * the next taker of that size gets it, likely still in the cache, without splitting. Warm blocks are
 * merged when a block is not to be had otherwise, and by pool_trim().
 */
#include "loop/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/cleanup.h"

#define ORDER_COUNT    10 /* 4 KiB .. 2 MiB */
#define NO_BLOCK       UINT32_MAX
#define TRIM_BYTES_MIN (1u << 20) /* less is not worth trimming */

static_assert(POOL_BUFFER_MIN << (ORDER_COUNT - 1) == POOL_BUFFER_MAX, "orders");

enum block_state {
	BLOCK_PART, /* not the first unit of a block */
	BLOCK_FREE, /* in a free list */
	BLOCK_WARM, /* on a warm stack */
	BLOCK_HELD, /* somebody's */
};

struct block {
	uint32_t next, previous; /* in a free list; only next on a warm stack */
	uint8_t order;
	uint8_t state; /* enum block_state */
};

struct pool {
	uint8_t *region;
	size_t bytes;
	size_t held_bytes;
	size_t used_bytes; /* given back since the last trim */
	uint64_t take_count;
	struct block *blocks; /* of each unit */
	uint32_t unit_count;
	uint32_t free[ORDER_COUNT];
	uint32_t warm[ORDER_COUNT];
	struct list waiting; /* shares with waiting requests */
	bool is_serving;
};

/* Blocks */

static size_t order_bytes(unsigned order)
{
	return (size_t)POOL_BUFFER_MIN << order;
}

static unsigned order_of(size_t bytes)
{
	size_t units = (bytes - 1) / POOL_BUFFER_MIN;

	return units == 0 ? 0 : 64 - (unsigned)__builtin_clzl(units);
}

static void free_push(struct pool *pool, uint32_t index, unsigned order)
{
	struct block *block = &pool->blocks[index];

	block->state = BLOCK_FREE;
	block->order = (uint8_t)order;
	block->previous = NO_BLOCK;
	block->next = pool->free[order];
	if (block->next != NO_BLOCK)
		pool->blocks[block->next].previous = index;
	pool->free[order] = index;
}

static void free_remove(struct pool *pool, uint32_t index)
{
	struct block *block = &pool->blocks[index];

	if (block->previous == NO_BLOCK)
		pool->free[block->order] = block->next;
	else
		pool->blocks[block->previous].next = block->next;
	if (block->next != NO_BLOCK)
		pool->blocks[block->next].previous = block->previous;
}

/* Make a block free and merge it with its free buddies. */
static void block_merge(struct pool *pool, uint32_t index)
{
	unsigned order = pool->blocks[index].order;

	for (; order < ORDER_COUNT - 1; order++) {
		uint32_t buddy = index ^ (1u << order);

		if (pool->blocks[buddy].state != BLOCK_FREE || pool->blocks[buddy].order != order)
			break;
		free_remove(pool, buddy);
		pool->blocks[index > buddy ? index : buddy].state = BLOCK_PART;
		index &= ~(1u << order);
	}
	free_push(pool, index, order);
}

static void merge_warm(struct pool *pool)
{
	for (unsigned order = 0; order < ORDER_COUNT; order++) {
		uint32_t index = pool->warm[order];

		pool->warm[order] = NO_BLOCK;
		while (index != NO_BLOCK) {
			uint32_t next = pool->blocks[index].next;

			block_merge(pool, index);
			index = next;
		}
	}
}

/* Take a free block, splitting a larger one. @return its index or NO_BLOCK. */
static uint32_t block_split(struct pool *pool, unsigned order)
{
	unsigned from = order;
	uint32_t index;

	while (from < ORDER_COUNT && pool->free[from] == NO_BLOCK)
		from++;
	if (from == ORDER_COUNT)
		return NO_BLOCK;
	index = pool->free[from];
	free_remove(pool, index);
	while (from > order) {
		from--;
		free_push(pool, index + (1u << from), from);
	}
	pool->blocks[index].order = (uint8_t)order;
	return index;
}

static uint32_t block_take(struct pool *pool, unsigned order)
{
	uint32_t index = pool->warm[order];

	if (index != NO_BLOCK) {
		pool->warm[order] = pool->blocks[index].next;
		return index;
	}
	index = block_split(pool, order);
	if (index != NO_BLOCK)
		return index;
	merge_warm(pool);
	return block_split(pool, order);
}

/* Life */

static void cleanup_pool(struct pool **pool)
{
	pool_free(*pool);
}

int pool_new(size_t bytes, struct pool **ret_pool)
{
	CLEANUP(cleanup_pool) struct pool *pool = calloc(1, sizeof(*pool));
	void *region;

	assert(bytes >= 2 * POOL_BUFFER_MAX && (bytes & (bytes - 1)) == 0);
	assert(bytes / POOL_BUFFER_MIN < NO_BLOCK);
	if (pool == NULL)
		return -ENOMEM;
	pool->bytes = bytes;
	pool->unit_count = (uint32_t)(bytes / POOL_BUFFER_MIN);
	pool->blocks = calloc(pool->unit_count, sizeof(pool->blocks[0]));
	if (pool->blocks == NULL)
		return -ENOMEM;
	region = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (region == MAP_FAILED)
		return -ENOMEM;
	pool->region = region;
	list_init(&pool->waiting);
	for (unsigned order = 0; order < ORDER_COUNT; order++) {
		pool->free[order] = NO_BLOCK;
		pool->warm[order] = NO_BLOCK;
	}
	/* The first in the region is taken first. */
	for (uint32_t i = pool->unit_count; i > 0; i -= 1u << (ORDER_COUNT - 1))
		free_push(pool, i - (1u << (ORDER_COUNT - 1)), ORDER_COUNT - 1);
	*ret_pool = TAKE(pool);
	return 0;
}

void pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	assert(pool->held_bytes == 0);
	if (pool->region != NULL)
		(void)munmap(pool->region, pool->bytes);
	free(pool->blocks);
	free(pool);
}

/* Requests */

static bool is_allowed(const struct pool *pool, const struct pool_share *share, size_t bytes)
{
	return share->held_bytes == 0 || share->held_bytes + bytes <= pool->bytes / POOL_SHARES ||
		pool->held_bytes < pool->bytes / 2;
}

/* Grant @request if there is a block. */
static bool grant(struct pool *pool, struct pool_request *request)
{
	unsigned order = order_of(request->bytes);
	uint32_t index = block_take(pool, order);

	if (index == NO_BLOCK)
		return false;
	pool->blocks[index].state = BLOCK_HELD;
	request->buffer = pool->region + (size_t)index * POOL_BUFFER_MIN;
	request->share->held_bytes += order_bytes(order);
	pool->held_bytes += order_bytes(order);
	pool->take_count++;
	return true;
}

static struct pool_request *first_waiting(const struct pool_share *share)
{
	return container_of(share->waiting.next, struct pool_request, link);
}

/* Grant one waiting request. @return it, NULL if none can be granted. */
static struct pool_request *grant_waiting(struct pool *pool)
{
	struct list *link;

	list_for_each (link, &pool->waiting) {
		struct pool_share *share = container_of(link, struct pool_share, link);
		struct pool_request *request = first_waiting(share);
		size_t bytes = order_bytes(order_of(request->bytes));

		if (!is_allowed(pool, share, bytes))
			continue;
		if (pool->bytes - pool->held_bytes < bytes)
			return NULL;
		if (!grant(pool, request))
			continue;
		/* The share goes to the end of the line. */
		list_remove(&request->link);
		list_remove(&share->link);
		if (!list_is_empty(&share->waiting))
			list_append(&pool->waiting, &share->link);
		return request;
	}
	return NULL;
}

static void serve_waiting(struct pool *pool)
{
	struct pool_request *request;

	/* granted() may give and take: the outermost call serves all. */
	if (pool->is_serving)
		return;
	pool->is_serving = true;
	while ((request = grant_waiting(pool)) != NULL)
		request->granted(request);
	pool->is_serving = false;
}

/* Whether a request that waits for bytes alone comes before a new one. */
static bool is_held_up(const struct pool *pool)
{
	const struct list *link;

	list_for_each (link, &pool->waiting) {
		const struct pool_share *share = container_of(link, const struct pool_share, link);
		size_t bytes = order_bytes(order_of(first_waiting(share)->bytes));

		if (is_allowed(pool, share, bytes) && pool->bytes - pool->held_bytes < bytes)
			return true;
	}
	return false;
}

static void wait_for_grant(struct pool *pool, struct pool_request *request)
{
	struct pool_share *share = request->share;

	if (list_is_empty(&share->waiting))
		list_append(&pool->waiting, &share->link);
	list_append(&share->waiting, &request->link);
}

bool pool_take(struct pool *pool, struct pool_request *request)
{
	struct pool_share *share = request->share;

	assert(request->bytes >= 1 && request->bytes <= POOL_BUFFER_MAX);
	request->buffer = NULL;
	list_init(&request->link);
	if (share->waiting.next == NULL) {
		list_init(&share->waiting);
		list_init(&share->link);
	}
	if (list_is_empty(&share->waiting) &&
		is_allowed(pool, share, order_bytes(order_of(request->bytes))) &&
		(list_is_empty(&pool->waiting) || !is_held_up(pool)) && grant(pool, request))
		return true;
	wait_for_grant(pool, request);
	return false;
}

/* Withdraw a request that waits. */
static void withdraw(struct pool_request *request)
{
	struct pool_share *share = request->share;

	list_remove(&request->link);
	if (list_is_empty(&share->waiting))
		list_remove(&share->link);
}

static void give_block(struct pool *pool, struct pool_request *request)
{
	uint32_t index = (uint32_t)((size_t)(request->buffer - pool->region) / POOL_BUFFER_MIN);
	struct block *block = &pool->blocks[index];
	size_t bytes = order_bytes(block->order);

	assert(block->state == BLOCK_HELD);
	request->buffer = NULL;
	request->share->held_bytes -= bytes;
	pool->held_bytes -= bytes;
	pool->used_bytes += bytes;
	block->state = BLOCK_WARM;
	block->next = pool->warm[block->order];
	pool->warm[block->order] = index;
}

void pool_give(struct pool *pool, struct pool_request *request)
{
	if (request->buffer != NULL)
		give_block(pool, request);
	else if (request->link.next != NULL && !list_is_empty(&request->link))
		withdraw(request);
	else
		return;
	/* A withdrawn request may have held up others. */
	if (!list_is_empty(&pool->waiting))
		serve_waiting(pool);
}

/* Memory */

void pool_trim(struct pool *pool)
{
	uint32_t start = 0; /* of the present run of free blocks */
	uint32_t index = 0;

	merge_warm(pool);
	while (index < pool->unit_count) {
		const struct block *block = &pool->blocks[index];
		uint32_t end = index + (1u << block->order);
		bool is_free = block->state == BLOCK_FREE;

		if (is_free && end < pool->unit_count) {
			index = end;
			continue;
		}
		if (is_free)
			index = end;
		if (index > start)
			(void)madvise(pool->region + (size_t)start * POOL_BUFFER_MIN,
				(size_t)(index - start) * POOL_BUFFER_MIN, MADV_DONTNEED);
		start = end;
		index = end;
	}
	pool->used_bytes = 0;
}

uint64_t pool_trim_mark(const struct pool *pool)
{
	return pool->used_bytes < TRIM_BYTES_MIN ? 0 : pool->take_count;
}

size_t pool_held_bytes(const struct pool *pool)
{
	return pool->held_bytes;
}
