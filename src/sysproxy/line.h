/*
 * A line: a blocking socket of one thread, that spins for a while before it sleeps if that has paid
 * lately (loop/spin.h). Another thread ends its waits with shutdown(2).
 */
#ifndef FERRY_SYSPROXY_LINE_H
#define FERRY_SYSPROXY_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "loop/spin.h"

struct line {
	int fd; /* without O_NONBLOCK; its owner closes it */
	struct spin spin;
};

/** @param spin_limit_ns 0: never spin */
void line_init(struct line *line, int fd, uint64_t spin_limit_ns);

/** Wait for something to receive into @parts. @return its bytes; 0: the other end has gone, or the
 *  socket was shut down or failed. */
size_t line_wait(struct line *line, struct iovec *parts, unsigned count)
	__attribute__((warn_unused_result));

/** Receive all of the @bytes bytes at @to, which are on their way. @return whether they came. */
bool line_receive_all(struct line *line, uint8_t *to, size_t bytes)
	__attribute__((warn_unused_result));

/** Receive @bytes bytes that nobody wants. @return whether they came. */
bool line_receive_past(struct line *line, uint64_t bytes) __attribute__((warn_unused_result));

/** Send all of @parts, which are changed. Waits for the other end to take them.
 *  @return whether they went; if not, errno says why. */
bool line_send(struct line *line, struct iovec *parts, unsigned count)
	__attribute__((warn_unused_result));

#endif
