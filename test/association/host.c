#include "test/association/host.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"
#include "nvme/property.h"
#include "test/association/world.h"

static void open_queue(struct host_queue *queue);

static void start_later(struct host *host)
{
	if (!host->timer.is_armed)
		timer_arm_after(&host->timer, world_draw(host->world, 1, 50));
}

/* A queue's transport ends; its operations come back meanwhile. */
static void close_queue(struct host_queue *queue)
{
	struct tcp_host_queue *transport = queue->transport;

	queue->transport = NULL;
	queue->is_connected = false;
	tcp_host_queue_free(transport);
}

void host_break_off(struct host *host)
{
	host->state = HOST_OFF;
	timer_disarm(&host->poll_timer);
	for (unsigned i = 0; i < HOST_QUEUES_MAX; i++)
		close_queue(&host->queues[i]);
	if (host->world->operations_left > 0)
		start_later(host);
}

void host_drop_queue(struct host_queue *queue)
{
	close_queue(queue);
	start_later(queue->host);
}

/* Fabrics commands */

static void refused(struct operation *operation, const char *what, nvme_status status)
{
	struct host_queue *queue = operation->queue;

	if (queue->qid > 0) {
		/* A queue of that number may still be going. */
		if (queue->host->state == HOST_RUNNING)
			host_drop_queue(queue);
		return;
	}
	if (nvme_status_code(status) != NVME_STATUS_ABORTED_SQ_DELETION &&
		!queue->host->world->is_shut_down)
		world_fail(queue->host->world, "%s on queue %u ended with %s", what, queue->qid,
			nvme_status_text(status));
	host_break_off(queue->host);
}

static void set_property(struct host *host, uint32_t cc,
	void (*then)(struct operation *operation, nvme_status status))
{
	struct operation *operation = operation_take(&host->queues[0], NVME_ADMIN_FABRICS);
	struct nvme_property_command command = {
		.opcode = NVME_ADMIN_FABRICS,
		.fctype = NVME_FABRICS_PROPERTY_SET,
		.ofst = le32_of(NVME_PROPERTY_CC),
		.value = le64_of(cc),
	};

	assert(operation != NULL);
	operation->command.command = nvme_command_of_fabrics(&command);
	operation->then = then;
	(void)operation_submit(operation);
}

static void get_status(struct host *host);

static void connect_missing(struct host *host)
{
	for (uint16_t i = 1; i < host->queue_count; i++)
		if (host->queues[i].transport == NULL)
			open_queue(&host->queues[i]);
}

static void enabled(struct operation *operation, nvme_status status)
{
	if (status != NVME_STATUS_SUCCESS)
		refused(operation, "Property Set", status);
	else
		get_status(operation->queue->host);
}

static void got_status(struct operation *operation, nvme_status status)
{
	struct host *host = operation->queue->host;
	uint64_t csts = nvme_completion_result(&operation->command.completion);
	bool is_ready = (csts & NVME_CSTS_RDY) != 0;

	if (status != NVME_STATUS_SUCCESS) {
		refused(operation, "Property Get", status);
	} else if (host->state == HOST_STARTING && is_ready) {
		host->state = HOST_RUNNING;
		connect_missing(host);
		host_queue_work(&host->queues[0]);
	} else if (host->state == HOST_RESETTING && !is_ready) {
		for (unsigned i = 1; i < HOST_QUEUES_MAX; i++)
			close_queue(&host->queues[i]);
		host->state = HOST_STARTING;
		set_property(host, nvme_cc_of_enabled(NVME_CC_CSS_NVM), enabled);
	} else if (host->state == HOST_STARTING || host->state == HOST_RESETTING) {
		timer_arm_after(&host->poll_timer, 1);
	}
}

static void get_status(struct host *host)
{
	struct operation *operation = operation_take(&host->queues[0], NVME_ADMIN_FABRICS);
	struct nvme_property_command command = {
		.opcode = NVME_ADMIN_FABRICS,
		.fctype = NVME_FABRICS_PROPERTY_GET,
		.ofst = le32_of(NVME_PROPERTY_CSTS),
	};

	assert(operation != NULL);
	operation->command.command = nvme_command_of_fabrics(&command);
	operation->then = got_status;
	(void)operation_submit(operation);
}

static void poll_timer_fired(struct timer *timer)
{
	get_status(container_of(timer, struct host, poll_timer));
}

void host_reset_controller(struct host *host)
{
	host->state = HOST_RESETTING;
	set_property(host, 0, enabled);
}

static void connected(struct operation *operation, nvme_status status)
{
	struct host_queue *queue = operation->queue;
	struct host *host = queue->host;

	if (status != NVME_STATUS_SUCCESS) {
		refused(operation, "Connect", status);
		return;
	}
	queue->is_connected = true;
	host->world->connected_count++;
	if (queue->qid > 0) {
		host_queue_work(queue);
		return;
	}
	host->cntlid = nvme_connect_result_cntlid(le32_get(operation->command.completion.dw0));
	set_property(host, nvme_cc_of_enabled(NVME_CC_CSS_NVM), enabled);
}

static void fill_connect(const struct host_queue *queue, struct operation *operation)
{
	struct nvme_connect_command command = {
		.opcode = NVME_ADMIN_FABRICS,
		.fctype = NVME_FABRICS_CONNECT,
		.qid = le16_of(queue->qid),
		.sqsize = le16_of((uint16_t)(queue->entries - 1)),
		.cattr = queue->is_flow_control_off ? NVME_CATTR_DISABLE_SQFC : 0,
	};
	struct nvme_connect_data data = {
		.hostid = {1, (uint8_t)queue->host->index},
		.cntlid = le16_of(queue->qid > 0 ? queue->host->cntlid : NVME_CNTLID_DYNAMIC),
	};
	char nqn[NVME_NQN_TEXT_MAX];

	(void)snprintf(nqn, sizeof(nqn), "nqn.2024-01.org.example:host%u", queue->host->index);
	nvme_nqn_to_field(data.subnqn, WORLD_NQN);
	nvme_nqn_to_field(data.hostnqn, nqn);
	/* Without keep alive, or with one that any queue's traffic feeds. */
	if (queue->qid == 0 && world_is_lucky(queue->host->world, 3))
		command.kato = le32_of(60000);
	operation->command.command = nvme_command_of_fabrics(&command);
	operation_set_data(operation, TCP_HOST_WRITE, sizeof(data));
	memcpy(operation->data, &data, sizeof(data));
}

/* Life of a queue */

static void queue_ready(void *context)
{
	struct host_queue *queue = context;
	struct operation *operation = operation_take(queue, NVME_ADMIN_FABRICS);

	assert(operation != NULL);
	fill_connect(queue, operation);
	operation->then = connected;
	(void)operation_submit(operation);
}

static void queue_failed(void *context, int error, const char *reason)
{
	struct host_queue *queue = context;
	struct host *host = queue->host;

	/* Each side keeps to the rules. */
	if (error == -EPROTO)
		world_fail(host->world, "queue %u: %s", queue->qid, reason);
	if (queue->qid == 0)
		host_break_off(host);
	else if (host->state == HOST_RUNNING)
		host_drop_queue(queue);
	else
		close_queue(queue);
}

static const struct tcp_host_queue_handler queue_handler = {queue_ready, queue_failed};

static void open_queue(struct host_queue *queue)
{
	struct world *world = queue->host->world;
	struct tcp_host_queue_options options = {
		.is_admin = queue->qid == 0,
		.entries = (uint16_t)world_draw(world, queue->qid == 0 ? 32 : 2, 32),
		.is_flow_control_off = world_is_lucky(world, 3),
		.has_header_digest = queue->host->has_header_digest,
		.has_data_digest = queue->host->has_data_digest,
	};

	if (world_is_lucky(world, 2))
		options.capsule_data_bytes = target_limits(world->target)->capsule_bytes;
	queue->entries = options.entries;
	queue->is_flow_control_off = options.is_flow_control_off;
	if (tcp_host_queue_new(world_connect(world, &queue->era), &options, &queue_handler, queue,
		    &queue->transport) < 0)
		world_fail(world, "no memory for a queue");
}

static void timer_fired(struct timer *timer)
{
	struct host *host = container_of(timer, struct host, timer);

	if (host->state == HOST_RUNNING) {
		connect_missing(host);
	} else if (host->state == HOST_OFF && host->world->operations_left > 0) {
		host->state = HOST_STARTING;
		host->queue_count = world_draw(host->world, 2, HOST_QUEUES_MAX);
		host->has_header_digest = world_is_lucky(host->world, 3);
		host->has_data_digest = world_is_lucky(host->world, 3);
		open_queue(&host->queues[0]);
	}
}

struct host *host_new(struct world *world, unsigned index)
{
	struct host *host = calloc(1, sizeof(*host));

	assert(host != NULL);
	host->world = world;
	host->index = index;
	for (uint16_t i = 0; i < HOST_QUEUES_MAX; i++) {
		host->queues[i].host = host;
		host->queues[i].qid = i;
		for (unsigned j = 0; j < HOST_OPERATIONS_MAX; j++)
			host->queues[i].operations[j].queue = &host->queues[i];
	}
	timer_init(&host->timer, world->loop, timer_fired);
	timer_init(&host->poll_timer, world->loop, poll_timer_fired);
	start_later(host);
	return host;
}

void host_free(struct host *host)
{
	if (host == NULL)
		return;
	host_break_off(host);
	timer_disarm(&host->timer);
	free(host);
}

bool host_is_busy(const struct host *host)
{
	for (unsigned i = 1; i < HOST_QUEUES_MAX; i++)
		if (host->queues[i].transport != NULL &&
			tcp_host_queue_outstanding(host->queues[i].transport) > 0)
			return true;
	return false;
}
