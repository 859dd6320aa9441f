/*
 * The identity of what is served. Two servers must never be one subsystem: a host would take their
 * disks for two paths to the same blocks and mix them. So the default name follows from the machine
 * and the stores, and a name is held by one process of the machine at a time.
 */
#ifndef FERRY_SERVE_IDENTITY_H
#define FERRY_SERVE_IDENTITY_H

#include <stddef.h>

#include "nvme/nqn.h"

struct store;

/** The default subsystem NQN of @count stores in their order: the same on every start as long as
 *  machine and stores are. @param instance tells apart servers of the same volatile stores, 0 first
 *  @return 0 or -ENOMEM. */
int identity_default_nqn(struct store *const *stores, size_t count, unsigned instance,
	char ret_nqn[NVME_NQN_TEXT_MAX]) __attribute__((warn_unused_result));

/** Hold @nqn for this process until the descriptor is closed, at the latest when the process ends,
 *  however it ends.
 *  @return a descriptor, or -EADDRINUSE when another process holds it, or -errno. */
int identity_hold_nqn(const char *nqn) __attribute__((warn_unused_result));

#endif
