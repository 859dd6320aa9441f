/*
 * A line of text that grows at its end and is cut where its room ends.
 */
#ifndef FERRY_CALL_LINE_H
#define FERRY_CALL_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "call/names.h"

struct call_line {
	char *text; /* the caller's, always with NUL */
	size_t room;
	size_t used; /* without NUL; room - 1: it may have been cut */
};

/** A line in @room bytes, at least 1. */
struct call_line call_line_over(char *text, size_t room);

void call_line_add(struct call_line *line, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** Add bytes in quotes, as C writes them: \n, \33, \". */
void call_line_add_quoted(struct call_line *line, const uint8_t *bytes, size_t count);

/** Add the names of the bits in @value, "O_RDWR|O_CLOEXEC", and what has no name in hexadecimal.
 *  @param names NULL: there are none */
void call_line_add_names(struct call_line *line, const struct call_names *names, uint32_t value);

#endif
