/*
 * The view: a root directory that has nothing but what is lent.
 */
#ifndef FERRY_KERNEL_SANDBOX_VIEW_H
#define FERRY_KERNEL_SANDBOX_VIEW_H

#include "kernel/linux_policy.h"
#include "kernel/sandbox.h"
#include "kernel/sandbox_problem.h"

/** @return whether the namespaces that @view needs can be had and used by this process: 0 or -errno.
 *  Tried in a child. */
int sandbox_view_try(enum sandbox_view view) __attribute__((warn_unused_result));

/** Enter the namespaces, all but that of processes, which the next child will be the first of.
 *  @return 0 or -errno. */
int sandbox_view_unshare(enum sandbox_view view, bool has_network,
	const struct sandbox_problem *problem) __attribute__((warn_unused_result));

/** Make the view, and have no other root any more, in a mount namespace of one's own.
 *  @return 0 or -errno. */
int sandbox_view_enter(const struct linux_policy *policy, const struct sandbox_problem *problem)
	__attribute__((warn_unused_result));

#endif
