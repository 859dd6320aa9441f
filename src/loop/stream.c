/*
 * The states of a stream, its handler's calls, the pause and the sending, the same for all kinds.
 *
 * Two tasks drive it. output.send runs at the end of a turn in which output came in or room was made:
 * it sends, and tells of the drained output. go_on runs in the next turn after a resume, after a share
 * of receiving that left something, and when the stream has to end but the user was calling.
 */
#include "loop/stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop_private.h"
#include "loop/stream_private.h"

static_assert(offsetof(struct stream, output) == 0, "stream_output() takes it for the first");

void stream_leave(struct stream *stream)
{
	assert(stream->busy > 0);
	if (--stream->busy == 0 && stream->is_freed)
		stream->kind->release(stream);
}

static void stream_disconnect(struct stream *stream)
{
	if (stream->is_disconnected)
		return;
	stream->is_disconnected = true;
	stream->kind->close(stream);
}

static void stream_drop_kept(struct stream *stream)
{
	stream->output.loop->kept_bytes -= stream->kept_offset + stream->kept_bytes;
	free(stream->kept);
	stream->kept = NULL;
	stream->kept_offset = 0;
	stream->kept_bytes = 0;
}

void stream_end(struct stream *stream, int error)
{
	if (stream->state == STREAM_CLOSED)
		return;
	stream_enter(stream);
	stream->state = STREAM_CLOSED;
	loop_task_cancel(&stream->go_on);
	stream_disconnect(stream);
	output_drop(&stream->output);
	if (!stream->is_freed)
		stream->handler->closed(stream->context, error);
	stream_leave(stream);
}

void stream_end_later(struct stream *stream, int error)
{
	if (stream->is_ending || stream->state == STREAM_CLOSED)
		return;
	stream->is_ending = true;
	stream->end_error = error;
	loop_again(stream->output.loop, &stream->go_on);
}

/* Keep what a paused user has not taken. @return false without memory. */
static bool stream_keep(struct stream *stream, const uint8_t *data, size_t bytes)
{
	stream->kept = malloc(bytes);
	if (!stream->kept)
		return false;
	memcpy(stream->kept, data, bytes);
	stream->kept_offset = 0;
	stream->kept_bytes = bytes;
	stream->output.loop->kept_bytes += bytes;
	return true;
}

bool stream_deliver(struct stream *stream, size_t direct_bytes, const uint8_t *data, size_t bytes)
{
	size_t taken;

	stream->direct_bytes -= direct_bytes;
	stream->direct = stream->direct_bytes > 0 ? stream->direct + direct_bytes : NULL;
	taken = stream->handler->received(stream->context, direct_bytes, data, bytes);
	if (stream->state == STREAM_CLOSED)
		return false;
	assert(taken == bytes || (taken < bytes && stream->is_paused));
	if (taken < bytes && !stream_keep(stream, data + taken, bytes - taken)) {
		stream_end(stream, ENOMEM);
		return false;
	}
	return stream_may_receive(stream);
}

static void stream_redeliver(struct stream *stream)
{
	size_t bytes = stream->kept_bytes;
	size_t taken = stream->handler->received(stream->context, 0,
		stream->kept + stream->kept_offset, bytes);

	if (stream->state == STREAM_CLOSED)
		return;
	assert(taken == bytes || (taken < bytes && stream->is_paused));
	stream->kept_offset += taken;
	stream->kept_bytes -= taken;
	if (stream->kept_bytes == 0)
		stream_drop_kept(stream);
}

static void stream_go_on(struct loop_task *task)
{
	struct stream *stream = container_of(task, struct stream, go_on);

	stream_enter(stream);
	if (stream->is_ending)
		stream_end(stream, stream->end_error);
	if (stream->state == STREAM_OPEN && !stream->is_paused && stream->kept_bytes > 0)
		stream_redeliver(stream);
	if (stream_may_receive(stream))
		stream->kind->receive(stream);
	stream_leave(stream);
}

void stream_receive_again(struct stream *stream)
{
	loop_again(stream->output.loop, &stream->go_on);
}

/* What the peer said before it went away can still be received; then the stream ends. */
static void stream_fail_send(struct stream *stream, int error)
{
	stream->send_error = error;
	output_drop(&stream->output);
	if (stream->is_ended)
		return;
	if (stream_may_receive(stream))
		stream->kind->receive(stream);
	else
		stream_end(stream, error);
}

static void stream_flush(struct stream *stream)
{
	struct output *output = &stream->output;

	stream->is_blocked = false;
	while (stream->state == STREAM_OPEN && output->unsent_bytes > 0) {
		unsigned count = output->piece_count < STREAM_SEND_PIECES ? output->piece_count
									  : STREAM_SEND_PIECES;
		bool is_all = count == output->piece_count;
		size_t unsent_bytes = output->unsent_bytes;
		ssize_t sent = stream->kind->send(stream, output_pieces(output), count);

		if (sent == -EAGAIN) {
			stream->is_blocked = true;
			return;
		}
		if (sent < 0) {
			stream_fail_send(stream, (int)-sent);
			return;
		}
		stream->is_blocked = is_all && (size_t)sent < unsent_bytes;
		output_sent(output, (size_t)sent);
		if (stream->is_blocked)
			return;
	}
}

static void stream_tell(struct stream *stream)
{
	if (stream->is_drain_wanted) {
		stream->is_drain_wanted = false;
		if (stream->handler->drained)
			stream->handler->drained(stream->context);
	}
	if (stream->state != STREAM_OPEN || stream->output.unsent_bytes > 0)
		return;
	if (stream->is_finishing && !stream->is_finished) {
		stream->is_finished = true;
		stream->kind->finish(stream);
	}
}

static void stream_send(struct loop_task *task)
{
	struct stream *stream = container_of(task, struct stream, output.send);

	stream_enter(stream);
	if (stream->state == STREAM_CLOSED || stream->send_error != 0)
		output_drop(&stream->output);
	else if (stream->is_started && stream->state == STREAM_OPEN)
		stream_flush(stream);
	if (stream->is_started && stream->state == STREAM_OPEN && stream->output.unsent_bytes == 0)
		stream_tell(stream);
	stream_leave(stream);
}

void stream_has_send_room(struct stream *stream)
{
	if (stream->is_blocked && stream->state == STREAM_OPEN)
		loop_defer(stream->output.loop, &stream->output.send);
}

void stream_opened(struct stream *stream)
{
	assert(stream->state == STREAM_OPENING);
	stream->state = STREAM_OPEN;
	loop_defer(stream->output.loop, &stream->output.send);
	if (stream->handler->opened)
		stream->handler->opened(stream->context);
}

void stream_peer_ended(struct stream *stream)
{
	int error = stream->send_error;

	stream->is_ended = true;
	stream_flush(stream);
	stream_end(stream, error);
}

int stream_init(struct stream *stream, const struct stream_kind *kind, struct loop *loop,
	enum stream_state state)
{
	stream->kind = kind;
	stream->state = state;
	loop_task_init(&stream->go_on, stream_go_on);
	return output_init(&stream->output, loop, stream_send);
}

void stream_deinit(struct stream *stream)
{
	loop_task_cancel(&stream->go_on);
	stream_drop_kept(stream);
	output_deinit(&stream->output);
}

void stream_start(struct stream *stream, const struct stream_handler *handler, void *context)
{
	int error;

	assert(!stream->is_started);
	stream->handler = handler;
	stream->context = context;
	stream->is_started = true;
	error = stream->kind->start(stream);
	if (error)
		stream_end_later(stream, -error);
	if (stream->output.unsent_bytes > 0 || stream->is_finishing || stream->is_drain_wanted)
		loop_defer(stream->output.loop, &stream->output.send);
}

void stream_free(struct stream *stream)
{
	if (!stream)
		return;
	assert(!stream->is_freed);
	stream_enter(stream);
	stream->is_freed = true;
	stream->state = STREAM_CLOSED;
	loop_task_cancel(&stream->go_on);
	stream_disconnect(stream);
	output_drop(&stream->output);
	loop_task_cancel(&stream->output.send);
	stream_leave(stream);
}

int stream_reserve(struct stream *stream, size_t put_bytes, unsigned piece_count)
{
	return output_reserve(&stream->output, put_bytes, piece_count);
}

void stream_tell_drained(struct stream *stream)
{
	stream->is_drain_wanted = true;
	if (stream->output.unsent_bytes == 0)
		loop_defer(stream->output.loop, &stream->output.send);
}

void stream_direct(struct stream *stream, void *to, size_t bytes)
{
	stream->direct = bytes > 0 ? to : NULL;
	stream->direct_bytes = bytes;
}

void stream_pause(struct stream *stream)
{
	stream->is_paused = true;
}

void stream_resume(struct stream *stream)
{
	if (!stream->is_paused)
		return;
	stream->is_paused = false;
	if (stream->state != STREAM_CLOSED)
		loop_again(stream->output.loop, &stream->go_on);
}

void stream_finish(struct stream *stream)
{
	stream->is_finishing = true;
	if (stream->output.unsent_bytes == 0 && stream->state != STREAM_CLOSED)
		loop_defer(stream->output.loop, &stream->output.send);
}

uint64_t stream_send_progress_ns(const struct stream *stream)
{
	const struct output *output = &stream->output;

	return output->unsent_bytes == 0 ? loop_now_ns(output->loop) : output->progress_ns;
}

const char *stream_peer_name(const struct stream *stream)
{
	return stream->peer_name;
}

struct loop *stream_loop(const struct stream *stream)
{
	return stream->output.loop;
}
