/*
 * A channel: messages between the broker, which listens, and its spawner, or one of its workers. It is
 * a pair of AF_UNIX sockets of SOCK_SEQPACKET, so that a message is whole or not there, and may carry a
 * descriptor.
 *
 * Neither end trusts the other: a worker runs what a guest wants. What is received is of a type that
 * this way of the channel has, of exactly its form, within its limits, and has a descriptor if and only
 * if its type has one; all else is -EBADMSG, and leaves no descriptor behind.
 *
 * The end of a channel ends the worker, and the spawner with all workers.
 *
 * | OFFSET | SIZE | MEANING |
 * |---|---|---|
 * | 0 | 4 | type |
 * | 4 | 4 | value: see enum channel_type, else 0 |
 * | 8 | 8 | id of SPAWN, KILL, SPAWNED and ENDED, else 0 |
 * | 16 | | body: COOKIE, FORKED: 16 bytes; COUNTS: struct channel_counts; ADOPT: struct handover; |
 * |    | | LOG, TRACE, SANDBOX: text without NUL |
 *
 * Both ends are of one program, so numbers are the machine's own.
 */
#ifndef FERRY_KERNEL_CHANNEL_H
#define FERRY_KERNEL_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "sysproxy/handover.h"
#include "sysproxy/wire.h"

#define CHANNEL_TEXT_MAX 1024u /* bytes with NUL; longer text is cut */

enum channel_way {
	CHANNEL_TO_SPAWNER,
	CHANNEL_FROM_SPAWNER,
	CHANNEL_TO_WORKER,
	CHANNEL_FROM_WORKER,
};

enum channel_type {
	/* to the spawner */
	CHANNEL_SPAWN = 1, /* fork worker `id`, whose channel is the descriptor */
	CHANNEL_KILL,      /* end worker `id`, which does not end by itself */
	/* from the spawner */
	CHANNEL_SANDBOX, /* once, first: value 0 and what its walls are, or -errno and what failed */
	CHANNEL_SPAWNED, /* worker `id` is there: value 0; or could not be forked: -errno */
	CHANNEL_ENDED,   /* worker `id` has gone; value: its wait status */
	/* to a worker */
	CHANNEL_ADOPT,       /* the connection `fd` is for your process: its session, or a lane */
	CHANNEL_FORK_ANSWER, /* to FORKED: value 0, or -errno: the child has been ended */
	/* from a worker */
	CHANNEL_COOKIE, /* my process's lanes are named by `cookie`, and by no other any more */
	CHANNEL_FORKED, /* a child waits for a client that says `cookie`; the descriptor is its channel.
			 * Answered, in order */
	CHANNEL_LOG,    /* value: enum log_level */
	CHANNEL_TRACE,  /* a call has been made; the line says which */
	CHANNEL_COUNTS, /* the last message of a worker that ends in order */
};

/* What a worker has done in all. */
struct channel_counts {
	uint64_t calls;
	uint64_t failures; /* of these, that returned an error */
	uint64_t refusals; /* of these, by a policy */
};

struct channel_message {
	enum channel_type type;
	int32_t value;
	uint64_t id;
	/* -1: none. Of a message that was received it is the receiver's; sent, it stays the sender's. */
	int fd;
	struct wire_cookie cookie;
	struct channel_counts counts;
	struct handover handover;    /* of ADOPT; its connection is `fd` */
	char text[CHANNEL_TEXT_MAX]; /* printable ASCII when received */
};

/** Make a channel, both ends close-on-exec. @return 0 or -errno. */
int channel_pair(int ret_fds[2]) __attribute__((warn_unused_result));

/** Send @message, which is legal. From any thread.
 *  @param flags 0: wait for room; MSG_DONTWAIT: -EAGAIN if there is none
 *  @return 0; -EPIPE: nobody is there; or another -errno of sendmsg(). */
int channel_send(int channel, const struct channel_message *message, int flags)
	__attribute__((warn_unused_result));

/** Receive a message; its descriptor is close-on-exec.
 *  @param way which messages may come
 *  @param flags 0: wait for one; MSG_DONTWAIT: -EAGAIN if there is none
 *  @return 0; -EPIPE: nobody is there, and nothing is left; -EBADMSG: not a legal message, which has
 *  been dropped; -EMFILE: its descriptor had no room, and is lost; or another -errno of recvmsg(). */
int channel_receive(int channel, enum channel_way way, int flags,
	struct channel_message *ret_message) __attribute__((warn_unused_result));

#endif
