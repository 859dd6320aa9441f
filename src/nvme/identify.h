/*
 * The data of Identify, 4096 bytes a structure. NVMe Base 2.0, 5.17; NVM Command Set 1.0, 4.1.5.
 * Members bear the specification's field names; what they mean is in its figures.
 */
#ifndef FERRY_NVME_IDENTIFY_H
#define FERRY_NVME_IDENTIFY_H

#include "nvme/command.h"

#define NVME_IDENTIFY_BYTES 4096

/* CNS: Base 2.0, 5.17.1, figure "Identify - CNS Values". */
enum nvme_cns {
	NVME_CNS_NAMESPACE = 0x00,
	NVME_CNS_CONTROLLER = 0x01,
	NVME_CNS_ACTIVE_NAMESPACES = 0x02,
	NVME_CNS_NAMESPACE_DESCRIPTORS = 0x03,
	NVME_CNS_NVM_SETS = 0x04,
	NVME_CNS_IOCS_NAMESPACE = 0x05,  /* I/O command set specific */
	NVME_CNS_IOCS_CONTROLLER = 0x06, /* I/O command set specific */
	NVME_CNS_IOCS_ACTIVE_NAMESPACES = 0x07,
	NVME_CNS_INDEPENDENT_NAMESPACE = 0x08, /* of the I/O command set */
	NVME_CNS_ALLOCATED_NAMESPACES = 0x10,
	NVME_CNS_ALLOCATED_NAMESPACE = 0x11,
	NVME_CNS_NAMESPACE_CONTROLLERS = 0x12, /* attached to the namespace */
	NVME_CNS_CONTROLLERS = 0x13,           /* of the subsystem */
	NVME_CNS_PRIMARY_CAPABILITIES = 0x14,
	NVME_CNS_SECONDARY_CONTROLLERS = 0x15,
	NVME_CNS_NAMESPACE_GRANULARITY = 0x16,
	NVME_CNS_UUIDS = 0x17,
	NVME_CNS_DOMAINS = 0x18,
	NVME_CNS_ENDURANCE_GROUPS = 0x19,
	NVME_CNS_IOCS_ALLOCATED_NAMESPACES = 0x1a,
	NVME_CNS_IOCS_ALLOCATED_NAMESPACE = 0x1b,
	NVME_CNS_IO_COMMAND_SETS = 0x1c,
};

/* CSI: Base 2.0, 5.17.1. */
enum nvme_command_set {
	NVME_COMMAND_SET_NVM = 0,
	NVME_COMMAND_SET_KEY_VALUE = 1,
	NVME_COMMAND_SET_ZONED = 2,
};

/* Dwords 10, 11, 14 of Identify: Base 2.0, 5.17.1. */
static inline uint8_t nvme_command_cns(const struct nvme_command *command)
{
	return (uint8_t)le32_get(command->cdw10);
}

static inline uint16_t nvme_command_identify_cntid(const struct nvme_command *command)
{
	return (uint16_t)(le32_get(command->cdw10) >> 16);
}

static inline uint8_t nvme_command_identify_csi(const struct nvme_command *command)
{
	return (uint8_t)(le32_get(command->cdw11) >> 24);
}

/** Set CNS, CNTID and CSI. */
static inline void nvme_command_set_identify(struct nvme_command *command, uint8_t cns,
	uint16_t cntid, uint8_t csi)
{
	command->cdw10 = le32_of((uint32_t)cntid << 16 | cns);
	command->cdw11 = le32_of((uint32_t)csi << 24);
}

/* Power State Descriptor: Base 2.0, 5.17.2.1. */
struct nvme_power_state {
	le16 mp; /* centiwatts, unless MXPS */
	uint8_t reserved2;
	uint8_t flags; /* MXPS 0, NOPS 1 */
	le32 enlat;
	le32 exlat;
	uint8_t rrt;
	uint8_t rrl;
	uint8_t rwt;
	uint8_t rwl;
	le16 idlp;
	uint8_t ips;
	uint8_t reserved19;
	le16 actp;
	uint8_t apws;
	uint8_t reserved23[9];
};
static_assert(sizeof(struct nvme_power_state) == 32, "Base 2.0, 5.17.2.1");

/* CNS 01h: Base 2.0, 5.17.2.1. */
struct nvme_identify_controller {
	le16 vid;
	le16 ssvid;
	char sn[20];
	char mn[40];
	char fr[8];
	uint8_t rab;
	uint8_t ieee[3]; /* least significant byte first */
	uint8_t cmic;
	uint8_t mdts;
	le16 cntlid;
	le32 ver;
	le32 rtd3r;
	le32 rtd3e;
	le32 oaes;
	le32 ctratt;
	le16 rrls;
	uint8_t reserved102[9];
	uint8_t cntrltype;
	uint8_t fguid[16];
	le16 crdt1; /* 100 ms, as the next two */
	le16 crdt2;
	le16 crdt3;
	uint8_t reserved134[119];
	uint8_t nvmsr;
	uint8_t vwci;
	uint8_t mec;
	le16 oacs;
	uint8_t acl;  /* 0-based */
	uint8_t aerl; /* 0-based */
	uint8_t frmw;
	uint8_t lpa;
	uint8_t elpe; /* 0-based */
	uint8_t npss; /* 0-based */
	uint8_t avscc;
	uint8_t apsta;
	le16 wctemp; /* K */
	le16 cctemp; /* K */
	le16 mtfa;
	le32 hmpre;
	le32 hmmin;
	uint8_t tnvmcap[16];
	uint8_t unvmcap[16];
	le32 rpmbs;
	le16 edstt;
	uint8_t dsto;
	uint8_t fwug;
	le16 kas; /* 100 ms */
	le16 hctma;
	le16 mntmt;
	le16 mxtmt;
	le32 sanicap;
	le32 hmminds;
	le16 hmmaxd;
	le16 nsetidmax;
	le16 endgidmax;
	uint8_t anatt; /* s */
	uint8_t anacap;
	le32 anagrpmax;
	le32 nanagrpid;
	le32 pels;
	le16 domainid;
	uint8_t reserved358[10];
	uint8_t megcap[16];
	uint8_t reserved384[128];
	uint8_t sqes; /* log2: smallest 3:0, largest 7:4 */
	uint8_t cqes;
	le16 maxcmd;
	le32 nn;
	le16 oncs;
	le16 fuses;
	uint8_t fna;
	uint8_t vwc;
	le16 awun;  /* 0-based blocks */
	le16 awupf; /* 0-based blocks */
	uint8_t icsvscc;
	uint8_t nwpc;
	le16 acwu; /* 0-based blocks */
	le16 ocfs;
	le32 sgls;
	le32 mnan;
	uint8_t maxdna[16];
	le32 maxcna;
	uint8_t reserved564[204];
	char subnqn[NVME_NQN_FIELD_BYTES];
	uint8_t reserved1024[768];
	le32 ioccsz; /* 16 bytes */
	le32 iorcsz; /* 16 bytes */
	le16 icdoff; /* 16 bytes */
	uint8_t fcatt;
	uint8_t msdbd;
	le16 ofcs;
	uint8_t dctype;
	uint8_t reserved1807[241];
	struct nvme_power_state psd[32];
	uint8_t vendor[1024];
};
static_assert(sizeof(struct nvme_identify_controller) == 4096, "Base 2.0, 5.17.2.1");
static_assert(offsetof(struct nvme_identify_controller, mdts) == 77, "Base 2.0, 5.17.2.1");
static_assert(offsetof(struct nvme_identify_controller, cntrltype) == 111, "Base 2.0, 5.17.2.1");
static_assert(offsetof(struct nvme_identify_controller, oacs) == 256, "Base 2.0, 5.17.2.1");
static_assert(offsetof(struct nvme_identify_controller, kas) == 320, "Base 2.0, 5.17.2.1");
static_assert(offsetof(struct nvme_identify_controller, anatt) == 342, "Base 2.0, 5.17.2.1");
static_assert(offsetof(struct nvme_identify_controller, sqes) == 512, "Base 2.0, 5.17.2.1");
static_assert(offsetof(struct nvme_identify_controller, sgls) == 536, "Base 2.0, 5.17.2.1");
static_assert(offsetof(struct nvme_identify_controller, subnqn) == 768, "Base 2.0, 5.17.2.1");
static_assert(offsetof(struct nvme_identify_controller, ioccsz) == 1792, "Base 2.0, 5.17.2.1");
static_assert(offsetof(struct nvme_identify_controller, psd) == 2048, "Base 2.0, 5.17.2.1");

/* Bits of the controller's fields: Base 2.0, 5.17.2.1, figure of the same name as the field. */
#define NVME_CMIC_MULTI_PORT       0x01U
#define NVME_CMIC_MULTI_CONTROLLER 0x02U
#define NVME_CMIC_SRIOV            0x04U
#define NVME_CMIC_ANA              0x08U

#define NVME_OAES_NAMESPACE_ATTRIBUTE (UINT32_C(1) << 8)
#define NVME_OAES_FIRMWARE            (UINT32_C(1) << 9)
#define NVME_OAES_ANA                 (UINT32_C(1) << 11)
#define NVME_OAES_PREDICTABLE_LATENCY (UINT32_C(1) << 12)
#define NVME_OAES_NORMAL_SHUTDOWN     (UINT32_C(1) << 15)
#define NVME_OAES_DISCOVERY_LOG       (UINT32_C(1) << 31)

#define NVME_CTRATT_HOSTID_128        (UINT32_C(1) << 0)
#define NVME_CTRATT_NVM_SETS          (UINT32_C(1) << 2)
#define NVME_CTRATT_ENDURANCE_GROUPS  (UINT32_C(1) << 4)
#define NVME_CTRATT_TBKAS             (UINT32_C(1) << 6) /* traffic based keep alive */
#define NVME_CTRATT_NAMESPACE_GRANULE (UINT32_C(1) << 7)
#define NVME_CTRATT_UUID_LIST         (UINT32_C(1) << 9)

enum nvme_controller_type {
	NVME_CONTROLLER_IO = 1,
	NVME_CONTROLLER_DISCOVERY = 2,
	NVME_CONTROLLER_ADMIN = 3,
};

#define NVME_OACS_SECURITY             (1U << 0)
#define NVME_OACS_FORMAT               (1U << 1)
#define NVME_OACS_FIRMWARE             (1U << 2)
#define NVME_OACS_NAMESPACE_MANAGEMENT (1U << 3)
#define NVME_OACS_SELF_TEST            (1U << 4)
#define NVME_OACS_DIRECTIVES           (1U << 5)

#define NVME_FRMW_SLOT1_READ_ONLY 0x01U
#define NVME_FRMW_SLOTS_SHIFT     1 /* number of slots, 3:1 */

#define NVME_LPA_SMART_PER_NAMESPACE 0x01U
#define NVME_LPA_EFFECTS             0x02U
#define NVME_LPA_EXTENDED            0x04U /* offset and 32-bit NUMD */
#define NVME_LPA_TELEMETRY           0x08U
#define NVME_LPA_PERSISTENT_EVENT    0x10U
#define NVME_LPA_SUPPORTED_PAGES     0x20U /* logs 00h, 12h, 13h and the like */

#define NVME_ANACAP_OPTIMIZED       0x01U
#define NVME_ANACAP_NON_OPTIMIZED   0x02U
#define NVME_ANACAP_INACCESSIBLE    0x04U
#define NVME_ANACAP_PERSISTENT_LOSS 0x08U
#define NVME_ANACAP_CHANGE          0x10U
#define NVME_ANACAP_GROUP_STATIC    0x40U /* ANAGRPID of a namespace does not change */
#define NVME_ANACAP_GROUP_NONZERO   0x80U

#define NVME_SQES_ALL 0x66U /* 64-byte entries */
#define NVME_CQES_ALL 0x44U /* 16-byte entries */

#define NVME_ONCS_COMPARE             (1U << 0)
#define NVME_ONCS_WRITE_UNCORRECTABLE (1U << 1)
#define NVME_ONCS_DATASET_MANAGEMENT  (1U << 2)
#define NVME_ONCS_WRITE_ZEROES        (1U << 3)
#define NVME_ONCS_FEATURE_SELECT      (1U << 4) /* save and select */
#define NVME_ONCS_RESERVATIONS        (1U << 5)
#define NVME_ONCS_TIMESTAMP           (1U << 6)
#define NVME_ONCS_VERIFY              (1U << 7)
#define NVME_ONCS_COPY                (1U << 8)

#define NVME_FUSES_COMPARE_AND_WRITE (1U << 0)

#define NVME_VWC_PRESENT        0x01U
#define NVME_VWC_FLUSH_ALL_NOT  0x04U /* Flush to the broadcast NSID fails */
#define NVME_VWC_FLUSH_ALL      0x06U /* and works */
#define NVME_VWC_FLUSH_ALL_MASK 0x06U

#define NVME_NWPC_WRITE_PROTECT 0x01U /* none, and until changed */
#define NVME_NWPC_POWER_CYCLE   0x02U
#define NVME_NWPC_PERMANENT     0x04U

#define NVME_OCFS_FORMAT_0 (1U << 0)

#define NVME_SGLS_MASK          UINT32_C(3)
#define NVME_SGLS_BYTE_ALIGNED  UINT32_C(1)
#define NVME_SGLS_DWORD_ALIGNED UINT32_C(2)
#define NVME_SGLS_KEYED         (UINT32_C(1) << 2)
#define NVME_SGLS_BIT_BUCKET    (UINT32_C(1) << 16)
#define NVME_SGLS_OFFSET        (UINT32_C(1) << 20) /* address of a data block is an offset */
#define NVME_SGLS_TRANSPORT     (UINT32_C(1) << 21) /* transport data block */

#define NVME_FCATT_STATIC_CONTROLLERS 0x01U
#define NVME_OFCS_DISCONNECT          (1U << 0)

enum nvme_discovery_controller_type {
	NVME_DCTYPE_NONE = 0, /* not reported */
	NVME_DCTYPE_DIRECT = 1,
	NVME_DCTYPE_CENTRAL = 2,
};

#define NVME_CAPSULE_UNIT_BYTES 16U /* of IOCCSZ, IORCSZ, ICDOFF */

/* A list of up to 1024 NSIDs in ascending order, 0 after the last. CNS 02h, 07h, 10h, 1Ah and the
 * Changed Namespace List: Base 2.0, 4.4.2. */
#define NVME_NSID_LIST_MAX 1024
struct nvme_nsid_list {
	le32 nsid[NVME_NSID_LIST_MAX];
};
static_assert(sizeof(struct nvme_nsid_list) == 4096, "Base 2.0, 4.4.2");

/* A list of controllers, CNS 12h and 13h: Base 2.0, 4.4.1. */
#define NVME_CONTROLLER_LIST_MAX 2047
struct nvme_controller_list {
	le16 count;
	le16 cntlid[NVME_CONTROLLER_LIST_MAX];
};
static_assert(sizeof(struct nvme_controller_list) == 4096, "Base 2.0, 4.4.1");

/* One entry of CNS 03h; NIDL bytes of identifier follow. Base 2.0, 5.17.2.3. */
struct nvme_namespace_descriptor {
	uint8_t nidt;
	uint8_t nidl;
	uint8_t reserved2[2];
};
static_assert(sizeof(struct nvme_namespace_descriptor) == 4, "Base 2.0, 5.17.2.3");

enum nvme_identifier_type {
	NVME_NIDT_EUI64 = 1, /* 8 bytes */
	NVME_NIDT_NGUID = 2, /* 16 bytes */
	NVME_NIDT_UUID = 3,  /* 16 bytes */
	NVME_NIDT_CSI = 4,   /* 1 byte */
};

/** @return the length in bytes that an identifier of type @nidt has, 0 for an unknown type. */
uint8_t nvme_identifier_bytes(uint8_t nidt);

#endif
