/*
 * Rules that single calls have beyond what the call table says: the policy of sockets, and what must not be
 * done to a process that is also a worker.
 */
#ifndef FERRY_KERNEL_LINUX_RULE_H
#define FERRY_KERNEL_LINUX_RULE_H

#include "kernel/linux_call.h"

/** Whether a call, whose arguments have been brought, may be made; arguments are cut where they would
 *  reach what is the worker's. @return 0 or -errno */
int linux_rule_check(struct linux_call *call) __attribute__((warn_unused_result));

/** Make a call. @return its value, or -errno */
int64_t linux_rule_make(struct linux_call *call);

/** Whether a message may be sent to @address. @return 0 or -errno */
int linux_rule_send(const struct linux_call *call, const void *address, socklen_t bytes)
	__attribute__((warn_unused_result));

#endif
