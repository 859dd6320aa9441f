/*
 * Limits of a worker process. Its descriptors are in two parts: below the window are the client's,
 * whose numbers the client sees; from there up are the worker's own, which no call of a client reaches.
 */
#ifndef FERRY_KERNEL_LIMITS_H
#define FERRY_KERNEL_LIMITS_H

#define KERNEL_GUEST_DESCRIPTORS_MAX \
	65536u                          /* of a client; the spawner lowers the limit to that... */
#define KERNEL_WINDOW_DESCRIPTORS 2048u /* ...and these, of a worker */

/** @return the first descriptor of the window: KERNEL_WINDOW_DESCRIPTORS below what RLIMIT_NOFILE allows,
 *  or half of that where it allows less than twice as many. */
int kernel_window(void);

/** Move @fd to the window, close-on-exec. @param fd taken, also on failure
 *  @return its new number, or -errno: -EMFILE, the window is full. */
int kernel_window_take(int fd) __attribute__((warn_unused_result));

#endif
