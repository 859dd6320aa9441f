/*
 * Files are read and written by a loop of their own, which does so beside this thread: a slow file
 * holds up no lent disk.
 */
#include "cmd/disk_end.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/url.h"
#include "cmd/message.h"
#include "ferry/host.h"

static int open_host(const char *url, const struct disk_end_options *options, bool is_written,
	struct disk_end *end)
{
	const struct ferry_host_options host_options = {
		.struct_bytes = sizeof(host_options),
		.host_nqn = options->host_nqn,
		.io_queues = options->queue_count,
		.header_digest = options->has_header_digest,
		.data_digest = options->has_data_digest,
	};
	struct ferry_host_info info = {.struct_bytes = sizeof(info)};
	char problem[FERRY_HOST_ERROR_MAX];
	int error = ferry_host_open(url, &host_options, &end->host, problem);

	if (error < 0) {
		complain(options->verb, "%s", problem);
		return error;
	}
	error = ferry_host_get_info(end->host, &info);
	if (error < 0) {
		complain(options->verb, "%s", ferry_host_error(end->host));
		return error;
	}
	if (is_written && info.is_read_only) {
		complain(options->verb, "%s: is read-only", url);
		return -EROFS;
	}
	end->block_bytes = info.block_bytes;
	end->size_bytes = info.block_count * info.block_bytes;
	return 0;
}

/* Opening a FIFO would wait, a character device may do things. */
static int check_kind(mode_t mode)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return 0;
	errno = S_ISDIR(mode) ? EISDIR : ENOTBLK;
	return -1;
}

/* Two writers, or a writer beside a server, would spoil each other's work; file systems without locks
 * are let pass. */
static int lock(int fd)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &whole) == 0 || (errno != EAGAIN && errno != EACCES))
		return 0;
	errno = ETXTBSY;
	return -1;
}

static int measure(struct disk_end *end)
{
	struct stat status;
	off_t size;

	if (fstat(end->fd, &status) != 0 || check_kind(status.st_mode) != 0)
		return -1;
	end->is_regular = S_ISREG(status.st_mode);
	end->device = end->is_regular ? status.st_dev : status.st_rdev;
	end->inode = end->is_regular ? status.st_ino : 0;
	size = end->is_regular ? status.st_size : lseek(end->fd, 0, SEEK_END);
	if (size < 0)
		return -1;
	end->size_bytes = (uint64_t)size;
	return 0;
}

/* @return 0 or -1 with errno. */
static int open_path(const char *path, int flags, struct disk_end *end)
{
	bool is_written = (flags & O_ACCMODE) != O_RDONLY;
	const struct loop_options loop_options = {.is_spinning_off = true};
	struct stat status;
	int error;

	if (stat(path, &status) == 0) {
		if (check_kind(status.st_mode) != 0)
			return -1;
		/* A device that is mounted is refused. */
		if (is_written && S_ISBLK(status.st_mode))
			flags = (flags & ~O_CREAT) | O_EXCL;
	}
	end->fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0666);
	if (end->fd < 0 || (is_written && lock(end->fd) != 0) || measure(end) != 0)
		return -1;
	error = loop_new(&loop_options, &end->loop);
	errno = -error;
	return error < 0 ? -1 : 0;
}

static int open_file(const char *path, int flags, const struct disk_end_options *options,
	struct disk_end *end)
{
	int error;

	end->block_bytes = 1;
	if (open_path(path, flags, end) == 0)
		return 0;
	error = errno;
	switch (error) {
	case ENOTBLK:
		complain(options->verb, "%s: is neither a file nor a block device nor a URL", path);
		break;
	case ETXTBSY:
		complain(options->verb, "%s: is being served or used by another process", path);
		break;
	case EBUSY:
		complain(options->verb, "%s: is in use (mounted?)", path);
		break;
	default:
		complain(options->verb, "%s: %s", path, strerror(error));
	}
	return -error;
}

static int open_end(const char *name, int flags, const struct disk_end_options *options,
	struct disk_end *ret_end)
{
	struct disk_end end = DISK_END_CLOSED;
	bool is_written = (flags & O_ACCMODE) != O_RDONLY;
	int error;

	end.name = name;
	error = url_is_url(name) ? open_host(name, options, is_written, &end)
				 : open_file(name, flags, options, &end);
	if (error < 0) {
		disk_end_close(&end);
		return error;
	}
	*ret_end = end;
	return 0;
}

int disk_end_open_source(const char *name, const struct disk_end_options *options,
	struct disk_end *ret_end)
{
	return open_end(name, O_RDONLY, options, ret_end);
}

int disk_end_open_destination(const char *name, const struct disk_end_options *options,
	bool is_read_back, struct disk_end *ret_end)
{
	return open_end(name, (is_read_back ? O_RDWR : O_WRONLY) | O_CREAT, options, ret_end);
}

int disk_end_make_room(struct disk_end *end, uint64_t bytes)
{
	if (!end->is_regular)
		return end->size_bytes < bytes ? -ENOSPC : 0;
	if (ftruncate(end->fd, 0) != 0 || ftruncate(end->fd, (off_t)bytes) != 0)
		return -errno;
	end->size_bytes = bytes;
	end->is_fresh = true;
	return 0;
}

bool disk_end_is_same(const struct disk_end *a, const struct disk_end *b)
{
	struct ferry_host_info of_a = {.struct_bytes = sizeof(of_a)};
	struct ferry_host_info of_b = {.struct_bytes = sizeof(of_b)};

	if ((a->host == NULL) != (b->host == NULL))
		return false;
	if (a->host == NULL)
		return a->is_regular == b->is_regular && a->device == b->device &&
			a->inode == b->inode;
	return ferry_host_get_info(a->host, &of_a) == 0 &&
		ferry_host_get_info(b->host, &of_b) == 0 && of_a.nsid == of_b.nsid &&
		strcmp(of_a.nqn, of_b.nqn) == 0;
}

static void request_end(struct disk_request *request, int error)
{
	request->end->outstanding--;
	request->done(request, error);
}

static void host_done(void *context, int error)
{
	request_end(context, error);
}

static int submit_to_host(struct disk_end *end, struct disk_request *request)
{
	const struct ferry_host_request host_request = {
		.lba = request->offset / end->block_bytes,
		.block_count = (uint32_t)(request->bytes / end->block_bytes),
		.buffer = request->data,
		.done = host_done,
		.context = request,
	};

	switch (request->opcode) {
	case DISK_READ:
		return ferry_host_read(end->host, &host_request);
	case DISK_WRITE:
		return ferry_host_write(end->host, &host_request);
	case DISK_FLUSH:
		return ferry_host_flush(end->host, &host_request);
	}
	return -EINVAL;
}

static void file_done(struct file_operation *operation)
{
	struct disk_request *request = container_of(operation, struct disk_request, file);
	int error = operation->result < 0 ? (int)operation->result : 0;

	if (error == 0 && request->opcode == DISK_READ &&
		(uint64_t)operation->result < request->bytes)
		error = -ENODATA;
	request_end(request, error);
}

static void submit_to_file(struct disk_end *end, struct disk_request *request)
{
	struct file_operation *operation = &request->file;

	*operation = (struct file_operation){
		.done = file_done,
		.fd = end->fd,
		.buffer = request->data,
		.bytes = request->bytes,
		.offset = request->offset,
	};
	switch (request->opcode) {
	case DISK_READ:
		operation->opcode = FILE_READ;
		break;
	case DISK_WRITE:
		operation->opcode = FILE_WRITE;
		break;
	case DISK_FLUSH:
		operation->opcode = FILE_SYNC;
		break;
	}
	file_submit(end->loop, operation);
}

int disk_end_submit(struct disk_end *end, struct disk_request *request)
{
	int error = 0;

	request->end = end;
	if (end->host != NULL)
		error = submit_to_host(end, request);
	else
		submit_to_file(end, request);
	if (error == 0)
		end->outstanding++;
	return error;
}

uint64_t disk_end_next_data(const struct disk_end *end, uint64_t offset)
{
	off_t data;

	if (!end->is_regular)
		return offset;
	data = lseek(end->fd, (off_t)offset, SEEK_DATA);
	if (data >= 0)
		return (uint64_t)data;
	return errno == ENXIO ? end->size_bytes : offset;
}

void disk_end_forget_cache(const struct disk_end *end)
{
	if (end->host == NULL)
		(void)posix_fadvise(end->fd, 0, 0, POSIX_FADV_DONTNEED);
}

int disk_end_fd(struct disk_end *end)
{
	return end->host != NULL ? ferry_host_fd(end->host) : loop_fd(end->loop);
}

int disk_end_prepare(struct disk_end *end)
{
	return end->host != NULL ? ferry_host_prepare(end->host) : loop_prepare_poll(end->loop);
}

int disk_end_process(struct disk_end *end)
{
	return end->host != NULL ? ferry_host_process(end->host, 0) : loop_turn(end->loop, 0);
}

void disk_end_describe(const struct disk_end *end, int error, char ret_text[DISK_END_PROBLEM_MAX])
{
	const char *text = end->host != NULL ? ferry_host_error(end->host) : "";

	/* That of a host names it already. */
	if (text[0] != '\0')
		(void)snprintf(ret_text, DISK_END_PROBLEM_MAX, "%s", text);
	else
		(void)snprintf(ret_text, DISK_END_PROBLEM_MAX, "%s: %s", end->name,
			error == -ENODATA ? "has become shorter meanwhile" : strerror(-error));
}

void disk_end_close(struct disk_end *end)
{
	ferry_host_close(end->host);
	while (end->loop != NULL && end->outstanding > 0) {
		/* What the kernel still works on cannot be freed. */
		if (loop_turn(end->loop, -1) < 0)
			return;
	}
	loop_free(end->loop);
	if (end->host == NULL)
		cleanup_close(&end->fd);
	*end = DISK_END_CLOSED;
}
