/*
 * A line is formatted by the thread that writes it, then limited, escaped and passed on under the
 * lock. Keys are compared as strings: compilers may merge equal constants or not.
 */
#include "base/log.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#define LEFT_OUT_MAX 40 /* bytes of " (18446744073709551615 more left out)" with NUL */

struct log_key {
	const char *name;
	uint64_t window_start_ns;
	unsigned line_count; /* passed on in this window */
	uint64_t left_out_count;
};

struct log {
	enum log_level level;
	log_sink *sink;
	void *context;
	struct clock *clock;
	pthread_mutex_t lock; /* guards the keys and orders calls of the sink; taken last */
	struct log_key keys[LOG_KEYS_MAX];
	size_t key_count;
};

struct log *log_new(enum log_level level, log_sink *sink, void *context, struct clock *clock)
{
	struct log *log = calloc(1, sizeof(*log));

	if (log == NULL)
		return NULL;
	if (pthread_mutex_init(&log->lock, NULL) != 0) {
		free(log);
		return NULL;
	}
	log->level = level;
	log->sink = sink;
	log->context = context;
	log->clock = clock;
	return log;
}

void log_free(struct log *log)
{
	if (log == NULL)
		return;
	pthread_mutex_destroy(&log->lock);
	free(log);
}

bool log_is_enabled(const struct log *log, enum log_level level)
{
	return log != NULL && level <= log->level;
}

/* The key @name, remembered from now on. */
static struct log_key *find_key(struct log *log, const char *name, uint64_t now_ns)
{
	struct log_key *stalest = log->keys;

	for (size_t i = 0; i < log->key_count; i++) {
		if (strcmp(log->keys[i].name, name) == 0)
			return &log->keys[i];
		if (log->keys[i].window_start_ns < stalest->window_start_ns)
			stalest = &log->keys[i];
	}
	if (log->key_count < LOG_KEYS_MAX)
		stalest = &log->keys[log->key_count++];
	*stalest = (struct log_key){.name = name, .window_start_ns = now_ns};
	return stalest;
}

/* @return whether one more line of the key @name may pass; @ret_left_out_count tells of lines
 * before it that might not. */
static bool admit(struct log *log, const char *name, uint64_t *ret_left_out_count)
{
	uint64_t now_ns = log->clock->now_ns(log->clock);
	struct log_key *key = find_key(log, name, now_ns);

	*ret_left_out_count = 0;
	if (now_ns - key->window_start_ns >= LOG_WINDOW_NS) {
		*ret_left_out_count = key->left_out_count;
		*key = (struct log_key){.name = key->name, .window_start_ns = now_ns};
	}
	if (key->line_count == LOG_BURST) {
		key->left_out_count++;
		return false;
	}
	key->line_count++;
	return true;
}

/* Write @text to @line, escaped and cut to @size bytes with NUL, but never within an escape.
 * @return its length. */
static size_t escape(char *line, size_t size, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t length = 0;

	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;
		bool is_plain = byte >= ' ' && byte <= '~';

		if (length + (is_plain ? 1 : 4) >= size)
			break;
		if (is_plain) {
			line[length++] = *text;
			continue;
		}
		line[length++] = '\\';
		line[length++] = 'x';
		line[length++] = digits[byte >> 4];
		line[length++] = digits[byte & 0xf];
	}
	line[length] = '\0';
	return length;
}

static void pass_on(struct log *log, enum log_level level, const char *text, uint64_t left_out)
{
	char line[LOG_LINE_MAX];

	if (left_out == 0) {
		escape(line, sizeof(line), text);
	} else {
		size_t length = escape(line, sizeof(line) - LEFT_OUT_MAX, text);

		snprintf(line + length, LEFT_OUT_MAX, " (%llu more left out)",
			(unsigned long long)left_out);
	}
	log->sink(log->context, level, line);
}

void log_write(struct log *log, enum log_level level, const char *key, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	uint64_t left_out_count = 0;
	va_list arguments;

	if (!log_is_enabled(log, level))
		return;
	va_start(arguments, format);
	if (vsnprintf(text, sizeof(text), format, arguments) < 0)
		text[0] = '\0';
	va_end(arguments);

	pthread_mutex_lock(&log->lock);
	if (key == NULL || admit(log, key, &left_out_count))
		pass_on(log, level, text, left_out_count);
	pthread_mutex_unlock(&log->lock);
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
	static const char *const names[] = {
		[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARNING] = "warning",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (strcmp(name, names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}
