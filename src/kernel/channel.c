/*
 * One table says what each type of message is; both directions go by it.
 */
#include "kernel/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define DESCRIPTORS_MAX 253 /* SCM_MAX_FD: what one message of the kernel can bring */

enum body_kind {
	BODY_NONE,
	BODY_COOKIE,
	BODY_COUNTS,
	BODY_HANDOVER,
	BODY_TEXT,
};

struct rule {
	enum channel_way way;
	bool has_fd, has_id;
	enum body_kind body;
	int32_t value_min, value_max;
};

#define ERRNO_MAX 4095

static const struct rule rules[] = {
	[CHANNEL_SPAWN] = {CHANNEL_TO_SPAWNER, true, true, BODY_NONE, 0, 0},
	[CHANNEL_KILL] = {CHANNEL_TO_SPAWNER, false, true, BODY_NONE, 0, 0},
	[CHANNEL_SANDBOX] = {CHANNEL_FROM_SPAWNER, false, false, BODY_TEXT, -ERRNO_MAX, 0},
	[CHANNEL_SPAWNED] = {CHANNEL_FROM_SPAWNER, false, true, BODY_NONE, -ERRNO_MAX, 0},
	[CHANNEL_ENDED] = {CHANNEL_FROM_SPAWNER, false, true, BODY_NONE, 0, 0xffff},
	[CHANNEL_ADOPT] = {CHANNEL_TO_WORKER, true, false, BODY_HANDOVER, 0, 0},
	[CHANNEL_FORK_ANSWER] = {CHANNEL_TO_WORKER, false, false, BODY_NONE, -ERRNO_MAX, 0},
	[CHANNEL_COOKIE] = {CHANNEL_FROM_WORKER, false, false, BODY_COOKIE, 0, 0},
	[CHANNEL_FORKED] = {CHANNEL_FROM_WORKER, true, false, BODY_COOKIE, 0, 0},
	[CHANNEL_LOG] = {CHANNEL_FROM_WORKER, false, false, BODY_TEXT, LOG_LEVEL_ERROR,
		LOG_LEVEL_DEBUG},
	[CHANNEL_TRACE] = {CHANNEL_FROM_WORKER, false, false, BODY_TEXT, 0, 0},
	[CHANNEL_COUNTS] = {CHANNEL_FROM_WORKER, false, false, BODY_COUNTS, 0, 0},
};

struct head {
	uint32_t type;
	int32_t value;
	uint64_t id;
};
_Static_assert(sizeof(struct head) == 16, "no holes");

union body {
	struct wire_cookie cookie;
	struct channel_counts counts;
	struct handover handover;
	char text[CHANNEL_TEXT_MAX];
};

union control {
	struct cmsghdr header;
	uint8_t bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
};

int channel_pair(int ret_fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) == 0 ? 0 : -errno;
}

/* @return the bytes of the body. */
static size_t body_put(const struct channel_message *message, enum body_kind kind, union body *body)
{
	switch (kind) {
	case BODY_NONE:
		break;
	case BODY_COOKIE:
		body->cookie = message->cookie;
		return sizeof(body->cookie);
	case BODY_COUNTS:
		body->counts = message->counts;
		return sizeof(body->counts);
	case BODY_HANDOVER:
		body->handover = message->handover;
		return sizeof(body->handover);
	case BODY_TEXT:
		memcpy(body->text, message->text, sizeof(body->text));
		return strnlen(body->text, sizeof(body->text) - 1);
	}
	return 0;
}

int channel_send(int channel, const struct channel_message *message, int flags)
{
	const struct rule *rule = &rules[message->type];
	struct head head = {message->type, message->value, message->id};
	union body body;
	struct iovec parts[] = {
		{&head, sizeof(head)},
		{&body, body_put(message, rule->body, &body)},
	};
	union control control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
					 .cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS}};
	struct msghdr sent = {.msg_iov = parts, .msg_iovlen = ARRAY_LENGTH(parts)};
	ssize_t bytes;

	if (rule->has_fd) {
		memcpy(CMSG_DATA(&control.header), &message->fd, sizeof(int));
		sent.msg_control = control.bytes;
		sent.msg_controllen = CMSG_SPACE(sizeof(int));
	}
	do
		bytes = sendmsg(channel, &sent, flags | MSG_NOSIGNAL);
	while (bytes < 0 && errno == EINTR);
	if (bytes < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

/* Take the descriptors of a message that has come: the only one, else none.
 * @return how many there were. */
static unsigned take_descriptors(struct msghdr *received, int *ret_fd)
{
	unsigned count = 0;
	int only = -1;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(received); part != NULL;
		part = CMSG_NXTHDR(received, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len;
			at += sizeof(int)) {
			int fd;

			memcpy(&fd, (uint8_t *)part + at, sizeof(fd));
			cleanup_close(&only);
			only = count++ == 0 ? fd : -1;
			if (only < 0)
				(void)close(fd);
		}
	}
	*ret_fd = only;
	return count;
}

/* Whether text is what may stand in a log; it ends up with its NUL. */
static bool take_text(char *ret_text, const char *from, size_t bytes)
{
	if (bytes >= CHANNEL_TEXT_MAX)
		return false;
	for (size_t i = 0; i < bytes; i++)
		ret_text[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	ret_text[bytes] = '\0';
	return true;
}

static bool take_body(struct channel_message *message, enum body_kind kind, const union body *body,
	size_t bytes)
{
	switch (kind) {
	case BODY_NONE:
		return bytes == 0;
	case BODY_COOKIE:
		message->cookie = body->cookie;
		return bytes == sizeof(body->cookie);
	case BODY_COUNTS:
		message->counts = body->counts;
		return bytes == sizeof(body->counts);
	case BODY_HANDOVER:
		message->handover = body->handover;
		return bytes == sizeof(body->handover) && handover_check(&message->handover);
	case BODY_TEXT:
		return take_text(message->text, body->text, bytes);
	}
	return false;
}

static const struct rule *find_rule(uint32_t type, enum channel_way way)
{
	if (type < CHANNEL_SPAWN || type >= ARRAY_LENGTH(rules) || rules[type].way != way)
		return NULL;
	return &rules[type];
}

static bool take_message(struct channel_message *message, enum channel_way way,
	const struct head *head, const union body *body, size_t body_bytes)
{
	const struct rule *rule = find_rule(head->type, way);

	if (rule == NULL || head->value < rule->value_min || head->value > rule->value_max ||
		(head->id != 0) != rule->has_id)
		return false;
	message->type = (enum channel_type)head->type;
	message->value = head->value;
	message->id = head->id;
	return take_body(message, rule->body, body, body_bytes) &&
		(message->fd >= 0) == rule->has_fd;
}

int channel_receive(int channel, enum channel_way way, int flags,
	struct channel_message *ret_message)
{
	struct channel_message message = {.fd = -1};
	struct head head;
	union body body = {.text = ""};
	struct iovec parts[] = {{&head, sizeof(head)}, {&body, sizeof(body)}};
	union control control;
	struct msghdr received = {
		.msg_iov = parts,
		.msg_iovlen = ARRAY_LENGTH(parts),
		.msg_control = control.bytes,
		/* Not CMSG_SPACE: the padding would be room for one more. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	unsigned fd_count;
	ssize_t bytes;

	do
		bytes = recvmsg(channel, &received, flags | MSG_CMSG_CLOEXEC);
	while (bytes < 0 && errno == EINTR);
	if (bytes < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	fd_count = take_descriptors(&received, &message.fd);
	/* A message of no bytes looks like the end, and is as good as one. */
	if (bytes == 0 && fd_count == 0 && (received.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
		return -EPIPE;
	if ((received.msg_flags & MSG_CTRUNC) != 0 && fd_count == 0) {
		/* This process has no room for one more. */
		cleanup_close(&message.fd);
		return -EMFILE;
	}
	if ((received.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || fd_count > 1 ||
		(size_t)bytes < sizeof(head) ||
		!take_message(&message, way, &head, &body, (size_t)bytes - sizeof(head))) {
		cleanup_close(&message.fd);
		return -EBADMSG;
	}
	*ret_message = message;
	return 0;
}
