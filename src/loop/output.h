/*
 * The output queue of a stream: pieces in the order in which they are to be sent, as an array that
 * sendmsg() takes as it is. A piece is either put (its bytes lie in the queue's arena) or lent (they
 * lie elsewhere until its lease is returned).
 *
 * The pieces move through an array of twice their limit and are moved back to its start when they
 * meet its end, which costs one copy of a piece for each piece at most. The arena is a ring in which
 * each put is contiguous, so up to OUTPUT_PUT_MAX - 1 bytes at its end may lie idle: it is larger
 * than the reserved bytes by OUTPUT_PUT_MAX, and therefore what is within the reservation always
 * fits and no tail needs to be kept. Put pieces that are neighbours in the queue and in the arena
 * are one piece.
 *
 * The first byte that enters an empty queue defers the task @send, which the owner made; while bytes
 * are unsent that task is pending, or the owner waits for room to send.
 */
#ifndef FERRY_LOOP_OUTPUT_H
#define FERRY_LOOP_OUTPUT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "loop/loop.h"

struct stream_lease;

#define OUTPUT_PUT_MAX        512   /* bytes of one output_put() */
#define OUTPUT_PROGRESS_BYTES 65536 /* that leave are progress, if they are not all */

struct output {
	struct iovec *pieces;         /* of 2 * piece_limit */
	struct stream_lease **leases; /* for each piece: NULL, its lease, or &put for a put piece */
	unsigned piece_first;
	unsigned piece_count;
	unsigned piece_limit;
	uint8_t *arena; /* of put_limit + OUTPUT_PUT_MAX bytes */
	size_t put_head;
	size_t put_bytes; /* in the arena, unsent */
	size_t put_limit;
	size_t unsent_bytes; /* of all pieces, without handed_bytes */
	size_t handed_bytes; /* sent, their pieces not yet taken out (output_sent) */
	/* When the queue last made progress: it became empty, bytes entered the empty queue, or
	 * OUTPUT_PROGRESS_BYTES had left since. A peer that takes a byte now and then makes none. */
	uint64_t progress_ns;
	size_t slow_bytes; /* left since then */
	struct loop *loop;
	struct loop_task send;
	struct stream_lease *put; /* its address marks put pieces */
};

/** Make an empty queue without room for anything.
 *  @param send what to run when output has come in
 *  @return 0 or -ENOMEM. */
int output_init(struct output *output, struct loop *loop, void (*send)(struct loop_task *task))
	__attribute__((warn_unused_result));

/** Free the memory of an empty queue, or of one that was never made (all zeros). */
void output_deinit(struct output *output);

/** Have room for @put_bytes bytes and @piece_count pieces in all; never less than before. What was
 *  put may move. @return 0 or -ENOMEM. */
int output_reserve(struct output *output, size_t put_bytes, unsigned piece_count)
	__attribute__((warn_unused_result));

/** The first @bytes unsent bytes have been sent: take them out and return the leases of the pieces
 *  that are gone. A lease's return may add, drop and reserve, but not end the queue. */
void output_sent(struct output *output, size_t bytes);

/** Drop all pieces and return their leases. */
void output_drop(struct output *output);

/* The uncommon parts of output_put() and output_lend(). */
void output_wake(struct output *output);
void output_compact(struct output *output);

static inline struct stream_lease *output_put_mark(struct output *output)
{
	return (struct stream_lease *)(void *)&output->put;
}

/** @return the pieces to be sent next, piece_count of them. */
static inline struct iovec *output_pieces(const struct output *output)
{
	return output->pieces + output->piece_first;
}

static inline bool output_has_room(const struct output *output, size_t put_bytes,
	unsigned piece_count)
{
	return output->put_limit - output->put_bytes >= put_bytes &&
		output->piece_limit - output->piece_count >= piece_count;
}

static inline void output_count(struct output *output, size_t bytes)
{
	if (output->unsent_bytes == 0)
		output_wake(output);
	output->unsent_bytes += bytes;
}

static inline void output_append(struct output *output, void *data, size_t bytes,
	struct stream_lease *lease)
{
	assert(output->piece_count < output->piece_limit);
	if (output->piece_first + output->piece_count == 2 * output->piece_limit)
		output_compact(output);

	unsigned index = output->piece_first + output->piece_count++;

	output->pieces[index] = (struct iovec){data, bytes};
	output->leases[index] = lease;
}

/* Whether the last piece was put and ends at @place. */
static inline bool output_ends_at(struct output *output, const uint8_t *place)
{
	unsigned end = output->piece_first + output->piece_count;

	if (output->piece_count == 0 || output->leases[end - 1] != output_put_mark(output))
		return false;
	return (uint8_t *)output->pieces[end - 1].iov_base + output->pieces[end - 1].iov_len ==
		place;
}

/** @return room for the next @bytes bytes, 1..OUTPUT_PUT_MAX. There must be room. */
static inline uint8_t *output_put(struct output *output, size_t bytes)
{
	assert(bytes - 1 < OUTPUT_PUT_MAX && output->put_limit - output->put_bytes >= bytes);
	if (output->put_limit + OUTPUT_PUT_MAX - output->put_head < bytes)
		output->put_head = 0;

	uint8_t *room = output->arena + output->put_head;

	if (output_ends_at(output, room))
		output->pieces[output->piece_first + output->piece_count - 1].iov_len += bytes;
	else
		output_append(output, room, bytes, output_put_mark(output));
	output->put_head += bytes;
	output->put_bytes += bytes;
	output_count(output, bytes);
	return room;
}

/** Append @bytes bytes at @data, at least 1; @lease may be NULL. There must be room. */
static inline void output_lend(struct output *output, const void *data, size_t bytes,
	struct stream_lease *lease)
{
	assert(bytes > 0);
	/* An iovec has no const; sending only reads. */
	output_append(output, (void *)(uintptr_t)data, bytes, lease);
	output_count(output, bytes);
}

#endif
