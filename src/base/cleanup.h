/*
 * Cleanup by scope: `CLEANUP(cleanup_free) char *text = NULL;` and, to keep the value, `TAKE(text)`.
 */
#ifndef FERRY_BASE_CLEANUP_H
#define FERRY_BASE_CLEANUP_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

/* The value of a pointer variable, which is left NULL. */
#define TAKE(variable)                                         \
	__extension__({                                        \
		__typeof__(variable) take_value_ = (variable); \
		(variable) = NULL;                             \
		take_value_;                                   \
	})

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static inline void cleanup_free(void *pointer)
{
	void *value;

	/* Not through a void **: the variable is a pointer of another type. */
	memcpy(&value, pointer, sizeof(value));
	free(value);
}

/* For `CLEANUP(cleanup_close) int fd = -1;`. */
static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* The value of a descriptor variable, which is left -1. */
static inline int take_fd(int *fd)
{
	int value = *fd;

	*fd = -1;
	return value;
}

#endif
