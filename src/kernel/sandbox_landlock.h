/*
 * Landlock: walls by which a process keeps itself from files, ports, and other processes.
 */
#ifndef FERRY_KERNEL_SANDBOX_LANDLOCK_H
#define FERRY_KERNEL_SANDBOX_LANDLOCK_H

#include "kernel/linux_policy.h"
#include "kernel/sandbox.h"

/** @return the version that is to be had here, 0: none that is of use. */
int sandbox_landlock_version(void);

/** Keep this thread and all that it starts from what is not lent. No new privileges must have been said.
 *  @param version as sandbox_landlock_version()
 *  @return 0 or -errno. */
int sandbox_landlock_enter(const struct linux_policy *policy, enum sandbox_view view, int version)
	__attribute__((warn_unused_result));

/** Keep this process from signalling others. @return 0 or -errno. */
int sandbox_landlock_enter_worker(int version) __attribute__((warn_unused_result));

#endif
