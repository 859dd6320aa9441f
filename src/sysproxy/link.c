/*
 * Received bytes lie between start and end of the buffer.
 */
#include "sysproxy/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

int link_init(struct link *link, int fd, uint64_t spin_limit_ns)
{
	uint8_t *buffer = malloc(LINK_BUFFER_BYTES);

	if (buffer == NULL)
		return -ENOMEM;
	*link = (struct link){.buffer = buffer, .buffer_bytes = LINK_BUFFER_BYTES};
	line_init(&link->line, fd, spin_limit_ns);
	return 0;
}

void link_deinit(struct link *link)
{
	cleanup_close(&link->line.fd);
	link->line.fd = -1;
	free(TAKE(link->buffer));
}

int link_send(struct link *link, struct iovec *parts, unsigned part_count)
{
	if (line_send(&link->line, parts, part_count))
		return 0;
	return errno == EFAULT ? -EFAULT : -EPIPE;
}

/* @return how many bytes to receive at a time, at least @bytes. */
static size_t wanted_bytes(const struct link *link, size_t bytes)
{
	size_t room_bytes = link->buffer_bytes - link->end;

	if (link->ahead_bytes == 0 || link->ahead_bytes >= room_bytes)
		return room_bytes;
	return bytes > link->ahead_bytes ? bytes : link->ahead_bytes;
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

/* Sleep until something can be received, with signals let in. @return 0 or -EINTR. */
static int sleep_masked(const struct link *link)
{
	struct pollfd poll = {.fd = link->line.fd, .events = POLLIN};

	return ppoll(&poll, 1, NULL, link->sleep_mask) < 0 ? -EINTR : 0;
}

int link_fill(struct link *link, size_t bytes)
{
	int error;

	if (link_byte_count(link) >= bytes)
		return 0;
	error = make_room(link, bytes);
	while (error == 0 && link_byte_count(link) < bytes) {
		struct iovec room = {link->buffer + link->end,
			wanted_bytes(link, bytes - link_byte_count(link))};
		size_t received_bytes;

		if (link->sleep_mask != NULL)
			error = sleep_masked(link);
		if (error != 0)
			break;
		received_bytes = line_wait(&link->line, &room, 1);
		if (received_bytes == 0)
			error = -EPIPE;
		link->end += received_bytes;
	}
	return error;
}

int link_read(struct link *link, void *to, size_t bytes)
{
	size_t present_bytes = link_byte_count(link);

	if (present_bytes > bytes)
		present_bytes = bytes;
	if (present_bytes > 0)
		memcpy(to, link_bytes(link), present_bytes);
	link_take(link, present_bytes);
	return line_receive_all(&link->line, (uint8_t *)to + present_bytes, bytes - present_bytes)
		? 0
		: -EPIPE;
}

bool link_is_ended(const struct link *link)
{
	struct pollfd poll_fd = {.fd = link->line.fd, .events = POLLRDHUP};

	return poll(&poll_fd, 1, 0) > 0;
}
