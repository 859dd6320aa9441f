/*
 * Fused operations (Base 2.0, 3.4.2): Compare and Write (NVM 1.0, 2.1.3.1), two commands of which the
 * second must be the next on the queue after the first and have the same range.
 *
 * Life of a pair:
 *   open      the first half has begun; the next command must be the second half
 *   paired    both have begun; data of one or both is still on its way
 *   ready     both have been executed, and wait for the fence over their block to be raised
 *   running   the block is compared and, if it is as the host expects, written; the fence is lowered,
 *             and both end, the Compare first
 * A half that cannot go on (refused, aborted, damaged, no longer wanted) takes the other with it. One
 * that is still to be executed ends then, since its data is on its way; one that has been ends at
 * once. What is running is not aborted any more: its halves end as the operation does. Only a Compare
 * that has been made keeps its own status when the Write fails.
 *
 * The data of a half lies in memory of its own, not in a buffer of the transport's: it stays until
 * the other has come, which may lie behind what waits for that buffer. So that no host takes too much
 * there are only so many pairs on a queue; one more is to be tried again.
 *
 * ACWU is one block, so that what AWUN says of reads holds for the Write as for any other: a read of
 * more blocks could see some of a pair that is written, and reads ask no fence.
 */
#ifndef FERRY_TARGET_FUSED_H
#define FERRY_TARGET_FUSED_H

#include <stdbool.h>

#include "nvme/command.h"
#include "nvme/request.h"
#include "nvme/status.h"

struct target_queue;
struct target_request;

#define FUSED_BLOCKS_MAX 1u  /* ACWU + 1 */
#define FUSED_PAIRS_MAX  64u /* of a queue, that have begun and not ended */

/* A half, in its request. */
struct fused {
	struct target_request *partner; /* NULL: not yet there, or it has ended */
	nvme_status fate;               /* how it ends when executed; success: not decided */
	bool is_here;                   /* it has been executed */
	bool is_running;                /* as is the other */
	uint8_t *data;                  /* freed by fused_leave() */
};

/* The pair that is open on a queue. */
struct fused_opening {
	bool is_open;
	struct target_request *first; /* NULL: it has failed, as the second will */
};

/** @return whether the command is one half of something. */
static inline bool fused_is_half(const struct request *request)
{
	return (request->command.flags & NVME_FLAGS_FUSE_MASK) != 0;
}

/** Begin a command that is a half, or one of any kind while a pair is open. */
nvme_status fused_begin(struct target_request *request) __attribute__((warn_unused_result));

/** The half @request will not run, and is ended by the caller: so does the other. Nothing happens to
 *  what is no half. */
void fused_break(struct target_request *request);

/** @return whether @request is a half of what is running. */
bool fused_is_running(const struct target_request *request);

/** An aborter has been set for @request, which is a half that is not running: if it waits for the
 *  other, both end now. */
void fused_abort(struct target_request *request);

/** The half @request ends, or is abandoned: it wants its data no more. */
void fused_leave(struct target_request *request);

/** The half @request, which was alone with its block, has ended with @status. */
void fused_finish(struct target_request *request, nvme_status status);

/** The queue has ended: an open pair ends. The queue may be gone afterwards. */
void fused_end(struct target_queue *queue);

#endif
