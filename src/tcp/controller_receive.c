/*
 * The controller's end, receiving: ICReq, capsules and H2CData. A capsule becomes a request in a
 * slot; its data lands in the slot's buffer, which the R2T or the capsule's place in the stream
 * waits for. What cannot be begun yet, for want of a buffer or of output room, is held in the
 * receiver, so that the peer is stopped by its window.
 */
#include "tcp/controller_private.h"

#include <assert.h>
#include <string.h>

static const struct receiver_answer go_on;
static const struct receiver_answer hold = {.is_held = true};

static struct receiver_answer refuse(enum pdu_fes fes, uint32_t fei)
{
	return (struct receiver_answer){.fault = {fes, fei}};
}

/* 3.3.1: the digests that both ends want, the controller's alignment (none), its data limit. */
static struct receiver_answer take_ic_request(struct tcp_controller_queue *queue,
	const struct pdu *pdu)
{
	struct pdu_ic_request ic;
	struct pdu_ic_response response = {0};

	memcpy(&ic, pdu->header, sizeof(ic));
	queue->host_pda = ic.hpda;
	/* No digest is agreed to: an ICResp may always clear what the host asked for. */
	pdu_set_common(&response.common, PDU_IC_RESPONSE, sizeof(response), 0, sizeof(response));
	response.maxh2cdata = le32_of(queue->options.data_max);
	memcpy(stream_put(queue->stream, sizeof(response)), &response, sizeof(response));

	queue->state = QUEUE_CONNECTING;
	controller_set_state_deadline(queue, queue->options.deadlines.connect_ms);
	return go_on;
}

/* The slot has its buffer: fetch the data, or execute at once. */
static void go_on_with_buffer(struct slot *slot)
{
	struct request *request = slot_request(slot);

	request->data = slot->buffer.buffer;
	if (request->transfer == REQUEST_TO_HOST) {
		controller_execute(slot);
	} else if (request->capsule_bytes == 0) {
		controller_send_r2t(slot);
	} else {
		slot->state = SLOT_RECEIVING;
	}
}

static void buffer_granted(struct pool_request *buffer)
{
	struct slot *slot = container_of(buffer, struct slot, buffer);
	struct tcp_controller_queue *queue = slot->queue;

	/* The queue is withdrawing its requests, one of which made room: this one's turn comes. */
	if (queue->is_ended_told)
		return;
	go_on_with_buffer(slot);
	if (queue->capsule_slot == slot)
		controller_resume(queue);
}

/* Decide what happens to a begun request next. */
static void start_request(struct slot *slot)
{
	struct tcp_controller_queue *queue = slot->queue;
	struct request *request = slot_request(slot);

	if (request->transfer == REQUEST_NO_DATA || request->is_lending ||
		request->data_bytes == 0) {
		controller_execute(slot);
		return;
	}
	if (request->transfer == REQUEST_FROM_HOST && request->capsule_bytes > 0) {
		assert(request->capsule_bytes == request->data_bytes);
		queue->capsule_slot = slot;
	}
	slot->buffer.bytes = request->data_bytes;
	slot->buffer.granted = buffer_granted;
	slot->state = SLOT_WAITING_BUFFER;
	if (pool_take(loop_pool(queue->loop), &slot->buffer))
		go_on_with_buffer(slot);
}

static struct slot *begin_request(struct tcp_controller_queue *queue, const struct pdu *pdu)
{
	struct slot *slot = controller_take_slot(queue);
	struct request *request = slot_request(slot);
	uint16_t status;

	memcpy(&request->command, pdu->header + sizeof(struct pdu_common),
		sizeof(request->command));
	request->capsule_bytes = pdu->data_bytes;
	request->complete = controller_complete;
	request->transfer = REQUEST_NO_DATA;
	request->data_bytes = 0;
	request->is_lending = false;
	request->data = NULL;
	request->result = 0;
	request->status = 0;

	/* Base 2.0, 3.3.1.1: SQHD follows the last command fetched. */
	if (++queue->sqhd == queue->entries)
		queue->sqhd = 0;
	status = queue->handler->begin(queue->context, request);
	if (status != 0) {
		controller_refuse(slot, status);
		return NULL;
	}
	if (queue->is_ended_told) { /* begin() has ended it */
		queue->handler->abandon(queue->context, request);
		controller_free_slot(slot);
		return NULL;
	}
	queue->above_count++;
	return slot;
}

/* Where the data of the capsule just begun goes: nowhere if no request wants it. */
static struct receiver_answer capsule_place(const struct tcp_controller_queue *queue)
{
	struct slot *slot = queue->capsule_slot;

	if (slot == NULL)
		return go_on;
	if (slot->state == SLOT_WAITING_BUFFER)
		return hold;
	return (struct receiver_answer){.data = slot_request(slot)->data};
}

static struct receiver_answer take_command(struct tcp_controller_queue *queue,
	const struct pdu *pdu)
{
	struct slot *slot;

	if (queue->capsule_slot != NULL) /* held before, now offered again */
		return capsule_place(queue);
	if (queue->free_slots == NULL) {
		tcp_controller_queue_end(queue, "the host sent more commands than its queue holds");
		return go_on;
	}
	if (!controller_has_room(queue)) {
		queue->is_held_for_room = true;
		stream_tell_drained(queue->stream);
		return hold;
	}
	controller_watch_deadlines(queue);
	slot = begin_request(queue, pdu);
	if (slot == NULL)
		return go_on;
	start_request(slot);
	return capsule_place(queue);
}

/* 3.3.2.2: the data belongs to an R2T of ours, follows what came before and stays inside. */
static struct receiver_answer take_data(struct tcp_controller_queue *queue, const struct pdu *pdu)
{
	struct pdu_data data;
	struct request *request;
	struct slot *slot;
	uint32_t offset, left;
	uint16_t ttag;

	memcpy(&data, pdu->header, sizeof(data));
	ttag = le16_get(data.ttag);
	slot = ttag < queue->slot_count ? queue->slots[ttag] : NULL;
	if (slot == NULL || slot->state != SLOT_RECEIVING || !slot->has_r2t)
		return refuse(PDU_FES_HEADER_FIELD, offsetof(struct pdu_data, ttag));
	request = slot_request(slot);
	if (le16_get(data.cccid) != le16_get(request->command.cid))
		return refuse(PDU_FES_HEADER_FIELD, offsetof(struct pdu_data, cccid));
	offset = le32_get(data.datao);
	left = request->data_bytes - slot->received_bytes;
	if (offset > request->data_bytes || pdu->data_bytes > request->data_bytes - offset)
		return refuse(PDU_FES_OUT_OF_RANGE, 0);
	if (offset != slot->received_bytes)
		return refuse(PDU_FES_HEADER_FIELD, offsetof(struct pdu_data, datao));
	if (((pdu->flags & PDU_FLAG_LAST) != 0) != (pdu->data_bytes == left))
		return refuse(PDU_FES_HEADER_FIELD, offsetof(struct pdu_common, flags));
	return (struct receiver_answer){.data = request->data + offset};
}

static struct receiver_answer take_header(void *context, const struct pdu *pdu)
{
	struct tcp_controller_queue *queue = context;

	/* 3.3.1: ICReq is the first PDU and comes once. */
	if ((queue->state == QUEUE_INITIAL) != (pdu->type == PDU_IC_REQUEST) &&
		pdu->type != PDU_H2C_TERMINATE)
		return refuse(PDU_FES_SEQUENCE, 0);
	switch (pdu->type) {
	case PDU_IC_REQUEST:
		return take_ic_request(queue, pdu);
	case PDU_COMMAND:
		return take_command(queue, pdu);
	case PDU_H2C_DATA:
		return take_data(queue, pdu);
	case PDU_H2C_TERMINATE:
		/* Its quoted header is of no use to us: the host is about to close. */
		tcp_controller_queue_end(queue, "the host ended the connection with a TermReq");
		return go_on;
	case PDU_IC_RESPONSE:
	case PDU_C2H_TERMINATE:
	case PDU_RESPONSE:
	case PDU_C2H_DATA:
	case PDU_R2T:
		break; /* never: pdu_check_common() lets only H2C types pass */
	}
	return refuse(PDU_FES_HEADER_FIELD, 0);
}

static struct pdu_fault data_arrived(void *context, const struct pdu *pdu, bool is_intact)
{
	static const struct pdu_fault no_fault;
	struct tcp_controller_queue *queue = context;
	struct slot *slot;

	(void)is_intact;
	if (pdu->type == PDU_COMMAND) {
		slot = queue->capsule_slot;
		queue->capsule_slot = NULL;
	} else {
		struct pdu_data data;

		memcpy(&data, pdu->header, sizeof(data));
		slot = queue->slots[le16_get(data.ttag)];
		slot->received_bytes += pdu->data_bytes;
		if (slot->received_bytes < slot_request(slot)->data_bytes)
			return no_fault;
		list_remove(&slot->link);
	}
	if (slot != NULL)
		controller_execute(slot);
	return no_fault;
}

const struct receiver_handler controller_receiver_handler = {
	.header = take_header,
	.data = data_arrived,
	.fault = controller_terminate,
};
