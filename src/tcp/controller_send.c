/*
 * The controller's end, sending: R2Ts, data and completions. Everything is put into the stream's
 * output, which leaves at the end of the loop's turn in one piece; data is lent from the buffer or
 * from the store itself.
 */
#include "tcp/controller_private.h"

#include <string.h>

#include "base/crc32c.h"

/* Put a PDU that is all header; *@pdu is used up. */
static inline void put_header(struct tcp_controller_queue *queue, void *pdu, uint8_t type,
	uint8_t bytes)
{
	uint32_t digest_bytes = queue->receiver.rules.has_header_digest ? PDU_DIGEST_BYTES : 0;
	struct pdu_common *common = pdu;
	uint8_t *place = stream_put(queue->stream, bytes + digest_bytes);

	pdu_set_common(common, (enum pdu_type)type, bytes, 0, bytes + digest_bytes);
	if (digest_bytes > 0)
		common->flags = PDU_FLAG_HEADER_DIGEST;
	memcpy(place, pdu, bytes);
	if (digest_bytes > 0)
		pdu_put_header_digest(place, bytes);
}

/* Completions carry the status above the phase bit, which fabrics leaves 0 (Base 2.0, 3.3.3.2). */
static void put_completion(struct tcp_controller_queue *queue, const struct nvme_command *command,
	uint64_t result, uint16_t status)
{
	struct pdu_response pdu;

	/* Fabrics 1.1, 2.2.2: SQHD is reserved when flow control is off; FFFFh says so. */
	uint16_t sqhd = queue->is_flow_control_off ? NVME_SQHD_DISABLED : queue->sqhd;

	pdu.completion = (struct nvme_completion){
		.dw0 = le32_of((uint32_t)result),
		.dw1 = le32_of((uint32_t)(result >> 32)),
		.sqhd = le16_of(sqhd),
		.cid = command->cid,
		.status = le16_of((uint16_t)(status << 1)),
	};
	put_header(queue, &pdu, PDU_RESPONSE, sizeof(pdu));
}

/* The data that is sent: what must match its digest is not in memory that others may change. */
static const uint8_t *data_to_send(const struct slot *slot, const struct request *request)
{
	if (!request->is_lending || !slot->queue->receiver.rules.has_data_digest)
		return request->data;
	memcpy(slot->buffer.buffer, request->data, request->data_bytes);
	return slot->buffer.buffer;
}

/* All data in one C2HData, padded to the host's alignment. @return whether it also says success, so
 * that no completion follows (3.3.2.1). */
static bool put_data(struct slot *slot)
{
	struct tcp_controller_queue *queue = slot->queue;
	struct request *request = slot_request(slot);
	const struct pdu_rules *rules = &queue->receiver.rules;
	const uint8_t *data = data_to_send(slot, request);
	uint8_t pdo = queue->data_pdo;
	bool is_success = queue->is_flow_control_off && request->result == 0;
	struct pdu_data pdu = {.cccid = request->command.cid,
		.datal = le32_of(request->data_bytes)};
	uint8_t *place = stream_put(queue->stream, pdo);

	pdu_set_common(&pdu.common, PDU_C2H_DATA, sizeof(pdu), pdo,
		pdo + request->data_bytes + (rules->has_data_digest ? PDU_DIGEST_BYTES : 0));
	pdu.common.flags = (uint8_t)(PDU_FLAG_LAST | (is_success ? PDU_FLAG_SUCCESS : 0) |
		(rules->has_header_digest ? PDU_FLAG_HEADER_DIGEST : 0) |
		(rules->has_data_digest ? PDU_FLAG_DATA_DIGEST : 0));
	memcpy(place, &pdu, sizeof(pdu));
	memset(place + sizeof(pdu), 0, pdo - sizeof(pdu));
	if (rules->has_header_digest)
		pdu_put_header_digest(place, sizeof(pdu));
	slot->state = SLOT_SENDING;
	controller_settle(slot);
	stream_lend(queue->stream, data, request->data_bytes, &slot->lease);
	if (rules->has_data_digest) {
		le32 digest = le32_of(crc32c(0, data, request->data_bytes));

		memcpy(stream_put(queue->stream, sizeof(digest)), &digest, sizeof(digest));
	}
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
		put_completion(queue, &request->command, request->result, request->status);
		controller_free_slot(slot);
	} else if (!put_data(slot)) {
		put_completion(queue, &request->command, request->result, request->status);
	}
	if (queue->state == QUEUE_ENDING)
		controller_check_end(queue);
}

void controller_refuse(struct slot *slot, uint16_t status)
{
	const struct request *request = slot_request(slot);

	if (slot->queue->stream != NULL && !slot->queue->is_terminating)
		put_completion(slot->queue, &request->command, request->result, status);
	controller_free_slot(slot);
}

void controller_refuse_cid(struct tcp_controller_queue *queue, const struct nvme_command *command)
{
	put_completion(queue, command, 0, NVME_STATUS_COMMAND_ID_CONFLICT);
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

	put_header(queue, &pdu, PDU_R2T, sizeof(pdu));
	slot->state = SLOT_RECEIVING;
	slot->has_r2t = true;
	slot->received_bytes = 0;
	slot->r2t_ns = loop_now_ns(queue->loop);
	list_append(&queue->receiving_slots, &slot->link);
	controller_watch_deadlines(queue);
}
