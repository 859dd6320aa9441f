/*
 * The names of statuses, a table for each status code type. Names are the specification's own.
 */
#include "nvme/status.h"

#include "base/cleanup.h"

#include <stddef.h>

struct status_name {
	nvme_status status;
	const char *text;
};

static const struct status_name generic_names[] = {
	{NVME_STATUS_SUCCESS, "Successful Completion"},
	{NVME_STATUS_INVALID_OPCODE, "Invalid Command Opcode"},
	{NVME_STATUS_INVALID_FIELD, "Invalid Field in Command"},
	{NVME_STATUS_COMMAND_ID_CONFLICT, "Command ID Conflict"},
	{NVME_STATUS_DATA_TRANSFER_ERROR, "Data Transfer Error"},
	{NVME_STATUS_POWER_LOSS, "Commands Aborted due to Power Loss Notification"},
	{NVME_STATUS_INTERNAL_ERROR, "Internal Error"},
	{NVME_STATUS_ABORT_REQUESTED, "Command Abort Requested"},
	{NVME_STATUS_ABORTED_SQ_DELETION, "Command Aborted due to SQ Deletion"},
	{NVME_STATUS_ABORTED_FAILED_FUSED, "Command Aborted due to Failed Fused Command"},
	{NVME_STATUS_ABORTED_MISSING_FUSED, "Command Aborted due to Missing Fused Command"},
	{NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT, "Invalid Namespace or Format"},
	{NVME_STATUS_COMMAND_SEQUENCE_ERROR, "Command Sequence Error"},
	{NVME_STATUS_INVALID_SGL_SEGMENT, "Invalid SGL Segment Descriptor"},
	{NVME_STATUS_INVALID_SGL_COUNT, "Invalid Number of SGL Descriptors"},
	{NVME_STATUS_INVALID_DATA_SGL_LENGTH, "Data SGL Length Invalid"},
	{NVME_STATUS_INVALID_METADATA_SGL_LENGTH, "Metadata SGL Length Invalid"},
	{NVME_STATUS_INVALID_SGL_TYPE, "SGL Descriptor Type Invalid"},
	{NVME_STATUS_INVALID_CMB_USE, "Invalid Use of Controller Memory Buffer"},
	{NVME_STATUS_INVALID_PRP_OFFSET, "PRP Offset Invalid"},
	{NVME_STATUS_ATOMIC_WRITE_UNIT_EXCEEDED, "Atomic Write Unit Exceeded"},
	{NVME_STATUS_OPERATION_DENIED, "Operation Denied"},
	{NVME_STATUS_INVALID_SGL_OFFSET, "SGL Offset Invalid"},
	{NVME_STATUS_HOST_ID_INCONSISTENT, "Host Identifier Inconsistent Format"},
	{NVME_STATUS_KEEP_ALIVE_EXPIRED, "Keep Alive Timer Expired"},
	{NVME_STATUS_INVALID_KEEP_ALIVE, "Keep Alive Timeout Invalid"},
	{NVME_STATUS_ABORTED_PREEMPTED, "Command Aborted due to Preempt and Abort"},
	{NVME_STATUS_SANITIZE_FAILED, "Sanitize Failed"},
	{NVME_STATUS_SANITIZE_IN_PROGRESS, "Sanitize In Progress"},
	{NVME_STATUS_INVALID_SGL_GRANULARITY, "SGL Data Block Granularity Invalid"},
	{NVME_STATUS_NOT_SUPPORTED_IN_CMB, "Command Not Supported for Queue in CMB"},
	{NVME_STATUS_NAMESPACE_WRITE_PROTECTED, "Namespace is Write Protected"},
	{NVME_STATUS_INTERRUPTED, "Command Interrupted"},
	{NVME_STATUS_TRANSIENT_TRANSPORT_ERROR, "Transient Transport Error"},
	{NVME_STATUS_PROHIBITED_BY_LOCKDOWN, "Command Prohibited by Command and Feature Lockdown"},
	{NVME_STATUS_ADMIN_MEDIA_NOT_READY, "Admin Command Media Not Ready"},
	{NVME_STATUS_FDP_DISABLED, "FDP Disabled"},
	{NVME_STATUS_INVALID_PLACEMENT_HANDLES, "Invalid Placement Handle List"},
	{NVME_STATUS_LBA_OUT_OF_RANGE, "LBA Out of Range"},
	{NVME_STATUS_CAPACITY_EXCEEDED, "Capacity Exceeded"},
	{NVME_STATUS_NAMESPACE_NOT_READY, "Namespace Not Ready"},
	{NVME_STATUS_RESERVATION_CONFLICT, "Reservation Conflict"},
	{NVME_STATUS_FORMAT_IN_PROGRESS, "Format In Progress"},
};

static const struct status_name specific_names[] = {
	{NVME_STATUS_INVALID_COMPLETION_QUEUE, "Completion Queue Invalid"},
	{NVME_STATUS_INVALID_QUEUE_ID, "Invalid Queue Identifier"},
	{NVME_STATUS_INVALID_QUEUE_SIZE, "Invalid Queue Size"},
	{NVME_STATUS_ABORT_LIMIT_EXCEEDED, "Abort Command Limit Exceeded"},
	{NVME_STATUS_AER_LIMIT_EXCEEDED, "Asynchronous Event Request Limit Exceeded"},
	{NVME_STATUS_INVALID_FIRMWARE_SLOT, "Invalid Firmware Slot"},
	{NVME_STATUS_INVALID_FIRMWARE_IMAGE, "Invalid Firmware Image"},
	{NVME_STATUS_INVALID_INTERRUPT_VECTOR, "Invalid Interrupt Vector"},
	{NVME_STATUS_INVALID_LOG_PAGE, "Invalid Log Page"},
	{NVME_STATUS_INVALID_FORMAT, "Invalid Format"},
	{NVME_STATUS_FEATURE_NOT_SAVEABLE, "Feature Identifier Not Saveable"},
	{NVME_STATUS_FEATURE_NOT_CHANGEABLE, "Feature Not Changeable"},
	{NVME_STATUS_FEATURE_NOT_NAMESPACE_SPECIFIC, "Feature Not Namespace Specific"},
	{NVME_STATUS_OVERLAPPING_RANGE, "Overlapping Range"},
	{NVME_STATUS_NAMESPACE_ALREADY_ATTACHED, "Namespace Already Attached"},
	{NVME_STATUS_NAMESPACE_PRIVATE, "Namespace Is Private"},
	{NVME_STATUS_NAMESPACE_NOT_ATTACHED, "Namespace Not Attached"},
	{NVME_STATUS_CONTROLLER_LIST_INVALID, "Controller List Invalid"},
	{NVME_STATUS_INVALID_CONTROLLER_ID, "Invalid Controller Identifier"},
	{NVME_STATUS_IO_COMMAND_SET_NOT_SUPPORTED, "I/O Command Set Not Supported"},
	{NVME_STATUS_IO_COMMAND_SET_NOT_ENABLED, "I/O Command Set Not Enabled"},
	{NVME_STATUS_IO_COMMAND_SET_COMBINATION_REJECTED, "I/O Command Set Combination Rejected"},
	{NVME_STATUS_INVALID_IO_COMMAND_SET, "Invalid I/O Command Set"},
	{NVME_STATUS_CONNECT_INCOMPATIBLE_FORMAT,
		"Connect Incompatible Format or Conflicting Attributes"},
	{NVME_STATUS_CONNECT_CONTROLLER_BUSY,
		"Connect Controller Busy or Invalid Protection Information"},
	{NVME_STATUS_CONNECT_INVALID_PARAMETERS,
		"Connect Invalid Parameters or Attempted Write to Read Only Range"},
	{NVME_STATUS_CONNECT_RESTART_DISCOVERY,
		"Connect Restart Discovery or Command Size Limit Exceeded"},
	{NVME_STATUS_CONNECT_INVALID_HOST, "Connect Invalid Host"},
	{NVME_STATUS_INVALID_QUEUE_TYPE, "Invalid Queue Type"},
	{NVME_STATUS_DISCOVER_RESTART, "Discover Restart"},
	{NVME_STATUS_AUTHENTICATION_REQUIRED, "Authentication Required"},
};

static const struct status_name media_names[] = {
	{NVME_STATUS_WRITE_FAULT, "Write Fault"},
	{NVME_STATUS_UNRECOVERED_READ_ERROR, "Unrecovered Read Error"},
	{NVME_STATUS_GUARD_CHECK_ERROR, "End-to-end Guard Check Error"},
	{NVME_STATUS_APPLICATION_TAG_CHECK_ERROR, "End-to-end Application Tag Check Error"},
	{NVME_STATUS_REFERENCE_TAG_CHECK_ERROR, "End-to-end Reference Tag Check Error"},
	{NVME_STATUS_COMPARE_FAILURE, "Compare Failure"},
	{NVME_STATUS_ACCESS_DENIED, "Access Denied"},
	{NVME_STATUS_DEALLOCATED_OR_UNWRITTEN, "Deallocated or Unwritten Logical Block"},
};

static const struct status_name path_names[] = {
	{NVME_STATUS_INTERNAL_PATH_ERROR, "Internal Path Error"},
	{NVME_STATUS_ANA_PERSISTENT_LOSS, "Asymmetric Access Persistent Loss"},
	{NVME_STATUS_ANA_INACCESSIBLE, "Asymmetric Access Inaccessible"},
	{NVME_STATUS_ANA_TRANSITION, "Asymmetric Access Transition"},
	{NVME_STATUS_CONTROLLER_PATHING_ERROR, "Controller Pathing Error"},
	{NVME_STATUS_HOST_PATHING_ERROR, "Host Pathing Error"},
	{NVME_STATUS_ABORTED_BY_HOST, "Command Aborted By Host"},
};

static const struct {
	const struct status_name *names;
	size_t count;
} types[8] = {
	[NVME_STATUS_TYPE_GENERIC] = {generic_names, ARRAY_LENGTH(generic_names)},
	[NVME_STATUS_TYPE_SPECIFIC] = {specific_names, ARRAY_LENGTH(specific_names)},
	[NVME_STATUS_TYPE_MEDIA] = {media_names, ARRAY_LENGTH(media_names)},
	[NVME_STATUS_TYPE_PATH] = {path_names, ARRAY_LENGTH(path_names)},
};

const char *nvme_status_text(nvme_status status)
{
	uint8_t type = nvme_status_sct(status);

	for (size_t i = 0; i < types[type].count; i++) {
		if (types[type].names[i].status == nvme_status_code(status))
			return types[type].names[i].text;
	}
	if (type == NVME_STATUS_TYPE_VENDOR || nvme_status_sc(status) >= NVME_STATUS_VENDOR_FROM)
		return "Vendor Specific";
	return "Reserved";
}
