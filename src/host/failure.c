/*
 * Where Linux has an errno for a status of its own block layer, it is that one.
 */
#include "host/failure.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"

static const struct {
	nvme_status status;
	int error;
} errors[] = {
	{NVME_STATUS_SUCCESS, 0},
	{NVME_STATUS_INVALID_OPCODE, EOPNOTSUPP},
	{NVME_STATUS_INVALID_FIELD, EINVAL},
	{NVME_STATUS_ABORT_REQUESTED, ECANCELED},
	{NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT, ENXIO},
	{NVME_STATUS_NAMESPACE_WRITE_PROTECTED, EROFS},
	{NVME_STATUS_INTERRUPTED, EAGAIN},
	{NVME_STATUS_TRANSIENT_TRANSPORT_ERROR, EAGAIN},
	{NVME_STATUS_LBA_OUT_OF_RANGE, ERANGE},
	{NVME_STATUS_CAPACITY_EXCEEDED, ENOSPC},
	{NVME_STATUS_NAMESPACE_NOT_READY, EBUSY},
	{NVME_STATUS_RESERVATION_CONFLICT, EBADE},
	{NVME_STATUS_FORMAT_IN_PROGRESS, EBUSY},
	{NVME_STATUS_WRITE_TO_READ_ONLY_RANGE, EROFS},
	{NVME_STATUS_COMPARE_FAILURE, EILSEQ},
	{NVME_STATUS_ACCESS_DENIED, EACCES},
	{NVME_STATUS_DEALLOCATED_OR_UNWRITTEN, ENODATA},
	{NVME_STATUS_ANA_TRANSITION, EAGAIN},
};

int failure_errno(nvme_status status)
{
	for (size_t i = 0; i < ARRAY_LENGTH(errors); i++) {
		if (errors[i].status == nvme_status_code(status))
			return -errors[i].error;
	}
	return -EIO;
}

void failure_text(nvme_status status, char ret_text[FAILURE_TEXT_MAX])
{
	(void)snprintf(ret_text, FAILURE_TEXT_MAX, "%s (status %u/%02xh)", nvme_status_text(status),
		nvme_status_sct(status), nvme_status_sc(status));
}
