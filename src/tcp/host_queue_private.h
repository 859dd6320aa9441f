/*
 * What the host's end of a queue is made of: host_queue.c is its life and its commands' beginning
 * and end, host_send.c what goes out, host_receive.c what comes in.
 *
 * A slot holds one outstanding command; its index is the low part of the command's CID, and the
 * rest of the CID counts the slot's uses, so that an answer that is late or invented meets a CID
 * that is no longer there. A slot ends when its completion is here and none of the owner's memory
 * is in the stream's output any more.
 *
 * Any done() or other call of the owner's may free the queue. So what the loop calls runs between
 * host_queue_enter() and host_queue_leave(): the state is FAILED once the queue is freed, the
 * receiver is dead, and the memory stays until the last leave.
 */
#ifndef FERRY_TCP_HOST_QUEUE_PRIVATE_H
#define FERRY_TCP_HOST_QUEUE_PRIVATE_H

#include "base/list.h"
#include "loop/stream.h"
#include "loop/timer.h"
#include "tcp/host_queue.h"
#include "tcp/pdu.h"
#include "tcp/receiver.h"

#define HOST_SLOT_MASK   (TCP_HOST_ENTRIES_MAX - 1u) /* of a CID: the slot's index */
#define HOST_SLOT_NONE   UINT16_MAX
#define HOST_DATA_WINDOW 64 /* H2CData PDUs put into the output and not yet sent */

enum host_queue_state {
	HOST_QUEUE_OPENING,     /* ICResp is awaited, under the timer */
	HOST_QUEUE_READY,       /* commands go and come */
	HOST_QUEUE_TERMINATING, /* H2CTermReq is out: the close is awaited, under the timer */
	HOST_QUEUE_FAILED,      /* the stream is gone, or the queue is freed */
};

struct host_slot {
	struct tcp_host_queue *queue;
	struct tcp_host_command *command; /* NULL: the slot is free */
	struct stream_lease lease;        /* of each piece of the command's data */
	uint64_t sent_at;                 /* queue->put_bytes with the capsule in it */
	struct list sending;              /* of queue->sending while granted_bytes are left */
	uint32_t moved_bytes;             /* of the data: received, or put into the output */
	uint32_t granted_bytes;           /* of the present R2T, not yet put into the output */
	uint16_t ttag;                    /* of the present R2T */
	uint16_t cid;
	uint16_t lent_count; /* pieces of the command's data in the output */
	uint16_t next_free;
	bool is_in_capsule; /* the data went with the command */
	bool is_completed;  /* done() waits for the lent pieces only */
	bool is_last_seen;  /* C2HData with LAST_PDU came */
	bool is_damaged;    /* a data digest did not match */
};

struct tcp_host_queue {
	struct stream *stream; /* NULL once failed */
	const struct tcp_host_queue_handler *handler;
	void *context;
	struct tcp_host_queue_options options;
	enum host_queue_state state;
	unsigned busy; /* depth of host_queue_enter() */
	bool is_freed;
	struct receiver receiver;
	struct timer timer;
	uint32_t maxh2cdata;         /* from ICResp */
	uint64_t put_bytes;          /* ever put into the output for commands */
	uint8_t command_pdo;         /* where data begin in a capsule, by CPDA */
	uint8_t data_pdo;            /* and in H2CData */
	struct list sending;         /* slots whose R2T is being answered, oldest first */
	unsigned unsent_data_count;  /* H2CData PDUs in the output, to HOST_DATA_WINDOW */
	struct host_slot *receiving; /* whose C2HData is on its way */
	unsigned outstanding;
	uint16_t first_free;
	int error; /* for failed(), as are these words; "" until something went wrong */
	char reason[TCP_HOST_REASON_MAX];
	struct host_slot slots[]; /* entries - 1 */
};

static inline void host_queue_enter(struct tcp_host_queue *queue)
{
	queue->busy++;
}

/** The queue may be gone after this. */
void host_queue_leave(struct tcp_host_queue *queue);

/** ICResp is here: have room for the output that commands make, and tell the owner.
 *  @return 0 or -ENOMEM. */
int host_queue_become_ready(struct tcp_host_queue *queue) __attribute__((warn_unused_result));

/** Receive no more; fail with @error when the peer has closed or had its time to. */
void host_queue_terminate(struct tcp_host_queue *queue, int error);

/** End the slot's command, whose data is not lent: done(). */
void host_slot_end(struct host_slot *slot, int error);

/** The slot's completion is here: end it now or when nothing of it is in the output. */
void host_slot_complete(struct host_slot *slot, const struct nvme_completion *completion);

/** Set the words for failed(), unless it has some. */
void host_queue_say(struct tcp_host_queue *queue, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** @return the digests asked for, as in DGST. */
static inline uint8_t host_queue_digests(const struct tcp_host_queue *queue)
{
	return (uint8_t)((queue->options.has_header_digest ? PDU_IC_FLAG_HEADER_DIGEST : 0) |
		(queue->options.has_data_digest ? PDU_IC_FLAG_DATA_DIGEST : 0));
}

/* host_send.c */

/** @return put bytes and pieces to reserve for the output of all commands. */
size_t host_send_put_bytes(const struct tcp_host_queue *queue);
unsigned host_send_pieces(const struct tcp_host_queue *queue);

/** @return whether there is room for one more command, whatever R2Ts may come. */
bool host_send_has_room(const struct tcp_host_queue *queue);

void host_send_ic_request(struct tcp_host_queue *queue);
void host_send_command(struct host_slot *slot);
void host_send_terminate(struct tcp_host_queue *queue, struct pdu_fault fault,
	const uint8_t *header, size_t header_bytes);

/** Send what R2Ts have asked for, as far as the window allows. */
void host_send_data(struct tcp_host_queue *queue);

/** The return of each lent piece. */
void host_send_returned(struct stream_lease *lease, bool is_sent);

extern const struct receiver_handler host_receiver_handler;

#endif
