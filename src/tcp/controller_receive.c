/*
 * The controller's end, receiving: ICReq, capsules and H2CData. A capsule becomes a request in a
 * slot; its data lands in the slot's buffer, which the R2T or the capsule's place in the stream
 * waits for. What cannot be begun yet, for want of a buffer or of output room, is held in the
 * receiver, so that the peer is stopped by its window.
 */
#include "tcp/controller_private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct receiver_answer go_on;
static const struct receiver_answer hold = {.is_held = true};

static struct receiver_answer refuse(enum pdu_fes fes, uint32_t fei)
{
	return (struct receiver_answer){.fault = {fes, fei}};
}

/* 3.3.1: a digest is used when both ends want it.
 * @return whether the host may be served; if so, what is used in *ret_dgst */
static bool agree_on_digests(struct tcp_controller_queue *queue, uint8_t asked, uint8_t *ret_dgst)
{
	const struct {
		enum tcp_digest_policy policy;
		uint8_t bit;
		const char *name;
	} digests[] = {
		{queue->options.header_digest, PDU_IC_FLAG_HEADER_DIGEST, "header"},
		{queue->options.data_digest, PDU_IC_FLAG_DATA_DIGEST, "data"},
	};
	uint8_t agreed = 0;

	for (unsigned i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
		bool is_asked = (asked & digests[i].bit) != 0;

		if (!is_asked && digests[i].policy == TCP_DIGEST_REQUIRE) {
			(void)snprintf(queue->reason_text, sizeof(queue->reason_text),
				"the host does not ask for %s digests, which are required",
				digests[i].name);
			return false;
		}
		if (is_asked && digests[i].policy != TCP_DIGEST_REFUSE)
			agreed |= digests[i].bit;
	}
	*ret_dgst = agreed;
	return true;
}

/* 3.3.1: the digests, the controller's alignment (none), its data limit. MAXR2T is honoured by asking
 * for all of a command's data with one R2T. */
static struct receiver_answer take_ic_request(struct tcp_controller_queue *queue,
	const struct pdu *pdu)
{
	struct pdu_rules *rules = &queue->receiver.rules;
	struct pdu_ic_request ic;
	struct pdu_ic_response response = {0};

	memcpy(&ic, pdu->header, sizeof(ic));
	if (!agree_on_digests(queue, ic.dgst, &response.dgst))
		return refuse(PDU_FES_UNSUPPORTED, offsetof(struct pdu_ic_request, dgst));
	rules->has_header_digest = (response.dgst & PDU_IC_FLAG_HEADER_DIGEST) != 0;
	rules->has_data_digest = (response.dgst & PDU_IC_FLAG_DATA_DIGEST) != 0;
	queue->data_pdo = pdu_data_offset(sizeof(struct pdu_data) +
			(rules->has_header_digest ? PDU_DIGEST_BYTES : 0),
		ic.hpda);
	pdu_set_common(&response.common, PDU_IC_RESPONSE, sizeof(response), 0, sizeof(response));
	response.maxh2cdata = le32_of(queue->options.data_max);
	memcpy(stream_put(queue->stream, sizeof(response)), &response, sizeof(response));

	queue->state = QUEUE_CONNECTING;
	controller_set_state_deadline(queue, queue->options.deadlines.connect_ms);
	return go_on;
}

/* Decide what happens to a begun request next. */
static void start_request(struct slot *slot)
{
	struct tcp_controller_queue *queue = slot->queue;
	struct request *request = slot_request(slot);

	if (request->transfer == REQUEST_NO_DATA || request->data_bytes == 0 ||
		(request->is_lending && !queue->receiver.rules.has_data_digest)) {
		controller_execute(slot);
		return;
	}
	if (request->transfer == REQUEST_FROM_HOST && request->capsule_bytes > 0) {
		assert(request->capsule_bytes == request->data_bytes);
		queue->capsule_slot = slot;
	}
	if (request->data != NULL)
		controller_go_on(slot);
	else
		controller_take_buffer(slot);
}

static struct slot *begin_request(struct tcp_controller_queue *queue, const struct pdu *pdu)
{
	struct nvme_command command;
	struct request *request;
	struct slot *slot;
	uint16_t status;

	/* Base 2.0, 3.3.1.1: SQHD follows the last command fetched. */
	if (++queue->sqhd == queue->entries)
		queue->sqhd = 0;
	memcpy(&command, pdu->header + sizeof(struct pdu_common), sizeof(command));
	if (controller_slot_of_cid(queue, le16_get(command.cid)) != NULL) {
		controller_refuse_cid(queue, &command);
		return NULL;
	}
	slot = controller_take_slot(queue, &command);
	request = slot_request(slot);
	request->capsule_bytes = pdu->data_bytes;
	request->complete = controller_complete;
	request->transfer = REQUEST_NO_DATA;
	request->data_bytes = 0;
	request->is_lending = false;
	request->data = NULL;
	request->result = 0;
	request->status = 0;
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
	if (!controller_has_slot(queue)) {
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

/* Its quoted header is of no use to us: the host is about to close. */
static struct receiver_answer take_terminate(struct tcp_controller_queue *queue,
	const struct pdu *pdu)
{
	unsigned fes = le16_load(pdu->header + offsetof(struct pdu_terminate, fes));

	(void)snprintf(queue->reason_text, sizeof(queue->reason_text),
		"the host ended the connection with a TermReq: %s (FES %u, FEI %xh)",
		pdu_fes_text(fes), fes,
		le32_load(pdu->header + offsetof(struct pdu_terminate, fei)));
	tcp_controller_queue_end(queue, queue->reason_text);
	return go_on;
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
		return take_terminate(queue, pdu);
	case PDU_IC_RESPONSE:
	case PDU_C2H_TERMINATE:
	case PDU_RESPONSE:
	case PDU_C2H_DATA:
	case PDU_R2T:
		break; /* never: pdu_check_common() lets only H2C types pass */
	}
	return refuse(PDU_FES_HEADER_FIELD, 0);
}

/* 3.3.1.2: the command fails, not the connection. */
static void fail_damaged(struct slot *slot)
{
	struct tcp_controller_queue *queue = slot->queue;
	struct request *request = slot_request(slot);

	request->result = 0;
	request->status = NVME_STATUS_TRANSIENT_TRANSPORT_ERROR;
	queue->above_count--;
	queue->handler->abandon(queue->context, request);
	controller_refuse(slot, request->status);
}

static struct pdu_fault data_arrived(void *context, const struct pdu *pdu, bool is_intact)
{
	static const struct pdu_fault no_fault;
	struct tcp_controller_queue *queue = context;
	struct slot *slot;

	if (pdu->type == PDU_COMMAND) {
		slot = queue->capsule_slot;
		queue->capsule_slot = NULL;
	} else {
		struct pdu_data data;

		memcpy(&data, pdu->header, sizeof(data));
		slot = queue->slots[le16_get(data.ttag)];
		slot->received_bytes += pdu->data_bytes;
		/* All that the R2T asks for still comes, and must find its slot. */
		slot->is_damaged = slot->is_damaged || !is_intact;
		if (slot->received_bytes < slot_request(slot)->data_bytes)
			return no_fault;
		list_remove(&slot->link);
	}
	if (slot == NULL)
		return no_fault;
	if (slot->is_damaged || !is_intact)
		fail_damaged(slot);
	else
		controller_execute(slot);
	return no_fault;
}

const struct receiver_handler controller_receiver_handler = {
	.header = take_header,
	.data = data_arrived,
	.fault = controller_terminate,
};
