/*
 * I/O commands: a row each, from which ONCS and the effects log are derived. This is the hot path:
 * a command takes no lock and looks at nothing but its queue, the namespace and the store.
 */
#ifndef FERRY_TARGET_IO_H
#define FERRY_TARGET_IO_H

#include "target/target_request.h"

/** Begin a command on a live I/O queue. */
target_request_step io_begin;

/** @return the NVME_EFFECTS_ bits of @opcode, 0 if there is no such command. */
uint32_t io_effects(uint8_t opcode);

/** @return the NVME_ONCS_ bits of all commands there are. */
uint16_t io_oncs(void);

#endif
