/*
 * Control data of a message, a sequence of struct cmsghdr, as it lies here.
 */
#ifndef FERRY_KERNEL_LINUX_CONTROL_H
#define FERRY_KERNEL_LINUX_CONTROL_H

#include <sys/socket.h>

/** Whether all control messages of a message may be sent.
 *  @return 0; -EPERM: descriptors; -EINVAL: another that is not carried, or no control data at all */
int linux_control_check(const struct msghdr *message) __attribute__((warn_unused_result));

/** Leave only what is carried of what was received; descriptors are closed. */
void linux_control_filter(struct msghdr *message);

#endif
