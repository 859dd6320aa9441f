/*
 * A host with its association: it connects an admin queue, enables the controller, connects I/O
 * queues, and then reads, writes, zeroes, deallocates, compares and flushes at random, checks what it finds against the model, and
 * breaks off, resets and aborts as the world's seed will have it. What fails is connected anew after
 * a while.
 *
 * States:
 *   off        no queue; the timer starts it again
 *   starting   the admin queue is being connected and the controller enabled
 *   running    I/O queues are connected and used
 *   resetting  CC.EN was cleared; when CSTS.RDY is clear too it is enabled again
 */
#ifndef FERRY_TEST_ASSOCIATION_HOST_H
#define FERRY_TEST_ASSOCIATION_HOST_H

#include "loop/timer.h"
#include "nvme/command.h"
#include "nvme/status.h"
#include "tcp/host_queue.h"
#include "test/association/model.h"

#define HOST_QUEUES_MAX      4 /* with the admin queue */
#define HOST_OPERATIONS_MAX  12
#define HOST_OPERATION_BYTES (64u << 10)

struct host;
struct host_queue;
struct operation;
struct world;

enum operation_kind {
	OPERATION_PLAIN, /* no read, no write of blocks */
	OPERATION_READ,
	OPERATION_WRITE, /* of data or of zeros, or deallocation */
	OPERATION_COMPARE,
	OPERATION_KINDS,
};

/* One command of a queue. */
struct operation {
	struct tcp_host_command command; /* first */
	struct host_queue *queue;
	/* The command ended with @status; not called when the queue failed. */
	void (*then)(struct operation *operation, nvme_status status);
	bool is_busy;
	enum operation_kind kind;
	struct model *model;
	struct model_range range;
	uint32_t write;
	uint64_t start;
	uint8_t *data;
};

struct host_queue {
	struct host *host;
	uint16_t qid, entries;
	bool is_connected, is_flow_control_off;
	/* Abort was sent for a command here: its id may be another's when Abort comes. */
	bool is_aborted;
	uint32_t era;
	struct tcp_host_queue *transport; /* NULL: none */
	struct operation operations[HOST_OPERATIONS_MAX];
};

enum host_state { HOST_OFF, HOST_STARTING, HOST_RUNNING, HOST_RESETTING };

struct host {
	struct world *world;
	unsigned index;
	enum host_state state;
	uint16_t cntlid;
	unsigned queue_count; /* with the admin queue */
	bool has_header_digest, has_data_digest;
	struct timer timer;      /* start anew, or connect queues that are missing */
	struct timer poll_timer; /* look at CSTS again */
	struct host_queue queues[HOST_QUEUES_MAX];
};

/** Make a host, the caller's, that starts after a while. */
struct host *host_new(struct world *world, unsigned index);
void host_free(struct host *host);

/** Break off all queues; start again later unless the world has nothing left to do. */
void host_break_off(struct host *host);

/** Break off one I/O queue, to be connected again later. */
void host_drop_queue(struct host_queue *queue);

/** Clear CC.EN, and all that follows. */
void host_reset_controller(struct host *host);

/** @return whether any command of an I/O queue is outstanding. */
bool host_is_busy(const struct host *host);

/* operation.c */

/** @return a free operation of @queue with a command of zeros, NULL: none is free. */
struct operation *operation_take(struct host_queue *queue, uint8_t opcode);

/** Give @operation data of @bytes bytes of its own. */
void operation_set_data(struct operation *operation, enum tcp_host_transfer transfer,
	uint32_t bytes);

/** Submit it. @return whether it is on its way; else it is free again. */
bool operation_submit(struct operation *operation);

/** Keep a connected queue busy with random operations. */
void host_queue_work(struct host_queue *queue);

#endif
