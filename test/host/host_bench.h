/*
 * A host at a fake controller, on a loop with a simulated clock.
 */
#ifndef FERRY_TEST_HOST_HOST_BENCH_H
#define FERRY_TEST_HOST_HOST_BENCH_H

#include "base/clock.h"
#include "host/host.h"
#include "test/host/fake_controller.h"

struct host_bench {
	struct simulated_clock clock;
	struct loop *loop;
	struct fake_controller controller;
	struct ferry_host_options options;
	struct ferry_host *host;
	unsigned ready_calls, lost_calls;
	int ready_error, lost_error;
	char error[FERRY_HOST_ERROR_MAX];
};

/** Prepare all but the host; options and controller may then be changed. */
void host_bench_init(struct host_bench *bench);

/** Open the host, blocking. @return as ferry_host_open(). */
int host_bench_open(struct host_bench *bench);

/** Ask for the discovery log, blocking. @return as ferry_host_discover(). */
int host_bench_discover(struct host_bench *bench, struct ferry_host_discovery **ret_discovery);

/** Begin to open it, with a handler that counts. */
void host_bench_start(struct host_bench *bench);

/** Start, and take turns until ready() was called. */
void host_bench_start_and_wait(struct host_bench *bench);

/** Close the host and free the rest. */
void host_bench_end(struct host_bench *bench);

/* A request that counts its end. */
struct asked {
	struct ferry_host_request request;
	unsigned done_calls;
	int error;
	unsigned *order; /* shared: how many are done */
	unsigned place;  /* this one's */
	bool is_within_call;
};

/** Make the request by @call. @return what that returns. */
int host_bench_ask(struct host_bench *bench, struct asked *asked,
	int (*call)(struct ferry_host *, const struct ferry_host_request *));

/** Fail unless @text contains @words. */
void expect_words(const char *text, const char *words);

#endif
