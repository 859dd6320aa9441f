/*
 * The speed shown is that of the last moments, smoothed; the time left follows from the whole run,
 * which jumps about less.
 */
#include "cmd/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define WIDTH_DEFAULT   80
#define BAR_COLUMNS_MIN 10
#define BAR_COLUMNS_MAX 60
#define SMOOTHING       8 /* the last interval counts for one part in so many */

static void time_to_text(uint64_t seconds, char *ret_text, size_t bytes)
{
	if (seconds >= 3600)
		(void)snprintf(ret_text, bytes, "%u:%02u:%02u", (unsigned)(seconds / 3600),
			(unsigned)(seconds / 60 % 60), (unsigned)(seconds % 60));
	else
		(void)snprintf(ret_text, bytes, "%u:%02u", (unsigned)(seconds / 60),
			(unsigned)(seconds % 60));
}

static void left_to_text(const struct progress_state *state, char *ret_text, size_t bytes)
{
	double rest = (double)(state->total_bytes - state->done_bytes);
	double seconds;

	if (state->done_bytes == 0 || state->elapsed_ns < CLOCK_SECOND_NS / 2) {
		(void)snprintf(ret_text, bytes, "-:--");
		return;
	}
	seconds = (double)state->elapsed_ns / CLOCK_SECOND_NS * rest / (double)state->done_bytes;
	if (seconds >= 100 * 3600)
		(void)snprintf(ret_text, bytes, "days");
	else
		time_to_text((uint64_t)(seconds + 0.5), ret_text, bytes);
}

static void append_bar(const struct progress_state *state, unsigned columns, char *text)
{
	char bar[BAR_COLUMNS_MAX + 1];
	unsigned full;

	if (columns > BAR_COLUMNS_MAX)
		columns = BAR_COLUMNS_MAX;
	full = (unsigned)((double)state->done_bytes / (double)state->total_bytes * (double)columns);
	memset(bar, '=', full);
	memset(bar + full, ' ', columns - full);
	if (full > 0 && full < columns)
		bar[full - 1] = '>';
	bar[columns] = '\0';
	(void)snprintf(text + strlen(text), PROGRESS_TEXT_MAX - strlen(text), "  [%s]", bar);
}

void progress_to_text(const struct progress_state *state, unsigned width,
	char ret_text[PROGRESS_TEXT_MAX])
{
	char done[TEXT_SIZE_MAX], total[TEXT_SIZE_MAX], speed[TEXT_SIZE_MAX], left[16];
	unsigned percent = state->total_bytes == 0
		? 100
		: (unsigned)((double)state->done_bytes / (double)state->total_bytes * 100);
	unsigned used;

	text_from_size(state->done_bytes, done);
	text_from_size(state->total_bytes, total);
	text_from_size(state->bytes_per_second, speed);
	left_to_text(state, left, sizeof(left));
	(void)snprintf(ret_text, PROGRESS_TEXT_MAX, "%s %3u%%  %s of %s  %s/s  %s left",
		state->label, percent, done, total, speed, left);
	used = (unsigned)strlen(ret_text);
	/* "  [", "]" and a free last column, which some terminals wrap at */
	if (state->total_bytes > 0 && width >= used + BAR_COLUMNS_MIN + 5)
		append_bar(state, width - used - 5, ret_text);
	if (width > 0 && used >= width)
		ret_text[width - 1] = '\0';
}

static unsigned terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return WIDTH_DEFAULT;
	return size.ws_col < PROGRESS_TEXT_MAX ? size.ws_col : PROGRESS_TEXT_MAX - 1;
}

static uint64_t now_ns(void)
{
	return clock_monotonic()->now_ns(clock_monotonic());
}

void progress_start(struct progress *progress, const char *label, uint64_t total_bytes,
	bool is_wanted)
{
	uint64_t now = now_ns();

	*progress = (struct progress){
		.state = {.label = label, .total_bytes = total_bytes},
		.is_shown = is_wanted && isatty(STDERR_FILENO) == 1,
		.started_ns = now,
		.drawn_ns = now,
	};
}

static void measure(struct progress *progress, uint64_t now)
{
	struct progress_state *state = &progress->state;
	double interval = (double)(now - progress->drawn_ns) / CLOCK_SECOND_NS;
	double latest = (double)(state->done_bytes - progress->drawn_bytes) / interval;
	double smoothed = (double)state->bytes_per_second;

	smoothed = progress->drawn_bytes == 0 ? latest : smoothed + (latest - smoothed) / SMOOTHING;
	state->bytes_per_second = (uint64_t)smoothed;
	state->elapsed_ns = now - progress->started_ns;
	progress->drawn_ns = now;
	progress->drawn_bytes = state->done_bytes;
}

void progress_update(struct progress *progress, uint64_t done_bytes)
{
	char text[PROGRESS_TEXT_MAX];
	uint64_t now;

	if (!progress->is_shown)
		return;
	progress->state.done_bytes = done_bytes;
	now = now_ns();
	if (now - progress->drawn_ns < (uint64_t)PROGRESS_INTERVAL_MS * CLOCK_MS_NS)
		return;
	measure(progress, now);
	progress_to_text(&progress->state, terminal_width(), text);
	(void)fprintf(stderr, "\r%s\033[K", text);
	(void)fflush(stderr);
}

int progress_timeout_ms(const struct progress *progress)
{
	return progress->is_shown ? PROGRESS_INTERVAL_MS : -1;
}

void progress_clear(struct progress *progress)
{
	if (progress->is_shown)
		(void)fprintf(stderr, "\r\033[K");
	progress->is_shown = false;
}
