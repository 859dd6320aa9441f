/*
 * Bytes of a line are printable ASCII, whatever is put in quotes.
 */
#include "call/line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct call_line call_line_over(char *text, size_t room)
{
	text[0] = '\0';
	return (struct call_line){.text = text, .room = room};
}

void call_line_add(struct call_line *line, const char *format, ...)
{
	size_t left = line->room - line->used;
	va_list arguments;
	int count;

	va_start(arguments, format);
	count = vsnprintf(line->text + line->used, left, format, arguments);
	va_end(arguments);
	if (count > 0)
		line->used += (size_t)count < left ? (size_t)count : left - 1;
}

static void add_byte(struct call_line *line, uint8_t byte, bool is_digit_next)
{
	static const char plain[] = "\n\t\r\"\\", escaped[] = "ntr\"\\";
	const char *found = byte != '\0' ? strchr(plain, byte) : NULL;

	if (found != NULL)
		call_line_add(line, "\\%c", escaped[found - plain]);
	else if (byte >= ' ' && byte <= '~')
		call_line_add(line, "%c", byte);
	else
		call_line_add(line, is_digit_next ? "\\%03o" : "\\%o", byte);
}

void call_line_add_quoted(struct call_line *line, const uint8_t *bytes, size_t count)
{
	call_line_add(line, "\"");
	for (size_t i = 0; i < count; i++)
		add_byte(line, bytes[i],
			i + 1 < count && bytes[i + 1] >= '0' && bytes[i + 1] <= '7');
	call_line_add(line, "\"");
}

void call_line_add_names(struct call_line *line, const struct call_names *names, uint32_t value)
{
	uint32_t left = value, seen = 0;
	const char *separator = "";

	for (size_t i = 0; names != NULL && i < names->count; i++) {
		const struct call_name *name = &names->names[i];

		/* A name of no bits is said of what has had no other name there. */
		if ((value & name->mask) != name->value || (seen & name->mask) != 0 ||
			(name->value != 0 && (left & name->value) != name->value))
			continue;
		call_line_add(line, "%s%s", separator, name->name);
		separator = "|";
		left &= ~name->mask;
		seen |= name->mask;
	}
	if (left != 0)
		call_line_add(line, "%s0x%x", separator, left);
	else if (*separator == '\0')
		call_line_add(line, "0");
}
