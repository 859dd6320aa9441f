/*
 * A connection: the transport of a queue pair joined with the target's end of it. It lives and dies
 * on one loop, and ends by itself when its deadline, its host or its target says so.
 */
#ifndef FERRY_SERVE_CONNECTION_H
#define FERRY_SERVE_CONNECTION_H

#include "base/list.h"
#include "loop/stream.h"
#include "tcp/controller_queue.h"

struct connection;
struct log;
struct target;

/* What every connection of a server is given; outlives them. */
struct connection_setting {
	struct target *target;
	struct log *log;
	struct tcp_deadlines deadlines;
	uint32_t data_max; /* MAXH2CDATA, bytes */
	enum tcp_digest_policy header_digest, data_digest;
	/* Connect has succeeded. */
	void (*established)(void *context, struct connection *connection);
	/* A connection has ended and is about to be freed: its owner forgets it. */
	void (*ended)(void *context, struct connection *connection);
	void *context;
};

/** Serve @stream, owned by the connection from now on (on failure too: it is freed).
 *  @return 0 and the connection, which frees itself after setting->ended(), or -errno. */
int connection_new(const struct connection_setting *setting, struct stream *stream,
	struct connection **ret_connection) __attribute__((warn_unused_result));

/** Ask it to end; it does so within the deadline "drain", and within "linger" once all is sent.
 *  @reason a constant sentence. */
void connection_end(struct connection *connection, const char *reason);

/** Have it end at once, with nothing more sent. @reason a constant sentence. */
void connection_cut(struct connection *connection, const char *reason);

/** @return the link by which the owner keeps its connections. */
struct list *connection_link(struct connection *connection);

/** @return the connection of a link. */
struct connection *connection_of_link(struct list *link);

/** Keep with it what is its owner's; NULL until set. */
void connection_set_context(struct connection *connection, void *context);
void *connection_context(const struct connection *connection);

/** @return whether Connect has succeeded. */
bool connection_is_established(const struct connection *connection);

/** @return whether it is ending. */
bool connection_is_ending(const struct connection *connection);

#endif
