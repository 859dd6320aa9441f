/*
 * The controller's end, buffers: where the data of a request is while it is here.
 *
 * A request that finds the loop's pool empty waits for it. Waiting must not keep away what others
 * wait for: the data that an R2T has asked for, after which a buffer is given back, comes on the same
 * stream as capsules do, and a capsule whose data has no place stops the stream. So a queue has one
 * buffer of its own for data in a capsule, made when the pool has none and freed when its command
 * has ended. The stream is stopped only while that one is taken as well.
 *
 * That this leaves no circle, whatever queues share the pool:
 *   - A request that waits, for the pool or for the queue's own buffer, has no buffer.
 *   - Who has the queue's own has all of its data when the next capsule is offered. It is in
 *     execution and needs the store alone, nothing of any stream, as do the fences and flushes it
 *     may wait for there; the one command that waits above for the data of another, a fused half, has
 *     memory of the target's own (request.h lets begin() set data). It does not send data, so no
 *     host need read. So a stream that is stopped goes on, without the pool.
 *   - Who has a buffer of the pool's is in execution; or awaits data from a stream, which goes on as
 *     above or for a deadline; or sends, for which the host has to read, under a deadline too. So
 *     each comes back.
 * What a capsule finds first, the pool or its queue's own, is no matter of fairness between queues:
 * a queue's own is beside its share, at most 64 KiB (the largest in-capsule data).
 */
#include "tcp/controller_private.h"

#include <stdlib.h>

void controller_go_on(struct slot *slot)
{
	struct request *request = slot_request(slot);

	if (request->transfer == REQUEST_TO_HOST) {
		controller_execute(slot);
	} else if (request->capsule_bytes == 0) {
		controller_send_r2t(slot);
	} else {
		slot->state = SLOT_RECEIVING;
	}
}

static void go_on_with(struct slot *slot, uint8_t *buffer)
{
	struct request *request = slot_request(slot);

	if (!request->is_lending)
		request->data = buffer;
	controller_go_on(slot);
}

static void buffer_granted(struct pool_request *buffer)
{
	struct slot *slot = container_of(buffer, struct slot, buffer);
	struct tcp_controller_queue *queue = slot->queue;

	/* The queue is withdrawing its requests, one of which made room: this one's turn comes. */
	if (queue->is_ended_told)
		return;
	go_on_with(slot, buffer->buffer);
	if (queue->capsule_slot == slot)
		controller_resume(queue);
}

/* The slot of a capsule waits for the pool: let it have the queue's own buffer instead.
 * @return whether it has; without memory for it the slot goes on waiting. */
static bool take_own(struct slot *slot)
{
	struct tcp_controller_queue *queue = slot->queue;

	if (queue->own_slot != NULL)
		return false;
	queue->own_buffer = malloc(slot->buffer.bytes);
	if (queue->own_buffer == NULL)
		return false;
	queue->own_slot = slot;
	pool_give(loop_pool(queue->loop), &slot->buffer);
	go_on_with(slot, queue->own_buffer);
	return true;
}

static void give_own(struct tcp_controller_queue *queue)
{
	struct slot *next = queue->capsule_slot;

	free(queue->own_buffer);
	queue->own_buffer = NULL;
	queue->own_slot = NULL;
	if (next != NULL && next->state == SLOT_WAITING_BUFFER && take_own(next))
		controller_resume(queue);
}

void controller_take_buffer(struct slot *slot)
{
	struct tcp_controller_queue *queue = slot->queue;

	slot->buffer.bytes = slot_request(slot)->data_bytes;
	slot->buffer.granted = buffer_granted;
	slot->state = SLOT_WAITING_BUFFER;
	if (pool_take(loop_pool(queue->loop), &slot->buffer))
		go_on_with(slot, slot->buffer.buffer);
	else if (queue->capsule_slot == slot)
		(void)take_own(slot);
}

void controller_give_buffer(struct slot *slot)
{
	struct tcp_controller_queue *queue = slot->queue;

	slot->buffer.bytes = 0;
	if (queue->own_slot == slot)
		give_own(queue);
	else
		pool_give(loop_pool(queue->loop), &slot->buffer);
}
