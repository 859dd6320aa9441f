/*
 * Arguments of a call by hand, understood by what the call table knows of it: names of flags and
 * requests, addresses of sockets, numbers that the call wants a pointer to, and what can be left out.
 */
#ifndef FERRY_CMD_HAND_FIT_H
#define FERRY_CMD_HAND_FIT_H

#include "call/table.h"
#include "cmd/hand_argument.h"

/** Parse @texts[@index] as argument @index of @row; those before are parsed.
 *  @param arguments the call's, at least CALL_ARGUMENTS_MAX
 *  @return 0, or -errno with @ret_problem a constant sentence. */
int hand_fit_text(const struct call_row *row, struct hand_argument *arguments, unsigned index,
	const char *text, const char **ret_problem) __attribute__((warn_unused_result));

/** Fill in the arguments from @count on, which were left out: how many bytes another argument has, room
 *  for a structure that the call fills in, the size of an address, or else 0.
 *  @return 0 or -errno with @ret_problem a constant sentence. */
int hand_fit_rest(const struct call_row *row, struct hand_argument *arguments, unsigned count,
	const char **ret_problem) __attribute__((warn_unused_result));

#endif
