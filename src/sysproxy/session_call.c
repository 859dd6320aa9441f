/*
 * The calls of a session, and the copies that they ask for.
 *
 * A call lives on the loop while it arrives, then with a worker until its message says that it is done,
 * then with the stream until its reply has been handed over; only then is it counted out.
 *
 * A copy lies on the stack of the worker that waits for it. Its message brings it to the loop; it stays
 * there until its answer has come, its data have left the output, or the session is closed.
 */
#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sysproxy/call.h"
#include "sysproxy/session.h"

struct session_call {
	struct list link; /* in session->calls, while with a worker */
	struct session *session;
	struct worker_job job;
	struct loop_message done;
	struct wire_frame frame;
	int begin_error; /* of call_begin(): there is no reply but an error */
	struct ferry_lwp lwp;
	struct lwp_carrier carrier;
	struct call call;
	uint8_t *reply; /* NULL: no memory for it */
	size_t reply_bytes;
	struct stream_lease lease;
	size_t payload_bytes;
	uint8_t payload[];
};

struct session_copy {
	struct list link; /* in session->copies, once on the loop */
	struct session *session;
	struct loop_message message;
	struct copy *copy;
	uint64_t number;
	size_t answer_bytes; /* that are arriving */
	bool is_awaited;     /* the answer has not come */
	bool is_lent;        /* the data are in the output */
	struct stream_lease lease;
	sem_t done;
};

/* Copies: on the worker's thread */

static void copy_begun(struct loop_message *message);
static void copy_returned(struct stream_lease *lease, bool is_sent);

static void session_carry(struct lwp_carrier *carrier, struct copy *copy)
{
	struct session_call *call = container_of(carrier, struct session_call, carrier);
	struct session_copy waiting = {
		.session = call->session,
		.copy = copy,
		.message.deliver = copy_begun,
		.lease.returned = copy_returned,
	};

	(void)sem_init(&waiting.done, 0, 0);
	loop_post(call->session->process->server->loop, &waiting.message);
	while (sem_wait(&waiting.done) != 0)
		;
	(void)sem_destroy(&waiting.done);
}

/* Copies: on the loop */

static void copy_settle(struct session_copy *waiting)
{
	if (waiting->is_awaited || waiting->is_lent)
		return;
	list_remove(&waiting->link);
	(void)sem_post(&waiting->done);
}

static void copy_returned(struct stream_lease *lease, bool is_sent)
{
	struct session_copy *waiting = container_of(lease, struct session_copy, lease);

	waiting->is_lent = false;
	if (!is_sent)
		waiting->copy->error = -EFAULT;
	else if (!copy_is_answered(waiting->copy))
		waiting->copy->error = 0;
	copy_settle(waiting);
}

static void copy_begun(struct loop_message *message)
{
	struct session_copy *waiting = container_of(message, struct session_copy, message);
	struct session *session = waiting->session;
	const struct copy *copy = waiting->copy;
	uint8_t frame[COPY_FRAME_MAX], *room;
	size_t bytes;

	waiting->number = ++session->copy_number;
	bytes = copy_frame(copy, waiting->number, frame);
	list_append(&session->copies, &waiting->link);
	/* After an exec the memory is no more. */
	if (session->is_ending || session->stream == NULL ||
		session->process->state == PROCESS_EXECING) {
		copy_settle(waiting);
		return;
	}
	room = stream_has_room(session->stream, bytes, 2) ? session_put(session, bytes) : NULL;
	if (room == NULL) {
		session_hang_up(session, "it does not read what it is sent");
		copy_settle(waiting);
		return;
	}
	memcpy(room, frame, bytes);
	waiting->is_awaited = copy_is_answered(copy);
	waiting->is_lent = copy_data_bytes(copy) > 0;
	if (waiting->is_lent)
		stream_lend(session->stream, copy->from, copy->bytes, &waiting->lease);
}

static struct session_copy *find_copy(struct session *session, uint64_t number)
{
	struct list *link;

	list_for_each (link, &session->copies) {
		struct session_copy *waiting = container_of(link, struct session_copy, link);

		if (waiting->number == number && waiting->is_awaited)
			return waiting;
	}
	return NULL;
}

static void answer_received(struct session *session)
{
	struct session_copy *waiting = session->receiving_copy;

	session->receiving_copy = NULL;
	copy_answered(waiting->copy, waiting->answer_bytes);
	waiting->is_awaited = false;
	copy_settle(waiting);
}

void session_receive_answer(struct session *session)
{
	struct session_copy *waiting = find_copy(session, session->frame.number);
	struct copy *copy;

	/* 0.4: one that nobody waits for is dropped. */
	if (waiting == NULL)
		return;
	copy = waiting->copy;
	if (!copy_takes(copy, session->payload_left_bytes)) {
		waiting->is_awaited = false;
		copy_settle(waiting);
		return;
	}
	waiting->answer_bytes = (size_t)session->payload_left_bytes;
	session->places[0] = (struct iovec){copy->head, copy_head_bytes(copy)};
	session->places[1] =
		(struct iovec){copy->to, waiting->answer_bytes - copy_head_bytes(copy)};
	session->receiving_copy = waiting;
	session->received = answer_received;
}

/* Calls */

static void call_free(struct session_call *call)
{
	struct session *session = call->session;

	session->calls_count--;
	session->call_bytes -= call->payload_bytes + call->reply_bytes;
	lwp_deinit(&call->lwp);
	free(call->reply);
	free(call);
}

/* Put the reply into one piece of memory, on the worker's thread. */
static void call_flatten(struct session_call *call)
{
	struct iovec *parts;
	unsigned count = call_reply(&call->call, NULL, 0, &parts);
	size_t bytes = 0;

	for (unsigned i = 0; i < count; i++)
		bytes += parts[i].iov_len;
	call->reply = malloc(bytes);
	if (call->reply == NULL)
		return;
	for (unsigned i = 0; i < count; i++) {
		if (parts[i].iov_len == 0)
			continue;
		memcpy(call->reply + call->reply_bytes, parts[i].iov_base, parts[i].iov_len);
		call->reply_bytes += parts[i].iov_len;
	}
}

static void call_run(struct worker_job *job)
{
	struct session_call *call = container_of(job, struct session_call, job);
	struct ferry_process *process = call->session->process;

	call->begin_error = call_begin(&call->call, &call->lwp, &call->frame, call->payload,
		process->carried_max);
	if (call->begin_error == 0) {
		call_make(&call->call);
		lwp_release(&call->lwp);
		call_flatten(call);
		call_end(&call->call);
	}
	loop_post(process->server->loop, &call->done);
}

static void call_returned(struct stream_lease *lease, bool is_sent)
{
	(void)is_sent;
	call_free(container_of(lease, struct session_call, lease));
}

static void call_answer(struct session_call *call)
{
	struct session *session = call->session;

	session_send_signals(session);
	if (call->begin_error != 0 || call->reply == NULL) {
		session_error(session, call->frame.number,
			call->begin_error == -EPROTO ? WIRE_ERROR_MALFORMED : WIRE_ERROR_TRY_AGAIN);
		call_free(call);
		return;
	}
	if (!stream_has_room(session->stream, 0, 1)) {
		session_hang_up(session, "it does not read what it is sent");
		call_free(call);
		return;
	}
	stream_lend(session->stream, call->reply, call->reply_bytes, &call->lease);
}

static void call_done(struct loop_message *message)
{
	struct session_call *call = container_of(message, struct session_call, done);
	struct session *session = call->session;

	list_remove(&call->link);
	session->call_bytes += call->reply_bytes;
	if (session->stream == NULL || session->is_ending)
		call_free(call);
	else
		call_answer(call);
	process_settle(session->process);
}

static void call_received(struct session *session)
{
	struct session_call *call = session->receiving_call;

	session->receiving_call = NULL;
	list_append(&session->calls, &call->link);
	if (worker_submit(session->process->server->workers, &call->job) == 0)
		return;
	list_remove(&call->link);
	session_error(session, call->frame.number, WIRE_ERROR_NO_MEMORY);
	call_free(call);
}

/* @return the error to refuse another call of @bytes bytes with, or WIRE_ERROR_NONE. */
static enum wire_error admit(struct session *session, size_t bytes)
{
	if (session->calls_count >= session->process->server->limits.calls_max ||
		session->call_bytes + bytes > SESSION_CALL_BYTES_MAX)
		return WIRE_ERROR_NO_MEMORY;
	return session_reserve(session, session->calls_count + 1) == 0 ? WIRE_ERROR_NONE
								       : WIRE_ERROR_TRY_AGAIN;
}

void session_receive_call(struct session *session)
{
	size_t bytes = (size_t)session->payload_left_bytes;
	struct ferry_process *process = session->process;
	enum wire_error refusal = admit(session, bytes);
	struct session_call *call = NULL;

	if (refusal == WIRE_ERROR_NONE) {
		call = malloc(sizeof(*call) + bytes);
		if (call == NULL)
			refusal = WIRE_ERROR_TRY_AGAIN;
	}
	if (call == NULL) {
		session_error(session, session->frame.number, refusal);
		return;
	}
	*call = (struct session_call){
		.session = session,
		.job.run = call_run,
		.done.deliver = call_done,
		.frame = session->frame,
		.carrier.carry = session_carry,
		.lease.returned = call_returned,
		.payload_bytes = bytes,
	};
	list_init(&call->link);
	lwp_init(&call->lwp, &process->server->kernel, process->data, process->is_extended,
		&call->carrier);
	session->calls_count++;
	session->call_bytes += bytes;
	session->places[0] = (struct iovec){call->payload, bytes};
	session->receiving_call = call;
	session->received = call_received;
}

/* Ends */

void session_fail_copies(struct session *session)
{
	struct list *link, *following;

	list_for_each_safe (link, following, &session->copies) {
		struct session_copy *waiting = container_of(link, struct session_copy, link);

		waiting->copy->error = -EFAULT;
		waiting->is_awaited = false;
		copy_settle(waiting);
	}
}

void session_drop_calls(struct session *session)
{
	session->received = NULL;
	session->receiving_copy = NULL;
	if (session->receiving_call != NULL)
		call_free(TAKE(session->receiving_call));
	session_fail_copies(session);
}

void session_doom_calls(struct session *session)
{
	struct list *link;
	bool is_due = false;

	list_for_each (link, &session->calls) {
		if (lwp_doom(&container_of(link, struct session_call, link)->lwp))
			is_due = true;
	}
	if (is_due)
		process_cancel_later(session->process);
}

void session_cancel(struct session *session, uint64_t number)
{
	struct list *link;

	list_for_each (link, &session->calls) {
		struct session_call *call = container_of(link, struct session_call, link);

		if (call->frame.number != number)
			continue;
		if (lwp_cancel(&call->lwp, number))
			process_cancel_later(session->process);
		return;
	}
}

bool session_cancel_again(struct session *session)
{
	struct list *link;
	bool is_due = false;

	list_for_each (link, &session->calls) {
		if (lwp_cancel_again(&container_of(link, struct session_call, link)->lwp))
			is_due = true;
	}
	return is_due;
}
