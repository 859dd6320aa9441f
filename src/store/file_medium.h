/*
 * What a file store lies on: a regular file or block device, opened, locked and measured.
 */
#ifndef FERRY_STORE_FILE_MEDIUM_H
#define FERRY_STORE_FILE_MEDIUM_H

#include "store/store_private.h"

struct file_medium {
	int fd;
	bool is_regular; /* else a block device */
	uint64_t size_bytes;
	uint32_t block_bytes;
	uint32_t preferred_bytes;
	uint32_t discard_bytes;
	bool can_discard; /* it makes holes that read zeros: so it says when it is opened */
	char name[STORE_NAME_MAX]; /* absolute and without links */
};

/** Open @path. @return 0 and the medium, whose fd is the caller's to close; or -errno as
 *  file_store_open(), with the @problem said. */
int file_medium_open(const char *path, const struct store_options *options,
	const struct store_problem *problem, struct file_medium *ret_medium)
	__attribute__((warn_unused_result));

#endif
