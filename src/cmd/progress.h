/*
 * How far a long piece of work has come: one line on standard error, drawn over and over, and only
 * if that is a terminal.
 */
#ifndef FERRY_CMD_PROGRESS_H
#define FERRY_CMD_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRESS_TEXT_MAX    512 /* of a line, with NUL */
#define PROGRESS_INTERVAL_MS 100 /* between two drawings */

/* What a line says. */
struct progress_state {
	const char *label; /* "copying" */
	uint64_t done_bytes, total_bytes;
	uint64_t bytes_per_second;
	uint64_t elapsed_ns;
};

struct progress {
	struct progress_state state;
	bool is_shown;
	uint64_t started_ns, drawn_ns, drawn_bytes;
};

/** Write the line for a terminal of @width columns, which it does not fill: percent, bytes, speed, time
 *  left, and a bar where there is room. */
void progress_to_text(const struct progress_state *state, unsigned width,
	char ret_text[PROGRESS_TEXT_MAX]);

/** Begin. @param is_wanted nothing is ever drawn if false. */
void progress_start(struct progress *progress, const char *label, uint64_t total_bytes,
	bool is_wanted);

/** @done_bytes are done: draw, unless that was done a moment ago. */
void progress_update(struct progress *progress, uint64_t done_bytes);

/** @return the milliseconds after which progress_update() is due though nothing has happened, -1:
 *  never. */
int progress_timeout_ms(const struct progress *progress);

/** Take the line away. */
void progress_clear(struct progress *progress);

#endif
