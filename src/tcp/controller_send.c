/*
 * The controller's end, sending: R2Ts, data and completions. Everything is put into the stream's
 * output, which leaves at the end of the loop's turn in one piece; data is lent from the buffer or
 * from the store itself.
 */
#include "tcp/controller_private.h"

#include <string.h>

/* Completions carry the status above the phase bit, which fabrics leaves 0 (Base 2.0, 3.3.3.2). */
static void put_completion(struct slot *slot, uint64_t result, uint16_t status)
{
	struct tcp_controller_queue *queue = slot->queue;
	struct request *request = slot_request(slot);
	struct pdu_response pdu;

	/* Fabrics 1.1, 2.2.2: SQHD is reserved when flow control is off; FFFFh says so. */
	uint16_t sqhd = queue->is_flow_control_off ? NVME_SQHD_DISABLED : queue->sqhd;

	pdu_set_common(&pdu.common, PDU_RESPONSE, sizeof(pdu), 0, sizeof(pdu));
	pdu.completion = (struct nvme_completion){
		.dw0 = le32_of((uint32_t)result),
		.dw1 = le32_of((uint32_t)(result >> 32)),
		.sqhd = le16_of(sqhd),
		.cid = request->command.cid,
		.status = le16_of((uint16_t)(status << 1)),
	};
	memcpy(stream_put(queue->stream, sizeof(pdu)), &pdu, sizeof(pdu));
}

/* All data in one C2HData, padded to the host's alignment. @return whether it also says success, so
 * that no completion follows (3.3.2.1). */
static bool put_data(struct slot *slot)
{
	struct tcp_controller_queue *queue = slot->queue;
	struct request *request = slot_request(slot);
	uint32_t alignment = (queue->host_pda + 1u) * 4;
	uint32_t pdo = (uint32_t)(sizeof(struct pdu_data) + alignment - 1) / alignment * alignment;
	bool is_success = queue->is_flow_control_off && request->result == 0;
	struct pdu_data pdu = {.cccid = request->command.cid,
		.datal = le32_of(request->data_bytes)};
	uint8_t *place = stream_put(queue->stream, pdo);

	pdu_set_common(&pdu.common, PDU_C2H_DATA, sizeof(pdu), (uint8_t)pdo,
		pdo + request->data_bytes);
	pdu.common.flags = (uint8_t)(PDU_FLAG_LAST | (is_success ? PDU_FLAG_SUCCESS : 0));
	memcpy(place, &pdu, sizeof(pdu));
	memset(place + sizeof(pdu), 0, pdo - sizeof(pdu));
	slot->state = SLOT_SENDING;
	queue->owing_count--;
	stream_lend(queue->stream, request->data, request->data_bytes, &slot->lease);
	return is_success;
}

static void data_returned(struct stream_lease *lease, bool is_sent)
{
	struct slot *slot = container_of(lease, struct slot, lease);
	struct tcp_controller_queue *queue = slot->queue;

	(void)is_sent; /* a stream that failed tells so itself */
	controller_free_slot(slot);
	controller_check_end(queue);
}

void controller_execute(struct slot *slot)
{
	slot->state = SLOT_EXECUTING;
	slot->queue->handler->execute(slot->queue->context, slot_request(slot));
}

void controller_complete(struct request *request)
{
	struct slot *slot = slot_of(request);
	struct tcp_controller_queue *queue = slot->queue;
	bool has_data = request->transfer == REQUEST_TO_HOST && request->data_bytes > 0 &&
		request->status == 0;

	queue->above_count--;
	if (queue->stream == NULL || queue->is_terminating) {
		controller_free_slot(slot);
		controller_check_end(queue);
		return;
	}
	controller_watch_deadlines(queue);
	slot->lease.returned = data_returned;
	if (!has_data) {
		put_completion(slot, request->result, request->status);
		controller_free_slot(slot);
	} else if (!put_data(slot)) {
		put_completion(slot, request->result, request->status);
	}
	if (queue->state == QUEUE_ENDING)
		controller_check_end(queue);
}

void controller_refuse(struct slot *slot, uint16_t status)
{
	if (slot->queue->stream != NULL && !slot->queue->is_terminating)
		put_completion(slot, slot_request(slot)->result, status);
	controller_free_slot(slot);
}

void controller_send_r2t(struct slot *slot)
{
	struct tcp_controller_queue *queue = slot->queue;
	struct request *request = slot_request(slot);
	struct pdu_r2t pdu = {
		.cccid = request->command.cid,
		.ttag = le16_of(slot->index),
		.r2tl = le32_of(request->data_bytes),
	};

	pdu_set_common(&pdu.common, PDU_R2T, sizeof(pdu), 0, sizeof(pdu));
	memcpy(stream_put(queue->stream, sizeof(pdu)), &pdu, sizeof(pdu));
	slot->state = SLOT_RECEIVING;
	slot->has_r2t = true;
	slot->received_bytes = 0;
	slot->r2t_ns = loop_now_ns(queue->loop);
	list_append(&queue->receiving_slots, &slot->link);
	controller_watch_deadlines(queue);
}
