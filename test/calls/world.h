/*
 * The world in which a call is tried: files in a folder, and open descriptors of every kind, whose numbers
 * are the same each time. Nothing in it blocks.
 */
#ifndef FERRY_TEST_CALLS_WORLD_H
#define FERRY_TEST_CALLS_WORLD_H

#include "test/calls/side.h"

enum world_fd {
	WORLD_FILE = 3,   /* "file", 10000 bytes, to read and write, at 0 */
	WORLD_OTHER,      /* "other", 5000 bytes, likewise */
	WORLD_FOLDER,     /* "folder" */
	WORLD_PATH,       /* "file" by O_PATH */
	WORLD_READER,     /* of a pipe with 100 bytes */
	WORLD_WRITER,     /* of it */
	WORLD_READER_TOO, /* of an empty pipe */
	WORLD_WRITER_TOO,
	WORLD_EVENT,    /* an eventfd at 1 */
	WORLD_TIMER,    /* a timerfd, not armed */
	WORLD_EPOLL,    /* that watches WORLD_EVENT */
	WORLD_STREAM,   /* a unix stream, with 100 bytes to receive */
	WORLD_PEER,     /* its other end */
	WORLD_DATAGRAM, /* a unix datagram socket with two datagrams of 60 bytes to receive */
	WORLD_SENDER,   /* its other end */
	WORLD_LISTENER, /* a unix stream at "socket", that WORLD_CONNECTED waits for */
	WORLD_CONNECTED,
	WORLD_UNIX, /* a unix stream, not connected */
	WORLD_TCP,  /* IPv4, not connected */
	WORLD_UDP,  /* IPv4, bound to 127.0.0.1 */
	WORLD_UDP6, /* IPv6, not bound */
	WORLD_END,
};

/** Make the world anew, whatever is left of an earlier one. */
void world_make(struct side *side);

/** Have nothing in the folder. */
void world_clear(const struct side *side);

/** Write the state of files and descriptors as text. @return the bytes of text without NUL. */
size_t world_describe(struct side *side, char *text, size_t bytes);

/** @return the descriptor of a name ("file", "reader"...), or -1. */
int world_find(const char *name);

#endif
