/*
 * The table of fabrics commands, and Disconnect.
 */
#include "target/fabrics.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "target/property.h"
#include "target/queue_private.h"
#include "target/target_private.h"

static nvme_status refuse_connect(struct target_request *request)
{
	(void)request;
	return NVME_STATUS_COMMAND_SEQUENCE_ERROR | NVME_STATUS_DNR;
}

/* Base 2.0, 6.4: an I/O queue ends when the answer has gone. */
static nvme_status disconnect_begin(struct target_request *request)
{
	struct nvme_disconnect_command command = nvme_command_as_disconnect(&request->base.command);

	if (!request->queue->is_io)
		return NVME_STATUS_INVALID_QUEUE_TYPE | NVME_STATUS_DNR;
	if (le16_get(command.recfmt) != 0)
		return NVME_STATUS_CONNECT_INCOMPATIBLE_FORMAT | NVME_STATUS_DNR;
	return target_request_expect(request, REQUEST_NO_DATA, 0);
}

static nvme_status disconnect_execute(struct target_request *request)
{
	struct target_queue *queue = request->queue;
	bool is_live = queue->state == TARGET_QUEUE_LIVE;

	target_request_finish(request, NVME_STATUS_SUCCESS);
	if (is_live)
		queue->handler->end(queue->context, "the host disconnects");
	return TARGET_LATER;
}

struct fabrics_command {
	target_request_step *begin;
	target_request_step *execute;
	bool is_for_io;
	bool is_for_admin;
};

static const struct fabrics_command fabrics_commands[] = {
	[NVME_FABRICS_PROPERTY_SET] = {property_set_begin, property_set_execute, false, true},
	[NVME_FABRICS_CONNECT] = {refuse_connect, NULL, true, true},
	[NVME_FABRICS_PROPERTY_GET] = {property_get_begin, property_get_execute, false, true},
	[NVME_FABRICS_DISCONNECT] = {disconnect_begin, disconnect_execute, true, true},
};

nvme_status fabrics_begin(struct target_request *request)
{
	struct target_queue *queue = request->queue;
	uint8_t type = nvme_command_fctype(&request->base.command);
	const struct fabrics_command *row =
		type < ARRAY_LENGTH(fabrics_commands) ? &fabrics_commands[type] : NULL;

	if (row == NULL || !(queue->is_io ? row->is_for_io : row->is_for_admin)) {
		log_write(queue->target->log, LOG_LEVEL_WARNING, "unsupported fabrics command",
			"%s: unsupported fabrics command %02xh", queue->name, type);
		return NVME_STATUS_INVALID_OPCODE | NVME_STATUS_DNR;
	}
	if (!target_request_has_legal_flags(request))
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	request->execute = row->execute;
	return row->begin(request);
}
