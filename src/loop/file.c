/*
 * The queue of file operations in front of whoever serves them, and the blocking way to serve them.
 */
#include "loop/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loop/loop_private.h"

void files_init(struct files *files, struct loop *loop)
{
	*files = (struct files){.loop = loop};
	list_init(&files->queued);
	list_init(&files->finished);
}

void files_deinit(struct files *files)
{
	assert(list_is_empty(&files->queued) && list_is_empty(&files->finished));
	file_ring_free(files->ring);
	file_ring_free(files->refused);
	file_threads_free(files->threads);
}

int files_begin(struct files *files, enum loop_files how)
{
	const char *wanted = getenv("FERRY_LOOP");

	if (files->loop->is_simulated)
		return 0;
	if (how == LOOP_FILES_AUTO && (wanted == NULL || strcmp(wanted, "epoll") != 0) &&
		file_ring_new(files->loop, &files->ring) == 0)
		return 0;
	/* ENOSYS, EPERM, EINVAL (a kernel without these flags), ENOMEM (locked memory): whatever
	 * refuses the ring, threads do. */
	return file_threads_new(files->loop, &files->threads);
}

void file_submit(struct loop *loop, struct file_operation *operation)
{
	assert(operation->bytes <= FILE_BYTES_MAX);
	operation->loop = loop;
	operation->result = 0;
	operation->moved_bytes = 0;
	list_append(&loop->files.queued, &operation->link);
}

static void give_up_ring(struct files *files)
{
	/* Without memory for threads the loop carries operations out itself. */
	if (file_threads_new(files->loop, &files->threads) < 0)
		files->threads = NULL;
	files->refused = files->ring;
	files->ring = NULL;
	file_ring_give_up(files->refused);
}

void files_take_back(struct files *files, struct list *unfinished)
{
	struct list *link;

	while ((link = list_take_first(unfinished)) != NULL)
		list_append(&files->queued, link);
	file_ring_free(files->refused);
	files->refused = NULL;
}

void files_flush(struct files *files)
{
	while (!list_is_empty(&files->queued)) {
		struct list *link = files->queued.next;
		struct file_operation *operation = container_of(link, struct file_operation, link);

		if (files->ring != NULL) {
			if (!file_ring_prepare(files->ring, operation))
				break;
			continue;
		}
		list_remove(link);
		if (files->threads != NULL) {
			file_threads_start(files->threads, operation);
		} else {
			file_execute(operation);
			list_append(&files->finished, link);
		}
	}
	if (files->ring != NULL && file_ring_submit(files->ring) < 0) {
		give_up_ring(files);
		files_flush(files);
	}
}

void files_complete(struct files *files)
{
	struct list *link;

	if (files->ring != NULL &&
		file_ring_reap(files->ring, &files->finished, &files->queued) < 0)
		give_up_ring(files);
	while ((link = list_take_first(&files->finished)) != NULL) {
		struct file_operation *operation = container_of(link, struct file_operation, link);

		operation->done(operation);
	}
}

bool files_are_ready(const struct files *files)
{
	return !list_is_empty(&files->finished) ||
		(files->ring != NULL && file_ring_is_ready(files->ring));
}

bool files_fall_asleep(struct files *files)
{
	return files->ring == NULL || file_ring_fall_asleep(files->ring);
}

void files_wake_up(struct files *files)
{
	if (files->ring != NULL)
		file_ring_wake_up(files->ring);
}

/* Move a part. @return its bytes, or -1 and errno. */
static ssize_t file_move(const struct file_operation *operation, size_t moved_bytes)
{
	struct iovec piece = {
		.iov_base = (char *)operation->buffer + moved_bytes,
		.iov_len = operation->bytes - moved_bytes,
	};
	off_t offset = (off_t)(operation->offset + moved_bytes);

	if (operation->opcode == FILE_READ)
		return preadv(operation->fd, &piece, 1, offset);
	return pwritev2(operation->fd, &piece, 1, offset,
		(operation->flags & FILE_DURABLE) != 0 ? RWF_DSYNC : 0);
}

static int64_t file_transfer(const struct file_operation *operation)
{
	size_t moved_bytes = 0;

	while (moved_bytes < operation->bytes) {
		ssize_t count = file_move(operation, moved_bytes);

		if (count < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			return operation->opcode == FILE_READ ? (int64_t)moved_bytes : -EIO;
		moved_bytes += (size_t)count;
	}
	return (int64_t)moved_bytes;
}

static int64_t file_control(const struct file_operation *operation)
{
	int result;

	do {
		if (operation->opcode == FILE_SYNC)
			result = fdatasync(operation->fd);
		else
			result = fallocate(operation->fd, (int)operation->flags,
				(off_t)operation->offset, (off_t)operation->length_bytes);
	} while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

void file_execute(struct file_operation *operation)
{
	bool is_transfer = operation->opcode == FILE_READ || operation->opcode == FILE_WRITE;

	operation->result = is_transfer ? file_transfer(operation) : file_control(operation);
}
