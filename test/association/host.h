/*
 * A host with its association to one of the subsystems: it connects an admin queue, enables the
 * controller, connects I/O queues, and then uses its namespaces at random, checks what it finds
 * against the model, and breaks off, resets, shuts down, falls silent and aborts as the world's seed
 * will have it. What fails is connected anew after a while.
 *
 * States:
 *   off        no queue; the timer starts it again
 *   starting   the admin queue is being connected and the controller enabled
 *   running    I/O queues are connected and used
 *   resetting  CC.EN was cleared; when CSTS.RDY is clear too it is enabled again
 *   leaving    CC.SHN was set; when CSTS.SHST says complete, or CSTS.CFS that it failed, the host breaks off
 *   silent     nothing is sent until the controller ends, which it must; the timer watches that
 */
#ifndef FERRY_TEST_ASSOCIATION_HOST_H
#define FERRY_TEST_ASSOCIATION_HOST_H

#include "loop/timer.h"
#include "nvme/command.h"
#include "nvme/status.h"
#include "tcp/host_queue.h"
#include "test/association/model.h"
#include "test/association/world.h"

#define HOST_QUEUES_MAX      4 /* with the admin queue */
#define HOST_OPERATIONS_MAX  12
#define HOST_OPERATION_BYTES (64u << 10)
#define HOST_KATO_MS         2000 /* of a host that may fall silent */

struct host;
struct host_queue;
struct operation;

enum operation_kind {
	OPERATION_PLAIN, /* no read, no write of blocks */
	OPERATION_READ,
	OPERATION_WRITE, /* of data, zeros or a copy, deallocation, marking bad */
	OPERATION_COMPARE,
	OPERATION_VERIFY,
	OPERATION_FLUSH,
	OPERATION_COUNT, /* of a counter: fused_work.c */
};

/* One command of a queue. */
struct operation {
	struct tcp_host_command command; /* first */
	struct host_queue *queue;
	/* The command ended with @status; not called when the queue failed. */
	void (*then)(struct operation *operation, nvme_status status);
	bool is_busy;
	enum operation_kind kind;
	struct medium *medium;
	struct model_range range;                  /* of what is read or written */
	struct model_range sources[MODEL_SOURCES]; /* of a copy */
	bool is_durable;
	/* Of a counter: what a read must find at least, what a half is to leave; and the other half,
	 * which has the same id and may have ended. */
	uint64_t number;
	struct operation *partner;
	uint64_t partner_id;
	bool must_fail, must_run; /* as the other half has ended */
	uint32_t write;
	uint64_t start;    /* by the model's time */
	uint64_t start_ns; /* by the clock */
	uint8_t *data;
};

struct host_queue {
	struct host *host;
	uint16_t qid, entries;
	bool is_connected, is_flow_control_off;
	/* The association has sent Abort for a command here: its id, and even the queue, may be
	 * another's when Abort comes. */
	bool is_aborted;
	uint32_t era;
	struct tcp_host_queue *transport; /* NULL: none */
	struct operation operations[HOST_OPERATIONS_MAX];
};

enum host_state {
	HOST_OFF,
	HOST_STARTING,
	HOST_RUNNING,
	HOST_RESETTING,
	HOST_LEAVING,
	HOST_SILENT,
};

/* A change of a namespace that the log page must tell of. */
struct host_change {
	bool is_expected;
	uint64_t time_ns; /* of the change */
};

struct host {
	struct world *world;
	unsigned index;
	enum host_state state;
	unsigned subsystem;
	uint16_t cntlid;
	uint32_t kato_ms;
	uint64_t shutdown_time; /* by the model's time: when the host began to leave */
	unsigned queue_count;   /* with the admin queue */
	bool has_header_digest, has_data_digest;
	bool is_told_changes;                         /* the feature is set: changes are told */
	struct host_change changes[WORLD_NAMESPACES]; /* by nsid - 1 */
	struct timer timer; /* start anew, or connect queues that are missing; or silence is over */
	struct timer poll_timer;  /* look at CSTS again */
	struct timer alive_timer; /* send Keep Alive */
	struct host_queue queues[HOST_QUEUES_MAX];
};

/** Make a host, the caller's, that starts after a while. */
struct host *host_new(struct world *world, unsigned index);
void host_free(struct host *host);

/** Break off all queues; start again later unless the world has nothing left to do. */
void host_break_off(struct host *host);

/** Break off one I/O queue, to be connected again later. */
void host_drop_queue(struct host_queue *queue);

/** Break off all I/O queues at once; nothing is connected anew. */
void host_close_io_queues(struct host *host);

/** Connect the I/O queues that are not. */
void host_connect_missing(struct host *host);

/** Send nothing more, and see that the controller ends. Only with a keep alive timeout. */
void host_fall_silent(struct host *host);

/** A namespace is about to change: what the host asks for from later on must tell. */
void host_expect_event(struct host *host, unsigned subsystem, uint32_t nsid);

/** @return whether any command of an I/O queue is outstanding. */
bool host_is_busy(const struct host *host);

/** Fail the world if bits were flipped on a queue that goes on as if nothing had been. Nothing is
 *  outstanding on I/O queues. */
void host_check_damage(const struct host *host);

/* fabrics.c: Connect, and what a host does by properties. */

/** The transport of @queue is ready: connect it; the admin queue also enables the controller. */
void host_queue_connect(struct host_queue *queue);

/** Clear CC.EN, and all that follows. */
void host_reset_controller(struct host *host);

/** Set CC.SHN, and all that follows. */
void host_shut_down(struct host *host);

void host_poll(struct host *host);

/* operation.c */

/** @return a free operation of @queue with a command of zeros, NULL: none is free. */
struct operation *operation_take(struct host_queue *queue, uint8_t opcode);

/** Give @operation data of @bytes bytes of its own. */
void operation_set_data(struct operation *operation, enum tcp_host_transfer transfer,
	uint32_t bytes);

/** Submit it. @return whether it is on its way; else it is free again. */
bool operation_submit(struct operation *operation);

/** Free what is not submitted. NULL is legal. */
void operation_drop(struct operation *operation);

/** Fail the world unless there is a reason for @status, which is not success. */
void operation_check_failure(struct operation *operation, nvme_status status);

/* io_work.c, admin_work.c and fused_work.c */

/** Keep a connected queue busy with random operations. */
void host_queue_work(struct host_queue *queue);

/** What comes after an operation of host_queue_work(). */
void host_queue_work_done(struct operation *operation, nvme_status status);

/** Submit a random command. */
void host_queue_work_io(struct host_queue *queue);
void host_queue_work_admin(struct host_queue *queue);

/** Read a counter, and count one more. */
void host_queue_count(struct host_queue *queue);

/** Have changes of namespaces told. */
void host_ask_for_events(struct host *host);

/** Submit Keep Alive. */
void host_keep_alive(struct host *host);

/** What a read has found, perhaps still there. */
void host_queue_compare(const struct operation *read);

#endif
