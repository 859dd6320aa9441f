/*
 * Processes: what it was told badly ends with _exit().
 */
#include "test/kernel/strange_worker.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "kernel/channel.h"

const struct wire_cookie strange_fork_cookie = {{5, 5, 5}};
const struct wire_cookie strange_lane_cookie = {{9, 9, 9}};

static void say(int channel, enum channel_type type, const char *text)
{
	struct channel_message message = {.type = type, .fd = -1, .cookie = strange_lane_cookie};

	(void)snprintf(message.text, sizeof(message.text), "%s", text);
	if (type == CHANNEL_LOG)
		message.value = LOG_LEVEL_INFO;
	message.counts = (struct channel_counts){3, 2, 1};
	if (channel_send(channel, &message, 0) != 0)
		_exit(EXIT_FAILURE);
}

/* Answer what has been adopted: a session of plain 0.4, or a lane. */
static void answer(const struct channel_message *adopted)
{
	const struct wire_frame frame = {
		.number = adopted->handover.number,
		.class = WIRE_RESPONSE,
		.type = adopted->handover.kind == HANDOVER_LANE ? WIRE_LANE : WIRE_HANDSHAKE,
	};
	struct {
		struct wire_header header;
		uint8_t zero[4];
	} reply = {.zero = {0}};

	wire_header_put(&reply.header, &frame, sizeof(reply.zero));
	if (send(adopted->fd, &reply, sizeof(reply), MSG_NOSIGNAL) != (ssize_t)sizeof(reply))
		_exit(EXIT_FAILURE);
}

/* Tell of a child; the child waits for its client. */
static void make_child(int channel)
{
	struct channel_message message = {.type = CHANNEL_FORKED, .cookie = strange_fork_cookie};
	char line[64];
	int fds[2];

	if (channel_pair(fds) != 0)
		_exit(EXIT_FAILURE);
	if (fork() == 0) {
		(void)close(channel);
		(void)close(fds[0]);
		_exit(strange_worker(NULL, fds[1]));
	}
	(void)close(fds[1]);
	message.fd = fds[0];
	if (channel_send(channel, &message, 0) != 0 ||
		channel_receive(channel, CHANNEL_TO_WORKER, 0, &message) != 0)
		_exit(EXIT_FAILURE);
	(void)close(fds[0]);
	(void)snprintf(line, sizeof(line), "answered %d", message.value);
	say(channel, CHANNEL_LOG, line);
}

/* What is to be done before its client is answered. @return whether that shall be. */
static bool behave(int channel, const char *name)
{
	if (strcmp(name, "crashing") == 0) {
		(void)raise(SIGKILL);
	} else if (strcmp(name, "lying") == 0) {
		(void)send(channel, "lies", 4, 0);
		for (;;)
			(void)pause();
	} else if (strcmp(name, "noisy") == 0) {
		for (unsigned i = 0; i < 1000; i++)
			say(channel, CHANNEL_LOG, "no\nise");
		say(channel, CHANNEL_TRACE, "getpid() = 1");
	} else if (strcmp(name, "forking") == 0) {
		make_child(channel);
	} else if (strcmp(name, "laned") == 0) {
		say(channel, CHANNEL_COOKIE, "");
	}
	return strcmp(name, "leaving") != 0;
}

int strange_worker(void *context, int channel)
{
	struct channel_message message;
	int session = -1;

	(void)context;
	while (channel_receive(channel, CHANNEL_TO_WORKER, 0, &message) == 0) {
		if (message.type != CHANNEL_ADOPT)
			continue;
		if (message.handover.kind != HANDOVER_LANE)
			session = message.fd;
		if (!behave(channel, message.handover.name))
			break;
		if (strcmp(message.handover.name, "stuck") == 0)
			for (;;)
				(void)pause();
		answer(&message);
	}
	say(channel, CHANNEL_COUNTS, "");
	return session < 0;
}
