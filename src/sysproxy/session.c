/*
 * A session receives in two steps: a header, by which it decides where the payload goes, and the payload,
 * which goes there directly. What nobody wants is passed over.
 *
 * Room in the output is made before it is needed: some for what the session says by itself, and some for
 * each call. A frame is begun only while there is the former; a client that answers without reading, and so
 * uses up the latter, is hung up on.
 */
#include "sysproxy/session.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop/socket_stream.h"
#include "sysproxy/lane.h"

/* Output that must be free before another frame is received: what is said to a frame by itself. */
#define SESSION_FRAME_PUT_BYTES 4096u
#define SESSION_FRAME_PIECES    16u

/* Output of what is said by itself, in all, and of a call. */
#define SESSION_PUT_BYTES   (16u << 10)
#define SESSION_PIECES      64u
#define SESSION_CALL_PUT    256u
#define SESSION_CALL_PIECES 4u

/* What is put into the output before it is let to drain. */
#define SESSION_UNSENT_MAX (256u << 10)

/* Output */

int session_reserve(struct session *session, unsigned calls_count)
{
	unsigned room = session->calls_reserved > 0 ? session->calls_reserved : 4;
	int error;

	if (calls_count <= session->calls_reserved)
		return 0;
	while (room < calls_count)
		room *= 2;
	error = stream_reserve(session->stream, SESSION_PUT_BYTES + room * SESSION_CALL_PUT,
		SESSION_PIECES + room * SESSION_CALL_PIECES);
	if (error == 0)
		session->calls_reserved = room;
	return error;
}

uint8_t *session_put(struct session *session, size_t bytes)
{
	if (session->stream == NULL)
		return NULL;
	if (!stream_has_room(session->stream, bytes, 1)) {
		session_hang_up(session, "it does not read what it is sent");
		return NULL;
	}
	return stream_put(session->stream, bytes);
}

static void session_send(struct session *session, const struct wire_frame *frame,
	const void *payload, size_t bytes)
{
	uint8_t *room = session_put(session, WIRE_HEADER_BYTES + bytes);
	struct wire_header header;

	if (room == NULL)
		return;
	wire_header_put(&header, frame, bytes);
	memcpy(room, &header, sizeof(header));
	if (bytes > 0)
		memcpy(room + sizeof(header), payload, bytes);
}

void session_respond(struct session *session, const struct wire_frame *request, const void *payload,
	size_t bytes)
{
	const struct wire_frame frame = {
		.number = request->number,
		.class = WIRE_RESPONSE,
		.type = request->type,
	};

	session_send(session, &frame, payload, bytes);
}

void session_error(struct session *session, uint64_t number, enum wire_error code)
{
	const struct wire_frame frame = {.number = number, .class = WIRE_ERROR, .aux = code};

	session_send(session, &frame, NULL, 0);
}

void session_answer_handshake(struct session *session, uint64_t number)
{
	const struct ferry_process *process = session->process;
	const struct wire_frame request = {.number = number, .type = WIRE_HANDSHAKE};
	struct wire_session_reply reply = {
		.process_id = le64_of(process->id),
		.lane = process->lane_cookie,
	};

	if (process->is_extended)
		server_tell_name(process->server, process->id, &process->lane_cookie);
	session_respond(session, &request, &reply,
		process->is_extended ? sizeof(reply) : sizeof(struct wire_handshake_reply));
}

void session_send_signals(struct session *session)
{
	uint8_t frames[SIGNALS_BYTES_MAX];
	size_t bytes;

	if (session->stream == NULL || !signals_are_waiting(&session->process->signals) ||
		!stream_has_room(session->stream, SIGNALS_BYTES_MAX, SESSION_FRAME_PIECES))
		return;
	bytes = signals_take(&session->process->signals, frames);
	for (size_t i = 0; i < bytes; i += WIRE_HEADER_BYTES)
		memcpy(stream_put(session->stream, WIRE_HEADER_BYTES), frames + i,
			WIRE_HEADER_BYTES);
}

void session_hang_up(struct session *session, const char *why)
{
	if (session->is_ending || session->stream == NULL)
		return;
	session->is_ending = true;
	stream_direct(session->stream, NULL, 0);
	stream_tell_drained(session->stream);
	timer_arm_after(&session->linger, SERVER_LINGER_MS);
	process_die(session->process, why);
}

void session_close(struct session *session)
{
	if (session->stream == NULL)
		return;
	timer_disarm(&session->linger);
	stream_free(session->stream);
	session->stream = NULL;
	session_drop_calls(session);
	process_die(session->process, NULL);
	process_settle(session->process);
}

bool session_is_lingering(const struct session *session)
{
	return session != NULL && session->is_ending && session->stream != NULL;
}

/* What frames say */

/* Refuse the frame, whose payload is dropped. */
static void refuse(struct session *session, enum wire_error code)
{
	session_error(session, session->frame.number, code);
}

static void received_cancel(struct session *session)
{
	struct wire_cancel cancel;

	memcpy(&cancel, session->small, sizeof(cancel));
	if (le64_get(cancel.lane) == 0)
		session_cancel(session, le64_get(cancel.call));
	else
		lane_cancel(session->process, le64_get(cancel.lane), le64_get(cancel.call));
}

static void received_exec(struct session *session)
{
	size_t bytes = (size_t)session->frame.bytes - WIRE_HEADER_BYTES;

	session->small[bytes] = '\0';
	process_exec(session->process, (const char *)session->small, session->frame.number);
}

/* Receive the payload into session->small and then call @received. */
static void receive_small(struct session *session, void (*received)(struct session *session))
{
	session->places[0] = (struct iovec){session->small, session->payload_left_bytes};
	session->received = received;
}

/* A handshake on a connection that has had one: EXEC is the only sensible one. */
static void begin_handshake(struct session *session)
{
	if (session->frame.aux == WIRE_EXEC && session->process->state == PROCESS_EXECING) {
		refuse(session, WIRE_ERROR_IN_EXEC);
		session_hang_up(session, "a second exec during an exec");
	} else if (session->frame.aux == WIRE_EXEC) {
		receive_small(session, received_exec);
	} else {
		refuse(session,
			session->frame.aux == WIRE_AUTH ? WIRE_ERROR_AUTH : WIRE_ERROR_MALFORMED);
		session_hang_up(session, "a second handshake");
	}
}

static void begin_prefork(struct session *session)
{
	int error;

	if (session->process->state == PROCESS_EXECING) {
		refuse(session, WIRE_ERROR_IN_EXEC);
		session_hang_up(session, "a fork during an exec");
		return;
	}
	error = process_fork(session->process, session->frame.number);
	if (error == -ENFILE)
		refuse(session, WIRE_ERROR_NO_MEMORY);
	else if (error != 0)
		refuse(session, WIRE_ERROR_TRY_AGAIN);
}

static void begin_request(struct session *session)
{
	switch (session->frame.type) {
	case WIRE_SYSCALL:
	case WIRE_CALL:
		if (session->process->state == PROCESS_EXECING)
			refuse(session, WIRE_ERROR_IN_EXEC);
		else
			session_receive_call(session);
		break;
	case WIRE_HANDSHAKE:
		begin_handshake(session);
		break;
	case WIRE_PREFORK:
		begin_prefork(session);
		break;
	case WIRE_CANCEL:
		receive_small(session, received_cancel);
		break;
	default:
		refuse(session, WIRE_ERROR_MALFORMED);
		break;
	}
}

/* A header has come: decide where its payload goes. */
static void begin_frame(struct session *session)
{
	int error;

	session->frame = wire_frame_of(&session->header);
	error = wire_check_from_client(&session->frame, session->process->is_extended);
	if (error < 0) {
		session_hang_up(session, "a frame of an impossible length");
		return;
	}
	session->payload_left_bytes = session->frame.bytes - WIRE_HEADER_BYTES;
	session->received = NULL;
	memset(session->places, 0, sizeof(session->places));
	/* Also one of the wrong length answers a copy, and fails it. */
	if (session->frame.class == WIRE_RESPONSE)
		session_receive_answer(session);
	else if (error > 0)
		refuse(session, (enum wire_error)error);
	else
		begin_request(session);
}

static void end_frame(struct session *session)
{
	void (*received)(struct session * session) = session->received;

	session->header_got_bytes = 0;
	session->received = NULL;
	if (received != NULL)
		received(session);
}

/* Receiving */

/* The place for the next bytes of the payload, all of whose bytes are wanted in one place. */
static struct iovec *next_place(struct session *session)
{
	return session->places[0].iov_len > 0 ? &session->places[0] : &session->places[1];
}

/* @bytes bytes have come to the next place. */
static void note_placed(struct session *session, size_t bytes)
{
	struct iovec *place = next_place(session);

	place->iov_base = (uint8_t *)place->iov_base + bytes;
	place->iov_len -= bytes;
	session->payload_left_bytes -= bytes;
}

static size_t take_header(struct session *session, const uint8_t *data, size_t bytes)
{
	size_t wanted_bytes = WIRE_HEADER_BYTES - session->header_got_bytes;

	if (bytes > wanted_bytes)
		bytes = wanted_bytes;
	memcpy(session->header_bytes + session->header_got_bytes, data, bytes);
	session->header_got_bytes += bytes;
	if (session->header_got_bytes == WIRE_HEADER_BYTES)
		begin_frame(session);
	return bytes;
}

static size_t take_payload(struct session *session, const uint8_t *data, size_t bytes)
{
	struct iovec *place = next_place(session);

	if (place->iov_base == NULL) {
		if (bytes > session->payload_left_bytes)
			bytes = (size_t)session->payload_left_bytes;
		session->payload_left_bytes -= bytes;
		return bytes;
	}
	if (bytes > place->iov_len)
		bytes = place->iov_len;
	memcpy(place->iov_base, data, bytes);
	note_placed(session, bytes);
	return bytes;
}

static bool is_header_complete(const struct session *session)
{
	return session->header_got_bytes == WIRE_HEADER_BYTES;
}

/* Whether the client has to read first what it was sent. */
static bool is_backed_up(const struct session *session)
{
	unsigned calls = session->calls_count;

	return stream_unsent_bytes(session->stream) > SESSION_UNSENT_MAX ||
		!stream_has_room(session->stream,
			SESSION_FRAME_PUT_BYTES + calls * SESSION_CALL_PUT,
			SESSION_FRAME_PIECES + calls * SESSION_CALL_PIECES);
}

/* Take bytes until there are none or the session has to wait. @return how many. */
static size_t take(struct session *session, const uint8_t *data, size_t bytes)
{
	size_t taken = 0;

	while (taken < bytes && session->stream != NULL) {
		if (session->is_ending)
			return bytes;
		if (is_header_complete(session)) {
			taken += take_payload(session, data + taken, bytes - taken);
		} else if (is_backed_up(session)) {
			stream_pause(session->stream);
			stream_tell_drained(session->stream);
			return taken;
		} else {
			taken += take_header(session, data + taken, bytes - taken);
		}
		if (is_header_complete(session) && session->payload_left_bytes == 0)
			end_frame(session);
	}
	return taken;
}

static size_t session_received(void *context, size_t direct_bytes, const uint8_t *data,
	size_t bytes)
{
	struct session *session = context;
	struct iovec *place;
	size_t taken;

	if (direct_bytes > 0 && !session->is_ending) {
		note_placed(session, direct_bytes);
		if (session->payload_left_bytes == 0)
			end_frame(session);
	}
	taken = take(session, data, bytes);
	if (session->stream == NULL)
		return bytes;
	place = next_place(session);
	if (!session->is_ending && is_header_complete(session) && place->iov_base != NULL)
		stream_direct(session->stream, place->iov_base, place->iov_len);
	else
		stream_direct(session->stream, NULL, 0);
	return taken;
}

/* The process may have waited for this. */
static void end(struct session *session)
{
	session_close(session);
	process_settle(session->process);
}

static void session_drained(void *context)
{
	struct session *session = context;

	if (session->is_ending)
		end(session);
	else
		stream_resume(session->stream);
}

static void session_linger_over(struct timer *timer)
{
	end(container_of(timer, struct session, linger));
}

static void session_closed(void *context, int error)
{
	struct session *session = context;

	(void)error;
	end(session);
}

static const struct stream_handler session_handler = {
	.received = session_received,
	.drained = session_drained,
	.closed = session_closed,
};

/* Life */

int session_new(struct ferry_process *process, int fd)
{
	struct session *session = calloc(1, sizeof(*session));
	int error;

	if (session == NULL) {
		(void)close(fd);
		return -ENOMEM;
	}
	session->process = process;
	timer_init(&session->linger, process->server->loop, session_linger_over);
	list_init(&session->calls);
	list_init(&session->copies);
	error = socket_stream_adopt(process->server->loop, fd, &session->stream);
	if (error != 0)
		(void)close(fd);
	else
		error = session_reserve(session, 1);
	if (error != 0) {
		stream_free(session->stream);
		free(session);
		return error;
	}
	process_run(process, session);
	return 0;
}

void session_start(struct session *session)
{
	stream_start(session->stream, &session_handler, session);
}

void session_free(struct session *session)
{
	if (session == NULL)
		return;
	session_close(session);
	assert(session->calls_count == 0 && list_is_empty(&session->copies));
	free(session);
}
