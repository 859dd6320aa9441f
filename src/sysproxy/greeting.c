/*
 * States:
 *   reading    HELLO, then the frame that says what the connection is to be
 *   waiting    the steward is making its process; nothing is read, the timer rests
 *   lingering  refused and told so; what comes is dropped until the peer hangs up or the time is over
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
#include "loop/timer.h"
#include "sysproxy/lane.h"
#include "sysproxy/process.h"
#include "sysproxy/session.h"

/* The longest payload: a program's name, or a HELLO with fields of later versions. */
#define GREETING_PAYLOAD_MAX WIRE_NAME_MAX

enum greeting_state {
	GREETING_READING,
	GREETING_WAITING,
	GREETING_LINGERING,
};

struct greeting {
	struct list link; /* in the server's */
	struct ferry_sysproxy_server *server;
	struct loop_watch watch;
	struct timer timer;
	struct loop_task drop; /* what comes to one that lingers */
	enum greeting_state state;
	bool is_extended; /* it has said HELLO */
	uint32_t carried_max;
	struct ferry_process *process; /* that is being made */
	size_t got_bytes;              /* of the frame */
	struct wire_frame frame;
	union {
		struct wire_header header;
		uint8_t header_bytes[WIRE_HEADER_BYTES];
	};
	uint8_t payload[GREETING_PAYLOAD_MAX + 1];
};

/* Ends */

/* The descriptor is another's now, or closed. */
static void greeting_release(struct greeting *greeting)
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

static void greeting_free(struct greeting *greeting)
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

/* Send an error, and drop what comes until the peer has seen it. */
static void refuse(struct greeting *greeting, enum wire_error code, const char *why)
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

/* What a connection asks to be. Each returns with the greeting changed, or gone. */

static void be_session(struct greeting *greeting, struct ferry_process *process)
{
	struct ferry_sysproxy_server *server = greeting->server;
	uint64_t number = greeting->frame.number;
	int fd = greeting->watch.fd;
	int error;

	process->is_extended = greeting->is_extended;
	process->carried_max = greeting->carried_max;
	loop_unwatch(&greeting->watch);
	greeting->process = NULL;
	greeting_release(greeting);
	error = session_new(process, fd);
	if (error != 0) {
		process_die(process, strerrordesc_np(-error));
		return;
	}
	log_write(server->log, LOG_LEVEL_INFO, "process", "process %llu is %s",
		(unsigned long long)process->id, process->name);
	session_answer_handshake(process->session, number);
	session_start(process->session);
}

void greeting_process_begun(struct greeting *greeting, struct ferry_process *process, int error)
{
	greeting->process = NULL;
	if (error == 0) {
		be_session(greeting, process);
		return;
	}
	switch (error) {
	case -ENOMEM:
		refuse(greeting, WIRE_ERROR_NO_MEMORY, "the kernel has no memory");
		break;
	case -EAGAIN:
		refuse(greeting, WIRE_ERROR_TRY_AGAIN, "the kernel wants it to try again");
		break;
	default:
		refuse(greeting, WIRE_ERROR_AUTH, "the kernel does not want it");
		break;
	}
}

static void be_guest(struct greeting *greeting, size_t bytes)
{
	int error;

	/* The name may come without its NUL, or not at all. */
	greeting->payload[bytes] = '\0';
	error = process_begin(greeting->server, greeting, (const char *)greeting->payload,
		&greeting->process);
	if (error == -ENFILE) {
		refuse(greeting, WIRE_ERROR_NO_MEMORY, "there are as many processes as may be");
	} else if (error != 0) {
		refuse(greeting, WIRE_ERROR_TRY_AGAIN, "out of memory");
	} else {
		greeting->state = GREETING_WAITING;
		timer_disarm(&greeting->timer);
	}
}

static void be_forked(struct greeting *greeting, size_t bytes)
{
	struct ferry_process *process;
	struct wire_fork fork;

	if (bytes != sizeof(fork)) {
		refuse(greeting, WIRE_ERROR_MALFORMED, "its fork is malformed");
		return;
	}
	memcpy(&fork, greeting->payload, sizeof(fork));
	process = server_find_fork_cookie(greeting->server, &fork.cookie);
	if (process == NULL) {
		refuse(greeting, WIRE_ERROR_INVALID_PREFORK, "there is no fork of that cookie");
	} else if (le32_get(fork.is_cancelled) != 0) {
		process_die(process, NULL);
		greeting_free(greeting);
	} else {
		be_session(greeting, process);
	}
}

static void be_lane(struct greeting *greeting)
{
	struct wire_lane wanted;
	struct lane_request request = {.number = greeting->frame.number};
	struct ferry_process *process;
	int error;

	memcpy(&wanted, greeting->payload, sizeof(wanted));
	request.id = le64_get(wanted.id);
	process = server_find_lane_cookie(greeting->server, &wanted.lane);
	if (process == NULL) {
		refuse(greeting, WIRE_ERROR_INVALID_PREFORK, "a lane of no process");
		return;
	}
	loop_unwatch(&greeting->watch);
	error = request.id == 0 ? -EINVAL : lane_new(process, greeting->watch.fd, &request);
	if (error == 0) {
		greeting_release(greeting);
		return;
	}
	if (loop_watch(greeting->server->loop, &greeting->watch, EPOLLIN | EPOLLRDHUP) != 0)
		greeting_free(greeting);
	else if (error == -EEXIST || error == -EINVAL)
		refuse(greeting, WIRE_ERROR_MALFORMED, "a lane whose id is in use");
	else
		refuse(greeting, WIRE_ERROR_NO_MEMORY, "there are as many lanes as may be");
}

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
	if (greeting->is_extended || le32_get(hello.version) < WIRE_VERSION) {
		refuse(greeting, WIRE_ERROR_MALFORMED, "its HELLO makes no sense");
		return;
	}
	if (memcmp(hello.machine, server->machine, sizeof(hello.machine)) != 0) {
		log_write(server->log, LOG_LEVEL_WARNING, "machine",
			"a program of another machine, %s: calls mean something else there",
			machine);
		refuse(greeting, WIRE_ERROR_MALFORMED, "another kind of machine");
		return;
	}
	greeting->is_extended = true;
	greeting->carried_max = le32_get(hello.carried_max) < WIRE_CARRIED_MAX
		? le32_get(hello.carried_max)
		: WIRE_CARRIED_MAX;
	reply.hello = (struct wire_hello){
		.version = le32_of(WIRE_VERSION),
		.features = le32_of(0),
		.carried_max = le32_of(greeting->carried_max),
		.ranges_max = le32_of(WIRE_RANGES_MAX),
		.lanes_max = le32_of(server->limits.lanes_max),
		.calls_max = le32_of(server->limits.calls_max),
	};
	memcpy(reply.hello.machine, server->machine, sizeof(reply.hello.machine));
	wire_header_put(&reply.header, &frame, sizeof(reply.hello));
	if (!send_now(greeting, &reply, sizeof(reply)))
		refuse(greeting, WIRE_ERROR_TRY_AGAIN, "it does not read");
}

static void be_what_it_says(struct greeting *greeting)
{
	size_t bytes = (size_t)greeting->frame.bytes - WIRE_HEADER_BYTES;

	if (greeting->frame.type == WIRE_LANE)
		be_lane(greeting);
	else if (greeting->frame.aux == WIRE_GUEST)
		be_guest(greeting, bytes);
	else
		be_forked(greeting, bytes);
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
		refuse(greeting, WIRE_ERROR_MALFORMED, "a frame of an impossible length");
		return false;
	}
	if (error > 0) {
		refuse(greeting, (enum wire_error)error, "a malformed frame");
		return false;
	}
	if (frame->class == WIRE_REQUEST &&
		(frame->type == WIRE_HELLO || (frame->type == WIRE_LANE && greeting->is_extended) ||
			(frame->type == WIRE_HANDSHAKE &&
				(frame->aux == WIRE_GUEST || frame->aux == WIRE_FORK))))
		return true;
	refuse(greeting, WIRE_ERROR_AUTH, "it has not said who it is");
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

void greeting_begin(struct ferry_sysproxy_server *server, int fd, enum wire_error refusal,
	const char *why)
{
	struct greeting *greeting = calloc(1, sizeof(*greeting));

	if (greeting == NULL) {
		(void)close(fd);
		return;
	}
	/* It fails on a unix socket, where there is no need for it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	greeting->server = server;
	greeting->watch.fd = fd;
	greeting->watch.ready = greeting_ready;
	greeting->carried_max = WIRE_CARRIED_MAX;
	timer_init(&greeting->timer, server->loop, greeting_timed_out);
	loop_task_init(&greeting->drop, drop_input);
	list_append(&server->greetings, &greeting->link);
	server->greeting_count++;
	timer_arm_after(&greeting->timer, server->limits.handshake_timeout_ms);
	if (!send_now(greeting, server->banner, server->banner_bytes) ||
		loop_watch(server->loop, &greeting->watch, EPOLLIN | EPOLLRDHUP) != 0)
		greeting_free(greeting);
	else if (refusal != WIRE_ERROR_NONE)
		refuse(greeting, refusal, why);
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
