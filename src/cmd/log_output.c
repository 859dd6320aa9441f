/*
 * Lines are within PIPE_BUF: a pipe takes all of one or nothing. A terminal or socket may take a
 * part; the rest is kept, and goes before the next line.
 */
#include "cmd/log_output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

_Static_assert(LOG_OUTPUT_LINE_MAX <= PIPE_BUF, "poll() tells that a line fits");

void log_output_init(struct log_output *output, int fd, bool has_priorities)
{
	char path[sizeof("/proc/self/fd/-2147483648")];
	struct stat status;

	*output = (struct log_output){.fd = fd, .own_fd = -1, .has_priorities = has_priorities};
	if (fstat(fd, &status) != 0)
		return;
	output->is_socket = S_ISSOCK(status.st_mode);
	if (!S_ISFIFO(status.st_mode) && !isatty(fd))
		return;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	output->own_fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (output->own_fd >= 0)
		output->fd = output->own_fd;
}

/* @return how many bytes were taken without waiting; 0 or less: none. */
static ssize_t write_some(const struct log_output *output, const char *data, size_t bytes)
{
	struct pollfd room = {.fd = output->fd, .events = POLLOUT};
	ssize_t taken;

	if (!output->is_socket && (poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0))
		return 0;
	do {
		taken = output->is_socket
			? send(output->fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL)
			: write(output->fd, data, bytes);
	} while (taken < 0 && errno == EINTR);
	return taken;
}

/* @return whether nothing is left of the last line. */
static bool write_rest(struct log_output *output)
{
	while (output->rest_bytes > 0) {
		ssize_t taken =
			write_some(output, output->rest + output->rest_first, output->rest_bytes);

		if (taken <= 0)
			return false;
		output->rest_first += (size_t)taken;
		output->rest_bytes -= (size_t)taken;
	}
	return true;
}

/* @return whether the line will be seen. */
static bool put(struct log_output *output, enum log_level level, const char *line)
{
	static const char *const names[] = {"ferry: error: ", "ferry: warning: ", "ferry: info: ",
		"ferry: debug: "};
	static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};
	const char *before = output->has_priorities ? priorities[level] : names[level];
	int length;

	if (!write_rest(output))
		return false;
	length = snprintf(output->rest, sizeof(output->rest), "%s%s\n",
		output->is_plain ? "" : before, line);
	output->rest_first = 0;
	output->rest_bytes = (size_t)length;
	if (write_rest(output) || output->rest_first > 0)
		return true;
	output->rest_bytes = 0;
	return false;
}

static bool tell_left_out(struct log_output *output)
{
	char line[64];

	if (output->left_out_count == 0)
		return true;
	(void)snprintf(line, sizeof(line), "%llu lines left out: nobody read them",
		(unsigned long long)output->left_out_count);
	if (!put(output, LOG_LEVEL_WARNING, line))
		return false;
	output->left_out_count = 0;
	return true;
}

void log_output_write(void *context, enum log_level level, const char *line)
{
	struct log_output *output = context;

	if (!tell_left_out(output) || !put(output, level, line))
		output->left_out_count++;
}

void log_output_deinit(struct log_output *output)
{
	(void)(write_rest(output) && tell_left_out(output));
	cleanup_close(&output->own_fd);
}
