/*
 * What `ferry call` is given: names of system calls and their arguments.
 */
#ifndef FERRY_CMD_CALL_ARGUMENT_H
#define FERRY_CMD_CALL_ARGUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_ROOM_MAX (64u << 20) /* bytes of [N] and of @FILE */

enum call_argument_kind {
	CALL_ARGUMENT_NUMBER, /* passed as it is */
	CALL_ARGUMENT_BYTES,  /* TEXT with its NUL, or @FILE */
	CALL_ARGUMENT_ROOM,   /* [N] */
};

struct call_argument {
	enum call_argument_kind kind;
	uint64_t value;  /* what is passed: a number or an address */
	uint8_t *memory; /* owned; NULL for a number */
	size_t bytes;
};

/** Parse @text: NUMBER, TEXT, =TEXT, @FILE or [N].
 *  @return 0, or -errno with @ret_problem a constant sentence. */
int call_argument_init(struct call_argument *argument, const char *text, const char **ret_problem)
	__attribute__((warn_unused_result));
void call_argument_deinit(struct call_argument *argument);

/* Whose numbers a kernel goes by. */
enum call_numbering {
	CALL_LINUX,  /* this machine's: a kernel that is spoken to with the extension */
	CALL_NETBSD, /* plain sysproxy 0.4 */
};

/** @return whether @name is a number, or the name of a system call that is known. */
bool call_number_of(const char *name, enum call_numbering numbering, uint32_t *ret_number);

/** @return "ENOENT", or NULL: nobody here knows. */
const char *call_error_name(int error, enum call_numbering numbering);

#endif
