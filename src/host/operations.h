/*
 * The reads, writes and flushes of one host, on their way to the target. An operation is what the
 * user asked for; it goes out as one or more parts, each a command of an I/O queue, no longer than
 * the target takes. Operations whose parts find no room wait in the order in which they came.
 *
 * Both are taken from pools of fixed size: one operation for each that may be out at a time, one
 * part for each entry of the queues. A part keeps its range and its memory until it is done, which
 * is all that is needed to send it again.
 */
#ifndef FERRY_HOST_OPERATIONS_H
#define FERRY_HOST_OPERATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "nvme/command.h"

struct association;
struct operations;

struct operation_order {
	enum nvme_io_opcode opcode; /* Read, Write or Flush */
	bool is_durable;            /* FUA */
	uint64_t lba;
	uint64_t block_count; /* at least 1; the range lies within the namespace. Not of a flush */
	uint8_t *data;
	/* @error 0 or -errno. Called once, never from within operations_submit(). */
	void (*done)(void *context, int error);
	void *context;
};

/** Make pools for the queues of @association, which is ready, and outlives them.
 *  @param say called with a sentence when a command fails, before its operation is done
 *  @return 0, or -ENOMEM. */
int operations_new(struct association *association, unsigned operation_count,
	void (*say)(void *context, const char *text), void *context,
	struct operations **ret_operations) __attribute__((warn_unused_result));

/** Free the pools, of which nothing is out. NULL is legal. */
void operations_free(struct operations *operations);

/** Take an order, which is copied.
 *  @return 0, -EAGAIN when too many are out, -ENOTCONN. */
int operations_submit(struct operations *operations, const struct operation_order *order)
	__attribute__((warn_unused_result));

/** The association has ended, or is about to: from now on parts that the end of a queue cuts off
 *  fail with @part_error (-errno). */
void operations_expect_end(struct operations *operations, int part_error);

/** All parts are done: end the operations that still wait with @error. */
void operations_end_waiting(struct operations *operations, int error);

unsigned operations_outstanding(const struct operations *operations);

#endif
