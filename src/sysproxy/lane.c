/*
 * A lane's thread does all of the work: it receives into the lane's buffer, has call.c answer, and sends.
 * Of the loop's calls only lane_raise() uses the socket, for a signal in the midst of a call.
 */
#include "sysproxy/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sysproxy/call.h"
#include "sysproxy/line.h"
#include "sysproxy/thread.h"

/* What a lane receives into: a call with 64 KiB of data and some ranges. A longer one gets a buffer of
 * its own. */
#define LANE_BUFFER_BYTES (68u << 10)

struct lane {
	/* The loop's */
	struct list link; /* in the process's */
	struct ferry_process *process;
	uint64_t id;
	struct loop_watch watch;
	pthread_t thread;
	struct loop_message ended;

	/* Its thread's */
	struct line line;
	uint64_t lane_number; /* of the request that made it, to be answered */
	uint64_t copy_number; /* of the latest copy */
	bool is_broken;       /* the client cannot be trusted to be in step any more */
	struct call call;
	struct lwp_carrier carrier;
	uint8_t signals[SIGNALS_BYTES_MAX];

	/* Of both */
	struct ferry_lwp lwp;
	pthread_mutex_t send_lock; /* held while something is sent; the loop only tries it */
	_Alignas(16) uint8_t buffer[LANE_BUFFER_BYTES];
};

/* Receiving and sending */

static bool lane_send_locked(struct lane *lane, struct iovec *parts, unsigned count)
{
	bool is_sent;

	(void)pthread_mutex_lock(&lane->send_lock);
	is_sent = line_send(&lane->line, parts, count);
	(void)pthread_mutex_unlock(&lane->send_lock);
	return is_sent;
}

static bool lane_send_frame(struct lane *lane, const struct wire_frame *frame, void *payload,
	size_t payload_bytes)
{
	struct wire_header header;
	struct iovec parts[2] = {{&header, sizeof(header)}, {payload, payload_bytes}};

	wire_header_put(&header, frame, payload_bytes);
	return lane_send_locked(lane, parts, payload_bytes > 0 ? 2 : 1);
}

static bool lane_send_error(struct lane *lane, uint64_t number, uint32_t code)
{
	const struct wire_frame frame = {.number = number, .class = WIRE_ERROR, .aux = code};

	return lane_send_frame(lane, &frame, NULL, 0);
}

/* Copies */

/* Of @got_bytes bytes at @to there are to be @bytes at least. */
static bool lane_complete(struct lane *lane, uint8_t *to, size_t *got_bytes, size_t bytes)
{
	if (*got_bytes >= bytes)
		return true;
	if (!line_receive_all(&lane->line, to + *got_bytes, bytes - *got_bytes))
		return false;
	*got_bytes = bytes;
	return true;
}

/* Receive the answer to @copy. @return false: the lane is broken. */
static bool lane_receive_answer(struct lane *lane, struct copy *copy)
{
	struct {
		struct wire_header header;
		uint8_t head[sizeof(copy->head)];
	} answer;
	size_t first_bytes = sizeof(answer.header) + copy_head_bytes(copy);
	size_t room_bytes = copy->to != NULL ? copy->bytes : 0;
	struct iovec parts[2] = {{&answer, first_bytes}, {copy->to, room_bytes}};
	size_t got_bytes = line_wait(&lane->line, parts, 2);
	struct wire_frame frame;

	if (got_bytes == 0 ||
		!lane_complete(lane, (uint8_t *)&answer, &got_bytes, sizeof(answer.header)))
		return false;
	frame = wire_frame_of(&answer.header);
	/* Nothing else may come from a client that waits for a reply. */
	if (wire_check_from_client(&frame, true) < 0 || frame.class != WIRE_RESPONSE ||
		frame.number != lane->copy_number || frame.bytes < got_bytes)
		return false;
	if (!copy_takes(copy, frame.bytes - WIRE_HEADER_BYTES))
		return line_receive_past(&lane->line, frame.bytes - got_bytes);
	if (!lane_complete(lane, (uint8_t *)&answer, &got_bytes, first_bytes))
		return false;
	if (frame.bytes > got_bytes &&
		!line_receive_all(&lane->line, (uint8_t *)copy->to + (got_bytes - first_bytes),
			(size_t)frame.bytes - got_bytes))
		return false;
	memcpy(copy->head, answer.head, sizeof(copy->head));
	copy_answered(copy, (size_t)frame.bytes - WIRE_HEADER_BYTES);
	return true;
}

static void lane_carry(struct lwp_carrier *carrier, struct copy *copy)
{
	struct lane *lane = container_of(carrier, struct lane, carrier);
	uint8_t frame[COPY_FRAME_MAX];
	struct iovec parts[2] = {{.iov_base = frame}, {.iov_len = copy_data_bytes(copy)}};

	if (lane->is_broken)
		return;
	parts[0].iov_len = copy_frame(copy, ++lane->copy_number, frame);
	parts[1].iov_base = (void *)(uintptr_t)copy->from;
	lane->is_broken = !lane_send_locked(lane, parts, parts[1].iov_len > 0 ? 2 : 1) ||
		(copy_is_answered(copy) && !lane_receive_answer(lane, copy));
	if (lane->is_broken)
		copy->error = -EFAULT;
	else if (!copy_is_answered(copy))
		copy->error = 0;
}

/* Calls */

static bool lane_reply(struct lane *lane)
{
	struct iovec *parts;
	unsigned count;
	size_t signal_bytes;
	bool is_sent;

	(void)pthread_mutex_lock(&lane->send_lock);
	signal_bytes = signals_take(&lane->process->signals, lane->signals);
	count = call_reply(&lane->call, lane->signals, signal_bytes, &parts);
	is_sent = line_send(&lane->line, parts, count);
	(void)pthread_mutex_unlock(&lane->send_lock);
	return is_sent;
}

/* Make the call whose frame lies at @bytes. @return whether the lane goes on. */
static bool lane_make_call(struct lane *lane, const struct wire_frame *frame, const uint8_t *bytes)
{
	bool is_sent;
	int error = call_begin(&lane->call, &lane->lwp, frame, bytes + WIRE_HEADER_BYTES,
		lane->process->carried_max);

	if (error == -ENOMEM)
		return lane_send_error(lane, frame->number, WIRE_ERROR_TRY_AGAIN);
	if (error != 0)
		return lane_send_error(lane, frame->number, WIRE_ERROR_MALFORMED);
	call_make(&lane->call);
	is_sent = !lane->is_broken && lane_reply(lane);
	call_end(&lane->call);
	return is_sent;
}

/* The same for a call that is longer than the buffer, which @got_bytes of it fill. */
static bool lane_make_long_call(struct lane *lane, const struct wire_frame *frame, size_t got_bytes)
{
	size_t bytes = (size_t)frame->bytes;
	uint8_t *copy = malloc(bytes);
	bool is_going_on;

	if (copy == NULL)
		return line_receive_past(&lane->line, bytes - got_bytes) &&
			lane_send_error(lane, frame->number, WIRE_ERROR_TRY_AGAIN);
	memcpy(copy, lane->buffer, got_bytes);
	is_going_on = line_receive_all(&lane->line, copy + got_bytes, bytes - got_bytes) &&
		lane_make_call(lane, frame, copy);
	free(copy);
	return is_going_on;
}

/* Receive a request and answer it. @return whether the lane goes on. */
static bool lane_serve(struct lane *lane)
{
	struct iovec room = {lane->buffer, sizeof(lane->buffer)};
	size_t got_bytes = line_wait(&lane->line, &room, 1);
	struct wire_frame frame;
	int error;

	if (got_bytes == 0 || !lane_complete(lane, lane->buffer, &got_bytes, WIRE_HEADER_BYTES))
		return false;
	frame = wire_frame_of((const struct wire_header *)lane->buffer);
	error = wire_check_from_client(&frame, true);
	/* What follows a request before its reply is out of step. */
	if (error < 0 || frame.bytes < got_bytes)
		return false;
	if (error > 0 || frame.class != WIRE_REQUEST ||
		(frame.type != WIRE_CALL && frame.type != WIRE_SYSCALL))
		return line_receive_past(&lane->line, frame.bytes - got_bytes) &&
			lane_send_error(lane, frame.number, WIRE_ERROR_MALFORMED);
	if (frame.bytes > sizeof(lane->buffer))
		return lane_make_long_call(lane, &frame, got_bytes);
	return line_receive_all(&lane->line, lane->buffer + got_bytes,
		       (size_t)frame.bytes - got_bytes) &&
		lane_make_call(lane, &frame, lane->buffer);
}

static void *lane_run(void *argument)
{
	struct lane *lane = argument;
	struct wire_handshake_reply reply = {.error = le32_of(0)};
	const struct wire_frame frame = {
		.number = lane->lane_number,
		.class = WIRE_RESPONSE,
		.type = WIRE_LANE,
	};
	bool is_going_on = lane_send_frame(lane, &frame, &reply, sizeof(reply));

	while (is_going_on)
		is_going_on = lane_serve(lane);
	lwp_release(&lane->lwp);
	loop_post(lane->process->server->loop, &lane->ended);
	return NULL;
}

/* The loop's side */

static void lane_free(struct lane *lane)
{
	lwp_deinit(&lane->lwp);
	(void)pthread_mutex_destroy(&lane->send_lock);
	free(lane);
}

static void lane_ended(struct loop_message *message)
{
	struct lane *lane = container_of(message, struct lane, ended);
	struct ferry_process *process = lane->process;

	(void)pthread_join(lane->thread, NULL);
	worker_release_thread(process->server->workers);
	loop_unwatch(&lane->watch);
	(void)close(lane->line.fd);
	list_remove(&lane->link);
	process->lane_count--;
	lane_free(lane);
	process_settle(process);
}

static void lane_hung_up(struct loop_watch *watch, uint32_t events)
{
	struct lane *lane = container_of(watch, struct lane, watch);

	(void)events;
	lane_end(lane);
}

void lane_end(struct lane *lane)
{
	(void)shutdown(lane->line.fd, SHUT_RDWR);
	if (lwp_doom(&lane->lwp))
		process_cancel_later(lane->process);
}

void lane_end_all(struct ferry_process *process)
{
	struct list *link;

	list_for_each (link, &process->lanes)
		lane_end(container_of(link, struct lane, link));
}

static struct lane *find_lane(struct ferry_process *process, uint64_t id)
{
	struct list *link;

	list_for_each (link, &process->lanes) {
		struct lane *lane = container_of(link, struct lane, link);

		if (lane->id == id)
			return lane;
	}
	return NULL;
}

void lane_cancel(struct ferry_process *process, uint64_t id, uint64_t number)
{
	struct lane *lane = find_lane(process, id);

	if (lane != NULL && lwp_cancel(&lane->lwp, number))
		process_cancel_later(process);
}

bool lane_cancel_again(struct ferry_process *process)
{
	struct list *link;
	bool is_due = false;

	list_for_each (link, &process->lanes) {
		if (lwp_cancel_again(&container_of(link, struct lane, link)->lwp))
			is_due = true;
	}
	return is_due;
}

/* @return whether the lane has told its client, or is beyond telling. */
static bool lane_tell_signals(struct lane *lane)
{
	uint8_t frames[SIGNALS_BYTES_MAX];
	ssize_t bytes;
	bool is_told = false;

	/* One that sends, its reply perhaps, looks for signals itself next time. */
	if (pthread_mutex_trylock(&lane->send_lock) != 0)
		return false;
	if (lwp_is_calling(&lane->lwp)) {
		bytes = (ssize_t)signals_take(&lane->process->signals, frames);
		is_told = true;
		if (send(lane->line.fd, frames, (size_t)bytes, MSG_DONTWAIT | MSG_NOSIGNAL) !=
			bytes)
			(void)shutdown(lane->line.fd, SHUT_RDWR);
	}
	(void)pthread_mutex_unlock(&lane->send_lock);
	return is_told;
}

void lane_raise(struct ferry_process *process)
{
	struct list *link;

	list_for_each (link, &process->lanes) {
		if (lane_tell_signals(container_of(link, struct lane, link)))
			return;
	}
}

static int lane_begin(struct lane *lane)
{
	struct ferry_sysproxy_server *server = lane->process->server;
	int flags = fcntl(lane->line.fd, F_GETFL);
	int error;

	/* The thread waits in the kernel; the loop says MSG_DONTWAIT. */
	if (flags < 0 || fcntl(lane->line.fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return -errno;
	error = loop_watch(server->loop, &lane->watch, EPOLLRDHUP);
	if (error != 0)
		return error;
	error = thread_start(server->limits.stack_bytes, lane_run, lane, &lane->thread);
	if (error != 0)
		loop_unwatch(&lane->watch);
	return error;
}

int lane_new(struct ferry_process *process, int fd, const struct lane_request *request)
{
	struct ferry_sysproxy_server *server = process->server;
	struct lane *lane;
	int error;

	if (find_lane(process, request->id) != NULL)
		return -EEXIST;
	if (process->lane_count >= server->limits.lanes_max ||
		!worker_reserve_thread(server->workers))
		return -EAGAIN;
	lane = malloc(sizeof(*lane));
	if (lane == NULL) {
		worker_release_thread(server->workers);
		return -ENOMEM;
	}
	/* The buffer is filled before it is read. */
	memset(lane, 0, offsetof(struct lane, buffer));
	lane->process = process;
	lane->id = request->id;
	lane->lane_number = request->number;
	line_init(&lane->line, fd, server->spin_limit_ns);
	lane->watch.fd = fd;
	lane->watch.ready = lane_hung_up;
	lane->ended.deliver = lane_ended;
	lane->carrier.carry = lane_carry;
	(void)pthread_mutex_init(&lane->send_lock, NULL);
	lwp_init(&lane->lwp, &server->kernel, process->data, true, &lane->carrier);
	error = lane_begin(lane);
	if (error != 0) {
		worker_release_thread(server->workers);
		lane_free(lane);
		return error;
	}
	list_append(&process->lanes, &lane->link);
	process->lane_count++;
	return 0;
}
