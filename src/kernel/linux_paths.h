/*
 * The paths of one call, where no view keeps them within what is lent (linux_path.h): each is looked up,
 * and Linux is given what it came to in its place. What is lent to be read is not changed.
 */
#ifndef FERRY_KERNEL_LINUX_PATHS_H
#define FERRY_KERNEL_LINUX_PATHS_H

#include <sys/un.h>

#include "kernel/linux_call.h"
#include "kernel/linux_path.h"

#define LINUX_PATHS_OF_CALL 2

struct linux_paths {
	struct linux_path paths[LINUX_PATHS_OF_CALL];
	unsigned count;
	struct sockaddr_un address; /* of AF_UNIX, with a path */
};

/** Begin with none. */
void linux_paths_init(struct linux_paths *paths);

/** Put looked-up paths into a call whose arguments have been brought.
 *  @param paths initialised; to be ended after the call, also on failure
 *  @return 0 or -errno: the call is not made. */
int linux_paths_begin(struct linux_call *call, struct linux_paths *paths)
	__attribute__((warn_unused_result));
void linux_paths_end(struct linux_paths *paths);

#endif
