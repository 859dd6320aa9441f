/*
 * What is the same for all commands: the SGL, and the end.
 */
#include "target/target_request.h"

#include "nvme/discovery.h"
#include "nvme/io_command.h"
#include "nvme/log_page.h"
#include "target/abort.h"
#include "target/controller.h"
#include "target/queue_private.h"
#include "target/target_private.h"

static nvme_status check_sgl(const struct target_request *request, enum request_transfer transfer,
	uint32_t bytes)
{
	const struct request *base = &request->base;
	const struct nvme_sgl *sgl = &base->command.sgl;

	if (bytes > 0 && sgl->type == NVME_SGL_IN_CAPSULE) {
		if (transfer != REQUEST_FROM_HOST)
			return NVME_STATUS_INVALID_SGL_TYPE;
		if (le64_get(sgl->address) != 0)
			return NVME_STATUS_INVALID_SGL_OFFSET;
		if (base->capsule_bytes != bytes || bytes > request->queue->capsule_bytes)
			return NVME_STATUS_INVALID_DATA_SGL_LENGTH;
	} else if (bytes > 0 && sgl->type != NVME_SGL_TRANSPORT) {
		return NVME_STATUS_INVALID_SGL_TYPE;
	} else if (base->capsule_bytes != 0) {
		return NVME_STATUS_INVALID_DATA_SGL_LENGTH;
	}
	return le32_get(sgl->length) == bytes ? NVME_STATUS_SUCCESS
					      : NVME_STATUS_INVALID_DATA_SGL_LENGTH;
}

nvme_status target_request_expect(struct target_request *request, enum request_transfer transfer,
	uint64_t bytes)
{
	nvme_status status;

	if (bytes > request->queue->data_max)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	status = check_sgl(request, transfer, (uint32_t)bytes);
	if (status != NVME_STATUS_SUCCESS)
		return status | NVME_STATUS_DNR;
	request->base.transfer = bytes == 0 ? REQUEST_NO_DATA : transfer;
	request->base.data_bytes = (uint32_t)bytes;
	return NVME_STATUS_SUCCESS;
}

void target_request_note_failure(const struct target_request *request, nvme_status status)
{
	const struct target_queue *queue = request->queue;
	const struct nvme_command *command = &request->base.command;
	struct nvme_log_error entry = {
		.sqid = le16_of(queue->qid),
		.cid = command->cid,
		.status = le16_of((uint16_t)(status << 1)),
		.location = le16_of(NVME_ERROR_NO_LOCATION),
		.trtype = NVME_TRTYPE_TCP,
	};

	if (queue->state != TARGET_QUEUE_LIVE)
		return;
	if (command->opcode != NVME_ADMIN_FABRICS)
		entry.nsid = command->nsid;
	if (queue->is_io && command->opcode != NVME_IO_FLUSH &&
		command->opcode != NVME_IO_DATASET_MANAGEMENT)
		entry.lba = le64_of(request->failed_block != TARGET_NO_BLOCK
				? request->failed_block
				: nvme_command_slba(command));
	error_log_add(&queue->controller->errors, entry);
}

void target_request_finish(struct target_request *request, nvme_status status)
{
	struct target_request *aborter = request->aborter;

	if (request->change.part != NULL)
		fence_leave(&request->change);
	if (fused_is_half(&request->base))
		fused_leave(request);
	if (aborter != NULL)
		status = NVME_STATUS_ABORT_REQUESTED;
	if (status != NVME_STATUS_SUCCESS)
		target_request_note_failure(request, status);
	request->base.status = status;
	request->base.complete(&request->base);
	if (aborter != NULL)
		abort_answer(aborter, true);
}
