/*
 * The filter of the system calls of a worker: what the call table has, and what the worker itself needs.
 */
#ifndef FERRY_KERNEL_SANDBOX_FILTER_H
#define FERRY_KERNEL_SANDBOX_FILTER_H

#include <stdbool.h>

#include <linux/filter.h>

/** Make the filter.
 *  @param has_network whether sockets of IPv4 and IPv6 can be made
 *  @param ret_filter its program is to be freed by the caller
 *  @return 0 or -errno. */
int sandbox_filter_make(bool has_network, struct sock_fprog *ret_filter)
	__attribute__((warn_unused_result));

/** Filter the calls of this thread, and of all that it starts, from now on. No new privileges must have been
 *  said. @return 0 or -errno. */
int sandbox_filter_load(const struct sock_fprog *filter) __attribute__((warn_unused_result));

#endif
