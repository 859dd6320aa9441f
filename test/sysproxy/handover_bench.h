/*
 * What the tests of handovers begin with: a router and adopters on one loop, in a thread of its own.
 * Each guest and each forked process gets an adopter for itself, as it would get a process; all have
 * the same fake kernel. At the end nothing may be left.
 */
#ifndef FERRY_TEST_SYSPROXY_HANDOVER_BENCH_H
#define FERRY_TEST_SYSPROXY_HANDOVER_BENCH_H

#include <semaphore.h>

#include "sysproxy/handover.h"
#include "test/sysproxy/server_bench.h"

struct handover_bench {
	struct server_bench *base; /* base->options are those of all servers */
	struct loop *loop;
	pthread_t thread;
	struct ferry_sysproxy_server *router;
	struct list adopters; /* of struct place */
	/* Orders, each set while nothing is connected */
	bool is_shared;          /* further guests come to the first adopter */
	bool is_lane_misplaced;  /* lanes come to the first adopter whatever their cookie */
	enum wire_error refusal; /* by the router, of all connections */
	enum wire_error late;    /* ...and after it has taken them */
	int fork_error;          /* of all forks */
	/* Of the thread */
	void (*order)(struct handover_bench *bench);
	bool is_ordered;
	struct loop_message message;
	sem_t done;
	bool is_stopping;
	unsigned adopter_count; /* when they were counted last */
	unsigned ended_count;   /* adopters that have said so */
};

/* For cmocka. */
int handover_bench_setup(void **state);
int handover_bench_teardown(void **state);

/** Open the router with base->options. */
void handover_bench_open(struct handover_bench *bench);

/** Close the router at once, whatever it is doing. */
void handover_bench_close_router(struct handover_bench *bench);

/** Close all adopters at once. */
void handover_bench_close_adopters(struct handover_bench *bench);

/** Connect, and say no more. */
void handover_bench_connect(struct handover_bench *bench, struct raw_peer *peer);

/** Connect and become a process, with the extension. */
struct wire_session_reply handover_bench_session(struct handover_bench *bench,
	struct raw_peer *peer);

/** Wait until there are @count adopters. */
void handover_bench_await_adopters(struct handover_bench *bench, unsigned count);

/** @return how many adopters have said that all of theirs have ended. */
unsigned handover_bench_ended_count(struct handover_bench *bench);

#endif
