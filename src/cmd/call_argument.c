/*
 * The names of system calls come from the C library's headers of this machine (call_names).
 */
#include "cmd/call_argument.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"

static const struct {
	const char *name;
	uint32_t number;
} names[] = {
#include "cmd/call_names.inc"
};

bool call_number_of(const char *name, uint32_t *ret_number)
{
	char *end;
	unsigned long number;

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
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

const char *call_error_name(int error)
{
	const char *name = strerrorname_np(error);

	return name != NULL ? name : "an error number that Linux does not have";
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

static int take_memory(struct call_argument *argument, size_t bytes)
{
	argument->memory = calloc(bytes + 1, 1);
	if (argument->memory == NULL)
		return -ENOMEM;
	argument->bytes = bytes;
	argument->value = (uintptr_t)argument->memory;
	return 0;
}

static int parse_room(struct call_argument *argument, const char *text, const char **ret_problem)
{
	char *end;
	unsigned long bytes;

	errno = 0;
	bytes = strtoul(text + 1, &end, 0);
	if (text[1] < '0' || text[1] > '9' || strcmp(end, "]") != 0 || errno != 0 ||
		bytes > CALL_ROOM_MAX) {
		*ret_problem = "room is [N], N bytes of at most 64 MiB";
		return -EINVAL;
	}
	argument->kind = CALL_ARGUMENT_ROOM;
	*ret_problem = "no memory for it";
	return take_memory(argument, bytes);
}

static int read_file(struct call_argument *argument, const char *path, const char **ret_problem)
{
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	ssize_t bytes;

	*ret_problem = "the file cannot be read";
	if (fd < 0 || fstat(fd, &stat) != 0)
		return -errno;
	if (!S_ISREG(stat.st_mode) || stat.st_size > (off_t)CALL_ROOM_MAX) {
		*ret_problem = "@FILE must be a regular file of at most 64 MiB";
		return -EINVAL;
	}
	if (take_memory(argument, (size_t)stat.st_size) != 0)
		return -ENOMEM;
	argument->bytes = 0;
	while ((bytes = read(fd, argument->memory + argument->bytes,
			(size_t)stat.st_size - argument->bytes)) > 0)
		argument->bytes += (size_t)bytes;
	return bytes < 0 ? -errno : 0;
}

int call_argument_init(struct call_argument *argument, const char *text, const char **ret_problem)
{
	*argument = (struct call_argument){.kind = CALL_ARGUMENT_NUMBER};
	if (parse_number(text, &argument->value))
		return 0;
	argument->kind = CALL_ARGUMENT_BYTES;
	if (text[0] == '[')
		return parse_room(argument, text, ret_problem);
	if (text[0] == '@')
		return read_file(argument, text + 1, ret_problem);
	if (text[0] == '=')
		text++;
	*ret_problem = "no memory for it";
	if (take_memory(argument, strlen(text) + 1) != 0)
		return -ENOMEM;
	memcpy(argument->memory, text, strlen(text));
	return 0;
}

void call_argument_deinit(struct call_argument *argument)
{
	free(TAKE(argument->memory));
}
