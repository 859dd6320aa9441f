/*
 * The kernel that a server was given, as the server calls it: operations that are missing are passed
 * over, and all but cancel, block and unblock stand between schedule() and unschedule().
 */
#ifndef FERRY_SYSPROXY_KERNEL_H
#define FERRY_SYSPROXY_KERNEL_H

#include "ferry/kernel.h"

struct kernel {
	struct ferry_kernel_operations operations; /* a copy */
	void *data;
};

/** Take a copy of @from, of which the operations may be those of an older library.
 *  @return 0, or -EINVAL: call is missing, or the size is not set. */
int kernel_init(struct kernel *kernel, const struct ferry_kernel *from)
	__attribute__((warn_unused_result));

/* As in ferry/kernel.h; @process and @lwp are the kernel's pointers. */

int kernel_process_new(const struct kernel *kernel, struct ferry_process *process, const char *name,
	void **ret_data) __attribute__((warn_unused_result));

/** @return as process_fork; -ENOSYS if the kernel cannot. */
int kernel_process_fork(const struct kernel *kernel, void *parent, struct ferry_process *child,
	void **ret_data) __attribute__((warn_unused_result));

void kernel_process_exec(const struct kernel *kernel, void *process, const char *name);
void kernel_process_exit(const struct kernel *kernel, void *process);

/** @param own_id what it is if the kernel does not number processes */
uint64_t kernel_process_id(const struct kernel *kernel, void *process, uint64_t own_id);

/** Make an lwp and have this thread act as it. */
int kernel_lwp_new(const struct kernel *kernel, void *process, struct ferry_lwp *lwp,
	void **ret_data) __attribute__((warn_unused_result));

/** End the lwp that this thread acts as; it acts as none then. */
void kernel_lwp_release(const struct kernel *kernel, void *lwp);

/** Answer @call as @lwp, which this thread acts as. */
int kernel_call(const struct kernel *kernel, void *lwp, struct ferry_lwp *handle,
	const struct ferry_kernel_call *call, int64_t ret_values[2])
	__attribute__((warn_unused_result));

void kernel_cancel(const struct kernel *kernel, void *lwp);
void kernel_block(const struct kernel *kernel);
void kernel_unblock(const struct kernel *kernel);

#endif
