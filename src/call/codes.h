/*
 * What an argument is may depend on another one, a code: a request of ioctl(), a command of fcntl(), an
 * option of a socket, a control message. These are the codes that are carried; what is not there is
 * refused as Linux refuses what it does not know.
 */
#ifndef FERRY_CALL_CODES_H
#define FERRY_CALL_CODES_H

#include "call/table.h"

enum call_set {
	CALL_SET_IOCTL,
	CALL_SET_FCNTL,
	CALL_SET_OPTION,
	CALL_SET_CONTROL, /* control messages of sendmsg() and recvmsg() */
};

struct call_code {
	const char *name;
	uint32_t code;
	int32_t level; /* of an option and a control message; else 0 */
	/* What the last argument is: CALL_SCALAR, CALL_IN, CALL_OUT, CALL_IN_OUT, CALL_FD. Of options
	 * and control messages IN: may be set, sent; OUT: got, received; IN_OUT: both. */
	uint8_t class;
	uint8_t flags;       /* CALL_MAKES_FD, CALL_MAY_BLOCK */
	uint8_t format;      /* enum call_format */
	uint32_t unit_bytes; /* of what the pointer points at; of an option: most */
};

/** All codes of a set. */
const struct call_code *call_codes(enum call_set set, size_t *ret_count);

/** @param level 0 but of options and control messages
 *  @return the code, or NULL: refused. */
const struct call_code *call_code_find(enum call_set set, int32_t level, uint32_t code);

/** @return the code that the CALL_SELECTED argument of @row depends on, or NULL: refused, also when an
 *  option is there, but not for this direction. */
const struct call_code *call_select(const struct call_row *row,
	const uint64_t arguments[CALL_ARGUMENTS_MAX]);

/** @return how Linux refuses an unknown code of @set: -ENOTTY, -EINVAL, -ENOPROTOOPT. */
int call_code_refusal(enum call_set set);

#endif
