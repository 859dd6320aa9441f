/*
 * What `ferry serve` does for lent calls: starts the spawner, becomes another user if that is wanted,
 * lets clients come, says so, and ends it all.
 */
#ifndef FERRY_CMD_SERVE_LEND_H
#define FERRY_CMD_SERVE_LEND_H

#include <stdio.h>

#include "cmd/log_output.h"
#include "cmd/serve_options.h"
#include "cmd/stdio_pump.h"
#include "kernel/broker.h"
#include "loop/loop.h"

#define SERVE_SPAWNER_VERB "spawner" /* of this program, started anew; not for users */

struct log;

/* All NULL and 0: nothing is lent. */
struct serve_lend {
	const struct serve_options *options;
	struct log *log;
	struct loop *loop;
	struct spawner spawner; /* until the broker has it */
	struct broker *broker;
	char walls[CHANNEL_TEXT_MAX];
	const char *urls[BROKER_URLS_MAX];
	unsigned url_count;
	struct log_output trace;
	struct stdio_pump pump;
	struct loop_message hung_up; /* the program at standard input and output has gone */
	/* Given when it has ended, not before serve_lend_open() has returned; on the loop. */
	void (*ended)(void *context);
	void *context;
	bool has_ended;
	bool is_failed;
};

/** Start the spawner, before anything is opened that it shall not have. What fails is complained of.
 *  @param options outlive it; with nothing to lend nothing happens
 *  @return 0 or -errno. */
int serve_lend_start(struct serve_lend *lend, const struct serve_options *options)
	__attribute__((warn_unused_result));

/** Become the user that was asked for, and let clients come. lend->ended and lend->context have been set.
 *  @param loop, log outlive it
 *  @return 0 or -errno, complained of. */
int serve_lend_open(struct serve_lend *lend, struct loop *loop, struct log *log)
	__attribute__((warn_unused_result));

/** Say what is lent, and how to use it. */
void serve_lend_print(const struct serve_lend *lend, FILE *output);

/** Print the ready lines. */
void serve_lend_print_ready(const struct serve_lend *lend, FILE *output);

/** Begin to end it. */
void serve_lend_stop(struct serve_lend *lend);

/** Take turns of the loop until it has ended, which it does in some seconds, and free all. */
void serve_lend_close(struct serve_lend *lend);

#endif
