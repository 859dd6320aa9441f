/*
 * The target's end of one queue pair: what the transport talks to. It belongs to the loop of the
 * transport's connection; what concerns the whole association happens on the loop of the admin
 * queue, reached by message.
 *
 * States:
 *   fresh       the first command must be Connect (Fabrics 1.1, 3.3); all else is refused
 *   connecting  Connect is being decided, perhaps by another loop
 *   live        commands of the controller's admin or I/O queue
 *   ended       the connection is lost or is being taken down; nothing new is begun
 *
 * The transport's duties: one begin() for each command in the order fetched; execute() as soon as
 * the data is there, in any order; target_queue_end() when the connection is lost or handler->end()
 * asked for it; target_queue_free() when no request is outstanding any more. A request is
 * outstanding from a begin() that returned 0 until complete() - or target_queue_abandon(), for one
 * whose data never came.
 *
 * tidy: allow parameters because a handler and its context are one thing
 */
#ifndef FERRY_TARGET_QUEUE_H
#define FERRY_TARGET_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nvme/request.h"

struct loop;
struct target;
struct target_queue;

/* What Connect settled. */
struct target_queue_parameters {
	uint16_t qid;             /* 0: the admin queue */
	uint16_t entries;         /* of the submission queue */
	bool is_flow_control_off; /* CATTR b2: no SQHD; SUCCESS may be flagged */
	bool is_kept_alive;       /* the controller has a keep alive timer (KATO not 0) */
	uint32_t capsule_bytes;   /* in-capsule data the host may send on this queue */
};

struct target_queue_handler {
	/* Connect succeeded; called before its complete(). Take the memory the queue needs.
	 * @return 0 or -ENOMEM: Connect then fails. */
	int (*connected)(void *context, const struct target_queue_parameters *parameters);
	/* The target ends this queue (controller torn down, keep alive expired...): close the
	 * connection after what is already completed has been sent, then target_queue_end().
	 * @reason a constant sentence for a log. May be called more than once. */
	void (*end)(void *context, const char *reason);
	/* The host of this admin queue has turned keep alive off: its death is noticed by the transport or
	 * not at all. */
	void (*keep_alive_off)(void *context);
	/* @return the outstanding request whose command has this id, NULL if there is none. */
	struct request *(*find)(void *context, uint16_t cid);
};

/* What the transport knows of the connection. */
struct target_queue_peer {
	const char *name; /* for messages; outlives the queue */
	const char
		*local_host; /* the address the host reached us at, without brackets; "" unknown */
	bool is_local_ipv6;
	uint16_t local_port; /* 0 unknown */
};

/** The bytes each request of a queue must lie in: the target keeps its state of the request behind
 *  struct request, which comes first. Zeroed once by the transport, before the first begin(). */
extern const size_t target_request_bytes;

/** @return 0 and the queue, owned by the transport, or -ENOMEM. */
int target_queue_new(struct target *target, struct loop *loop,
	const struct target_queue_handler *handler, void *context,
	const struct target_queue_peer *peer, struct target_queue **ret_queue)
	__attribute__((warn_unused_result));

/** Step 2 of request.h: check, and say what data moves. Also counts as the host being alive.
 *  @return 0, or the NVMe status that ends the command: the transport then completes it itself, with
 *  request->result (Connect tells there what was wrong). */
uint16_t target_queue_begin(struct target_queue *queue, struct request *request)
	__attribute__((warn_unused_result));

/** Step 4 of request.h. */
void target_queue_execute(struct target_queue *queue, struct request *request);

/** A request that was begun and will not be executed (its connection ended, or its data did not
 *  arrive intact). complete() is not called for it. */
void target_queue_abandon(struct target_queue *queue, struct request *request);

/** Lent memory of @request has been sent, or will not be. */
void target_queue_release(struct target_queue *queue, struct request *request);

/** Nothing more will be begun or executed. Held commands (Asynchronous Event Requests, one
 *  half of a fused pair) are completed at once, what is in a store as it ends. Legal more than once. */
void target_queue_end(struct target_queue *queue);

/** The queue id is free again, the controller hears of it. No request is outstanding. NULL is
 *  legal. */
void target_queue_free(struct target_queue *queue);

/** A name for messages: "nqn... controller 3 queue 1 (127.0.0.1:50123)". */
const char *target_queue_name(const struct target_queue *queue);

#endif
