/*
 * Descriptors that a call has made: one, its value, or two in memory. The client gets those below the window.
 */
#ifndef FERRY_KERNEL_LINUX_MADE_H
#define FERRY_KERNEL_LINUX_MADE_H

#include "kernel/linux_call.h"

/** @return whether a call makes any. */
bool linux_made_is_any(const struct linux_call *call);

/** @return whether one that was made has a number of the worker's own. */
bool linux_made_is_hidden(const struct linux_call *call, int64_t value);

/** Close what was made. */
void linux_made_close(const struct linux_call *call, int64_t value);

#endif
