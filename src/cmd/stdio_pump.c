/*
 * Threads that block: standard input may be what no poll can wait for. Both ends of a pipe may have been
 * made nonblocking by whoever else has them.
 */
#include "cmd/stdio_pump.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STOP_S 1

/* After a read or write that failed. @return whether to try again. */
static bool can_go_on(int fd, short events)
{
	struct pollfd watched = {.fd = fd, .events = events};

	if (errno == EAGAIN)
		return poll(&watched, 1, -1) >= 0 || errno == EINTR;
	return errno == EINTR;
}

static bool write_all(int fd, const uint8_t *bytes, size_t count)
{
	while (count > 0) {
		ssize_t written = write(fd, bytes, count);

		if (written < 0 && !can_go_on(fd, POLLOUT))
			return false;
		if (written > 0) {
			bytes += written;
			count -= (size_t)written;
		}
	}
	return true;
}

static void *pump(void *argument)
{
	struct stdio_pump_way *way = argument;
	bool is_written = true;

	while (is_written) {
		ssize_t got = read(way->from, way->buffer, sizeof(way->buffer));

		if (got == 0 || (got < 0 && !can_go_on(way->from, POLLIN)))
			break;
		if (got > 0)
			is_written = write_all(way->to, way->buffer, (size_t)got);
	}
	/* Input has ended: so has what the client says. Nobody takes the output: it has gone. */
	(void)shutdown(way->socket, way->socket == way->to ? SHUT_WR : SHUT_RDWR);
	if (way->socket == way->from)
		way->pump->ended(way->pump->context);
	return NULL;
}

static int way_start(struct stdio_pump_way *way)
{
	sigset_t all, before;
	int error;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = -pthread_create(&way->thread, NULL, pump, way);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	way->has_thread = error == 0;
	return error;
}

int stdio_pump_start(struct stdio_pump *pump, int input, int output, int *ret_fd)
{
	int fds[2], error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return -errno;
	pump->in = (struct stdio_pump_way){.from = input,
		.to = fds[0],
		.socket = fds[0],
		.pump = pump};
	pump->out = (struct stdio_pump_way){.from = fds[0],
		.to = output,
		.socket = fds[0],
		.pump = pump};
	pump->socket = fds[0];
	error = way_start(&pump->in);
	if (error == 0)
		error = way_start(&pump->out);
	if (error != 0) {
		(void)close(fds[1]);
		stdio_pump_stop(pump);
		return error;
	}
	*ret_fd = fds[1];
	return 0;
}

void stdio_pump_stop(struct stdio_pump *pump)
{
	struct timespec end;

	if (pump->in.has_thread) {
		(void)pthread_cancel(pump->in.thread);
		(void)pthread_join(pump->in.thread, NULL);
	}
	if (pump->out.has_thread) {
		(void)clock_gettime(CLOCK_REALTIME, &end);
		end.tv_sec += STOP_S;
		if (pthread_timedjoin_np(pump->out.thread, NULL, &end) != 0) {
			(void)pthread_cancel(pump->out.thread);
			(void)pthread_join(pump->out.thread, NULL);
		}
	}
	if (pump->in.has_thread || pump->out.has_thread)
		(void)close(pump->socket);
	*pump = (struct stdio_pump){.socket = -1};
}
