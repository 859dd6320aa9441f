/*
 * A controller: the association of one host with one subsystem. It belongs to the loop of its admin
 * queue, on which everything here happens but what says otherwise. Commands of I/O queues never
 * ask it anything but its few atomics.
 *
 * States:
 *   alive  the admin queue is there
 *   dying  the admin queue is lost, keep alive has expired or the target shuts down: all queues are
 *          told to end, none is attached any more. The id is kept until the last one has gone, with
 *          all it had in a store: a host that comes back never overtakes its own old writes
 *   gone   no queue is attached, the id is free; memory lasts as long as references
 *
 * References: the subsystem's list, each queue, an order to end or a notice under way, a shutdown's
 * flush.
 */
#ifndef FERRY_TARGET_CONTROLLER_H
#define FERRY_TARGET_CONTROLLER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "nvme/feature.h"
#include "nvme/nqn.h"
#include "nvme/status.h"
#include "target/async_event.h"
#include "target/error_log.h"
#include "target/flush.h"
#include "target/target.h"

struct discovery_view;
struct subsystem;
struct target_queue;

#define CONTROLLER_KEEP_ALIVE_UNIT_MS 1000 /* KAS, rounded up to */
/* How long a discovery controller waits for a command where its host asked for no keep alive: Base
 * 2.0, 3.1.2.3. */
#define CONTROLLER_DISCOVERY_IDLE_MS 120000

enum controller_state {
	CONTROLLER_ALIVE,
	CONTROLLER_DYING,
	CONTROLLER_GONE,
};

/* Who connects, as Connect says. */
struct controller_host {
	uint8_t id[NVME_HOST_ID_BYTES];
	char nqn[NVME_NQN_TEXT_MAX];
};

/* Features that are only kept: nothing here depends on them. */
struct controller_features {
	uint32_t arbitration;    /* 01h */
	uint32_t power;          /* 02h */
	uint16_t temperature[2]; /* 04h, the composite one: over, under; K */
	uint32_t atomicity;      /* 0Ah */
	uint32_t events;         /* 0Bh */
	uint64_t timestamp_ms;   /* 0Eh, at the next */
	uint64_t timestamp_at_ns;
	bool is_timestamp_set;
	struct nvme_host_behavior behavior; /* 16h */
};

struct controller {
	/* constant */
	struct subsystem *subsystem;
	struct loop *loop;
	struct controller_host host;
	uint16_t cntlid;

	/* the subsystem's mutex */
	struct list link;
	unsigned io_queue_count;

	_Atomic unsigned reference_count;
	_Atomic bool is_write_through; /* feature 06h is off; relaxed */
	struct error_log errors;       /* has its own mutex */
	atomic_flag is_end_posted;
	struct loop_message end_message;
	atomic_flag is_notice_posted;
	struct loop_message notice_message;
	/* A bit for each namespace that has changed since log 04h was read, by nsid - 1. */
	_Atomic uint64_t changed[TARGET_NAMESPACES_MAX / 64];

	/* the loop's */
	enum controller_state state;
	uint32_t cc;
	uint32_t csts;
	bool is_resetting; /* EN went to 0: RDY follows when the I/O queues have gone */
	uint32_t kato_ms;
	uint32_t queue_count; /* feature 07h: I/O queues granted */
	struct controller_features features;
	struct timer keep_alive_timer;
	struct async_events events;
	struct discovery_view *view; /* what discovery told last, or NULL */
	unsigned abort_count;        /* Aborts under way */
	struct flush shutdown_flush;
	bool is_flushing;
	bool is_flush_wanted; /* once more, since one was under way when it was asked for */
	unsigned attached_count;
	struct target_queue *queues[]; /* by qid, io_queues_max + 1 of them */
};

/** Make a controller for the admin queue @queue, which is attached to it.
 *  @return success with the queue's controller set, or the status with which Connect fails, and
 *  perhaps the queue's refusal. */
nvme_status controller_new(struct subsystem *subsystem, const struct controller_host *host,
	struct target_queue *queue, uint32_t kato_ms) __attribute__((warn_unused_result));

/** From any thread, by one who has a reference or the subsystem's mutex. */
void controller_ref(struct controller *controller);

/** From any thread. NULL is legal. */
void controller_unref(struct controller *controller);

/** Attach the I/O queue @queue, whose qid is set.
 *  @return success or the status with which Connect fails, with its @ret_result and perhaps the
 *  queue's refusal. */
nvme_status controller_attach(struct controller *controller, struct target_queue *queue,
	uint32_t *ret_result) __attribute__((warn_unused_result));

/** An attached queue has gone: its id is free again. */
void controller_detach(struct controller *controller, struct target_queue *queue);

/** The association ends: all queues are told to. Legal more than once.
 *  @param reason a constant clause for the log and for the queues */
void controller_end(struct controller *controller, const char *reason);

/** Have the controller's loop end it. From any thread, with the subsystem's mutex held. */
void controller_post_end(struct controller *controller);

/** What the features are before a host sets them. */
struct controller_features controller_features_default(void);

/** The namespace @nsid has changed: log 04h says so, and the host is told if it wants to be. From
 *  any thread, with the subsystem's mutex held. */
void controller_note_namespace(struct controller *controller, uint32_t nsid);

/** What a discovery controller tells has changed. As above. */
void controller_note_discovery(struct controller *controller);

/** @return the NVME_OAES_ bits of the notices there are. */
uint32_t controller_notices(const struct controller *controller);

/** Set feature 0Bh. What has happened already is told if it is wanted now. */
void controller_set_events(struct controller *controller, uint32_t configuration);

/** @return bits, of namespaces 64 * @index + 1 on, that have changed since this was last asked
 *  without @is_kept. */
uint64_t controller_changed(struct controller *controller, size_t index, bool is_kept);

/** Set KATO, 0 for none, and start the time anew. The admin queue's transport is told when its host
 *  is no longer looked after. */
void controller_set_keep_alive(struct controller *controller, uint32_t kato_ms);

/** Take a new value of CC (Base 2.0, 3.1.3.5). @return success or Invalid Field. */
nvme_status controller_set_cc(struct controller *controller, uint32_t cc)
	__attribute__((warn_unused_result));

/** @return whether the controller is enabled and ready, and not about to be reset. */
bool controller_is_ready(const struct controller *controller);

/** @return whether an I/O queue is attached. */
bool controller_has_io_queue(const struct controller *controller);

#endif
