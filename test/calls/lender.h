/*
 * A lender: a process with a broker, whose spawner forks workers with the Linux kernel, without walls and
 * without a policy. What is lent is everything.
 */
#ifndef FERRY_TEST_CALLS_LENDER_H
#define FERRY_TEST_CALLS_LENDER_H

#include <sys/types.h>

#define LENDER_VERB   "spawner" /* the first argument of the program as a spawner: lender_spawn() */
#define LENDER_WINDOW 2048      /* descriptors that a client can have */

/** Start a lender that clients reach at @url. Fails the test if it cannot. */
pid_t lender_start(const char *url);
void lender_stop(pid_t lender);

/** Be its spawner. @return the exit status. */
int lender_spawn(void);

#endif
