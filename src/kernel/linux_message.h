/*
 * Messages, struct msghdr and struct mmsghdr: their addresses, control data and buffers are brought here, and
 * all of them are sent or received by one call.
 *
 * Of control data only what the call table has goes either way; descriptors never do. What comes by a unix
 * socket has none at all, since Linux would make the descriptors in it before anybody could look.
 */
#ifndef FERRY_KERNEL_LINUX_MESSAGE_H
#define FERRY_KERNEL_LINUX_MESSAGE_H

#include "kernel/linux_call.h"

#define LINUX_MESSAGE_BYTES_MAX (2u << 20) /* of one message; of a stream's the rest is left */

/** Whether a call sends or receives messages. */
bool linux_message_is_needed(const struct linux_call *call);

/** Make it. @return its value, or -errno */
int64_t linux_message_make(struct linux_call *call);

#endif
