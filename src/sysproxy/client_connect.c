/*
 * The way to a server: connect, read its banner, say hello and who one is. All of it within one
 * time-out.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "sysproxy/banner.h"
#include "sysproxy/client_private.h"

/* An EXEC goes on with the connection of a program that is no more: its answer must not be taken for
 * one to a call of that program's. */
#define EXEC_NUMBER (1ull << 63)

static uint64_t now_ms(void)
{
	struct clock *clock = clock_monotonic();

	return clock->now_ns(clock) / CLOCK_MS_NS;
}

/* @return 0 when @events are there, -ETIMEDOUT or -errno. */
static int wait_until(int fd, short events, uint64_t deadline_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};

	for (;;) {
		uint64_t time_ms = now_ms();
		int count =
			time_ms < deadline_ms ? poll(&poll_fd, 1, (int)(deadline_ms - time_ms)) : 0;

		if (count > 0)
			return 0;
		if (count == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int finish_connect(int fd, uint64_t deadline_ms)
{
	socklen_t bytes = sizeof(int);
	int error = wait_until(fd, POLLOUT, deadline_ms), pending = 0;

	if (error != 0)
		return error;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &bytes) != 0)
		return -errno;
	return -pending;
}

/* @return a connected descriptor in blocking mode, or -errno. */
static int connect_to(const struct address *address, uint64_t deadline_ms)
{
	CLEANUP(cleanup_close)
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1, error = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address->storage, address->bytes) != 0)
		error = errno == EINPROGRESS ? finish_connect(fd, deadline_ms) : -errno;
	if (error != 0)
		return error;
	if (address->storage.ss_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (fcntl(fd, F_SETFL, 0) != 0)
		return -errno;
	return take_fd(&fd);
}

static int connect_any(const struct sysproxy_url *url, uint64_t deadline_ms)
{
	int fd = -EINVAL;

	if (url->kind == SYSPROXY_URL_FD) {
		fd = fcntl(url->fd, F_DUPFD_CLOEXEC, 0);
		if (fd >= 0)
			(void)fcntl(fd, F_SETFL, 0);
		return fd < 0 ? -errno : fd;
	}
	for (unsigned i = 0; i < url->address_count; i++) {
		fd = connect_to(&url->addresses[i], deadline_ms);
		if (fd >= 0)
			break;
	}
	return fd;
}

/* Have @bytes bytes in the buffer by then. A server may go silent at any byte. */
static int fill(struct link *link, size_t bytes, uint64_t deadline_ms)
{
	int error = 0;

	while (error == 0 && link_byte_count(link) < bytes) {
		error = wait_until(link->line.fd, POLLIN, deadline_ms);
		if (error == 0)
			error = link_fill(link, link_byte_count(link) + 1);
	}
	return error;
}

/* The banner ends at its newline; what follows is already frames. */
static int read_banner(struct link *link, uint64_t deadline_ms, struct banner *ret_banner)
{
	const uint8_t *newline = NULL;
	size_t bytes = 0;
	int error;

	while (newline == NULL) {
		if (link_byte_count(link) > WIRE_BANNER_MAX)
			return -EPROTO;
		error = fill(link, link_byte_count(link) + 1, deadline_ms);
		if (error != 0)
			return error;
		newline = memchr(link_bytes(link), '\n', link_byte_count(link));
	}
	bytes = (size_t)(newline - link_bytes(link)) + 1;
	error = banner_parse((const char *)link_bytes(link), bytes, ret_banner);
	link_take(link, bytes);
	return error;
}

int client_error_of(uint32_t wire_error)
{
	switch (wire_error) {
	case WIRE_ERROR_TRY_AGAIN:
		return -EAGAIN;
	case WIRE_ERROR_AUTH:
		return -EPERM;
	case WIRE_ERROR_INVALID_PREFORK:
		return -ESRCH;
	case WIRE_ERROR_RFORK_FAILED:
		return -EIO;
	case WIRE_ERROR_IN_EXEC:
		return -EBUSY;
	case WIRE_ERROR_NO_MEMORY:
		return -ENOMEM;
	case WIRE_ERROR_MALFORMED:
		return -EINVAL;
	default:
		return -EPROTO;
	}
}

static int send_frame(struct link *link, struct wire_frame frame, const void *payload, size_t bytes)
{
	struct wire_header header;
	struct iovec parts[] = {{&header, sizeof(header)}, {(void *)(uintptr_t)payload, bytes}};

	frame.class = WIRE_REQUEST;
	wire_header_put(&header, &frame, bytes);
	return link_send(link, parts, ARRAY_LENGTH(parts));
}

/* What is awaited. */
struct awaited {
	uint16_t type;
	uint64_t number;
	uint64_t deadline_ms;
};

/* Wait for an answer; what answers others is passed over.
 * @return the bytes of its payload, at most @bytes of which are in @ret_payload, or -errno. */
static int await_answer(struct link *link, struct awaited awaited, void *ret_payload, size_t bytes)
{
	for (;;) {
		struct wire_frame frame;
		size_t payload_bytes;
		int error = fill(link, WIRE_HEADER_BYTES, awaited.deadline_ms);

		if (error != 0)
			return error;
		frame = wire_frame_of((const struct wire_header *)link_bytes(link));
		error = wire_check_from_server(&frame, true);
		if (error == 0)
			error = fill(link, (size_t)frame.bytes, awaited.deadline_ms);
		if (error != 0)
			return error;
		link_take(link, WIRE_HEADER_BYTES);
		payload_bytes = (size_t)frame.bytes - WIRE_HEADER_BYTES;
		if (frame.number == awaited.number && frame.class == WIRE_ERROR)
			return client_error_of(frame.aux);
		if (frame.number == awaited.number && frame.class == WIRE_RESPONSE &&
			frame.type == awaited.type) {
			memset(ret_payload, 0, bytes);
			memcpy(ret_payload, link_bytes(link),
				payload_bytes < bytes ? payload_bytes : bytes);
			link_take(link, payload_bytes);
			return (int)payload_bytes;
		}
		link_take(link, payload_bytes);
	}
}

static int send_hello(struct link *link)
{
	struct wire_hello hello = {.version = le32_of(WIRE_VERSION),
		.carried_max = le32_of(WIRE_CARRIED_MAX),
		.ranges_max = le32_of(WIRE_RANGES_MAX)};

	banner_machine(hello.machine);
	return send_frame(link, (struct wire_frame){.type = WIRE_HELLO}, &hello, sizeof(hello));
}

static uint32_t at_most(uint32_t value, uint32_t limit)
{
	return value < limit ? value : limit;
}

static int await_hello(struct link *link, uint64_t deadline_ms, struct client_grant *grant)
{
	struct wire_hello hello;
	int bytes =
		await_answer(link, (struct awaited){.type = WIRE_HELLO, .deadline_ms = deadline_ms},
			&hello, sizeof(hello));

	if (bytes < 0)
		return bytes;
	if ((size_t)bytes < sizeof(hello) || le32_get(hello.version) != WIRE_VERSION)
		return -EPROTO;
	grant->is_extended = true;
	grant->carried_max = at_most(le32_get(hello.carried_max), WIRE_CARRIED_MAX);
	grant->ranges_max = at_most(le32_get(hello.ranges_max), WIRE_RANGES_MAX);
	grant->lanes_max = le32_get(hello.lanes_max);
	grant->calls_max = le32_get(hello.calls_max);
	return grant->calls_max > 0 ? 0 : -EPROTO;
}

static int send_handshake(struct link *link, const struct client_greeting *greeting)
{
	struct wire_frame frame = {.type = WIRE_HANDSHAKE,
		.aux = greeting->handshake,
		.number = greeting->handshake == WIRE_EXEC ? EXEC_NUMBER : 1};
	struct wire_fork fork = {0};

	if (greeting->handshake != WIRE_FORK)
		return send_frame(link, frame, greeting->name, strlen(greeting->name) + 1);
	fork.cookie = *greeting->cookie;
	fork.is_cancelled = le32_of(greeting->is_fork_cancelled);
	return send_frame(link, frame, &fork, sizeof(fork));
}

static int await_handshake(struct link *link, const struct client_greeting *greeting,
	uint64_t deadline_ms, struct client_grant *grant)
{
	const struct awaited awaited = {.type = WIRE_HANDSHAKE,
		.number = greeting->handshake == WIRE_EXEC ? EXEC_NUMBER : 1,
		.deadline_ms = deadline_ms};
	struct wire_session_reply reply;
	int bytes = await_answer(link, awaited, &reply, sizeof(reply));

	if (bytes < 0)
		return bytes;
	if (le32_get(reply.error) != 0)
		return -EPROTO;
	if (!grant->is_extended)
		return 0;
	if ((size_t)bytes < sizeof(reply))
		return -EPROTO;
	grant->process_id = le64_get(reply.process_id);
	grant->lane = reply.lane;
	return 0;
}

int client_greet(struct link *link, const struct client_greeting *greeting,
	struct client_grant *grant)
{
	int error = send_handshake(link, greeting);

	return error != 0 ? error
			  : await_handshake(link, greeting, now_ms() + greeting->timeout_ms, grant);
}

/* From the banner on. */
static int introduce(struct link *link, const struct client_greeting *greeting,
	uint64_t deadline_ms, struct client_grant *ret_grant, const char **ret_problem)
{
	struct client_grant grant = {.carried_max = WIRE_CARRIED_MAX,
		.ranges_max = WIRE_RANGES_MAX,
		.calls_max = UINT32_MAX};
	char machine[sizeof(((struct wire_hello *)0)->machine)];
	struct banner banner;
	int error = read_banner(link, deadline_ms, &banner);

	*ret_problem = "what answers there is no sysproxy server";
	if (error != 0)
		return error;
	if (banner.major != 0 || banner.minor < 3 || banner.minor > 4) {
		*ret_problem = "the server speaks another version of sysproxy than 0.4";
		return -EPROTONOSUPPORT;
	}
	*ret_problem = "the server did not let us in";
	grant.is_extended = banner.extension != 0 && !greeting->is_plain;
	if (grant.is_extended) {
		banner_machine(machine);
		if (strcmp(machine, banner.machine) != 0) {
			*ret_problem = "the server's machine is of another kind than this one, and "
				       "system calls differ between kinds";
			return -EPROTONOSUPPORT;
		}
		error = send_hello(link);
	}
	if (error == 0)
		error = send_handshake(link, greeting);
	if (error == 0 && grant.is_extended)
		error = await_hello(link, deadline_ms, &grant);
	if (error == 0)
		error = await_handshake(link, greeting, deadline_ms, &grant);
	if (error == -ENOMEM)
		*ret_problem = "the server is full";
	if (error == 0)
		*ret_grant = grant;
	return error;
}

int client_connect(const struct sysproxy_url *url, const struct client_greeting *greeting,
	struct link *ret_link, struct client_grant *ret_grant, char ret_error[CLIENT_ERROR_MAX])
{
	uint64_t deadline_ms = now_ms() + greeting->timeout_ms;
	const char *problem = "cannot connect";
	struct link link = link_none();
	int fd = connect_any(url, deadline_ms), error = fd;

	if (fd >= 0) {
		error = link_init(&link, fd, 0);
		if (error != 0)
			(void)close(fd);
	}
	if (error >= 0)
		error = introduce(&link, greeting, deadline_ms, ret_grant, &problem);
	if (error != 0) {
		(void)snprintf(ret_error, CLIENT_ERROR_MAX, "%s: %s (%s)", url->text, problem,
			strerrordesc_np(-error));
		link_deinit(&link);
		return error;
	}
	*ret_link = link;
	return 0;
}

int client_connect_lane(const struct ferry_sysproxy *client, uint64_t id, struct link *ret_link)
{
	struct wire_lane lane = {.lane = client->grant.lane, .id = le64_of(id)};
	uint64_t deadline_ms = now_ms() + client->connect_timeout_ms;
	struct wire_handshake_reply reply;
	struct link link = link_none();
	struct client_grant grant;
	struct banner banner;
	int fd = connect_any(&client->url, deadline_ms), error;

	if (fd < 0)
		return fd;
	error = link_init(&link, fd, client->spin_limit_ns);
	if (error != 0) {
		(void)close(fd);
		return error;
	}
	error = read_banner(&link, deadline_ms, &banner);
	if (error == 0)
		error = send_hello(&link);
	if (error == 0)
		error = send_frame(&link, (struct wire_frame){.type = WIRE_LANE, .number = 1},
			&lane, sizeof(lane));
	if (error == 0)
		error = await_hello(&link, deadline_ms, &grant);
	if (error == 0) {
		int bytes = await_answer(&link,
			(struct awaited){.type = WIRE_LANE,
				.number = 1,
				.deadline_ms = deadline_ms},
			&reply, sizeof(reply));

		error = bytes < 0 ? bytes : le32_get(reply.error) != 0 ? -EPROTO : 0;
	}
	if (error != 0) {
		link_deinit(&link);
		return error;
	}
	*ret_link = link;
	return 0;
}
