/*
 * Admin commands: a row each, from which OACS and the effects log are derived.
 */
#ifndef FERRY_TARGET_ADMIN_H
#define FERRY_TARGET_ADMIN_H

#include "target/target_request.h"

/** Begin a command other than a fabrics command on a live admin queue. */
target_request_step admin_begin;

/** @return the NVME_EFFECTS_ bits of @opcode, 0 if an I/O controller has no such command. */
uint32_t admin_effects(uint8_t opcode);

/** @return the NVME_OACS_ bits of all commands there are. */
uint16_t admin_oacs(void);

#endif
