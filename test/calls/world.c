/*
 * Files are made by the side's own process, which both sides can do alike; descriptors are made by the
 * calls that are under test, since they are the calls' own.
 */
#include "test/calls/world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/crc32c.h"

#define FILE_BYTES  10000u
#define OTHER_BYTES 5000u
#define PATH_BYTES  512u
#define LOOKED_AT   (64u << 10) /* bytes of a file */

static const char *const names[] = {
	[WORLD_FILE] = "file",
	[WORLD_OTHER] = "other",
	[WORLD_FOLDER] = "folder",
	[WORLD_PATH] = "path",
	[WORLD_READER] = "reader",
	[WORLD_WRITER] = "writer",
	[WORLD_READER_TOO] = "reader2",
	[WORLD_WRITER_TOO] = "writer2",
	[WORLD_EVENT] = "event",
	[WORLD_TIMER] = "timer",
	[WORLD_EPOLL] = "epoll",
	[WORLD_STREAM] = "stream",
	[WORLD_PEER] = "peer",
	[WORLD_DATAGRAM] = "datagram",
	[WORLD_SENDER] = "sender",
	[WORLD_LISTENER] = "listener",
	[WORLD_CONNECTED] = "connected",
	[WORLD_UNIX] = "unix",
	[WORLD_TCP] = "tcp",
	[WORLD_UDP] = "udp",
	[WORLD_UDP6] = "udp6",
};

int world_find(const char *name)
{
	for (int i = WORLD_FILE; i < WORLD_END; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -1;
}

/* Files */

static void remove_all(const char *folder)
{
	DIR *stream;
	const struct dirent *entry;

	(void)chmod(folder, 0700);
	stream = opendir(folder);
	if (stream == NULL)
		return;
	while ((entry = readdir(stream)) != NULL) {
		char path[PATH_BYTES];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (unlink(path) == 0 || (errno != EISDIR && errno != EPERM))
			continue;
		remove_all(path);
		(void)rmdir(path);
	}
	(void)closedir(stream);
}

void world_clear(const struct side *side)
{
	remove_all(side->folder);
}

/* Ends the side if @is_made is not true. */
static void want(struct side *side, bool is_made, const char *what)
{
	if (!is_made)
		side_fail(side, "the world cannot be made: %s: %s", what, strerror(errno));
}

static void make_file(struct side *side, const char *name, size_t file_bytes)
{
	char path[PATH_BYTES];
	uint8_t bytes[FILE_BYTES];
	int fd;

	for (size_t i = 0; i < file_bytes; i++)
		bytes[i] = (uint8_t)(i % 251);
	(void)snprintf(path, sizeof(path), "%s/%s", side->folder, name);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	want(side, fd >= 0 && write(fd, bytes, file_bytes) == (ssize_t)file_bytes, name);
	/* A direct side's umask is the call's. */
	want(side, fchmod(fd, 0644) == 0, name);
	(void)fsetxattr(fd, "user.a", "value", 5, 0);
	want(side, close(fd) == 0, name);
}

static void make_files(struct side *side)
{
	char path[PATH_BYTES];

	/* A call may have changed "..", too. */
	(void)snprintf(path, sizeof(path), "%.*s", (int)(strrchr(side->folder, '/') - side->folder),
		side->folder);
	want(side, chmod(path, 0755) == 0, path);
	world_clear(side);
	want(side, chmod(side->folder, 0755) == 0, "chmod");
	make_file(side, "file", FILE_BYTES);
	make_file(side, "other", OTHER_BYTES);
	make_file(side, "standard", 0);
	(void)snprintf(path, sizeof(path), "%s/folder", side->folder);
	want(side, mkdir(path, 0755) == 0 && chmod(path, 0755) == 0, path);
	make_file(side, "folder/inner", 10);
	(void)snprintf(path, sizeof(path), "%s/empty", side->folder);
	want(side, mkdir(path, 0755) == 0 && chmod(path, 0755) == 0, path);
	(void)snprintf(path, sizeof(path), "%s/link", side->folder);
	want(side, symlink("file", path) == 0, path);
	(void)snprintf(path, sizeof(path), "%s/loop", side->folder);
	want(side, symlink("loop", path) == 0, path);
}

static size_t describe_file(const char *folder, const char *name, char *text, size_t bytes)
{
	static uint8_t content[LOOKED_AT];
	char path[PATH_BYTES];
	struct stat about;
	ssize_t length = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (lstat(path, &about) != 0)
		return (size_t)snprintf(text, bytes, " %s gone", name);
	if (S_ISREG(about.st_mode)) {
		CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);

		length = fd >= 0 ? read(fd, content, sizeof(content)) : 0;
	}
	return (size_t)snprintf(text, bytes, " %s %o %u %u %u %lld %08x", name, about.st_mode,
		(unsigned)about.st_nlink, about.st_uid, about.st_gid,
		S_ISDIR(about.st_mode) ? 0 : (long long)about.st_size,
		crc32c(0, content, length > 0 ? (size_t)length : 0));
}

/* Descriptors */

/* Ends the side unless the call makes @fd. */
static void made(struct side *side, int64_t fd, enum world_fd wanted)
{
	if (fd != (int64_t)wanted)
		side_fail(side, "%s: %lld, not descriptor %d", names[wanted], (long long)fd,
			wanted);
}

static void made_all(struct side *side, int64_t value, const char *what)
{
	if (value < 0)
		side_fail(side, "%s: %s", what, strerror((int)-value));
}

static void open_path(struct side *side, const char *path, uint64_t flags, enum world_fd wanted)
{
	made(side, SIDE_CALL(side, SYS_openat, (uint64_t)AT_FDCWD, SIDE_AT(path), flags), wanted);
}

static void begin_descriptors(struct side *side)
{
	made_all(side, SIDE_CALL(side, SYS_close_range, 0, INT32_MAX), "close_range");
	made_all(side, SIDE_CALL(side, SYS_chdir, SIDE_AT(side->folder)), side->folder);
	made_all(side, SIDE_CALL(side, SYS_umask, 022), "umask");
	/* Nothing of the machine's, which calls as root could change. */
	for (unsigned i = 0; i < 3; i++)
		made_all(side,
			SIDE_CALL(side, SYS_openat, (uint64_t)AT_FDCWD, SIDE_AT("standard"),
				O_RDWR),
			"standard");
}

static void open_pipes(struct side *side, const uint8_t *bytes)
{
	int ends[2];

	made_all(side, SIDE_CALL(side, SYS_pipe2, SIDE_AT(ends), O_NONBLOCK), "pipe2");
	made_all(side, SIDE_CALL(side, SYS_write, WORLD_WRITER, SIDE_AT(bytes), 100), "write");
	made_all(side, SIDE_CALL(side, SYS_pipe2, SIDE_AT(ends), O_NONBLOCK), "pipe2");
}

static void open_events(struct side *side)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77};

	made(side, SIDE_CALL(side, SYS_eventfd2, 1, EFD_NONBLOCK), WORLD_EVENT);
	made(side, SIDE_CALL(side, SYS_timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK), WORLD_TIMER);
	made(side, SIDE_CALL(side, SYS_epoll_create1, 0), WORLD_EPOLL);
	made_all(side,
		SIDE_CALL(side, SYS_epoll_ctl, WORLD_EPOLL, EPOLL_CTL_ADD, WORLD_EVENT,
			SIDE_AT(&event)),
		"epoll_ctl");
}

static void open_unix(struct side *side, const uint8_t *bytes)
{
	const struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
	const uint64_t name_bytes = offsetof(struct sockaddr_un, sun_path) + sizeof("socket");
	const uint64_t stream = SOCK_STREAM | SOCK_NONBLOCK, datagram = SOCK_DGRAM | SOCK_NONBLOCK;
	int ends[2];

	made_all(side, SIDE_CALL(side, SYS_socketpair, AF_UNIX, stream, 0, SIDE_AT(ends)), "pair");
	made_all(side, SIDE_CALL(side, SYS_write, WORLD_PEER, SIDE_AT(bytes), 100), "write");
	made_all(side, SIDE_CALL(side, SYS_socketpair, AF_UNIX, datagram, 0, SIDE_AT(ends)),
		"pair");
	for (unsigned i = 0; i < 2; i++)
		made_all(side, SIDE_CALL(side, SYS_write, WORLD_SENDER, SIDE_AT(bytes + i), 60),
			"write");
	made(side, SIDE_CALL(side, SYS_socket, AF_UNIX, stream), WORLD_LISTENER);
	made_all(side, SIDE_CALL(side, SYS_bind, WORLD_LISTENER, SIDE_AT(&name), name_bytes),
		"bind");
	made_all(side, SIDE_CALL(side, SYS_listen, WORLD_LISTENER, 5), "listen");
	made(side, SIDE_CALL(side, SYS_socket, AF_UNIX, stream), WORLD_CONNECTED);
	made_all(side, SIDE_CALL(side, SYS_connect, WORLD_CONNECTED, SIDE_AT(&name), name_bytes),
		"connect");
	made(side, SIDE_CALL(side, SYS_socket, AF_UNIX, stream), WORLD_UNIX);
}

static void open_network(struct side *side)
{
	const struct sockaddr_in loopback = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	made(side, SIDE_CALL(side, SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK), WORLD_TCP);
	made(side, SIDE_CALL(side, SYS_socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK), WORLD_UDP);
	made_all(side, SIDE_CALL(side, SYS_bind, WORLD_UDP, SIDE_AT(&loopback), sizeof(loopback)),
		"bind");
	made(side, SIDE_CALL(side, SYS_socket, AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK), WORLD_UDP6);
}

void world_make(struct side *side)
{
	uint8_t bytes[128];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)('A' + i % 26);
	make_files(side);
	begin_descriptors(side);
	open_path(side, "file", O_RDWR, WORLD_FILE);
	open_path(side, "other", O_RDWR, WORLD_OTHER);
	open_path(side, "folder", O_RDONLY | O_DIRECTORY, WORLD_FOLDER);
	open_path(side, "file", O_PATH, WORLD_PATH);
	open_pipes(side, bytes);
	open_events(side);
	open_unix(side, bytes);
	open_network(side);
	*side->signal_count = 0;
}

size_t world_describe(struct side *side, char *text, size_t bytes)
{
	static const char *const files[] = {"file", "other", "folder", "folder/inner", "empty",
		"link", "new"};
	size_t used = (size_t)snprintf(text, bytes, " at %lld %lld",
		(long long)SIDE_CALL(side, SYS_lseek, WORLD_FILE, 0, SEEK_CUR),
		(long long)SIDE_CALL(side, SYS_lseek, WORLD_OTHER, 0, SEEK_CUR));

	for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
		used += describe_file(side->folder, files[i], text + used, bytes - used);
	return used;
}
