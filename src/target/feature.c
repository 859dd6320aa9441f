/*
 * The table of features, and the getter and setter of each.
 */
#include "target/feature.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "nvme/feature.h"
#include "nvme/log_page.h"
#include "target/controller.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target_private.h"

static struct controller *controller_of(const struct target_request *request)
{
	return request->queue->controller;
}

static uint32_t default_zero(const struct target_request *request)
{
	(void)request;
	return 0;
}

/* Arbitration, 01h: kept, there is none. */

static uint32_t get_arbitration(const struct target_request *request)
{
	return controller_of(request)->features.arbitration;
}

static uint32_t default_arbitration(const struct target_request *request)
{
	(void)request;
	return controller_features_default().arbitration;
}

static nvme_status set_arbitration(struct target_request *request, uint32_t value)
{
	controller_of(request)->features.arbitration = value & NVME_ARBITRATION_MASK;
	return NVME_STATUS_SUCCESS;
}

/* Power management, 02h: there is one state. */

static uint32_t get_power(const struct target_request *request)
{
	return controller_of(request)->features.power;
}

static nvme_status set_power(struct target_request *request, uint32_t value)
{
	if ((value & NVME_POWER_STATE_MASK) != 0)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	controller_of(request)->features.power = value & NVME_POWER_WORKLOAD_MASK;
	return NVME_STATUS_SUCCESS;
}

/* Temperature threshold, 04h: kept for the composite temperature, the only one there is. */

#define TEMPERATURE_ALL 0xfU /* TMPSEL of Set Features */

static uint32_t temperature_select(uint32_t value)
{
	return (value & NVME_TEMPERATURE_SELECT_MASK) >> NVME_TEMPERATURE_SELECT_SHIFT;
}

static uint32_t temperature_type(uint32_t value)
{
	return (value & NVME_TEMPERATURE_TYPE_MASK) >> NVME_TEMPERATURE_TYPE_SHIFT;
}

static nvme_status check_temperature(const struct target_request *request)
{
	uint32_t value = le32_get(request->base.command.cdw11);

	return temperature_select(value) == 0 && temperature_type(value) < 2
		? NVME_STATUS_SUCCESS
		: NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
}

static uint32_t get_temperature(const struct target_request *request)
{
	uint32_t type = temperature_type(le32_get(request->base.command.cdw11));

	return controller_of(request)->features.temperature[type];
}

static uint32_t default_temperature(const struct target_request *request)
{
	uint32_t type = temperature_type(le32_get(request->base.command.cdw11));

	return controller_features_default().temperature[type];
}

static nvme_status set_temperature(struct target_request *request, uint32_t value)
{
	uint32_t select = temperature_select(value), type = temperature_type(value);

	if ((select != 0 && select != TEMPERATURE_ALL) || type > 1)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	controller_of(request)->features.temperature[type] =
		(uint16_t)(value & NVME_TEMPERATURE_MASK);
	return NVME_STATUS_SUCCESS;
}

/* Error recovery, 05h: a namespace's. Nothing is retried, so that every limit is kept to. */

static uint32_t get_error_recovery(const struct target_request *request)
{
	const struct namespace *namespace = subsystem_namespace(controller_of(request)->subsystem,
		le32_get(request->base.command.nsid));

	return atomic_load_explicit(&namespace->error_recovery, memory_order_relaxed);
}

static nvme_status set_error_recovery(struct target_request *request, uint32_t value)
{
	struct subsystem *subsystem = controller_of(request)->subsystem;
	uint32_t nsid = le32_get(request->base.command.nsid);

	/* NVM 1.0, 4.1.3.2: DULBE needs NSFEAT.DAE. */
	if ((value & NVME_ERROR_RECOVERY_DULBE) != 0)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	for (uint32_t i = 0; i < subsystem->namespace_count; i++) {
		if (nsid == i + 1 || nsid == NVME_NSID_BROADCAST)
			atomic_store_explicit(&subsystem->namespaces[i].error_recovery,
				value & NVME_ERROR_RECOVERY_TLER_MASK, memory_order_relaxed);
	}
	return NVME_STATUS_SUCCESS;
}

/* Volatile write cache, 06h: off means that every write is written through. */

static uint32_t get_write_cache(const struct target_request *request)
{
	return atomic_load_explicit(&controller_of(request)->is_write_through, memory_order_relaxed)
		? 0
		: NVME_WRITE_CACHE_ENABLE;
}

static uint32_t default_write_cache(const struct target_request *request)
{
	(void)request;
	return NVME_WRITE_CACHE_ENABLE;
}

static nvme_status set_write_cache(struct target_request *request, uint32_t value)
{
	atomic_store_explicit(&controller_of(request)->is_write_through,
		(value & NVME_WRITE_CACHE_ENABLE) == 0, memory_order_relaxed);
	return NVME_STATUS_SUCCESS;
}

/* Number of queues, 07h: as many as asked for, up to the limit. */

static uint32_t get_queues(const struct target_request *request)
{
	return nvme_queues_of((uint16_t)controller_of(request)->queue_count);
}

static uint32_t default_queues(const struct target_request *request)
{
	return nvme_queues_of(request->queue->target->limits.io_queues_max);
}

static nvme_status set_queues(struct target_request *request, uint32_t value)
{
	struct controller *controller = controller_of(request);
	uint32_t count = controller->subsystem->target->limits.io_queues_max;

	if ((value & 0xffff) == NVME_QUEUES_INVALID || value >> 16 == NVME_QUEUES_INVALID)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	if (controller_has_io_queue(controller))
		return NVME_STATUS_COMMAND_SEQUENCE_ERROR | NVME_STATUS_DNR;
	if (count > nvme_queues_submission(value))
		count = nvme_queues_submission(value);
	if (count > nvme_queues_completion(value))
		count = nvme_queues_completion(value);
	controller->queue_count = count;
	request->base.result = nvme_queues_of((uint16_t)count);
	return NVME_STATUS_SUCCESS;
}

/* Write atomicity, 0Ah: kept; what is atomic is so in either case. */

static uint32_t get_atomicity(const struct target_request *request)
{
	return controller_of(request)->features.atomicity;
}

static nvme_status set_atomicity(struct target_request *request, uint32_t value)
{
	controller_of(request)->features.atomicity = value & NVME_WRITE_ATOMICITY_DISABLE_NORMAL;
	return NVME_STATUS_SUCCESS;
}

/* Asynchronous event configuration, 0Bh. */

static uint32_t get_events(const struct target_request *request)
{
	return controller_of(request)->features.events;
}

static nvme_status set_events(struct target_request *request, uint32_t value)
{
	struct controller *controller = controller_of(request);

	if ((value & ~(NVME_EVENT_CONFIGURATION_SMART_MASK | controller_notices(controller))) != 0)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	controller_set_events(controller, value);
	return NVME_STATUS_SUCCESS;
}

/* Timestamp, 0Eh: runs on from what the host has set, or from 0 at the last reset. */

static void get_timestamp(const struct target_request *request, void *to)
{
	const struct controller_features *features = &controller_of(request)->features;
	uint64_t passed_ns = loop_now_ns(request->queue->loop) - features->timestamp_at_ns;
	le64 now_ms = le64_of(features->timestamp_ms + passed_ns / CLOCK_MS_NS);
	struct nvme_timestamp *timestamp = to;

	memcpy(timestamp->milliseconds, &now_ms, sizeof(timestamp->milliseconds));
	timestamp->attributes = features->is_timestamp_set ? NVME_TIMESTAMP_SET : 0;
}

static nvme_status set_timestamp(struct target_request *request, uint32_t value)
{
	struct controller_features *features = &controller_of(request)->features;
	le64 now_ms = {0};

	(void)value;
	memcpy(&now_ms, request->base.data, sizeof(((struct nvme_timestamp *)0)->milliseconds));
	features->timestamp_ms = le64_get(now_ms);
	features->timestamp_at_ns = loop_now_ns(request->queue->loop);
	features->is_timestamp_set = true;
	return NVME_STATUS_SUCCESS;
}

/* Keep alive timer, 0Fh. */

static uint32_t get_keep_alive(const struct target_request *request)
{
	return controller_of(request)->kato_ms;
}

static nvme_status set_keep_alive(struct target_request *request, uint32_t value)
{
	controller_set_keep_alive(controller_of(request), value);
	return NVME_STATUS_SUCCESS;
}

/* Host behaviour support, 16h: kept; no status asks for a delay before a retry. */

static void get_behavior(const struct target_request *request, void *to)
{
	memcpy(to, &controller_of(request)->features.behavior, sizeof(struct nvme_host_behavior));
}

static nvme_status set_behavior(struct target_request *request, uint32_t value)
{
	struct nvme_host_behavior *kept = &controller_of(request)->features.behavior;
	struct nvme_host_behavior given;

	(void)value;
	memcpy(&given, request->base.data, sizeof(given));
	if (given.acre > 1 || given.etdas > 1 || given.lbafee > 1)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	*kept = (struct nvme_host_behavior){
		.acre = given.acre,
		.etdas = given.etdas,
		.lbafee = given.lbafee,
	};
	return NVME_STATUS_SUCCESS;
}

/* Host identifier, 81h: Connect has set it for good (Base 2.0, 5.27.1.25). */

static void get_host_id(const struct target_request *request, void *to)
{
	memcpy(to, controller_of(request)->host.id, NVME_HOST_ID_BYTES);
}

/* Base 2.0, 5.27.1.25: over fabrics only the 16-byte form exists. */
static nvme_status check_host_id(const struct target_request *request)
{
	return (le32_get(request->base.command.cdw11) & NVME_HOST_ID_EXHID) != 0
		? NVME_STATUS_SUCCESS
		: NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
}

static nvme_status refuse_host_id(struct target_request *request, uint32_t value)
{
	(void)request;
	(void)value;
	return NVME_STATUS_COMMAND_SEQUENCE_ERROR | NVME_STATUS_DNR;
}

struct feature {
	uint8_t fid;
	bool is_for_discovery;
	bool is_changeable;
	bool is_of_namespace;
	uint32_t data_bytes; /* 0: the value is in dword 0 */
	uint32_t (*get)(const struct target_request *request);
	uint32_t (*get_default)(const struct target_request *request);
	void (*get_data)(const struct target_request *request, void *to); /* zero before */
	nvme_status (*check_get)(const struct target_request *request);   /* NULL: no more */
	nvme_status (*set)(struct target_request *request, uint32_t value);
};

static const struct feature features[] = {
	{NVME_FEATURE_ARBITRATION, false, true, false, 0, get_arbitration, default_arbitration,
		NULL, NULL, set_arbitration},
	{NVME_FEATURE_POWER_MANAGEMENT, false, true, false, 0, get_power, default_zero, NULL, NULL,
		set_power},
	{NVME_FEATURE_TEMPERATURE_THRESHOLD, false, true, false, 0, get_temperature,
		default_temperature, NULL, check_temperature, set_temperature},
	{NVME_FEATURE_ERROR_RECOVERY, false, true, true, 0, get_error_recovery, default_zero, NULL,
		NULL, set_error_recovery},
	{NVME_FEATURE_VOLATILE_WRITE_CACHE, false, true, false, 0, get_write_cache,
		default_write_cache, NULL, NULL, set_write_cache},
	{NVME_FEATURE_QUEUES, false, true, false, 0, get_queues, default_queues, NULL, NULL,
		set_queues},
	{NVME_FEATURE_WRITE_ATOMICITY, false, true, false, 0, get_atomicity, default_zero, NULL,
		NULL, set_atomicity},
	{NVME_FEATURE_EVENT_CONFIGURATION, true, true, false, 0, get_events, default_zero, NULL,
		NULL, set_events},
	{NVME_FEATURE_TIMESTAMP, false, true, false, sizeof(struct nvme_timestamp), NULL, NULL,
		get_timestamp, NULL, set_timestamp},
	{NVME_FEATURE_KEEP_ALIVE, true, true, false, 0, get_keep_alive, default_zero, NULL, NULL,
		set_keep_alive},
	{NVME_FEATURE_HOST_BEHAVIOR, false, true, false, sizeof(struct nvme_host_behavior), NULL,
		NULL, get_behavior, NULL, set_behavior},
	{NVME_FEATURE_HOST_ID, false, false, false, NVME_HOST_ID_BYTES, NULL, NULL, get_host_id,
		check_host_id, refuse_host_id},
};

uint32_t feature_effects(uint8_t fid)
{
	for (size_t i = 0; i < ARRAY_LENGTH(features); i++) {
		if (features[i].fid == fid)
			return NVME_EFFECTS_SUPPORTED |
				(features[i].is_of_namespace ? NVME_EFFECTS_SCOPE_NAMESPACE
							     : NVME_EFFECTS_SCOPE_CONTROLLER);
	}
	return 0;
}

static const struct feature *find_feature(const struct target_request *request)
{
	uint8_t fid = nvme_command_fid(&request->base.command);
	bool is_discovery = request->queue->controller->subsystem->is_discovery;

	for (size_t i = 0; i < ARRAY_LENGTH(features); i++) {
		if (features[i].fid == fid && (features[i].is_for_discovery || !is_discovery))
			return &features[i];
	}
	log_write(request->queue->target->log, LOG_LEVEL_WARNING, "unsupported feature",
		"%s: unsupported feature %02xh", request->queue->name, fid);
	return NULL;
}

static bool nsid_is_of_one(const struct target_request *request)
{
	return subsystem_namespace(controller_of(request)->subsystem,
		       le32_get(request->base.command.nsid)) != NULL;
}

nvme_status feature_get_begin(struct target_request *request)
{
	uint8_t select = nvme_command_feature_select(&request->base.command);
	const struct feature *feature = find_feature(request);
	nvme_status status;

	if (feature == NULL || select > NVME_FEATURE_CAPABILITIES)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	if (select == NVME_FEATURE_CAPABILITIES)
		return target_request_expect(request, REQUEST_NO_DATA, 0);
	if (feature->is_of_namespace && !nsid_is_of_one(request))
		return NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | NVME_STATUS_DNR;
	if (feature->check_get != NULL) {
		status = feature->check_get(request);
		if (status != NVME_STATUS_SUCCESS)
			return status;
	}
	return target_request_expect(request, REQUEST_TO_HOST, feature->data_bytes);
}

/* Nothing is saved, so that the saved value is the default; that of data is zero, but for the host
 * identifier, which nothing can change. */
nvme_status feature_get_execute(struct target_request *request)
{
	const struct feature *feature = find_feature(request);
	uint8_t select = nvme_command_feature_select(&request->base.command);

	if (select == NVME_FEATURE_CAPABILITIES) {
		request->base.result = (feature->is_changeable ? NVME_FEATURE_CAN_CHANGE : 0) |
			(feature->is_of_namespace ? NVME_FEATURE_CAN_NAMESPACE : 0);
	} else if (feature->get_data != NULL) {
		memset(request->base.data, 0, feature->data_bytes);
		if (select == NVME_FEATURE_CURRENT || !feature->is_changeable)
			feature->get_data(request, request->base.data);
	} else {
		request->base.result = select == NVME_FEATURE_CURRENT
			? feature->get(request)
			: feature->get_default(request);
	}
	return NVME_STATUS_SUCCESS;
}

static nvme_status check_set_nsid(const struct target_request *request,
	const struct feature *feature)
{
	uint32_t nsid = le32_get(request->base.command.nsid);

	if (nsid == NVME_NSID_BROADCAST)
		return NVME_STATUS_SUCCESS;
	if (feature->is_of_namespace)
		return nsid_is_of_one(request)
			? NVME_STATUS_SUCCESS
			: NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | NVME_STATUS_DNR;
	return nsid == NVME_NSID_NONE
		? NVME_STATUS_SUCCESS
		: NVME_STATUS_FEATURE_NOT_NAMESPACE_SPECIFIC | NVME_STATUS_DNR;
}

nvme_status feature_set_begin(struct target_request *request)
{
	const struct nvme_command *command = &request->base.command;
	const struct feature *feature = find_feature(request);
	nvme_status status;

	if (feature == NULL)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	if (nvme_command_feature_is_saved(command))
		return NVME_STATUS_FEATURE_NOT_SAVEABLE | NVME_STATUS_DNR;
	status = check_set_nsid(request, feature);
	if (status != NVME_STATUS_SUCCESS)
		return status;
	if (!feature->is_changeable)
		return feature->set(request, le32_get(command->cdw11));
	return target_request_expect(request, REQUEST_FROM_HOST, feature->data_bytes);
}

nvme_status feature_set_execute(struct target_request *request)
{
	return find_feature(request)->set(request, le32_get(request->base.command.cdw11));
}
