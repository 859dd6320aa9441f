/*
 * What streams of all kinds are made of, for stream.c and the kinds. A kind embeds struct stream as
 * its first member and moves bytes; the states, the handler's calls, the pause and the output queue
 * are here.
 *
 * Any call of the handler's or of a lease may free the stream. So whatever the loop calls runs
 * between stream_enter() and stream_leave(), and looks at the state after each such call: it is
 * CLOSED once the stream is freed, but the memory stays until the last stream_leave().
 */
#ifndef FERRY_LOOP_STREAM_PRIVATE_H
#define FERRY_LOOP_STREAM_PRIVATE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "loop/address.h"
#include "loop/loop.h"
#include "loop/output.h"
#include "loop/stream.h"

#define STREAM_SEND_PIECES 1024 /* of one send(): UIO_MAXIOV */

enum stream_state {
	STREAM_OPENING, /* an outgoing connection is being made */
	STREAM_OPEN,    /* bytes flow */
	STREAM_CLOSED,  /* ended or freed: no more calls of the handler */
};

struct stream_kind {
	/* Begin to receive and to look for room to send. @return 0 or -errno: the stream ends. */
	int (*start)(struct stream *stream);
	/* @return how many bytes of @count pieces are sent; if not all, the kind calls
	 * stream_has_send_room() later. -EAGAIN for none, other -errno: sending has failed. */
	ssize_t (*send)(struct stream *stream, const struct iovec *pieces, unsigned count);
	/* The peer is to see the end after all that was sent. */
	void (*finish)(struct stream *stream);
	/* Deliver what there is, as far as stream_may_receive(). */
	void (*receive)(struct stream *stream);
	/* Let go of the outside world; called once. */
	void (*close)(struct stream *stream);
	/* Free the memory. */
	void (*release)(struct stream *stream);
};

struct stream {
	struct output output; /* first, see stream_output() */
	const struct stream_kind *kind;
	const struct stream_handler *handler;
	void *context;
	enum stream_state state;
	unsigned busy; /* depth of stream_enter() */
	bool is_started;
	bool is_freed;
	bool is_disconnected; /* kind->close() was called */
	bool is_paused;
	bool is_ended;   /* the peer's end was seen */
	bool is_ending;  /* to be closed with end_error by the task */
	bool is_blocked; /* no room to send */
	bool is_finishing;
	bool is_finished;
	bool is_drain_wanted;
	int end_error;
	int send_error; /* sending failed; what the peer said before is still received */
	uint8_t *direct;
	size_t direct_bytes;
	uint8_t *kept; /* received, not taken by a paused user; counted in loop->kept_bytes */
	size_t kept_offset, kept_bytes;
	struct loop_task go_on; /* redeliver, receive again, or end */
	char peer_name[ADDRESS_TEXT_MAX];
};

/** Prepare the common part; after an error only stream_deinit() is legal. @return 0 or -ENOMEM. */
int stream_init(struct stream *stream, const struct stream_kind *kind, struct loop *loop,
	enum stream_state state) __attribute__((warn_unused_result));

/** Free what the common part holds; for kind->release(). */
void stream_deinit(struct stream *stream);

static inline void stream_enter(struct stream *stream)
{
	stream->busy++;
}

/** The stream may be gone after this. */
void stream_leave(struct stream *stream);

/** An outgoing connection was made. */
void stream_opened(struct stream *stream);

/** @return whether received() may be called now. */
static inline bool stream_may_receive(const struct stream *stream)
{
	return stream->state == STREAM_OPEN && stream->is_started && !stream->is_paused &&
		stream->kept_bytes == 0;
}

/** Give the user @direct_bytes bytes written to stream->direct and @bytes bytes at @data.
 *  @return stream_may_receive() after that. */
bool stream_deliver(struct stream *stream, size_t direct_bytes, const uint8_t *data, size_t bytes);

/** Call kind->receive() again in the next turn, before the loop sleeps. */
void stream_receive_again(struct stream *stream);

/** There is room to send again. */
void stream_has_send_room(struct stream *stream);

/** The peer has ended in order: try once to send what is left and close. */
void stream_peer_ended(struct stream *stream);

/** Close with @error (0 or an errno). Only from the loop. */
void stream_end(struct stream *stream, int error);

/** Close with @error from a task of the loop. */
void stream_end_later(struct stream *stream, int error);

#endif
