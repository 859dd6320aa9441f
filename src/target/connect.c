/*
 * The order of the checks: the format; the size of the data; SUBNQN; HOSTNQN, HOSTID; whether a
 * discovery controller is asked for an I/O queue; whether the host is allowed; CNTLID; whether the
 * controller is this host's; SQSIZE; QID. The controller's loop checks the rest: controller_attach().
 */
#include "target/connect.h"

#include <string.h>

#include "base/log.h"
#include "nvme/completion.h"
#include "target/controller.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target_private.h"

/* What Connect says, taken apart. */
struct connect {
	struct nvme_connect_command command;
	struct nvme_connect_data data;
	char subnqn[NVME_NQN_TEXT_MAX];
	struct controller_host host;
	struct subsystem *subsystem;
};

#define IN_DATA(field) nvme_connect_result_invalid(true, offsetof(struct nvme_connect_data, field))
#define IN_COMMAND(field) \
	nvme_connect_result_invalid(false, offsetof(struct nvme_connect_command, field))

static nvme_status invalid(struct target_request *request, uint32_t where)
{
	request->base.result = where;
	return NVME_STATUS_CONNECT_INVALID_PARAMETERS | NVME_STATUS_DNR;
}

static const char *refusal_text(const struct target_queue *queue, nvme_status status)
{
	return queue->refusal != NULL ? queue->refusal : nvme_status_text(status);
}

/* One line for each refusal: who, what, why. */
static nvme_status refused(const struct target_request *request, const struct connect *connect,
	nvme_status status)
{
	log_write(request->queue->target->log, LOG_LEVEL_WARNING, "connect refused",
		"%s: refused %s as queue %u of %s: %s (%08xh)", request->queue->name,
		connect->host.nqn[0] != '\0' ? connect->host.nqn : "a host without NQN",
		le16_get(connect->command.qid),
		connect->subnqn[0] != '\0' ? connect->subnqn : "a subsystem without NQN",
		refusal_text(request->queue, status), (unsigned)request->base.result);
	return status;
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

/* Who wants what. */
static nvme_status check_names(struct target_request *request, struct connect *connect)
{
	const struct nvme_connect_data *data = &connect->data;

	if (nvme_nqn_from_field(data->hostnqn, connect->host.nqn) != 0)
		connect->host.nqn[0] = '\0';
	if (nvme_nqn_from_field(data->subnqn, connect->subnqn) != 0)
		return invalid(request, IN_DATA(subnqn));
	connect->subsystem = target_find_subsystem(request->queue->target, connect->subnqn);
	if (connect->subsystem == NULL)
		return invalid(request, IN_DATA(subnqn));
	if (connect->host.nqn[0] == '\0')
		return invalid(request, IN_DATA(hostnqn));
	if (is_zero(data->hostid, sizeof(data->hostid)))
		return invalid(request, IN_DATA(hostid));
	memcpy(connect->host.id, data->hostid, sizeof(data->hostid));
	if (connect->subsystem->is_discovery && le16_get(connect->command.qid) != NVME_QID_ADMIN)
		return NVME_STATUS_INVALID_QUEUE_TYPE | NVME_STATUS_DNR;
	if (!host_list_allows(&connect->subsystem->hosts, connect->host.nqn)) {
		request->base.result = IN_DATA(hostnqn);
		return NVME_STATUS_CONNECT_INVALID_HOST | NVME_STATUS_DNR;
	}
	return NVME_STATUS_SUCCESS;
}

static bool entries_are_legal(const struct connect *connect, uint16_t entries_max)
{
	uint16_t sqsize = le16_get(connect->command.sqsize);

	return sqsize >= NVME_SQSIZE_MIN && sqsize < entries_max;
}

/* Both kinds of queue. */
static void take_command(struct target_queue *queue, const struct connect *connect)
{
	queue->qid = le16_get(connect->command.qid);
	queue->is_io = queue->qid != NVME_QID_ADMIN;
	queue->entries = (uint16_t)(le16_get(connect->command.sqsize) + 1);
	/* Fabrics 1.1, 3.3: a wish that is not granted is no error; SQHD tells. */
	queue->is_flow_control_off = (connect->command.cattr & NVME_CATTR_DISABLE_SQFC) != 0 &&
		!queue->target->limits.is_flow_control_kept;
}

static nvme_status connect_admin(struct target_request *request, struct connect *connect)
{
	struct target_queue *queue = request->queue;
	struct controller *controller;
	nvme_status status;

	if (le16_get(connect->data.cntlid) != NVME_CNTLID_DYNAMIC)
		return invalid(request, IN_DATA(cntlid));
	if (!entries_are_legal(connect, queue->target->limits.admin_entries_max))
		return invalid(request, IN_COMMAND(sqsize));
	take_command(queue, connect);
	status = controller_new(connect->subsystem, &connect->host, queue,
		le32_get(connect->command.kato));
	if (status != NVME_STATUS_SUCCESS)
		return status;
	controller = queue->controller;
	status = target_queue_go_live(queue);
	if (status != NVME_STATUS_SUCCESS) {
		controller_end(controller, "no memory for its admin queue");
		return status;
	}
	log_write(queue->target->log, LOG_LEVEL_INFO, "controller made",
		"%s: controller made, %u entries, keep alive %u ms", queue->name, queue->entries,
		(unsigned)controller->kato_ms);
	request->base.result = controller->cntlid;
	return NVME_STATUS_SUCCESS;
}

/* I/O queues */

/* A queue whose Connect fails can try again, unless its controller has it already. */
static void connect_finish(struct target_request *request, nvme_status status)
{
	struct target_queue *queue = request->queue;

	target_request_finish(request, status);
	if (status != NVME_STATUS_SUCCESS && queue->is_attached)
		queue->handler->end(queue->context, "Connect failed");
}

/* On the queue's loop again. */
static void deliver_answer(struct loop_message *message)
{
	struct target_queue *queue = container_of(message, struct target_queue, message);
	struct target_request *request = queue->connect;
	nvme_status status = queue->connect_status;

	queue->connect = NULL;
	request->base.result = queue->connect_result;
	if (status != NVME_STATUS_SUCCESS) {
		log_write(queue->target->log, LOG_LEVEL_WARNING, "connect refused",
			"%s: refused %s as queue %u of controller %u of %s: %s (%08xh)",
			queue->name, queue->controller->host.nqn, queue->qid,
			queue->controller->cntlid, queue->controller->subsystem->nqn,
			refusal_text(queue, status), (unsigned)request->base.result);
		controller_unref(queue->controller);
		queue->controller = NULL;
		if (queue->state == TARGET_QUEUE_CONNECTING)
			target_queue_set_state(queue, TARGET_QUEUE_FRESH);
		target_request_finish(request, status);
		return;
	}
	if (queue->state == TARGET_QUEUE_ENDED) {
		target_request_finish(request, NVME_STATUS_ABORTED_SQ_DELETION);
		return;
	}
	status = target_queue_go_live(queue);
	request->base.result = queue->controller->cntlid;
	connect_finish(request, status);
}

/* On the controller's loop. */
static void deliver_question(struct loop_message *message)
{
	struct target_queue *queue = container_of(message, struct target_queue, message);

	queue->connect_result = 0;
	queue->connect_status = controller_attach(queue->controller, queue, &queue->connect_result);
	queue->message.deliver = deliver_answer;
	loop_post(queue->loop, &queue->message);
}

static nvme_status connect_io(struct target_request *request, struct connect *connect)
{
	struct target_queue *queue = request->queue;
	struct controller *controller =
		subsystem_find_controller(connect->subsystem, le16_get(connect->data.cntlid));
	uint32_t where = 0;
	bool is_wrong = true;

	if (controller == NULL)
		where = IN_DATA(cntlid);
	else if (memcmp(controller->host.id, connect->host.id, sizeof(connect->host.id)) != 0)
		where = IN_DATA(hostid);
	else if (strcmp(controller->host.nqn, connect->host.nqn) != 0)
		where = IN_DATA(hostnqn);
	else if (!entries_are_legal(connect, queue->target->limits.io_entries_max))
		where = IN_COMMAND(sqsize);
	else if (le16_get(connect->command.qid) > queue->target->limits.io_queues_max)
		where = IN_COMMAND(qid);
	else
		is_wrong = false;
	if (is_wrong) {
		controller_unref(controller);
		return invalid(request, where);
	}
	take_command(queue, connect);
	queue->controller = controller;
	queue->connect = request;
	target_queue_set_state(queue, TARGET_QUEUE_CONNECTING);
	queue->message.deliver = deliver_question;
	loop_post(controller->loop, &queue->message);
	return TARGET_LATER;
}

static nvme_status connect_execute(struct target_request *request)
{
	struct connect connect = {.command = nvme_command_as_connect(&request->base.command)};
	nvme_status status;

	if (request->queue->state != TARGET_QUEUE_FRESH)
		return NVME_STATUS_COMMAND_SEQUENCE_ERROR | NVME_STATUS_DNR;
	memcpy(&connect.data, request->base.data, sizeof(connect.data));
	request->queue->refusal = NULL;
	status = check_names(request, &connect);
	if (status == NVME_STATUS_SUCCESS)
		status = le16_get(connect.command.qid) == NVME_QID_ADMIN
			? connect_admin(request, &connect)
			: connect_io(request, &connect);
	if (status == TARGET_LATER || status == NVME_STATUS_SUCCESS)
		return status;
	connect_finish(request, refused(request, &connect, status));
	return TARGET_LATER;
}

nvme_status connect_begin(struct target_request *request)
{
	struct nvme_connect_command command = nvme_command_as_connect(&request->base.command);
	nvme_status status;

	request->execute = connect_execute;
	if (!target_request_has_legal_flags(request))
		status = NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	else if (le16_get(command.recfmt) != 0)
		status = NVME_STATUS_CONNECT_INCOMPATIBLE_FORMAT | NVME_STATUS_DNR;
	else
		status = target_request_expect(request, REQUEST_FROM_HOST,
			sizeof(struct nvme_connect_data));
	if (status != NVME_STATUS_SUCCESS)
		log_write(request->queue->target->log, LOG_LEVEL_WARNING, "connect refused",
			"%s: refused Connect: %s", request->queue->name, nvme_status_text(status));
	return status;
}
