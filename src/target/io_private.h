/*
 * What the files of I/O commands share. io.c: the table, Read, Write, Flush. io_zero.c: Write
 * Zeroes, Dataset Management. io_compare.c: Compare, Verify. io_copy.c: Copy. io_uncorrectable.c:
 * Write Uncorrectable, and what it means to the others.
 */
#ifndef FERRY_TARGET_IO_PRIVATE_H
#define FERRY_TARGET_IO_PRIVATE_H

#include "nvme/io_command.h"
#include "target/controller.h"
#include "target/io.h"
#include "target/namespace.h"
#include "target/queue_private.h"

#define IO_NO_NAMESPACE   (NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | NVME_STATUS_DNR)
#define IO_PROTECTED      (NVME_STATUS_NAMESPACE_WRITE_PROTECTED | NVME_STATUS_DNR)
#define IO_OUT_OF_RANGE   (NVME_STATUS_LBA_OUT_OF_RANGE | NVME_STATUS_DNR)
#define IO_SIZE_EXCEEDED  (NVME_STATUS_COMMAND_SIZE_LIMIT_EXCEEDED | NVME_STATUS_DNR)
#define IO_INVALID_FIELD  (NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR)
#define IO_INVALID_LENGTH (NVME_STATUS_INVALID_DATA_SGL_LENGTH | NVME_STATUS_DNR)

/** Find the namespace that the command names. @return whether there is one. */
static inline bool io_find_namespace(struct target_request *request)
{
	const struct target_queue *queue = request->queue;
	uint32_t index = le32_get(request->base.command.nsid) - 1;

	if (index >= queue->namespace_count)
		return false;
	request->namespace = &queue->namespaces[index];
	return true;
}

/** As above, for a command that writes.
 *  @return success, or the status for a namespace that is not or may not be written to. */
static inline nvme_status io_find_writable(struct target_request *request)
{
	if (!io_find_namespace(request))
		return IO_NO_NAMESPACE;
	return request->namespace->store->is_read_only ? IO_PROTECTED : NVME_STATUS_SUCCESS;
}

/** @return whether the namespace has @block_count blocks from @slba on. */
static inline bool io_has_range(const struct namespace *namespace, uint64_t slba,
	uint32_t block_count)
{
	uint64_t capacity = namespace_block_count(namespace);

	return block_count <= capacity && slba <= capacity - block_count;
}

/** @return whether what the command writes must be on stable storage when it completes. */
static inline bool io_is_durable(const struct target_request *request)
{
	return (le32_get(request->base.command.cdw12) & NVME_IO_FUA) != 0 ||
		atomic_load_explicit(&request->queue->controller->is_write_through,
			memory_order_relaxed);
}

/** The command brings a list of @bytes bytes. A host may send all of its buffer, up to @bytes_max:
 *  Linux always does so. @return success or the status that ends the command. */
nvme_status io_expect_list(struct target_request *request, uint32_t bytes, uint32_t bytes_max)
	__attribute__((warn_unused_result));

/** What @opcode was asked of the store for has failed with @error, or 0: count it and log it as
 *  @what ("write"). @return the status, without DNR where a retry may succeed. */
nvme_status io_note_error(struct target_request *request, const char *what,
	enum store_opcode opcode, int error) __attribute__((warn_unused_result));

/* What io_check_readable() and io_note_written() do where blocks are marked. */
nvme_status io_find_bad_block(struct target_request *request, uint64_t slba, uint64_t block_count);
nvme_status io_clear_bad_blocks(const struct target_request *request, uint64_t slba,
	uint64_t block_count);

/** Look for blocks marked bad before reading.
 *  @return success, or Unrecovered Read Error, counted, logged and its block noted. */
static inline __attribute__((warn_unused_result)) nvme_status io_check_readable(
	struct target_request *request, uint64_t slba, uint64_t block_count)
{
	return bad_blocks_is_empty(request->namespace->bad_blocks)
		? NVME_STATUS_SUCCESS
		: io_find_bad_block(request, slba, block_count);
}

/** The store has new contents for these blocks: they are bad no more.
 *  @return success, or Write Fault: that cannot be remembered, and they stay bad. */
static inline __attribute__((warn_unused_result)) nvme_status io_note_written(
	const struct target_request *request, uint64_t slba, uint64_t block_count)
{
	return bad_blocks_is_empty(request->namespace->bad_blocks)
		? NVME_STATUS_SUCCESS
		: io_clear_bad_blocks(request, slba, block_count);
}

/** As above, for all blocks of a command with one range. */
static inline __attribute__((warn_unused_result)) nvme_status io_note_range_written(
	const struct target_request *request)
{
	return io_note_written(request, nvme_command_slba(&request->base.command),
		nvme_command_block_count(&request->base.command));
}

/** @return whether two ranges of blocks, which may be any, have one in common. */
static inline bool io_overlap(uint64_t first, uint64_t count, uint64_t other_first,
	uint64_t other_count)
{
	return first <= other_first ? other_first - first < count && other_count > 0
				    : first - other_first < other_count && count > 0;
}

/** The command has ended with @status, alone or as a half. */
static inline void io_finish(struct target_request *request, nvme_status status)
{
	if (fused_is_half(&request->base))
		fused_finish(request, status);
	else
		target_request_finish(request, status);
}

/** Begin the command by its opcode's row, fused or not. */
target_request_step io_begin_row;

/** Execute it so, without regard to fences: it is alone. */
target_request_step io_execute_row;

/** @return NVME_FLAGS_FUSE_FIRST or _SECOND where @opcode may be that half of a pair, else 0. */
uint8_t io_fuse(uint8_t opcode);

/** Set up the request's series for its namespace; next, done and buffer are the caller's. */
void io_init_series(struct target_request *request);

target_request_step io_uncorrectable_begin;
target_request_step io_uncorrectable_execute;
target_request_step io_write_zeroes_begin;
target_request_step io_write_zeroes_execute;
target_request_step io_dataset_begin;
target_request_step io_dataset_execute;
target_request_step io_compare_begin;
target_request_step io_verify_begin;
target_request_step io_scan_execute; /* of both */
target_request_step io_copy_begin;
target_request_step io_copy_execute;
bool io_dataset_changes(const struct target_request *request, uint64_t slba, uint32_t block_count);
bool io_copy_changes(const struct target_request *request, uint64_t slba, uint32_t block_count);

#endif
