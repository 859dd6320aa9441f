/*
 * Watching the sizes of the stores, on a thread of its own: a file system that hangs makes a watch on
 * a file of it wait, and the loops that serve must not.
 */
#ifndef FERRY_CMD_SERVE_SIZES_H
#define FERRY_CMD_SERVE_SIZES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct loop;
struct size_watch;
struct size_watch_handler;
struct store;

#define SERVE_SIZES_STOP_MS 1000

/* All zeros: nothing is watched. */
struct serve_sizes {
	struct loop *loop;
	struct size_watch *watch;
	pthread_t thread;
	bool has_thread;
	int done_fd; /* an eventfd, which the thread writes to at its end */
};

/** Watch the @count stores at @stores, which outlive it.
 *  @param handler is called on the thread
 *  @return 0 or -errno: nothing is watched. */
int serve_sizes_start(struct serve_sizes *sizes, struct store *const *stores, size_t count,
	const struct size_watch_handler *handler) __attribute__((warn_unused_result));

/** Watch no more.
 *  @return false if the thread is still waiting for a file system after SERVE_SIZES_STOP_MS: it uses
 *  the stores and the handler as before, and may be asked to stop again. */
bool serve_sizes_stop(struct serve_sizes *sizes) __attribute__((warn_unused_result));

#endif
