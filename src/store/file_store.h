/*
 * Blocks in a regular file or a block device, through the page cache and by the loop's file
 * operations.
 *
 * Who else has it: a file is locked as a whole by an open file description lock, exclusive for
 * writing and shared for reading only, which other Ferries and QEMU respect. A block device is
 * opened exclusively for writing, which fails while it is mounted.
 *
 * Who changes it: a regular file that has become shorter under us gives ENODATA for what lies past
 * its end. A write there would silently make it longer again, as a file full of holes, and succeed;
 * so the size is looked at before each write. A file cut off between the look and the write still
 * grows again: nothing in the kernel writes only within the end.
 */
#ifndef FERRY_STORE_FILE_STORE_H
#define FERRY_STORE_FILE_STORE_H

struct store;
struct store_options;
struct store_problem;

/** Open @path.
 *  @return 0 and the store, the caller's, or -errno with the @problem said. Among others -EISDIR,
 *  -ENOTBLK (neither a file nor a block device), -EBUSY (mounted, or locked by another process),
 *  -EROFS (it can only be read), -EINVAL (its size or block size does not do). */
int file_store_open(const char *path, const struct store_options *options,
	const struct store_problem *problem, struct store **ret_store)
	__attribute__((warn_unused_result));

/** A flush or durable write has ended with @error, 0 or a positive errno; the first failure is
 *  latched.
 *  @return the errno it is to be reported with: that of the latched failure, if there is one. */
int file_store_latch(struct store *store, int error) __attribute__((warn_unused_result));

#endif
