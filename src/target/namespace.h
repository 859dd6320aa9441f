/*
 * A namespace: a store under a number of its subsystem. Constant once the target is published, but
 * for the store's size and the namespace's own feature.
 */
#ifndef FERRY_TARGET_NAMESPACE_H
#define FERRY_TARGET_NAMESPACE_H

#include <stdatomic.h>
#include <stdint.h>

#include "store/store.h"

struct namespace
{
	struct store *store;
	uint32_t nsid;                   /* 1.. */
	uint8_t block_shift;             /* log2 of the bytes of a block: 9 or 12 */
	_Atomic uint32_t error_recovery; /* feature 05h; relaxed */
};

/** Put @store, whose block size is a power of two, under @nsid. */
static inline void namespace_init(struct namespace *namespace, uint32_t nsid, struct store *store)
{
	namespace->store = store;
	namespace->nsid = nsid;
	atomic_init(&namespace->error_recovery, 0);
	namespace->block_shift = (uint8_t)__builtin_ctz(store->block_bytes);
}

/** @return the present capacity in blocks. */
static inline uint64_t namespace_block_count(const struct namespace *namespace)
{
	return atomic_load_explicit(&namespace->store->size_bytes, memory_order_relaxed) >>
		namespace->block_shift;
}

#endif
