/*
 * What the files of the controller's queue share: the queue, its slots, and what one does for
 * another. controller_queue.c: life, deadlines, faults. controller_receive.c: capsules and data
 * coming in. controller_buffer.c: where data is meanwhile. controller_send.c: R2Ts, data and
 * completions going out.
 */
#ifndef FERRY_TCP_CONTROLLER_PRIVATE_H
#define FERRY_TCP_CONTROLLER_PRIVATE_H

#include "base/list.h"
#include "loop/loop.h"
#include "loop/pool.h"
#include "loop/stream.h"
#include "loop/timer.h"
#include "tcp/controller_queue.h"
#include "tcp/receiver.h"

/* Output of one command at the most: an R2T, or a C2HData header with digest and padding, its data
 * digest and a completion; and the pieces that makes. */
#define SLOT_PUT_BYTES (PDU_ALIGNMENT_MAX + 64u)
#define SLOT_PIECES    3u

/* Output that is no command's: ICResp and TermReq. */
#define QUEUE_PUT_BYTES (2u * PDU_TERMINATE_BYTES_MAX)
#define QUEUE_PIECES    2u

#define REASON_BYTES 128
#define CID_CHAINS   4096u /* of 16 CIDs each */

enum slot_state {
	SLOT_FREE,
	SLOT_WAITING_BUFFER, /* begun; there is no buffer for its data */
	SLOT_RECEIVING,      /* begun; data is on its way, in the capsule or by R2T */
	SLOT_EXECUTING,      /* above */
	SLOT_SENDING,        /* its data has not yet left */
};

/* One command in flight; struct request with the upper layer's part follows it. */
struct slot {
	struct list link; /* in receiving_slots after an R2T */
	struct slot *next_free;
	struct tcp_controller_queue *queue;
	struct pool_request buffer;
	struct stream_lease lease;
	enum slot_state state;
	uint16_t index;          /* the TTAG of its R2T */
	uint16_t next_of_cids;   /* in its chain: index + 1 of a slot; 0: none */
	bool has_r2t;            /* data is awaited by R2T, not in the capsule */
	bool is_damaged;         /* a digest of its data was wrong */
	uint32_t received_bytes; /* of the data that the R2T asked for */
	uint64_t r2t_ns;         /* when the R2T was put */
};

enum queue_state {
	QUEUE_INITIAL,
	QUEUE_CONNECTING,
	QUEUE_RUNNING,
	QUEUE_ENDING,
	QUEUE_CLOSED,
};

struct tcp_controller_queue {
	struct stream *stream;
	struct receiver receiver;
	struct tcp_controller_options options;
	const struct tcp_controller_handler *handler;
	void *context;
	enum queue_state state;
	bool is_flow_control_off;
	bool is_terminating; /* a TermReq was sent: nothing follows it */
	bool is_finished;    /* our half is to be closed when all is sent */
	bool is_flushed;     /* it is: only the peer's close is awaited */
	bool is_hurried;     /* ended a second time: that is not awaited for long */
	bool is_ended_told;
	bool is_held_for_room; /* a capsule is held until output has drained */
	uint8_t data_pdo;      /* where data begin in C2HData, by HPDA */
	uint16_t entries;
	uint16_t sqhd;
	unsigned busy_count;         /* slots not free */
	unsigned owing_count;        /* of them, those that have output still to put */
	unsigned above_count;        /* requests begun and not completed */
	struct slot *capsule_slot;   /* whose in-capsule data is arriving, or held for a buffer */
	struct slot *free_slots;     /* the one used last first: it is warm */
	struct list receiving_slots; /* by the age of their R2T */
	struct slot **slots;         /* by index; NULL: not yet used */
	unsigned slot_count;
	unsigned fresh_count;    /* slots 1..this were never used, their memory never touched */
	struct slot *first_slot; /* made at the start */
	char *other_slots;       /* from index 1 on */
	size_t slot_bytes;
	struct pool_share share;
	struct slot *own_slot; /* whose data is in own_buffer */
	uint8_t *own_buffer; /* of one command's in-capsule data, beside the pool; NULL: not made */
	struct timer timer;
	uint64_t state_deadline_ns; /* of initial, connecting, ending */
	uint64_t midway_ns;         /* since when a PDU is incomplete, 0: none is */
	uint32_t midway_index;      /* which PDU that is: receiver.pdu_count */
	struct loop *loop;
	struct loop_task closed_task;
	const char *reason;
	char reason_text[REASON_BYTES]; /* one that is not a constant */
	/* The commands that are owed a completion, by CID: each chain's first as in next_of_cids. */
	uint16_t first_of_cids[CID_CHAINS];
};

static inline struct request *slot_request(struct slot *slot)
{
	return (struct request *)(slot + 1);
}

static inline struct slot *slot_of(struct request *request)
{
	return (struct slot *)request - 1;
}

/** Whether the output has room for one more command beside those in flight. */
static inline bool controller_has_room(const struct tcp_controller_queue *queue)
{
	return stream_has_room(queue->stream,
		(queue->owing_count + 1) * SLOT_PUT_BYTES + QUEUE_PUT_BYTES,
		(queue->owing_count + 1) * SLOT_PIECES + QUEUE_PIECES);
}

/** Have the timer look at the deadlines soon enough for one that begins now. */
void controller_watch_deadlines(struct tcp_controller_queue *queue);

/** Give the present state @delay_ms from now on. */
void controller_set_state_deadline(struct tcp_controller_queue *queue, uint32_t delay_ms);

/** Offer the capsule that is held again. */
void controller_resume(struct tcp_controller_queue *queue);

/** Find a buffer for the data of a begun request, now or later, and go on. */
void controller_take_buffer(struct slot *slot);

/** Give the buffer back, or wait for one no longer. */
void controller_give_buffer(struct slot *slot);

/** The data of a begun request has a place: fetch it, or execute at once. */
void controller_go_on(struct slot *slot);

/** Hand the request up for execution. */
void controller_execute(struct slot *slot);

/** A request has ended: struct request.complete. */
void controller_complete(struct request *request);

/** Put an R2T for all of the slot's data. */
void controller_send_r2t(struct slot *slot);

/** Put a completion for a request that is not above. */
void controller_refuse(struct slot *slot, uint16_t status);

/** Put a completion for @command, whose CID is that of another in flight. */
void controller_refuse_cid(struct tcp_controller_queue *queue, const struct nvme_command *command);

/** @return the slot whose command is owed a completion and has this @cid, or NULL. */
static inline struct slot *controller_slot_of_cid(const struct tcp_controller_queue *queue,
	uint16_t cid)
{
	unsigned next = queue->first_of_cids[cid % CID_CHAINS];

	while (next != 0) {
		struct slot *slot = queue->slots[next - 1];

		if (le16_get(slot_request(slot)->command.cid) == cid)
			return slot;
		next = slot->next_of_cids;
	}
	return NULL;
}

/** The slot's command is owed a completion, or no longer is. */
static inline void controller_enter_cid(struct slot *slot)
{
	uint16_t cid = le16_get(slot_request(slot)->command.cid);
	uint16_t *first = &slot->queue->first_of_cids[cid % CID_CHAINS];

	slot->next_of_cids = *first;
	*first = (uint16_t)(slot->index + 1);
}

static inline void controller_remove_cid(struct slot *slot)
{
	struct tcp_controller_queue *queue = slot->queue;
	uint16_t cid = le16_get(slot_request(slot)->command.cid);
	uint16_t *place = &queue->first_of_cids[cid % CID_CHAINS];

	while (*place != slot->index + 1)
		place = &queue->slots[*place - 1]->next_of_cids;
	*place = slot->next_of_cids;
}

/** Give back what the slot holds and free it. */
void controller_free_slot(struct slot *slot);

/** @return whether a command more can be in flight. */
static inline bool controller_has_slot(const struct tcp_controller_queue *queue)
{
	return queue->free_slots != NULL || queue->fresh_count > 0;
}

/** Make a fresh slot free. */
void controller_make_slot(struct tcp_controller_queue *queue);

/** Take a free slot, of which there is one, for @command. */
static inline struct slot *controller_take_slot(struct tcp_controller_queue *queue,
	const struct nvme_command *command)
{
	struct slot *slot;

	if (queue->free_slots == NULL)
		controller_make_slot(queue);
	slot = queue->free_slots;
	queue->free_slots = slot->next_free;
	queue->busy_count++;
	queue->owing_count++;
	slot_request(slot)->command = *command;
	controller_enter_cid(slot);
	return slot;
}

/** The slot's completion is put, or will not be. */
static inline void controller_settle(struct slot *slot)
{
	slot->queue->owing_count--;
	controller_remove_cid(slot);
}

/** The host broke a rule: say so in a TermReq and end (struct receiver_handler.fault). */
void controller_terminate(void *context, struct pdu_fault fault, const uint8_t *header,
	size_t header_bytes);

/** If nothing is left to be done on a queue that is ending or closed, finish it. */
void controller_check_end(struct tcp_controller_queue *queue);

extern const struct receiver_handler controller_receiver_handler;

#endif
