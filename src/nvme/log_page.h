/*
 * Log pages, and the asynchronous events that point at them. NVMe Base 2.0, 5.16 and 5.2. The
 * Discovery log page is in discovery.h, the Sanitize Status one is not offered.
 */
#ifndef FERRY_NVME_LOG_PAGE_H
#define FERRY_NVME_LOG_PAGE_H

#include "nvme/identify.h"

/* LID: Base 2.0, 5.16.1. */
enum nvme_log_page {
	NVME_LOG_PAGE_SUPPORTED = 0x00,          /* 5.16.1.1 */
	NVME_LOG_PAGE_ERROR = 0x01,              /* 5.16.1.2 */
	NVME_LOG_PAGE_SMART = 0x02,              /* 5.16.1.3 */
	NVME_LOG_PAGE_FIRMWARE_SLOT = 0x03,      /* 5.16.1.4 */
	NVME_LOG_PAGE_CHANGED_NAMESPACES = 0x04, /* 5.16.1.5 */
	NVME_LOG_PAGE_EFFECTS = 0x05,            /* 5.16.1.6 */
	NVME_LOG_PAGE_SELF_TEST = 0x06,
	NVME_LOG_PAGE_TELEMETRY_HOST = 0x07,
	NVME_LOG_PAGE_TELEMETRY_CONTROLLER = 0x08,
	NVME_LOG_PAGE_ENDURANCE_GROUP = 0x09,
	NVME_LOG_PAGE_ANA = 0x0c, /* 5.16.1.13 */
	NVME_LOG_PAGE_PERSISTENT_EVENT = 0x0d,
	NVME_LOG_PAGE_FEATURE_EFFECTS = 0x12, /* 5.16.1.18 */
	NVME_LOG_PAGE_MI_EFFECTS = 0x13,
	NVME_LOG_PAGE_LOCKDOWN = 0x14,
	NVME_LOG_PAGE_DISCOVERY = 0x70,                /* 5.16.1.23 */
	NVME_LOG_PAGE_RESERVATION_NOTIFICATION = 0x80, /* 5.16.1.24 */
	NVME_LOG_PAGE_SANITIZE = 0x81,
};

/* Get Log Page: Base 2.0, 5.16, dwords 10..14. */
#define NVME_LOG_RAE (UINT32_C(1) << 15) /* dword 10: retain the asynchronous event */
#define NVME_LOG_OT  (UINT32_C(1) << 23) /* dword 14: the offset is an index, not bytes */

#define NVME_LOG_LSP_ANA_GROUPS_ONLY      0x01U /* RGO: no lists of namespaces */
#define NVME_LOG_LSP_DISCOVERY_EXTENDED   0x01U /* EXTDLPE */
#define NVME_LOG_LSP_DISCOVERY_PORT_LOCAL 0x02U /* PLEO: entries of this port only */
#define NVME_LOG_LSP_DISCOVERY_ALL        0x04U /* ALLSUBE */

/* The fields of a Get Log Page command. */
struct nvme_get_log_page {
	uint8_t lid;
	uint8_t lsp; /* 0..127 */
	bool is_event_retained;
	uint64_t length_bytes; /* 4..16 GiB, a multiple of 4 */
	uint64_t offset;       /* bytes, or an index if so said below */
	bool is_offset_index;
	uint16_t lsi;
	uint8_t csi;
};

static inline struct nvme_get_log_page nvme_command_get_log_page(const struct nvme_command *command)
{
	uint32_t cdw10 = le32_get(command->cdw10);
	uint32_t cdw11 = le32_get(command->cdw11);
	uint32_t cdw14 = le32_get(command->cdw14);
	uint32_t numd = cdw11 << 16 | cdw10 >> 16;
	struct nvme_get_log_page fields = {
		.lid = (uint8_t)cdw10,
		.lsp = (uint8_t)(cdw10 >> 8 & 0x7f),
		.is_event_retained = (cdw10 & NVME_LOG_RAE) != 0,
		.length_bytes = ((uint64_t)numd + 1) * 4,
		.offset = (uint64_t)le32_get(command->cdw13) << 32 | le32_get(command->cdw12),
		.is_offset_index = (cdw14 & NVME_LOG_OT) != 0,
		.lsi = (uint16_t)(cdw11 >> 16),
		.csi = (uint8_t)(cdw14 >> 24),
	};

	return fields;
}

/** Set dwords 10..14 from @fields, whose length is 4..16 GiB and a multiple of 4. */
static inline void nvme_command_set_get_log_page(struct nvme_command *command,
	const struct nvme_get_log_page *fields)
{
	uint64_t numd = fields->length_bytes / 4 - 1;

	assert(fields->length_bytes % 4 == 0 && numd <= UINT32_MAX);
	command->cdw10 = le32_of((uint32_t)(numd & 0xffff) << 16 |
		(fields->is_event_retained ? NVME_LOG_RAE : 0) |
		(uint32_t)(fields->lsp & 0x7f) << 8 | fields->lid);
	command->cdw11 = le32_of((uint32_t)fields->lsi << 16 | (uint32_t)(numd >> 16));
	command->cdw12 = le32_of((uint32_t)fields->offset);
	command->cdw13 = le32_of((uint32_t)(fields->offset >> 32));
	command->cdw14 =
		le32_of((uint32_t)fields->csi << 24 | (fields->is_offset_index ? NVME_LOG_OT : 0));
}

/* 5.16.1.1. An entry for each LID: bits below, and LID specific ones in 31:16. */
struct nvme_log_supported {
	le32 lid[256];
};
static_assert(sizeof(struct nvme_log_supported) == 1024, "Base 2.0, 5.16.1.1");

#define NVME_LID_SUPPORTED    (UINT32_C(1) << 0) /* LSUPP */
#define NVME_LID_INDEX_OFFSET (UINT32_C(1) << 1) /* IOS */

/* 5.16.1.2. One entry of the Error Information log, newest first; count 0 is an unused entry. */
struct nvme_log_error {
	le64 error_count;
	le16 sqid;
	le16 cid;
	le16 status;   /* as in a completion: an nvme_status << 1 */
	le16 location; /* byte 7:0 and bit 10:8 of the command, or NVME_ERROR_NO_LOCATION */
	le64 lba;
	le32 nsid;
	uint8_t vendor_page;
	uint8_t trtype;
	uint8_t reserved30[2];
	le64 specific;
	le16 transport_specific;
	uint8_t reserved42[22];
};
static_assert(sizeof(struct nvme_log_error) == 64, "Base 2.0, 5.16.1.2");
static_assert(offsetof(struct nvme_log_error, location) == 14, "Base 2.0, 5.16.1.2");
static_assert(offsetof(struct nvme_log_error, trtype) == 29, "Base 2.0, 5.16.1.2");
static_assert(offsetof(struct nvme_log_error, transport_specific) == 40, "Base 2.0, 5.16.1.2");

#define NVME_ERROR_NO_LOCATION 0xffffU
#define NVME_ERROR_NO_COMMAND  0xffffU /* as SQID and CID */

/* 5.16.1.3. Counters are 16 bytes, little-endian. */
struct nvme_log_smart {
	uint8_t critical_warning;
	le16 temperature; /* K */
	uint8_t available_spare;
	uint8_t available_spare_threshold;
	uint8_t percentage_used;
	uint8_t endurance_group_warning;
	uint8_t reserved7[25];
	uint8_t data_units_read[16]; /* thousands of 512 bytes, rounded up; so written */
	uint8_t data_units_written[16];
	uint8_t host_reads[16];
	uint8_t host_writes[16];
	uint8_t busy_minutes[16];
	uint8_t power_cycles[16];
	uint8_t power_on_hours[16];
	uint8_t unsafe_shutdowns[16];
	uint8_t media_errors[16];
	uint8_t error_log_entries[16];
	le32 warning_temperature_minutes;
	le32 critical_temperature_minutes;
	le16 temperature_sensor[8];
	le32 thermal_transitions[2];
	le32 thermal_seconds[2];
	uint8_t reserved232[280];
};
static_assert(sizeof(struct nvme_log_smart) == 512, "Base 2.0, 5.16.1.3");
static_assert(offsetof(struct nvme_log_smart, temperature) == 1, "Base 2.0, 5.16.1.3");
static_assert(offsetof(struct nvme_log_smart, data_units_read) == 32, "Base 2.0, 5.16.1.3");
static_assert(offsetof(struct nvme_log_smart, error_log_entries) == 176, "Base 2.0, 5.16.1.3");
static_assert(offsetof(struct nvme_log_smart, temperature_sensor) == 200, "Base 2.0, 5.16.1.3");

#define NVME_SMART_SPARE       0x01U /* critical warnings */
#define NVME_SMART_TEMPERATURE 0x02U
#define NVME_SMART_DEGRADED    0x04U
#define NVME_SMART_READ_ONLY   0x08U
#define NVME_SMART_BACKUP      0x10U

/* 5.16.1.4. */
struct nvme_log_firmware_slot {
	uint8_t afi; /* active slot 2:0, next 6:4 */
	uint8_t reserved1[7];
	char frs[7][8];
	uint8_t reserved64[448];
};
static_assert(sizeof(struct nvme_log_firmware_slot) == 512, "Base 2.0, 5.16.1.4");
static_assert(offsetof(struct nvme_log_firmware_slot, frs) == 8, "Base 2.0, 5.16.1.4");

/* 5.16.1.5: a struct nvme_nsid_list; with more changes than it holds, this one alone. */
#define NVME_CHANGED_TOO_MANY UINT32_C(0xffffffff)

/* 5.16.1.6. */
struct nvme_log_effects {
	le32 admin[256];
	le32 io[256];
	uint8_t reserved2048[2048];
};
static_assert(sizeof(struct nvme_log_effects) == 4096, "Base 2.0, 5.16.1.6");
static_assert(offsetof(struct nvme_log_effects, io) == 1024, "Base 2.0, 5.16.1.6");

#define NVME_EFFECTS_SUPPORTED           (UINT32_C(1) << 0)
#define NVME_EFFECTS_LBA_CONTENT         (UINT32_C(1) << 1)
#define NVME_EFFECTS_NAMESPACE           (UINT32_C(1) << 2) /* capability of one namespace */
#define NVME_EFFECTS_NAMESPACE_INVENTORY (UINT32_C(1) << 3)
#define NVME_EFFECTS_CONTROLLER          (UINT32_C(1) << 4)
#define NVME_EFFECTS_EXCLUSIVE_SHIFT     16 /* CSE, 18:16 */
#define NVME_EFFECTS_EXCLUSIVE_NAMESPACE (UINT32_C(1) << NVME_EFFECTS_EXCLUSIVE_SHIFT)
#define NVME_EFFECTS_EXCLUSIVE_ALL       (UINT32_C(2) << NVME_EFFECTS_EXCLUSIVE_SHIFT)
#define NVME_EFFECTS_SCOPE_SHIFT         20 /* CSP, 31:20 */
#define NVME_EFFECTS_SCOPE_NAMESPACE     (UINT32_C(1) << 20)
#define NVME_EFFECTS_SCOPE_CONTROLLER    (UINT32_C(1) << 21)
#define NVME_EFFECTS_SCOPE_SUBSYSTEM     (UINT32_C(1) << 25)

/* 5.16.1.18. Bit 0 supported, 1 user data, 2..4 as the effects above. */
struct nvme_log_feature_effects {
	le32 fid[256];
};
static_assert(sizeof(struct nvme_log_feature_effects) == 1024, "Base 2.0, 5.16.1.18");

/* 5.16.1.13: the header, then for each group a descriptor and its count of NSIDs (le32 each). */
struct nvme_log_ana {
	le64 change_count;
	le16 group_count;
	uint8_t reserved10[6];
};
static_assert(sizeof(struct nvme_log_ana) == 16, "Base 2.0, 5.16.1.13");

struct nvme_ana_group {
	le32 anagrpid;
	le32 nsid_count;
	le64 change_count;
	uint8_t state; /* 3:0 */
	uint8_t reserved17[15];
};
static_assert(sizeof(struct nvme_ana_group) == 32, "Base 2.0, 5.16.1.13");
static_assert(offsetof(struct nvme_ana_group, state) == 16, "Base 2.0, 5.16.1.13");

/* Base 2.0, 8.1.3. */
enum nvme_ana_state {
	NVME_ANA_OPTIMIZED = 1,
	NVME_ANA_NON_OPTIMIZED = 2,
	NVME_ANA_INACCESSIBLE = 3,
	NVME_ANA_PERSISTENT_LOSS = 4,
	NVME_ANA_CHANGE = 15,
};

/* 5.16.1.24. Type 0: no notification. */
struct nvme_log_reservation {
	le64 count;
	uint8_t type;
	uint8_t available; /* further pages, at most 255 */
	uint8_t reserved10[2];
	le32 nsid;
	uint8_t reserved16[48];
};
static_assert(sizeof(struct nvme_log_reservation) == 64, "Base 2.0, 5.16.1.24");
static_assert(offsetof(struct nvme_log_reservation, nsid) == 12, "Base 2.0, 5.16.1.24");

enum nvme_reservation_notice {
	NVME_RESERVATION_NOTICE_NONE = 0,
	NVME_RESERVATION_NOTICE_REGISTRATION_PREEMPTED = 1,
	NVME_RESERVATION_NOTICE_RELEASED = 2,
	NVME_RESERVATION_NOTICE_PREEMPTED = 3,
};

/* Asynchronous events: Base 2.0, 5.2.1. */
enum nvme_event_type {
	NVME_EVENT_ERROR = 0,
	NVME_EVENT_SMART = 1,
	NVME_EVENT_NOTICE = 2,
	NVME_EVENT_IO_SPECIFIC = 6,
	NVME_EVENT_VENDOR = 7,
};

#define NVME_EVENT_TYPES 8U

/* The information of an event of type error. */
enum nvme_event_error {
	NVME_EVENT_ERROR_PERSISTENT_INTERNAL = 3,
	NVME_EVENT_ERROR_TRANSIENT_INTERNAL = 4,
};

/* The information of an event of type SMART. */
enum nvme_event_smart {
	NVME_EVENT_SMART_RELIABILITY = 0,
	NVME_EVENT_SMART_TEMPERATURE = 1,
	NVME_EVENT_SMART_SPARE = 2,
};

/* The information of an event of type notice. */
enum nvme_event_notice {
	NVME_EVENT_NOTICE_NAMESPACE = 0x00, /* attribute: log 04h */
	NVME_EVENT_NOTICE_FIRMWARE = 0x01,
	NVME_EVENT_NOTICE_TELEMETRY = 0x02,
	NVME_EVENT_NOTICE_ANA = 0x03,
	NVME_EVENT_NOTICE_DISCOVERY = 0xf0,
};

/* The information of an event of type I/O command specific. */
enum nvme_event_io {
	NVME_EVENT_IO_RESERVATION = 0,
	NVME_EVENT_IO_SANITIZE = 1,
};

/** @return dword 0 of the completion of an Asynchronous Event Request.
 *  @param information of the enumeration that belongs to @type. @param lid the page to read. */
static inline uint32_t nvme_event_of(enum nvme_event_type type, uint8_t information, uint8_t lid)
{
	return (uint32_t)lid << 16 | (uint32_t)information << 8 | (uint32_t)type;
}

/** @return the type in @dw0, 0..7: of enum nvme_event_type or reserved. */
static inline uint8_t nvme_event_type_of(uint32_t dw0)
{
	return dw0 & 7;
}

static inline uint8_t nvme_event_information_of(uint32_t dw0)
{
	return (uint8_t)(dw0 >> 8);
}

static inline uint8_t nvme_event_lid_of(uint32_t dw0)
{
	return (uint8_t)(dw0 >> 16);
}

#endif
