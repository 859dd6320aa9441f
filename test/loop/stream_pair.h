/*
 * Two streams joined with each other, of every kind there is, with a probe as the user of each.
 */
#ifndef FERRY_TEST_LOOP_STREAM_PAIR_H
#define FERRY_TEST_LOOP_STREAM_PAIR_H

#include "test/loop/stream_probe.h"

#define STREAM_PAIR_PUT_BYTES (64u << 10)
#define STREAM_PAIR_PIECES    1500 /* more than one sendmsg() takes */

struct stream_pair {
	struct loop *loop;
	struct stream *ends[2];
	struct stream_probe probes[2];
};

#define STREAM_KINDS 4

/* A row of the table that tests of streams go through. */
extern const struct stream_kind_row {
	const char *name;
	const char *peer_name; /* begins with it */
	void (*open)(struct stream_pair *pair);
} stream_kinds[STREAM_KINDS];

/** Make a loop and two streams that are not started, and say so. */
struct stream_pair stream_pair_open(const struct stream_kind_row *kind);

/** Start both with their probes. */
void stream_pair_start(struct stream_pair *pair);

/** Free all of it. */
void stream_pair_end(struct stream_pair *pair);

/** Take turns until @bytes bytes in all have come to the end @index. */
void stream_pair_run_until_received(struct stream_pair *pair, unsigned index, size_t bytes);

#endif
