/*
 * A trace of calls, for the owner: each as strace prints it.
 */
#ifndef FERRY_KERNEL_LINUX_TRACE_H
#define FERRY_KERNEL_LINUX_TRACE_H

#include "kernel/linux_call.h"

/** A call has been made, or refused: print it. Its memory is still there; lengths in it may be changed.
 *  @param value of the call, or -errno */
void linux_trace(const struct linux_call *call, int64_t value);

#endif
