/*
 * The buffer pool of one loop: contiguous buffers of a power of two bytes (POOL_BUFFER_MIN ..
 * POOL_BUFFER_MAX), cut by the buddy method from one region that is mapped at the start and gets
 * memory only as it is touched; memory that lies unused is given back when the loop goes idle.
 *
 * No peer may starve another, so each connection takes by its share: its first buffer and what it
 * holds up to pool/POOL_SHARES it may always take while the pool has it; beyond that only while more
 * than half of the pool is free. A request that cannot be granted waits: in order within its share,
 * and the shares take turns. One whose share forbids it, or for which only no contiguous block is
 * free, is passed over; one for which too few bytes are free holds up those behind it. Nothing ever
 * fails for want of a buffer.
 */
#ifndef FERRY_LOOP_POOL_H
#define FERRY_LOOP_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define POOL_BUFFER_MIN 4096u
#define POOL_BUFFER_MAX (2u << 20)
#define POOL_SHARES     16

struct pool;

/* What one connection holds; lies in it, begins as zeros. */
struct pool_share {
	size_t held_bytes;
	/* private */
	struct list waiting; /* requests */
	struct list link;    /* in the pool's list of shares with waiting requests */
};

/* A wish for a buffer, embedded in its owner. */
struct pool_request {
	void (*granted)(struct pool_request *request); /* called for a request that had to wait */
	struct pool_share *share;
	uint8_t *
		buffer; /* the buffer, aligned to its size up to 4096; the owner's until pool_give */
	size_t bytes;   /* asked for, 1..POOL_BUFFER_MAX */
	struct list link;
};

/** @param bytes a power of two, at least 2 * POOL_BUFFER_MAX
 *  @return 0 and the pool, or -errno. */
int pool_new(size_t bytes, struct pool **ret_pool) __attribute__((warn_unused_result));

/** Free a pool all of whose buffers were given back. NULL is legal. */
void pool_free(struct pool *pool);

/** Ask for request->bytes on request->share (both, and granted, set by the caller).
 *  @return whether request->buffer was granted at once; else granted() is called later. */
bool pool_take(struct pool *pool, struct pool_request *request) __attribute__((warn_unused_result));

/** Give the granted buffer back, or withdraw a waiting request. A request that is neither is legal
 *  (buffer NULL, link initialised or zero). Waiting requests may be granted before this returns. */
void pool_give(struct pool *pool, struct pool_request *request);

/** Give memory of free buffers back to the system. */
void pool_trim(struct pool *pool);

/** @return 0 when there is nothing worth trimming, else a number that changes with each use. */
uint64_t pool_trim_mark(const struct pool *pool);

/** @return bytes held by all. */
size_t pool_held_bytes(const struct pool *pool);

#endif
