/*
 * One connection for many threads. Of those that wait for an answer one receives for all: it serves
 * the server's requests, hands answers to whom they belong, and passes the duty on when it has its
 * own. Between two frames the connection can be frozen, for exec.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sysproxy/client_private.h"

struct client_session {
	struct ferry_sysproxy *client;
	struct client_grant grant;
	_Atomic unsigned reference_count;
	pthread_mutex_t receive_mutex; /* from the first to the last byte of a frame */
	pthread_mutex_t send_mutex;    /* of a frame */
	struct link link;

	pthread_mutex_t mutex; /* guards what follows */
	struct list waiters;
	unsigned waiter_count;
	pthread_cond_t has_room; /* for one waiter more */
	bool has_receiver;
	int error; /* the connection is lost */
	uint64_t last_number;
};

/* Who waits for an answer. */
struct waiter {
	struct list entry;
	pthread_cond_t wake;
	uint64_t number;
	struct client_memory_scope scope; /* its call is NULL for a PREFORK */
	struct wire_cookie cookie;
	bool is_done;
	int error;
};

struct client_session *client_session_new(struct ferry_sysproxy *client, struct link *link,
	const struct client_grant *grant)
{
	struct client_session *session = calloc(1, sizeof(*session));

	if (session == NULL)
		return NULL;
	session->client = client;
	session->grant = *grant;
	session->link = *link;
	*link = link_none();
	atomic_init(&session->reference_count, 1);
	(void)pthread_mutex_init(&session->receive_mutex, NULL);
	(void)pthread_mutex_init(&session->send_mutex, NULL);
	(void)pthread_mutex_init(&session->mutex, NULL);
	(void)pthread_cond_init(&session->has_room, NULL);
	list_init(&session->waiters);
	return session;
}

void client_session_ref(struct client_session *session)
{
	atomic_fetch_add(&session->reference_count, 1);
}

void client_session_unref(struct client_session *session)
{
	if (session == NULL || atomic_fetch_sub(&session->reference_count, 1) != 1)
		return;
	(void)pthread_mutex_destroy(&session->receive_mutex);
	(void)pthread_mutex_destroy(&session->send_mutex);
	(void)pthread_mutex_destroy(&session->mutex);
	(void)pthread_cond_destroy(&session->has_room);
	link_deinit(&session->link);
	free(session);
}

void client_session_abandon(struct client_session *session)
{
	link_deinit(&session->link);
	free(session);
}

bool client_session_is_lost(const struct client_session *session)
{
	return link_is_ended(&session->link);
}

int client_session_freeze(struct client_session *session)
{
	(void)pthread_mutex_lock(&session->receive_mutex);
	(void)pthread_mutex_lock(&session->send_mutex);
	return session->link.line.fd;
}

void client_session_thaw(struct client_session *session)
{
	(void)pthread_mutex_unlock(&session->send_mutex);
	(void)pthread_mutex_unlock(&session->receive_mutex);
}

static int send_parts(struct client_session *session, struct iovec *parts, unsigned part_count)
{
	int error;

	(void)pthread_mutex_lock(&session->send_mutex);
	error = link_send(&session->link, parts, part_count);
	(void)pthread_mutex_unlock(&session->send_mutex);
	return error;
}

/* Receiving: the session's mutex is held but where said. */

static struct waiter *find_waiter(struct client_session *session, uint64_t number)
{
	for (struct list *link = session->waiters.next; link != &session->waiters;
		link = link->next) {
		struct waiter *waiter = container_of(link, struct waiter, entry);

		if (waiter->number == number && !waiter->is_done)
			return waiter;
	}
	return NULL;
}

/* Whose memory a copy is about: the extension says so; on 0.4 it is any call that declared it. */
static struct client_memory_scope *find_declaring(struct client_session *session,
	const struct wire_frame *frame, const struct client_memory_copy *copy)
{
	bool is_out = frame->type == WIRE_COPYOUT || frame->type == WIRE_COPYOUTSTR;
	struct waiter *waiter;

	if (frame->type >= WIRE_CALL_COPYIN) {
		waiter = find_waiter(session, copy->call);
		return waiter != NULL && waiter->scope.call != NULL ? &waiter->scope : NULL;
	}
	for (struct list *link = session->waiters.next; link != &session->waiters;
		link = link->next) {
		waiter = container_of(link, struct waiter, entry);
		if (waiter->scope.call == NULL || waiter->is_done)
			continue;
		if (frame->type == WIRE_ANONMMAP ||
			client_memory_end(&waiter->scope, copy->address,
				is_out ? FERRY_SYSPROXY_OUT : FERRY_SYSPROXY_IN) != NULL)
			return &waiter->scope;
	}
	return NULL;
}

/* Nobody's call ends while this happens: only the receiver ends them. */
static int serve(struct client_session *session, const struct wire_frame *frame)
{
	struct client_memory_scope *scope;
	struct client_memory_answer answer;
	struct client_memory_copy copy;
	int error;

	if (frame->type == WIRE_RAISE) {
		client_raise(session->client, (int)frame->aux);
		return 0;
	}
	error = client_memory_take_copy(&session->link, frame, &copy);
	if (error != 0)
		return error;
	(void)pthread_mutex_lock(&session->mutex);
	scope = find_declaring(session, frame, &copy);
	(void)pthread_mutex_unlock(&session->mutex);
	error = client_memory_serve(&session->link, frame, &copy, scope, &answer);
	if (error != 0)
		return error;
	return send_parts(session, answer.parts, answer.part_count);
}

static int take_answer(struct client_session *session, const struct wire_frame *frame,
	struct waiter *waiter)
{
	if (frame->class == WIRE_ERROR) {
		int error = client_error_of(frame->aux);

		if (waiter->scope.call == NULL) {
			waiter->error = error;
			return 0;
		}
		waiter->scope.call->error = -error;
		waiter->scope.call->values[0] = waiter->scope.call->values[1] = 0;
		return 0;
	}
	if (waiter->scope.call == NULL)
		return frame->type == WIRE_PREFORK
			? link_read(&session->link, &waiter->cookie, sizeof(waiter->cookie))
			: -EPROTO;
	if (frame->type != (session->grant.is_extended ? WIRE_CALL : WIRE_SYSCALL))
		return -EPROTO;
	return client_memory_take_reply(&session->link, frame, waiter->scope.call);
}

static int receive_answer(struct client_session *session, const struct wire_frame *frame)
{
	struct waiter *waiter;
	int error;

	(void)pthread_mutex_lock(&session->mutex);
	waiter = find_waiter(session, frame->number);
	(void)pthread_mutex_unlock(&session->mutex);
	if (waiter == NULL)
		return -EPROTO;
	error = take_answer(session, frame, waiter);
	(void)pthread_mutex_lock(&session->mutex);
	if (error == 0) {
		waiter->is_done = true;
		(void)pthread_cond_signal(&waiter->wake);
	}
	(void)pthread_mutex_unlock(&session->mutex);
	return error;
}

/* Receive one frame and all that have come with it. */
static int receive_frames(struct client_session *session)
{
	struct link *link = &session->link;
	struct wire_header header;
	int error = 0;

	do {
		struct wire_frame frame;

		error = link_read(link, &header, sizeof(header));
		if (error != 0)
			break;
		frame = wire_frame_of(&header);
		error = wire_check_from_server(&frame, session->grant.is_extended);
		if (error != 0)
			break;
		error = frame.class == WIRE_REQUEST ? serve(session, &frame)
						    : receive_answer(session, &frame);
	} while (error == 0 && link_byte_count(link) > 0);
	return error;
}

/* Wait until something can be received, with @mask (NULL: the thread's) let in, and receive it.
 * @return 0, -EINTR, or -errno when the connection is lost. */
static int receive(struct client_session *session, const sigset_t *mask)
{
	struct pollfd poll_fd = {.fd = session->link.line.fd, .events = POLLIN};
	int error;

	if (ppoll(&poll_fd, 1, NULL, mask) < 0)
		return errno == EINTR && mask == NULL ? 0 : -errno;
	(void)pthread_mutex_lock(&session->receive_mutex);
	/* Another receiver may have taken it, before a freeze or a passing on. */
	error = poll(&poll_fd, 1, 0) > 0 ? receive_frames(session) : 0;
	(void)pthread_mutex_unlock(&session->receive_mutex);
	return error;
}

/* Waiting: the session's mutex is held. */

static void wake_all(struct client_session *session)
{
	for (struct list *link = session->waiters.next; link != &session->waiters;
		link = link->next)
		(void)pthread_cond_signal(&container_of(link, struct waiter, entry)->wake);
}

static void remove_waiter(struct client_session *session, struct waiter *waiter)
{
	list_remove(&waiter->entry);
	session->waiter_count--;
	(void)pthread_cond_signal(&session->has_room);
}

/* The server has said how many calls it takes at a time. @return 0 or -ENOTCONN. */
static int add_waiter(struct client_session *session, struct waiter *waiter)
{
	while (session->error == 0 && session->waiter_count >= session->grant.calls_max)
		(void)pthread_cond_wait(&session->has_room, &session->mutex);
	if (session->error != 0) {
		(void)pthread_cond_signal(&session->has_room);
		return -ENOTCONN;
	}
	list_append(&session->waiters, &waiter->entry);
	session->waiter_count++;
	return 0;
}

static void wait_for(struct client_session *session, struct waiter *waiter, const sigset_t *mask)
{
	while (!waiter->is_done && session->error == 0) {
		int error;

		if (session->has_receiver) {
			(void)pthread_cond_wait(&waiter->wake, &session->mutex);
			continue;
		}
		session->has_receiver = true;
		(void)pthread_mutex_unlock(&session->mutex);
		error = receive(session, mask);
		if (error == -EINTR)
			client_session_cancel(session, 0, waiter->number);
		(void)pthread_mutex_lock(&session->mutex);
		session->has_receiver = false;
		if (error != 0 && error != -EINTR)
			session->error = error;
	}
	remove_waiter(session, waiter);
	/* Somebody else is to receive now, or nobody any more. */
	if (!session->has_receiver)
		wake_all(session);
}

/* Send @parts, whose header is for waiter->number, and wait. */
static int request(struct client_session *session, struct waiter *waiter, struct iovec *parts,
	unsigned part_count, const sigset_t *mask)
{
	int error;

	(void)pthread_mutex_lock(&session->mutex);
	error = add_waiter(session, waiter);
	(void)pthread_mutex_unlock(&session->mutex);
	if (error != 0)
		return error;
	error = send_parts(session, parts, part_count) != 0 ? -ENOTCONN : 0;
	(void)pthread_mutex_lock(&session->mutex);
	if (error != 0) {
		session->error = error;
		remove_waiter(session, waiter);
		wake_all(session);
	} else {
		wait_for(session, waiter, mask);
		if (!waiter->is_done)
			error = -ECONNABORTED;
	}
	(void)pthread_mutex_unlock(&session->mutex);
	return error;
}

static void waiter_init(struct client_session *session, struct waiter *waiter,
	struct ferry_sysproxy_call *call)
{
	*waiter = (struct waiter){.scope.call = call};
	list_init(&waiter->entry);
	(void)pthread_cond_init(&waiter->wake, NULL);
	(void)pthread_mutex_lock(&session->mutex);
	waiter->number = ++session->last_number;
	(void)pthread_mutex_unlock(&session->mutex);
}

int client_session_call(struct client_session *session, struct ferry_sysproxy_call *call)
{
	const struct client_grant *grant = &session->grant;
	bool is_interruptible = grant->is_extended && call->flags & FERRY_SYSPROXY_INTERRUPTIBLE;
	struct client_memory_request frame;
	struct waiter waiter;
	sigset_t all, before;
	int error = client_memory_check(call, grant, true);

	if (error != 0)
		return error;
	waiter_init(session, &waiter, call);
	error = client_memory_request_init(&frame, call, waiter.number, grant);
	if (error == 0) {
		if (is_interruptible) {
			sigfillset(&all);
			(void)pthread_sigmask(SIG_BLOCK, &all, &before);
		}
		error = request(session, &waiter, frame.parts, frame.part_count,
			is_interruptible ? &before : NULL);
		if (is_interruptible)
			(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
		client_memory_request_deinit(&frame);
	}
	(void)pthread_cond_destroy(&waiter.wake);
	return error;
}

int client_session_prefork(struct client_session *session, struct wire_cookie *ret_cookie)
{
	struct wire_frame frame = {.class = WIRE_REQUEST, .type = WIRE_PREFORK};
	struct wire_header header;
	struct iovec part = {&header, sizeof(header)};
	struct waiter waiter;
	int error;

	waiter_init(session, &waiter, NULL);
	frame.number = waiter.number;
	wire_header_put(&header, &frame, 0);
	error = request(session, &waiter, &part, 1, NULL);
	if (error == 0)
		error = waiter.error;
	if (error == 0)
		*ret_cookie = waiter.cookie;
	(void)pthread_cond_destroy(&waiter.wake);
	return error;
}

void client_session_cancel(struct client_session *session, uint64_t lane_id, uint64_t number)
{
	struct wire_frame frame = {.class = WIRE_REQUEST, .type = WIRE_CANCEL};
	struct wire_cancel cancel = {le64_of(lane_id), le64_of(number)};
	struct wire_header header;
	struct iovec parts[] = {{&header, sizeof(header)}, {&cancel, sizeof(cancel)}};
	int error;

	wire_header_put(&header, &frame, sizeof(cancel));
	/* Whoever waits will learn that the connection is lost. */
	error = send_parts(session, parts, ARRAY_LENGTH(parts));
	(void)error;
}

void client_session_cancel_call(struct client_session *session,
	const struct ferry_sysproxy_call *call)
{
	uint64_t number = 0;

	(void)pthread_mutex_lock(&session->mutex);
	for (struct list *link = session->waiters.next; link != &session->waiters;
		link = link->next) {
		struct waiter *waiter = container_of(link, struct waiter, entry);

		if (waiter->scope.call == call && !waiter->is_done)
			number = waiter->number;
	}
	(void)pthread_mutex_unlock(&session->mutex);
	if (number != 0)
		client_session_cancel(session, 0, number);
}
