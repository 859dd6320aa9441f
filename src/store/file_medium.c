/*
 * Opening a medium without touching what is none: the kind is looked at first, since already
 * opening a FIFO or a character device may block or do things.
 */
#include "store/file_medium.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "store/device_limits.h"

#define BLOCK_BYTES_SMALL 512
#define BLOCK_BYTES_LARGE 4096

/* What one attempt to open works with. */
struct opening {
	const struct store_options *options;
	const struct store_problem *problem;
	struct file_medium *medium;
};

static int check_kind(const struct opening *opening, const struct stat *status)
{
	const char *name = opening->medium->name;

	if (S_ISREG(status->st_mode) || S_ISBLK(status->st_mode))
		return 0;
	if (S_ISDIR(status->st_mode))
		return store_problem_say(opening->problem, -EISDIR, "%s: is a directory", name);
	return store_problem_say(opening->problem, -ENOTBLK,
		"%s: is neither a regular file nor a block device", name);
}

static int say_read_only(const struct opening *opening)
{
	return store_problem_say(opening->problem, -EROFS,
		"%s: is read-only; add ',ro' to serve it read-only", opening->medium->name);
}

static int say_not_opened(const struct opening *opening, int error)
{
	const char *name = opening->medium->name;
	bool is_refused = error == EACCES || error == EPERM || error == EROFS;

	if (error == EBUSY)
		return store_problem_say(opening->problem, -error, "%s: is in use (mounted?)",
			name);
	if (is_refused && !opening->options->is_read_only &&
		faccessat(AT_FDCWD, name, R_OK, AT_EACCESS) == 0)
		return say_read_only(opening);
	return store_problem_say(opening->problem, -error, "%s: %s", name, strerror(error));
}

static int find(const struct opening *opening, const char *path, struct stat *ret_status)
{
	CLEANUP(cleanup_free) char *name = realpath(path, NULL);

	if (name == NULL && errno == ENOENT)
		return store_problem_say(opening->problem, -ENOENT,
			"%s: does not exist; truncate -s SIZE makes an empty disk", path);
	if (name == NULL)
		return store_problem_say(opening->problem, -errno, "%s: %s", path, strerror(errno));
	if (!text_copy(opening->medium->name, sizeof(opening->medium->name), name))
		return store_problem_say(opening->problem, -ENAMETOOLONG,
			"%.32s...: the whole path has more than %d bytes", name,
			STORE_NAME_MAX - 1);
	if (stat(name, ret_status) != 0)
		return store_problem_say(opening->problem, -errno, "%s: %s", name, strerror(errno));
	return check_kind(opening, ret_status);
}

/* Of a process that was killed io_uring lets go of the files a moment after the process is gone: who
 * is started at once in its place must not be refused.
 * tidy: allow call because nothing tells that a lock of an open file description is free */
#define LOCK_TRIES   40
#define LOCK_WAIT_NS (50l * CLOCK_MS_NS)

static int lock(const struct opening *opening, int fd)
{
	static const struct timespec wait = {.tv_nsec = LOCK_WAIT_NS};
	struct flock whole = {
		.l_type = opening->options->is_read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};
	int error = 0;

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
			return 0;
		error = errno;
		if (error != EAGAIN && error != EACCES)
			break;
		(void)nanosleep(&wait, NULL);
	}
	if (error == EAGAIN || error == EACCES)
		return store_problem_say(opening->problem, -EBUSY,
			"%s: is being served or used by another process", opening->medium->name);
	/* A file system without locks: better served than not. */
	return 0;
}

/* The largest power of two up to @bytes, within what a store may prefer. */
static uint32_t preferred_bytes(uint64_t bytes, uint32_t block_bytes)
{
	uint32_t preferred = block_bytes;

	while (preferred < STORE_BYTES_MAX && preferred * 2ull <= bytes)
		preferred *= 2;
	return preferred;
}

/* A device that has no command to zero refuses holes, after its page cache has been dropped for
 * them: it must not be tried. */
static void measure_discard(const struct opening *opening, const struct stat *status)
{
	struct file_medium *medium = opening->medium;
	struct device_limits limits = device_limits_read(DEVICE_LIMITS_FOLDER, status->st_rdev);

	medium->can_discard = !opening->options->is_read_only && limits.zero_bytes_max > 0;
	medium->discard_bytes = preferred_bytes(limits.discard_bytes, medium->block_bytes);
}

static int measure_device(const struct opening *opening, int fd, const struct stat *status)
{
	struct file_medium *medium = opening->medium;
	uint32_t wanted_bytes = opening->options->block_bytes;
	unsigned physical_bytes = 0;
	int sector_bytes = 0;
	int is_read_only = 0;

	if (ioctl(fd, BLKGETSIZE64, &medium->size_bytes) != 0 ||
		ioctl(fd, BLKSSZGET, &sector_bytes) != 0 || ioctl(fd, BLKROGET, &is_read_only) != 0)
		return store_problem_say(opening->problem, -errno, "%s: cannot be measured: %s",
			medium->name, strerror(errno));
	if (is_read_only != 0 && !opening->options->is_read_only)
		return say_read_only(opening);
	if (sector_bytes != BLOCK_BYTES_SMALL && sector_bytes != BLOCK_BYTES_LARGE)
		return store_problem_say(opening->problem, -EINVAL,
			"%s: has blocks of %d bytes, which is neither 512 nor 4096", medium->name,
			sector_bytes);
	if (wanted_bytes != 0 && wanted_bytes < (uint32_t)sector_bytes)
		return store_problem_say(opening->problem, -EINVAL,
			"lba=%u: %s has blocks of %d bytes, no smaller ones can be served",
			wanted_bytes, medium->name, sector_bytes);
	medium->block_bytes = wanted_bytes != 0 ? wanted_bytes : (uint32_t)sector_bytes;
	(void)ioctl(fd, BLKPBSZGET, &physical_bytes);
	medium->preferred_bytes = preferred_bytes(physical_bytes, medium->block_bytes);
	measure_discard(opening, status);
	return 0;
}

/* Whether the file system makes holes, asked with one where the file has nothing. */
static bool can_punch(int fd, const struct stat *status)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, status->st_size,
		       BLOCK_BYTES_LARGE) == 0;
}

static int measure(const struct opening *opening, int fd, const struct stat *status)
{
	struct file_medium *medium = opening->medium;
	uint32_t wanted_bytes = opening->options->block_bytes;

	medium->is_regular = S_ISREG(status->st_mode);
	if (!medium->is_regular)
		return measure_device(opening, fd, status);
	medium->size_bytes = (uint64_t)status->st_size;
	medium->block_bytes = wanted_bytes != 0 ? wanted_bytes : BLOCK_BYTES_SMALL;
	medium->preferred_bytes =
		preferred_bytes((uint64_t)status->st_blksize, medium->block_bytes);
	medium->discard_bytes = medium->preferred_bytes;
	medium->can_discard = !opening->options->is_read_only && can_punch(fd, status);
	return 0;
}

static int check_size(const struct opening *opening)
{
	const struct file_medium *medium = opening->medium;

	if (medium->size_bytes == 0 && !medium->is_regular)
		return store_problem_say(opening->problem, -EINVAL, "%s: is empty (no medium?)",
			medium->name);
	if (medium->size_bytes == 0)
		return store_problem_say(opening->problem, -EINVAL,
			"%s: is empty: make it larger with truncate -s SIZE", medium->name);
	if (medium->size_bytes % medium->block_bytes == 0)
		return 0;
	/* To leave the rest out would surprise whoever looks for it. */
	if (!medium->is_regular)
		return store_problem_say(opening->problem, -EINVAL,
			"%s: its %llu bytes are not a multiple of the block size, %u bytes",
			medium->name, (unsigned long long)medium->size_bytes, medium->block_bytes);
	return store_problem_say(opening->problem, -EINVAL,
		"%s: its %llu bytes are not a multiple of the block size, %u bytes: make it larger "
		"with truncate -s %%%u",
		medium->name, (unsigned long long)medium->size_bytes, medium->block_bytes,
		medium->block_bytes);
}

int file_medium_open(const char *path, const struct store_options *options,
	const struct store_problem *problem, struct file_medium *ret_medium)
{
	struct file_medium medium = {.fd = -1};
	const struct opening opening = {options, problem, &medium};
	CLEANUP(cleanup_close) int fd = -1;
	struct stat status = {0};
	int flags = O_CLOEXEC | O_NOCTTY | (options->is_read_only ? O_RDONLY : O_RDWR);
	int error = find(&opening, path, &status);

	if (error != 0)
		return error;
	if (S_ISBLK(status.st_mode) && !options->is_read_only)
		flags |= O_EXCL;
	fd = open(medium.name, flags);
	if (fd < 0 || fstat(fd, &status) != 0)
		return say_not_opened(&opening, errno);
	/* Another thing may have taken the name meanwhile. */
	error = check_kind(&opening, &status);
	if (error == 0)
		error = lock(&opening, fd);
	if (error == 0)
		error = measure(&opening, fd, &status);
	if (error == 0)
		error = check_size(&opening);
	if (error != 0)
		return error;
	medium.fd = take_fd(&fd);
	*ret_medium = medium;
	return 0;
}
