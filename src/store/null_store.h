/*
 * No blocks at all: reads give zeros, writes vanish. It shows what everything but the store costs.
 * Requests are done when store_submit() returns.
 */
#ifndef FERRY_STORE_NULL_STORE_H
#define FERRY_STORE_NULL_STORE_H

#include <stdint.h>

struct store;
struct store_options;

/** @param size_bytes a multiple of the block size, not 0
 *  @return 0 and the store, the caller's, or -ENOMEM. */
int null_store_new(uint64_t size_bytes, const struct store_options *options,
	struct store **ret_store) __attribute__((warn_unused_result));

#endif
