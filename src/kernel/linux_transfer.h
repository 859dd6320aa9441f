/*
 * Calls that move bytes, read() and write() and their kin, made in parts where one part would be too much to
 * bring here: a part follows when the one before was moved wholly, and when Linux would go on. It would
 * when it writes, and when it reads a file or a block device; streams give what they have.
 */
#ifndef FERRY_KERNEL_LINUX_TRANSFER_H
#define FERRY_KERNEL_LINUX_TRANSFER_H

#include "kernel/linux_call.h"

#define LINUX_PART_MAX (1u << 20) /* bytes */

/** Whether a call has a vector, and so is made by linux_transfer_make(). */
bool linux_transfer_is_needed(const struct linux_call *call);

/** Make one of a vector, in parts. @return the value, or -errno */
int64_t linux_transfer_make(struct linux_call *call);

/** A call without a vector has moved a part: prepare the next one.
 *  @param given the arguments of the client; of the next part, if there is one
 *  @param value of the part that was made
 *  @return whether there is one */
bool linux_transfer_next(const struct linux_call *call, uint64_t given[CALL_ARGUMENTS_MAX],
	int64_t value);

/** A call without a vector was made. If it failed since a file that was opened with O_DIRECT takes no
 *  buffer that is aligned as the one here, it is made again by another: the client's own is aligned.
 *  @return its value, or -errno */
int64_t linux_transfer_align(struct linux_call *call, int64_t value);

#endif
