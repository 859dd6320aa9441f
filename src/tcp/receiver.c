/*
 * The hot path is a run of complete capsules in the loop's receive buffer: they are checked and
 * handed up where they lie. A header is copied only when it is incomplete or when data follows it,
 * since the PDU must then outlive the buffer.
 */
#include "tcp/receiver.h"

#include <assert.h>
#include <string.h>

#include "base/crc32c.h"
#include "loop/stream.h"

void receiver_init(struct receiver *receiver, struct stream *stream,
	const struct receiver_handler *handler, void *context)
{
	*receiver = (struct receiver){.handler = handler,
		.context = context,
		.stream = stream,
		.state = RECEIVER_HEADER};
}

void receiver_stop(struct receiver *receiver)
{
	receiver->state = RECEIVER_DEAD;
	stream_direct(receiver->stream, NULL, 0);
}

static void fail(struct receiver *receiver, struct pdu_fault fault, const uint8_t *header,
	size_t header_bytes)
{
	receiver_stop(receiver);
	receiver->handler->fault(receiver->context, fault, header, header_bytes);
}

static void next_pdu(struct receiver *receiver)
{
	receiver->state = RECEIVER_HEADER;
	receiver->header_used = 0;
	receiver->pdu_count++;
}

/* A digest, if there is one, is complete: the PDU is over. */
static void end_pdu(struct receiver *receiver, bool is_intact)
{
	struct pdu_fault fault;

	next_pdu(receiver);
	fault = receiver->handler->data(receiver->context, &receiver->pdu, is_intact);
	if (fault.fes != PDU_FES_NONE)
		fail(receiver, fault, receiver->pdu.header, receiver->pdu.header_bytes);
}

static void end_data(struct receiver *receiver)
{
	receiver->moved_bytes = 0;
	if (receiver->pdu.has_data_digest)
		receiver->state = RECEIVER_DIGEST;
	else
		end_pdu(receiver, true);
}

/* Offer the PDU in receiver->pdu, whose header is kept, and prepare for its data. */
static void offer(struct receiver *receiver)
{
	struct receiver_answer answer =
		receiver->handler->header(receiver->context, &receiver->pdu);

	if (receiver->state == RECEIVER_DEAD)
		return;
	if (answer.fault.fes != PDU_FES_NONE) {
		fail(receiver, answer.fault, receiver->pdu.header, receiver->pdu.header_bytes);
		return;
	}
	if (answer.is_held) {
		receiver->state = RECEIVER_HELD;
		stream_pause(receiver->stream);
		return;
	}
	receiver->data = answer.data;
	receiver->moved_bytes = 0;
	receiver->crc = 0;
	if (receiver->pdu.data_bytes == 0) {
		next_pdu(receiver);
	} else {
		receiver->state =
			receiver->pdu.padding_bytes > 0 ? RECEIVER_PADDING : RECEIVER_DATA;
	}
}

void receiver_resume(struct receiver *receiver)
{
	if (receiver->state != RECEIVER_HELD)
		return;
	offer(receiver);
	if (receiver->state != RECEIVER_HELD)
		stream_resume(receiver->stream);
}

/* A whole header lies at @header: check it and hand it up. */
static void take_header(struct receiver *receiver, const uint8_t *header)
{
	struct receiver_answer answer;
	struct pdu_common common;
	struct pdu_fault fault;
	struct pdu pdu;

	fault = pdu_check(&receiver->rules, header, &pdu);
	if (fault.fes != PDU_FES_NONE) {
		memcpy(&common, header, sizeof(common));
		fail(receiver, fault, header, common.hlen);
		return;
	}
	if (pdu.data_bytes == 0) {
		receiver->header_used = 0;
		answer = receiver->handler->header(receiver->context, &pdu);
		if (answer.fault.fes != PDU_FES_NONE && receiver->state != RECEIVER_DEAD)
			fail(receiver, answer.fault, header, pdu.header_bytes);
		if (!answer.is_held || receiver->state == RECEIVER_DEAD) {
			receiver->pdu_count++;
			return;
		}
	}
	if (header != receiver->header)
		memcpy(receiver->header, header, pdu.header_bytes);
	pdu.header = receiver->header;
	receiver->pdu = pdu;
	if (pdu.data_bytes > 0) {
		offer(receiver);
		return;
	}
	receiver->state = RECEIVER_HELD;
	stream_pause(receiver->stream);
}

/* @return bytes of a header wanted by what is known of it, 0 after a fault. */
static size_t header_wanted(struct receiver *receiver, const uint8_t *header, size_t bytes)
{
	struct pdu_common common;
	struct pdu_fault fault;

	if (bytes < sizeof(common))
		return sizeof(common);
	memcpy(&common, header, sizeof(common));
	fault = pdu_check_common(&receiver->rules, &common);
	if (fault.fes != PDU_FES_NONE) {
		fail(receiver, fault, header, sizeof(common));
		return 0;
	}
	return pdu_header_bytes(&receiver->rules, &common);
}

static size_t take_header_bytes(struct receiver *receiver, const uint8_t *data, size_t bytes)
{
	size_t wanted, part, taken = 0;

	if (receiver->header_used == 0) {
		wanted = header_wanted(receiver, data, bytes);
		if (wanted == 0)
			return bytes;
		if (wanted <= bytes) {
			take_header(receiver, data);
			return wanted;
		}
	}
	/* In pieces: first the common header, which is judged as soon as it is whole, then what it
	 * asks for. */
	for (;;) {
		wanted = header_wanted(receiver, receiver->header, receiver->header_used);
		if (wanted == 0)
			return bytes;
		if (wanted == receiver->header_used) {
			take_header(receiver, receiver->header);
			return taken;
		}
		if (taken == bytes)
			return taken;
		part = wanted - receiver->header_used;
		part = part < bytes - taken ? part : bytes - taken;
		memcpy(receiver->header + receiver->header_used, data + taken, part);
		receiver->header_used += (uint32_t)part;
		taken += part;
	}
}

/* @bytes more data bytes are in place (or dropped). */
static void advance_data(struct receiver *receiver, const uint8_t *at, size_t bytes)
{
	if (receiver->pdu.has_data_digest)
		receiver->crc = crc32c(receiver->crc, at, bytes);
	receiver->moved_bytes += (uint32_t)bytes;
	if (receiver->moved_bytes == receiver->pdu.data_bytes)
		end_data(receiver);
}

static size_t take_data(struct receiver *receiver, const uint8_t *data, size_t bytes)
{
	size_t part = receiver->pdu.data_bytes - receiver->moved_bytes;

	part = part < bytes ? part : bytes;
	if (receiver->data != NULL)
		memcpy(receiver->data + receiver->moved_bytes, data, part);
	advance_data(receiver, data, part);
	return part;
}

static size_t take_padding(struct receiver *receiver, size_t bytes)
{
	size_t part = receiver->pdu.padding_bytes - receiver->moved_bytes;

	part = part < bytes ? part : bytes;
	receiver->moved_bytes += (uint32_t)part;
	if (receiver->moved_bytes == receiver->pdu.padding_bytes) {
		receiver->moved_bytes = 0;
		receiver->state = RECEIVER_DATA;
	}
	return part;
}

static size_t take_digest(struct receiver *receiver, const uint8_t *data, size_t bytes)
{
	size_t part = PDU_DIGEST_BYTES - receiver->moved_bytes;

	part = part < bytes ? part : bytes;
	memcpy(receiver->digest + receiver->moved_bytes, data, part);
	receiver->moved_bytes += (uint32_t)part;
	if (receiver->moved_bytes == PDU_DIGEST_BYTES)
		end_pdu(receiver, le32_load(receiver->digest) == receiver->crc);
	return part;
}

static size_t take_some(struct receiver *receiver, const uint8_t *data, size_t bytes)
{
	switch (receiver->state) {
	case RECEIVER_HEADER:
		return take_header_bytes(receiver, data, bytes);
	case RECEIVER_PADDING:
		return take_padding(receiver, bytes);
	case RECEIVER_DATA:
		return take_data(receiver, data, bytes);
	case RECEIVER_DIGEST:
		return take_digest(receiver, data, bytes);
	case RECEIVER_HELD:
		return 0;
	case RECEIVER_DEAD:
		return bytes;
	}
	return bytes;
}

size_t receiver_take(struct receiver *receiver, size_t direct_bytes, const uint8_t *data,
	size_t bytes)
{
	size_t taken = 0;

	if (direct_bytes > 0 && receiver->state == RECEIVER_DATA) {
		assert(direct_bytes <= receiver->pdu.data_bytes - receiver->moved_bytes);
		advance_data(receiver, receiver->data + receiver->moved_bytes, direct_bytes);
	}
	while (taken < bytes && receiver->state != RECEIVER_HELD)
		taken += take_some(receiver, data + taken, bytes - taken);
	if (receiver->state == RECEIVER_DATA && receiver->data != NULL)
		stream_direct(receiver->stream, receiver->data + receiver->moved_bytes,
			receiver->pdu.data_bytes - receiver->moved_bytes);
	return taken;
}
