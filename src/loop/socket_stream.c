/*
 * One recvmsg() of SOCKET_RECEIVE_BYTES is a stream's share of a turn. If it comes back short the
 * socket is empty, and epoll tells of what comes later; if it comes back full, or in the middle of a
 * payload, or an end was announced, the next turn reads again before the loop may sleep.
 */
#include "loop/socket_stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "loop/loop_private.h"
#include "loop/stream_private.h"

#define SOCKET_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

#define SOCKET_PROBES 3 /* of keepalive, before the peer counts as dead */

struct socket_stream {
	struct stream stream; /* first */
	struct loop_watch watch;
	int family;
	int connect_error;     /* of a connect() that failed at once */
	bool is_end_announced; /* epoll told of the peer's end or of an error: read up to it */
};

static struct socket_stream *socket_stream_of(const struct stream *stream)
{
	return container_of((uintptr_t)stream, struct socket_stream, stream);
}

/* @return how much to receive, of which @direct_bytes go to the direct place. */
static size_t socket_stream_share(const struct loop *loop, size_t direct_bytes)
{
	size_t others = SOCKET_RECEIVE_BYTES - direct_bytes;

	if (loop->kept_bytes >= SOCKET_KEPT_SHARE && others > SOCKET_RECEIVE_SCARCE_BYTES)
		others = SOCKET_RECEIVE_SCARCE_BYTES;
	return direct_bytes + others;
}

/* Receive once. @return whether anything came. */
static bool socket_stream_receive_once(struct socket_stream *socket)
{
	struct stream *stream = &socket->stream;
	size_t direct_bytes = stream->direct_bytes < SOCKET_RECEIVE_BYTES ? stream->direct_bytes
									  : SOCKET_RECEIVE_BYTES;
	uint8_t *buffer = stream->output.loop->receive_buffer;
	size_t share = socket_stream_share(stream->output.loop, direct_bytes);
	struct iovec places[2] = {
		{stream->direct, direct_bytes},
		{buffer, share - direct_bytes},
	};
	struct msghdr message = {.msg_iov = places, .msg_iovlen = 2};
	ssize_t got;

	if (direct_bytes == 0)
		message = (struct msghdr){.msg_iov = places + 1, .msg_iovlen = 1};

	do
		got = recvmsg(socket->watch.fd, &message, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);

	if (got < 0 && errno == EAGAIN) {
		if (stream->send_error != 0)
			stream_end(stream, stream->send_error);
		return false;
	}
	if (got < 0) {
		stream_end(stream, stream->send_error != 0 ? stream->send_error : errno);
		return true;
	}
	if (got == 0) {
		stream_peer_ended(stream);
		return true;
	}

	size_t bytes = (size_t)got;

	if (bytes < direct_bytes)
		direct_bytes = bytes;
	if (stream_deliver(stream, direct_bytes, buffer, bytes - direct_bytes) &&
		(bytes == share || stream->direct_bytes > 0 || socket->is_end_announced ||
			stream->send_error != 0))
		stream_receive_again(stream);
	return true;
}

static void socket_stream_receive(struct stream *stream)
{
	(void)socket_stream_receive_once(socket_stream_of(stream));
}

/* An errno that the socket holds, 0 if none. */
static int socket_stream_error(const struct socket_stream *socket)
{
	int error = 0;
	socklen_t bytes = sizeof(error);

	if (getsockopt(socket->watch.fd, SOL_SOCKET, SO_ERROR, &error, &bytes))
		return errno;
	return error;
}

static void socket_stream_connected(struct socket_stream *socket, uint32_t events)
{
	int error = socket_stream_error(socket);

	if (error)
		stream_end(&socket->stream, error);
	else if (events & EPOLLOUT)
		stream_opened(&socket->stream);
}

/* A paused user would not learn otherwise that the connection has failed. */
static void socket_stream_end_paused(struct socket_stream *socket)
{
	int error = socket_stream_error(socket);

	if (error)
		stream_end(&socket->stream, error);
}

static void socket_stream_ready(struct loop_watch *watch, uint32_t events)
{
	struct socket_stream *socket = container_of(watch, struct socket_stream, watch);
	struct stream *stream = &socket->stream;

	stream_enter(stream);
	if (stream->state == STREAM_OPENING)
		socket_stream_connected(socket, events);
	if (events & EPOLLOUT)
		stream_has_send_room(stream);
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		socket->is_end_announced = true;
	if (stream_may_receive(stream) && events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		(void)socket_stream_receive_once(socket);
	else if (stream->state == STREAM_OPEN && events & EPOLLERR)
		socket_stream_end_paused(socket);
	stream_leave(stream);
}

static bool socket_stream_poll(struct loop_watch *watch)
{
	struct socket_stream *socket = container_of(watch, struct socket_stream, watch);
	bool is_found = false;

	stream_enter(&socket->stream);
	if (stream_may_receive(&socket->stream))
		is_found = socket_stream_receive_once(socket);
	stream_leave(&socket->stream);
	return is_found;
}

static int socket_stream_start(struct stream *stream)
{
	struct socket_stream *socket = socket_stream_of(stream);
	struct loop *loop = stream->output.loop;

	if (socket->connect_error)
		return -socket->connect_error;
	if (!loop->receive_buffer) {
		loop->receive_buffer = malloc(SOCKET_RECEIVE_BYTES);
		if (!loop->receive_buffer)
			return -ENOMEM;
	}
	return loop_watch(loop, &socket->watch, SOCKET_EVENTS);
}

static ssize_t socket_stream_send(struct stream *stream, const struct iovec *pieces, unsigned count)
{
	struct socket_stream *socket = socket_stream_of(stream);
	/* sendmsg() writes to no iovec. */
	struct msghdr message = {
		.msg_iov = (struct iovec *)(uintptr_t)pieces,
		.msg_iovlen = count,
	};
	ssize_t sent;

	do
		sent = sendmsg(socket->watch.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static void socket_stream_finish(struct stream *stream)
{
	/* It fails on a broken connection only, and receiving tells of that. */
	(void)shutdown(socket_stream_of(stream)->watch.fd, SHUT_WR);
}

static void socket_stream_close(struct stream *stream)
{
	struct socket_stream *socket = socket_stream_of(stream);

	loop_unwatch(&socket->watch);
	if (socket->watch.fd >= 0)
		(void)close(socket->watch.fd);
	socket->watch.fd = -1;
}

static void socket_stream_release(struct stream *stream)
{
	stream_deinit(stream);
	free(socket_stream_of(stream));
}

static const struct stream_kind socket_stream_kind = {
	.start = socket_stream_start,
	.send = socket_stream_send,
	.finish = socket_stream_finish,
	.receive = socket_stream_receive,
	.close = socket_stream_close,
	.release = socket_stream_release,
};

/* Make a stream of @fd, which it takes on success only. */
static int socket_stream_new(struct loop *loop, int fd, int family, enum stream_state state,
	struct socket_stream **ret_socket)
{
	struct socket_stream *socket = calloc(1, sizeof(*socket));
	int error;

	if (!socket)
		return -ENOMEM;
	error = stream_init(&socket->stream, &socket_stream_kind, loop, state);
	if (!error && (family == AF_INET || family == AF_INET6) &&
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)))
		error = -errno;
	if (error) {
		socket_stream_release(&socket->stream);
		return error;
	}
	socket->family = family;
	socket->watch.ready = socket_stream_ready;
	socket->watch.poll = socket_stream_poll;
	socket->watch.fd = fd;
	*ret_socket = socket;
	return 0;
}

int socket_stream_adopt(struct loop *loop, int fd, struct stream **ret_stream)
{
	struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
	socklen_t bytes = sizeof(peer);
	struct socket_stream *socket;
	int error;

	if (getpeername(fd, (struct sockaddr *)&peer, &bytes))
		return -errno;
	error = socket_stream_new(loop, fd, peer.ss_family, STREAM_OPEN, &socket);
	if (error)
		return error;
	address_to_text(&peer, socket->stream.peer_name);
	*ret_stream = &socket->stream;
	return 0;
}

int socket_stream_connect(struct loop *loop, const struct sockaddr *address,
	socklen_t address_bytes, struct stream **ret_stream)
{
	CLEANUP(cleanup_close) int fd = -1;
	struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
	struct socket_stream *stream;
	int error;

	if (address_bytes < sizeof(sa_family_t) || address_bytes > sizeof(peer))
		return -EINVAL;
	fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	error = socket_stream_new(loop, fd, address->sa_family, STREAM_OPENING, &stream);
	if (error)
		return error;
	memcpy(&peer, address, address_bytes);
	address_to_text(&peer, stream->stream.peer_name);
	if (connect(fd, address, address_bytes) && errno != EINPROGRESS)
		stream->connect_error = errno;
	fd = -1;
	*ret_stream = &stream->stream;
	return 0;
}

void socket_stream_detect_death(struct stream *stream, unsigned timeout_ms)
{
	struct socket_stream *socket = socket_stream_of(stream);
	int idle_s = (int)(timeout_ms / 2000);
	int interval_s = (int)(timeout_ms / 2000 / SOCKET_PROBES);

	if (stream->kind != &socket_stream_kind || socket->family == AF_UNIX)
		return;
	if (idle_s < 1)
		idle_s = 1;
	if (interval_s < 1)
		interval_s = 1;

	const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_KEEPIDLE, idle_s},
		{IPPROTO_TCP, TCP_KEEPINTVL, interval_s},
		{IPPROTO_TCP, TCP_KEEPCNT, SOCKET_PROBES},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, (int)timeout_ms},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
	};

	/* The kernel knows all of them; without one the connection works all the same. */
	for (size_t i = 0; i < ARRAY_LENGTH(options); i++)
		(void)setsockopt(socket->watch.fd, options[i].level, options[i].name,
			&options[i].value, sizeof(int));
}

int socket_stream_local_address(const struct stream *stream, struct sockaddr_storage *ret_address)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t bytes = sizeof(address);

	if (stream->kind != &socket_stream_kind)
		return -ENOTSOCK;
	if (getsockname(socket_stream_of(stream)->watch.fd, (struct sockaddr *)&address, &bytes))
		return -errno;
	*ret_address = address;
	return 0;
}
