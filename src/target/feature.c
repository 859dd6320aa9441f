/*
 * The table of features, and the getter and setter of each.
 */
#include "target/feature.h"

#include <string.h>

#include "base/log.h"
#include "nvme/feature.h"
#include "target/controller.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target_private.h"

/* Volatile write cache, 06h: off means that every write is written through. */

static uint32_t get_write_cache(const struct controller *controller)
{
	return atomic_load_explicit(&controller->is_write_through, memory_order_relaxed)
		? 0
		: NVME_WRITE_CACHE_ENABLE;
}

static uint32_t default_write_cache(const struct controller *controller)
{
	(void)controller;
	return NVME_WRITE_CACHE_ENABLE;
}

static nvme_status set_write_cache(struct target_request *request, uint32_t value)
{
	atomic_store_explicit(&request->queue->controller->is_write_through,
		(value & NVME_WRITE_CACHE_ENABLE) == 0, memory_order_relaxed);
	return NVME_STATUS_SUCCESS;
}

/* Number of queues, 07h: as many as asked for, up to the limit. */

static uint32_t get_queues(const struct controller *controller)
{
	return nvme_queues_of((uint16_t)controller->queue_count);
}

static uint32_t default_queues(const struct controller *controller)
{
	return nvme_queues_of(controller->subsystem->target->limits.io_queues_max);
}

static nvme_status set_queues(struct target_request *request, uint32_t value)
{
	struct controller *controller = request->queue->controller;
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

/* Asynchronous event configuration, 0Bh. */

static uint32_t get_events(const struct controller *controller)
{
	return controller->event_configuration;
}

static uint32_t default_zero(const struct controller *controller)
{
	(void)controller;
	return 0;
}

static nvme_status set_events(struct target_request *request, uint32_t value)
{
	struct controller *controller = request->queue->controller;

	if ((value & ~(NVME_EVENT_CONFIGURATION_SMART_MASK | controller_notices(controller))) != 0)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	controller_set_events(controller, value);
	return NVME_STATUS_SUCCESS;
}

/* Keep alive timer, 0Fh. */

static uint32_t get_keep_alive(const struct controller *controller)
{
	return controller->kato_ms;
}

static nvme_status set_keep_alive(struct target_request *request, uint32_t value)
{
	controller_set_keep_alive(request->queue->controller, value);
	return NVME_STATUS_SUCCESS;
}

/* Host identifier, 81h: Connect has set it for good (Base 2.0, 5.27.1.25). */

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
	uint32_t data_bytes; /* of Get Features, 0: the value is in dword 0 */
	uint32_t (*get)(const struct controller *controller);
	uint32_t (*get_default)(const struct controller *controller);
	nvme_status (*set)(struct target_request *request, uint32_t value);
};

static const struct feature features[] = {
	{NVME_FEATURE_VOLATILE_WRITE_CACHE, false, true, 0, get_write_cache, default_write_cache,
		set_write_cache},
	{NVME_FEATURE_QUEUES, false, true, 0, get_queues, default_queues, set_queues},
	{NVME_FEATURE_EVENT_CONFIGURATION, true, true, 0, get_events, default_zero, set_events},
	{NVME_FEATURE_KEEP_ALIVE, true, true, 0, get_keep_alive, default_zero, set_keep_alive},
	{NVME_FEATURE_HOST_ID, false, false, NVME_HOST_ID_BYTES, default_zero, default_zero,
		refuse_host_id},
};

static const struct feature *find_feature(const struct target_request *request)
{
	uint8_t fid = nvme_command_fid(&request->base.command);
	bool is_discovery = request->queue->controller->subsystem->is_discovery;

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (features[i].fid == fid && (features[i].is_for_discovery || !is_discovery))
			return &features[i];
	}
	log_write(request->queue->target->log, LOG_LEVEL_WARNING, "unsupported feature",
		"%s: unsupported feature %02xh", request->queue->name, fid);
	return NULL;
}

/* @return what Get Features moves: data is moved only for a value, not for capabilities. */
static uint32_t get_data_bytes(const struct target_request *request, const struct feature *feature)
{
	return nvme_command_feature_select(&request->base.command) == NVME_FEATURE_CAPABILITIES
		? 0
		: feature->data_bytes;
}

nvme_status feature_get_begin(struct target_request *request)
{
	const struct nvme_command *command = &request->base.command;
	const struct feature *feature = find_feature(request);

	if (feature == NULL || nvme_command_feature_select(command) > NVME_FEATURE_CAPABILITIES)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	/* Base 2.0, 5.27.1.25: over fabrics only the 16-byte form exists. */
	if (feature->fid == NVME_FEATURE_HOST_ID && get_data_bytes(request, feature) != 0 &&
		(le32_get(command->cdw11) & NVME_HOST_ID_EXHID) == 0)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	return target_request_expect(request, REQUEST_TO_HOST, get_data_bytes(request, feature));
}

nvme_status feature_get_execute(struct target_request *request)
{
	const struct controller *controller = request->queue->controller;
	const struct feature *feature = find_feature(request);
	uint8_t select = nvme_command_feature_select(&request->base.command);

	if (select == NVME_FEATURE_CAPABILITIES)
		request->base.result = feature->is_changeable ? NVME_FEATURE_CAN_CHANGE : 0;
	else if (feature->fid == NVME_FEATURE_HOST_ID)
		memcpy(request->base.data, controller->host.id, NVME_HOST_ID_BYTES);
	else if (select == NVME_FEATURE_CURRENT)
		request->base.result = feature->get(controller);
	else /* nothing is saved, so that the saved value is the default */
		request->base.result = feature->get_default(controller);
	return NVME_STATUS_SUCCESS;
}

nvme_status feature_set_begin(struct target_request *request)
{
	const struct nvme_command *command = &request->base.command;
	const struct feature *feature = find_feature(request);
	uint32_t nsid = le32_get(command->nsid);

	if (feature == NULL)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	if (nvme_command_feature_is_saved(command))
		return NVME_STATUS_FEATURE_NOT_SAVEABLE | NVME_STATUS_DNR;
	if (nsid != NVME_NSID_NONE && nsid != NVME_NSID_BROADCAST)
		return NVME_STATUS_FEATURE_NOT_NAMESPACE_SPECIFIC | NVME_STATUS_DNR;
	if (!feature->is_changeable)
		return feature->set(request, le32_get(command->cdw11));
	return target_request_expect(request, REQUEST_NO_DATA, 0);
}

nvme_status feature_set_execute(struct target_request *request)
{
	return find_feature(request)->set(request, le32_get(request->base.command.cdw11));
}
