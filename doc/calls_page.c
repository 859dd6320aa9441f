/*
 * Writes the manual page ferry-calls(7), as scdoc takes it, from the call table: a call is documented
 * because it is carried.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "call/codes.h"
#include "call/table.h"

static const char introduction[] =
	"ferry-calls(7)\n\n"
	"# NAME\n\n"
	"ferry-calls - Linux's system calls that are carried to a kernel elsewhere\n\n"
	"# DESCRIPTION\n\n"
	"A system call is carried by what is known of it: each argument's kind, which memory it is about, "
	"and how much of that. These are the calls known, with their arguments as the manual pages of "
	"section 2 name them. What is not here fails with ENOSYS.\n\n"
	"Before an argument that is an address stands what becomes of its memory: _in_, it is read, _out_, "
	"it is written, _in/out_, both. In brackets is the argument that says how much it is. Paths and "
	"strings end with a NUL. A mask of signals (_signals_) is not carried: signals are the caller's "
	"own concern, and the call is made without it.\n\n"
	"Under *Limits* stands how much an argument may be about; more fails as Linux fails it, or, where "
	"it says _cut_, is as if it were less. Where nothing stands it is what Linux takes.\n";

static const struct {
	enum call_group group;
	const char *title;
} groups[] = {
	{CALL_GROUP_FILE, "DESCRIPTORS AND THEIR BYTES"},
	{CALL_GROUP_PATH, "PATHS"},
	{CALL_GROUP_SOCKET, "SOCKETS"},
	{CALL_GROUP_PIPE, "PIPES"},
	{CALL_GROUP_WAIT, "WAITING"},
	{CALL_GROUP_PROCESS, "PROCESSES AND THE MACHINE"},
};

/* scdoc takes an underscore between letters as it is, but not an asterisk or one at an edge. */
static void write_name(const char *name)
{
	for (; *name != '\0'; name++)
		printf(*name == '_' ? "\\_" : "%c", *name);
}

/* @return what becomes of the memory of @argument, or NULL: it has none. */
static const char *direction_of(const struct call_argument *argument)
{
	switch ((enum call_class)argument->class) {
	case CALL_SCALAR:
	case CALL_FD:
	case CALL_DIRFD:
	case CALL_PATH:
	case CALL_STRING:
	case CALL_SELECTED:
		return NULL;
	case CALL_SIGNALS:
		return "signals";
	case CALL_IN:
	case CALL_VECTOR_IN:
	case CALL_MESSAGE_IN:
		return "in";
	case CALL_OUT:
	case CALL_VECTOR_OUT:
		return "out";
	case CALL_IN_OUT:
	case CALL_SIZE:
	case CALL_MESSAGE_OUT:
	case CALL_MESSAGES_IN:
	case CALL_MESSAGES_OUT:
		return "in/out";
	}
	return NULL;
}

static bool is_counted(const struct call_argument *argument)
{
	return direction_of(argument) != NULL && argument->class != CALL_SIZE &&
		argument->class != CALL_SIGNALS && argument->length != CALL_FIXED;
}

static void write_argument(const struct call_row *row, unsigned index)
{
	const struct call_argument *argument = &row->arguments[index];

	printf(index > 0 ? ", " : "");
	if (direction_of(argument) != NULL)
		printf("_%s_ ", direction_of(argument));
	write_name(argument->name);
	if (!is_counted(argument))
		return;
	printf("[");
	write_name(row->arguments[argument->length == CALL_FD_SET ? 0 : argument->length].name);
	printf("]");
}

/* @return whether the limit of @argument is narrower than what it is counted by. */
static bool is_limited(const struct call_argument *argument)
{
	return is_counted(argument) && argument->length != CALL_FD_SET &&
		argument->limit != CALL_BYTES_MAX;
}

static void write_limits(const struct call_row *row)
{
	const char *separator = "";

	for (unsigned i = 0; i < row->argument_count; i++) {
		const struct call_argument *argument = &row->arguments[i];

		if (!is_limited(argument))
			continue;
		printf("%s", separator);
		write_name(argument->name);
		printf(" %" PRIu32 "%s", argument->limit,
			(argument->flags & CALL_IS_CUT) != 0 ? ", cut" : "");
		separator = "; ";
	}
	printf("\n");
}

static void write_group(enum call_group group, const char *title)
{
	size_t count;
	const struct call_row *rows = call_rows(&count);

	printf("\n# %s\n\n|< *Call*\n:[ *Limits*\n", title);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].group != group)
			continue;
		printf("|  *");
		write_name(rows[i].name);
		printf("*(");
		for (unsigned j = 0; j < rows[i].argument_count; j++)
			write_argument(&rows[i], j);
		printf(")\n:  ");
		write_limits(&rows[i]);
	}
}

static const char *level_name(int32_t level)
{
	switch (level) {
	case SOL_SOCKET:
		return "SOL\\_SOCKET";
	case IPPROTO_TCP:
		return "IPPROTO\\_TCP";
	case IPPROTO_UDP:
		return "IPPROTO\\_UDP";
	case IPPROTO_IP:
		return "IPPROTO\\_IP";
	default:
		return "IPPROTO\\_IPV6";
	}
}

static const char *use_of(enum call_set set, const struct call_code *code)
{
	switch ((enum call_class)code->class) {
	case CALL_IN:
		return set == CALL_SET_OPTION ? "set" : set == CALL_SET_CONTROL ? "sent" : "in";
	case CALL_OUT:
		return set == CALL_SET_OPTION     ? "got"
			: set == CALL_SET_CONTROL ? "received"
						  : "out";
	case CALL_IN_OUT:
		return set == CALL_SET_OPTION     ? "set, got"
			: set == CALL_SET_CONTROL ? "sent, received"
						  : "in/out";
	case CALL_FD:
		return "a descriptor";
	case CALL_SCALAR:
	case CALL_DIRFD:
	case CALL_PATH:
	case CALL_STRING:
	case CALL_SIZE:
	case CALL_VECTOR_IN:
	case CALL_VECTOR_OUT:
	case CALL_MESSAGE_IN:
	case CALL_MESSAGE_OUT:
	case CALL_MESSAGES_IN:
	case CALL_MESSAGES_OUT:
	case CALL_SELECTED:
	case CALL_SIGNALS:
		break;
	}
	return "a number";
}

static void write_codes(enum call_set set, const char *title, const char *text)
{
	size_t count;
	const struct call_code *codes = call_codes(set, &count);
	bool has_level = set == CALL_SET_OPTION || set == CALL_SET_CONTROL;

	printf("\n# %s\n\n%s\n\n|< *Name*\n:[ *Use*\n:[ *Bytes*\n", title, text);
	for (size_t i = 0; i < count; i++) {
		printf("|  ");
		if (has_level)
			printf("%s ", level_name(codes[i].level));
		write_name(codes[i].name);
		printf("\n:  %s\n:  ", use_of(set, &codes[i]));
		if (codes[i].unit_bytes > 0)
			printf("%" PRIu32, codes[i].unit_bytes);
		printf("\n");
	}
}

int main(void)
{
	printf("%s", introduction);
	for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
		write_group(groups[i].group, groups[i].title);
	write_codes(CALL_SET_FCNTL, "COMMANDS OF FCNTL", "Others fail with EINVAL.");
	write_codes(CALL_SET_IOCTL, "REQUESTS OF IOCTL", "Others fail with ENOTTY.");
	write_codes(CALL_SET_OPTION, "OPTIONS OF SOCKETS",
		"Others fail with ENOPROTOOPT. Of a value no more than the bytes told is carried.");
	write_codes(CALL_SET_CONTROL, "CONTROL MESSAGES",
		"What *sendmsg* and *recvmsg* may carry beside the data.");
	printf("\n# SEE ALSO\n\n*ferry*(1), *ferry-call*(1), *syscalls*(2)\n");
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
