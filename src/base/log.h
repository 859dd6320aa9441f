/*
 * Where messages for the operator go. Library code never owns a log: it is given one, and only
 * `cmd` and `control` make one with a real sink. A NULL log swallows everything.
 *
 * A log may be written by several threads. Lines are rate limited per call site key: at most
 * LOG_BURST lines of one key in LOG_WINDOW_NS; when the window has passed the next line of that key
 * says how many were left out.
 */
#ifndef FERRY_BASE_LOG_H
#define FERRY_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct clock;

#define LOG_BURST     10
#define LOG_WINDOW_NS 1000000000u
#define LOG_LINE_MAX  1024 /* bytes with NUL; a longer line is cut */
#define LOG_KEYS_MAX  64   /* keys remembered; one more takes the place of the stalest */

enum log_level {
	LOG_LEVEL_ERROR,   /* the operator must act */
	LOG_LEVEL_WARNING, /* a peer was refused, a command failed */
	LOG_LEVEL_INFO,    /* a connection came or went */
	LOG_LEVEL_DEBUG,   /* what a developer asks for */
};

struct log;

/** What receives a finished line (no newline at its end). Called with the log's lock held. */
typedef void log_sink(void *context, enum log_level level, const char *line);

/** Make a log that passes lines of @level and more important ones to @sink.
 *  @return the log, owned by the caller, or NULL without memory. */
struct log *log_new(enum log_level level, log_sink *sink, void *context, struct clock *clock);

/** Free @log, which may be NULL. Lines that were left out since the last are not reported. */
void log_free(struct log *log);

/** Write one line. @key names the call site for the rate limit ("connection refused"): a string
 *  constant, which is kept; NULL is never limited. Bytes that are not printable ASCII are shown as
 *  \xNN, so that a peer's strings cannot forge lines. */
void log_write(struct log *log, enum log_level level, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/** @return whether a line of @level would be passed on; false for a NULL @log. */
bool log_is_enabled(const struct log *log, enum log_level level);

/** @return 0 and the level named "error", "warning", "info" or "debug", or -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret_level)
	__attribute__((warn_unused_result));

#endif
