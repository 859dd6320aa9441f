/*
 * Reservation commands and their data. NVMe Base 2.0, 7.2 to 7.5 and 8.19.
 */
#ifndef FERRY_NVME_RESERVATION_H
#define FERRY_NVME_RESERVATION_H

#include "nvme/command.h"

/* RTYPE: Base 2.0, 7.2. */
enum nvme_reservation_type {
	NVME_RESERVATION_NONE = 0,
	NVME_RESERVATION_WRITE_EXCLUSIVE = 1,
	NVME_RESERVATION_EXCLUSIVE_ACCESS = 2,
	NVME_RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS = 3,
	NVME_RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS = 4,
	NVME_RESERVATION_WRITE_EXCLUSIVE_ALL_REGISTRANTS = 5,
	NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL_REGISTRANTS = 6,
};

/* RREGA: Base 2.0, 7.3. */
enum nvme_reservation_register {
	NVME_RESERVATION_REGISTER = 0,
	NVME_RESERVATION_UNREGISTER = 1,
	NVME_RESERVATION_REPLACE = 2,
};

/* RACQA: Base 2.0, 7.2. */
enum nvme_reservation_acquire {
	NVME_RESERVATION_ACQUIRE = 0,
	NVME_RESERVATION_PREEMPT = 1,
	NVME_RESERVATION_PREEMPT_AND_ABORT = 2,
};

/* RRELA: Base 2.0, 7.4. */
enum nvme_reservation_release {
	NVME_RESERVATION_RELEASE = 0,
	NVME_RESERVATION_CLEAR = 1,
};

/* CPTPL of Register: Base 2.0, 7.3. */
enum nvme_reservation_persistence {
	NVME_RESERVATION_PTPL_KEEP = 0,
	NVME_RESERVATION_PTPL_CLEAR = 2,
	NVME_RESERVATION_PTPL_SET = 3,
};

#define NVME_RESERVATION_IEKEY (UINT32_C(1) << 3) /* dword 10: ignore the existing key */
#define NVME_RESERVATION_EDS   (UINT32_C(1) << 0) /* Report, dword 11: extended data */

/** @return RREGA, RACQA or RRELA, 0..7. */
static inline uint8_t nvme_command_reservation_action(const struct nvme_command *command)
{
	return (uint8_t)(le32_get(command->cdw10) & 7);
}

/** @return RTYPE of Acquire or Release, 0..255. */
static inline uint8_t nvme_command_reservation_type(const struct nvme_command *command)
{
	return (uint8_t)(le32_get(command->cdw10) >> 8);
}

/** @return CPTPL of Register, 0..3. */
static inline uint8_t nvme_command_reservation_cptpl(const struct nvme_command *command)
{
	return (uint8_t)(le32_get(command->cdw10) >> 30);
}

/** @return how many bytes of report a host asks for, 4..16 GiB (NUMD is 0-based dwords). */
static inline uint64_t nvme_command_reservation_report_bytes(const struct nvme_command *command)
{
	return ((uint64_t)le32_get(command->cdw10) + 1) * 4;
}

/* The data of Register: Base 2.0, 7.3. */
struct nvme_reservation_register_data {
	le64 crkey;
	le64 nrkey;
};
static_assert(sizeof(struct nvme_reservation_register_data) == 16, "Base 2.0, 7.3");

/* The data of Acquire: Base 2.0, 7.2. */
struct nvme_reservation_acquire_data {
	le64 crkey;
	le64 prkey;
};
static_assert(sizeof(struct nvme_reservation_acquire_data) == 16, "Base 2.0, 7.2");

/* The data of Release: Base 2.0, 7.4. */
struct nvme_reservation_release_data {
	le64 crkey;
};
static_assert(sizeof(struct nvme_reservation_release_data) == 8, "Base 2.0, 7.4");

/* The data of Report: a status, then a registrant each; extended ones go together. 7.5. */
struct nvme_reservation_status {
	le32 gen;
	uint8_t rtype;
	le16 regctl; /* number of registrants */
	uint8_t reserved7[2];
	uint8_t ptpls;
	uint8_t reserved10[14];
};
static_assert(sizeof(struct nvme_reservation_status) == 24, "Base 2.0, 7.5");
static_assert(offsetof(struct nvme_reservation_status, regctl) == 5, "Base 2.0, 7.5");
static_assert(offsetof(struct nvme_reservation_status, ptpls) == 9, "Base 2.0, 7.5");

struct nvme_reservation_status_extended {
	struct nvme_reservation_status status;
	uint8_t reserved24[40];
};
static_assert(sizeof(struct nvme_reservation_status_extended) == 64, "Base 2.0, 7.5");

struct nvme_registrant {
	le16 cntlid;
	uint8_t rcsts;
	uint8_t reserved3[5];
	uint8_t hostid[8];
	le64 rkey;
};
static_assert(sizeof(struct nvme_registrant) == 24, "Base 2.0, 7.5");
static_assert(offsetof(struct nvme_registrant, rkey) == 16, "Base 2.0, 7.5");

struct nvme_registrant_extended {
	le16 cntlid;
	uint8_t rcsts;
	uint8_t reserved3[5];
	le64 rkey;
	uint8_t hostid[16];
	uint8_t reserved32[32];
};
static_assert(sizeof(struct nvme_registrant_extended) == 64, "Base 2.0, 7.5");
static_assert(offsetof(struct nvme_registrant_extended, hostid) == 16, "Base 2.0, 7.5");

#define NVME_RCSTS_HOLDER 0x01U

#endif
