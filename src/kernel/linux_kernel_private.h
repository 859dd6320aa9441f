/*
 * The kernel as its calls see it.
 */
#ifndef FERRY_KERNEL_LINUX_KERNEL_PRIVATE_H
#define FERRY_KERNEL_LINUX_KERNEL_PRIVATE_H

#include <stdatomic.h>

#include "kernel/linux_kernel.h"
#include "kernel/linux_policy.h"

#define LINUX_NUMBERS_MAX 1024u /* of unknown calls that are told apart */

struct linux_kernel {
	struct linux_kernel_options options;
	int window;
	atomic_uint_fast64_t calls, failures, refusals;
	atomic_uint_fast64_t unknown[LINUX_NUMBERS_MAX / 64 + 1]; /* numbers that were logged */
};

/** A call that has no row. @return -ENOSYS */
int linux_kernel_unknown(struct linux_kernel *kernel, uint32_t number);

/** The policy does not allow a call: it is counted, and the owner is told.
 *  @param call its name
 *  @param address where it wanted to reach, or NULL */
void linux_kernel_refuse(struct linux_kernel *kernel, const char *call,
	const struct sockaddr *address, socklen_t bytes);

#endif
