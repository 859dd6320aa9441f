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
#include "sysproxy/handover.h"
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
	struct kernel kernel;            /* unless it is a router */
	struct handover_router router;   /* if router.route is not NULL */
	struct handover_adopter adopter; /* of an adopter; else all NULL */
	bool is_loop_borrowed;           /* the owner's, whose thread alone uses the server */
	bool has_adopted;                /* since the owner was told that all have ended */
	struct server_limits limits;
	uid_t users[FERRY_SYSPROXY_USERS_MAX];
	unsigned user_count;
	void (*log_line)(void *context, int level, const char *line);
	void *log_context;
	struct log *log;
	struct loop *loop;
	struct worker_pool
		*workers; /* for calls; threads of lanes count here, too; a router has none */
	struct worker_pool *steward; /* as workers */
	struct listener *listener;   /* NULL: fd://, or an adopter */
	struct list processes;       /* of struct ferry_process */
	struct list greetings;       /* of struct greeting */
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

/* How a server is made. */
struct server_setup {
	const char *url;                                     /* NULL: an adopter */
	const struct ferry_kernel *kernel;                   /* NULL: a router */
	const struct ferry_sysproxy_server_options *options; /* NULL: defaults */
	const struct handover_router *router;                /* may be NULL */
	const struct handover_adopter *adopter;              /* may be NULL */
};

/** @return 0 and a server that serves in turns of its loop, or -errno with a sentence.
 *  @param ret_error may be NULL */
int server_make(const struct server_setup *setup, struct ferry_sysproxy_server **ret_server,
	char *ret_error) __attribute__((warn_unused_result));

/** The owner is told that lanes of process @process_id come by @cookie. */
void server_tell_name(struct ferry_sysproxy_server *server, uint64_t process_id,
	const struct wire_cookie *cookie);

/** Something has ended: a server that is closing may be done. */
void server_settle(struct ferry_sysproxy_server *server);

/** A process of this lane cookie that is running, or NULL. */
struct ferry_process *server_find_lane_cookie(struct ferry_sysproxy_server *server,
	const struct wire_cookie *cookie);

/** A process that waits for the child of a fork with this cookie, or NULL. */
struct ferry_process *server_find_fork_cookie(struct ferry_sysproxy_server *server,
	const struct wire_cookie *cookie);

#endif
