/*
 * Structures of calls as text: {tv_sec=1, tv_nsec=0}.
 */
#ifndef FERRY_CALL_FORMAT_H
#define FERRY_CALL_FORMAT_H

#include "call/line.h"
#include "call/table.h"

/** Add the @bytes bytes at @address of this process, which are @format; what is not there, and NULL, is
 *  printed as an address. @bytes may be those of several elements. */
void call_format_add(struct call_line *line, enum call_format format, uint64_t address,
	uint64_t bytes);

/** Add the address alone: NULL, or hexadecimal. */
void call_format_add_pointer(struct call_line *line, uint64_t address);

/** Add the string at @address in quotes. @param limit look at no more bytes; one that is longer is
 *  followed by "...". */
void call_format_add_string(struct call_line *line, uint64_t address, size_t limit);

#endif
