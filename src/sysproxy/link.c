/*
 * The socket stays in blocking mode; MSG_DONTWAIT makes a look of a receive.
 */
#include "sysproxy/link.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* While spinning, looks between two looks at the clock, a power of two. */
#define LOOKS_PER_CLOCK 16

int link_init(struct link *link, int fd, uint64_t spin_limit_ns)
{
	uint8_t *buffer = malloc(LINK_BUFFER_BYTES);

	if (buffer == NULL)
		return -ENOMEM;
	*link = (struct link){.fd = fd, .buffer = buffer, .buffer_bytes = LINK_BUFFER_BYTES};
	spin_init(&link->spin, spin_limit_ns);
	return 0;
}

void link_deinit(struct link *link)
{
	cleanup_close(&link->fd);
	link->fd = -1;
	free(TAKE(link->buffer));
}

/* Take @bytes sent bytes off the parts. @return how many parts are used up. */
static unsigned advance(struct iovec *parts, unsigned part_count, size_t bytes)
{
	unsigned i = 0;

	while (i < part_count && bytes >= parts[i].iov_len)
		bytes -= parts[i++].iov_len;
	if (i < part_count) {
		parts[i].iov_base = (uint8_t *)parts[i].iov_base + bytes;
		parts[i].iov_len -= bytes;
	}
	return i;
}

int link_send(struct link *link, struct iovec *parts, unsigned part_count)
{
	while (part_count > 0) {
		struct msghdr message = {.msg_iov = parts};
		ssize_t sent;
		unsigned used_count;

		message.msg_iovlen = part_count < IOV_MAX ? part_count : IOV_MAX;
		sent = sendmsg(link->fd, &message, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			return -errno;
		used_count = advance(parts, part_count, sent < 0 ? 0 : (size_t)sent);
		parts += used_count;
		part_count -= used_count;
	}
	return 0;
}

/* Have room for @bytes bytes in all from start on, by moving what there is or by growing. */
static int make_room(struct link *link, size_t bytes)
{
	size_t present_bytes = link_byte_count(link);

	if (link->start > 0 && (present_bytes == 0 || link->start + bytes > link->buffer_bytes)) {
		memmove(link->buffer, link_bytes(link), present_bytes);
		link->start = 0;
		link->end = present_bytes;
	}
	if (bytes > link->buffer_bytes) {
		uint8_t *larger = realloc(link->buffer, bytes);

		if (larger == NULL)
			return -ENOMEM;
		link->buffer = larger;
		link->buffer_bytes = bytes;
	}
	return 0;
}

/* @return what recv() would: bytes, 0 at the end, or -1 with errno; EAGAIN: nothing came in time. */
static ssize_t spin_for(struct link *link, void *to, size_t bytes)
{
	struct clock *clock = clock_monotonic();
	uint64_t deadline_ns = 0;
	ssize_t received;

	for (unsigned look = 0;; look++) {
		received = recv(link->fd, to, bytes, MSG_DONTWAIT);
		if (received >= 0 || errno != EAGAIN) {
			spin_found(&link->spin, look == 0);
			return received;
		}
		if (look % LOOKS_PER_CLOCK == 0) {
			uint64_t now_ns = clock->now_ns(clock);

			if (look == 0)
				deadline_ns = now_ns + link->spin.limit_ns;
			else if (now_ns >= deadline_ns)
				break;
		}
	}
	spin_in_vain(&link->spin);
	errno = EAGAIN;
	return -1;
}

/* Sleep until something can be received, with signals let in. */
static int sleep_masked(struct link *link)
{
	struct pollfd poll = {.fd = link->fd, .events = POLLIN};

	return ppoll(&poll, 1, NULL, link->sleep_mask) < 0 ? -errno : 0;
}

/* Receive at most @bytes bytes. @return how many, or -errno. */
static ssize_t receive(struct link *link, void *to, size_t bytes, bool may_spin)
{
	ssize_t received = -1;
	int error;

	errno = EAGAIN;
	if (link->sleep_mask != NULL) {
		error = sleep_masked(link);
		if (error != 0)
			return error;
	} else if (may_spin && spin_is_wanted(&link->spin)) {
		received = spin_for(link, to, bytes);
	}
	while (received < 0 && (errno == EAGAIN || errno == EINTR))
		received = recv(link->fd, to, bytes, 0);
	if (received == 0)
		return -EPIPE;
	return received < 0 ? -errno : received;
}

int link_fill(struct link *link, size_t bytes)
{
	bool may_spin = true;
	int error;

	if (link_byte_count(link) >= bytes)
		return 0;
	error = make_room(link, bytes);
	if (error != 0)
		return error;
	while (link_byte_count(link) < bytes) {
		ssize_t received = receive(link, link->buffer + link->end,
			link->buffer_bytes - link->end, may_spin);

		if (received < 0)
			return (int)received;
		link->end += (size_t)received;
		may_spin = false;
	}
	return 0;
}

int link_read(struct link *link, void *to, size_t bytes)
{
	size_t present_bytes = link_byte_count(link);
	uint8_t *cursor = to;

	if (present_bytes > bytes)
		present_bytes = bytes;
	if (present_bytes > 0)
		memcpy(cursor, link_bytes(link), present_bytes);
	link_take(link, present_bytes);
	cursor += present_bytes;
	bytes -= present_bytes;
	while (bytes > 0) {
		ssize_t received = recv(link->fd, cursor, bytes, MSG_WAITALL);

		if (received == 0)
			return -EPIPE;
		if (received < 0 && errno != EINTR)
			return -errno;
		if (received > 0) {
			cursor += received;
			bytes -= (size_t)received;
		}
	}
	return 0;
}

bool link_is_ended(const struct link *link)
{
	struct pollfd poll_fd = {.fd = link->fd, .events = POLLRDHUP};

	return poll(&poll_fd, 1, 0) > 0;
}
