/*
 * Which hosts may connect to a subsystem: those named, or any. Nobody, until one is added. Constant
 * once the target is published.
 */
#ifndef FERRY_TARGET_HOST_LIST_H
#define FERRY_TARGET_HOST_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct host_list {
	bool is_open; /* any host is allowed */
	char **nqns;  /* TARGET_HOSTS_MAX at most */
	size_t count;
};

void host_list_init(struct host_list *list);
void host_list_deinit(struct host_list *list);

/** Allow @nqn; one that is allowed already stays so.
 *  @return 0, -EINVAL (not an NQN), -ENOSPC, -ENOMEM. */
int host_list_add(struct host_list *list, const char *nqn) __attribute__((warn_unused_result));

bool host_list_allows(const struct host_list *list, const char *nqn);

#endif
