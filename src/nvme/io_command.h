/*
 * The fields of I/O commands, and the lists of ranges that Dataset Management and Copy bring as
 * data. NVM Command Set 1.0, 3.2. Reservation commands are in reservation.h.
 */
#ifndef FERRY_NVME_IO_COMMAND_H
#define FERRY_NVME_IO_COMMAND_H

#include "nvme/command.h"

/* Dword 12 of Read, Write, Compare, Verify, Write Zeroes, Write Uncorrectable: NVM 1.0, 3.2. */
#define NVME_IO_NLB_MASK      UINT32_C(0xffff) /* 0-based */
#define NVME_IO_DTYPE_SHIFT   20               /* Write */
#define NVME_IO_DTYPE_MASK    (UINT32_C(0xf) << NVME_IO_DTYPE_SHIFT)
#define NVME_IO_NSZ           (UINT32_C(1) << 23) /* Write Zeroes, later than 2.0 */
#define NVME_IO_STC           (UINT32_C(1) << 24)
#define NVME_IO_DEAC          (UINT32_C(1) << 25) /* Write Zeroes: deallocate */
#define NVME_IO_PRINFO_SHIFT  26
#define NVME_IO_PRINFO_MASK   (UINT32_C(0xf) << NVME_IO_PRINFO_SHIFT)
#define NVME_IO_PRINFO_REFTAG (UINT32_C(1) << 26)
#define NVME_IO_PRINFO_APPTAG (UINT32_C(1) << 27)
#define NVME_IO_PRINFO_GUARD  (UINT32_C(1) << 28)
#define NVME_IO_PRINFO_PRACT  (UINT32_C(1) << 29)
#define NVME_IO_FUA           (UINT32_C(1) << 30)
#define NVME_IO_LR            (UINT32_C(1) << 31)

#define NVME_IO_BLOCKS_MAX 65536U /* of one command, by the width of NLB */

/** @return the first logical block of an I/O command (SLBA, or SDLBA of Copy). */
static inline uint64_t nvme_command_slba(const struct nvme_command *command)
{
	return (uint64_t)le32_get(command->cdw11) << 32 | le32_get(command->cdw10);
}

static inline void nvme_command_set_slba(struct nvme_command *command, uint64_t slba)
{
	command->cdw10 = le32_of((uint32_t)slba);
	command->cdw11 = le32_of((uint32_t)(slba >> 32));
}

/** @return how many blocks an I/O command spans, 1..65536 (NLB is 0-based). */
static inline uint32_t nvme_command_block_count(const struct nvme_command *command)
{
	return (le32_get(command->cdw12) & NVME_IO_NLB_MASK) + 1;
}

/** Set SLBA and dword 12. @param block_count 1..65536. @param flags NVME_IO_FUA and the like. */
static inline void nvme_command_set_range(struct nvme_command *command, uint64_t slba,
	uint32_t block_count, uint32_t flags)
{
	assert(block_count >= 1 && block_count <= NVME_IO_BLOCKS_MAX);
	nvme_command_set_slba(command, slba);
	command->cdw12 = le32_of((block_count - 1) | flags);
}

/* Dataset Management: NVM 1.0, 3.2.3. */
struct nvme_dsm_range {
	le32 attributes;
	le32 block_count; /* 1-based, unlike NLB */
	le64 slba;
};
static_assert(sizeof(struct nvme_dsm_range) == 16, "NVM 1.0, 3.2.3");
static_assert(offsetof(struct nvme_dsm_range, slba) == 8, "NVM 1.0, 3.2.3");

#define NVME_DSM_RANGES_MAX 256U
#define NVME_DSM_IDR        (UINT32_C(1) << 0) /* dword 11: integral dataset for read */
#define NVME_DSM_IDW        (UINT32_C(1) << 1) /* integral dataset for write */
#define NVME_DSM_AD         (UINT32_C(1) << 2) /* deallocate */

/** @return the number of ranges of Dataset Management, 1..256 (NR is 0-based). */
static inline uint32_t nvme_command_dsm_range_count(const struct nvme_command *command)
{
	return (le32_get(command->cdw10) & 0xff) + 1;
}

/** Set dwords 10 and 11 of Dataset Management. @param range_count 1..256. */
static inline void nvme_command_set_dsm(struct nvme_command *command, uint32_t range_count,
	uint32_t attributes)
{
	assert(range_count >= 1 && range_count <= NVME_DSM_RANGES_MAX);
	command->cdw10 = le32_of(range_count - 1);
	command->cdw11 = le32_of(attributes);
}

/* A source range of Copy, descriptor format 0: NVM 1.0, 3.2.2. */
struct nvme_copy_range {
	uint8_t reserved0[8];
	le64 slba;
	le16 nlb; /* 0-based */
	uint8_t reserved18[6];
	le32 eilbrt;
	le16 elbat;
	le16 elbatm;
};
static_assert(sizeof(struct nvme_copy_range) == 32, "NVM 1.0, 3.2.2");
static_assert(offsetof(struct nvme_copy_range, slba) == 8, "NVM 1.0, 3.2.2");
static_assert(offsetof(struct nvme_copy_range, nlb) == 16, "NVM 1.0, 3.2.2");
static_assert(offsetof(struct nvme_copy_range, eilbrt) == 24, "NVM 1.0, 3.2.2");

/* Dword 12 of Copy; FUA and LR as above: NVM 1.0, 3.2.2. */
#define NVME_COPY_NR_MASK       UINT32_C(0xff) /* 0-based */
#define NVME_COPY_FORMAT_SHIFT  8
#define NVME_COPY_FORMAT_MASK   (UINT32_C(0xf) << NVME_COPY_FORMAT_SHIFT)
#define NVME_COPY_PRINFOR_SHIFT 12
#define NVME_COPY_PRINFOR_MASK  (UINT32_C(0xf) << NVME_COPY_PRINFOR_SHIFT)
#define NVME_COPY_RANGES_MAX    256U

/** @return the number of source ranges of Copy, 1..256. */
static inline uint32_t nvme_command_copy_range_count(const struct nvme_command *command)
{
	return (le32_get(command->cdw12) & NVME_COPY_NR_MASK) + 1;
}

/** @return the descriptor format of Copy, 0..15. */
static inline uint8_t nvme_command_copy_format(const struct nvme_command *command)
{
	return (uint8_t)(le32_get(command->cdw12) >> NVME_COPY_FORMAT_SHIFT & 0xf);
}

/* Abort, dword 10: SQID 15:0, CID 31:16. Base 2.0, 5.1. Completion dword 0: bit 0 set when the
 * command was not aborted. */
#define NVME_ABORT_NOT_ABORTED UINT32_C(1)

static inline uint16_t nvme_command_abort_sqid(const struct nvme_command *command)
{
	return (uint16_t)le32_get(command->cdw10);
}

static inline uint16_t nvme_command_abort_cid(const struct nvme_command *command)
{
	return (uint16_t)(le32_get(command->cdw10) >> 16);
}

static inline void nvme_command_set_abort(struct nvme_command *command, uint16_t sqid, uint16_t cid)
{
	command->cdw10 = le32_of((uint32_t)cid << 16 | sqid);
}

#endif
