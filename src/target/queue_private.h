/*
 * A queue as the parts of the target see it. It is made, and all its commands run, on its own loop.
 * An I/O queue is attached to its controller by two messages, there and back; taken off by two
 * more, of which the second frees it. The controller's order to end comes by a third kind. The
 * controller posts all of them from its loop, so that nothing comes after the last.
 */
#ifndef FERRY_TARGET_QUEUE_PRIVATE_H
#define FERRY_TARGET_QUEUE_PRIVATE_H

#include <stdatomic.h>

#include "loop/loop.h"
#include "nvme/nqn.h"
#include "target/counters.h"
#include "target/queue.h"
#include "target/target_request.h"

struct controller;
struct namespace;

#define TARGET_QUEUE_PEER_MAX  128 /* bytes of a peer's name that are kept */
#define TARGET_QUEUE_LOCAL_MAX 64

enum target_queue_state {
	TARGET_QUEUE_FRESH,      /* the first command must be Connect */
	TARGET_QUEUE_CONNECTING, /* the controller's loop decides */
	TARGET_QUEUE_LIVE,       /* commands are executed */
	TARGET_QUEUE_ENDED,      /* nothing new is begun */
};

struct target_queue {
	/* Read by every I/O command. */
	enum target_queue_state state;
	bool is_io;
	_Atomic bool has_traffic; /* since the controller looked last; relaxed */
	uint32_t capsule_bytes;   /* in-capsule data that a command may have */
	uint32_t data_max;        /* data of one command */
	uint32_t namespace_count;
	const struct namespace *namespaces;
	struct loop *loop;
	struct counters counters;
	struct series_buffer buffer; /* of its commands */
	struct series_budget budget;
	struct fence_site *site; /* of its loop */
	struct fused_opening fused;
	unsigned half_count; /* of fused pairs, that have memory for their data */

	struct target *target;
	struct controller *controller; /* referenced; NULL while fresh */
	uint16_t qid;
	uint16_t entries;
	bool is_flow_control_off;
	bool is_attached;   /* the controller's table has it */
	bool is_kept_alive; /* as the controller was when it took the queue */
	bool is_freed;      /* the transport is gone; only the controller still knows the queue */
	bool is_end_posted; /* the controller's loop's: told to end */
	const char *end_reason;
	const struct target_queue_handler *handler;
	void *context;

	struct loop_message message; /* of attaching and taking off */
	struct loop_message end_message;
	struct target_request *connect; /* while connecting */
	nvme_status connect_status;
	uint32_t connect_result;
	const char *refusal; /* of Connect, where its status says too little; NULL */

	bool is_local_ipv6;
	uint16_t local_port;
	char local_host[TARGET_QUEUE_LOCAL_MAX];
	char peer[TARGET_QUEUE_PEER_MAX];
	char name[2 * NVME_NQN_TEXT_MAX + TARGET_QUEUE_PEER_MAX + 64];
};

/** Go to the next state. */
void target_queue_set_state(struct target_queue *queue, enum target_queue_state state);

/** Connect has made the queue known as queue @queue->qid of its controller: go live, if the
 *  transport has the memory for it. @return success, or the status with which Connect fails. */
nvme_status target_queue_go_live(struct target_queue *queue) __attribute__((warn_unused_result));

/** Tell an attached queue to end, from its controller's loop. Once is enough. */
void target_queue_post_end(struct target_queue *queue, const char *reason);

#endif
