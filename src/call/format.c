/*
 * What is printed is read once by call_peek(): memory may be anything, and change at any time.
 */
#include "call/format.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "call/names.h"
#include "call/peek.h"

#define QUOTED_MAX   32u /* bytes of a buffer that are shown */
#define ELEMENTS_MAX 16u /* of an array */

void call_format_add_pointer(struct call_line *line, uint64_t address)
{
	if (address == 0)
		call_line_add(line, "NULL");
	else
		call_line_add(line, "0x%" PRIx64, address);
}

void call_format_add_string(struct call_line *line, uint64_t address, size_t limit)
{
	uint8_t text[PATH_MAX];
	size_t bytes;

	if (limit > sizeof(text))
		limit = sizeof(text);
	if (address == 0 || call_peek_string(address, limit, &bytes) != 0 ||
		call_peek(text, address, bytes) != 0) {
		call_format_add_pointer(line, address);
		return;
	}
	if (bytes > 0 && text[bytes - 1] == '\0') {
		call_line_add_quoted(line, text, bytes - 1);
	} else {
		call_line_add_quoted(line, text, bytes);
		call_line_add(line, "...");
	}
}

/* Each adds one structure, which is complete at @from. */

static void add_timespec(struct call_line *line, const void *from)
{
	struct timespec time;

	memcpy(&time, from, sizeof(time));
	call_line_add(line, "{tv_sec=%jd, tv_nsec=%ld}", (intmax_t)time.tv_sec, time.tv_nsec);
}

static void add_timeval(struct call_line *line, const void *from)
{
	struct timeval time;

	memcpy(&time, from, sizeof(time));
	call_line_add(line, "{tv_sec=%jd, tv_usec=%ld}", (intmax_t)time.tv_sec, time.tv_usec);
}

static void add_itimerspec(struct call_line *line, const void *from)
{
	const uint8_t *bytes = from;

	call_line_add(line, "{it_interval=");
	add_timespec(line, bytes + offsetof(struct itimerspec, it_interval));
	call_line_add(line, ", it_value=");
	add_timespec(line, bytes + offsetof(struct itimerspec, it_value));
	call_line_add(line, "}");
}

static void add_mode(struct call_line *line, unsigned mode)
{
	static const struct {
		unsigned type;
		const char *name;
	} types[] = {{S_IFREG, "S_IFREG"}, {S_IFDIR, "S_IFDIR"}, {S_IFLNK, "S_IFLNK"},
		{S_IFSOCK, "S_IFSOCK"}, {S_IFIFO, "S_IFIFO"}, {S_IFCHR, "S_IFCHR"},
		{S_IFBLK, "S_IFBLK"}};

	for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
		if ((mode & S_IFMT) == types[i].type)
			call_line_add(line, "%s|", types[i].name);
	}
	call_line_add(line, "%04o", mode & ~(unsigned)S_IFMT);
}

static void add_stat(struct call_line *line, const void *from)
{
	struct stat stat;

	memcpy(&stat, from, sizeof(stat));
	call_line_add(line, "{st_mode=");
	add_mode(line, stat.st_mode);
	call_line_add(line, ", st_size=%jd, ...}", (intmax_t)stat.st_size);
}

static void add_statx(struct call_line *line, const void *from)
{
	struct statx stat;

	memcpy(&stat, from, sizeof(stat));
	call_line_add(line, "{stx_mask=");
	call_line_add_names(line, &call_names_statx, stat.stx_mask);
	call_line_add(line, ", stx_mode=");
	add_mode(line, stat.stx_mode);
	call_line_add(line, ", stx_size=%" PRIu64 ", ...}", (uint64_t)stat.stx_size);
}

static void add_poll(struct call_line *line, const void *from)
{
	struct pollfd poll;

	memcpy(&poll, from, sizeof(poll));
	call_line_add(line, "{fd=%d, events=", poll.fd);
	call_line_add_names(line, &call_names_poll, (uint16_t)poll.events);
	call_line_add(line, ", revents=");
	call_line_add_names(line, &call_names_poll, (uint16_t)poll.revents);
	call_line_add(line, "}");
}

static void add_event(struct call_line *line, const void *from)
{
	struct epoll_event event;

	memcpy(&event, from, sizeof(event));
	call_line_add(line, "{events=");
	call_line_add_names(line, &call_names_event, event.events);
	call_line_add(line, ", data=0x%" PRIx64 "}", (uint64_t)event.data.u64);
}

static void add_lock(struct call_line *line, const void *from)
{
	struct flock lock;

	memcpy(&lock, from, sizeof(lock));
	call_line_add(line, "{l_type=");
	call_line_add_names(line, &call_names_lock, (uint16_t)lock.l_type);
	call_line_add(line, ", l_whence=");
	call_line_add_names(line, &call_names_seek, (uint16_t)lock.l_whence);
	call_line_add(line, ", l_start=%jd, l_len=%jd}", (intmax_t)lock.l_start,
		(intmax_t)lock.l_len);
}

static void add_open_how(struct call_line *line, const void *from)
{
	struct open_how how;

	memcpy(&how, from, sizeof(how));
	call_line_add(line, "{flags=");
	call_line_add_names(line, &call_names_open, (uint32_t)how.flags);
	call_line_add(line, ", mode=%#" PRIo64 ", resolve=", (uint64_t)how.mode);
	call_line_add_names(line, &call_names_resolve, (uint32_t)how.resolve);
	call_line_add(line, "}");
}

static void add_utsname(struct call_line *line, const void *from)
{
	struct utsname name;

	memcpy(&name, from, sizeof(name));
	call_line_add(line, "{sysname=");
	call_line_add_quoted(line, (uint8_t *)name.sysname,
		strnlen(name.sysname, sizeof(name.sysname)));
	call_line_add(line, ", nodename=");
	call_line_add_quoted(line, (uint8_t *)name.nodename,
		strnlen(name.nodename, sizeof(name.nodename)));
	call_line_add(line, ", ...}");
}

static void add_int(struct call_line *line, const void *from)
{
	int value;

	memcpy(&value, from, sizeof(value));
	call_line_add(line, "%d", value);
}

static void add_long(struct call_line *line, const void *from)
{
	int64_t value;

	memcpy(&value, from, sizeof(value));
	call_line_add(line, "%" PRId64, value);
}

static const struct structure {
	size_t bytes;
	void (*add)(struct call_line *line, const void *from);
	bool is_array; /* in brackets even if there is but one */
} structures[] = {
	[CALL_FORMAT_TIMESPEC] = {sizeof(struct timespec), add_timespec, false},
	[CALL_FORMAT_TIMEVAL] = {sizeof(struct timeval), add_timeval, false},
	[CALL_FORMAT_ITIMERSPEC] = {sizeof(struct itimerspec), add_itimerspec, false},
	[CALL_FORMAT_STAT] = {sizeof(struct stat), add_stat, false},
	[CALL_FORMAT_STATX] = {sizeof(struct statx), add_statx, false},
	[CALL_FORMAT_POLL] = {sizeof(struct pollfd), add_poll, true},
	[CALL_FORMAT_EVENT] = {sizeof(struct epoll_event), add_event, false},
	[CALL_FORMAT_EVENTS] = {sizeof(struct epoll_event), add_event, true},
	[CALL_FORMAT_FDS] = {sizeof(int), add_int, true},
	[CALL_FORMAT_LOCK] = {sizeof(struct flock), add_lock, false},
	[CALL_FORMAT_OPEN_HOW] = {sizeof(struct open_how), add_open_how, false},
	[CALL_FORMAT_INT] = {sizeof(int), add_int, true},
	[CALL_FORMAT_LONG] = {sizeof(int64_t), add_long, true},
	[CALL_FORMAT_UTSNAME] = {sizeof(struct utsname), add_utsname, false},
};

/* @return whether the structures were there. */
static bool add_structures(struct call_line *line, const struct structure *structure,
	uint64_t address, uint64_t bytes)
{
	uint8_t room[512];
	uint64_t count = bytes / structure->bytes;
	bool is_array = structure->is_array || count > 1;

	if (call_peek(room, address, structure->bytes) != 0)
		return false;
	call_line_add(line, is_array ? "[" : "");
	for (uint64_t i = 0; i < count && i < ELEMENTS_MAX; i++) {
		if (call_peek(room, address + i * structure->bytes, structure->bytes) != 0)
			break;
		call_line_add(line, i > 0 ? ", " : "");
		structure->add(line, room);
	}
	call_line_add(line, "%s%s", count > ELEMENTS_MAX ? ", ..." : "", is_array ? "]" : "");
	return true;
}

static void add_inet(struct call_line *line, const struct sockaddr_in *address)
{
	char text[INET_ADDRSTRLEN];

	call_line_add(line, ", sin_port=htons(%u), sin_addr=inet_addr(\"%s\")",
		ntohs(address->sin_port),
		inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text)));
}

static void add_inet6(struct call_line *line, const struct sockaddr_in6 *address)
{
	char text[INET6_ADDRSTRLEN];

	call_line_add(line, ", sin6_port=htons(%u), sin6_addr=inet_pton(\"%s\"), sin6_scope_id=%u",
		ntohs(address->sin6_port),
		inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof(text)),
		address->sin6_scope_id);
}

static void add_unix(struct call_line *line, const struct sockaddr_un *address, size_t bytes)
{
	size_t head = offsetof(struct sockaddr_un, sun_path);
	size_t room = bytes > head ? bytes - head : 0;
	/* An abstract name begins with NUL. */
	size_t first = room > 0 && address->sun_path[0] == '\0' ? 1 : 0;

	if (room == 0)
		return;
	if (room > sizeof(address->sun_path))
		room = sizeof(address->sun_path);
	call_line_add(line, ", sun_path=%s", first > 0 ? "@" : "");
	call_line_add_quoted(line, (const uint8_t *)address->sun_path + first,
		first > 0 ? room - 1 : strnlen(address->sun_path, room));
}

static bool add_address(struct call_line *line, uint64_t address, uint64_t bytes)
{
	union {
		struct sockaddr any;
		struct sockaddr_in inet;
		struct sockaddr_in6 inet6;
		struct sockaddr_un unix_;
		struct sockaddr_storage storage;
	} name = {.storage = {0}};

	if (bytes < sizeof(name.any.sa_family))
		return false;
	if (bytes > sizeof(name))
		bytes = sizeof(name);
	if (call_peek(&name, address, (size_t)bytes) != 0)
		return false;
	call_line_add(line, "{sa_family=");
	call_line_add_names(line, &call_names_family, name.any.sa_family);
	if (name.any.sa_family == AF_INET && bytes >= sizeof(name.inet))
		add_inet(line, &name.inet);
	else if (name.any.sa_family == AF_INET6 && bytes >= sizeof(name.inet6))
		add_inet6(line, &name.inet6);
	else if (name.any.sa_family == AF_UNIX)
		add_unix(line, &name.unix_, (size_t)bytes);
	call_line_add(line, "}");
	return true;
}

static bool add_fd_set(struct call_line *line, uint64_t address, uint64_t bytes)
{
	const char *separator = "";
	unsigned shown = 0;

	call_line_add(line, "[");
	for (uint64_t i = 0; i < bytes; i++) {
		uint8_t byte;

		if (call_peek(&byte, address + i, 1) != 0)
			return false;
		for (unsigned bit = 0; bit < 8 && shown < ELEMENTS_MAX; bit++) {
			if ((byte >> bit & 1) == 0)
				continue;
			call_line_add(line, "%s%u", separator, (unsigned)i * 8 + bit);
			separator = " ";
			shown++;
		}
	}
	call_line_add(line, "]");
	return true;
}

/* @return the bytes of a string in its room, without the NUL that may end it. */
static uint64_t text_bytes(uint64_t address, uint64_t bytes)
{
	char last;

	return bytes > 0 && call_peek(&last, address + bytes - 1, 1) == 0 && last == '\0'
		? bytes - 1
		: bytes;
}

static bool add_bytes(struct call_line *line, uint64_t address, uint64_t bytes)
{
	uint8_t text[QUOTED_MAX];
	size_t count = bytes < sizeof(text) ? (size_t)bytes : sizeof(text);

	if (call_peek(text, address, count) != 0)
		return false;
	call_line_add_quoted(line, text, count);
	if (bytes > count)
		call_line_add(line, "...");
	return true;
}

void call_format_add(struct call_line *line, enum call_format format, uint64_t address,
	uint64_t bytes)
{
	bool is_there = address != 0;

	if (is_there && format == CALL_FORMAT_ADDRESS)
		is_there = add_address(line, address, bytes);
	else if (is_there && format == CALL_FORMAT_FD_SET)
		is_there = add_fd_set(line, address, bytes);
	else if (is_there && format < ARRAY_LENGTH(structures) && structures[format].add != NULL &&
		bytes >= structures[format].bytes)
		is_there = add_structures(line, &structures[format], address, bytes);
	else if (is_there)
		is_there = add_bytes(line, address,
			format == CALL_FORMAT_TEXT ? text_bytes(address, bytes) : bytes);
	if (!is_there)
		call_format_add_pointer(line, address);
}
