/*
 * One end of a copy: a file, a block device, or a disk that is lent. Both kinds take requests that
 * end later and are driven by the same three calls, so that a copy need not know which is which:
 *
 *     timeout_ms = disk_end_prepare(end); poll disk_end_fd(end); disk_end_process(end);
 *
 * What goes wrong while an end is opened is complained of here.
 */
#ifndef FERRY_CMD_DISK_END_H
#define FERRY_CMD_DISK_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop/file.h"

struct ferry_host;
struct loop;

struct disk_end {
	const char *name;     /* as typed */
	uint64_t size_bytes;  /* what is there */
	uint32_t block_bytes; /* requests are multiples of it; 1 for files */
	bool is_fresh;        /* a destination of which everything reads as zeros */
	unsigned outstanding; /* requests */
	/* A disk that is lent; NULL: a file. */
	struct ferry_host *host;
	struct loop *loop;
	int fd;
	bool is_regular;
	dev_t device;
	ino_t inode;
};

#define DISK_END_CLOSED ((struct disk_end){.fd = -1})

enum disk_opcode {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH, /* what is written becomes stable */
};

/* One thing asked of an end, embedded in its owner and the end's until done(). */
struct disk_request {
	/* @error: 0 or -errno; -ENODATA: a file has become shorter. Never from within submit. */
	void (*done)(struct disk_request *request, int error);
	enum disk_opcode opcode;
	uint64_t offset; /* bytes */
	size_t bytes;
	uint8_t *data;
	struct disk_end *end; /* private, as is what follows */
	struct file_operation file;
};

struct disk_end_options {
	const char *verb;     /* for complaints */
	const char *host_nqn; /* NULL: the default */
	uint16_t queue_count; /* 0: the default */
	bool has_header_digest, has_data_digest;
};

/** Open @name (a URL or a path) to be read. @return 0, or -errno after a complaint. */
int disk_end_open_source(const char *name, const struct disk_end_options *options,
	struct disk_end *ret_end) __attribute__((warn_unused_result));

/** Open @name to be written, and read if @is_read_back. A file that is not there is made; nothing of
 *  what is there changes yet. @return 0, or -errno after a complaint. */
int disk_end_open_destination(const char *name, const struct disk_end_options *options,
	bool is_read_back, struct disk_end *ret_end) __attribute__((warn_unused_result));

/** Make room for @bytes: a regular file becomes a hole of this size, anything else must be as large.
 *  @return 0, -ENOSPC (too small), or -errno. */
int disk_end_make_room(struct disk_end *end, uint64_t bytes) __attribute__((warn_unused_result));

/** @return whether both are the same disk or file. */
bool disk_end_is_same(const struct disk_end *a, const struct disk_end *b);

/** Ask; the owner has set all that is not private. @return 0, or -errno and done() is not called. */
int disk_end_submit(struct disk_end *end, struct disk_request *request)
	__attribute__((warn_unused_result));

/** @return where in a file data follow at or after @offset; the size if only a hole does. */
uint64_t disk_end_next_data(const struct disk_end *end, uint64_t offset);

/** Let what is read back come from the medium where that can be had. */
void disk_end_forget_cache(const struct disk_end *end);

/** @return a descriptor that polls readable when disk_end_process() has something to do. */
int disk_end_fd(struct disk_end *end);

/** @return the milliseconds after which disk_end_process() is due anyway, -1: never. */
int disk_end_prepare(struct disk_end *end);

/** Do what there is to do without waiting. @return 0, or -errno when the end is of no use any more. */
int disk_end_process(struct disk_end *end) __attribute__((warn_unused_result));

#define DISK_END_PROBLEM_MAX 1024 /* of a sentence, with NUL */

/** Write a sentence that begins with the end's name and says what @error, its latest, was. A lent disk
 *  that is lost knows why only when the disk_end_process() that ended its requests has returned. */
void disk_end_describe(const struct disk_end *end, int error, char ret_text[DISK_END_PROBLEM_MAX]);

/** Close; requests that are out end before this returns. DISK_END_CLOSED is legal, and what is left. */
void disk_end_close(struct disk_end *end);

#endif
