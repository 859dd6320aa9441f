/*
 * Workers that answer greetings and make no calls, but behave as the name of their client says:
 *
 *   crashing  is killed by a signal
 *   lying     sends what is no message, and does not end
 *   stuck     does nothing, and does not end
 *   noisy     logs a thousand lines "no\nise", then traces "getpid() = 1"
 *   forking   has a child that waits for strange_fork_cookie, and logs "answered VALUE"
 *   laned     has strange_lane_cookie
 *   leaving   ends in order at once
 *
 * All others do as they should. Each counts 3 calls, 2 that failed and 1 that was refused.
 */
#ifndef FERRY_TEST_KERNEL_STRANGE_WORKER_H
#define FERRY_TEST_KERNEL_STRANGE_WORKER_H

#include "sysproxy/wire.h"

extern const struct wire_cookie strange_fork_cookie, strange_lane_cookie;

/** Be one (spawner_duties.work). */
int strange_worker(void *context, int channel);

#endif
