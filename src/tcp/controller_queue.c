/*
 * The life of the controller's end: from the accepted stream to closed(), with its deadlines. One
 * timer serves all of them: it is armed when something begins that could last too long, and when it
 * fires it looks what is really due.
 */
#include "tcp/controller_private.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MS_NS 1000000u

#define ENTRIES_MAX 4096u /* Base 2.0, 6.3: an admin queue's limit here; an I/O queue's is less */

struct tcp_deadlines tcp_deadlines_default(void)
{
	return (struct tcp_deadlines){
		.initialize_ms = 10000,
		.connect_ms = 10000,
		.capsule_ms = 30000,
		.data_ms = 60000,
		.send_ms = 30000,
		.drain_ms = 5000,
		.linger_ms = 200,
		.terminate_ms = 5000,
	};
}

static void init_slot(struct tcp_controller_queue *queue, struct slot *slot, unsigned index)
{
	slot->queue = queue;
	slot->index = (uint16_t)index;
	list_init(&slot->link);
	slot->buffer.share = &queue->share;
	queue->slots[index] = slot;
	slot->next_free = queue->free_slots;
	queue->free_slots = slot;
}

void controller_make_slot(struct tcp_controller_queue *queue)
{
	unsigned index = queue->fresh_count--;
	char *place = queue->other_slots + (index - 1) * queue->slot_bytes;

	init_slot(queue, (struct slot *)(void *)place, index);
}

void controller_free_slot(struct slot *slot)
{
	struct tcp_controller_queue *queue = slot->queue;
	struct request *request = slot_request(slot);

	if (request->is_lending && request->data != NULL)
		queue->handler->release(queue->context, request);
	if (slot->buffer.bytes > 0)
		controller_give_buffer(slot);
	list_remove(&slot->link);
	if (queue->capsule_slot == slot)
		queue->capsule_slot = NULL;
	if (slot->state != SLOT_SENDING)
		controller_settle(slot);
	slot->state = SLOT_FREE;
	slot->has_r2t = false;
	slot->is_damaged = false;
	slot->next_free = queue->free_slots;
	queue->free_slots = slot;
	queue->busy_count--;
}

/* Withdraw what has been begun and not handed up for execution. */
static void abandon_waiting(struct tcp_controller_queue *queue)
{
	for (unsigned i = 0; i < queue->slot_count; i++) {
		struct slot *slot = queue->slots[i];

		if (slot == NULL ||
			(slot->state != SLOT_WAITING_BUFFER && slot->state != SLOT_RECEIVING))
			continue;
		queue->above_count--;
		queue->handler->abandon(queue->context, slot_request(slot));
		controller_free_slot(slot);
	}
}

/* No request is begun any more: the layer above lets go of those it holds. */
static void tell_ended(struct tcp_controller_queue *queue)
{
	if (queue->is_ended_told)
		return;
	queue->is_ended_told = true;
	abandon_waiting(queue);
	queue->handler->ended(queue->context);
}

static void run_closed(struct loop_task *task)
{
	struct tcp_controller_queue *queue =
		container_of(task, struct tcp_controller_queue, closed_task);

	queue->handler->closed(queue->context, queue->reason);
}

/* The stream is gone or to be cut now. */
static void close_stream(struct tcp_controller_queue *queue, const char *reason)
{
	struct stream *stream = queue->stream;

	if (queue->state == QUEUE_CLOSED)
		return;
	queue->state = QUEUE_CLOSED;
	if (queue->reason == NULL)
		queue->reason = reason;
	timer_disarm(&queue->timer);
	receiver_stop(&queue->receiver);
	queue->stream = NULL;
	tell_ended(queue);
	stream_free(stream);
	controller_check_end(queue);
}

void controller_check_end(struct tcp_controller_queue *queue)
{
	if (queue->state == QUEUE_CLOSED) {
		if (queue->busy_count == 0)
			loop_defer(queue->loop, &queue->closed_task);
		return;
	}
	if (queue->state != QUEUE_ENDING || queue->above_count > 0 || queue->is_finished)
		return;
	/* The host reads what was sent and closes; closing first could destroy it on the way. */
	queue->is_finished = true;
	stream_finish(queue->stream);
	stream_tell_drained(queue->stream);
}

void controller_set_state_deadline(struct tcp_controller_queue *queue, uint32_t delay_ms)
{
	queue->state_deadline_ns = loop_now_ns(queue->loop) + (uint64_t)delay_ms * MS_NS;
	timer_arm(&queue->timer, queue->state_deadline_ns);
}

/* All is sent; a host that does not close would keep its queue id and its controller. */
static void linger(struct tcp_controller_queue *queue)
{
	uint32_t linger_ms = queue->options.deadlines.linger_ms;
	uint64_t due_ns = loop_now_ns(queue->loop) + (uint64_t)linger_ms * MS_NS;

	if (queue->is_terminating && !queue->is_hurried)
		return;
	if (due_ns < queue->state_deadline_ns)
		controller_set_state_deadline(queue, linger_ms);
}

static void begin_end(struct tcp_controller_queue *queue, const char *reason, uint32_t delay_ms)
{
	queue->state = QUEUE_ENDING;
	queue->reason = reason;
	receiver_stop(&queue->receiver);
	if (queue->is_held_for_room || queue->capsule_slot != NULL) {
		queue->is_held_for_room = false;
		stream_resume(queue->stream);
	}
	controller_set_state_deadline(queue, delay_ms);
	tell_ended(queue);
	controller_check_end(queue);
}

struct request *tcp_controller_queue_find(struct tcp_controller_queue *queue, uint16_t cid)
{
	struct slot *slot = controller_slot_of_cid(queue, cid);

	/* One that is being begun is not above yet. */
	return slot != NULL && slot->state != SLOT_FREE ? slot_request(slot) : NULL;
}

void tcp_controller_queue_end(struct tcp_controller_queue *queue, const char *reason)
{
	if (queue->state == QUEUE_CLOSED)
		return;
	if (queue->state != QUEUE_ENDING) {
		begin_end(queue, reason, queue->options.deadlines.drain_ms);
		return;
	}
	queue->is_hurried = true;
	if (queue->is_flushed)
		linger(queue);
}

void tcp_controller_queue_cut(struct tcp_controller_queue *queue, const char *reason)
{
	close_stream(queue, reason);
}

bool tcp_controller_queue_is_ending(const struct tcp_controller_queue *queue)
{
	return queue->state == QUEUE_ENDING || queue->state == QUEUE_CLOSED;
}

void controller_terminate(void *context, struct pdu_fault fault, const uint8_t *header,
	size_t header_bytes)
{
	struct tcp_controller_queue *queue = context;
	uint8_t pdu[PDU_TERMINATE_BYTES_MAX];
	size_t bytes;

	if (tcp_controller_queue_is_ending(queue))
		return;
	/* 3.5.1: a TermReq is never answered with one. */
	if (header[0] != PDU_H2C_TERMINATE) {
		bytes = pdu_make_terminate(true, fault, header, header_bytes, pdu);
		memcpy(stream_put(queue->stream, bytes), pdu, bytes);
	}
	queue->is_terminating = true;
	if (queue->reason_text[0] == '\0')
		(void)snprintf(queue->reason_text, sizeof(queue->reason_text),
			"%s (FES %u, FEI %xh)", pdu_fes_text(fault.fes), (unsigned)fault.fes,
			fault.fei);
	begin_end(queue, queue->reason_text, queue->options.deadlines.terminate_ms);
}

/* The time of a PDU runs from its first byte, or from when it was no longer held. */
static void watch_incomplete_pdu(struct tcp_controller_queue *queue)
{
	if (!receiver_is_midway(&queue->receiver)) {
		queue->midway_ns = 0;
	} else if (queue->midway_ns == 0 || queue->midway_index != queue->receiver.pdu_count) {
		queue->midway_ns = loop_now_ns(queue->loop);
		queue->midway_index = queue->receiver.pdu_count;
		controller_watch_deadlines(queue);
	}
}

static size_t stream_received(void *context, size_t direct_bytes, const uint8_t *data, size_t bytes)
{
	struct tcp_controller_queue *queue = context;
	size_t taken = receiver_take(&queue->receiver, direct_bytes, data, bytes);

	watch_incomplete_pdu(queue);
	return taken;
}

void controller_resume(struct tcp_controller_queue *queue)
{
	receiver_resume(&queue->receiver);
	watch_incomplete_pdu(queue);
}

static void stream_drained(void *context)
{
	struct tcp_controller_queue *queue = context;

	if (queue->is_finished) {
		queue->is_flushed = true;
		linger(queue);
	} else if (queue->is_held_for_room) {
		queue->is_held_for_room = false;
		controller_resume(queue);
	}
}

static void stream_closed(void *context, int error)
{
	close_stream(context, error == 0 ? NULL : strerrordesc_np(error));
}

static const struct stream_handler stream_handler = {
	.received = stream_received,
	.drained = stream_drained,
	.closed = stream_closed,
};

/* A deadline of a running queue: since when, for how long, and what to say. */
struct deadline {
	uint64_t since_ns;
	uint32_t limit_ms;
	const char *reason;
};

/* @return whether it has passed; else *@next_ns is brought forward to it. */
static bool is_past(const struct deadline *deadline, uint64_t now_ns, uint64_t *next_ns)
{
	uint64_t due_ns = deadline->since_ns + (uint64_t)deadline->limit_ms * MS_NS;

	if (deadline->since_ns == 0)
		return false;
	if (due_ns <= now_ns)
		return true;
	if (due_ns < *next_ns)
		*next_ns = due_ns;
	return false;
}

static const char *passed_state_deadline(const struct tcp_controller_queue *queue)
{
	switch (queue->state) {
	case QUEUE_INITIAL:
		return "no ICReq within the deadline";
	case QUEUE_CONNECTING:
		return "no Connect within the deadline";
	case QUEUE_ENDING:
		return "the host did not close within the deadline";
	case QUEUE_RUNNING:
	case QUEUE_CLOSED:
		break;
	}
	return NULL;
}

static void check_deadlines(struct timer *timer)
{
	struct tcp_controller_queue *queue =
		container_of(timer, struct tcp_controller_queue, timer);
	const struct tcp_deadlines *limits = &queue->options.deadlines;
	uint64_t now_ns = loop_now_ns(queue->loop), next_ns = UINT64_MAX, r2t_ns = 0;
	struct deadline deadlines[3];

	if (queue->state != QUEUE_RUNNING) {
		if (queue->state_deadline_ns <= now_ns)
			close_stream(queue, passed_state_deadline(queue));
		else
			timer_arm(timer, queue->state_deadline_ns);
		return;
	}
	if (!list_is_empty(&queue->receiving_slots))
		r2t_ns = container_of(queue->receiving_slots.next, struct slot, link)->r2t_ns;
	deadlines[0] =
		(struct deadline){queue->midway_ns, limits->capsule_ms, "a PDU stayed incomplete"};
	deadlines[1] = (struct deadline){r2t_ns, limits->data_ms, "the data of an R2T never came"};
	deadlines[2] = (struct deadline){stream_unsent_bytes(queue->stream) > 0
			? stream_send_progress_ns(queue->stream)
			: 0,
		limits->send_ms, "the host does not read"};
	for (unsigned i = 0; i < 3; i++) {
		if (is_past(&deadlines[i], now_ns, &next_ns)) {
			close_stream(queue, deadlines[i].reason);
			return;
		}
	}
	if (next_ns != UINT64_MAX)
		timer_arm(timer, next_ns);
}

void controller_watch_deadlines(struct tcp_controller_queue *queue)
{
	const struct tcp_deadlines *limits = &queue->options.deadlines;
	uint32_t delay_ms = limits->capsule_ms;

	if (queue->timer.is_armed)
		return;
	delay_ms = limits->data_ms < delay_ms ? limits->data_ms : delay_ms;
	delay_ms = limits->send_ms < delay_ms ? limits->send_ms : delay_ms;
	timer_arm_after(&queue->timer, delay_ms);
}

int tcp_controller_queue_size(struct tcp_controller_queue *queue, uint16_t entries,
	bool is_flow_control_off)
{
	struct slot **slots;

	assert(entries >= 2 && entries <= ENTRIES_MAX);
	if (queue->state != QUEUE_CONNECTING)
		return -ENOTCONN;
	assert(queue->slot_count == 1);
	slots = calloc(entries, sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	slots[0] = queue->first_slot;
	free(queue->slots);
	queue->slots = slots;
	if (stream_reserve(queue->stream, entries * SLOT_PUT_BYTES + QUEUE_PUT_BYTES,
		    entries * SLOT_PIECES + QUEUE_PIECES) < 0)
		return -ENOMEM;
	queue->other_slots = calloc(entries - 1u, queue->slot_bytes);
	if (queue->other_slots == NULL)
		return -ENOMEM;
	queue->slot_count = entries;
	queue->fresh_count = entries - 1u;
	queue->entries = entries;
	queue->sqhd %= entries;
	queue->is_flow_control_off = is_flow_control_off;
	queue->state = QUEUE_RUNNING;
	timer_disarm(&queue->timer);
	controller_watch_deadlines(queue);
	return 0;
}

/* The fixed part: room to be initialised and for Connect. */
static int make_first_slot(struct tcp_controller_queue *queue)
{
	/* The request and what is kept behind it begin where any type may. */
	static_assert(sizeof(struct slot) % _Alignof(max_align_t) == 0, "slot and request");

	queue->slot_bytes = sizeof(struct slot) + (queue->options.request_bytes + 63) / 64 * 64;
	queue->slots = malloc(sizeof(*queue->slots));
	queue->first_slot = calloc(1, queue->slot_bytes);
	if (queue->slots == NULL || queue->first_slot == NULL)
		return -ENOMEM;
	init_slot(queue, queue->first_slot, 0);
	queue->slot_count = 1;
	return stream_reserve(queue->stream, SLOT_PUT_BYTES + QUEUE_PUT_BYTES,
		SLOT_PIECES + QUEUE_PIECES);
}

int tcp_controller_queue_new(struct stream *stream, const struct tcp_controller_options *options,
	const struct tcp_controller_handler *handler, void *context,
	struct tcp_controller_queue **ret_queue)
{
	struct tcp_controller_queue *queue = calloc(1, sizeof(*queue));

	if (queue == NULL) {
		stream_free(stream);
		return -ENOMEM;
	}
	queue->stream = stream;
	queue->loop = stream_loop(stream);
	queue->options = *options;
	queue->handler = handler;
	queue->context = context;
	queue->state = QUEUE_INITIAL;
	list_init(&queue->receiving_slots);
	timer_init(&queue->timer, queue->loop, check_deadlines);
	loop_task_init(&queue->closed_task, run_closed);
	receiver_init(&queue->receiver, stream, &controller_receiver_handler, queue);
	queue->receiver.rules = (struct pdu_rules){
		.is_controller = true,
		.capsule_data_max = options->capsule_max,
		.data_max = options->data_max,
	};
	if (make_first_slot(queue) < 0) {
		tcp_controller_queue_free(queue);
		return -ENOMEM;
	}
	controller_set_state_deadline(queue, options->deadlines.initialize_ms);
	stream_start(stream, &stream_handler, queue);
	*ret_queue = queue;
	return 0;
}

void tcp_controller_queue_free(struct tcp_controller_queue *queue)
{
	if (queue == NULL)
		return;
	assert(queue->above_count == 0);
	stream_free(queue->stream);
	assert(queue->busy_count == 0);
	timer_disarm(&queue->timer);
	loop_task_cancel(&queue->closed_task);
	free(queue->other_slots);
	free(queue->slots);
	free(queue->first_slot);
	free(queue);
}
