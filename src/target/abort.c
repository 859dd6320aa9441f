/*
 * An Abort asks on the loop of the command's queue and is answered on its own. A queue that is
 * attached to the controller outlives a message that the controller's loop has posted (see
 * queue_private.h); the Abort itself is outstanding until the answer.
 */
#include "target/abort.h"

#include "nvme/io_command.h"
#include "target/controller.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target_private.h"

nvme_status abort_begin(struct target_request *request)
{
	return target_request_expect(request, REQUEST_NO_DATA, 0);
}

static void finish(struct target_request *request, bool is_aborted)
{
	request->queue->controller->abort_count--;
	request->base.result = is_aborted ? 0 : NVME_ABORT_NOT_ABORTED;
	target_request_finish(request, NVME_STATUS_SUCCESS);
}

static void deliver_answer(struct loop_message *message)
{
	struct target_request *request =
		container_of(message, struct target_request, abort.message);

	finish(request, request->abort.is_aborted);
}

void abort_answer(struct target_request *aborter, bool is_aborted)
{
	aborter->abort.is_aborted = is_aborted;
	aborter->abort.message.deliver = deliver_answer;
	loop_post(aborter->queue->loop, &aborter->abort.message);
}

static uint16_t cid_of(const struct target_request *request)
{
	return (uint16_t)(le32_get(request->base.command.cdw10) >> 16);
}

/* On the loop of @queue. @return whether @request will be answered. */
static bool mark(struct target_queue *queue, struct target_request *request)
{
	struct target_request *other;
	struct request *base = NULL;

	if (!queue->is_freed && queue->state == TARGET_QUEUE_LIVE)
		base = queue->handler->find(queue->context, cid_of(request));
	if (base == NULL)
		return false;
	other = container_of(base, struct target_request, base);
	if (other->aborter != NULL || (!queue->is_io && base->command.opcode == NVME_ADMIN_ABORT) ||
		(queue->is_io && fused_is_running(other)))
		return false;
	other->aborter = request;
	if (queue->is_io && fused_is_half(base))
		fused_abort(other);
	return true;
}

static void deliver_question(struct loop_message *message)
{
	struct target_request *request =
		container_of(message, struct target_request, abort.message);

	if (!mark(request->abort.queue, request))
		abort_answer(request, false);
}

/* The admin queue is on this loop: what is found is answered by its end, all else at once. */
static void abort_on_admin_queue(struct controller *controller, struct target_queue *queue,
	struct target_request *request)
{
	bool is_event = async_events_abort_one(&controller->events, cid_of(request),
		NVME_STATUS_ABORT_REQUESTED);

	if (is_event || !mark(queue, request))
		finish(request, is_event);
}

nvme_status abort_execute(struct target_request *request)
{
	struct controller *controller = request->queue->controller;
	uint32_t sqid = le32_get(request->base.command.cdw10) & 0xffff;
	struct target_queue *queue = NULL;

	if (controller->abort_count == ABORT_COMMANDS_MAX)
		return NVME_STATUS_ABORT_LIMIT_EXCEEDED;
	controller->abort_count++;
	if (sqid <= controller->subsystem->target->limits.io_queues_max)
		queue = controller->queues[sqid];
	if (queue == NULL) {
		finish(request, false);
	} else if (queue->is_io) {
		request->abort.queue = queue;
		request->abort.message.deliver = deliver_question;
		loop_post(queue->loop, &request->abort.message);
	} else {
		abort_on_admin_queue(controller, queue, request);
	}
	return TARGET_LATER;
}
