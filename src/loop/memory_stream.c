/*
 * Each end owns the ring of what was sent to it and not yet delivered. A delivery is a task of the
 * loop, or a timer if it is to be late; there is at most one under way for each end, so that bytes
 * stay in order. The end of the peer is the last thing to be delivered; a reset overtakes all.
 */
#include "loop/memory_stream.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "loop/loop.h"
#include "loop/stream_private.h"
#include "loop/timer.h"

#define MEMORY_STREAM_WINDOW_BYTES (1u << 20)

struct memory_stream {
	struct stream stream;       /* first */
	struct memory_stream *peer; /* NULL: freed or closed */
	struct memory_stream_faults faults;
	uint8_t *ring; /* of faults.window_bytes */
	size_t ring_first, ring_bytes;
	uint64_t delivered_bytes;
	bool is_peer_finished; /* nothing follows what is in the ring */
	bool is_reset;
	bool is_delivery_due;
	struct loop_task delivery;
	struct timer lateness;
};

static struct memory_stream *memory_stream_of(struct stream *stream)
{
	return container_of(stream, struct memory_stream, stream);
}

static uint64_t memory_stream_draw(struct memory_stream *memory, uint64_t bound)
{
	return memory->faults.random ? random_below(memory->faults.random, bound) : 0;
}

/* See to a delivery, if there is something to deliver and somebody to take it. */
static void memory_stream_schedule(struct memory_stream *memory)
{
	struct stream *stream = &memory->stream;
	uint64_t delay_ns = 0;

	if (memory->is_delivery_due || !stream_may_receive(stream))
		return;
	if (memory->ring_bytes == 0 && !memory->is_peer_finished)
		return;
	memory->is_delivery_due = true;
	if (memory->faults.delay_max_ns > 0)
		delay_ns = memory_stream_draw(memory, memory->faults.delay_max_ns + 1);
	if (delay_ns > 0)
		timer_arm(&memory->lateness, loop_now_ns(stream_loop(stream)) + delay_ns);
	else
		loop_again(stream_loop(stream), &memory->delivery);
}

static size_t memory_stream_delivery_bytes(struct memory_stream *memory)
{
	size_t bytes = memory->ring_bytes;
	size_t until_wrap = memory->faults.window_bytes - memory->ring_first;

	if (memory->faults.random && memory->faults.delivery_max_bytes > 0) {
		size_t drawn = 1 + memory_stream_draw(memory, memory->faults.delivery_max_bytes);

		bytes = drawn < bytes ? drawn : bytes;
	}
	if (memory->faults.reset_after > memory->delivered_bytes) {
		uint64_t left = memory->faults.reset_after - memory->delivered_bytes;

		bytes = left < bytes ? (size_t)left : bytes;
	}
	return bytes < until_wrap ? bytes : until_wrap;
}

/* The next @bytes bytes of the ring are about to be delivered. */
static void memory_stream_damage(struct memory_stream *memory, size_t bytes)
{
	const struct memory_stream_faults *faults = &memory->faults;
	size_t from = 0;

	if (faults->flip_one_in == 0 || !faults->random ||
		memory_stream_draw(memory, faults->flip_one_in) != 0)
		return;
	if (faults->flip_after > memory->delivered_bytes) {
		if (faults->flip_after - memory->delivered_bytes >= bytes)
			return;
		from = (size_t)(faults->flip_after - memory->delivered_bytes);
	}
	from += memory_stream_draw(memory, bytes - from);
	memory->ring[memory->ring_first + from] ^= (uint8_t)(1u << memory_stream_draw(memory, 8));
	if (faults->flip_count)
		(*faults->flip_count)++;
}

static void memory_stream_deliver_bytes(struct memory_stream *memory)
{
	struct stream *stream = &memory->stream;
	size_t bytes = memory_stream_delivery_bytes(memory);
	size_t direct_bytes = bytes < stream->direct_bytes ? bytes : stream->direct_bytes;
	const uint8_t *data = memory->ring + memory->ring_first;

	memory_stream_damage(memory, bytes);
	memory->delivered_bytes += bytes;
	if (direct_bytes > 0)
		memcpy(stream->direct, data, direct_bytes);
	(void)stream_deliver(stream, direct_bytes, data + direct_bytes, bytes - direct_bytes);
	memory->ring_first = (memory->ring_first + bytes) % memory->faults.window_bytes;
	memory->ring_bytes -= bytes;
	if (memory->faults.reset_after == memory->delivered_bytes)
		memory_stream_reset(stream);
	if (memory->peer)
		stream_has_send_room(&memory->peer->stream);
}

static void memory_stream_deliver(struct memory_stream *memory)
{
	struct stream *stream = &memory->stream;
	uint64_t odds = memory->faults.reset_one_in;

	memory->is_delivery_due = false;
	if (!stream->is_started || stream->state != STREAM_OPEN)
		return;
	stream_enter(stream);
	if (!memory->is_reset && odds > 0 && memory->faults.random &&
		memory_stream_draw(memory, odds) == 0)
		memory_stream_reset(stream);
	if (memory->is_reset)
		stream_end(stream, ECONNRESET);
	else if (stream_may_receive(stream) && memory->ring_bytes > 0)
		memory_stream_deliver_bytes(memory);
	else if (stream_may_receive(stream) && memory->is_peer_finished)
		stream_peer_ended(stream);
	memory_stream_schedule(memory);
	stream_leave(stream);
}

static void memory_stream_run_delivery(struct loop_task *task)
{
	memory_stream_deliver(container_of(task, struct memory_stream, delivery));
}

static void memory_stream_fire(struct timer *timer)
{
	memory_stream_deliver(container_of(timer, struct memory_stream, lateness));
}

/* Have the reset seen as soon as the stream is started. */
static void memory_stream_break(struct memory_stream *memory)
{
	memory->is_reset = true;
	timer_disarm(&memory->lateness);
	loop_again(stream_loop(&memory->stream), &memory->delivery);
}

void memory_stream_reset(struct stream *end)
{
	struct memory_stream *memory = memory_stream_of(end);

	if (memory->peer)
		memory_stream_break(memory->peer);
	if (end->state != STREAM_CLOSED)
		memory_stream_break(memory);
}

static int memory_stream_start(struct stream *stream)
{
	struct memory_stream *memory = memory_stream_of(stream);

	if (memory->is_reset)
		return -ECONNRESET;
	memory_stream_schedule(memory);
	return 0;
}

static ssize_t memory_stream_send(struct stream *stream, const struct iovec *pieces, unsigned count)
{
	struct memory_stream *to = memory_stream_of(stream)->peer;
	size_t sent = 0;

	for (unsigned i = 0; i < count; i++) {
		size_t moved = 0;

		/* Like a network, what nobody takes any more is lost. */
		if (!to)
			moved = pieces[i].iov_len;
		while (to && moved < pieces[i].iov_len &&
			to->ring_bytes < to->faults.window_bytes) {
			size_t window = to->faults.window_bytes;
			size_t end = (to->ring_first + to->ring_bytes) % window;
			size_t room = end < to->ring_first ? to->ring_first - end : window - end;
			size_t left = pieces[i].iov_len - moved;
			size_t bytes = left < room ? left : room;

			memcpy(to->ring + end, (const uint8_t *)pieces[i].iov_base + moved, bytes);
			to->ring_bytes += bytes;
			moved += bytes;
		}
		sent += moved;
	}
	if (to)
		memory_stream_schedule(to);
	return sent > 0 ? (ssize_t)sent : -EAGAIN;
}

static void memory_stream_finish(struct stream *stream)
{
	struct memory_stream *peer = memory_stream_of(stream)->peer;

	if (!peer)
		return;
	peer->is_peer_finished = true;
	memory_stream_schedule(peer);
}

static void memory_stream_receive(struct stream *stream)
{
	memory_stream_schedule(memory_stream_of(stream));
}

static void memory_stream_close(struct stream *stream)
{
	struct memory_stream *memory = memory_stream_of(stream);

	timer_disarm(&memory->lateness);
	loop_task_cancel(&memory->delivery);
	memory_stream_finish(stream);
	if (memory->peer) {
		memory->peer->peer = NULL;
		stream_has_send_room(&memory->peer->stream);
	}
	memory->peer = NULL;
}

static void memory_stream_release(struct stream *stream)
{
	struct memory_stream *memory = memory_stream_of(stream);

	stream_deinit(stream);
	free(memory->ring);
	free(memory);
}

static const struct stream_kind memory_stream_kind = {
	.start = memory_stream_start,
	.send = memory_stream_send,
	.finish = memory_stream_finish,
	.receive = memory_stream_receive,
	.close = memory_stream_close,
	.release = memory_stream_release,
};

static struct memory_stream *memory_stream_new(struct loop *loop,
	const struct memory_stream_faults *faults)
{
	struct memory_stream *memory = calloc(1, sizeof(*memory));
	int error;

	if (!memory)
		return NULL;
	if (faults)
		memory->faults = *faults;
	if (memory->faults.window_bytes == 0)
		memory->faults.window_bytes = MEMORY_STREAM_WINDOW_BYTES;
	loop_task_init(&memory->delivery, memory_stream_run_delivery);
	timer_init(&memory->lateness, loop, memory_stream_fire);
	error = stream_init(&memory->stream, &memory_stream_kind, loop, STREAM_OPEN);
	memory->ring = malloc(memory->faults.window_bytes);
	if (error || !memory->ring ||
		!text_copy(memory->stream.peer_name, sizeof(memory->stream.peer_name), "memory")) {
		memory_stream_release(&memory->stream);
		return NULL;
	}
	return memory;
}

int memory_stream_pair(struct loop *loop, const struct memory_stream_faults *faults,
	struct stream *ret_ends[2])
{
	struct memory_stream *ends[2];

	for (unsigned i = 0; i < 2; i++) {
		ends[i] = memory_stream_new(loop, faults);
		if (ends[i])
			continue;
		if (i > 0)
			memory_stream_release(&ends[0]->stream);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < 2; i++) {
		ends[i]->peer = ends[1 - i];
		ret_ends[i] = &ends[i]->stream;
	}
	return 0;
}
