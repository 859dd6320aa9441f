/*
 * The completion queue entry: 16 bytes, the answer to one command. NVMe Base 2.0, 3.3.3.2.
 */
#ifndef FERRY_NVME_COMPLETION_H
#define FERRY_NVME_COMPLETION_H

#include "base/bytes.h"
#include "nvme/status.h"

#include <assert.h>
#include <stddef.h>

struct nvme_completion {
	le32 dw0;
	le32 dw1;
	le16 sqhd; /* queue head after this command, or NVME_SQHD_DISABLED */
	le16 sqid; /* reserved (0) on fabrics */
	le16 cid;
	le16 status; /* an nvme_status shifted left by one; bit 0, the phase tag, is 0 on fabrics */
};
static_assert(sizeof(struct nvme_completion) == 16, "Base 2.0, 3.3.3.2");
static_assert(offsetof(struct nvme_completion, sqhd) == 8, "Base 2.0, 3.3.3.2");
static_assert(offsetof(struct nvme_completion, cid) == 12, "Base 2.0, 3.3.3.2");
static_assert(offsetof(struct nvme_completion, status) == 14, "Base 2.0, 3.3.3.2");

/* SQHD of a queue that was connected with submission queue flow control disabled: Base 2.0, 6.3. */
#define NVME_SQHD_DISABLED 0xffffU

/** @return the completion of command @cid with @status and both result words zero. */
static inline struct nvme_completion nvme_completion_of(uint16_t cid, nvme_status status,
	uint16_t sqhd)
{
	struct nvme_completion completion = {
		.sqhd = le16_of(sqhd),
		.cid = le16_of(cid),
		.status = le16_of((uint16_t)(status << 1)),
	};

	return completion;
}

static inline nvme_status nvme_completion_status(const struct nvme_completion *completion)
{
	return (nvme_status)(le16_get(completion->status) >> 1);
}

static inline void nvme_completion_set_status(struct nvme_completion *completion,
	nvme_status status)
{
	completion->status = le16_of((uint16_t)(status << 1));
}

/** @return the two result words as one: DW1 above DW0. */
static inline uint64_t nvme_completion_result(const struct nvme_completion *completion)
{
	return (uint64_t)le32_get(completion->dw1) << 32 | le32_get(completion->dw0);
}

static inline void nvme_completion_set_result(struct nvme_completion *completion, uint64_t result)
{
	completion->dw0 = le32_of((uint32_t)result);
	completion->dw1 = le32_of((uint32_t)(result >> 32));
}

/* The result of Connect. Success: CNTLID and AUTHREQ. Invalid Parameters: where. Base 2.0, 6.3. */
#define NVME_CONNECT_AUTHREQ_ATR  (UINT32_C(1) << 17) /* DH-HMAC-CHAP is required */
#define NVME_CONNECT_AUTHREQ_ASCR (UINT32_C(1) << 18) /* so is secure channel concatenation */
#define NVME_CONNECT_IATTR_DATA   (UINT32_C(1) << 16) /* IPO counts in the data, not the command */

static inline uint16_t nvme_connect_result_cntlid(uint32_t dw0)
{
	return (uint16_t)dw0;
}

/** @return DW0 of a Connect refused for the field at byte @ipo of its command or of its data. */
static inline uint32_t nvme_connect_result_invalid(bool is_in_data, uint16_t ipo)
{
	return (is_in_data ? NVME_CONNECT_IATTR_DATA : 0) | ipo;
}

#endif
