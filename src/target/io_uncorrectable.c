/*
 * Write Uncorrectable (NVM 1.0, 3.2.7): blocks that cannot be read until they are written. The store
 * knows nothing of it.
 */
#include <string.h>

#include "base/log.h"
#include "target/io_private.h"
#include "target/target_private.h"

#define IO_WRITE_FAULT (NVME_STATUS_WRITE_FAULT | NVME_STATUS_DNR)

/* No data moves, MDTS is no limit. */
nvme_status io_uncorrectable_begin(struct target_request *request)
{
	const struct nvme_command *command = &request->base.command;
	nvme_status status = io_find_writable(request);

	if (status != NVME_STATUS_SUCCESS)
		return status;
	if (!io_has_range(request->namespace, nvme_command_slba(command),
		    nvme_command_block_count(command)))
		return IO_OUT_OF_RANGE;
	return target_request_expect(request, REQUEST_NO_DATA, 0);
}

nvme_status io_uncorrectable_execute(struct target_request *request)
{
	const struct nvme_command *command = &request->base.command;
	const struct target_queue *queue = request->queue;
	const char *name = request->namespace->store->name;
	uint64_t slba = nvme_command_slba(command);
	uint32_t block_count = nvme_command_block_count(command);
	int error = bad_blocks_mark(request->namespace->bad_blocks, slba, slba + block_count);

	if (error != 0) {
		log_write(queue->target->log, LOG_LEVEL_WARNING, "blocks not marked bad",
			"%s: %u blocks of %s from %llu on cannot be marked bad: %s", queue->name,
			block_count, name, (unsigned long long)slba,
			error == -ENOSPC ? "too many ranges are" : strerrordesc_np(-error));
		return IO_WRITE_FAULT;
	}
	log_write(queue->target->log, LOG_LEVEL_WARNING, "blocks marked bad",
		"%s: marked %u blocks of %s from %llu on as bad, until they are written or ferry "
		"ends",
		queue->name, block_count, name, (unsigned long long)slba);
	return NVME_STATUS_SUCCESS;
}

/* What it means to the others */

nvme_status io_find_bad_block(struct target_request *request, uint64_t slba, uint64_t block_count)
{
	const struct namespace *namespace = request->namespace;
	struct target_queue *queue = request->queue;
	uint64_t block;

	if (!bad_blocks_find(namespace->bad_blocks, slba, slba + block_count, &block))
		return NVME_STATUS_SUCCESS;
	request->failed_block = block;
	counter_add(&queue->counters.media_error_count, 1);
	log_write(queue->target->log, LOG_LEVEL_WARNING, "bad block read",
		"%s: opcode %02xh reads block %llu of %s, which a host has marked bad", queue->name,
		request->base.command.opcode, (unsigned long long)block, namespace->store->name);
	return NVME_STATUS_UNRECOVERED_READ_ERROR | NVME_STATUS_DNR;
}

nvme_status io_clear_bad_blocks(const struct target_request *request, uint64_t slba,
	uint64_t block_count)
{
	const struct namespace *namespace = request->namespace;
	const struct target_queue *queue = request->queue;

	if (bad_blocks_clear(namespace->bad_blocks, slba, slba + block_count) == 0)
		return NVME_STATUS_SUCCESS;
	log_write(queue->target->log, LOG_LEVEL_ERROR, "blocks stay bad",
		"%s: blocks of %s from %llu on stay marked bad though they are written: too many "
		"ranges are",
		queue->name, namespace->store->name, (unsigned long long)slba);
	return IO_WRITE_FAULT;
}
