/*
 * A text that begins with =, @ or [ is what it is everywhere, and so is a number that nobody wants a
 * pointer to.
 */
#include "cmd/hand_fit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/text.h"
#include "call/codes.h"
#include "call/extent.h"
#include "call/names.h"

#define WORD_MAX      64   /* a name, or a host, with NUL */
#define ROOM_MADE_MAX 4096 /* bytes of a structure for which room is made */

#define ADDRESS_PROBLEM "an address is IPV4:PORT, [IPV6]:PORT, or a path that begins with a slash"

static void values_of(const struct hand_argument *arguments, uint64_t values[CALL_ARGUMENTS_MAX])
{
	for (unsigned i = 0; i < CALL_ARGUMENTS_MAX; i++)
		values[i] = arguments[i].value;
}

/* Names of flags */

/* @return the set whose code argument @index is, or -1. */
static int set_of(const struct call_row *row, unsigned index)
{
	const struct call_argument *next = &row->arguments[index + 1];

	return index + 1 < row->argument_count && next->class == CALL_SELECTED &&
			next->length == index
		? (int)next->unit_bytes
		: -1;
}

static bool find_code(enum call_set set, int32_t level, const char *name, uint32_t *ret_value)
{
	size_t count;
	const struct call_code *codes = call_codes(set, &count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(codes[i].name, name) == 0 &&
			(set != CALL_SET_OPTION || codes[i].level == level)) {
			*ret_value = codes[i].code;
			return true;
		}
	}
	return false;
}

/* @return the names that argument @index may be of, or NULL. */
static const struct call_names *names_of(const struct call_row *row,
	const struct hand_argument *arguments, unsigned index)
{
	if (row->number == SYS_fcntl && index == 2 && arguments[1].value == F_SETFL)
		return &call_names_open;
	if (row->number == SYS_fcntl && index == 2 && arguments[1].value == F_SETFD)
		return &call_names_fcntl_flags;
	return row->arguments[index].names;
}

/* @return whether @word is a number or a name that argument @index may have. */
static bool take_word(const struct call_row *row, const struct hand_argument *arguments,
	unsigned index, const char *word, uint32_t *ret_value)
{
	const struct call_names *names = names_of(row, arguments, index);
	int set = set_of(row, index);
	int32_t level = index > 0 ? (int32_t)arguments[index - 1].value : 0;
	char *end;

	if (word[0] >= '0' && word[0] <= '9') {
		*ret_value = (uint32_t)strtoul(word, &end, 0);
		return *end == '\0';
	}
	return (names != NULL && call_names_find(names, word, ret_value)) ||
		(set >= 0 && find_code((enum call_set)set, level, word, ret_value));
}

static int fit_names(const struct call_row *row, struct hand_argument *arguments, unsigned index,
	const char *text, const char **ret_problem)
{
	uint32_t flags = 0;

	*ret_problem = "a number is needed, or names of flags that this argument has, such as "
		       "O_RDWR|O_CREAT";
	for (const char *at = text; at != NULL;) {
		const char *end = strchrnul(at, '|');
		char word[WORD_MAX];
		uint32_t value;

		if ((size_t)(end - at) >= sizeof(word))
			return -EINVAL;
		(void)snprintf(word, sizeof(word), "%.*s", (int)(end - at), at);
		if (!take_word(row, arguments, index, word, &value))
			return -EINVAL;
		flags |= value;
		at = *end == '|' ? end + 1 : NULL;
	}
	arguments[index] = (struct hand_argument){.kind = HAND_ARGUMENT_NUMBER, .value = flags};
	return 0;
}

/* Addresses */

static int take_bytes(struct hand_argument *argument, const void *from, size_t bytes)
{
	if (hand_argument_take_memory(argument, HAND_ARGUMENT_BYTES, bytes) != 0)
		return -ENOMEM;
	memcpy(argument->memory, from, bytes);
	return 0;
}

static int fit_unix(struct hand_argument *argument, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (!text_copy(address.sun_path, sizeof(address.sun_path), path))
		return -EINVAL;
	return take_bytes(argument, &address,
		offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

static int fit_inet(struct hand_argument *argument, const char *host, in_port_t port)
{
	struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 inet6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	size_t length = strlen(host);
	char bare[WORD_MAX];

	if (inet_pton(AF_INET, host, &inet.sin_addr) == 1)
		return take_bytes(argument, &inet, sizeof(inet));
	if (length < 2 || host[0] != '[' || host[length - 1] != ']')
		return -EINVAL;
	(void)snprintf(bare, sizeof(bare), "%.*s", (int)length - 2, host + 1);
	if (inet_pton(AF_INET6, bare, &inet6.sin6_addr) != 1)
		return -EINVAL;
	return take_bytes(argument, &inet6, sizeof(inet6));
}

static int fit_address(struct hand_argument *argument, const char *text, const char **ret_problem)
{
	const char *colon = strrchr(text, ':');
	char host[WORD_MAX];
	uint64_t port;

	*ret_problem = ADDRESS_PROBLEM;
	if (text[0] == '/')
		return fit_unix(argument, text);
	if (colon == NULL || (size_t)(colon - text) >= sizeof(host) ||
		text_parse_number(colon + 1, 0, UINT16_MAX, &port) != 0)
		return -EINVAL;
	(void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	return fit_inet(argument, host, (in_port_t)port);
}

/* Numbers to which the call wants a pointer */

/* @return whether a number stands for memory that has it: a value to set, an offset, a size. */
static bool is_value(const struct call_extent *extent, uint64_t value)
{
	bool is_number = extent->format == CALL_FORMAT_INT || extent->format == CALL_FORMAT_LONG;

	if (extent->class == CALL_SIZE)
		return value != 0;
	if (extent->class == CALL_IN)
		return is_number && (extent->code != NULL || value != 0);
	return extent->class == CALL_IN_OUT && is_number && value != 0;
}

static int fit_value(struct hand_argument *argument, const struct call_extent *extent,
	const char **ret_problem)
{
	const uint64_t value = argument->value;
	const uint32_t word = (uint32_t)value;
	bool is_long = extent->format == CALL_FORMAT_LONG;

	*ret_problem = "no memory for it";
	argument->is_both = extent->class != CALL_IN;
	return is_long ? take_bytes(argument, &value, sizeof(value))
		       : take_bytes(argument, &word, sizeof(word));
}

/* @return whether @text is written as an address. */
static bool is_address(const struct call_extent *extent, const char *text)
{
	return extent->class == CALL_IN && extent->format == CALL_FORMAT_ADDRESS &&
		text[0] != '=' && text[0] != '@' && (text[0] == '/' || strchr(text, ':') != NULL);
}

/* @argument is neither a number nor marked as what it is. */
static int fit_word(const struct call_row *row, struct hand_argument *arguments, unsigned index,
	const char *text, const char **ret_problem)
{
	enum call_class class = (enum call_class)row->arguments[index].class;
	struct hand_argument *argument = &arguments[index];

	if (class == CALL_IN && row->arguments[index].format == CALL_FORMAT_ADDRESS) {
		*ret_problem = ADDRESS_PROBLEM;
		return -EINVAL;
	}
	if (class == CALL_DIRFD && strcmp(text, "AT_FDCWD") == 0) {
		hand_argument_deinit(argument);
		*argument = (struct hand_argument){.value = (uint64_t)AT_FDCWD};
		return 0;
	}
	if (class == CALL_SCALAR || names_of(row, arguments, index) != NULL) {
		hand_argument_deinit(argument);
		return fit_names(row, arguments, index, text, ret_problem);
	}
	*ret_problem = "a descriptor is a number";
	return class == CALL_FD || class == CALL_DIRFD ? -EINVAL : 0;
}

int hand_fit_text(const struct call_row *row, struct hand_argument *arguments, unsigned index,
	const char *text, const char **ret_problem)
{
	struct hand_argument *argument = &arguments[index];
	bool is_marked = text[0] == '=' || text[0] == '@' || text[0] == '[';
	uint64_t values[CALL_ARGUMENTS_MAX];
	struct call_extent extent;
	int error;

	*argument = (struct hand_argument){.kind = HAND_ARGUMENT_NUMBER};
	values_of(arguments, values);
	/* What the table refuses, the kernel shall refuse. */
	if (call_extent(row, values, index, &extent) != 0)
		return hand_argument_init(argument, text, ret_problem);
	if (is_address(&extent, text))
		return fit_address(argument, text, ret_problem);
	error = hand_argument_init(argument, text, ret_problem);
	if (error != 0)
		return error;
	if (argument->kind == HAND_ARGUMENT_NUMBER)
		return is_value(&extent, argument->value)
			? fit_value(argument, &extent, ret_problem)
			: 0;
	argument->is_both = extent.class == CALL_IN_OUT || extent.class == CALL_SIZE;
	return is_marked ? 0 : fit_word(row, arguments, index, text, ret_problem);
}

/* What was left out */

/* @return how much argument @index, a number, says that another one has. */
static uint64_t counted_by(const struct call_row *row, const struct hand_argument *arguments,
	unsigned index)
{
	for (unsigned i = 0; i < index; i++) {
		const struct call_argument *counted = &row->arguments[i];
		bool is_value = counted->class == CALL_SELECTED && index == i + 1;
		bool is_memory = counted->class == CALL_IN || counted->class == CALL_OUT ||
			counted->class == CALL_IN_OUT;

		if (is_value || (is_memory && counted->length == index))
			return arguments[i].count_bytes / (is_value ? 1 : counted->unit_bytes);
	}
	return 0;
}

/* @return whether there shall be room for what was left out: a structure that the call is there to fill
 * in. What is counted had to be said. */
static bool is_room_made(const struct call_argument *argument, const struct call_extent *extent)
{
	return extent->bytes <= ROOM_MADE_MAX &&
		(extent->code != NULL ||
			(argument->length == CALL_FIXED &&
				(argument->flags & CALL_IS_NULLABLE) == 0));
}

static int fit_absent(const struct call_row *row, struct hand_argument *arguments, unsigned index)
{
	struct hand_argument *argument = &arguments[index];
	uint64_t values[CALL_ARGUMENTS_MAX];
	struct call_extent extent;
	uint32_t size;

	*argument = (struct hand_argument){.kind = HAND_ARGUMENT_NUMBER};
	values_of(arguments, values);
	if (call_extent(row, values, index, &extent) != 0)
		return 0;
	if (extent.class == CALL_SCALAR && extent.code == NULL)
		argument->value = counted_by(row, arguments, index);
	if (extent.class == CALL_SIZE && arguments[index - 1].memory != NULL) {
		size = (uint32_t)arguments[index - 1].bytes;
		argument->is_both = true;
		return take_bytes(argument, &size, sizeof(size));
	}
	if (extent.class == CALL_OUT && is_room_made(&row->arguments[index], &extent))
		return hand_argument_take_memory(argument, HAND_ARGUMENT_ROOM,
			(size_t)extent.bytes);
	return 0;
}

int hand_fit_rest(const struct call_row *row, struct hand_argument *arguments, unsigned count,
	const char **ret_problem)
{
	*ret_problem = "no memory for it";
	for (unsigned i = count; i < row->argument_count; i++) {
		if (fit_absent(row, arguments, i) != 0)
			return -ENOMEM;
	}
	return 0;
}
