/*
 * A call as a line of text, as strace prints it:
 *
 *     openat(AT_FDCWD, "/etc/hosts", O_RDONLY|O_CLOEXEC, 0) = 3
 *     connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.1")}, 16)
 *         = -1 ECONNREFUSED (Connection refused)
 */
#ifndef FERRY_CALL_TEXT_H
#define FERRY_CALL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "call/table.h"

#define CALL_TEXT_MAX 4096u /* bytes that suffice for nearly all calls, with NUL */

/** Print a call that has been made.
 *  @param number whose row it is; one that has none is printed with six numbers
 *  @param arguments their pointers are of this process, to what they were about; what is not there is
 *  printed as a number
 *  @param value as Linux returned it: -4095..-1 is -errno
 *  @param ret_line room for @room bytes, at least 1; cut to fit, with NUL
 *  @return bytes of the line, without NUL. */
size_t call_print(uint32_t number, const uint64_t arguments[CALL_ARGUMENTS_MAX], int64_t value,
	char *ret_line, size_t room);

#endif
