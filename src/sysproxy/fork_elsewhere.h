/*
 * A fork elsewhere: the steward has the server's owner make a copy of a process that is none of this
 * server's processes, and the parent's session answers.
 */
#ifndef FERRY_SYSPROXY_FORK_ELSEWHERE_H
#define FERRY_SYSPROXY_FORK_ELSEWHERE_H

#include "sysproxy/process.h"

/** Begin one, as process_fork() does; it counts in parent->forks_running.
 *  @return 0; -ENFILE: @parent is making too many already; or -ENOMEM. */
int fork_elsewhere(struct ferry_process *parent, uint64_t number)
	__attribute__((warn_unused_result));

#endif
