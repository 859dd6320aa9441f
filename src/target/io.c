/*
 * The order of the checks (NVM 1.0, 3.2, and as hosts expect): opcode; FUSE and PSDT; NSID; write
 * protection; the range of blocks; MDTS; the SGL.
 */
#include "target/io.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "nvme/identify.h"
#include "nvme/log_page.h"
#include "target/fabrics.h"
#include "target/io_private.h"
#include "target/target_private.h"

/* @return the status that says why a store failed, without DNR where a retry may succeed. */
static nvme_status status_of_error(int error, enum store_opcode opcode)
{
	nvme_status media =
		opcode == STORE_READ ? NVME_STATUS_UNRECOVERED_READ_ERROR : NVME_STATUS_WRITE_FAULT;

	switch (error) {
	case 0:
		return NVME_STATUS_SUCCESS;
	case ENOSPC:
	case EDQUOT:
		return NVME_STATUS_CAPACITY_EXCEEDED | NVME_STATUS_DNR;
	case EROFS:
	case EPERM:
		return NVME_STATUS_NAMESPACE_WRITE_PROTECTED | NVME_STATUS_DNR;
	case EIO:
		/* A flush that failed is latched: see store.h. */
		return opcode == STORE_FLUSH ? media | NVME_STATUS_DNR : media;
	case ENODATA:
		return media | NVME_STATUS_DNR;
	case ENOMEM:
	case EAGAIN:
		return NVME_STATUS_INTERNAL_ERROR;
	default:
		return NVME_STATUS_INTERNAL_ERROR | NVME_STATUS_DNR;
	}
}

static void log_store_error(const struct target_request *request, const char *what, int error)
{
	const struct target_queue *queue = request->queue;

	if (error != 0)
		log_write(queue->target->log, LOG_LEVEL_ERROR, "store failed",
			"%s: %s of %s failed: %s", queue->name, what,
			request->namespace != NULL ? request->namespace->store->name
						   : "all namespaces",
			strerrordesc_np(error));
}

/* What the files of I/O commands share */

nvme_status io_expect_list(struct target_request *request, uint32_t bytes, uint32_t bytes_max)
{
	uint32_t sgl_bytes = le32_get(request->base.command.sgl.length);

	if (sgl_bytes < bytes || sgl_bytes > bytes_max)
		return IO_INVALID_LENGTH;
	return target_request_expect(request, REQUEST_FROM_HOST, sgl_bytes);
}

nvme_status io_note_error(struct target_request *request, const char *what,
	enum store_opcode opcode, int error)
{
	if (error != 0)
		counter_add(&request->queue->counters.media_error_count, 1);
	log_store_error(request, what, error);
	return status_of_error(error, opcode);
}

void io_init_series(struct target_request *request)
{
	request->walk = (struct walk){
		.series.medium = request->namespace->store,
		.series.loop = request->queue->loop,
		.series.budget = &request->queue->budget,
	};
}

/* Check the range of blocks and the SGL, and prepare the store's request. */
static inline nvme_status begin_blocks(struct target_request *request,
	enum request_transfer transfer)
{
	const struct nvme_command *command = &request->base.command;
	const struct namespace *namespace = request->namespace;
	uint64_t slba = nvme_command_slba(command);
	uint32_t block_count = nvme_command_block_count(command);

	if (!io_has_range(namespace, slba, block_count))
		return IO_OUT_OF_RANGE;
	request->store.offset = slba << namespace->block_shift;
	request->store.bytes = (size_t)block_count << namespace->block_shift;
	return target_request_expect(request, transfer, request->store.bytes);
}

static void submit_blocks(struct target_request *request, enum store_opcode opcode, bool is_durable,
	void (*done)(struct store_request *request))
{
	struct store_request *store = &request->store;

	store->done = done;
	store->opcode = opcode;
	store->is_durable = is_durable;
	store->data = request->base.data;
	store->error = 0;
	store_submit(request->namespace->store, request->queue->loop, store);
}

/* Read */

static nvme_status read_begin(struct target_request *request)
{
	nvme_status status;

	if (!io_find_namespace(request))
		return IO_NO_NAMESPACE;
	status = begin_blocks(request, REQUEST_TO_HOST);
	request->base.is_lending = request->namespace->store->is_lending;
	return status;
}

static void count_read(struct target_request *request, nvme_status status)
{
	struct counters *counters = &request->queue->counters;

	if (status == NVME_STATUS_SUCCESS) {
		counter_add(&counters->read_count, 1);
		counter_add(&counters->read_bytes, request->base.data_bytes);
	} else {
		counter_add(&counters->media_error_count, 1);
	}
}

static void read_done(struct store_request *store)
{
	struct target_request *request = container_of(store, struct target_request, store);
	nvme_status status = status_of_error(store->error, STORE_READ);

	count_read(request, status);
	log_store_error(request, "read", store->error);
	target_request_finish(request, status);
}

static nvme_status read_execute(struct target_request *request)
{
	struct store *store = request->namespace->store;
	const struct nvme_command *command = &request->base.command;
	nvme_status status = io_check_readable(request, nvme_command_slba(command),
		nvme_command_block_count(command));

	if (status != NVME_STATUS_SUCCESS)
		return status;
	if (!request->base.is_lending) {
		submit_blocks(request, STORE_READ, false, read_done);
		return TARGET_LATER;
	}
	/* The transport only sends what it is lent. */
	request->base.data = (uint8_t *)store->operations->lend(store, request->store.offset,
		request->store.bytes);
	count_read(request, NVME_STATUS_SUCCESS);
	return NVME_STATUS_SUCCESS;
}

/* Write */

static nvme_status write_begin(struct target_request *request)
{
	nvme_status status = io_find_writable(request);

	return status != NVME_STATUS_SUCCESS ? status : begin_blocks(request, REQUEST_FROM_HOST);
}

static void write_done(struct store_request *store)
{
	struct target_request *request = container_of(store, struct target_request, store);
	struct counters *counters = &request->queue->counters;
	nvme_status status = status_of_error(store->error, STORE_WRITE);

	if (status == NVME_STATUS_SUCCESS)
		status = io_note_range_written(request);
	if (status == NVME_STATUS_SUCCESS) {
		counter_add(&counters->written_count, 1);
		counter_add(&counters->written_bytes, request->base.data_bytes);
	} else {
		counter_add(&counters->media_error_count, 1);
	}
	log_store_error(request, "write", store->error);
	io_finish(request, status);
}

static nvme_status write_execute(struct target_request *request)
{
	submit_blocks(request, STORE_WRITE, io_is_durable(request), write_done);
	return TARGET_LATER;
}

/* Flush */

static nvme_status flush_begin(struct target_request *request)
{
	request->namespace = NULL;
	if (le32_get(request->base.command.nsid) != NVME_NSID_BROADCAST &&
		!io_find_namespace(request))
		return IO_NO_NAMESPACE;
	return target_request_expect(request, REQUEST_NO_DATA, 0);
}

static void flush_done(struct flush *flush)
{
	struct target_request *request = container_of(flush, struct target_request, flush);

	log_store_error(request, "flush", flush->error);
	target_request_finish(request, status_of_error(flush->error, STORE_FLUSH));
}

static nvme_status flush_execute(struct target_request *request)
{
	struct target_queue *queue = request->queue;

	if (request->namespace != NULL)
		flush_start(&request->flush, queue->loop, request->namespace, 1, flush_done);
	else
		flush_start(&request->flush, queue->loop, queue->namespaces, queue->namespace_count,
			flush_done);
	return TARGET_LATER;
}

#define WRITING (NVME_EFFECTS_SUPPORTED | NVME_EFFECTS_LBA_CONTENT)

struct io_command {
	target_request_step *begin;
	target_request_step *execute;
	uint32_t effects;
	uint16_t oncs;
	uint8_t fuse; /* which half of a fused pair it may be: NVME_FLAGS_FUSE_... */
	/* What it changes if it has an effect on content; NULL: SLBA and NLB say so. As io_changes(). */
	bool (*changes)(const struct target_request *request, uint64_t slba, uint32_t block_count);
};

static const struct io_command io_commands[256] = {
	[NVME_IO_FLUSH] = {flush_begin, flush_execute, NVME_EFFECTS_SUPPORTED, 0, 0, NULL},
	[NVME_IO_WRITE] = {write_begin, write_execute, WRITING, 0, NVME_FLAGS_FUSE_SECOND, NULL},
	[NVME_IO_READ] = {read_begin, read_execute, NVME_EFFECTS_SUPPORTED, 0, 0, NULL},
	[NVME_IO_WRITE_UNCORRECTABLE] = {io_uncorrectable_begin, io_uncorrectable_execute, WRITING,
		NVME_ONCS_WRITE_UNCORRECTABLE, 0, NULL},
	[NVME_IO_COMPARE] = {io_compare_begin, io_scan_execute, NVME_EFFECTS_SUPPORTED,
		NVME_ONCS_COMPARE, NVME_FLAGS_FUSE_FIRST, NULL},
	[NVME_IO_WRITE_ZEROES] = {io_write_zeroes_begin, io_write_zeroes_execute, WRITING,
		NVME_ONCS_WRITE_ZEROES, 0, NULL},
	[NVME_IO_DATASET_MANAGEMENT] = {io_dataset_begin, io_dataset_execute, WRITING,
		NVME_ONCS_DATASET_MANAGEMENT, 0, io_dataset_changes},
	[NVME_IO_VERIFY] = {io_verify_begin, io_scan_execute, NVME_EFFECTS_SUPPORTED,
		NVME_ONCS_VERIFY, 0, NULL},
	[NVME_IO_COPY] = {io_copy_begin, io_copy_execute, WRITING, NVME_ONCS_COPY, 0,
		io_copy_changes},
};

nvme_status io_execute_row(struct target_request *request)
{
	return io_commands[request->base.command.opcode].execute(request);
}

bool io_changes(const struct target_request *request, uint64_t slba, uint32_t block_count)
{
	const struct nvme_command *command = &request->base.command;
	const struct io_command *row = &io_commands[command->opcode];

	if (row->changes != NULL)
		return row->changes(request, slba, block_count);
	return io_overlap(slba, block_count, nvme_command_slba(command),
		nvme_command_block_count(command));
}

static nvme_status execute_change(struct target_request *request)
{
	struct fence_part *part = fence_site_part(request->queue->site, request->namespace->fence);

	if (fence_hold(part, request))
		return TARGET_LATER;
	fence_enter(part, &request->change);
	return io_execute_row(request);
}

nvme_status io_begin_row(struct target_request *request)
{
	uint8_t opcode = request->base.command.opcode;
	const struct io_command *row = &io_commands[opcode];

	if (row->begin == NULL) {
		if (opcode == NVME_IO_FABRICS)
			return fabrics_begin(request);
		log_write(request->queue->target->log, LOG_LEVEL_WARNING, "unsupported I/O command",
			"%s: unsupported I/O command %02xh", request->queue->name, opcode);
		return NVME_STATUS_INVALID_OPCODE | NVME_STATUS_DNR;
	}
	if (!target_request_has_legal_psdt(request))
		return IO_INVALID_FIELD;
	request->execute =
		(row->effects & NVME_EFFECTS_LBA_CONTENT) != 0 ? execute_change : row->execute;
	return row->begin(request);
}

nvme_status io_begin(struct target_request *request)
{
	if (request->queue->fused.is_open || fused_is_half(&request->base))
		return fused_begin(request);
	return io_begin_row(request);
}

uint32_t io_effects(uint8_t opcode)
{
	return io_commands[opcode].effects;
}

uint8_t io_fuse(uint8_t opcode)
{
	return io_commands[opcode].fuse;
}

uint16_t io_fuses(void)
{
	uint8_t halves = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(io_commands); i++)
		halves |= io_commands[i].fuse;
	return halves == NVME_FLAGS_FUSE_MASK ? NVME_FUSES_COMPARE_AND_WRITE : 0;
}

uint16_t io_oncs(void)
{
	uint16_t oncs = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(io_commands); i++)
		oncs |= io_commands[i].oncs;
	return oncs;
}
