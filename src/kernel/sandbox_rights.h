/*
 * What a process may do and use: its user, its capabilities, its limits.
 */
#ifndef FERRY_KERNEL_SANDBOX_RIGHTS_H
#define FERRY_KERNEL_SANDBOX_RIGHTS_H

#include "kernel/sandbox.h"
#include "kernel/sandbox_problem.h"

/** Let no capability come back: as far as this process can. */
void sandbox_rights_bound(void);

/** Become the user of @options, if it has one. @return 0 or -errno. */
int sandbox_rights_become(const struct sandbox_options *options,
	const struct sandbox_problem *problem) __attribute__((warn_unused_result));

/** Give up all capabilities and any new privilege, and be no one's to look into. @return 0 or -errno. */
int sandbox_rights_drop(const struct sandbox_problem *problem) __attribute__((warn_unused_result));

/** Lower the limits. @return 0 or -errno. */
int sandbox_rights_limit(const struct sandbox_options *options,
	const struct sandbox_problem *problem) __attribute__((warn_unused_result));

#endif
