/*
 * What an association is made of. association.c is its life and its queues; connect.c the steps on
 * the admin queue by which it becomes ready or is shut down; identify.c what the target's Identify
 * data mean.
 */
#ifndef FERRY_HOST_ASSOCIATION_PRIVATE_H
#define FERRY_HOST_ASSOCIATION_PRIVATE_H

#include "host/association.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "nvme/identify.h"

#define ASSOCIATION_ADMIN_ENTRIES 32
#define ASSOCIATION_POLL_MS       10 /* between two looks at CSTS */

enum association_state {
	ASSOCIATION_CONNECTING,
	ASSOCIATION_READY,
	ASSOCIATION_SHUTTING_DOWN,
	ASSOCIATION_ENDED,
};

struct io_queue {
	struct association *association;
	struct tcp_host_queue *queue;
	struct tcp_host_command connect;
	uint16_t qid;
	bool is_flow_control_off; /* asked for; not every controller allows it */
	bool is_connected;
};

/* One admin command of a sequence. */
struct association_step {
	const char *name;
	void (*prepare)(struct association *association, struct tcp_host_command *command);
	/* The command succeeded. @return 0: next step; STEP_AGAIN: ask again after a while;
	 * -errno: refused, and association_say() was called. */
	int (*take)(struct association *association, const struct nvme_completion *completion);
	/* It failed. NULL: the association ends with the status. @return as take(). */
	int (*take_failure)(struct association *association,
		const struct nvme_completion *completion);
};

#define STEP_AGAIN 1

struct association {
	struct loop *loop;
	struct association_options options;
	const struct association_handler *handler;
	void *context;
	enum association_state state;
	unsigned attempt; /* the address in use */
	struct tcp_host_queue *admin;
	bool is_admin_ready;
	const struct association_step *step; /* of the sequence that runs; its end has no name */
	void (*sequence_done)(struct association *association);
	struct tcp_host_command command; /* of the step */
	uint64_t ready_deadline_ns;      /* for CSTS.RDY */
	uint32_t cc;
	struct timer deadline; /* of connecting, then of shutting down */
	struct timer poll;     /* the step again */
	struct loop_task begin;
	struct timer keep_alive_timer;
	struct tcp_host_command keep_alive;
	uint64_t keep_alive_sent_ns; /* 0: none is out */
	bool has_traffic;            /* since the timer fired last */
	struct association_facts facts;
	unsigned next_queue;
	unsigned connected_count;
	struct io_queue io_queues[ASSOCIATION_IO_QUEUES_MAX];
	struct nvme_connect_data connect_data;
	char problem[ASSOCIATION_PROBLEM_MAX];
	uint8_t page[NVME_IDENTIFY_BYTES]; /* what the step's command reads */
};

/* The sequences. */
extern const struct association_step association_connect_steps[];
extern const struct association_step association_discovery_steps[];
extern const struct association_step association_shutdown_steps[];

/** Fill a Connect of queue @qid with @entries entries. */
void association_prepare_connect(struct association *association, struct tcp_host_command *command,
	uint16_t qid, uint16_t entries, bool is_flow_control_off);

/** Say why a Connect was refused. @return the -errno. */
int association_refuse_connect(struct association *association,
	const struct nvme_completion *completion, uint16_t qid);

/** Take facts from the page of Identify. @return 0, or -errno when the target is of no use, which
 *  association_say() has told. */
int association_take_controller(struct association *association)
	__attribute__((warn_unused_result));
int association_take_discovery_controller(struct association *association)
	__attribute__((warn_unused_result));
int association_take_namespace(struct association *association) __attribute__((warn_unused_result));
void association_take_descriptors(struct association *association);

/** Set the sentence about the end, unless there is one. */
void association_say(struct association *association, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
