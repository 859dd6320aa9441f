/*
 * Store requests of one command, one after the other: the ranges of Dataset Management, the parts
 * of a range that is compared or copied through a buffer.
 *
 * A queue has one buffer for all its commands, made when it is first wanted. Those that want it take
 * turns, so that no host can make the target hold more than SERIES_BUFFER_BYTES a queue.
 *
 * A store in memory is done at once. So that commands which move nothing over the network cannot
 * keep the loop from others, a queue's series stop when they have done so much in a turn, and go on
 * in the next.
 */
#ifndef FERRY_TARGET_SERIES_H
#define FERRY_TARGET_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "loop/loop.h"
#include "store/store.h"

#define SERIES_BUFFER_BYTES  (64u << 10)
#define SERIES_TURN_BYTES    (256u << 10) /* done at once by a queue, in a turn */
#define SERIES_REQUEST_BYTES 4096u        /* that each request counts for, beside its own */

struct series;

/* The buffer of a queue and those who want it. Begins as zeros but for the list. */
struct series_buffer {
	uint8_t *bytes; /* NULL: not yet wanted */
	struct list waiting;
	bool is_taken;
	bool is_passing_on;
};

/* What the series of a queue may still do in this turn. */
struct series_budget {
	struct loop_task renew;
	size_t left_bytes;
};

struct series {
	/* set by the owner */
	struct store *medium;
	struct loop *loop;
	struct series_budget *budget;
	struct series_buffer *buffer; /* NULL: none is wanted */
	/* Called first and when a request has ended well, which store still describes: fill in the
	 * next one (all but done), whose data may lie in the buffer. @return whether there is one. */
	bool (*next)(struct series *series);
	/* The end, by next() or by the first errno; perhaps within series_start(). */
	void (*done)(struct series *series, int error);

	struct store_request store;
	/* private */
	struct list link; /* of those waiting */
	struct loop_task go_on;
	bool is_stepping;
	bool is_waiting;
};

void series_buffer_init(struct series_buffer *buffer);

/** No series wants it any more. */
void series_buffer_deinit(struct series_buffer *buffer);

void series_budget_init(struct series_budget *budget);

/** No series is under way. On the loop of its queue. */
void series_budget_deinit(struct series_budget *budget);

void series_start(struct series *series);

#endif
