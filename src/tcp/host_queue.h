/*
 * The host's end of one queue pair: a submission and a completion queue over one stream (NVMe/TCP
 * 1.0, 3.3). It exchanges ICReq and ICResp, sends command capsules, answers R2Ts, places C2HData
 * where the command wants it, and checks all that the controller sends before it believes it. It
 * knows no command's meaning: Connect and everything else is the caller's.
 *
 * States:
 *   opening  the stream connects, then ICReq is sent and ICResp awaited
 *   ready    commands go and come
 *   failed   the stream ended or the controller broke a rule; each command ends with an error
 *
 * A read whose data digest is wrong ends with Transient Transport Error as its status, and nothing
 * else ends.
 *
 * A controller that broke a rule is told so by H2CTermReq and has TCP_HOST_TERMINATE_MS to close,
 * during which nothing it sends is looked at; then the queue has failed.
 */
#ifndef FERRY_TCP_HOST_QUEUE_H
#define FERRY_TCP_HOST_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nvme/command.h"
#include "nvme/completion.h"

struct stream;
struct tcp_host_queue;

#define TCP_HOST_ENTRIES_MAX    1024 /* commands of one queue in flight, plus one */
#define TCP_HOST_IC_TIMEOUT_MS  10000
#define TCP_HOST_TERMINATE_MS   1000
#define TCP_HOST_REASON_MAX     160
#define TCP_ADMIN_CAPSULE_BYTES 8192 /* NVMe/TCP: always allowed for admin and fabrics commands */

enum tcp_host_transfer {
	TCP_HOST_NO_DATA,
	TCP_HOST_READ,  /* controller to host, into data */
	TCP_HOST_WRITE, /* host to controller, from data */
};

/* One command, embedded in its owner; the queue's from submit until done(). */
struct tcp_host_command {
	/* Everything but cid, flags' PSDT and the SGL, which the queue sets. */
	struct nvme_command command;
	enum tcp_host_transfer transfer;
	void *data;
	uint32_t data_bytes;
	/* The end: error 0 and a completion whose status may still be a failure, or -errno when the
	 * queue ended first (the command may or may not have been executed). */
	void (*done)(struct tcp_host_command *command);
	int error;
	struct nvme_completion completion;
	uint16_t cid; /* set by submit; what Abort names it by */
};

struct tcp_host_queue_options {
	bool is_admin;    /* in-capsule data to 8192 bytes whatever capsule_data_bytes says */
	uint16_t entries; /* of the submission queue, 2..TCP_HOST_ENTRIES_MAX */
	uint32_t capsule_data_bytes; /* in-capsule data of an I/O command, from IOCCSZ; 0: none */
	bool is_flow_control_off;    /* asked for in Connect: SUCCESS flags are legal */
	bool has_header_digest;      /* asked for in ICReq; a controller that refuses is refused */
	bool has_data_digest;
};

struct tcp_host_queue_handler {
	/* ICResp is here: commands may be submitted. */
	void (*ready)(void *context);
	/* The queue has failed and each command has been done() with an error. @error is a negative
	 * errno: -EPROTO when the controller broke a rule, -ETIMEDOUT, -ECONNRESET, -EPIPE (ended in
	 * order)...; @reason a sentence, valid during the call. The owner then frees the queue. Never
	 * called from within a call of the owner's. */
	void (*failed)(void *context, int error, const char *reason);
};

/** Make a queue over @stream, which it owns from now on and starts (on failure too: it is freed).
 *  @return 0 and the queue, or -errno. */
int tcp_host_queue_new(struct stream *stream, const struct tcp_host_queue_options *options,
	const struct tcp_host_queue_handler *handler, void *context,
	struct tcp_host_queue **ret_queue) __attribute__((warn_unused_result));

/** Free a queue and its stream. Commands outstanding are done() with -ECANCELED before this returns.
 *  NULL is legal. */
void tcp_host_queue_free(struct tcp_host_queue *queue);

/** Send @command. It goes out at the end of the loop's turn.
 *  @return 0, -EAGAIN when entries - 1 are outstanding or output is full, -ENOTCONN when not
 *  ready. */
int tcp_host_queue_submit(struct tcp_host_queue *queue, struct tcp_host_command *command)
	__attribute__((warn_unused_result));

/** @return commands submitted and not yet done. */
unsigned tcp_host_queue_outstanding(const struct tcp_host_queue *queue);

#endif
