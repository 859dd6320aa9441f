/*
 * The life of a host's queue and of the commands in it.
 *
 * The queue fails in one place, queue_fail(): the stream is freed first, which returns all lent
 * memory, then each command ends, then the owner is told. Only the loop's calls lead there, never
 * the owner's.
 */
#include "tcp/host_queue.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcp/host_queue_private.h"

static_assert((TCP_HOST_ENTRIES_MAX & HOST_SLOT_MASK) == 0,
	"the slot's index is a mask of the CID");

void host_queue_leave(struct tcp_host_queue *queue)
{
	assert(queue->busy > 0);
	if (--queue->busy == 0 && queue->is_freed)
		free(queue);
}

void host_queue_say(struct tcp_host_queue *queue, const char *format, ...)
{
	va_list arguments;

	if (queue->reason[0] != '\0')
		return;
	va_start(arguments, format);
	(void)vsnprintf(queue->reason, sizeof(queue->reason), format, arguments);
	va_end(arguments);
}

/* Commands */

void host_slot_end(struct host_slot *slot, int error)
{
	struct tcp_host_queue *queue = slot->queue;
	struct tcp_host_command *command = slot->command;

	assert(slot->lent_count == 0);
	list_remove(&slot->sending);
	slot->command = NULL;
	slot->cid = (uint16_t)(slot->cid + TCP_HOST_ENTRIES_MAX);
	slot->next_free = queue->first_free;
	queue->first_free = (uint16_t)(slot - queue->slots);
	queue->outstanding--;
	command->error = error;
	command->done(command);
}

void host_slot_complete(struct host_slot *slot, const struct nvme_completion *completion)
{
	struct tcp_host_command *command = slot->command;

	command->completion = *completion;
	if (slot->is_damaged)
		nvme_completion_set_status(&command->completion,
			NVME_STATUS_TRANSIENT_TRANSPORT_ERROR);
	if (slot->lent_count == 0) {
		host_slot_end(slot, 0);
		return;
	}
	/* A failed write: what is in the output must go out, the rest is not wanted any more. */
	slot->is_completed = true;
	slot->granted_bytes = 0;
	list_remove(&slot->sending);
}

static void end_commands(struct tcp_host_queue *queue, int error)
{
	for (unsigned i = 0; queue->outstanding > 0 && i < queue->options.entries - 1u; i++) {
		if (queue->slots[i].command != NULL)
			host_slot_end(&queue->slots[i], error);
	}
}

int tcp_host_queue_submit(struct tcp_host_queue *queue, struct tcp_host_command *command)
{
	struct host_slot *slot;

	assert((command->transfer == TCP_HOST_NO_DATA) == (command->data_bytes == 0));
	if (queue->state != HOST_QUEUE_READY)
		return -ENOTCONN;
	if (queue->first_free == HOST_SLOT_NONE || !host_send_has_room(queue))
		return -EAGAIN;

	slot = &queue->slots[queue->first_free];
	queue->first_free = slot->next_free;
	queue->outstanding++;
	slot->command = command;
	slot->moved_bytes = 0;
	slot->granted_bytes = 0;
	slot->is_completed = false;
	slot->is_last_seen = false;
	slot->is_damaged = false;
	command->cid = slot->cid;
	command->command.cid = le16_of(slot->cid);
	command->command.flags =
		(uint8_t)((command->command.flags & ~NVME_FLAGS_PSDT_MASK) | NVME_FLAGS_PSDT_SGL);
	host_send_command(slot);
	return 0;
}

unsigned tcp_host_queue_outstanding(const struct tcp_host_queue *queue)
{
	return queue->outstanding;
}

/* States */

static void queue_drop_stream(struct tcp_host_queue *queue)
{
	struct stream *stream = queue->stream;

	timer_disarm(&queue->timer);
	queue->state = HOST_QUEUE_FAILED;
	if (stream == NULL)
		return;
	receiver_stop(&queue->receiver);
	queue->stream = NULL;
	stream_free(stream);
}

static void queue_fail(struct tcp_host_queue *queue, int error)
{
	host_queue_enter(queue);
	queue_drop_stream(queue);
	end_commands(queue, error);
	if (!queue->is_freed)
		queue->handler->failed(queue->context, error, queue->reason);
	host_queue_leave(queue);
}

void host_queue_terminate(struct tcp_host_queue *queue, int error)
{
	queue->state = HOST_QUEUE_TERMINATING;
	queue->error = error;
	receiver_stop(&queue->receiver);
	timer_arm_after(&queue->timer, TCP_HOST_TERMINATE_MS);
}

int host_queue_become_ready(struct tcp_host_queue *queue)
{
	int error;

	timer_disarm(&queue->timer);
	error = stream_reserve(queue->stream, host_send_put_bytes(queue), host_send_pieces(queue));
	if (error != 0)
		return error;
	queue->state = HOST_QUEUE_READY;
	queue->handler->ready(queue->context);
	return 0;
}

static void timer_fired(struct timer *timer)
{
	struct tcp_host_queue *queue = container_of(timer, struct tcp_host_queue, timer);

	if (queue->state == HOST_QUEUE_OPENING) {
		host_queue_say(queue, "the controller did not answer within %u seconds",
			TCP_HOST_IC_TIMEOUT_MS / 1000);
		queue->error = -ETIMEDOUT;
	}
	queue_fail(queue, queue->error);
}

static size_t stream_received(void *context, size_t direct_bytes, const uint8_t *data, size_t bytes)
{
	struct tcp_host_queue *queue = context;
	size_t taken;

	host_queue_enter(queue);
	taken = receiver_take(&queue->receiver, direct_bytes, data, bytes);
	host_queue_leave(queue);
	return taken;
}

static void stream_closed(void *context, int error)
{
	struct tcp_host_queue *queue = context;

	if (queue->state == HOST_QUEUE_TERMINATING) {
		queue_fail(queue, queue->error);
	} else if (error == 0) {
		host_queue_say(queue, "the controller closed the connection");
		queue_fail(queue, -EPIPE);
	} else {
		host_queue_say(queue, "%s", strerrordesc_np(error));
		queue_fail(queue, -error);
	}
}

static const struct stream_handler stream_handler = {
	.received = stream_received,
	.closed = stream_closed,
};

/* Life */

static void init_slots(struct tcp_host_queue *queue)
{
	unsigned count = queue->options.entries - 1u;

	for (unsigned i = 0; i < count; i++) {
		struct host_slot *slot = &queue->slots[i];

		slot->queue = queue;
		slot->lease.returned = host_send_returned;
		list_init(&slot->sending);
		slot->cid = (uint16_t)i;
		slot->next_free = i + 1 < count ? (uint16_t)(i + 1) : HOST_SLOT_NONE;
	}
}

int tcp_host_queue_new(struct stream *stream, const struct tcp_host_queue_options *options,
	const struct tcp_host_queue_handler *handler, void *context,
	struct tcp_host_queue **ret_queue)
{
	unsigned entries = options->entries;
	struct tcp_host_queue *queue;
	int error = -ENOMEM;

	assert(entries >= 2 && entries <= TCP_HOST_ENTRIES_MAX);
	queue = calloc(1, sizeof(*queue) + (entries - 1) * sizeof(struct host_slot));
	if (queue != NULL)
		error = stream_reserve(stream,
			sizeof(struct pdu_ic_request) + PDU_TERMINATE_BYTES_MAX, 2);
	if (error != 0) {
		free(queue);
		stream_free(stream);
		return error;
	}
	queue->stream = stream;
	queue->handler = handler;
	queue->context = context;
	queue->options = *options;
	queue->state = HOST_QUEUE_OPENING;
	list_init(&queue->sending);
	init_slots(queue);
	timer_init(&queue->timer, stream_loop(stream), timer_fired);
	receiver_init(&queue->receiver, stream, &host_receiver_handler, queue);
	queue->receiver.rules.data_max = UINT32_MAX; /* each command has its own limit */
	host_send_ic_request(queue);
	timer_arm_after(&queue->timer, TCP_HOST_IC_TIMEOUT_MS);
	stream_start(stream, &stream_handler, queue);
	*ret_queue = queue;
	return 0;
}

void tcp_host_queue_free(struct tcp_host_queue *queue)
{
	if (queue == NULL)
		return;
	assert(!queue->is_freed);
	host_queue_enter(queue);
	queue->is_freed = true;
	queue_drop_stream(queue);
	end_commands(queue, -ECANCELED);
	host_queue_leave(queue);
}
