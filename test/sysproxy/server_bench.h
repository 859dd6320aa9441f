/*
 * What the server's tests begin with: a fake kernel behind a server at a socket in a folder of its own.
 * At its end nothing may be left: no process, lwp, thread or descriptor.
 */
#ifndef FERRY_TEST_SYSPROXY_SERVER_BENCH_H
#define FERRY_TEST_SYSPROXY_SERVER_BENCH_H

#include <pthread.h>

#include "ferry/sysproxy.h"
#include "test/sysproxy/fake_kernel.h"
#include "test/sysproxy/raw_peer.h"

struct server_bench {
	struct fake_kernel *kernel;
	struct ferry_sysproxy_server *server;
	struct ferry_sysproxy_server_options options;
	char folder[64];
	char url[128];
	unsigned descriptors, threads; /* before */
	char log[16384];               /* lines of the server's log */
	pthread_mutex_t log_lock;
};

/** Prepare, with default options. For cmocka. */
int server_bench_setup(void **state);

/** Close the server, and see that nothing is left. For cmocka. */
int server_bench_teardown(void **state);

/** Open the server with bench->options at @url (NULL: bench->url, a unix socket). */
void server_bench_open(struct server_bench *bench, const char *url);

/** Close the server. */
void server_bench_close(struct server_bench *bench);

/** Connect and become a process, with the extension. */
struct wire_session_reply server_bench_session(struct server_bench *bench, struct raw_peer *peer);

/** Connect and become a process of plain 0.4. */
void server_bench_guest(struct server_bench *bench, struct raw_peer *peer);

/** A session, and a lane of it. */
void server_bench_lane(struct server_bench *bench, struct raw_peer *session, struct raw_peer *lane);

/** @return whether the log has @text. */
bool server_bench_log_has(struct server_bench *bench, const char *text);

/** Wait until the server counts @count processes. */
void server_bench_await_processes(struct server_bench *bench, unsigned count);

#endif
