/*
 * Compare (NVM 1.0, 3.2.1) and Verify (NVM 1.0, 3.2.5): blocks that are read and go nowhere.
 */
#include <string.h>

#include "target/io_private.h"
#include "target/target_private.h"

nvme_status io_compare_begin(struct target_request *request)
{
	const struct nvme_command *command = &request->base.command;
	uint32_t block_count = nvme_command_block_count(command);

	if (!io_find_namespace(request))
		return IO_NO_NAMESPACE;
	if (!io_has_range(request->namespace, nvme_command_slba(command), block_count))
		return IO_OUT_OF_RANGE;
	return target_request_expect(request, REQUEST_FROM_HOST,
		(uint64_t)block_count << request->namespace->block_shift);
}

/* No data moves; VSL is the same as MDTS. */
nvme_status io_verify_begin(struct target_request *request)
{
	const struct nvme_command *command = &request->base.command;
	uint32_t block_count = nvme_command_block_count(command);

	if (!io_find_namespace(request))
		return IO_NO_NAMESPACE;
	if (!io_has_range(request->namespace, nvme_command_slba(command), block_count))
		return IO_OUT_OF_RANGE;
	if ((uint64_t)block_count << request->namespace->block_shift > request->queue->data_max)
		return IO_INVALID_FIELD;
	return target_request_expect(request, REQUEST_NO_DATA, 0);
}

static size_t scan_bytes(const struct target_request *request)
{
	return (size_t)nvme_command_block_count(&request->base.command)
		<< request->namespace->block_shift;
}

/* Look at the part that was read, and read the next one. */
static bool next_part(struct series *series)
{
	struct target_request *request = container_of(series, struct target_request, walk.series);
	struct store_request *store = &series->store;
	uint64_t slba = nvme_command_slba(&request->base.command);

	if (request->base.command.opcode == NVME_IO_COMPARE &&
		memcmp(store->data, request->base.data + request->walk.position, store->bytes) !=
			0) {
		request->walk.status = NVME_STATUS_COMPARE_FAILURE | NVME_STATUS_DNR;
		return false;
	}
	request->walk.position += store->bytes;
	store->offset = (slba << request->namespace->block_shift) + request->walk.position;
	store->bytes = scan_bytes(request) - request->walk.position;
	if (store->bytes > SERIES_BUFFER_BYTES)
		store->bytes = SERIES_BUFFER_BYTES;
	return store->bytes > 0;
}

static bool first_part(struct series *series)
{
	series->store.opcode = STORE_READ;
	series->store.data = series->buffer->bytes;
	series->store.bytes = 0;
	series->next = next_part;
	return next_part(series);
}

static void scan_done(struct series *series, int error)
{
	struct target_request *request = container_of(series, struct target_request, walk.series);
	struct counters *counters = &request->queue->counters;
	nvme_status status = io_note_error(request, "read", STORE_READ, error);

	if (status == NVME_STATUS_SUCCESS)
		status = request->walk.status;
	/* Base 2.0, 5.16.1.3: both are data read, only Compare is a read command of the host. */
	if (status == NVME_STATUS_SUCCESS) {
		counter_add(&counters->read_bytes, scan_bytes(request));
		if (request->base.command.opcode == NVME_IO_COMPARE)
			counter_add(&counters->read_count, 1);
	}
	io_finish(request, status);
}

nvme_status io_scan_execute(struct target_request *request)
{
	const struct nvme_command *command = &request->base.command;
	nvme_status status = io_check_readable(request, nvme_command_slba(command),
		nvme_command_block_count(command));

	if (status != NVME_STATUS_SUCCESS)
		return status;
	io_init_series(request);
	request->walk.series.buffer = &request->queue->buffer;
	request->walk.series.next = first_part;
	request->walk.series.done = scan_done;
	series_start(&request->walk.series);
	return TARGET_LATER;
}
