/*
 * Copy (NVM 1.0, 3.2.2), with source ranges in format 0. All ranges are checked before anything is
 * written. A destination that overlaps a source is refused: which bytes it would get is said
 * nowhere.
 */
#include <string.h>

#include "target/io_private.h"

nvme_status io_copy_begin(struct target_request *request)
{
	const struct nvme_command *command = &request->base.command;
	uint32_t count = nvme_command_copy_range_count(command);
	nvme_status status = io_find_writable(request);

	if (status != NVME_STATUS_SUCCESS)
		return status;
	if (nvme_command_copy_format(command) != 0)
		return IO_INVALID_FIELD;
	return io_expect_list(request, count * (uint32_t)sizeof(struct nvme_copy_range),
		NVME_COPY_RANGES_MAX * sizeof(struct nvme_copy_range));
}

/* The source range @index. @return its first block. */
static uint64_t source(const struct target_request *request, uint32_t index,
	uint32_t *ret_block_count)
{
	struct nvme_copy_range range;

	memcpy(&range, request->base.data + index * sizeof(range), sizeof(range));
	*ret_block_count = le16_get(range.nlb) + 1u;
	return le64_get(range.slba);
}

bool io_copy_changes(const struct target_request *request, uint64_t slba, uint32_t block_count)
{
	uint32_t count = nvme_command_copy_range_count(&request->base.command), sum = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t range_count;

		(void)source(request, i, &range_count);
		sum += range_count;
	}
	return io_overlap(slba, block_count, nvme_command_slba(&request->base.command), sum);
}

static nvme_status check_ranges(const struct target_request *request)
{
	const struct namespace *namespace = request->namespace;
	uint32_t count = nvme_command_copy_range_count(&request->base.command);
	uint64_t to = nvme_command_slba(&request->base.command);
	uint32_t sum = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t block_count;
		uint64_t from = source(request, i, &block_count);

		sum += block_count;
		if (block_count > io_copy_range_blocks(namespace))
			return IO_SIZE_EXCEEDED;
		if (!io_has_range(namespace, from, block_count))
			return IO_OUT_OF_RANGE;
	}
	if (sum > io_copy_blocks(namespace))
		return IO_SIZE_EXCEEDED;
	if (!io_has_range(namespace, to, sum))
		return IO_OUT_OF_RANGE;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t block_count;
		uint64_t from = source(request, i, &block_count);

		if (io_overlap(from, block_count, to, sum))
			return IO_INVALID_FIELD;
	}
	return NVME_STATUS_SUCCESS;
}

/* The next part of the source range that the walk has come to, or of the one after it.
 * @return whether there is one that can be read. */
static bool read_part(struct target_request *request)
{
	struct store_request *store = &request->walk.series.store;
	uint8_t block_shift = request->namespace->block_shift;
	uint32_t block_count;
	uint64_t from = source(request, request->walk.index, &block_count);
	size_t bytes = (size_t)block_count << block_shift;

	if (request->walk.position == bytes) {
		request->walk.position = 0;
		if (++request->walk.index == nvme_command_copy_range_count(&request->base.command))
			return false;
		from = source(request, request->walk.index, &block_count);
		bytes = (size_t)block_count << block_shift;
	}
	store->opcode = STORE_READ;
	store->is_durable = false;
	store->offset = (from << block_shift) + request->walk.position;
	store->bytes = bytes - request->walk.position;
	if (store->bytes > SERIES_BUFFER_BYTES)
		store->bytes = SERIES_BUFFER_BYTES;
	request->walk.status = io_check_readable(request, store->offset >> block_shift,
		store->bytes >> block_shift);
	return request->walk.status == NVME_STATUS_SUCCESS;
}

/* Read a part, write it, read the next. */
static bool next_part(struct series *series)
{
	struct target_request *request = container_of(series, struct target_request, walk.series);
	struct store_request *store = &series->store;
	uint8_t block_shift = request->namespace->block_shift;
	uint64_t to = nvme_command_slba(&request->base.command) << block_shift;

	if (store->opcode == STORE_READ) {
		store->opcode = STORE_WRITE;
		store->is_durable = io_is_durable(request);
		store->offset = to + request->walk.written;
		return true;
	}
	request->walk.position += store->bytes;
	request->walk.written += store->bytes;
	request->walk.status =
		io_note_written(request, store->offset >> block_shift, store->bytes >> block_shift);
	return request->walk.status == NVME_STATUS_SUCCESS && read_part(request);
}

static bool first_part(struct series *series)
{
	struct target_request *request = container_of(series, struct target_request, walk.series);

	series->store.data = series->buffer->bytes;
	series->next = next_part;
	return read_part(request);
}

static void copy_done(struct series *series, int error)
{
	struct target_request *request = container_of(series, struct target_request, walk.series);
	bool is_read = series->store.opcode == STORE_READ;
	nvme_status status = io_note_error(request, is_read ? "read for a copy" : "write of a copy",
		series->store.opcode, error);

	if (status == NVME_STATUS_SUCCESS)
		status = request->walk.status;
	counter_add(&request->queue->counters.read_bytes, request->walk.written);
	counter_add(&request->queue->counters.written_bytes, request->walk.written);
	/* NVM 1.0, 3.2.2: the first range that was not copied whole. */
	if (status != NVME_STATUS_SUCCESS)
		request->base.result = request->walk.index;
	target_request_finish(request, status);
}

nvme_status io_copy_execute(struct target_request *request)
{
	nvme_status status = check_ranges(request);

	if (status != NVME_STATUS_SUCCESS)
		return status;
	io_init_series(request);
	request->walk.series.buffer = &request->queue->buffer;
	request->walk.series.next = first_part;
	request->walk.series.done = copy_done;
	series_start(&request->walk.series);
	return TARGET_LATER;
}
