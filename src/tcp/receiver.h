/*
 * The receive machine of one queue, the same at both ends: cuts the stream's bytes into PDUs, checks
 * each header before anything is believed, and places the data where the owner wants it, by way of
 * the stream straight into its final place when it has not arrived yet.
 *
 * States:
 *   header   bytes of a header are awaited (it is kept here only while it is incomplete)
 *   held     the owner has no place for the data yet; the stream is paused
 *   padding, data, digest   what follows the header is on its way
 *   dead     a fault was found or receiver_stop() called; all that comes is dropped
 */
#ifndef FERRY_TCP_RECEIVER_H
#define FERRY_TCP_RECEIVER_H

#include "tcp/pdu.h"

struct stream;

/* What the owner says to a PDU. */
struct receiver_answer {
	struct pdu_fault fault; /* PDU_FES_NONE: go on */
	bool is_held;  /* the stream is paused and the PDU offered again by receiver_resume() */
	uint8_t *data; /* where its data_bytes go; NULL: they are dropped */
};

struct receiver_handler {
	/* A checked PDU. Without data that is all of it. */
	struct receiver_answer (*header)(void *context, const struct pdu *pdu);
	/* The data of the PDU last offered is in its place; @is_intact: its digest matched, or it
	 * has none. Not called for a PDU without data. */
	struct pdu_fault (*data)(void *context, const struct pdu *pdu, bool is_intact);
	/* The peer broke a rule; the receiver is dead. @header_bytes bytes at @header are what it
	 * sent. */
	void (*fault)(void *context, struct pdu_fault fault, const uint8_t *header,
		size_t header_bytes);
};

enum receiver_state {
	RECEIVER_HEADER,
	RECEIVER_HELD,
	RECEIVER_PADDING,
	RECEIVER_DATA,
	RECEIVER_DIGEST,
	RECEIVER_DEAD,
};

struct receiver {
	struct pdu_rules rules; /* changed by the owner when they are negotiated */
	const struct receiver_handler *handler;
	void *context;
	struct stream *stream;
	enum receiver_state state;
	struct pdu pdu; /* the PDU whose data is awaited; its header is in header */
	uint8_t *data;
	uint32_t moved_bytes; /* of the present state */
	uint32_t crc;
	uint32_t pdu_count; /* of those that are over; wraps */
	uint32_t header_used;
	uint8_t header[PDU_HEADER_MAX + PDU_DIGEST_BYTES];
	uint8_t digest[PDU_DIGEST_BYTES];
};

void receiver_init(struct receiver *receiver, struct stream *stream,
	const struct receiver_handler *handler, void *context);

/** Take what the stream received (stream_handler.received).
 *  @return the bytes taken. */
size_t receiver_take(struct receiver *receiver, size_t direct_bytes, const uint8_t *data,
	size_t bytes);

/** Offer the held PDU again; the stream goes on if it is not held anew. */
void receiver_resume(struct receiver *receiver);

/** Drop all that still comes. */
void receiver_stop(struct receiver *receiver);

/** @return whether part of a PDU has arrived and the rest is awaited from the peer. */
static inline bool receiver_is_midway(const struct receiver *receiver)
{
	if (receiver->state == RECEIVER_HEADER)
		return receiver->header_used > 0;
	return receiver->state != RECEIVER_DEAD && receiver->state != RECEIVER_HELD;
}

#endif
