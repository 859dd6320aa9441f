/*
 * A pair of streams joined in memory, on one loop, for tests: no descriptor, no system call, and
 * faults to order: short reads, delays, resets, damage, a small window. With a simulated clock and a
 * seed the same run comes out each time.
 */
#ifndef FERRY_LOOP_MEMORY_STREAM_H
#define FERRY_LOOP_MEMORY_STREAM_H

#include <stddef.h>
#include <stdint.h>

struct loop;
struct random;
struct stream;

struct memory_stream_faults {
	struct random *random;     /* draws every choice below; NULL: no fault at all */
	uint64_t delay_max_ns;     /* each delivery is late by 0..this */
	size_t delivery_max_bytes; /* each delivery is of 1..this bytes; 0: any size */
	size_t window_bytes;       /* sent and not yet delivered, each way; 0: 1 MiB */
	uint64_t reset_one_in;     /* each delivery is a reset instead with this chance; 0: never */
	uint64_t reset_after;      /* a reset comes behind so many bytes of one way; 0: never */
	uint64_t flip_one_in;      /* each delivery has a bit flipped with this chance; 0: never */
	uint64_t flip_after;       /* the first so many bytes of each way are left as they are */
	unsigned *flip_count;      /* counts flipped bits; may be NULL, else outlives the ends */
};

/** Make both ends. @faults is copied (not its random). @return 0 or -errno. */
int memory_stream_pair(struct loop *loop, const struct memory_stream_faults *faults,
	struct stream *ret_ends[2]) __attribute__((warn_unused_result));

/** Let both ends see a reset (ECONNRESET), as if the network had failed. */
void memory_stream_reset(struct stream *end);

#endif
