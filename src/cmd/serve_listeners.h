/*
 * Where `ferry serve` listens: at the addresses it is given, and at discovery's own port beside them.
 * Discovery is told of each.
 */
#ifndef FERRY_CMD_SERVE_LISTENERS_H
#define FERRY_CMD_SERVE_LISTENERS_H

#include <sys/socket.h>

#include "cmd/serve_options.h"

struct log;
struct server;
struct target;

struct serve_listeners {
	const struct serve_options *options;
	struct server *server;
	struct target *target;
	struct log *log;
	struct sockaddr_storage addresses[SERVE_LISTEN_MAX * ADDRESS_RESOLVE_MAX];
	unsigned address_count;
	/* Of discovery's own port. */
	struct sockaddr_storage discovery[SERVE_LISTEN_MAX * ADDRESS_RESOLVE_MAX];
	unsigned discovery_count;
};

/** Open them all. What cannot be is complained of; a default port of discovery that is taken, in the
 *  log only. The others outlive the listeners, which are the server's.
 *  @return 0 or -errno. */
int serve_listeners_open(struct serve_listeners *listeners, const struct serve_options *options,
	struct server *server, struct target *target, struct log *log)
	__attribute__((warn_unused_result));

#endif
