/*
 * What a host calls itself when it is not told: the same on one machine from run to run, and, where
 * the machine has an NVMe host of its own, the same as that.
 */
#ifndef FERRY_HOST_IDENTITY_H
#define FERRY_HOST_IDENTITY_H

#include "base/uuid.h"
#include "nvme/nqn.h"

struct host_identity {
	char nqn[NVME_NQN_TEXT_MAX];
	uint8_t id[UUID_BYTES]; /* never all zero */
};

/** The default: ROOT/etc/nvme/hostnqn and hostid where they can be read, else made of
 *  ROOT/etc/machine-id, else, on a machine without either, random.
 *  @param root "" but in tests */
void host_identity_default(const char *root, struct host_identity *ret_identity);

/** The identity of a host called @nqn: its id is the UUID in the name, else made of the name.
 *  @return 0, or -EINVAL when @nqn is no NQN. */
int host_identity_of_nqn(const char *nqn, struct host_identity *ret_identity)
	__attribute__((warn_unused_result));

#endif
