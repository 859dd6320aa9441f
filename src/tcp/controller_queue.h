/*
 * The controller's end of one queue pair's transport: receives PDUs from a stream, makes requests
 * of capsules, fetches their data (in the capsule, or by R2T), hands them up, and sends C2HData and
 * completions back, in whatever order the requests end (NVMe/TCP 1.0, 3.3 and 3.5).
 *
 * States:
 *   initial     ICReq is awaited, under the deadline "initialize"
 *   connecting  one command at a time, the first being Connect, under the deadline "connect"
 *   running     Connect settled the queue's size: that many commands run at once
 *   ending      nothing is received any more; output is flushed, under the deadline "drain"; then our
 *               half is closed and the peer's close awaited, under the deadline "linger", or, after
 *               a TermReq, "terminate" (TCP 3.5.1: at most 30 s)
 *   closed      the stream is gone; requests that are still above come back, then closed() is called
 *
 * Memory: a fixed part at the start with one request; the requests and the output of the queue when
 * its size is known, which is address space until so many commands have been in flight at one time;
 * data buffers from the loop's pool. With the pool empty R2Ts are withheld, and in-capsule data goes
 * to one buffer of the queue's own; while that is taken the stream is paused (controller_buffer.c says
 * why it goes on again). No command fails for it.
 *
 * Digests: data whose digest is wrong fails its command with Transient Transport Error, once all of
 * the data asked for has come, and nothing else. Memory lent from above may change while it is sent:
 * with data digests it is copied into a buffer first.
 */
#ifndef FERRY_TCP_CONTROLLER_QUEUE_H
#define FERRY_TCP_CONTROLLER_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nvme/request.h"

struct stream;
struct tcp_controller_queue;

/* Deadlines in milliseconds, by the names the manual uses. */
struct tcp_deadlines {
	uint32_t initialize_ms; /* accept to ICReq; default 10000 */
	uint32_t connect_ms;    /* ICReq to a successful Connect; default 10000 */
	uint32_t capsule_ms;    /* first to last byte of a PDU; default 30000 */
	uint32_t data_ms;       /* R2T to the last byte of its data; default 60000 */
	uint32_t send_ms;       /* output, to the end of it or of its next 64 KiB; default 30000 */
	uint32_t drain_ms;      /* ending to closed; default 5000 */
	uint32_t linger_ms;     /* of these, all is sent to the peer's close; default 200 */
	uint32_t terminate_ms;  /* TermReq to the peer's close; default 5000, at most 30000 */
};

struct tcp_deadlines tcp_deadlines_default(void);

/* What the controller says to a host's wish for a digest. */
enum tcp_digest_policy {
	TCP_DIGEST_AS_ASKED, /* the host decides */
	TCP_DIGEST_REQUIRE,  /* a host that does not ask is refused by a TermReq */
	TCP_DIGEST_REFUSE,   /* never; a host may then give up */
};

struct tcp_controller_options {
	struct tcp_deadlines deadlines;
	uint32_t data_max;    /* MAXH2CDATA, 4096..16 MiB, a multiple of 4; default 256 KiB */
	uint32_t capsule_max; /* in-capsule data of any command that is read: the target's I/O
				  * limit or 8192, whichever is larger */
	enum tcp_digest_policy header_digest, data_digest;
	size_t request_bytes; /* of a request with what the upper layer keeps behind it */
};

/* The layer above (the target, joined by serve). */
struct tcp_controller_handler {
	uint16_t (*begin)(void *context, struct request *request);
	void (*execute)(void *context, struct request *request);
	void (*abandon)(void *context, struct request *request);
	void (*release)(void *context, struct request *request);
	/* The connection is lost: complete what is held. */
	void (*ended)(void *context);
	/* All requests are back; the owner frees the queue. Never from within a call of the owner's.
	 * @reason a sentence for the log, NULL when the host went in order. */
	void (*closed)(void *context, const char *reason);
};

/** Make a queue over @stream, which it owns from now on and starts (on failure too: it is freed).
 *  @return 0 and the queue, or -errno. */
int tcp_controller_queue_new(struct stream *stream, const struct tcp_controller_options *options,
	const struct tcp_controller_handler *handler, void *context,
	struct tcp_controller_queue **ret_queue) __attribute__((warn_unused_result));

/** Free a queue that is closed, or that has no request above. NULL is legal. */
void tcp_controller_queue_free(struct tcp_controller_queue *queue);

/** Connect is about to succeed: take memory for @entries commands.
 *  @param is_flow_control_off completions carry no SQHD
 *  @return 0, -ENOMEM, or -ENOTCONN when the connection has ended meanwhile. */
int tcp_controller_queue_size(struct tcp_controller_queue *queue, uint16_t entries,
	bool is_flow_control_off) __attribute__((warn_unused_result));

/** @return the request of command @cid that is above or awaits its data, NULL if there is none. */
struct request *tcp_controller_queue_find(struct tcp_controller_queue *queue, uint16_t cid);

/** End the connection once what is completed has been sent. On a queue that is ending already the
 *  peer's close after a TermReq is no longer awaited for more than the deadline "linger".
 *  @reason a constant sentence. */
void tcp_controller_queue_end(struct tcp_controller_queue *queue, const char *reason);

/** End the connection at once: what has not been sent is dropped.
 *  @reason a constant sentence, unless it was ending for another. */
void tcp_controller_queue_cut(struct tcp_controller_queue *queue, const char *reason);

/** @return whether the connection is ending, or has ended. */
bool tcp_controller_queue_is_ending(const struct tcp_controller_queue *queue);

#endif
