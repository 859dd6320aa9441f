/*
 * A session: the first connection of a process, on the server's loop. All that a process says but on
 * lanes comes by it; calls are given to workers (session_call.c), and many may be in progress.
 *
 * The loop waits for no client: output is a stream's, of bounded length, and a session that does not
 * read is not read from. When the connection ends the process dies; the session itself is freed with
 * the process, so that calls and copies in progress can look at it until they have ended.
 */
#ifndef FERRY_SYSPROXY_SESSION_H
#define FERRY_SYSPROXY_SESSION_H

#include <sys/uio.h>

#include "loop/stream.h"
#include "sysproxy/process.h"

/* Bytes of requests and replies of one session's calls at one time; a call beyond is refused. */
#define SESSION_CALL_BYTES_MAX (64u << 20)

struct session_call;
struct session_copy;

struct session {
	struct ferry_process *process;
	struct stream *stream; /* NULL once closed */
	bool is_ending;        /* the last word was said: nothing is received any more */
	struct timer linger;   /* then: until the client has read it */

	/* The frame that is being received */
	union {
		struct wire_header header;
		uint8_t header_bytes[WIRE_HEADER_BYTES];
	};
	size_t header_got_bytes;
	struct wire_frame frame;
	uint64_t payload_left_bytes;
	struct iovec places[2]; /* of the payload, one after the other; without base: dropped */
	void (*received)(struct session *session); /* all of it; NULL: nobody wants it */
	struct session_call *receiving_call;
	struct session_copy *receiving_copy;
	uint8_t small[WIRE_NAME_MAX + 1];

	/* session_call.c */
	struct list calls;       /* of struct session_call: with a worker */
	struct list copies;      /* of struct session_copy: wait for the client */
	unsigned calls_count;    /* all whose reply has not been handed to the socket */
	unsigned calls_reserved; /* for which the output has room */
	size_t call_bytes;
	uint64_t copy_number; /* of the latest copy */
};

/** Make the session of @process of the connected socket @fd, which it takes, also when it fails.
 *  @return 0 or -errno. */
int session_new(struct ferry_process *process, int fd) __attribute__((warn_unused_result));

/** NULL is legal; no call or copy is in progress. */
void session_free(struct session *session);

/** Answer a GUEST, FORK or EXEC of number @number. */
void session_answer_handshake(struct session *session, uint64_t number);

/** Begin to receive, after the first answer. */
void session_start(struct session *session);

/** @return whether its client is still to read the last words. NULL is legal: no. */
bool session_is_lingering(const struct session *session);

/** Close the connection at once; the process dies. */
void session_close(struct session *session);

/** Send a response of the type of a request. @param payload of @bytes bytes, 1..STREAM_PUT_MAX */
void session_respond(struct session *session, const struct wire_frame *request, const void *payload,
	size_t bytes);

/** Send an error. */
void session_error(struct session *session, uint64_t number, enum wire_error code);

/** Say no more and hang up; the process dies. @param why for the log */
void session_hang_up(struct session *session, const char *why);

/** @return room for @bytes bytes of output, or NULL: the client has not read for so long that the
 *  session has hung up, or it has ended. */
uint8_t *session_put(struct session *session, size_t bytes);

/** Send the signals that wait, if there is room. */
void session_send_signals(struct session *session);

/* session_call.c */

/** Have room for another call's output. @return 0 or -ENOMEM. */
int session_reserve(struct session *session, unsigned calls_count)
	__attribute__((warn_unused_result));

/** A SYSCALL or CALL begins to arrive: make a place for it, or refuse it. */
void session_receive_call(struct session *session);

/** A response begins to arrive: place it for the copy that waits for it. */
void session_receive_answer(struct session *session);

/** The connection has ended: copies in progress fail, what was half received is dropped. */
void session_drop_calls(struct session *session);

/** Nobody will answer copies in progress: they fail. No frame is half received. */
void session_fail_copies(struct session *session);

/** No call is wanted any more. */
void session_doom_calls(struct session *session);

/** Cancel call @number if it is in progress. */
void session_cancel(struct session *session, uint64_t number);

/** Cancel again what was cancelled. @return whether that is due once more. */
bool session_cancel_again(struct session *session);

#endif
