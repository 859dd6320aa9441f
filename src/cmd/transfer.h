/*
 * Copies one disk end to another, or compares the two, with many requests in flight. A range of the
 * source has a slot from its read to its end; slots are filled in order and end in any.
 *
 * States of a slot:
 *   idle       free for the next range
 *   reading    the source is being read
 *   writing    (copy) it is being written, run by run where the destination is fresh
 *   comparing  (compare) the destination is being read
 */
#ifndef FERRY_CMD_TRANSFER_H
#define FERRY_CMD_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/disk_end.h"

struct progress;
struct transfer;

#define TRANSFER_REQUESTS_MAX      128
#define TRANSFER_REQUESTS_DEFAULT  16
#define TRANSFER_REQUEST_BYTES_MIN 4096u
#define TRANSFER_REQUEST_BYTES_MAX (4u << 20)
#define TRANSFER_REQUEST_DEFAULT   (256u << 10)

enum transfer_kind {
	TRANSFER_COPY,    /* and flush the destination */
	TRANSFER_COMPARE, /* as the copy, padding included, would have left it */
};

struct transfer_setting {
	struct disk_end *source, *destination;
	uint64_t bytes;         /* of the source; zeros fill the last block of the destination */
	unsigned request_count; /* 1..TRANSFER_REQUESTS_MAX */
	size_t request_bytes; /* TRANSFER_REQUEST_BYTES_MIN.._MAX; made larger to be whole blocks */
	struct progress *progress;
	int signal_fd; /* a signalfd: the first signal ends the run in order, the second the process */
};

struct transfer_outcome {
	uint64_t done_bytes; /* everything before it is done */
	bool is_flushed;     /* of a copy */
	bool has_difference; /* of a comparison */
	uint64_t difference; /* the offset of the first */
	char problem[DISK_END_PROBLEM_MAX];
};

/** @param setting is copied; what it points to outlives the transfer.
 *  @return 0 and the transfer, the caller's, or -ENOMEM. */
int transfer_new(const struct transfer_setting *setting, struct transfer **ret_transfer)
	__attribute__((warn_unused_result));

/** Do it from the start to the end.
 *  @return 0 (a difference included), -EINTR: a signal came, whatever else went wrong then, or -errno
 *  with outcome->problem a sentence. */
int transfer_run(struct transfer *transfer, enum transfer_kind kind,
	struct transfer_outcome *ret_outcome) __attribute__((warn_unused_result));

/** Free; after a failure both ends must have been closed. NULL is legal. */
void transfer_free(struct transfer *transfer);

#endif
