/*
 * What the tests of worker processes begin with: a worker in a process of its own, whose channel the
 * test has, as a broker would. Clients are sockets whose greeting is taken for granted.
 */
#ifndef FERRY_TEST_KERNEL_WORKER_BENCH_H
#define FERRY_TEST_KERNEL_WORKER_BENCH_H

#include <sys/types.h>

#include "kernel/channel.h"
#include "test/sysproxy/raw_peer.h"

/* Calls of its kernel; all others fail with ENOSYS. */
enum worker_call {
	WORKER_NULL,        /* a, b: gives both back */
	WORKER_PIPE,        /* gives its two ends */
	WORKER_WRITE,       /* descriptor, byte */
	WORKER_READ,        /* descriptor: gives a byte; ENODATA at the end */
	WORKER_UMASK,       /* mask: gives that before */
	WORKER_PROCESS,     /* gives the ids of the process and of its parent */
	WORKER_DESCRIPTORS, /* gives how many there are below the window, and in it */
	WORKER_CHILDREN,    /* gives whether it has any to wait for */
	WORKER_BLOCK,       /* until it is cancelled */
	WORKER_BLOCKED,     /* gives how many are blocked */
	WORKER_LOG,         /* a line, "logged" */
	WORKER_TRACE,       /* a line, "traced" */
	WORKER_CRASH,       /* aborts the process */
};

#define WORKER_BENCH_WINDOW 2048 /* its first descriptor */

struct worker_bench {
	pid_t pid;
	int channel;
};

/** Start a worker. */
void worker_bench_start(struct worker_bench *bench);

/** Wait for its end. @return its wait status. */
int worker_bench_wait(struct worker_bench *bench);

/** Receive a message of @type, after lines of the log that are passed over.
 *  @return whether it came; false at the end of the channel. */
bool worker_bench_receive(int channel, enum channel_type type, struct channel_message *ret_message);

/** Receive the counts and the end of the channel, which is closed. */
void worker_bench_expect_end(int *channel);

/** Receive the end of the channel, without counts that have not been received. */
void worker_bench_expect_closed(int *channel);

/** Give the worker a connection, of which @peer is the other end. */
void worker_bench_adopt(int channel, const struct handover *handover, struct raw_peer *peer);

/** Give it a process, with the extension, and hear its cookie. */
struct wire_cookie worker_bench_session(int channel, struct raw_peer *peer);

/** Give it a lane. */
void worker_bench_lane(int channel, const struct wire_cookie *cookie, uint64_t id,
	struct raw_peer *peer);

/** Have the process of @session fork, and answer with @error.
 *  @return the channel of its child, or -1 if the worker was told of an error */
int worker_bench_fork(int channel, struct raw_peer *session, int error,
	struct wire_cookie *ret_cookie);

/** Give the child of a fork its session. @return the cookie of its lanes. */
struct wire_cookie worker_bench_child(int channel, const struct wire_cookie *cookie,
	struct raw_peer *peer);

/** Make a call of two arguments, which succeeds. @return its first value. */
uint64_t worker_bench_call(struct raw_peer *peer, enum worker_call call, uint64_t first,
	uint64_t second);

/** Make WORKER_NULL. */
void worker_bench_expect_alive(struct raw_peer *peer);

#endif
