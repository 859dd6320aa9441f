/*
 * Lengths are checked as Linux checks them, and nothing is read beyond the control data.
 */
#include "kernel/linux_control.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "call/codes.h"

/* struct cmsghdr without the data that it ends with. */
struct header {
	size_t bytes; /* with the data */
	int level, type;
};
static_assert(sizeof(struct header) == CMSG_LEN(0), "");
static_assert(offsetof(struct header, level) == offsetof(struct cmsghdr, cmsg_level), "");
static_assert(offsetof(struct header, type) == offsetof(struct cmsghdr, cmsg_type), "");

/* A control message, and where the next one begins. */
struct control {
	struct header header;
	uint8_t *data;
	size_t data_bytes;
	size_t space_bytes; /* with header and padding, as far as there are bytes */
};

/* @return whether there is a message at @offset. */
static bool control_at(const struct msghdr *message, size_t offset, struct control *ret_control)
{
	uint8_t *at = (uint8_t *)message->msg_control + offset;
	size_t left_bytes = message->msg_controllen - offset;
	struct control control;

	if (left_bytes < sizeof(control.header))
		return false;
	memcpy(&control.header, at, sizeof(control.header));
	if (control.header.bytes < sizeof(control.header) || control.header.bytes > left_bytes)
		return false;
	control.data = at + CMSG_LEN(0);
	control.data_bytes = control.header.bytes - CMSG_LEN(0);
	control.space_bytes = CMSG_ALIGN(control.header.bytes);
	if (control.space_bytes > left_bytes)
		control.space_bytes = left_bytes;
	*ret_control = control;
	return true;
}

static bool is_carried(const struct header *header, uint8_t direction)
{
	const struct call_code *code =
		call_code_find(CALL_SET_CONTROL, header->level, (uint32_t)header->type);

	return code != NULL && (code->class == direction || code->class == CALL_IN_OUT);
}

static bool has_descriptors(const struct header *header)
{
	return header->level == SOL_SOCKET && header->type == SCM_RIGHTS;
}

int linux_control_check(const struct msghdr *message)
{
	struct control control;

	for (size_t offset = 0; message->msg_controllen - offset >= sizeof(control.header);
		offset += control.space_bytes) {
		if (!control_at(message, offset, &control))
			return -EINVAL;
		if (has_descriptors(&control.header))
			return -EPERM;
		if (!is_carried(&control.header, CALL_IN))
			return -EINVAL;
	}
	return 0;
}

static void close_descriptors(const struct control *control)
{
	for (size_t i = 0; i + sizeof(int) <= control->data_bytes; i += sizeof(int)) {
		int fd;

		memcpy(&fd, control->data + i, sizeof(fd));
		(void)close(fd);
	}
}

void linux_control_filter(struct msghdr *message)
{
	struct control control;
	size_t kept_bytes = 0;

	for (size_t offset = 0; control_at(message, offset, &control);
		offset += control.space_bytes) {
		if (has_descriptors(&control.header)) {
			close_descriptors(&control);
		} else if (is_carried(&control.header, CALL_OUT)) {
			memmove((uint8_t *)message->msg_control + kept_bytes,
				(uint8_t *)message->msg_control + offset, control.space_bytes);
			kept_bytes += control.space_bytes;
		}
	}
	message->msg_controllen = kept_bytes;
}
