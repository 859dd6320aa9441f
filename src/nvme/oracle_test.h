/*
 * An independent reading of the specification, libnvme's headers, to hold against ours. Both use
 * the names of the specification, so some of libnvme's are moved out of the way while its header
 * is read; include this before any header of ours.
 */
#ifndef FERRY_NVME_ORACLE_TEST_H
#define FERRY_NVME_ORACLE_TEST_H

#define nvme_admin_opcode     their_admin_opcode
#define nvme_io_opcode        their_io_opcode
#define nvme_dsm_range        their_dsm_range
#define nvme_copy_range       their_copy_range
#define nvme_timestamp        their_timestamp
#define nvme_ana_state        their_ana_state
#define nvme_status_type      their_status_type
#define nvme_status_code      their_status_code
#define NVME_NIDT_EUI64       THEIR_NIDT_EUI64
#define NVME_NIDT_NGUID       THEIR_NIDT_NGUID
#define NVME_NIDT_UUID        THEIR_NIDT_UUID
#define NVME_NIDT_CSI         THEIR_NIDT_CSI
#define NVME_CC_CSS_NVM       THEIR_CC_CSS_NVM
#define NVME_CC_CSS_ADMIN     THEIR_CC_CSS_ADMIN
#define NVME_CC_SHN_NONE      THEIR_CC_SHN_NONE
#define NVME_CC_SHN_NORMAL    THEIR_CC_SHN_NORMAL
#define NVME_CC_SHN_ABRUPT    THEIR_CC_SHN_ABRUPT
#define NVME_CSTS_SHST_NORMAL THEIR_CSTS_SHST_NORMAL
#include <nvme/types.h>

#include <nvme/ioctl.h>
#undef nvme_admin_opcode
#undef nvme_io_opcode
#undef nvme_dsm_range
#undef nvme_copy_range
#undef nvme_timestamp
#undef nvme_ana_state
#undef nvme_status_type
#undef nvme_status_code
#undef NVME_NIDT_EUI64
#undef NVME_NIDT_NGUID
#undef NVME_NIDT_UUID
#undef NVME_NIDT_CSI
#undef NVME_CC_CSS_NVM
#undef NVME_CC_CSS_ADMIN
#undef NVME_CC_SHN_NONE
#undef NVME_CC_SHN_NORMAL
#undef NVME_CC_SHN_ABRUPT
#undef NVME_CSTS_SHST_NORMAL

/* Enumerators that our macros of the same name hide from here on. */
enum {
	THEIR_IO_STC = NVME_IO_STC,
	THEIR_IO_DEAC = NVME_IO_DEAC,
	THEIR_IO_PRINFO_PRACT = NVME_IO_PRINFO_PRACT,
	THEIR_IO_FUA = NVME_IO_FUA,
	THEIR_IO_LR = NVME_IO_LR,
	THEIR_NSID_NONE = NVME_NSID_NONE,
	THEIR_CAP_MQES_MASK = NVME_CAP_MQES_MASK,
	THEIR_CAP_AMS_SHIFT = NVME_CAP_AMS_SHIFT,
	THEIR_CAP_TO_SHIFT = NVME_CAP_TO_SHIFT,
	THEIR_CAP_DSTRD_SHIFT = NVME_CAP_DSTRD_SHIFT,
	THEIR_CAP_MPSMIN_SHIFT = NVME_CAP_MPSMIN_SHIFT,
	THEIR_CAP_MPSMAX_SHIFT = NVME_CAP_MPSMAX_SHIFT,
	THEIR_CAP_CSS_NVM = NVME_CAP_CSS_NVM,
	THEIR_CC_CSS_SHIFT = NVME_CC_CSS_SHIFT,
	THEIR_CC_CSS_MASK = NVME_CC_CSS_MASK,
	THEIR_CC_MPS_SHIFT = NVME_CC_MPS_SHIFT,
	THEIR_CC_MPS_MASK = NVME_CC_MPS_MASK,
	THEIR_CC_AMS_SHIFT = NVME_CC_AMS_SHIFT,
	THEIR_CC_AMS_MASK = NVME_CC_AMS_MASK,
	THEIR_CC_SHN_SHIFT = NVME_CC_SHN_SHIFT,
	THEIR_CC_SHN_MASK = NVME_CC_SHN_MASK,
	THEIR_CC_IOSQES_SHIFT = NVME_CC_IOSQES_SHIFT,
	THEIR_CC_IOSQES_MASK = NVME_CC_IOSQES_MASK,
	THEIR_CC_IOCQES_SHIFT = NVME_CC_IOCQES_SHIFT,
	THEIR_CC_IOCQES_MASK = NVME_CC_IOCQES_MASK,
	THEIR_CSTS_SHST_SHIFT = NVME_CSTS_SHST_SHIFT,
	THEIR_CSTS_SHST_MASK = NVME_CSTS_SHST_MASK,
};
#undef NVME_CAP_CQR
#undef NVME_CAP_BPS
#undef NVME_CAP_PMRS
#undef NVME_CAP_CMBS
#undef NVME_CC_EN
#undef NVME_CC_CRIME
#undef NVME_CSTS_RDY
#undef NVME_CSTS_CFS
#undef NVME_CSTS_NSSRO
#undef NVME_CSTS_PP

#endif
