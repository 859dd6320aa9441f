/*
 * I/O commands: a row each, from which ONCS and the effects log are derived. This is the hot path:
 * a command takes no lock and looks at nothing but its queue, the namespace and the store; where a
 * host has marked blocks bad it takes the lock of that set for a moment.
 */
#ifndef FERRY_TARGET_IO_H
#define FERRY_TARGET_IO_H

#include "target/namespace.h"
#include "target/target_request.h"

#define IO_COPY_RANGE_BYTES_MAX (1u << 20)  /* of one source range, for MSSRL */
#define IO_COPY_BYTES_MAX       (16u << 20) /* of one Copy, for MCL */

/** Begin a command on a live I/O queue. */
target_request_step io_begin;

/** @return whether @request, whose data is there, may change one of @block_count blocks from @slba
 *  on. Its ranges need not have been checked. */
bool io_changes(const struct target_request *request, uint64_t slba, uint32_t block_count);

/** @return the NVME_EFFECTS_ bits of @opcode, 0 if there is no such command. */
uint32_t io_effects(uint8_t opcode);

/** @return the NVME_ONCS_ bits of all commands there are. */
uint16_t io_oncs(void);

/** @return the NVME_FUSES_ bits of the pairs there are. */
uint16_t io_fuses(void);

/** @return MSSRL: the most blocks of a source range of Copy. */
static inline uint32_t io_copy_range_blocks(const struct namespace *namespace)
{
	return IO_COPY_RANGE_BYTES_MAX >> namespace->block_shift;
}

/** @return MCL: the most blocks of a Copy. */
static inline uint32_t io_copy_blocks(const struct namespace *namespace)
{
	return IO_COPY_BYTES_MAX >> namespace->block_shift;
}

#endif
