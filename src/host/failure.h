/*
 * What a failed command means to a program: an errno, and words.
 */
#ifndef FERRY_HOST_FAILURE_H
#define FERRY_HOST_FAILURE_H

#include <stddef.h>

#include "nvme/status.h"

/** @return the negative errno for @status of an I/O or admin command that is not a Connect; 0 for
 *  success. Path and transient errors are -EAGAIN or -EBUSY, whatever has no better word -EIO. */
int failure_errno(nvme_status status);

#define FAILURE_TEXT_MAX 96

/** Write the status as people read it: "LBA Out of Range (status 0/80h)". */
void failure_text(nvme_status status, char ret_text[FAILURE_TEXT_MAX]);

#endif
