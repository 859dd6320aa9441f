/*
 * Which statuses: a companion that is missing is 0Ah, a range that is not the same Invalid Field for
 * both (NVM 1.0, 2.1.3.1), and what fails otherwise takes the other with it as 09h.
 */
#include "target/fused.h"

#include <stdlib.h>

#include "target/fence.h"
#include "target/io_private.h"
#include "target/target_request.h"

#define FUSED_INVALID  (NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR)
#define FUSED_EXCEEDED (NVME_STATUS_ATOMIC_WRITE_UNIT_EXCEEDED | NVME_STATUS_DNR)

static uint8_t fuse_of(const struct target_request *request)
{
	return request->base.command.flags & NVME_FLAGS_FUSE_MASK;
}

/* End a half alone: at once, or when it is executed. */
static void end_half(struct target_request *half, nvme_status status)
{
	half->fused.partner = NULL;
	if (half->fused.is_here)
		target_request_finish(half, status);
	else
		half->fused.fate = status;
}

void fused_break(struct target_request *request)
{
	struct fused_opening *opening = &request->queue->fused;
	struct target_request *partner;

	if (!fused_is_half(&request->base))
		return;
	if (opening->first == request) {
		opening->first = NULL;
		return;
	}
	partner = request->fused.partner;
	request->fused.partner = NULL;
	if (partner != NULL)
		end_half(partner, NVME_STATUS_ABORTED_FAILED_FUSED);
}

/* Both halves have been executed. */
static bool is_ready(const struct target_request *request)
{
	const struct target_request *partner = request->fused.partner;

	return partner != NULL && request->fused.is_here && partner->fused.is_here;
}

bool fused_is_running(const struct target_request *request)
{
	return fused_is_half(&request->base) && request->fused.is_running;
}

void fused_leave(struct target_request *request)
{
	if (request->fused.data == NULL)
		return;
	free(request->fused.data);
	request->fused.data = NULL;
	request->base.data = NULL;
	request->queue->half_count--;
}

void fused_abort(struct target_request *request)
{
	if (!request->fused.is_here || is_ready(request))
		return;
	fused_break(request);
	target_request_finish(request, NVME_STATUS_ABORT_REQUESTED);
}

void fused_end(struct target_queue *queue)
{
	struct target_request *first = queue->fused.first;

	queue->fused = (struct fused_opening){0};
	if (first != NULL)
		end_half(first, NVME_STATUS_ABORTED_SQ_DELETION);
}

/* Running */

/* The operation is over, the range is free again. */
static void end_pair(struct target_request *second, nvme_status first_status,
	nvme_status second_status)
{
	struct target_request *first = second->fused.partner;

	fence_lower(second->namespace->fence);
	first->fused.partner = NULL;
	second->fused.partner = NULL;
	target_request_finish(first, first_status);
	target_request_finish(second, second_status);
}

/* Execute a half, alone with its block. */
static void run_half(struct target_request *half)
{
	nvme_status status = io_execute_row(half);

	if (status != TARGET_LATER)
		fused_finish(half, status);
}

void fused_finish(struct target_request *request, nvme_status status)
{
	struct target_request *second = request->fused.partner;

	/* NVM 1.0, 2.1.3.1: a Write that fails changes nothing for the Compare. */
	if (fuse_of(request) == NVME_FLAGS_FUSE_SECOND)
		end_pair(request, NVME_STATUS_SUCCESS, status);
	else if (status != NVME_STATUS_SUCCESS)
		end_pair(second, status, NVME_STATUS_ABORTED_FAILED_FUSED);
	else
		run_half(second);
}

static void run(struct fence_turn *turn)
{
	struct target_request *first = container_of(turn, struct target_request, turn);
	struct target_request *second = first->fused.partner;

	if (first->aborter != NULL || second->aborter != NULL) {
		end_pair(second, NVME_STATUS_ABORTED_FAILED_FUSED,
			NVME_STATUS_ABORTED_FAILED_FUSED);
		return;
	}
	first->fused.is_running = true;
	second->fused.is_running = true;
	run_half(first);
}

static nvme_status execute(struct target_request *request)
{
	struct target_request *first =
		fuse_of(request) == NVME_FLAGS_FUSE_FIRST ? request : request->fused.partner;

	if (request->fused.fate != NVME_STATUS_SUCCESS)
		return request->fused.fate;
	request->fused.is_here = true;
	if (!is_ready(request))
		return TARGET_LATER;
	first->turn = (struct fence_turn){
		.loop = first->queue->loop,
		.slba = nvme_command_slba(&first->base.command),
		.block_count = nvme_command_block_count(&first->base.command),
		.raised = run,
	};
	fence_raise(first->namespace->fence, &first->turn);
	return TARGET_LATER;
}

/* Beginning */

/* What every half has to pass. */
static nvme_status begin_half(struct target_request *request)
{
	nvme_status status = io_begin_row(request);

	if (status == NVME_STATUS_SUCCESS &&
		io_fuse(request->base.command.opcode) != fuse_of(request))
		status = FUSED_INVALID;
	request->fused = (struct fused){0};
	request->execute = execute;
	return status;
}

static nvme_status take_data(struct target_request *request)
{
	request->fused.data = malloc(request->base.data_bytes);
	if (request->fused.data == NULL)
		return NVME_STATUS_INTERNAL_ERROR;
	request->base.data = request->fused.data;
	request->queue->half_count++;
	return NVME_STATUS_SUCCESS;
}

static nvme_status begin_first(struct target_request *request)
{
	nvme_status status = begin_half(request);

	if (status == NVME_STATUS_SUCCESS &&
		nvme_command_block_count(&request->base.command) > FUSED_BLOCKS_MAX)
		status = FUSED_EXCEEDED;
	/* The next command may be the second, and needs as much. */
	if (status == NVME_STATUS_SUCCESS && request->queue->half_count > 2 * (FUSED_PAIRS_MAX - 1))
		status = NVME_STATUS_INTERNAL_ERROR;
	if (status == NVME_STATUS_SUCCESS)
		status = take_data(request);
	request->queue->fused = (struct fused_opening){
		.is_open = true,
		.first = status == NVME_STATUS_SUCCESS ? request : NULL,
	};
	return status;
}

static bool is_same_range(const struct target_request *first, const struct target_request *second)
{
	const struct nvme_command *one = &first->base.command, *other = &second->base.command;

	return le32_get(one->nsid) == le32_get(other->nsid) &&
		nvme_command_slba(one) == nvme_command_slba(other) &&
		nvme_command_block_count(one) == nvme_command_block_count(other);
}

static nvme_status begin_second(struct target_request *request, struct target_request *first)
{
	nvme_status status;

	if (first == NULL)
		return NVME_STATUS_ABORTED_FAILED_FUSED;
	if (!is_same_range(first, request)) {
		end_half(first, FUSED_INVALID);
		return FUSED_INVALID;
	}
	status = begin_half(request);
	if (status == NVME_STATUS_SUCCESS)
		status = take_data(request);
	if (status != NVME_STATUS_SUCCESS) {
		end_half(first, NVME_STATUS_ABORTED_FAILED_FUSED);
		return status;
	}
	first->fused.partner = request;
	request->fused.partner = first;
	return NVME_STATUS_SUCCESS;
}

nvme_status fused_begin(struct target_request *request)
{
	struct fused_opening opening = request->queue->fused;
	uint8_t fuse = fuse_of(request);

	request->queue->fused = (struct fused_opening){0};
	if (fuse == NVME_FLAGS_FUSE_SECOND)
		return opening.is_open ? begin_second(request, opening.first)
				       : NVME_STATUS_ABORTED_MISSING_FUSED;
	if (opening.first != NULL)
		end_half(opening.first, NVME_STATUS_ABORTED_MISSING_FUSED);
	if (fuse == NVME_FLAGS_FUSE_FIRST)
		return begin_first(request);
	return fuse == 0 ? io_begin_row(request) : FUSED_INVALID;
}
