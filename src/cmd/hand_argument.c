/*
 * The names of Linux's system calls come from the C library's headers of this machine (call_names).
 */
#include "cmd/hand_argument.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"

struct call_name {
	const char *name;
	uint32_t number;
};

static const struct call_name linux_names[] = {
#include "cmd/call_names.inc"
};

/* Those of NetBSD's calls that have kept number, arguments and structures through its releases. */
static const struct call_name netbsd_names[] = {
	{"access", 33},
	{"bind", 104},
	{"chdir", 12},
	{"chmod", 15},
	{"close", 6},
	{"connect", 98},
	{"dup", 41},
	{"dup2", 90},
	{"fchdir", 13},
	{"fcntl", 92},
	{"fsync", 95},
	{"ftruncate", 201},
	{"getegid", 43},
	{"geteuid", 25},
	{"getgid", 47},
	{"getpid", 20},
	{"getsockopt", 118},
	{"getuid", 24},
	{"ioctl", 54},
	{"link", 9},
	{"listen", 106},
	{"lseek", 199},
	{"mkdir", 136},
	{"mmap", 197},
	{"munmap", 73},
	{"open", 5},
	{"pipe", 42},
	{"pread", 173},
	{"pwrite", 174},
	{"read", 3},
	{"readlink", 58},
	{"readv", 120},
	{"recvfrom", 29},
	{"rename", 128},
	{"rmdir", 137},
	{"sendto", 133},
	{"setsockopt", 105},
	{"shutdown", 134},
	{"socket", 394},
	{"socketpair", 135},
	{"symlink", 57},
	{"sync", 36},
	{"truncate", 200},
	{"umask", 60},
	{"unlink", 10},
	{"write", 4},
	{"writev", 121},
};

bool call_number_of(const char *name, enum call_numbering numbering, uint32_t *ret_number)
{
	bool is_linux = numbering == NUMBERING_LINUX;
	const struct call_name *names = is_linux ? linux_names : netbsd_names;
	size_t count = is_linux ? ARRAY_LENGTH(linux_names) : ARRAY_LENGTH(netbsd_names);
	char *end;
	unsigned long number;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, names[i].name) == 0) {
			*ret_number = names[i].number;
			return true;
		}
	}
	errno = 0;
	number = strtoul(name, &end, 0);
	if (name[0] < '0' || name[0] > '9' || *end != '\0' || errno != 0 || number > UINT32_MAX)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

const char *call_error_name(int error, enum call_numbering numbering)
{
	/* The first 34 are as old as Unix, but for one that has changed its place. */
	bool is_shared = numbering == NUMBERING_LINUX || (error <= ERANGE && error != EAGAIN);

	return is_shared ? strerrorname_np(error) : NULL;
}

/* @return whether @text is a number, in C's notations. */
static bool parse_number(const char *text, uint64_t *ret_value)
{
	const char *digits = text[0] == '-' ? text + 1 : text;
	char *end;

	if (digits[0] < '0' || digits[0] > '9')
		return false;
	errno = 0;
	*ret_value = strtoull(text, &end, 0);
	return *end == '\0' && errno == 0;
}

int hand_argument_take_memory(struct hand_argument *argument, enum hand_argument_kind kind,
	size_t bytes)
{
	argument->memory = calloc(bytes + 1, 1);
	if (argument->memory == NULL)
		return -ENOMEM;
	argument->kind = kind;
	argument->bytes = argument->count_bytes = bytes;
	argument->value = (uintptr_t)argument->memory;
	return 0;
}

static int parse_room(struct hand_argument *argument, const char *text, const char **ret_problem)
{
	char *end;
	unsigned long bytes;

	errno = 0;
	bytes = strtoul(text + 1, &end, 0);
	if (text[1] < '0' || text[1] > '9' || strcmp(end, "]") != 0 || errno != 0 ||
		bytes > HAND_ROOM_MAX) {
		*ret_problem = "room is [N], N bytes of at most 64 MiB";
		return -EINVAL;
	}
	*ret_problem = "no memory for it";
	return hand_argument_take_memory(argument, HAND_ARGUMENT_ROOM, bytes);
}

static int read_file(struct hand_argument *argument, const char *path, const char **ret_problem)
{
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	ssize_t bytes;

	*ret_problem = "the file cannot be read";
	if (fd < 0 || fstat(fd, &stat) != 0)
		return -errno;
	if (!S_ISREG(stat.st_mode) || stat.st_size > (off_t)HAND_ROOM_MAX) {
		*ret_problem = "@FILE must be a regular file of at most 64 MiB";
		return -EINVAL;
	}
	if (hand_argument_take_memory(argument, HAND_ARGUMENT_BYTES, (size_t)stat.st_size) != 0)
		return -ENOMEM;
	argument->bytes = 0;
	while ((bytes = read(fd, argument->memory + argument->bytes,
			(size_t)stat.st_size - argument->bytes)) > 0)
		argument->bytes += (size_t)bytes;
	argument->count_bytes = argument->bytes;
	return bytes < 0 ? -errno : 0;
}

int hand_argument_init(struct hand_argument *argument, const char *text, const char **ret_problem)
{
	*argument = (struct hand_argument){.kind = HAND_ARGUMENT_NUMBER};
	if (parse_number(text, &argument->value))
		return 0;
	if (text[0] == '[')
		return parse_room(argument, text, ret_problem);
	if (text[0] == '@')
		return read_file(argument, text + 1, ret_problem);
	if (text[0] == '=')
		text++;
	*ret_problem = "no memory for it";
	if (hand_argument_take_memory(argument, HAND_ARGUMENT_BYTES, strlen(text) + 1) != 0)
		return -ENOMEM;
	argument->count_bytes = strlen(text);
	memcpy(argument->memory, text, strlen(text));
	return 0;
}

void hand_argument_deinit(struct hand_argument *argument)
{
	free(TAKE(argument->memory));
}
