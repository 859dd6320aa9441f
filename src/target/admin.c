/*
 * The table of admin commands, and those that need no file of their own.
 */
#include "target/admin.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "nvme/io_command.h"
#include "nvme/log_page.h"
#include "target/abort.h"
#include "target/controller.h"
#include "target/feature.h"
#include "target/identify.h"
#include "target/log_page.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target_private.h"

static nvme_status begin_without_data(struct target_request *request)
{
	return target_request_expect(request, REQUEST_NO_DATA, 0);
}

static nvme_status async_event_execute(struct target_request *request)
{
	return async_events_hold(&request->queue->controller->events, request);
}

/* Base 2.0, 5.18: restarts the time, and so it does at once instead of at the next look. */
static nvme_status keep_alive_execute(struct target_request *request)
{
	struct controller *controller = request->queue->controller;

	controller_set_keep_alive(controller, controller->kato_ms);
	return NVME_STATUS_SUCCESS;
}

struct admin_command {
	target_request_step *begin;
	target_request_step *execute;
	uint32_t effects;
	uint16_t oacs;
	bool is_for_discovery; /* a discovery controller has it too: Base 2.0, 3.1.2.3.2 */
};

static const struct admin_command admin_commands[256] = {
	[NVME_ADMIN_GET_LOG_PAGE] = {log_page_begin, log_page_execute, NVME_EFFECTS_SUPPORTED, 0,
		true},
	[NVME_ADMIN_IDENTIFY] = {identify_begin, identify_execute, NVME_EFFECTS_SUPPORTED, 0, true},
	[NVME_ADMIN_ABORT] = {abort_begin, abort_execute, NVME_EFFECTS_SUPPORTED, 0, false},
	[NVME_ADMIN_SET_FEATURES] = {feature_set_begin, feature_set_execute, NVME_EFFECTS_SUPPORTED,
		0, true},
	[NVME_ADMIN_GET_FEATURES] = {feature_get_begin, feature_get_execute, NVME_EFFECTS_SUPPORTED,
		0, true},
	[NVME_ADMIN_ASYNC_EVENT] = {begin_without_data, async_event_execute, NVME_EFFECTS_SUPPORTED,
		0, true},
	[NVME_ADMIN_KEEP_ALIVE] = {begin_without_data, keep_alive_execute, NVME_EFFECTS_SUPPORTED,
		0, true},
};

nvme_status admin_begin(struct target_request *request)
{
	struct target_queue *queue = request->queue;
	uint8_t opcode = request->base.command.opcode;
	const struct admin_command *row = &admin_commands[opcode];

	if (row->begin == NULL ||
		(queue->controller->subsystem->is_discovery && !row->is_for_discovery)) {
		log_write(queue->target->log, LOG_LEVEL_WARNING, "unsupported admin command",
			"%s: unsupported admin command %02xh", queue->name, opcode);
		return NVME_STATUS_INVALID_OPCODE | NVME_STATUS_DNR;
	}
	if (!target_request_has_legal_flags(request))
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	/* Base 2.0, 3.5.1: only fabrics commands before the controller is ready. */
	if (!controller_is_ready(queue->controller))
		return NVME_STATUS_COMMAND_SEQUENCE_ERROR | NVME_STATUS_DNR;
	request->execute = row->execute;
	return row->begin(request);
}

uint32_t admin_effects(uint8_t opcode)
{
	return admin_commands[opcode].effects;
}

uint16_t admin_oacs(void)
{
	uint16_t oacs = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(admin_commands); i++)
		oacs |= admin_commands[i].oacs;
	return oacs;
}
