/*
 * The Linux kernel of this machine, as a kernel for a sysproxy server: a call of a client is made here, by
 * the thread that brings it, and its results go back. Which calls, and what their arguments are, is in the
 * call table (call/table.h).
 *
 * Descriptors, the working directory, the umask, locks and ids are those of this process, so a server
 * with this kernel should have but one client process; forks are made elsewhere (worker_process.h).
 * Descriptors from `window` up are no client's, and do not exist for it.
 *
 * What a call may reach is decided by the policy, and by the walls around the process (sandbox.h); this
 * is no wall itself against what a path may name.
 *
 * Refused on every machine: descriptors inside of messages (SCM_RIGHTS), signals for far events
 * (O_ASYNC), a descriptor table of one thread's own, and codes that the table does not have.
 */
#ifndef FERRY_KERNEL_LINUX_KERNEL_H
#define FERRY_KERNEL_LINUX_KERNEL_H

#include <stdint.h>

#include "base/log.h"
#include "ferry/kernel.h"

struct linux_kernel;
struct linux_policy;
struct linux_root;

struct linux_kernel_options {
	/* Lasts as long as the kernel. NULL: every address and socket. */
	const struct linux_policy *policy;
	/* Beneath what paths are looked up, in a process without a view of what is lent alone. Lasts as
	 * long as the kernel. NULL: Linux looks them up. */
	const struct linux_root *root;
	/* The first descriptor that is not a client's; 0: that of kernel_window(). */
	int window;
	/* Given a line now and then: what was refused. From any thread. NULL: nobody. */
	void (*log)(void *context, enum log_level level, const char *line);
	/* Given each call as it was made, as strace prints it; of a call that was made in parts, each
	 * part. As above. */
	void (*trace)(void *context, const char *line);
	void *context;
};

/* What has been done. */
struct linux_counts {
	uint64_t calls;
	uint64_t failures; /* of these, that returned an error */
	uint64_t refusals; /* of these, by the policy */
};

/** Changes what this process does on the signal by which calls are cancelled (a real-time one).
 *  @param ret_kernel freed by the caller, after its server
 *  @return 0 or -errno */
int linux_kernel_new(const struct linux_kernel_options *options, struct linux_kernel **ret_kernel)
	__attribute__((warn_unused_result));
void linux_kernel_free(struct linux_kernel *kernel);

/** @return what a server is given; valid as long as @kernel. */
struct ferry_kernel linux_kernel_of(struct linux_kernel *kernel);

void linux_kernel_counts(const struct linux_kernel *kernel, struct linux_counts *ret_counts);

#endif
