/*
 * Controller properties, which a host reaches by Property Get and Property Set: NVMe Base 2.0,
 * 3.1.3. Values here are native integers.
 */
#ifndef FERRY_NVME_PROPERTY_H
#define FERRY_NVME_PROPERTY_H

#include <stdbool.h>
#include <stdint.h>

enum nvme_property {
	NVME_PROPERTY_CAP = 0x00,  /* 3.1.3.1, 8 bytes, read only */
	NVME_PROPERTY_VS = 0x08,   /* 3.1.3.2, 4 bytes, read only */
	NVME_PROPERTY_CC = 0x14,   /* 3.1.3.5, 4 bytes */
	NVME_PROPERTY_CSTS = 0x1c, /* 3.1.3.6, 4 bytes, read only but for NSSRO */
	NVME_PROPERTY_NSSR = 0x20, /* 3.1.3.7, 4 bytes, optional */
	NVME_PROPERTY_CRTO = 0x68, /* 3.1.3.20, 4 bytes, read only */
};

/* CAP: 3.1.3.1. */
#define NVME_CAP_MQES_MASK    UINT64_C(0xffff) /* entries of a queue, 0-based */
#define NVME_CAP_CQR          (UINT64_C(1) << 16)
#define NVME_CAP_AMS_SHIFT    17
#define NVME_CAP_TO_SHIFT     24 /* 8 bits, units of NVME_CAP_TO_UNIT_MS */
#define NVME_CAP_DSTRD_SHIFT  32 /* 4 bits, 0 on fabrics */
#define NVME_CAP_NSSRS        (UINT64_C(1) << 36)
#define NVME_CAP_CSS_NVM      (UINT64_C(1) << 37)
#define NVME_CAP_CSS_IOCS     (UINT64_C(1) << 43) /* several I/O command sets, by CC.CSS 110b */
#define NVME_CAP_CSS_NO_IO    (UINT64_C(1) << 44) /* no I/O command set */
#define NVME_CAP_BPS          (UINT64_C(1) << 45)
#define NVME_CAP_MPSMIN_SHIFT 48 /* 4 bits: pages of 2^(12+n) bytes */
#define NVME_CAP_MPSMAX_SHIFT 52
#define NVME_CAP_PMRS         (UINT64_C(1) << 56)
#define NVME_CAP_CMBS         (UINT64_C(1) << 57)
#define NVME_CAP_NSSS         (UINT64_C(1) << 58)
#define NVME_CAP_CRMS_MEDIA   (UINT64_C(1) << 59) /* controller ready with media */
#define NVME_CAP_CRMS_ALONE   (UINT64_C(1) << 60) /* controller ready independent of media */

#define NVME_CAP_TO_UNIT_MS 500U

/** @return the most entries a queue may have, 1..65536 (a valid controller: 2 at least). */
static inline uint32_t nvme_cap_queue_entries(uint64_t cap)
{
	return (uint32_t)(cap & NVME_CAP_MQES_MASK) + 1;
}

/** @return how long a change of CC.EN may take, 0..127500 ms. */
static inline uint32_t nvme_cap_timeout_ms(uint64_t cap)
{
	return (uint32_t)(cap >> NVME_CAP_TO_SHIFT & 0xff) * NVME_CAP_TO_UNIT_MS;
}

/** @return the exponent of the smallest page, 12..27: the unit of MDTS. */
static inline uint8_t nvme_cap_page_shift(uint64_t cap)
{
	return (uint8_t)(12 + (cap >> NVME_CAP_MPSMIN_SHIFT & 0xf));
}

/** @return a CAP with contiguous queues, 4 KiB pages and @flags (the bits above).
 *  @param queue_entries 2..65536. @param timeout_ms rounded up to 500 ms, at most 127500. */
static inline uint64_t nvme_cap_of(uint32_t queue_entries, uint32_t timeout_ms, uint64_t flags)
{
	uint64_t units = (timeout_ms + NVME_CAP_TO_UNIT_MS - 1) / NVME_CAP_TO_UNIT_MS;

	return ((queue_entries - 1) & NVME_CAP_MQES_MASK) | NVME_CAP_CQR |
		(units & 0xff) << NVME_CAP_TO_SHIFT | flags;
}

/* VS: major 31:16, minor 15:8, tertiary 7:0. 3.1.3.2. */
#define NVME_VERSION(major, minor, tertiary) \
	((uint32_t)(major) << 16 | (uint32_t)(minor) << 8 | (uint32_t)(tertiary))
#define NVME_VERSION_1_2_1 NVME_VERSION(1, 2, 1)
#define NVME_VERSION_1_3   NVME_VERSION(1, 3, 0)
#define NVME_VERSION_1_4   NVME_VERSION(1, 4, 0)
#define NVME_VERSION_2_0   NVME_VERSION(2, 0, 0)
#define NVME_VERSION_2_1   NVME_VERSION(2, 1, 0)

/* CC: 3.1.3.5. */
#define NVME_CC_EN           (UINT32_C(1) << 0)
#define NVME_CC_CSS_SHIFT    4
#define NVME_CC_CSS_MASK     (UINT32_C(7) << NVME_CC_CSS_SHIFT)
#define NVME_CC_MPS_SHIFT    7
#define NVME_CC_MPS_MASK     (UINT32_C(0xf) << NVME_CC_MPS_SHIFT)
#define NVME_CC_AMS_SHIFT    11
#define NVME_CC_AMS_MASK     (UINT32_C(7) << NVME_CC_AMS_SHIFT)
#define NVME_CC_SHN_SHIFT    14
#define NVME_CC_SHN_MASK     (UINT32_C(3) << NVME_CC_SHN_SHIFT)
#define NVME_CC_IOSQES_SHIFT 16
#define NVME_CC_IOSQES_MASK  (UINT32_C(0xf) << NVME_CC_IOSQES_SHIFT)
#define NVME_CC_IOCQES_SHIFT 20
#define NVME_CC_IOCQES_MASK  (UINT32_C(0xf) << NVME_CC_IOCQES_SHIFT)
#define NVME_CC_CRIME        (UINT32_C(1) << 24)

enum nvme_command_sets_selected {
	NVME_CC_CSS_NVM = 0,
	NVME_CC_CSS_ALL = 6,   /* all that are supported, as CAP.CSS bit 43 offers */
	NVME_CC_CSS_ADMIN = 7, /* none */
};

enum nvme_shutdown_notification {
	NVME_CC_SHN_NONE = 0,
	NVME_CC_SHN_NORMAL = 1,
	NVME_CC_SHN_ABRUPT = 2,
};

#define NVME_IOSQES 6U /* log2 of the entry sizes, the only ones there are */
#define NVME_IOCQES 4U

static inline bool nvme_cc_is_enabled(uint32_t cc)
{
	return (cc & NVME_CC_EN) != 0;
}

/** @return CC.CSS, 0..7: of enum nvme_command_sets_selected or reserved. */
static inline uint8_t nvme_cc_css(uint32_t cc)
{
	return (uint8_t)((cc & NVME_CC_CSS_MASK) >> NVME_CC_CSS_SHIFT);
}

/** @return CC.MPS, 0..15: pages of 2^(12+n) bytes. */
static inline uint8_t nvme_cc_mps(uint32_t cc)
{
	return (uint8_t)((cc & NVME_CC_MPS_MASK) >> NVME_CC_MPS_SHIFT);
}

/** @return CC.AMS, 0..7: 0 is round robin. */
static inline uint8_t nvme_cc_ams(uint32_t cc)
{
	return (uint8_t)((cc & NVME_CC_AMS_MASK) >> NVME_CC_AMS_SHIFT);
}

/** @return CC.SHN, 0..3: of enum nvme_shutdown_notification or reserved. */
static inline uint8_t nvme_cc_shn(uint32_t cc)
{
	return (uint8_t)((cc & NVME_CC_SHN_MASK) >> NVME_CC_SHN_SHIFT);
}

static inline uint8_t nvme_cc_iosqes(uint32_t cc)
{
	return (uint8_t)((cc & NVME_CC_IOSQES_MASK) >> NVME_CC_IOSQES_SHIFT);
}

static inline uint8_t nvme_cc_iocqes(uint32_t cc)
{
	return (uint8_t)((cc & NVME_CC_IOCQES_MASK) >> NVME_CC_IOCQES_SHIFT);
}

/** @return the CC of an enabled controller with round robin, 4 KiB pages and the entry sizes.
 *  @param css of enum nvme_command_sets_selected. */
static inline uint32_t nvme_cc_of_enabled(enum nvme_command_sets_selected css)
{
	return NVME_CC_EN | (uint32_t)css << NVME_CC_CSS_SHIFT |
		NVME_IOSQES << NVME_CC_IOSQES_SHIFT | NVME_IOCQES << NVME_CC_IOCQES_SHIFT;
}

/** @return @cc with its SHN set to @shn. */
static inline uint32_t nvme_cc_with_shn(uint32_t cc, enum nvme_shutdown_notification shn)
{
	return (cc & ~NVME_CC_SHN_MASK) | (uint32_t)shn << NVME_CC_SHN_SHIFT;
}

/* CSTS: 3.1.3.6. */
#define NVME_CSTS_RDY        (UINT32_C(1) << 0)
#define NVME_CSTS_CFS        (UINT32_C(1) << 1) /* controller fatal status */
#define NVME_CSTS_SHST_SHIFT 2
#define NVME_CSTS_SHST_MASK  (UINT32_C(3) << NVME_CSTS_SHST_SHIFT)
#define NVME_CSTS_NSSRO      (UINT32_C(1) << 4) /* subsystem reset occurred; write 1 to clear */
#define NVME_CSTS_PP         (UINT32_C(1) << 5) /* processing paused */
#define NVME_CSTS_ST         (UINT32_C(1) << 6) /* shutdown type: subsystem */

enum nvme_shutdown_status {
	NVME_CSTS_SHST_NORMAL = 0,
	NVME_CSTS_SHST_IN_PROGRESS = 1,
	NVME_CSTS_SHST_COMPLETE = 2,
};

static inline uint8_t nvme_csts_shst(uint32_t csts)
{
	return (uint8_t)((csts & NVME_CSTS_SHST_MASK) >> NVME_CSTS_SHST_SHIFT);
}

/** @return @csts with its SHST set to @shst. */
static inline uint32_t nvme_csts_with_shst(uint32_t csts, enum nvme_shutdown_status shst)
{
	return (csts & ~NVME_CSTS_SHST_MASK) | (uint32_t)shst << NVME_CSTS_SHST_SHIFT;
}

/* What NSSR takes to reset the subsystem: "NVMe". 3.1.3.7. */
#define NVME_NSSR_RESET UINT32_C(0x4e564d65)

/** @return CRTO from its two times in ms, each rounded up to 500 ms: ready with media 15:0,
 *  independent of media 31:16. 3.1.3.20. */
static inline uint32_t nvme_crto_of(uint32_t with_media_ms, uint32_t alone_ms)
{
	uint32_t with_media = (with_media_ms + NVME_CAP_TO_UNIT_MS - 1) / NVME_CAP_TO_UNIT_MS;
	uint32_t alone = (alone_ms + NVME_CAP_TO_UNIT_MS - 1) / NVME_CAP_TO_UNIT_MS;

	return (with_media & 0xffff) | (alone & 0xffff) << 16;
}

#endif
