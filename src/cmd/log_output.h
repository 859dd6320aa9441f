/*
 * Where the daemon's log goes: standard error, as a sink that never waits for whoever reads it. The
 * loops write to the log themselves, so a pipe that nobody reads would stop them all. What does not
 * fit is left out, counted, and told of as soon as a line fits again.
 *
 * Standard error's open file is shared with the shell and others, which would not expect it to be
 * nonblocking. So a pipe or terminal is opened anew where that is possible, a socket is written to
 * without waiting, and what is left is asked by poll() first. A file is written to as it is.
 */
#ifndef FERRY_CMD_LOG_OUTPUT_H
#define FERRY_CMD_LOG_OUTPUT_H

#include <stddef.h>

#include "base/log.h"

#define LOG_OUTPUT_LINE_MAX (LOG_LINE_MAX + 32) /* with what stands before it: within PIPE_BUF */

struct log_output {
	int fd;     /* written to */
	int own_fd; /* the same, if it was opened here; else -1 */
	bool is_socket;
	bool has_priorities;
	bool is_plain;           /* set by the owner: nothing stands before a line */
	uint64_t left_out_count; /* lines, not yet told of */
	size_t rest_first, rest_bytes;
	char rest[LOG_OUTPUT_LINE_MAX]; /* of a line whose beginning was taken */
};

/** @param fd stays the caller's
 *  @param has_priorities lines carry the journal's priority (sd-daemon(3)) instead of a name */
void log_output_init(struct log_output *output, int fd, bool has_priorities);

/** Tell of lines that were left out, if that fits now; waits for nothing. */
void log_output_deinit(struct log_output *output);

/** Write a line, or leave it out (log_sink of a struct log_output). */
void log_output_write(void *context, enum log_level level, const char *line);

#endif
