/*
 * A lane belongs to the thread that made it: sending, receiving and serving the copies of its call
 * happen there, without a lock and without another thread to wake.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "sysproxy/client_private.h"

/* After this long without use a lane looks whether the server is still there, so that a restart in
 * the meantime does not cost a call. */
#define LANE_IDLE_NS (50u * CLOCK_MS_NS)

/* A reply that may be as large as this is received in place, but for what is before its data when they
 * are one piece. */
#define LANE_LARGE_BYTES (8u << 10)
#define LANE_AHEAD_BYTES \
	(WIRE_HEADER_BYTES + sizeof(struct wire_call_reply) + sizeof(struct wire_piece))

static uint64_t now_ns(void)
{
	struct clock *clock = clock_monotonic();

	return clock->now_ns(clock);
}

void client_lane_free(struct client_lane *lane)
{
	list_remove(&lane->entry);
	if (lane->generation == atomic_load(&lane->client->generation))
		lane->client->lane_count--;
	link_deinit(&lane->link);
	free(lane);
}

static void drop_lane(struct client_lane *lane)
{
	struct ferry_sysproxy *client = lane->client;

	(void)pthread_setspecific(client->lane_key, NULL);
	(void)pthread_mutex_lock(&client->mutex);
	client_lane_free(lane);
	(void)pthread_mutex_unlock(&client->mutex);
}

/* Connect a lane; the client's mutex is held. @return 0 or -errno: -ENOBUFS when the server has none. */
static int make_lane(struct ferry_sysproxy *client, struct client_lane **ret_lane)
{
	struct client_lane *lane;
	int error;

	if (client->session == NULL)
		return -ENOTCONN;
	if (!client->grant.is_extended || client->url.kind == SYSPROXY_URL_FD ||
		client->lane_count >= client->grant.lanes_max)
		return -ENOBUFS;
	lane = calloc(1, sizeof(*lane));
	if (lane == NULL)
		return -ENOBUFS;
	lane->client = client;
	lane->grant = client->grant;
	lane->generation = atomic_load(&client->generation);
	lane->id = ++client->last_lane_id;
	error = client_connect_lane(client, lane->id, &lane->link);
	if (error != 0) {
		free(lane);
		return error;
	}
	list_init(&lane->entry);
	list_append(&client->lanes, &lane->entry);
	client->lane_count++;
	*ret_lane = lane;
	return 0;
}

struct client_lane *client_lane_get(struct ferry_sysproxy *client, int *ret_error)
{
	struct client_lane *lane = pthread_getspecific(client->lane_key);
	uint64_t time_ns = now_ns();
	int error;

	*ret_error = 0;
	if (lane != NULL && lane->generation == atomic_load(&client->generation) &&
		(time_ns - lane->used_at_ns < LANE_IDLE_NS || !link_is_ended(&lane->link))) {
		lane->used_at_ns = time_ns;
		return lane;
	}
	if (lane != NULL)
		drop_lane(lane);
	(void)pthread_mutex_lock(&client->mutex);
	error = make_lane(client, &lane);
	(void)pthread_mutex_unlock(&client->mutex);
	if (error == -ENOBUFS || error == -ENOMEM || error == -EMFILE)
		return NULL;
	if (error != 0) {
		*ret_error = -ENOTCONN;
		return NULL;
	}
	if (pthread_setspecific(client->lane_key, lane) != 0) {
		drop_lane(lane);
		return NULL;
	}
	lane->used_at_ns = time_ns;
	return lane;
}

static int serve(struct client_lane *lane, const struct wire_frame *frame,
	struct client_memory_scope *scope)
{
	struct client_memory_answer answer;
	struct client_memory_copy copy;
	int error;

	if (frame->type == WIRE_RAISE) {
		client_raise(lane->client, (int)frame->aux);
		return 0;
	}
	error = client_memory_take_copy(&lane->link, frame, &copy);
	if (error != 0)
		return error;
	if (copy.call != atomic_load_explicit(&lane->number, memory_order_relaxed))
		return -EPROTO;
	error = client_memory_serve(&lane->link, frame, &copy, scope, &answer);
	if (error != 0)
		return error;
	return link_send(&lane->link, answer.parts, answer.part_count);
}

/* Receive a header; a signal that is handled meanwhile cancels the call. */
static int take_header(struct client_lane *lane, struct wire_frame *ret_frame)
{
	struct wire_header header;
	int error = link_fill(&lane->link, sizeof(header));

	while (error == -EINTR) {
		struct ferry_sysproxy *client = lane->client;

		(void)pthread_mutex_lock(&client->mutex);
		if (client->session != NULL)
			client_session_cancel(client->session, lane->id, lane->number);
		(void)pthread_mutex_unlock(&client->mutex);
		error = link_fill(&lane->link, sizeof(header));
	}
	if (error != 0)
		return error;
	memcpy(&header, link_bytes(&lane->link), sizeof(header));
	link_take(&lane->link, sizeof(header));
	*ret_frame = wire_frame_of(&header);
	return wire_check_from_server(ret_frame, true);
}

/* @return how many bytes a reply may bring. */
static size_t out_bytes(const struct ferry_sysproxy_call *call)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < call->range_count && bytes < LANE_LARGE_BYTES; i++) {
		if ((call->ranges[i].flags & FERRY_SYSPROXY_OUT) != 0)
			bytes += call->ranges[i].bytes;
	}
	return bytes;
}

/* Wait for the answer, serving what the call needs meanwhile. */
static int await(struct client_lane *lane, struct ferry_sysproxy_call *call)
{
	struct client_memory_scope scope = {.call = call};
	struct wire_frame frame;
	int error;

	lane->link.ahead_bytes = out_bytes(call) < LANE_LARGE_BYTES ? 0 : LANE_AHEAD_BYTES;
	for (;;) {
		error = take_header(lane, &frame);
		if (error != 0)
			return error;
		if (frame.class == WIRE_REQUEST) {
			error = serve(lane, &frame, &scope);
			if (error != 0)
				return error;
			continue;
		}
		if (frame.number != lane->number)
			return -EPROTO;
		if (frame.class == WIRE_RESPONSE)
			return frame.type == WIRE_CALL
				? client_memory_take_reply(&lane->link, &frame, call)
				: -EPROTO;
		call->error = -client_error_of(frame.aux);
		call->values[0] = call->values[1] = 0;
		return 0;
	}
}

int client_lane_call(struct client_lane *lane, struct ferry_sysproxy_call *call)
{
	bool is_interruptible = (call->flags & FERRY_SYSPROXY_INTERRUPTIBLE) != 0;
	uint64_t number = atomic_load_explicit(&lane->number, memory_order_relaxed) + 1;
	struct client_memory_request request;
	sigset_t all, before;
	int error = client_memory_check(call, &lane->grant, false);

	if (error == 0)
		error = client_memory_request_init(&request, call, number, &lane->grant);
	if (error != 0)
		return error;
	if (is_interruptible) {
		sigfillset(&all);
		(void)pthread_sigmask(SIG_BLOCK, &all, &before);
		lane->link.sleep_mask = &before;
	}
	atomic_store_explicit(&lane->number, number, memory_order_relaxed);
	atomic_store_explicit(&lane->call, call, memory_order_release);
	error = link_send(&lane->link, request.parts, request.part_count);
	client_memory_request_deinit(&request);
	/* What was sent only in part cannot have been made; a bad pointer costs the lane. */
	if (error == 0)
		error = await(lane, call) != 0 ? -ECONNABORTED : 0;
	else if (error != -EFAULT)
		error = -ENOTCONN;
	atomic_store_explicit(&lane->call, NULL, memory_order_release);
	if (is_interruptible) {
		lane->link.sleep_mask = NULL;
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (error != 0)
		drop_lane(lane);
	return error;
}
