/*
 * A link: a line (line.h) with a buffer, so that one system call brings a whole frame of a length that is
 * not known before; large ones can be received where they belong. The client's end of a connection.
 */
#ifndef FERRY_SYSPROXY_LINK_H
#define FERRY_SYSPROXY_LINK_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "sysproxy/line.h"

#define LINK_BUFFER_BYTES (16u << 10) /* to begin with */

struct link {
	struct line line; /* its descriptor is the link's, to be closed by it */
	uint8_t *buffer;
	size_t buffer_bytes;
	size_t start, end; /* what is received and not yet taken */
	/* How many bytes link_fill() may bring at a time when fewer are wanted: few when large data
	 * follow, which are better received in place. 0: what the buffer holds. */
	size_t ahead_bytes;
	/* If not NULL: these signals are let in while it sleeps, and one that is handled ends the
	 * sleep with -EINTR. It never spins then. The others are the caller's to block. */
	const sigset_t *sleep_mask;
};

/** No link. */
static inline struct link link_none(void)
{
	return (struct link){.line.fd = -1};
}

/** A link over @fd, which is the link's unless this fails. @param spin_limit_ns 0: never spin
 *  @return 0 or -ENOMEM. */
int link_init(struct link *link, int fd, uint64_t spin_limit_ns)
	__attribute__((warn_unused_result));

/** Close it. Legal for link_none(). */
void link_deinit(struct link *link);

/** Send all of @parts, which is used up. @return 0; or -EPIPE, or -EFAULT for a part that is no memory:
 *  the link is of no more use then, perhaps having sent some of them. */
int link_send(struct link *link, struct iovec *parts, unsigned part_count)
	__attribute__((warn_unused_result));

/** Receive until @bytes bytes are in the buffer, at link_bytes(); more may be.
 *  @return 0, -EPIPE when the connection ended before, -EINTR (see sleep_mask) or -ENOMEM. */
int link_fill(struct link *link, size_t bytes) __attribute__((warn_unused_result));

/** @return the bytes in the buffer. */
static inline uint8_t *link_bytes(const struct link *link)
{
	return link->buffer + link->start;
}

static inline size_t link_byte_count(const struct link *link)
{
	return link->end - link->start;
}

/** The first @bytes bytes of the buffer are used up. */
static inline void link_take(struct link *link, size_t bytes)
{
	link->start += bytes;
}

/** Receive @bytes bytes to @to, those in the buffer first. Never spins: they are on their way.
 *  @return 0 or -EPIPE. */
int link_read(struct link *link, void *to, size_t bytes) __attribute__((warn_unused_result));

/** @return whether the peer has ended or broken the connection, as far as is known by now. */
bool link_is_ended(const struct link *link);

#endif
