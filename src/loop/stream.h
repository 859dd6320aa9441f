/*
 * A stream: an ordered two-way flow of bytes with one peer, of whatever kind: TCP, a unix socket, or
 * a pair in memory for tests (memory_stream.h). It belongs to one loop from birth to death.
 *
 * Receiving is completion-shaped. Bytes arrive first where stream_direct() said they should (the
 * rest of a payload, in its final place), and what follows in a buffer of the loop's, valid during
 * the call only: received() takes all of it, keeping an incomplete header itself. Only a paused
 * stream may leave bytes untaken; they are kept and come again after stream_resume().
 *
 * Sending is a list of pieces: small ones copied or built in place (stream_put), large ones lent
 * (stream_lend), sent together with one system call at the end of the turn. Neighbouring put pieces
 * are merged. Output space is reserved up front (stream_reserve), so putting and lending never fail
 * and never allocate; the user asks stream_has_room() before it takes on work that will need output.
 *
 * States:
 *   opening  an outgoing connection is being made; output may be put already
 *   open     bytes flow
 *   closed   the peer ended or reset it, or sending failed; closed() was called; nothing flows and
 *            the connection is gone
 * When the peer ends, what is put by then is still tried once. When sending fails, what the peer
 * said before is still received. A pause holds the peer's end back, but not a reset.
 */
#ifndef FERRY_LOOP_STREAM_H
#define FERRY_LOOP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/output.h"

struct loop;
struct stream;

/* What a stream tells its user; context is stream_start()'s. Any call may free the stream. */
struct stream_handler {
	/* An outgoing connection is made; never called for an accepted one. May be NULL. */
	void (*opened)(void *context);
	/* @direct_bytes more bytes lie where stream_direct() asked for them, and @bytes bytes at
	 * @data follow (either may be 0, not both). @return how many of @data were taken: all,
	 * unless the stream is now paused. */
	size_t (*received)(void *context, size_t direct_bytes, const uint8_t *data, size_t bytes);
	/* Output has drained to nothing, after stream_tell_drained(). May be NULL. */
	void (*drained)(void *context);
	/* The stream is closed: @error 0 when the peer ended it in order, else the errno (positive).
	 * Called once, never from within a call of the user's; the user then frees the stream. */
	void (*closed)(void *context, int error);
};

/* Memory lent to a stream's output, embedded in its owner. */
struct stream_lease {
	/* The stream is done with the memory: its bytes are on their way, or (not is_sent) the
	 * stream closed or was freed before that. */
	void (*returned)(struct stream_lease *lease, bool is_sent);
};

#define STREAM_PUT_MAX OUTPUT_PUT_MAX /* bytes of one stream_put() */

/** Begin: set the handler and let bytes flow. Output may be reserved and put before. */
void stream_start(struct stream *stream, const struct stream_handler *handler, void *context);

/** Close and free; no handler is called any more, lent memory is returned before this returns.
 *  Output not yet sent is dropped. NULL is legal. */
void stream_free(struct stream *stream);

/** Have room for @put_bytes of put pieces and @piece_count pieces in all, unsent at one time. May be
 *  called again to grow; never shrinks. @return 0 or -ENOMEM. */
int stream_reserve(struct stream *stream, size_t put_bytes, unsigned piece_count)
	__attribute__((warn_unused_result));

/* A stream begins with its output queue, so that the calls of the hot path are inline. */
static inline struct output *stream_output(const struct stream *stream)
{
	return (struct output *)(uintptr_t)stream;
}

/** @return whether @put_bytes bytes and @piece_count pieces more fit into the output. */
static inline bool stream_has_room(const struct stream *stream, size_t put_bytes,
	unsigned piece_count)
{
	return output_has_room(stream_output(stream), put_bytes, piece_count);
}

/** @return room for the next @bytes bytes of output (1..STREAM_PUT_MAX), to be filled before
 *  control returns to the loop and before stream_reserve(). There must be room: it is an error of
 *  the program if not. On a closed stream the bytes go nowhere. */
static inline uint8_t *stream_put(struct stream *stream, size_t bytes)
{
	return output_put(stream_output(stream), bytes);
}

/** Append @bytes bytes (at least 1) at @data to the output without copying. They must not change
 *  until @lease is returned; @lease NULL: they never change. There must be room, as for stream_put().
 *  On a closed stream the lease is returned by the loop later on. */
static inline void stream_lend(struct stream *stream, const void *data, size_t bytes,
	struct stream_lease *lease)
{
	output_lend(stream_output(stream), data, bytes, lease);
}

/** @return output bytes not yet handed to the kernel. */
static inline size_t stream_unsent_bytes(const struct stream *stream)
{
	return stream_output(stream)->unsent_bytes;
}

/** Call drained() once, when all output so far put has been handed to the kernel. */
void stream_tell_drained(struct stream *stream);

/** Place the next @bytes received bytes at @to (0 bytes: none; a former wish is replaced). It applies
 *  to bytes that received() has not been given yet, so not to those that were left untaken. */
void stream_direct(struct stream *stream, void *to, size_t bytes);

/** Deliver nothing until stream_resume(); the peer is held up by its window. */
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

/** No more output: after what is put has been sent the peer sees the end. */
void stream_finish(struct stream *stream);

/** @return the loop time (ns) at which the output was last empty, or since when less than
 *  OUTPUT_PROGRESS_BYTES have moved into the kernel: for a send-stall deadline. */
uint64_t stream_send_progress_ns(const struct stream *stream);

/** @return a name of the peer for messages ("127.0.0.1:50123", "unix", "memory"). */
const char *stream_peer_name(const struct stream *stream);

struct loop *stream_loop(const struct stream *stream);

#endif
