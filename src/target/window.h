/*
 * A window on a page: what a host asked to see of something longer, that is produced from its
 * beginning piece by piece. Only what falls within the window is kept.
 */
#ifndef FERRY_TARGET_WINDOW_H
#define FERRY_TARGET_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct window {
	uint8_t *to;
	uint64_t offset; /* of the window in the page */
	size_t bytes;
	uint64_t position; /* of the next piece in the page */
};

/** A window of @bytes bytes at @offset, shown at @to; what no piece fills is zero. */
struct window window_over(void *to, uint64_t offset, size_t bytes);

/** @return whether any of the next @bytes bytes shows: if not, it need not be produced. */
bool window_shows(const struct window *window, size_t bytes);

/** The page goes on with @bytes bytes at @from; NULL: with zeros. */
void window_put(struct window *window, const void *from, size_t bytes);

#endif
