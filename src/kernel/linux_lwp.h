/*
 * An lwp of the Linux kernel: a thread that makes a client thread's calls, each by the call of the same
 * name. A call that waits is ended by a signal that does nothing, and so interrupts it.
 */
#ifndef FERRY_KERNEL_LINUX_LWP_H
#define FERRY_KERNEL_LINUX_LWP_H

#include <stdatomic.h>
#include <sys/types.h>

#include "ferry/kernel.h"
#include "kernel/linux_memory.h"

struct linux_kernel;

struct linux_lwp {
	struct linux_kernel *kernel;
	struct ferry_process *process;
	pid_t thread;
	atomic_bool is_cancelled; /* the call in progress is to end; of use to one made in parts */
	struct linux_memory memory;
};

/** Have the signal of linux_lwp_cancel() do nothing, in this process. @return 0 or -errno */
int linux_lwp_prepare(void) __attribute__((warn_unused_result));

/** By the thread whose lwp it is: calls are interrupted in it from now on. SIGPIPE and SIGXFSZ are
 *  blocked there already, as the server's threads have it: see linux_lwp_signal().
 *  @return 0 or -ENOMEM */
int linux_lwp_new(struct linux_kernel *kernel, struct ferry_process *process,
	struct ferry_lwp *handle, struct linux_lwp **ret_lwp) __attribute__((warn_unused_result));

/** By its thread. */
void linux_lwp_free(struct linux_lwp *lwp);

/** Interrupt the call that it is in. One that is just beginning may not notice. From any thread. */
void linux_lwp_cancel(struct linux_lwp *lwp);

/** Take the signal that the call just made has caused for this thread: SIGPIPE or SIGXFSZ.
 *  @return its number, 0: none */
int linux_lwp_signal(void);

#endif
