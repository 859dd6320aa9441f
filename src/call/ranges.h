/*
 * The memory that a call is about, as a client must declare it before the call is made: which bytes of
 * this process the kernel far away may read, and which it may write.
 */
#ifndef FERRY_CALL_RANGES_H
#define FERRY_CALL_RANGES_H

#include "call/table.h"

enum {
	CALL_RANGE_IN = 1, /* is read */
	CALL_RANGE_OUT = 2,
};

struct call_range {
	uint64_t address;
	uint64_t bytes;
	unsigned flags; /* CALL_RANGE_ bits */
};

struct call_ranges {
	struct call_range *items; /* the caller's */
	unsigned limit;           /* of items */
	unsigned count;           /* 0 at first */
};

/** Add what the call @row with @arguments is about to @ranges. Strings, vectors, messages and sizes are
 *  looked at in this process's memory, once; what changes beside that is not followed. An argument that
 *  the table refuses has no range: the kernel will refuse it too.
 *  @param arguments the call's. A count of messages (sendmmsg(), recvmmsg()) is made less if not all of
 *  them fit into @ranges, which Linux may do as well
 *  @return 0; -EFAULT: what must be looked at is not there; -ENOBUFS: more than ranges->limit. */
int call_ranges(const struct call_row *row, uint64_t arguments[CALL_ARGUMENTS_MAX],
	struct call_ranges *ranges) __attribute__((warn_unused_result));

#endif
