/*
 * A copy: one request for the client's memory in the midst of a call, its frame, and what its answer
 * may be like. How frames travel is its carrier's affair (a lane, or the session of a process).
 *
 * The answer to a copy of the extension begins with a head that can say EFAULT; that of 0.4 is nothing
 * but the data, and COPYOUT has none at all.
 */
#ifndef FERRY_SYSPROXY_COPY_H
#define FERRY_SYSPROXY_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sysproxy/wire.h"

struct copy {
	uint16_t
		type; /* WIRE_COPYIN ... WIRE_ANONMMAP or WIRE_CALL_COPYIN ... WIRE_CALL_ANONMMAP */
	uint64_t call; /* number of the call; nothing in 0.4 */
	uint64_t address;
	size_t bytes;     /* but for ANONMMAP 1..WIRE_COPY_MAX */
	const void *from; /* of COPYOUT: the data */
	void *to;         /* of COPYIN and COPYINSTR: room for them */
	/* The answer */
	uint8_t head[sizeof(struct wire_call_copy_reply)];
	int error;            /* 0, -EFAULT, of ANONMMAP also -ENOMEM */
	size_t ret_bytes;     /* of COPYINSTR: what lies at @to */
	uint64_t ret_address; /* of ANONMMAP */
};

#define COPY_FRAME_MAX (WIRE_HEADER_BYTES + sizeof(struct wire_call_copy))

/** Write the frame up to the data of a COPYOUT. @return its bytes. */
size_t copy_frame(const struct copy *copy, uint64_t number, uint8_t ret_frame[COPY_FRAME_MAX]);

/** @return bytes of copy->from that follow the frame. */
static inline size_t copy_data_bytes(const struct copy *copy)
{
	return copy->type == WIRE_COPYOUT || copy->type == WIRE_CALL_COPYOUT ? copy->bytes : 0;
}

/** @return whether an answer will come. */
static inline bool copy_is_answered(const struct copy *copy)
{
	return copy->type != WIRE_COPYOUT;
}

/** @return bytes of an answer that belong into copy->head, before those that belong to copy->to. */
size_t copy_head_bytes(const struct copy *copy);

/** @return whether an answer of @payload_bytes fits into head and data. If not it is read past, and
 *  the copy fails. */
bool copy_takes(const struct copy *copy, uint64_t payload_bytes);

/** An answer of @payload_bytes, which copy_takes(), lies in head and data: see what it says. */
void copy_answered(struct copy *copy, size_t payload_bytes);

#endif
