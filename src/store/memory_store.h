/*
 * Blocks in memory, for as long as the process lives. Memory is taken as blocks are written: a
 * store may be larger than what the machine has, as long as what is written to it is not. Requests
 * are done when store_submit() returns. Concurrent requests for the same blocks may see each
 * other's bytes in any mixture.
 */
#ifndef FERRY_STORE_MEMORY_STORE_H
#define FERRY_STORE_MEMORY_STORE_H

#include <stdint.h>

struct store;
struct store_options;

/** @param size_bytes a multiple of the block size, not 0
 *  @return 0 and the store, the caller's, full of zeros; or -ENOMEM. */
int memory_store_new(uint64_t size_bytes, const struct store_options *options,
	struct store **ret_store) __attribute__((warn_unused_result));

#endif
