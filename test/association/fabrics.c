/*
 * Connect, and what a host does by properties: it enables, resets and shuts down its controller.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "nvme/property.h"
#include "test/association/host.h"

static void refused(struct operation *operation, nvme_status status)
{
	struct host_queue *queue = operation->queue;
	struct host *host = queue->host;

	if (queue->qid > 0) {
		/* A queue of that number may still be going. */
		if (host->state == HOST_RUNNING)
			host_drop_queue(queue);
		return;
	}
	if (!host->world->is_shut_down) {
		operation_check_failure(operation, status);
	}
	host_break_off(host);
}

static struct operation *take(struct host *host)
{
	struct operation *operation = operation_take(&host->queues[0], NVME_ADMIN_FABRICS);

	/* All others are busy: as if the host had given up. */
	if (operation == NULL)
		host_break_off(host);
	return operation;
}

static void submit(struct operation *operation)
{
	struct host *host = operation->queue->host;

	if (!operation_submit(operation))
		host_break_off(host);
}

static void set_property(struct host *host, uint32_t cc,
	void (*then)(struct operation *operation, nvme_status status))
{
	struct operation *operation = take(host);
	struct nvme_property_command command = {
		.opcode = NVME_ADMIN_FABRICS,
		.fctype = NVME_FABRICS_PROPERTY_SET,
		.ofst = le32_of(NVME_PROPERTY_CC),
		.value = le64_of(cc),
	};

	if (operation == NULL)
		return;
	operation->command.command = nvme_command_of_fabrics(&command);
	operation->then = then;
	submit(operation);
}

static void property_set(struct operation *operation, nvme_status status)
{
	if (status != NVME_STATUS_SUCCESS)
		refused(operation, status);
	else
		host_poll(operation->queue->host);
}

static void become_running(struct host *host)
{
	host->state = HOST_RUNNING;
	host_connect_missing(host);
	host_ask_for_events(host);
	if (host->kato_ms > 0)
		host_keep_alive(host);
	host_queue_work(&host->queues[0]);
}

/* A shutdown is complete when all is flushed, and never if that fails. */
static void look_at_shutdown(struct host *host, uint32_t csts)
{
	bool is_complete = nvme_csts_shst(csts) == NVME_CSTS_SHST_COMPLETE;
	bool has_failed = (csts & NVME_CSTS_CFS) != 0;
	bool may_fail = false;

	for (uint32_t nsid = 1; nsid <= WORLD_NAMESPACES; nsid++) {
		const struct medium *medium = world_medium(host->world, host->subsystem, nsid);

		may_fail = may_fail || medium_may_cause(medium, NVME_STATUS_WRITE_FAULT);
		if (is_complete && medium->latch_time != 0 &&
			medium->latch_time < host->shutdown_time)
			world_fail(host->world, "host %u has shut down though a flush had failed",
				host->index);
	}
	if (has_failed && !may_fail)
		world_fail(host->world, "host %u cannot shut down", host->index);
	if (!is_complete && !has_failed) {
		timer_arm_after(&host->poll_timer, 1);
		return;
	}
	host->world->counts.shutdowns++;
	host_break_off(host);
}

static void got_status(struct operation *operation, nvme_status status)
{
	struct host *host = operation->queue->host;
	uint64_t csts = nvme_completion_result(&operation->command.completion);
	bool is_ready = (csts & NVME_CSTS_RDY) != 0;

	if (status != NVME_STATUS_SUCCESS) {
		refused(operation, status);
	} else if (host->state == HOST_STARTING && is_ready) {
		become_running(host);
	} else if (host->state == HOST_RESETTING && !is_ready) {
		host_close_io_queues(host);
		host->state = HOST_STARTING;
		set_property(host, nvme_cc_of_enabled(NVME_CC_CSS_NVM), property_set);
	} else if (host->state == HOST_LEAVING) {
		look_at_shutdown(host, (uint32_t)csts);
	} else if (host->state == HOST_STARTING || host->state == HOST_RESETTING) {
		timer_arm_after(&host->poll_timer, 1);
	}
}

void host_poll(struct host *host)
{
	struct operation *operation = take(host);
	struct nvme_property_command command = {
		.opcode = NVME_ADMIN_FABRICS,
		.fctype = NVME_FABRICS_PROPERTY_GET,
		.ofst = le32_of(NVME_PROPERTY_CSTS),
	};

	if (operation == NULL)
		return;
	operation->command.command = nvme_command_of_fabrics(&command);
	operation->then = got_status;
	submit(operation);
}

/* What changed before may be forgotten. */
void host_reset_controller(struct host *host)
{
	host->state = HOST_RESETTING;
	host->is_told_changes = false;
	memset(host->changes, 0, sizeof(host->changes));
	host->world->counts.resets++;
	set_property(host, 0, property_set);
}

void host_shut_down(struct host *host)
{
	host->state = HOST_LEAVING;
	host->shutdown_time = ++host->world->time;
	set_property(host,
		nvme_cc_with_shn(nvme_cc_of_enabled(NVME_CC_CSS_NVM),
			world_is_lucky(host->world, 2) ? NVME_CC_SHN_NORMAL : NVME_CC_SHN_ABRUPT),
		property_set);
}

static void connected(struct operation *operation, nvme_status status)
{
	struct host_queue *queue = operation->queue;
	struct host *host = queue->host;

	if (status != NVME_STATUS_SUCCESS) {
		refused(operation, status);
		return;
	}
	queue->is_connected = true;
	host->world->counts.connected++;
	if (queue->qid > 0) {
		host_queue_work(queue);
		return;
	}
	host->cntlid = nvme_connect_result_cntlid(le32_get(operation->command.completion.dw0));
	set_property(host, nvme_cc_of_enabled(NVME_CC_CSS_NVM), property_set);
}

static void fill_connect(const struct host_queue *queue, struct operation *operation)
{
	const struct host *host = queue->host;
	struct nvme_connect_command command = {
		.opcode = NVME_ADMIN_FABRICS,
		.fctype = NVME_FABRICS_CONNECT,
		.qid = le16_of(queue->qid),
		.sqsize = le16_of((uint16_t)(queue->entries - 1)),
		.cattr = queue->is_flow_control_off ? NVME_CATTR_DISABLE_SQFC : 0,
		.kato = le32_of(queue->qid == 0 ? host->kato_ms : 0),
	};
	struct nvme_connect_data data = {
		.hostid = {1, (uint8_t)host->index},
		.cntlid = le16_of(queue->qid > 0 ? host->cntlid : NVME_CNTLID_DYNAMIC),
	};
	char nqn[NVME_NQN_TEXT_MAX];

	(void)snprintf(nqn, sizeof(nqn), "nqn.2024-01.org.example:host%u", host->index);
	nvme_nqn_to_field(data.subnqn, world_nqn(host->subsystem));
	nvme_nqn_to_field(data.hostnqn, nqn);
	operation->command.command = nvme_command_of_fabrics(&command);
	operation_set_data(operation, TCP_HOST_WRITE, sizeof(data));
	memcpy(operation->data, &data, sizeof(data));
}

void host_queue_connect(struct host_queue *queue)
{
	struct operation *operation = operation_take(queue, NVME_ADMIN_FABRICS);

	assert(operation != NULL);
	fill_connect(queue, operation);
	operation->then = connected;
	(void)operation_submit(operation);
}
