/*
 * A request as the target keeps it: behind the transport's part, what it needs to go on.
 *
 * A command's begin and execute functions return its status; what is done with it happens here and
 * in queue.c. An execute function that cannot say yet returns TARGET_LATER, having arranged for
 * target_request_finish() to be called, or having called it.
 */
#ifndef FERRY_TARGET_TARGET_REQUEST_H
#define FERRY_TARGET_TARGET_REQUEST_H

#include "loop/loop.h"
#include "nvme/request.h"
#include "nvme/status.h"
#include "store/store.h"
#include "target/fence.h"
#include "target/flush.h"
#include "target/fused.h"
#include "target/series.h"

struct target_queue;
struct target_request;

#define TARGET_LATER    0x8000U /* no status: those have 15 bits */
#define TARGET_NO_BLOCK UINT64_MAX

typedef nvme_status target_request_step(struct target_request *request);

/* How far a command has come whose store requests are a series. */
struct walk {
	struct series series;
	uint32_t index;     /* of the range */
	size_t position;    /* bytes within the range */
	size_t written;     /* bytes, of Copy */
	nvme_status status; /* what was found, of Compare */
};

/* What an Abort needs on its way. */
struct abort {
	struct loop_message message;
	struct target_queue *queue; /* of the command to be aborted */
	bool is_aborted;
};

struct target_request {
	struct request base;
	struct target_queue *queue;
	target_request_step *execute; /* set by begin */
	const struct namespace *namespace;
	struct target_request *aborter; /* the Abort that waits for this to end, or NULL */
	uint64_t failed_block;      /* for the error log, or TARGET_NO_BLOCK: the command's first */
	struct fence_change change; /* of what changes blocks */
	struct fused fused;         /* of a half */
	union {
		struct store_request store; /* Read, Write and Write Zeroes */
		struct flush flush;
		struct walk walk; /* Dataset Management, Compare, Verify and Copy */
		struct list held; /* Asynchronous Event Request */
		struct abort abort;
		struct fence_turn turn; /* Compare that is fused, before it reads */
	};
};

/** @return whether PSDT is as fabrics has it: an SGL (Base 2.0, 3.3.3.1). */
static inline bool target_request_has_legal_psdt(const struct target_request *request)
{
	uint8_t psdt = request->base.command.flags & NVME_FLAGS_PSDT_MASK;

	return psdt == NVME_FLAGS_PSDT_SGL || psdt == NVME_FLAGS_PSDT_SGL_MPTR;
}

/** @return whether PSDT is as fabrics has it, and the command is not fused. */
static inline bool target_request_has_legal_flags(const struct target_request *request)
{
	return !fused_is_half(&request->base) && target_request_has_legal_psdt(request);
}

/** Check the command's SGL against what the command means to move, and say so in the request
 *  (TCP 1.0, 3.3.2.1; Base 2.0, 4.1.2).
 *  @param bytes to be moved; 0: nothing moves, whatever @transfer says
 *  @return success or the status that ends the command. */
nvme_status target_request_expect(struct target_request *request, enum request_transfer transfer,
	uint64_t bytes) __attribute__((warn_unused_result));

/** The command has ended with @status: note a failure and tell the transport. */
void target_request_finish(struct target_request *request, nvme_status status);

/** Note in the controller's error log that the command fails with @status. */
void target_request_note_failure(const struct target_request *request, nvme_status status);

#endif
