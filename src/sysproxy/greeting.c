/*
 * A greeting receives exactly its frames, not a byte more.
 */
#include "sysproxy/greeting.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "sysproxy/greeting_private.h"
#include "sysproxy/process.h"

/* Ends */

void greeting_release(struct greeting *greeting)
{
	struct ferry_sysproxy_server *server = greeting->server;

	if (greeting->process != NULL)
		process_forget_greeting(greeting->process);
	timer_disarm(&greeting->timer);
	loop_task_cancel(&greeting->drop);
	list_remove(&greeting->link);
	server->greeting_count--;
	free(greeting);
	server_settle(server);
}

void greeting_free(struct greeting *greeting)
{
	loop_unwatch(&greeting->watch);
	(void)close(greeting->watch.fd);
	greeting_release(greeting);
}

/* Send what fits into an empty socket. @return whether it did. */
static bool send_now(struct greeting *greeting, const void *bytes, size_t count)
{
	return send(greeting->watch.fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL) ==
		(ssize_t)count;
}

void greeting_refuse(struct greeting *greeting, enum wire_error code, const char *why)
{
	const struct wire_frame frame = {
		.number = greeting->frame.number,
		.class = WIRE_ERROR,
		.aux = code,
	};
	struct wire_header header;

	log_write(greeting->server->log, LOG_LEVEL_WARNING, "refused",
		"a connection is refused: %s", why);
	wire_header_put(&header, &frame, 0);
	(void)send_now(greeting, &header, sizeof(header));
	(void)shutdown(greeting->watch.fd, SHUT_WR);
	greeting->state = GREETING_LINGERING;
	timer_arm_after(&greeting->timer, SERVER_LINGER_MS);
	loop_again(greeting->server->loop, &greeting->drop);
}

static void greeting_timed_out(struct timer *timer)
{
	struct greeting *greeting = container_of(timer, struct greeting, timer);

	if (greeting->state == GREETING_READING)
		log_write(greeting->server->log, LOG_LEVEL_WARNING, "handshake",
			"a connection is closed: it has not said in time what it is");
	greeting_free(greeting);
}

/* What it says */

static void be_greeted(struct greeting *greeting)
{
	struct ferry_sysproxy_server *server = greeting->server;
	struct wire_hello hello;
	struct {
		struct wire_header header;
		struct wire_hello hello;
	} reply;
	const struct wire_frame frame = {
		.number = greeting->frame.number,
		.class = WIRE_RESPONSE,
		.type = WIRE_HELLO,
	};
	char machine[sizeof(hello.machine) + 1];

	memcpy(&hello, greeting->payload, sizeof(hello));
	text_from_field(machine, hello.machine, sizeof(hello.machine));
	if (greeting->handover.is_extended || le32_get(hello.version) < WIRE_VERSION) {
		greeting_refuse(greeting, WIRE_ERROR_MALFORMED, "its HELLO makes no sense");
		return;
	}
	if (memcmp(hello.machine, server->machine, sizeof(hello.machine)) != 0) {
		log_write(server->log, LOG_LEVEL_WARNING, "machine",
			"a program of another machine, %s: calls mean something else there",
			machine);
		greeting_refuse(greeting, WIRE_ERROR_MALFORMED, "another kind of machine");
		return;
	}
	greeting->handover.is_extended = 1;
	greeting->handover.carried_max = le32_get(hello.carried_max) < WIRE_CARRIED_MAX
		? le32_get(hello.carried_max)
		: WIRE_CARRIED_MAX;
	reply.hello = (struct wire_hello){
		.version = le32_of(WIRE_VERSION),
		.features = le32_of(0),
		.carried_max = le32_of(greeting->handover.carried_max),
		.ranges_max = le32_of(WIRE_RANGES_MAX),
		.lanes_max = le32_of(server->limits.lanes_max),
		.calls_max = le32_of(server->limits.calls_max),
	};
	memcpy(reply.hello.machine, server->machine, sizeof(reply.hello.machine));
	wire_header_put(&reply.header, &frame, sizeof(reply.hello));
	if (!send_now(greeting, &reply, sizeof(reply)))
		greeting_refuse(greeting, WIRE_ERROR_TRY_AGAIN, "it does not read");
}

static void note_guest(struct handover *handover, const char *name, size_t bytes)
{
	size_t length = strnlen(name, bytes);

	/* The name may come without its NUL, or not at all. */
	if (length > sizeof(handover->name) - 1)
		length = sizeof(handover->name) - 1;
	handover->kind = HANDOVER_GUEST;
	memcpy(handover->name, name, length);
	handover->name[length] = '\0';
}

static void note_fork(struct handover *handover, const uint8_t *payload)
{
	struct wire_fork fork;

	memcpy(&fork, payload, sizeof(fork));
	handover->kind = HANDOVER_FORK;
	handover->cookie = fork.cookie;
	handover->is_cancelled = le32_get(fork.is_cancelled) != 0;
}

static void note_lane(struct handover *handover, const uint8_t *payload)
{
	struct wire_lane lane;

	memcpy(&lane, payload, sizeof(lane));
	handover->kind = HANDOVER_LANE;
	handover->cookie = lane.lane;
	handover->lane_id = le64_get(lane.id);
}

static void be_what_it_says(struct greeting *greeting)
{
	size_t bytes = (size_t)greeting->frame.bytes - WIRE_HEADER_BYTES;

	greeting->handover.number = greeting->frame.number;
	if (greeting->frame.type == WIRE_LANE) {
		note_lane(&greeting->handover, greeting->payload);
	} else if (greeting->frame.aux == WIRE_GUEST) {
		note_guest(&greeting->handover, (const char *)greeting->payload, bytes);
	} else if (bytes == sizeof(struct wire_fork)) {
		note_fork(&greeting->handover, greeting->payload);
	} else {
		greeting_refuse(greeting, WIRE_ERROR_MALFORMED, "its fork is malformed");
		return;
	}
	greeting_place(greeting);
}

/* Whether the frame whose header has come may be one of a greeting; if not, it is refused. */
static bool check_frame(struct greeting *greeting)
{
	const struct wire_frame *frame = &greeting->frame;
	bool is_extension_known = !greeting->server->limits.is_plain;
	int error;

	greeting->frame = wire_frame_of(&greeting->header);
	error = wire_check_from_client(frame, is_extension_known);
	if (error < 0) {
		greeting_refuse(greeting, WIRE_ERROR_MALFORMED, "a frame of an impossible length");
		return false;
	}
	if (error > 0) {
		greeting_refuse(greeting, (enum wire_error)error, "a malformed frame");
		return false;
	}
	if (frame->class == WIRE_REQUEST &&
		(frame->type == WIRE_HELLO ||
			(frame->type == WIRE_LANE && greeting->handover.is_extended) ||
			(frame->type == WIRE_HANDSHAKE &&
				(frame->aux == WIRE_GUEST || frame->aux == WIRE_FORK))))
		return true;
	greeting_refuse(greeting, WIRE_ERROR_AUTH, "it has not said who it is");
	return false;
}

/* Receiving */

/* Drop what comes. */
static void drop_input(struct loop_task *task)
{
	struct greeting *greeting = container_of(task, struct greeting, drop);
	uint8_t waste[4096];
	ssize_t got;

	do
		got = recv(greeting->watch.fd, waste, sizeof(waste), MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		loop_again(greeting->server->loop, task);
	else if (got == 0 || errno != EAGAIN)
		greeting_free(greeting);
}

/* Receive some of the frame, and not a byte more. @return whether there was something; if not, the
 * greeting may be gone. */
static bool receive_some(struct greeting *greeting)
{
	size_t got_bytes = greeting->got_bytes;
	uint8_t *to;
	size_t bytes;
	ssize_t got;

	if (got_bytes < WIRE_HEADER_BYTES) {
		to = greeting->header_bytes + got_bytes;
		bytes = WIRE_HEADER_BYTES - got_bytes;
	} else {
		to = greeting->payload + (got_bytes - WIRE_HEADER_BYTES);
		bytes = (size_t)greeting->frame.bytes - got_bytes;
	}
	do
		got = recv(greeting->watch.fd, to, bytes, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		return false;
	if (got <= 0) {
		greeting_free(greeting);
		return false;
	}
	greeting->got_bytes += (size_t)got;
	return true;
}

/* One step of reading. @return whether there may be another; if not, the greeting may be gone. */
static bool read_on(struct greeting *greeting)
{
	bool was_header_complete = greeting->got_bytes >= WIRE_HEADER_BYTES;

	if (!receive_some(greeting))
		return false;
	if (greeting->got_bytes < WIRE_HEADER_BYTES)
		return true;
	if (!was_header_complete && !check_frame(greeting))
		return false;
	if (greeting->got_bytes < greeting->frame.bytes)
		return true;
	greeting->got_bytes = 0;
	if (greeting->frame.type != WIRE_HELLO) {
		be_what_it_says(greeting);
		return false;
	}
	be_greeted(greeting);
	return greeting->state == GREETING_READING;
}

static void greeting_ready(struct loop_watch *watch, uint32_t events)
{
	struct greeting *greeting = container_of(watch, struct greeting, watch);

	(void)events;
	if (greeting->state == GREETING_LINGERING)
		loop_defer(greeting->server->loop, &greeting->drop);
	else if (greeting->state == GREETING_READING)
		while (read_on(greeting))
			;
}

/* @return a greeting of the connected socket @fd, which it takes, or NULL: no memory. */
static struct greeting *greeting_new(struct ferry_sysproxy_server *server, int fd)
{
	struct greeting *greeting = calloc(1, sizeof(*greeting));

	if (greeting == NULL) {
		(void)close(fd);
		return NULL;
	}
	greeting->server = server;
	greeting->watch.fd = fd;
	greeting->watch.ready = greeting_ready;
	timer_init(&greeting->timer, server->loop, greeting_timed_out);
	loop_task_init(&greeting->drop, drop_input);
	list_append(&server->greetings, &greeting->link);
	server->greeting_count++;
	return greeting;
}

void greeting_begin(struct ferry_sysproxy_server *server, int fd, enum wire_error refusal,
	const char *why)
{
	struct greeting *greeting = greeting_new(server, fd);

	if (greeting == NULL)
		return;
	/* It fails on a unix socket, where there is no need for it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	greeting->handover.carried_max = WIRE_CARRIED_MAX;
	timer_arm_after(&greeting->timer, server->limits.handshake_timeout_ms);
	if (!send_now(greeting, server->banner, server->banner_bytes) ||
		loop_watch(server->loop, &greeting->watch, EPOLLIN | EPOLLRDHUP) != 0)
		greeting_free(greeting);
	else if (refusal != WIRE_ERROR_NONE)
		greeting_refuse(greeting, refusal, why);
}

void greeting_adopt(struct ferry_sysproxy_server *server, int fd, const struct handover *handover,
	enum wire_error refusal, const char *why)
{
	struct greeting *greeting = NULL;

	if (greeting_make_room(server))
		greeting = greeting_new(server, fd);
	else
		(void)close(fd);
	if (greeting == NULL) {
		server_settle(server);
		return;
	}
	greeting->handover = *handover;
	greeting->frame.number = handover->number;
	if (loop_watch(server->loop, &greeting->watch, EPOLLIN | EPOLLRDHUP) != 0)
		greeting_free(greeting);
	else if (refusal != WIRE_ERROR_NONE)
		greeting_refuse(greeting, refusal, why);
	else
		greeting_place(greeting);
}

bool greeting_make_room(struct ferry_sysproxy_server *server)
{
	struct list *link;

	if (server->greeting_count < SERVER_GREETINGS_MAX)
		return true;
	list_for_each (link, &server->greetings) {
		struct greeting *greeting = container_of(link, struct greeting, link);

		if (greeting->state == GREETING_LINGERING) {
			greeting_free(greeting);
			return true;
		}
	}
	return false;
}

void greeting_free_all(struct ferry_sysproxy_server *server)
{
	struct list *link, *following;

	list_for_each_safe (link, following, &server->greetings)
		greeting_free(container_of(link, struct greeting, link));
}
