/*
 * The Discovery log page: a header, then a record for each way to a subsystem. NVMe Base 2.0,
 * 5.16.1.23; for TCP's own fields TCP Transport 1.0, 3.1.
 */
#ifndef FERRY_NVME_DISCOVERY_H
#define FERRY_NVME_DISCOVERY_H

#include "nvme/command.h"

#define NVME_TCP_PORT           4420U
#define NVME_TCP_DISCOVERY_PORT 8009U

#define NVME_TRSVCID_BYTES 32
#define NVME_TRADDR_BYTES  256

struct nvme_discovery_log {
	le64 genctr;
	le64 numrec;
	le16 recfmt;
	uint8_t dlpf;
	uint8_t reserved19;
	le32 tdlpl;
	uint8_t reserved24[1000];
};
static_assert(sizeof(struct nvme_discovery_log) == 1024, "Base 2.0, 5.16.1.23");
static_assert(offsetof(struct nvme_discovery_log, recfmt) == 16, "Base 2.0, 5.16.1.23");
static_assert(offsetof(struct nvme_discovery_log, tdlpl) == 20, "Base 2.0, 5.16.1.23");

struct nvme_discovery_record {
	uint8_t trtype;
	uint8_t adrfam;
	uint8_t subtype;
	uint8_t treq;
	le16 portid;
	le16 cntlid;
	le16 asqsz; /* entries, NVME_ASQSZ_MIN at least */
	le16 eflags;
	uint8_t reserved12[20];
	char trsvcid[NVME_TRSVCID_BYTES]; /* padded with spaces or NULs, as is traddr */
	uint8_t reserved64[192];
	char subnqn[NVME_NQN_FIELD_BYTES];
	char traddr[NVME_TRADDR_BYTES];
	uint8_t sectype; /* the first byte of TSAS, for TCP */
	uint8_t tsas[255];
};
static_assert(sizeof(struct nvme_discovery_record) == 1024, "Base 2.0, 5.16.1.23");
static_assert(offsetof(struct nvme_discovery_record, portid) == 4, "Base 2.0, 5.16.1.23");
static_assert(offsetof(struct nvme_discovery_record, eflags) == 10, "Base 2.0, 5.16.1.23");
static_assert(offsetof(struct nvme_discovery_record, trsvcid) == 32, "Base 2.0, 5.16.1.23");
static_assert(offsetof(struct nvme_discovery_record, subnqn) == 256, "Base 2.0, 5.16.1.23");
static_assert(offsetof(struct nvme_discovery_record, traddr) == 512, "Base 2.0, 5.16.1.23");
static_assert(offsetof(struct nvme_discovery_record, sectype) == 768, "TCP 1.0, 3.1");

#define NVME_ASQSZ_MIN 32U

enum nvme_transport_type {
	NVME_TRTYPE_RDMA = 1,
	NVME_TRTYPE_FC = 2,
	NVME_TRTYPE_TCP = 3,
	NVME_TRTYPE_LOOP = 254, /* within one host, Linux's use */
};

enum nvme_address_family {
	NVME_ADRFAM_IPV4 = 1,
	NVME_ADRFAM_IPV6 = 2,
	NVME_ADRFAM_INFINIBAND = 3,
	NVME_ADRFAM_FC = 4,
	NVME_ADRFAM_LOOP = 254,
};

enum nvme_subsystem_type {
	NVME_SUBTYPE_REFERRAL = 1, /* another discovery subsystem */
	NVME_SUBTYPE_NVM = 2,
	NVME_SUBTYPE_CURRENT = 3, /* the discovery subsystem that answers */
};

#define NVME_TREQ_SECURE_MASK  0x03U
#define NVME_TREQ_UNSPECIFIED  0x00U
#define NVME_TREQ_REQUIRED     0x01U
#define NVME_TREQ_NOT_REQUIRED 0x02U
#define NVME_TREQ_SQFC         0x04U /* a host may disable submission queue flow control */

#define NVME_EFLAGS_DUPLICATE  0x01U /* DUPRETINFO: this subsystem gives the same records */
#define NVME_EFLAGS_PERSISTENT 0x02U /* EPCSD: explicit persistent connections */
#define NVME_EFLAGS_NO_CDC     0x04U

enum nvme_security_type {
	NVME_SECTYPE_NONE = 0,
	NVME_SECTYPE_TLS_1_2 = 1, /* obsolete */
	NVME_SECTYPE_TLS_1_3 = 2,
};

#endif
