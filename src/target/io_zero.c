/*
 * Write Zeroes (NVM 1.0, 3.2.8) and Dataset Management (NVM 1.0, 3.2.3): blocks that become zeros,
 * or are no longer wanted.
 */
#include <string.h>

#include "target/io_private.h"

/* Write Zeroes: no data moves, MDTS is no limit. */

nvme_status io_write_zeroes_begin(struct target_request *request)
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

static void write_zeroes_done(struct store_request *store)
{
	struct target_request *request = container_of(store, struct target_request, store);

	nvme_status status = io_note_error(request, "write of zeros", STORE_ZERO, store->error);

	if (status == NVME_STATUS_SUCCESS)
		status = io_note_range_written(request);
	target_request_finish(request, status);
}

nvme_status io_write_zeroes_execute(struct target_request *request)
{
	const struct nvme_command *command = &request->base.command;
	const struct namespace *namespace = request->namespace;

	request->store = (struct store_request){
		.done = write_zeroes_done,
		.opcode = STORE_ZERO,
		.is_durable = io_is_durable(request),
		.may_unmap = (le32_get(command->cdw12) & NVME_IO_DEAC) != 0,
		.offset = nvme_command_slba(command) << namespace->block_shift,
		.bytes = (size_t)nvme_command_block_count(command) << namespace->block_shift,
	};
	store_submit(namespace->store, request->queue->loop, &request->store);
	return TARGET_LATER;
}

/* Dataset Management: but for deallocation all of it is hints, which nothing is made of. */

static bool is_deallocation(const struct target_request *request)
{
	return (le32_get(request->base.command.cdw11) & NVME_DSM_AD) != 0;
}

nvme_status io_dataset_begin(struct target_request *request)
{
	uint32_t count = nvme_command_dsm_range_count(&request->base.command);

	if (!io_find_namespace(request))
		return IO_NO_NAMESPACE;
	if (is_deallocation(request) && request->namespace->store->is_read_only)
		return IO_PROTECTED;
	return io_expect_list(request, count * (uint32_t)sizeof(struct nvme_dsm_range),
		NVME_DSM_RANGES_MAX * sizeof(struct nvme_dsm_range));
}

static struct nvme_dsm_range dataset_range(const struct target_request *request, uint32_t index)
{
	struct nvme_dsm_range range;

	memcpy(&range, request->base.data + index * sizeof(range), sizeof(range));
	return range;
}

bool io_dataset_changes(const struct target_request *request, uint64_t slba, uint32_t block_count)
{
	uint32_t count = nvme_command_dsm_range_count(&request->base.command);

	for (uint32_t i = 0; is_deallocation(request) && i < count; i++) {
		struct nvme_dsm_range range = dataset_range(request, i);

		if (io_overlap(slba, block_count, le64_get(range.slba),
			    le32_get(range.block_count)))
			return true;
	}
	return false;
}

static bool next_range(struct series *series)
{
	struct target_request *request = container_of(series, struct target_request, walk.series);
	uint32_t count = nvme_command_dsm_range_count(&request->base.command);

	while (request->walk.index < count) {
		struct nvme_dsm_range range = dataset_range(request, request->walk.index++);
		uint64_t block_count = le32_get(range.block_count);
		uint8_t block_shift = request->namespace->block_shift;

		if (block_count == 0)
			continue;
		series->store.opcode = STORE_DISCARD;
		series->store.offset = le64_get(range.slba) << block_shift;
		series->store.bytes = (size_t)(block_count << block_shift);
		return true;
	}
	return false;
}

/* Deallocated blocks read zeros, if the store says so (DLFEAT), whatever they were. Where it only
 * leaves them as they are, they stay bad too. Each range is good at once: when the last one is done
 * others may have written to the first and marked it again. */
static bool range_discarded(struct series *series)
{
	struct target_request *request = container_of(series, struct target_request, walk.series);
	uint8_t block_shift = request->namespace->block_shift;

	if (request->namespace->store->can_discard)
		request->walk.status = io_note_written(request, series->store.offset >> block_shift,
			series->store.bytes >> block_shift);
	return request->walk.status == NVME_STATUS_SUCCESS && next_range(series);
}

static bool first_range(struct series *series)
{
	series->next = range_discarded;
	return next_range(series);
}

static void dataset_done(struct series *series, int error)
{
	struct target_request *request = container_of(series, struct target_request, walk.series);
	nvme_status status = io_note_error(request, "discard", STORE_DISCARD, error);

	target_request_finish(request,
		status == NVME_STATUS_SUCCESS ? request->walk.status : status);
}

nvme_status io_dataset_execute(struct target_request *request)
{
	uint32_t count = nvme_command_dsm_range_count(&request->base.command);

	for (uint32_t i = 0; i < count; i++) {
		struct nvme_dsm_range range = dataset_range(request, i);

		if (!io_has_range(request->namespace, le64_get(range.slba),
			    le32_get(range.block_count)))
			return IO_OUT_OF_RANGE;
	}
	if (!is_deallocation(request))
		return NVME_STATUS_SUCCESS;
	io_init_series(request);
	request->walk.series.next = first_range;
	request->walk.series.done = dataset_done;
	series_start(&request->walk.series);
	return TARGET_LATER;
}
