/*
 * Features, which Get Features and Set Features carry. NVMe Base 2.0, 4.2, 5.15 and 5.27.
 */
#ifndef FERRY_NVME_FEATURE_H
#define FERRY_NVME_FEATURE_H

#include "nvme/command.h"

/* FID: Base 2.0, 5.27.1. */
enum nvme_feature {
	NVME_FEATURE_ARBITRATION = 0x01,
	NVME_FEATURE_POWER_MANAGEMENT = 0x02,
	NVME_FEATURE_LBA_RANGE_TYPE = 0x03,
	NVME_FEATURE_TEMPERATURE_THRESHOLD = 0x04,
	NVME_FEATURE_ERROR_RECOVERY = 0x05, /* NVM 1.0, 4.1.3.2 */
	NVME_FEATURE_VOLATILE_WRITE_CACHE = 0x06,
	NVME_FEATURE_QUEUES = 0x07,
	NVME_FEATURE_INTERRUPT_COALESCING = 0x08,
	NVME_FEATURE_INTERRUPT_VECTOR = 0x09,
	NVME_FEATURE_WRITE_ATOMICITY = 0x0a,
	NVME_FEATURE_EVENT_CONFIGURATION = 0x0b,
	NVME_FEATURE_POWER_TRANSITION = 0x0c,
	NVME_FEATURE_HOST_MEMORY_BUFFER = 0x0d,
	NVME_FEATURE_TIMESTAMP = 0x0e,
	NVME_FEATURE_KEEP_ALIVE = 0x0f,
	NVME_FEATURE_THERMAL_MANAGEMENT = 0x10,
	NVME_FEATURE_NON_OPERATIONAL_POWER = 0x11,
	NVME_FEATURE_HOST_BEHAVIOR = 0x16,
	NVME_FEATURE_SANITIZE = 0x17,
	NVME_FEATURE_ENDURANCE_GROUP_EVENTS = 0x18,
	NVME_FEATURE_IO_COMMAND_SET_PROFILE = 0x19,
	NVME_FEATURE_SPINUP = 0x1a,
	NVME_FEATURE_PROGRESS_MARKER = 0x80,
	NVME_FEATURE_HOST_ID = 0x81,
	NVME_FEATURE_RESERVATION_MASK = 0x82,
	NVME_FEATURE_RESERVATION_PERSISTENCE = 0x83,
	NVME_FEATURE_WRITE_PROTECTION = 0x84,
};

/* SEL of Get Features: Base 2.0, 5.15. */
enum nvme_feature_select {
	NVME_FEATURE_CURRENT = 0,
	NVME_FEATURE_DEFAULT = 1,
	NVME_FEATURE_SAVED = 2,
	NVME_FEATURE_CAPABILITIES = 3,
};

/* Dword 0 of the answer to SEL 3. */
#define NVME_FEATURE_CAN_SAVE      UINT32_C(1)
#define NVME_FEATURE_CAN_NAMESPACE UINT32_C(2)
#define NVME_FEATURE_CAN_CHANGE    UINT32_C(4)

#define NVME_FEATURE_SAVE (UINT32_C(1) << 31) /* SV, dword 10 of Set Features */

static inline uint8_t nvme_command_fid(const struct nvme_command *command)
{
	return (uint8_t)le32_get(command->cdw10);
}

/** @return SEL of Get Features, 0..7: of enum nvme_feature_select or reserved. */
static inline uint8_t nvme_command_feature_select(const struct nvme_command *command)
{
	return (uint8_t)(le32_get(command->cdw10) >> 8 & 7);
}

static inline bool nvme_command_feature_is_saved(const struct nvme_command *command)
{
	return (le32_get(command->cdw10) & NVME_FEATURE_SAVE) != 0;
}

static inline void nvme_command_set_get_feature(struct nvme_command *command, uint8_t fid,
	enum nvme_feature_select select)
{
	command->cdw10 = le32_of((uint32_t)select << 8 | fid);
}

/** Set the feature and its value, dwords 10 and 11 of Set Features. */
static inline void nvme_command_set_feature(struct nvme_command *command, uint8_t fid,
	uint32_t value)
{
	command->cdw10 = le32_of(fid);
	command->cdw11 = le32_of(value);
}

/* Number of Queues, value and answer: submission 15:0, completion 31:16, both 0-based.
 * Base 2.0, 5.27.1.5. */
static inline uint32_t nvme_queues_submission(uint32_t value)
{
	return (value & 0xffff) + 1;
}

static inline uint32_t nvme_queues_completion(uint32_t value)
{
	return (value >> 16) + 1;
}

#define NVME_QUEUES_INVALID 0xffffU /* as NSQR or NCQR: 65536 queues may not be asked for */

/** @return the value for @count queues of each kind, 1..65535. */
static inline uint32_t nvme_queues_of(uint16_t count)
{
	uint32_t last = (uint32_t)count - 1;

	assert(count > 0);
	return last << 16 | last;
}

/* Arbitration: Base 2.0, 5.27.1.1. */
#define NVME_ARBITRATION_MASK     UINT32_C(0xffffff07)
#define NVME_ARBITRATION_NO_LIMIT UINT32_C(7) /* AB: commands fetched at a time */

/* Temperature Threshold: Base 2.0, 5.27.1.3. */
#define NVME_TEMPERATURE_MASK         UINT32_C(0xffff) /* TMPTH, K */
#define NVME_TEMPERATURE_SELECT_SHIFT 16               /* TMPSEL: 0 composite, 1..8 sensor */
#define NVME_TEMPERATURE_SELECT_MASK  (UINT32_C(0xf) << NVME_TEMPERATURE_SELECT_SHIFT)
#define NVME_TEMPERATURE_TYPE_SHIFT   20 /* THSEL: 0 over, 1 under */
#define NVME_TEMPERATURE_TYPE_MASK    (UINT32_C(3) << NVME_TEMPERATURE_TYPE_SHIFT)

/* Power Management: Base 2.0, 5.27.1.2. */
#define NVME_POWER_STATE_MASK    UINT32_C(0x1f) /* PS */
#define NVME_POWER_WORKLOAD_MASK UINT32_C(0xe0) /* WH */

/* Error Recovery: NVM 1.0, 4.1.3.2. */
#define NVME_ERROR_RECOVERY_TLER_MASK UINT32_C(0xffff) /* 100 ms */
#define NVME_ERROR_RECOVERY_DULBE     (UINT32_C(1) << 16)

#define NVME_WRITE_CACHE_ENABLE (UINT32_C(1) << 0) /* WCE: Base 2.0, 5.27.1.4 */

#define NVME_WRITE_ATOMICITY_DISABLE_NORMAL (UINT32_C(1) << 0) /* DN: NVM 1.0, 4.1.3.4 */

/* Asynchronous Event Configuration; bits 8..31 as NVME_OAES_. Base 2.0, 5.27.1.8. */
#define NVME_EVENT_CONFIGURATION_SMART_MASK UINT32_C(0xff)

/* Timestamp: the data of both commands. Base 2.0, 5.27.1.11. */
struct nvme_timestamp {
	uint8_t milliseconds[6]; /* since 1970, UTC */
	uint8_t attributes;
	uint8_t reserved7;
};
static_assert(sizeof(struct nvme_timestamp) == 8, "Base 2.0, 5.27.1.11");

#define NVME_TIMESTAMP_STOPPED 0x01U /* the clock stood still at times */
#define NVME_TIMESTAMP_SET     0x02U /* by Set Features, not by a reset to 0; field 3:1 */

/* Host Behavior Support: Base 2.0, 5.27.1.18. */
struct nvme_host_behavior {
	uint8_t acre; /* 1: advanced command retry, statuses may carry CRD */
	uint8_t etdas;
	uint8_t lbafee;
	uint8_t reserved3[509];
};
static_assert(sizeof(struct nvme_host_behavior) == 512, "Base 2.0, 5.27.1.18");

/* Host Identifier: 8 or, with EXHID, 16 bytes of data. Base 2.0, 5.27.1.25. */
#define NVME_HOST_ID_EXHID UINT32_C(1)
#define NVME_HOST_ID_BYTES 16

/* Reservation Notification Mask, a bit set masks: Base 2.0, 5.27.1.26. */
#define NVME_RESERVATION_MASK_REGISTRATION_PREEMPTED (UINT32_C(1) << 1)
#define NVME_RESERVATION_MASK_RELEASED               (UINT32_C(1) << 2)
#define NVME_RESERVATION_MASK_PREEMPTED              (UINT32_C(1) << 3)

#define NVME_RESERVATION_PERSISTENCE_PTPL UINT32_C(1) /* Base 2.0, 5.27.1.27 */

/* Namespace Write Protection Config, 2:0: Base 2.0, 5.27.1.28. */
enum nvme_write_protection {
	NVME_WRITE_PROTECTION_NONE = 0,
	NVME_WRITE_PROTECTION_ON = 1,
	NVME_WRITE_PROTECTION_POWER_CYCLE = 2, /* until the next one */
	NVME_WRITE_PROTECTION_PERMANENT = 3,
};

#endif
