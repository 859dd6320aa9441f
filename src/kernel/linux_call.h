/*
 * One call: the client's arguments, from which the arguments for Linux are made, the call, and what goes
 * back. What the call table says of a row is done here; what is particular to some calls is in
 * linux_rule.h (what is allowed), linux_transfer.h (bytes in parts) and linux_message.h.
 */
#ifndef FERRY_KERNEL_LINUX_CALL_H
#define FERRY_KERNEL_LINUX_CALL_H

#include "call/extent.h"
#include "ferry/kernel.h"
#include "kernel/linux_kernel_private.h"
#include "kernel/linux_lwp.h"

struct linux_call {
	struct linux_kernel *kernel;
	struct linux_lwp *lwp;
	const struct call_row *row;
	const uint64_t *given;
	uint64_t local[CALL_ARGUMENTS_MAX]; /* as Linux is given them */
	struct call_extent extents[CALL_ARGUMENTS_MAX];
	struct linux_room rooms[CALL_ARGUMENTS_MAX]; /* of OUT, IN_OUT and SIZE; local NULL: none */
	bool is_placing;                             /* a room has been placed in the reply */
};

/** Make @call for @lwp. @return 0 with the value, or -errno */
int linux_call_make(struct linux_lwp *lwp, const struct ferry_kernel_call *call, int64_t *ret_value)
	__attribute__((warn_unused_result));

/** Have Linux make the call as it is. @return its value, or -errno */
int64_t linux_call_raw(const struct linux_call *call);

/** Whether a descriptor is one of the worker's own, of which a client knows nothing. */
bool linux_call_is_hidden(const struct linux_call *call, int fd);

/** Give a client's descriptor a number of the worker's own, so that nothing that the client does can put
 *  another file in its place. @return the number, to be closed by the caller, or -errno */
int linux_call_hold(const struct linux_call *call, int fd) __attribute__((warn_unused_result));

#endif
