/*
 * Requests to a medium as file operations.
 *
 * The kernel tells each open file description once of pages that it could not write back. So every
 * flush or durable write in flight asks a description of its own (sync_fds): on a shared one the
 * first of two that overlap is told of the failure and the second of success, which might be
 * reported before the failure has been latched. With more in flight than there are descriptions the
 * rest shares one.
 */
#include "store/file_store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "store/file_medium.h"
#include "store/identity.h"

#define SYNC_FD_COUNT 8
#define ZEROS_BYTES   (1u << 20) /* written at a time where the medium cannot zero */

struct file_store {
	struct store store;
	int fd;
	bool is_regular;
	int sync_fds[SYNC_FD_COUNT]; /* -1: could not be opened */
	_Atomic unsigned idle_syncs; /* a bit for each */
	/* ZEROS_BYTES of them, never written to: the kernel's one page of zeros many times */
	void *zeros;
};

int file_store_latch(struct store *store, int error)
{
	int latched = 0;

	if (error == 0)
		return atomic_load(&store->failed_flush);
	if (atomic_compare_exchange_strong(&store->failed_flush, &latched, error))
		return error;
	return latched;
}

static int take_sync_fd(struct file_store *file)
{
	unsigned idle = atomic_load(&file->idle_syncs);

	while (idle != 0) {
		unsigned rest = idle & (idle - 1);

		if (atomic_compare_exchange_weak(&file->idle_syncs, &idle, rest))
			return file->sync_fds[__builtin_ctz(idle)];
	}
	return file->fd;
}

static void give_sync_fd_back(struct file_store *file, int fd)
{
	for (unsigned i = 0; i < SYNC_FD_COUNT; i++) {
		if (file->sync_fds[i] == fd)
			atomic_fetch_or(&file->idle_syncs, 1u << i);
	}
}

/* Whether a write at @end_bytes would make the file longer, from what is known here: a network file
 * system is not asked, that could take long. @return 0 or a positive errno. */
static int check_end(const struct file_store *file, uint64_t end_bytes)
{
	struct statx status;

	if (statx(file->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &status) != 0)
		return errno;
	return end_bytes > status.stx_size ? ENODATA : 0;
}

/* Whether @request ends with its data on stable storage. */
static bool is_sync(const struct store_request *request)
{
	return request->opcode == STORE_FLUSH ||
		((request->opcode == STORE_WRITE || request->opcode == STORE_ZERO) &&
			request->is_durable);
}

/* Whether the file operation under way is the one that brings it there, on a descriptor of its own:
 * zeroing is synced by a second operation. */
static bool is_syncing(const struct store_request *request)
{
	return request->file.opcode == FILE_SYNC ||
		(request->opcode == STORE_WRITE && request->is_durable);
}

/* @return an errno with which @request fails at once, or 0. */
static int check(const struct file_store *file, const struct store_request *request)
{
	const struct store *store = &file->store;

	if (store->is_read_only && request->opcode != STORE_READ && request->opcode != STORE_FLUSH)
		return EROFS;
	if (is_sync(request) && atomic_load(&store->failed_flush) != 0)
		return atomic_load(&store->failed_flush);
	if ((request->opcode == STORE_WRITE || request->opcode == STORE_ZERO) && file->is_regular)
		return check_end(file, request->offset + request->bytes);
	return 0;
}

/* Whether a durable write may have failed before any of it had to be brought to storage. */
static bool is_want_of_room(const struct store_request *request, int error)
{
	return request->opcode == STORE_WRITE && request->is_durable &&
		request->file.opcode == FILE_WRITE &&
		(error == ENOSPC || error == EDQUOT || error == EFBIG);
}

/* A durable write found no room. Only if the file cannot be synced either has something been lost
 * that was acknowledged; a description that has not been told of it yet knows. */
static void ask_whether_lost(struct file_store *file, struct store_request *request, int error)
{
	struct file_operation *operation = &request->file;
	int told_fd = operation->fd;

	request->error = error;
	operation->opcode = FILE_SYNC;
	operation->bytes = 0;
	operation->fd = take_sync_fd(file);
	give_sync_fd_back(file, told_fd);
	file_submit(operation->loop, operation);
}

/* Whether the medium cannot do what fallocate() was asked for. */
static bool is_refusal(int error)
{
	return error == EOPNOTSUPP || error == ENOSYS || error == ENODEV;
}

/* What is to read zeros is written, from the first block on. @return 0 or a positive errno. */
static int fall_back(const struct file_store *file, struct store_request *request)
{
	int error = file->is_regular ? check_end(file, request->offset + request->bytes) : 0;

	request->file.opcode = FILE_WRITE;
	request->file.bytes = 0;
	return error;
}

/* Whether zeros are made in steps. */
static bool is_zeroing(const struct store_request *request)
{
	return request->opcode == STORE_ZERO ||
		(request->opcode == STORE_DISCARD && request->file.opcode == FILE_WRITE);
}

/* A step of zeroing has succeeded. @return whether another one follows. */
static bool go_on_zeroing(struct file_store *file, struct store_request *request)
{
	struct file_operation *operation = &request->file;
	uint64_t end = request->offset + request->bytes;

	operation->offset += operation->bytes;
	if (operation->opcode == FILE_WRITE && operation->offset < end) {
		operation->buffer = file->zeros;
		operation->bytes = ZEROS_BYTES;
		if (operation->bytes > end - operation->offset)
			operation->bytes = (size_t)(end - operation->offset);
		operation->flags = 0;
	} else if (is_sync(request) && operation->opcode != FILE_SYNC) {
		operation->opcode = FILE_SYNC;
		operation->bytes = 0;
		operation->fd = take_sync_fd(file);
	} else {
		return false;
	}
	file_submit(operation->loop, operation);
	return true;
}

static void file_store_done(struct file_operation *operation)
{
	struct store_request *request = container_of(operation, struct store_request, file);
	struct file_store *file = container_of(request->store, struct file_store, store);
	int error = operation->result < 0 ? (int)-operation->result : 0;

	if (is_want_of_room(request, error)) {
		ask_whether_lost(file, request, error);
		return;
	}
	if (operation->opcode == FILE_ALLOCATE && is_refusal(error))
		error = fall_back(file, request);
	if (is_zeroing(request) && error == 0 && go_on_zeroing(file, request))
		return;
	if (request->opcode == STORE_READ && error == 0 &&
		(uint64_t)operation->result < request->bytes)
		error = ENODATA;
	if (is_syncing(request)) {
		error = file_store_latch(&file->store, error);
		give_sync_fd_back(file, operation->fd);
		if (error == 0 && request->opcode == STORE_WRITE && operation->opcode == FILE_SYNC)
			error = request->error;
	}
	store_request_end(request, error);
}

/* On a block device too, where a hole is zeros that may be discarded blocks. */
static unsigned allocate_mode(const struct store_request *request)
{
	if (request->opcode == STORE_DISCARD || (request->may_unmap && request->store->can_discard))
		return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	return FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
}

static void file_store_submit(struct store *store, struct loop *loop, struct store_request *request)
{
	struct file_store *file = container_of(store, struct file_store, store);
	struct file_operation *operation = &request->file;
	int error = check(file, request);

	/* What can only be read has nothing to be flushed, what has no holes nothing to be given back. */
	if (error != 0 || (request->opcode == STORE_FLUSH && store->is_read_only) ||
		(request->opcode == STORE_DISCARD && !store->can_discard)) {
		store_request_end(request, error);
		return;
	}
	operation->done = file_store_done;
	operation->buffer = request->data;
	operation->bytes = request->bytes;
	operation->offset = request->offset;
	operation->flags = 0;
	switch (request->opcode) {
	case STORE_READ:
		operation->opcode = FILE_READ;
		break;
	case STORE_WRITE:
		operation->opcode = FILE_WRITE;
		operation->flags = request->is_durable ? FILE_DURABLE : 0;
		break;
	case STORE_FLUSH:
		operation->opcode = FILE_SYNC;
		operation->bytes = 0;
		break;
	case STORE_ZERO:
	case STORE_DISCARD:
		operation->opcode = FILE_ALLOCATE;
		operation->bytes = 0;
		operation->length_bytes = request->bytes;
		operation->flags = allocate_mode(request);
		break;
	}
	operation->fd = is_syncing(request) ? take_sync_fd(file) : file->fd;
	file_submit(loop, operation);
}

static void file_store_free(struct store *store)
{
	struct file_store *file = container_of(store, struct file_store, store);

	for (unsigned i = 0; i < SYNC_FD_COUNT; i++) {
		if (file->sync_fds[i] >= 0)
			(void)close(file->sync_fds[i]);
	}
	(void)munmap(file->zeros, ZEROS_BYTES);
	(void)close(file->fd);
	free(file);
}

/* What is known here: a network file system is not asked, that could take long. */
static int file_store_measure(const struct store *store, uint64_t *ret_bytes)
{
	const struct file_store *file = container_of(store, const struct file_store, store);
	struct statx status;

	if (!file->is_regular)
		return ioctl(file->fd, BLKGETSIZE64, ret_bytes) == 0 ? 0 : -errno;
	if (statx(file->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &status) != 0)
		return -errno;
	*ret_bytes = status.stx_size;
	return 0;
}

/* By its descriptor, where there is /proc: the name may have become another file's. */
static int file_store_watch(const struct store *store, int inotify_fd, uint32_t mask)
{
	const struct file_store *file = container_of(store, const struct file_store, store);
	char path[sizeof("/proc/self/fd/2147483647")];
	int watch;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	watch = inotify_add_watch(inotify_fd, path, mask);
	if (watch < 0)
		watch = inotify_add_watch(inotify_fd, store->name, mask);
	return watch < 0 ? -errno : watch;
}

static const struct store_operations file_operations = {
	.submit = file_store_submit,
	.free = file_store_free,
	.measure = file_store_measure,
	.watch = file_store_watch,
};

/* Without /proc or descriptors to spare the store works with fewer. */
static void open_sync_fds(struct file_store *file)
{
	char path[sizeof("/proc/self/fd/2147483647")];
	unsigned idle = 0;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	for (unsigned i = 0; i < SYNC_FD_COUNT; i++) {
		file->sync_fds[i] =
			file->store.is_read_only ? -1 : open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
		if (file->sync_fds[i] >= 0)
			idle |= 1u << i;
	}
	atomic_init(&file->idle_syncs, idle);
}

int file_store_open(const char *path, const struct store_options *options,
	const struct store_problem *problem, struct store **ret_store)
{
	struct file_store *file;
	struct store *store;
	struct file_medium medium;
	void *zeros;
	int error = file_medium_open(path, options, problem, &medium);

	if (error != 0)
		return error;
	file = calloc(1, sizeof(*file));
	zeros = mmap(NULL, ZEROS_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		0);
	if (file == NULL || zeros == MAP_FAILED) {
		free(file);
		if (zeros != MAP_FAILED)
			(void)munmap(zeros, ZEROS_BYTES);
		(void)close(medium.fd);
		return store_problem_say(problem, -ENOMEM, "%s: out of memory", path);
	}
	file->zeros = zeros;
	file->fd = medium.fd;
	file->is_regular = medium.is_regular;
	store = &file->store;
	store->operations = &file_operations;
	atomic_init(&store->size_bytes, medium.size_bytes);
	atomic_init(&store->failed_flush, 0);
	store->block_bytes = medium.block_bytes;
	store->preferred_bytes = medium.preferred_bytes;
	store->discard_bytes = medium.discard_bytes;
	store->is_read_only = options->is_read_only;
	store->can_discard = medium.can_discard;
	memcpy(store->name, medium.name, sizeof(store->name));
	if (options->has_uuid)
		memcpy(store->uuid, options->uuid, UUID_BYTES);
	else
		identity_of_path(medium.name, store->uuid);
	open_sync_fds(file);
	*ret_store = store;
	return 0;
}
