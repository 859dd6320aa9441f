/*
 * Life of a queue, and the way of a command through it.
 *
 * tidy: allow parameters because a handler and its context are one thing
 */
#include "target/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "nvme/completion.h"
#include "target/abort.h"
#include "target/admin.h"
#include "target/connect.h"
#include "target/controller.h"
#include "target/fabrics.h"
#include "target/io.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target_private.h"

#define ADMIN_CAPSULE_BYTES 8192 /* TCP 1.0, 3.3.2.1: of admin and fabrics commands, always */

const size_t target_request_bytes = sizeof(struct target_request);

void target_queue_set_state(struct target_queue *queue, enum target_queue_state state)
{
	switch (queue->state) {
	case TARGET_QUEUE_FRESH:
		break;
	case TARGET_QUEUE_CONNECTING:
		assert(state != TARGET_QUEUE_CONNECTING);
		break;
	case TARGET_QUEUE_LIVE:
	case TARGET_QUEUE_ENDED:
		assert(state == TARGET_QUEUE_ENDED);
		break;
	}
	queue->state = state;
}

static void deliver_end(struct loop_message *message)
{
	struct target_queue *queue = container_of(message, struct target_queue, end_message);

	if (!queue->is_freed)
		queue->handler->end(queue->context, queue->end_reason);
}

int target_queue_new(struct target *target, struct loop *loop,
	const struct target_queue_handler *handler, void *context,
	const struct target_queue_peer *peer, struct target_queue **ret_queue)
{
	struct target_queue *queue = calloc(1, sizeof(*queue));
	uint64_t never = 0;

	assert(target->is_published);
	if (queue == NULL)
		return -ENOMEM;
	queue->site = fences_site(&target->fences, loop);
	if (queue->site == NULL) {
		free(queue);
		return -ENOMEM;
	}
	queue->target = target;
	queue->loop = loop;
	queue->handler = handler;
	queue->context = context;
	queue->capsule_bytes = ADMIN_CAPSULE_BYTES;
	queue->data_max = target_data_max(target);
	queue->end_message.deliver = deliver_end;
	list_init(&queue->counters.link);
	series_buffer_init(&queue->buffer);
	series_budget_init(&queue->budget);
	queue->is_local_ipv6 = peer->is_local_ipv6;
	queue->local_port = peer->local_port;
	(void)snprintf(queue->local_host, sizeof(queue->local_host), "%s", peer->local_host);
	(void)snprintf(queue->peer, sizeof(queue->peer), "%s", peer->name);
	(void)snprintf(queue->name, sizeof(queue->name), "%s", peer->name);
	(void)atomic_compare_exchange_strong(&target->started_ns, &never, loop_now_ns(loop) | 1);
	target_add_part(target);
	*ret_queue = queue;
	return 0;
}

nvme_status target_queue_go_live(struct target_queue *queue)
{
	struct controller *controller = queue->controller;
	struct subsystem *subsystem = controller->subsystem;
	struct target_queue_parameters parameters = {
		.qid = queue->qid,
		.entries = queue->entries,
		.is_flow_control_off = queue->is_flow_control_off,
		.is_kept_alive = queue->is_kept_alive,
		.capsule_bytes =
			queue->is_io ? queue->target->limits.capsule_bytes : ADMIN_CAPSULE_BYTES,
	};

	(void)snprintf(queue->name, sizeof(queue->name), "%s controller %u of %s queue %u (%s)",
		controller->host.nqn, controller->cntlid, subsystem->nqn, queue->qid, queue->peer);
	if (queue->handler->connected(queue->context, &parameters) != 0) {
		target_queue_set_state(queue, TARGET_QUEUE_ENDED);
		return NVME_STATUS_INTERNAL_ERROR;
	}
	queue->capsule_bytes = parameters.capsule_bytes;
	queue->namespaces = subsystem->namespaces;
	queue->namespace_count = subsystem->namespace_count;
	if (queue->is_io)
		subsystem_add_counters(subsystem, &queue->counters);
	target_queue_set_state(queue, TARGET_QUEUE_LIVE);
	return NVME_STATUS_SUCCESS;
}

void target_queue_post_end(struct target_queue *queue, const char *reason)
{
	if (queue->is_end_posted)
		return;
	queue->is_end_posted = true;
	queue->end_reason = reason;
	loop_post(queue->loop, &queue->end_message);
}

/* Commands */

static nvme_status begin_outside_io(struct target_request *request)
{
	const struct nvme_command *command = &request->base.command;
	struct target_queue *queue = request->queue;

	switch (queue->state) {
	case TARGET_QUEUE_FRESH:
	case TARGET_QUEUE_CONNECTING:
		if (queue->state == TARGET_QUEUE_FRESH && command->opcode == NVME_ADMIN_FABRICS &&
			nvme_command_fctype(command) == NVME_FABRICS_CONNECT)
			return connect_begin(request);
		log_write(queue->target->log, LOG_LEVEL_WARNING, "connect first",
			"%s: refused opcode %02xh before Connect", queue->name, command->opcode);
		return NVME_STATUS_COMMAND_SEQUENCE_ERROR | NVME_STATUS_DNR;
	case TARGET_QUEUE_LIVE:
		return command->opcode == NVME_ADMIN_FABRICS ? fabrics_begin(request)
							     : admin_begin(request);
	case TARGET_QUEUE_ENDED:
		break;
	}
	return NVME_STATUS_ABORTED_SQ_DELETION;
}

uint16_t target_queue_begin(struct target_queue *queue, struct request *base)
{
	struct target_request *request = container_of(base, struct target_request, base);
	nvme_status status;

	request->queue = queue;
	request->aborter = NULL;
	request->failed_block = TARGET_NO_BLOCK;
	atomic_store_explicit(&queue->has_traffic, true, memory_order_relaxed);
	if (queue->state == TARGET_QUEUE_LIVE && queue->is_io)
		status = io_begin(request);
	else
		status = begin_outside_io(request);
	if (status != NVME_STATUS_SUCCESS)
		target_request_note_failure(request, status);
	return status;
}

void target_queue_execute(struct target_queue *queue, struct request *base)
{
	struct target_request *request = container_of(base, struct target_request, base);
	nvme_status status;

	assert(request->queue == queue);
	if (request->aborter != NULL) {
		fused_break(request);
		target_request_finish(request, NVME_STATUS_ABORT_REQUESTED);
		return;
	}
	status = request->execute(request);
	if (status != TARGET_LATER)
		target_request_finish(request, status);
}

/* The target keeps nothing of a request that is not in execution, but who wants it aborted, and the
 * other half of what is fused. */
void target_queue_abandon(struct target_queue *queue, struct request *base)
{
	struct target_request *request = container_of(base, struct target_request, base);
	struct target_request *aborter = request->aborter;

	fused_break(request);
	fused_leave(request);
	if (base->status != NVME_STATUS_SUCCESS) {
		target_request_note_failure(request, base->status);
		log_write(queue->target->log, LOG_LEVEL_WARNING, "data damaged",
			"%s: the data of opcode %02xh arrived damaged: %s", queue->name,
			base->command.opcode, nvme_status_text(base->status));
	}
	if (aborter == NULL)
		return;
	request->aborter = NULL;
	/* Damaged data has ended it otherwise. */
	abort_answer(aborter, base->status == NVME_STATUS_SUCCESS);
}

/* Nor of memory that it has lent: a store's stays as long as the store. */
void target_queue_release(struct target_queue *queue, struct request *base)
{
	(void)queue;
	(void)base;
}

/* End */

void target_queue_end(struct target_queue *queue)
{
	enum target_queue_state before = queue->state;
	struct controller *controller = queue->controller;

	if (before == TARGET_QUEUE_ENDED)
		return;
	target_queue_set_state(queue, TARGET_QUEUE_ENDED);
	if (before != TARGET_QUEUE_LIVE)
		return;
	if (queue->is_io) {
		fused_end(queue);
		return;
	}
	/* With its last request completed the transport may free the queue at once. */
	controller_ref(controller);
	async_events_abort(&controller->events, NVME_STATUS_ABORTED_SQ_DELETION);
	controller_end(controller, "its admin queue has gone");
	controller_unref(controller);
}

static void target_queue_dispose(struct target_queue *queue)
{
	struct target *target = queue->target;

	controller_unref(queue->controller);
	series_buffer_deinit(&queue->buffer);
	series_budget_deinit(&queue->budget);
	free(queue);
	target_remove_part(target);
}

static void deliver_dispose(struct loop_message *message)
{
	target_queue_dispose(container_of(message, struct target_queue, message));
}

static void deliver_detach(struct loop_message *message)
{
	struct target_queue *queue = container_of(message, struct target_queue, message);

	controller_detach(queue->controller, queue);
	queue->message.deliver = deliver_dispose;
	loop_post(queue->loop, &queue->message);
}

void target_queue_free(struct target_queue *queue)
{
	if (queue == NULL)
		return;
	assert(queue->connect == NULL);
	target_queue_end(queue);
	queue->is_freed = true;
	if (!queue->is_attached) {
		target_queue_dispose(queue);
		return;
	}
	subsystem_retire_counters(queue->controller->subsystem, &queue->counters);
	if (queue->is_io) {
		queue->message.deliver = deliver_detach;
		loop_post(queue->controller->loop, &queue->message);
		return;
	}
	controller_end(queue->controller, "its admin queue has gone");
	controller_detach(queue->controller, queue);
	target_queue_dispose(queue);
}

const char *target_queue_name(const struct target_queue *queue)
{
	return queue->name;
}
