/*
 * A server: the listeners, threads and connections that bring hosts to a target. Loop 0 runs on the
 * thread that calls server_run() and accepts; connections are spread over all loops in turn.
 *
 * States:
 *   made      listeners may be added
 *   running   between server_run() and the first server_stop()
 *   stopping  nothing is accepted; associations end, connections drain
 *   stopped   server_run() has returned: every connection has ended, or the deadline "stop" passed
 */
#ifndef FERRY_SERVE_SERVER_H
#define FERRY_SERVE_SERVER_H

#include <sys/socket.h>

#include "tcp/controller_queue.h"

struct address;
struct log;
struct loop;
struct server;
struct target;

#define SERVER_THREADS_MAX         64
#define SERVER_LISTENERS_MAX       64
#define SERVER_CONNECTIONS_MAX     4096 /* at one time */
#define SERVER_CONNECTIONS_PENDING 512  /* of these, before Connect has succeeded */
#define SERVER_ADDRESS_CONNECTIONS 1024 /* from one address, by default */
#define SERVER_ADDRESS_PENDING     256
#define SERVER_STOP_MS             10000
#define SERVER_DATA_MAX_DEFAULT    (256u << 10)

struct server_options {
	unsigned thread_count; /* 1..SERVER_THREADS_MAX */
	struct tcp_deadlines deadlines;
	uint32_t data_max; /* MAXH2CDATA */
	enum tcp_digest_policy header_digest, data_digest;
	unsigned connections_max;         /* 1..SERVER_CONNECTIONS_MAX */
	unsigned address_connections_max; /* of these from one address, 1..SERVER_CONNECTIONS_MAX */
};

/** Defaults: as many threads as cores that may be used, at most 4. */
struct server_options server_options_default(void);

/** @param target, published before server_run(), and @param log outlive the server
 *  @return 0 and the server, or -errno. */
int server_new(struct target *target, struct log *log, const struct server_options *options,
	struct server **ret_server) __attribute__((warn_unused_result));

/** Free a server that has stopped, or that was never run; one whose server_run() failed must be left
 *  to the end of the process. NULL is legal. */
void server_free(struct server *server);

/** Listen on @address. @return 0 and the address with its real port, or -errno. */
int server_listen(struct server *server, const struct address *address,
	struct sockaddr_storage *ret_address) __attribute__((warn_unused_result));

/** Accept and serve until server_stop() has been carried out.
 *  @return 0, -ETIMEDOUT when connections were left at the deadline, or -errno. */
int server_run(struct server *server) __attribute__((warn_unused_result));

/** Begin to stop. From loop 0. */
void server_stop(struct server *server);

/** @return loop 0: for watches and timers of the program's own. */
struct loop *server_loop(struct server *server);

/** @return the loops' number. */
unsigned server_thread_count(const struct server *server);

#endif
