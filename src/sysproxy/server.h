/*
 * The server as its parts know it; its public face is ferry/sysproxy.h.
 *
 * One thread, the loop's, owns all that is here: processes, sessions, greetings, and the lives of
 * lanes. It never waits: what asks the kernel to make, copy or end a process is done in turn by the
 * *steward*, a worker of its own, so that blocked calls cannot hold it up; calls are made by workers
 * (session_call.c) and by the threads of the lanes.
 */
#ifndef FERRY_SYSPROXY_SERVER_H
#define FERRY_SYSPROXY_SERVER_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/log.h"
#include "ferry/sysproxy.h"
#include "loop/loop.h"
#include "sysproxy/banner.h"
#include "sysproxy/kernel.h"
#include "sysproxy/wire.h"
#include "sysproxy/worker.h"

#define SERVER_GREETINGS_MAX 256u  /* connections that have not said who they are */
#define SERVER_REFUSALS_MAX  64u   /* ...and that are told at a time that these are too many */
#define SERVER_LINGER_MS     1000u /* that a refused one is given to read why */

/* What may be chosen, as it has been. */
struct server_limits {
	unsigned processes_max;
	unsigned calls_max;
	unsigned threads_max;
	unsigned lanes_max; /* 0: clients cannot connect a second time */
	size_t stack_bytes;
	uint64_t handshake_timeout_ms;
	uint64_t prefork_timeout_ms;
	bool is_plain;
};

struct ferry_sysproxy_server {
	struct kernel kernel;
	struct server_limits limits;
	uid_t users[FERRY_SYSPROXY_USERS_MAX];
	unsigned user_count;
	void (*log_line)(void *context, int level, const char *line);
	void *log_context;
	struct log *log;
	struct loop *loop;
	struct worker_pool *workers; /* for calls; threads of lanes count here, too */
	struct worker_pool *steward;
	struct listener *listener; /* NULL: fd:// */
	struct list processes;     /* of struct ferry_process */
	struct list greetings;     /* of struct greeting */
	unsigned greeting_count;
	atomic_uint process_count;
	uint64_t last_process_id; /* that the server has given */
	uint64_t spin_limit_ns;   /* of a lane */
	char banner[WIRE_BANNER_MAX + 1];
	size_t banner_bytes;
	char machine[sizeof(((struct wire_hello *)0)->machine)];
	char url[16 + 512];
	pthread_t thread;
	bool has_thread;
	bool is_closing;
	struct loop_message close;
};

/** Something has ended: a server that is closing may be done. */
void server_settle(struct ferry_sysproxy_server *server);

/** A process of this lane cookie that is running, or NULL. */
struct ferry_process *server_find_lane_cookie(struct ferry_sysproxy_server *server,
	const struct wire_cookie *cookie);

/** A process that waits for the child of a fork with this cookie, or NULL. */
struct ferry_process *server_find_fork_cookie(struct ferry_sysproxy_server *server,
	const struct wire_cookie *cookie);

#endif
