/*
 * A call: the request as it came, and the reply as it goes. It is a SYSCALL of 0.4 or a CALL of the
 * extension, and belongs to the thread of its lwp.
 */
#ifndef FERRY_SYSPROXY_CALL_H
#define FERRY_SYSPROXY_CALL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "sysproxy/lwp.h"
#include "sysproxy/wire.h"

#define CALL_HEAD_MAX (WIRE_HEADER_BYTES + sizeof(struct wire_call_reply))

struct call {
	struct ferry_lwp *lwp;
	uint64_t number; /* of the frame */
	uint32_t wanted; /* the number of the call, what the client wants of the kernel */
	uint32_t argument_count;
	uint64_t arguments[WIRE_ARGUMENTS_MAX];
	uint8_t head[CALL_HEAD_MAX]; /* of the reply */
	struct iovec parts[MEMORY_SPARE];
};

/** Take a request apart. @param payload lives until call_end()
 *  @param collected_max bytes that the client takes with the reply
 *  @return 0, -EPROTO: it is malformed, or -ENOMEM; then there is nothing to end. */
int call_begin(struct call *call, struct ferry_lwp *lwp, const struct wire_frame *frame,
	const void *payload, size_t collected_max) __attribute__((warn_unused_result));

/** Have the kernel answer it. */
void call_make(struct call *call);

/** Put the reply together. @param before bytes that precede it, @before_bytes of them, 0: none
 *  @param ret_parts the parts, valid until call_end()
 *  @return their number. */
unsigned call_reply(struct call *call, const void *before, size_t before_bytes,
	struct iovec **ret_parts);

/** The reply is gone, or not wanted. */
void call_end(struct call *call);

#endif
