/*
 * NVMe Qualified Names, the names of hosts and of subsystems: UTF-8, 223 bytes at most.
 * NVMe Base 2.0, 4.5.
 *
 * Two rules: a name from a peer need only be a name that can be printed and compared, since hosts
 * in the field use names of no standard form; a name that Ferry is to bear must be of a standard
 * form.
 */
#ifndef FERRY_NVME_NQN_H
#define FERRY_NVME_NQN_H

#include <stdbool.h>
#include <stdint.h>

#define NVME_NQN_LENGTH_MAX  223
#define NVME_NQN_TEXT_MAX    224 /* with NUL */
#define NVME_NQN_FIELD_BYTES 256

/* The well-known name of every discovery subsystem: Base 2.0, 3.1.2.3. */
#define NVME_NQN_DISCOVERY   "nqn.2014-08.org.nvmexpress.discovery"
#define NVME_NQN_UUID_PREFIX "nqn.2014-08.org.nvmexpress:uuid:"

/** @return whether @nqn is one that a peer may use: 1..223 bytes of UTF-8 without control
 *  characters. */
bool nvme_nqn_is_acceptable(const char *nqn);

/** @return whether @nqn is acceptable and of a form in Base 2.0, 4.5: "nqn.yyyy-mm." with a
 *  reversed domain name, then, unless it is the discovery name, ":" and a string; a name that
 *  begins with NVME_NQN_UUID_PREFIX goes on with a UUID and ends. */
bool nvme_nqn_is_standard(const char *nqn);

/** Take an NQN from a field, as Connect, Identify and discovery
 *  records have.
 *  @return 0, or -EINVAL if it does not end with NUL within the field or is not acceptable. */
int nvme_nqn_from_field(const char field[NVME_NQN_FIELD_BYTES], char ret_nqn[NVME_NQN_TEXT_MAX])
	__attribute__((warn_unused_result));

/** Put @nqn in a field, NULs after it. @param nqn acceptable. */
void nvme_nqn_to_field(char ret_field[NVME_NQN_FIELD_BYTES], const char *nqn);

/** Write the name that a host or subsystem with this UUID bears. */
void nvme_nqn_from_uuid(const uint8_t uuid[16], char ret_nqn[NVME_NQN_TEXT_MAX]);

#endif
