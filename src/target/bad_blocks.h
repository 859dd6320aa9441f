/*
 * The blocks of a namespace that a host has marked bad (Write Uncorrectable: NVM 1.0, 3.2.7): reading
 * them fails until they are written. One set for all loops, kept in memory alone.
 *
 * The ranges are sorted, not empty, and neither overlap nor touch. The mutex guards them; it is
 * innermost and is held for no I/O. While nothing is marked nobody takes it: the count is read
 * alone, relaxed.
 *
 * Order: a command looks before it reads, and a command that writes clears its range, or each part
 * of it, as soon as the store has its data and before it completes. So commands that overlap in time take effect in one
 * order or the other, and one that begins when another has completed sees what that has done; what
 * a block held before it was marked is never read once the mark has been acknowledged.
 */
#ifndef FERRY_TARGET_BAD_BLOCKS_H
#define FERRY_TARGET_BAD_BLOCKS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BAD_BLOCKS_MARKED_MAX 1024 /* ranges that hosts can make by marking */
#define BAD_BLOCKS_RANGES_MAX 2048 /* with those made by writing into the middle of one */

struct bad_range {
	uint64_t first, end; /* the last block + 1 */
};

struct bad_blocks {
	_Atomic uint32_t range_count;
	pthread_mutex_t mutex;
	struct bad_range *ranges; /* BAD_BLOCKS_RANGES_MAX of them, NULL: nothing was ever marked */
};

/** @return a set with nothing in it, the caller's, or NULL without memory. */
struct bad_blocks *bad_blocks_new(void);

/** NULL is legal. */
void bad_blocks_free(struct bad_blocks *blocks);

/** @return whether nothing is marked. From any thread, as all that follows. */
static inline bool bad_blocks_is_empty(const struct bad_blocks *blocks)
{
	return atomic_load_explicit(&blocks->range_count, memory_order_relaxed) == 0;
}

/** Mark the blocks from @first up to but not including @end, which is larger.
 *  @return 0, -ENOSPC (that would be more than BAD_BLOCKS_MARKED_MAX ranges) or -ENOMEM. On failure
 *  nothing has changed. */
int bad_blocks_mark(struct bad_blocks *blocks, uint64_t first, uint64_t end)
	__attribute__((warn_unused_result));

/** As above: they are bad no more.
 *  @return 0 or -ENOSPC (that would be more than BAD_BLOCKS_RANGES_MAX ranges): nothing has
 *  changed. What reaches to the end of the last range never fails. */
int bad_blocks_clear(struct bad_blocks *blocks, uint64_t first, uint64_t end)
	__attribute__((warn_unused_result));

/** @return whether a block from @first up to but not including @end, which is larger, is marked, and
 *  the lowest that is. */
bool bad_blocks_find(struct bad_blocks *blocks, uint64_t first, uint64_t end, uint64_t *ret_block)
	__attribute__((warn_unused_result));

#endif
