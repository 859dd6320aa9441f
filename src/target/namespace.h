/*
 * A namespace: a store under a number of its subsystem. Constant once the target is published, but
 * for the store's size, the namespace's own feature and the blocks that hosts have marked bad.
 */
#ifndef FERRY_TARGET_NAMESPACE_H
#define FERRY_TARGET_NAMESPACE_H

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#include "store/store.h"
#include "target/bad_blocks.h"

struct fence;

struct namespace
{
	struct store *store;
	uint32_t nsid;                   /* 1.. */
	struct fence *fence;             /* the store's */
	uint8_t block_shift;             /* log2 of the bytes of a block: 9 or 12 */
	_Atomic uint32_t error_recovery; /* feature 05h; relaxed */
	struct bad_blocks *bad_blocks;
};

/** Put @store, whose block size is a power of two, under @nsid, with its fence. @return 0 or -ENOMEM. */
static inline __attribute__((warn_unused_result)) int namespace_init(struct namespace *namespace,
	uint32_t nsid, struct store *store, struct fence *fence)
{
	namespace->bad_blocks = bad_blocks_new();
	if (namespace->bad_blocks == NULL)
		return -ENOMEM;
	namespace->store = store;
	namespace->fence = fence;
	namespace->nsid = nsid;
	atomic_init(&namespace->error_recovery, 0);
	namespace->block_shift = (uint8_t)__builtin_ctz(store->block_bytes);
	return 0;
}

/** The store is the caller's. */
static inline void namespace_deinit(struct namespace *namespace)
{
	bad_blocks_free(namespace->bad_blocks);
}

/** @return the present capacity in blocks. */
static inline uint64_t namespace_block_count(const struct namespace *namespace)
{
	return atomic_load_explicit(&namespace->store->size_bytes, memory_order_relaxed) >>
		namespace->block_shift;
}

#endif
