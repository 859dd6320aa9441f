/*
 * Text of the form MAJOR.MINOR-OS/MACHINE: the machine is what follows the last slash.
 */
#include "sysproxy/banner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define PREFIX "RUMPSP-"

size_t banner_make(const struct banner *banner, char ret_line[WIRE_BANNER_MAX + 1])
{
	char announcement[24] = "";
	int tail_bytes, bytes;

	if (banner->extension != 0)
		(void)snprintf(announcement, sizeof(announcement), " FERRY-%u", banner->extension);
	tail_bytes = (int)(strlen(banner->machine) + strlen(announcement));
	bytes = snprintf(ret_line, WIRE_BANNER_MAX + 1, PREFIX "%u.%u-%.*s/%s%s\n", banner->major,
		banner->minor, (int)WIRE_BANNER_MAX - 16 - tail_bytes, banner->os, banner->machine,
		announcement);
	return bytes > 0 && bytes <= (int)WIRE_BANNER_MAX ? (size_t)bytes : 0;
}

/* Take a number of at most three digits. @return whether there is one, followed by @end. */
static bool take_number(const char **cursor, char end, unsigned *ret_number)
{
	const char *text = *cursor;
	unsigned number = 0;
	int digit_count = 0;

	for (; *text >= '0' && *text <= '9' && digit_count < 3; digit_count++)
		number = number * 10 + (unsigned)(*text++ - '0');
	if (digit_count == 0 || *text != end)
		return false;
	*cursor = text;
	*ret_number = number;
	return true;
}

static bool is_printable(const char *line, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (line[i] < ' ' || line[i] > '~')
			return false;
	}
	return true;
}

int banner_parse(const char *line, size_t bytes, struct banner *ret_banner)
{
	struct banner banner = {0};
	char text[WIRE_BANNER_MAX + 1] = "";
	const char *cursor = text + strlen(PREFIX);
	char *machine, *announcement;

	if (bytes == 0 || bytes > WIRE_BANNER_MAX || line[bytes - 1] != '\n' ||
		!is_printable(line, bytes - 1))
		return -EPROTO;
	memcpy(text, line, bytes - 1);
	if (strncmp(text, PREFIX, strlen(PREFIX)) != 0)
		return -EPROTO;
	if (!take_number(&cursor, '.', &banner.major))
		return -EPROTO;
	cursor++;
	if (!take_number(&cursor, '-', &banner.minor))
		return -EPROTO;
	cursor++;
	announcement = strchr(text, ' ');
	if (announcement != NULL) {
		const char *version = announcement + strlen(" FERRY-");

		*announcement = '\0';
		/* Whatever else a line may go on with is not for us. */
		if (strncmp(announcement + 1, "FERRY-", strlen("FERRY-")) == 0 &&
			!take_number(&version, '\0', &banner.extension) &&
			!take_number(&version, ' ', &banner.extension))
			return -EPROTO;
	}
	machine = strrchr(text, '/');
	if (machine == NULL || machine < cursor)
		return -EPROTO;
	*machine++ = '\0';
	(void)snprintf(banner.os, sizeof(banner.os), "%s", cursor);
	(void)snprintf(banner.machine, sizeof(banner.machine), "%.15s", machine);
	*ret_banner = banner;
	return 0;
}

void banner_machine(char ret_machine[sizeof(((struct wire_hello *)0)->machine)])
{
	struct utsname name;

	if (uname(&name) != 0)
		abort(); /* it has no errors but that of a bad pointer */
	memset(ret_machine, 0, sizeof(((struct wire_hello *)0)->machine));
	memcpy(ret_machine, name.machine,
		strnlen(name.machine, sizeof(((struct wire_hello *)0)->machine) - 1));
}
