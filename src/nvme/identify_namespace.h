/*
 * The data of Identify about a namespace. NVM Command Set 1.0, 4.1.5.1, .3 and .4; NVMe Base 2.0,
 * 5.17.2.8. Members bear the specification's field names.
 */
#ifndef FERRY_NVME_IDENTIFY_NAMESPACE_H
#define FERRY_NVME_IDENTIFY_NAMESPACE_H

#include "nvme/identify.h"

/* NVM 1.0, 4.1.5.1, figure "LBA Format Data Structure, NVM Command Set Specific". */
struct nvme_lba_format {
	le16 ms;       /* bytes of metadata per block */
	uint8_t lbads; /* log2 of the bytes of a block */
	uint8_t rp;    /* relative performance, 1:0 */
};
static_assert(sizeof(struct nvme_lba_format) == 4, "NVM 1.0, 4.1.5.1");

#define NVME_LBA_FORMATS_MAX 64
#define NVME_LBADS_MIN       9U

/* CNS 00h and 11h: NVM 1.0, 4.1.5.1. */
struct nvme_identify_namespace {
	le64 nsze;
	le64 ncap;
	le64 nuse;
	uint8_t nsfeat;
	uint8_t nlbaf; /* 0-based */
	uint8_t flbas;
	uint8_t mc;
	uint8_t dpc;
	uint8_t dps;
	uint8_t nmic;
	uint8_t rescap;
	uint8_t fpi;
	uint8_t dlfeat;
	le16 nawun; /* this and the next two: 0-based blocks */
	le16 nawupf;
	le16 nacwu;
	le16 nabsn;
	le16 nabo;
	le16 nabspf;
	le16 noiob; /* blocks, 0 for none */
	uint8_t nvmcap[16];
	le16 npwg; /* this and the next four: 0-based blocks, valid with NVME_NSFEAT_OPTPERF */
	le16 npwa;
	le16 npdg;
	le16 npda;
	le16 nows;
	le16 mssrl;   /* blocks */
	le32 mcl;     /* blocks */
	uint8_t msrc; /* 0-based ranges */
	uint8_t reserved81[11];
	le32 anagrpid;
	uint8_t reserved96[3];
	uint8_t nsattr;
	le16 nvmsetid;
	le16 endgid;
	uint8_t nguid[16]; /* most significant byte first, as is eui64 */
	uint8_t eui64[8];
	struct nvme_lba_format lbaf[NVME_LBA_FORMATS_MAX];
	uint8_t vendor[3712];
};
static_assert(sizeof(struct nvme_identify_namespace) == 4096, "NVM 1.0, 4.1.5.1");
static_assert(offsetof(struct nvme_identify_namespace, nsfeat) == 24, "NVM 1.0, 4.1.5.1");
static_assert(offsetof(struct nvme_identify_namespace, dlfeat) == 33, "NVM 1.0, 4.1.5.1");
static_assert(offsetof(struct nvme_identify_namespace, nvmcap) == 48, "NVM 1.0, 4.1.5.1");
static_assert(offsetof(struct nvme_identify_namespace, mssrl) == 74, "NVM 1.0, 4.1.5.1");
static_assert(offsetof(struct nvme_identify_namespace, anagrpid) == 92, "NVM 1.0, 4.1.5.1");
static_assert(offsetof(struct nvme_identify_namespace, nguid) == 104, "NVM 1.0, 4.1.5.1");
static_assert(offsetof(struct nvme_identify_namespace, lbaf) == 128, "NVM 1.0, 4.1.5.1");

/* Bits of the namespace's fields: NVM 1.0, 4.1.5.1. */
#define NVME_NSFEAT_THIN        0x01U
#define NVME_NSFEAT_ATOMIC      0x02U /* NAWUN, NAWUPF and NACWU are this namespace's own */
#define NVME_NSFEAT_DEALLOCATED 0x04U /* DULBE is supported */
#define NVME_NSFEAT_UID_REUSE   0x08U
#define NVME_NSFEAT_OPTPERF     0x10U /* NPWG, NPWA, NPDG, NPDA and NOWS are valid */

#define NVME_NMIC_SHARED 0x01U

#define NVME_RESCAP_PTPL                             0x01U
#define NVME_RESCAP_WRITE_EXCLUSIVE                  0x02U
#define NVME_RESCAP_EXCLUSIVE_ACCESS                 0x04U
#define NVME_RESCAP_WRITE_EXCLUSIVE_REGISTRANTS      0x08U
#define NVME_RESCAP_EXCLUSIVE_ACCESS_REGISTRANTS     0x10U
#define NVME_RESCAP_WRITE_EXCLUSIVE_ALL_REGISTRANTS  0x20U
#define NVME_RESCAP_EXCLUSIVE_ACCESS_ALL_REGISTRANTS 0x40U
#define NVME_RESCAP_IEKEY_1_3                        0x80U

#define NVME_DLFEAT_READ_MASK    0x07U /* what a read after deallocate gives */
#define NVME_DLFEAT_READ_UNKNOWN 0x00U
#define NVME_DLFEAT_READ_ZEROES  0x01U
#define NVME_DLFEAT_READ_ONES    0x02U
#define NVME_DLFEAT_WRITE_ZEROES 0x08U /* DEAC of Write Zeroes is supported */
#define NVME_DLFEAT_GUARD_CRC    0x10U

#define NVME_NSATTR_WRITE_PROTECTED 0x01U

/** @return the index in lbaf of the format in use, 0..63: FLBAS 3:0 and, above 16 formats, 6:5. */
static inline uint8_t nvme_identify_namespace_format(const struct nvme_identify_namespace *ns)
{
	uint8_t low = ns->flbas & 0x0f;

	return ns->nlbaf < 16 ? low : (uint8_t)((ns->flbas & 0x60) >> 1 | low);
}

/* CNS 05h for the NVM command set: NVM 1.0, 4.1.5.3. */
struct nvme_identify_nvm_namespace {
	le64 lbstm;
	uint8_t pic;
	uint8_t reserved9[3];
	le32 elbaf[NVME_LBA_FORMATS_MAX];
	uint8_t reserved268[3828];
};
static_assert(sizeof(struct nvme_identify_nvm_namespace) == 4096, "NVM 1.0, 4.1.5.3");
static_assert(offsetof(struct nvme_identify_nvm_namespace, elbaf) == 12, "NVM 1.0, 4.1.5.3");

/* CNS 06h for the NVM command set; limits are 0 for none. NVM 1.0, 4.1.5.4. */
struct nvme_identify_nvm_controller {
	uint8_t vsl; /* log2 of pages of CAP.MPSMIN, as MDTS; so the next two */
	uint8_t wzsl;
	uint8_t wusl;
	uint8_t dmrl; /* ranges */
	le32 dmrsl;   /* blocks of one range */
	le64 dmsl;    /* blocks in all */
	uint8_t reserved16[4080];
};
static_assert(sizeof(struct nvme_identify_nvm_controller) == 4096, "NVM 1.0, 4.1.5.4");
static_assert(offsetof(struct nvme_identify_nvm_controller, dmrsl) == 4, "NVM 1.0, 4.1.5.4");
static_assert(offsetof(struct nvme_identify_nvm_controller, dmsl) == 8, "NVM 1.0, 4.1.5.4");

/* CNS 08h: Base 2.0, 5.17.2.8. Bits as in the namespace above, where the names are the same. */
struct nvme_identify_independent_namespace {
	uint8_t nsfeat; /* only NVME_INDEPENDENT_NSFEAT_ bits */
	uint8_t nmic;
	uint8_t rescap;
	uint8_t fpi;
	le32 anagrpid;
	uint8_t nsattr;
	uint8_t reserved9;
	le16 nvmsetid;
	le16 endgid;
	uint8_t nstat;
	uint8_t reserved15[4081];
};
static_assert(sizeof(struct nvme_identify_independent_namespace) == 4096, "Base 2.0, 5.17.2.8");
static_assert(offsetof(struct nvme_identify_independent_namespace, anagrpid) == 4,
	"Base 2.0, 5.17.2.8");
static_assert(offsetof(struct nvme_identify_independent_namespace, nstat) == 14,
	"Base 2.0, 5.17.2.8");

#define NVME_INDEPENDENT_NSFEAT_UID_REUSE 0x08U
#define NVME_NSTAT_READY                  0x01U

/* CNS 1Ch: combinations of I/O command sets that may be enabled together, a bit for each CSI,
 * 0 after the last. Base 2.0, 5.17.2.21. */
#define NVME_COMMAND_SET_COMBINATIONS_MAX 512
struct nvme_command_set_combinations {
	le64 combination[NVME_COMMAND_SET_COMBINATIONS_MAX];
};
static_assert(sizeof(struct nvme_command_set_combinations) == 4096, "Base 2.0, 5.17.2.21");

#endif
