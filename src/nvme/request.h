/*
 * One command in execution, as the transport and the target see it. The transport owns the memory
 * and everything that concerns the wire; the target owns what the command means.
 *
 * Life of a request:
 *   1. The transport has fetched a command capsule: it fills command, capsule_bytes and complete,
 *      zeroes the fields from transfer on, and calls the target's begin().
 *   2. begin() checks all that can be checked without data. It returns a status that ends the
 *      command, or success with transfer, data_bytes and is_lending set; data in the capsule that
 *      it accepts (REQUEST_FROM_HOST) is data_bytes long.
 *   3. The transport finds a buffer of data_bytes (unless is_lending, or begin() has set data, to
 *      memory of the target's own) and, for data from the host, fetches it: from the capsule or by
 *      R2T.
 *   4. The transport calls the target's execute(). From then until it calls complete() the request
 *      is the target's.
 *   5. The target sets status and result (and, when is_lending, data) and calls complete(), once,
 *      on the queue's loop, from within execute() or later.
 *   6. The transport sends data and completion. When the data has left, it calls the target's
 *      release() if is_lending.
 * Between 2 and 4 the transport may withdraw the request by abandon(): because the connection ends, or
 * because it fails the command itself, with the status it has set.
 * A connection that ends between 4 and 5 changes nothing for the target: it completes the request as
 * ever and the transport then drops it.
 */
#ifndef FERRY_NVME_REQUEST_H
#define FERRY_NVME_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "nvme/command.h"

enum request_transfer {
	REQUEST_NO_DATA,   /* nothing moves */
	REQUEST_TO_HOST,   /* the target fills data */
	REQUEST_FROM_HOST, /* the host's bytes are in data when execute() is called */
};

struct request {
	struct nvme_command command;
	/* bytes of data that came in the capsule */
	uint32_t capsule_bytes;
	/* set by the transport; the target calls it when the command is done */
	void (*complete)(struct request *request);

	enum request_transfer transfer;
	/* of host and controller data, at most the target's MDTS in bytes */
	uint32_t data_bytes;
	/* The target itself will set data, to memory that stays unchanged until release(). Only with
	 * REQUEST_TO_HOST. */
	bool is_lending;
	/* data_bytes bytes, or NULL when nothing moves */
	uint8_t *data;
	/* completion dwords 0 and 1 (dword 0 in the low half) */
	uint64_t result;
	/* as enum nvme_status: SC, SCT and DNR, without the phase bit; 0 is success */
	uint16_t status;
};

#endif
