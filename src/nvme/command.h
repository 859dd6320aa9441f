/*
 * The submission queue entry: 64 bytes, one command. NVMe Base 2.0, 3.3.3.1 and 6; NVM Command
 * Set 1.0, 3.2. Fabrics commands lay their own fields over it: structures of the same size, taken
 * from a command and put back by copies, so that no byte is read through a foreign type.
 */
#ifndef FERRY_NVME_COMMAND_H
#define FERRY_NVME_COMMAND_H

#include "base/bytes.h"
#include "nvme/nqn.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NVME_NSID_NONE      0U
#define NVME_NSID_BROADCAST UINT32_C(0xffffffff)

#define NVME_QID_ADMIN 0U

/* An SGL descriptor; on NVMe over TCP a command carries exactly one: Base 2.0, 4.1.2. */
struct nvme_sgl {
	le64 address;
	le32 length; /* bytes */
	uint8_t reserved[3];
	uint8_t type; /* type << 4 | subtype */
};
static_assert(sizeof(struct nvme_sgl) == 16, "Base 2.0, 4.1.2");
static_assert(offsetof(struct nvme_sgl, type) == 15, "Base 2.0, 4.1.2");

enum nvme_sgl_type {
	NVME_SGL_IN_CAPSULE = 0x01, /* data block, subtype offset: data follow in the capsule */
	NVME_SGL_TRANSPORT = 0x5a,  /* transport data block: TCP 1.0, 3.3.1.1 and 3.3.2.1 */
};

struct nvme_command {
	uint8_t opcode;
	uint8_t flags; /* FUSE 1:0, PSDT 7:6 */
	le16 cid;
	le32 nsid;
	le32 cdw2;
	le32 cdw3;
	le64 mptr;
	struct nvme_sgl sgl;
	le32 cdw10;
	le32 cdw11;
	le32 cdw12;
	le32 cdw13;
	le32 cdw14;
	le32 cdw15;
};
static_assert(sizeof(struct nvme_command) == 64, "Base 2.0, 3.3.3.1");
static_assert(offsetof(struct nvme_command, nsid) == 4, "Base 2.0, 3.3.3.1");
static_assert(offsetof(struct nvme_command, mptr) == 16, "Base 2.0, 3.3.3.1");
static_assert(offsetof(struct nvme_command, sgl) == 24, "Base 2.0, 3.3.3.1");
static_assert(offsetof(struct nvme_command, cdw10) == 40, "Base 2.0, 3.3.3.1");
static_assert(offsetof(struct nvme_command, cdw15) == 60, "Base 2.0, 3.3.3.1");

#define NVME_FLAGS_FUSE_MASK     0x03U
#define NVME_FLAGS_FUSE_FIRST    0x01U
#define NVME_FLAGS_FUSE_SECOND   0x02U
#define NVME_FLAGS_PSDT_MASK     0xc0U
#define NVME_FLAGS_PSDT_PRP      0x00U
#define NVME_FLAGS_PSDT_SGL      0x40U /* SGL; MPTR holds an address */
#define NVME_FLAGS_PSDT_SGL_MPTR 0x80U /* SGL; MPTR holds an SGL segment's address */

/* Bits 1:0 of every opcode, and of FCTYPE, say which way data go: Base 2.0, 3.3.3.1. */
enum nvme_transfer {
	NVME_TRANSFER_NONE = 0,
	NVME_TRANSFER_HOST_TO_CONTROLLER = 1,
	NVME_TRANSFER_CONTROLLER_TO_HOST = 2,
	NVME_TRANSFER_BOTH = 3,
};

/* Base 2.0, 5, figure "Opcodes for Admin Commands". */
enum nvme_admin_opcode {
	NVME_ADMIN_DELETE_IO_SQ = 0x00,              /* 5.7 */
	NVME_ADMIN_CREATE_IO_SQ = 0x01,              /* 5.5 */
	NVME_ADMIN_GET_LOG_PAGE = 0x02,              /* 5.16 */
	NVME_ADMIN_DELETE_IO_CQ = 0x04,              /* 5.6 */
	NVME_ADMIN_CREATE_IO_CQ = 0x05,              /* 5.4 */
	NVME_ADMIN_IDENTIFY = 0x06,                  /* 5.17 */
	NVME_ADMIN_ABORT = 0x08,                     /* 5.1 */
	NVME_ADMIN_SET_FEATURES = 0x09,              /* 5.27 */
	NVME_ADMIN_GET_FEATURES = 0x0a,              /* 5.15 */
	NVME_ADMIN_ASYNC_EVENT = 0x0c,               /* 5.2 */
	NVME_ADMIN_NAMESPACE_MANAGEMENT = 0x0d,      /* 5.23 */
	NVME_ADMIN_FIRMWARE_COMMIT = 0x10,           /* 5.12 */
	NVME_ADMIN_FIRMWARE_DOWNLOAD = 0x11,         /* 5.13 */
	NVME_ADMIN_SELF_TEST = 0x14,                 /* 5.8 */
	NVME_ADMIN_NAMESPACE_ATTACHMENT = 0x15,      /* 5.22 */
	NVME_ADMIN_KEEP_ALIVE = 0x18,                /* 5.18 */
	NVME_ADMIN_DIRECTIVE_SEND = 0x19,            /* 5.10 */
	NVME_ADMIN_DIRECTIVE_RECEIVE = 0x1a,         /* 5.9 */
	NVME_ADMIN_VIRTUALIZATION_MANAGEMENT = 0x1c, /* 5.28 */
	NVME_ADMIN_MI_SEND = 0x1d,                   /* 5.21 */
	NVME_ADMIN_MI_RECEIVE = 0x1e,                /* 5.20 */
	NVME_ADMIN_CAPACITY_MANAGEMENT = 0x20,       /* 5.3 */
	NVME_ADMIN_LOCKDOWN = 0x24,                  /* 5.19 */
	NVME_ADMIN_DOORBELL_BUFFER_CONFIG = 0x7c,    /* 5.11 */
	NVME_ADMIN_FABRICS = 0x7f,                   /* 6 */
	NVME_ADMIN_FORMAT_NVM = 0x80,                /* 5.14 */
	NVME_ADMIN_SECURITY_SEND = 0x81,             /* 5.26 */
	NVME_ADMIN_SECURITY_RECEIVE = 0x82,          /* 5.25 */
	NVME_ADMIN_SANITIZE = 0x84,                  /* 5.24 */
	NVME_ADMIN_GET_LBA_STATUS = 0x86,            /* NVM 1.0, 4.2.1 */
};

/* Base 2.0, 7 and NVM 1.0, 3.2, figure "Opcodes for NVM Commands". */
enum nvme_io_opcode {
	NVME_IO_FLUSH = 0x00,                /* Base 7.1 */
	NVME_IO_WRITE = 0x01,                /* NVM 3.2.6 */
	NVME_IO_READ = 0x02,                 /* NVM 3.2.4 */
	NVME_IO_WRITE_UNCORRECTABLE = 0x04,  /* NVM 3.2.7 */
	NVME_IO_COMPARE = 0x05,              /* NVM 3.2.1 */
	NVME_IO_WRITE_ZEROES = 0x08,         /* NVM 3.2.8 */
	NVME_IO_DATASET_MANAGEMENT = 0x09,   /* NVM 3.2.3 */
	NVME_IO_VERIFY = 0x0c,               /* NVM 3.2.5 */
	NVME_IO_RESERVATION_REGISTER = 0x0d, /* Base 7.3 */
	NVME_IO_RESERVATION_REPORT = 0x0e,   /* Base 7.5 */
	NVME_IO_RESERVATION_ACQUIRE = 0x11,  /* Base 7.2 */
	NVME_IO_RESERVATION_RELEASE = 0x15,  /* Base 7.4 */
	NVME_IO_COPY = 0x19,                 /* NVM 3.2.2 */
	NVME_IO_FABRICS = 0x7f,              /* Base 6 */
};

/* Base 2.0, 6, figure "Fabrics Command Type". */
enum nvme_fabrics_type {
	NVME_FABRICS_PROPERTY_SET = 0x00, /* 6.6 */
	NVME_FABRICS_CONNECT = 0x01,      /* 6.3 */
	NVME_FABRICS_PROPERTY_GET = 0x04, /* 6.5 */
	NVME_FABRICS_AUTH_SEND = 0x05,    /* 6.2 */
	NVME_FABRICS_AUTH_RECEIVE = 0x06, /* 6.1 */
	NVME_FABRICS_DISCONNECT = 0x08,   /* 6.4 */
};

/* The fields of every fabrics command: Base 2.0, 6. */
struct nvme_fabrics_command {
	uint8_t opcode;
	uint8_t flags;
	le16 cid;
	uint8_t fctype;
	uint8_t reserved5[19];
	struct nvme_sgl sgl;
	uint8_t specific[24];
};
static_assert(sizeof(struct nvme_fabrics_command) == 64, "Base 2.0, 6");
static_assert(offsetof(struct nvme_fabrics_command, sgl) == 24, "Base 2.0, 6");

struct nvme_connect_command {
	uint8_t opcode;
	uint8_t flags;
	le16 cid;
	uint8_t fctype;
	uint8_t reserved5[19];
	struct nvme_sgl sgl;
	le16 recfmt;
	le16 qid;
	le16 sqsize; /* 0-based */
	uint8_t cattr;
	uint8_t reserved47;
	le32 kato; /* ms; admin queue only, 0 for none */
	uint8_t reserved52[12];
};
static_assert(sizeof(struct nvme_connect_command) == 64, "Base 2.0, 6.3");
static_assert(offsetof(struct nvme_connect_command, recfmt) == 40, "Base 2.0, 6.3");
static_assert(offsetof(struct nvme_connect_command, qid) == 42, "Base 2.0, 6.3");
static_assert(offsetof(struct nvme_connect_command, sqsize) == 44, "Base 2.0, 6.3");
static_assert(offsetof(struct nvme_connect_command, cattr) == 46, "Base 2.0, 6.3");
static_assert(offsetof(struct nvme_connect_command, kato) == 48, "Base 2.0, 6.3");

#define NVME_CATTR_PRIORITY_MASK       0x03U
#define NVME_CATTR_DISABLE_SQFC        0x04U
#define NVME_CATTR_INDIVIDUAL_DELETION 0x08U
#define NVME_CATTR_CONNENT             0x10U /* 2.1: the connecting entity's kind follows */

#define NVME_SQSIZE_MIN 1U /* Connect with SQSIZE 0 is an error: two entries at least */

#define NVME_CNTLID_DYNAMIC 0xffffU
#define NVME_CNTLID_STATIC  0xfffeU /* any static controller */
#define NVME_CNTLID_MAX     0xffefU

struct nvme_connect_data {
	uint8_t hostid[16];
	le16 cntlid;
	uint8_t reserved18[238];
	char subnqn[NVME_NQN_FIELD_BYTES];
	char hostnqn[NVME_NQN_FIELD_BYTES];
	uint8_t reserved768[256];
};
static_assert(sizeof(struct nvme_connect_data) == 1024, "Base 2.0, 6.3");
static_assert(offsetof(struct nvme_connect_data, cntlid) == 16, "Base 2.0, 6.3");
static_assert(offsetof(struct nvme_connect_data, subnqn) == 256, "Base 2.0, 6.3");
static_assert(offsetof(struct nvme_connect_data, hostnqn) == 512, "Base 2.0, 6.3");

/* Property Get and Property Set; Get reserves the value: Base 2.0, 6.5 and 6.6. */
struct nvme_property_command {
	uint8_t opcode;
	uint8_t flags;
	le16 cid;
	uint8_t fctype;
	uint8_t reserved5[35];
	uint8_t attrib; /* size, 2:0 */
	uint8_t reserved41[3];
	le32 ofst;
	le64 value;
	uint8_t reserved56[8];
};
static_assert(sizeof(struct nvme_property_command) == 64, "Base 2.0, 6.6");
static_assert(offsetof(struct nvme_property_command, attrib) == 40, "Base 2.0, 6.6");
static_assert(offsetof(struct nvme_property_command, ofst) == 44, "Base 2.0, 6.6");
static_assert(offsetof(struct nvme_property_command, value) == 48, "Base 2.0, 6.6");

#define NVME_ATTRIB_SIZE_MASK 0x07U
#define NVME_ATTRIB_SIZE_4    0x00U
#define NVME_ATTRIB_SIZE_8    0x01U

/* Authentication Send and Receive: Base 2.0, 6.1 and 6.2. */
struct nvme_auth_command {
	uint8_t opcode;
	uint8_t flags;
	le16 cid;
	uint8_t fctype;
	uint8_t reserved5[19];
	struct nvme_sgl sgl;
	uint8_t reserved40;
	uint8_t spsp0;
	uint8_t spsp1;
	uint8_t secp;
	le32 length; /* bytes: TL of Send, AL of Receive */
	uint8_t reserved48[16];
};
static_assert(sizeof(struct nvme_auth_command) == 64, "Base 2.0, 6.2");
static_assert(offsetof(struct nvme_auth_command, secp) == 43, "Base 2.0, 6.2");
static_assert(offsetof(struct nvme_auth_command, length) == 44, "Base 2.0, 6.2");

#define NVME_AUTH_SPSP0 0x01U
#define NVME_AUTH_SPSP1 0x01U
#define NVME_AUTH_SECP  0xe9U

struct nvme_disconnect_command {
	uint8_t opcode;
	uint8_t flags;
	le16 cid;
	uint8_t fctype;
	uint8_t reserved5[35];
	le16 recfmt;
	uint8_t reserved42[22];
};
static_assert(sizeof(struct nvme_disconnect_command) == 64, "Base 2.0, 6.4");
static_assert(offsetof(struct nvme_disconnect_command, recfmt) == 40, "Base 2.0, 6.4");

static inline struct nvme_connect_command nvme_command_as_connect(
	const struct nvme_command *command)
{
	struct nvme_connect_command connect;

	memcpy(&connect, command, sizeof(connect));
	return connect;
}

static inline struct nvme_property_command nvme_command_as_property(
	const struct nvme_command *command)
{
	struct nvme_property_command property;

	memcpy(&property, command, sizeof(property));
	return property;
}

static inline struct nvme_auth_command nvme_command_as_auth(const struct nvme_command *command)
{
	struct nvme_auth_command auth;

	memcpy(&auth, command, sizeof(auth));
	return auth;
}

static inline struct nvme_disconnect_command nvme_command_as_disconnect(
	const struct nvme_command *command)
{
	struct nvme_disconnect_command disconnect;

	memcpy(&disconnect, command, sizeof(disconnect));
	return disconnect;
}

/** The command whose 64 bytes lie at @fabrics, one of the fabrics structures above. */
static inline struct nvme_command nvme_command_of_fabrics(const void *fabrics)
{
	struct nvme_command command;

	memcpy(&command, fabrics, sizeof(command));
	return command;
}

static inline uint8_t nvme_command_fctype(const struct nvme_command *command)
{
	return command->nsid.bytes[0];
}

/** @return the direction in which @command moves data by its opcode, or FCTYPE for a fabrics
 *  command; a command may still have none to move. */
static inline enum nvme_transfer nvme_command_transfer(const struct nvme_command *command)
{
	uint8_t code = command->opcode == NVME_ADMIN_FABRICS ? nvme_command_fctype(command)
							     : command->opcode;

	return (enum nvme_transfer)(code & 3);
}

/** @return a descriptor of @length bytes at @offset in the capsule's own data. */
static inline struct nvme_sgl nvme_sgl_in_capsule(uint64_t offset, uint32_t length)
{
	struct nvme_sgl sgl = {
		.address = le64_of(offset),
		.length = le32_of(length),
		.type = NVME_SGL_IN_CAPSULE,
	};

	return sgl;
}

/** @return a descriptor of @length bytes that the transport moves in PDUs of their own. */
static inline struct nvme_sgl nvme_sgl_transport(uint32_t length)
{
	struct nvme_sgl sgl = {.length = le32_of(length), .type = NVME_SGL_TRANSPORT};

	return sgl;
}

#endif
