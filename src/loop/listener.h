/*
 * A listening socket of a loop. Out of descriptors (EMFILE, ENFILE) or memory it pauses for
 * LISTENER_PAUSE_MS and goes on; it never spins and never ends by itself.
 */
#ifndef FERRY_LOOP_LISTENER_H
#define FERRY_LOOP_LISTENER_H

#include <sys/socket.h>

struct loop;
struct listener;

#define LISTENER_BACKLOG  1024
#define LISTENER_PAUSE_MS 100

/* Takes the connected descriptor @fd (nonblocking, close-on-exec). */
typedef void listener_accepted(void *context, int fd, const struct sockaddr_storage *peer);

/** Listen on @address; port 0 takes a free one. TCP: SO_REUSEADDR, and IPV6_V6ONLY on AF_INET6.
 *  unix: a socket file left over by a dead process is replaced, a live one is -EADDRINUSE; the file
 *  is removed at the end.
 *  @return 0 and the listener, or -errno. */
int listener_open(struct loop *loop, const struct sockaddr *address, socklen_t address_bytes,
	struct listener **ret_listener) __attribute__((warn_unused_result));

/** Begin to accept. */
void listener_start(struct listener *listener, listener_accepted *accepted, void *context);

/** The address it is bound to, with the real port. */
void listener_address(const struct listener *listener, struct sockaddr_storage *ret_address);

/** Stop listening. NULL is legal. */
void listener_free(struct listener *listener);

#endif
