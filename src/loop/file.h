/*
 * File operations: what a store asks of a regular file or a block device. They run beside the loop,
 * in its io_uring or in its I/O threads, complete in any order and never block the loop. An
 * operation is embedded in its owner and belongs to the loop from file_submit() until done().
 */
#ifndef FERRY_LOOP_FILE_H
#define FERRY_LOOP_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "loop/loop.h"

enum file_opcode {
	FILE_READ,     /* @bytes bytes at @offset into @buffer */
	FILE_WRITE,    /* @bytes bytes from @buffer to @offset */
	FILE_SYNC,     /* fdatasync */
	FILE_ALLOCATE, /* fallocate with @flags as mode over @offset, @length_bytes */
};

#define FILE_DURABLE 1u /* a FILE_WRITE is on stable storage when it is done (RWF_DSYNC) */

#define FILE_BYTES_MAX (1u << 30) /* of one read or write */

struct file_operation {
	/* Called by the loop, in a turn after that of file_submit(). It may submit again. */
	void (*done)(struct file_operation *operation);
	enum file_opcode opcode;
	int fd;
	void *buffer;
	size_t bytes;          /* of FILE_READ and FILE_WRITE */
	uint64_t offset;       /* bytes */
	uint64_t length_bytes; /* of FILE_ALLOCATE */
	unsigned flags;        /* FILE_DURABLE, or fallocate's mode */
	/* -errno, or the bytes moved: all of them, but for a read that met the end of the file. */
	int64_t result;
	/* private */
	struct list link;
	struct loop *loop;
	size_t moved_bytes;
	struct loop_message message;
};

/** Begin @operation, whose fields up to flags are set. Never fails: errors come in result. Short
 *  transfers and EINTR/EAGAIN are carried on until all is moved. */
void file_submit(struct loop *loop, struct file_operation *operation);

#endif
