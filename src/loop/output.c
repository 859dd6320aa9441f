/*
 * The uncommon paths of an output queue: growing, moving back to the start, and taking out what was
 * sent. Leases are returned only when the queue is whole again, since they may add to it or drop it.
 */
#include "loop/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "loop/stream.h"

int output_init(struct output *output, struct loop *loop, void (*send)(struct loop_task *task))
{
	*output = (struct output){.loop = loop, .progress_ns = loop_now_ns(loop)};
	loop_task_init(&output->send, send);
	return output_reserve(output, 0, 1);
}

void output_deinit(struct output *output)
{
	if (output->loop)
		loop_task_cancel(&output->send);
	free(output->pieces);
	free(output->leases);
	free(output->arena);
	*output = (struct output){.loop = NULL};
}

static int output_grow_pieces(struct output *output, unsigned limit)
{
	CLEANUP(cleanup_free) struct iovec *pieces = NULL;
	CLEANUP(cleanup_free) struct stream_lease **leases = NULL;

	if (limit <= output->piece_limit)
		return 0;
	pieces = calloc(2 * (size_t)limit, sizeof(*pieces));
	leases = calloc(2 * (size_t)limit, sizeof(struct stream_lease *));
	if (!pieces || !leases)
		return -ENOMEM;
	if (output->piece_count > 0) {
		memcpy(pieces, output_pieces(output), output->piece_count * sizeof(*pieces));
		memcpy(leases, output->leases + output->piece_first,
			output->piece_count * sizeof(struct stream_lease *));
	}
	free(output->pieces);
	free(output->leases);
	output->pieces = TAKE(pieces);
	output->leases = TAKE(leases);
	output->piece_first = 0;
	output->piece_limit = limit;
	return 0;
}

static int output_grow_arena(struct output *output, size_t limit)
{
	uint8_t *arena;
	size_t head = 0;

	if (output->arena && limit <= output->put_limit)
		return 0;
	if (limit > SIZE_MAX - OUTPUT_PUT_MAX)
		return -ENOMEM;
	arena = malloc(limit + OUTPUT_PUT_MAX);
	if (!arena)
		return -ENOMEM;
	for (unsigned i = 0; i < output->piece_count; i++) {
		struct iovec *piece = output_pieces(output) + i;

		if (output->leases[output->piece_first + i] != output_put_mark(output))
			continue;
		memcpy(arena + head, piece->iov_base, piece->iov_len);
		piece->iov_base = arena + head;
		head += piece->iov_len;
	}
	free(output->arena);
	output->arena = arena;
	output->put_head = head;
	output->put_limit = limit;
	return 0;
}

int output_reserve(struct output *output, size_t put_bytes, unsigned piece_count)
{
	int error = output_grow_pieces(output, piece_count);

	if (error)
		return error;
	return output_grow_arena(output, put_bytes);
}

void output_wake(struct output *output)
{
	output->progress_ns = loop_now_ns(output->loop);
	output->slow_bytes = 0;
	loop_defer(output->loop, &output->send);
}

void output_compact(struct output *output)
{
	memmove(output->pieces, output_pieces(output),
		output->piece_count * sizeof(*output->pieces));
	memmove(output->leases, output->leases + output->piece_first,
		output->piece_count * sizeof(struct stream_lease *));
	output->piece_first = 0;
}

/* Take out the first @bytes bytes of the first piece. @return its lease if that was all of it. */
static struct stream_lease *output_take(struct output *output, size_t bytes)
{
	struct iovec *piece = output_pieces(output);
	struct stream_lease *lease = output->leases[output->piece_first];

	if (lease == output_put_mark(output)) {
		output->put_bytes -= bytes;
		if (output->put_bytes == 0)
			output->put_head = 0;
		lease = NULL;
	}
	if (bytes < piece->iov_len) {
		piece->iov_base = (uint8_t *)piece->iov_base + bytes;
		piece->iov_len -= bytes;
		return NULL;
	}
	output->piece_count--;
	output->piece_first = output->piece_count > 0 ? output->piece_first + 1 : 0;
	return lease;
}

void output_sent(struct output *output, size_t bytes)
{
	assert(output->handed_bytes == 0 && bytes <= output->unsent_bytes);
	output->handed_bytes = bytes;
	output->unsent_bytes -= bytes;
	output->slow_bytes += bytes;
	if (output->unsent_bytes == 0 || output->slow_bytes >= OUTPUT_PROGRESS_BYTES) {
		output->progress_ns = loop_now_ns(output->loop);
		output->slow_bytes = 0;
	}
	/* A lease may drop the rest on its return: handed_bytes is 0 then. */
	while (output->handed_bytes > 0) {
		size_t length = output_pieces(output)->iov_len;
		size_t taken = length < output->handed_bytes ? length : output->handed_bytes;

		output->handed_bytes -= taken;

		struct stream_lease *lease = output_take(output, taken);

		if (lease)
			lease->returned(lease, true);
	}
}

void output_drop(struct output *output)
{
	while (output->piece_count > 0) {
		size_t length = output_pieces(output)->iov_len;
		bool is_sent = length <= output->handed_bytes;
		size_t handed = is_sent ? length : output->handed_bytes;

		output->handed_bytes -= handed;
		output->unsent_bytes -= length - handed;

		struct stream_lease *lease = output_take(output, length);

		if (lease)
			lease->returned(lease, is_sent);
	}
}
