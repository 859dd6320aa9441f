/*
 * Clipping: all comparisons are of differences that cannot wrap.
 */
#include "target/window.h"

#include <string.h>

struct window window_over(void *to, uint64_t offset, size_t bytes)
{
	memset(to, 0, bytes);
	return (struct window){.to = to, .offset = offset, .bytes = bytes};
}

bool window_shows(const struct window *window, size_t bytes)
{
	return window->position + bytes > window->offset &&
		(window->position <= window->offset ||
			window->position - window->offset < window->bytes);
}

void window_put(struct window *window, const void *from, size_t bytes)
{
	size_t skipped = 0, at = 0;

	if (from != NULL && window_shows(window, bytes)) {
		if (window->position < window->offset)
			skipped = (size_t)(window->offset - window->position);
		else
			at = (size_t)(window->position - window->offset);
		size_t shown = bytes - skipped;

		if (shown > window->bytes - at)
			shown = window->bytes - at;
		memcpy(window->to + at, (const uint8_t *)from + skipped, shown);
	}
	window->position += bytes;
}
