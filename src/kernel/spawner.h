/*
 * The spawner: a process of one thread that stands within the walls of what is lent and forks workers
 * there. It is a program started anew, so that it has nothing of its broker's: no descriptors, no keys,
 * no threads.
 *
 * It and all that comes of it are one process group. When its broker has gone, or it is ended, the whole
 * group is killed; no signal of a terminal reaches it.
 */
#ifndef FERRY_KERNEL_SPAWNER_H
#define FERRY_KERNEL_SPAWNER_H

#include <sys/types.h>

#include "kernel/channel.h"

#define SPAWNER_CHANNEL_FD    3      /* where the new program finds its end of the channel */
#define SPAWNER_ARGUMENTS_MAX 2048   /* of the new program */
#define SPAWNER_WORKERS_MAX   65536u /* at one time */

/* What a spawner does, beside forking. */
struct spawner_duties {
	/* Put up the walls around this process; it may return in a child, for which this process
	 * waits. @ret_text: what they are, or what failed. @return 0 or -errno. */
	int (*confine)(void *context, char ret_text[CHANNEL_TEXT_MAX]);
	/* Be a worker, in a process of its own. @param channel taken @return its exit status */
	int (*work)(void *context, int channel);
	void *context;
};

/** Be the spawner whose channel is @channel: until the broker has gone, and then this process is killed;
 *  or until the walls cannot be put up. All descriptors but standard ones and the channel are closed.
 *  @return the exit status of a spawner without walls; and of nothing else. */
int spawner_run(int channel, const struct spawner_duties *duties);

/* A spawner as its broker knows it. */
struct spawner {
	pid_t pid;   /* and its process group; 0: there is none */
	int channel; /* -1: none */
};

/** Start this program anew as a spawner, and wait until its walls stand.
 *  @param arguments argv of the new program, ended by NULL: a verb that calls spawner_run() with
 *  SPAWNER_CHANNEL_FD
 *  @param ret_text what the walls are, or what failed
 *  @return 0 and a spawner to be ended, or -errno. */
int spawner_start(char *const arguments[], struct spawner *ret_spawner,
	char ret_text[CHANNEL_TEXT_MAX]) __attribute__((warn_unused_result));

/** Kill it and all that came of it, and wait until it has gone. One that has ended already is legal. */
void spawner_end(struct spawner *spawner);

#endif
