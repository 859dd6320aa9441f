/*
 * Watches the media of stores and notices by itself when one has become larger or smaller. It lives
 * on one loop.
 *
 * A file is watched by inotify, which tells of every write too. So a watch tells once and is then
 * gone for a while (SIZE_WATCH_REST_MS), after which it is set again and the size looked at: a file
 * that is written to costs a few turns a second, one that is not costs nothing, and a change is
 * noticed at once or after that time. Nothing tells of a block device; its size is looked at when a
 * host asks for it.
 */
#ifndef FERRY_STORE_SIZE_WATCH_H
#define FERRY_STORE_SIZE_WATCH_H

#include <stddef.h>

struct loop;
struct size_watch;
struct store;

#define SIZE_WATCH_REST_MS 250

/* Who is told. */
struct size_watch_handler {
	/* The size of @store has changed. It may change again meanwhile. */
	void (*changed)(void *context, struct store *store);
	void *context;
};

/** Watch those of the @count stores at @stores that can be watched; they outlive the watch.
 *  @return 0 and the watch, the caller's, or -errno: inotify is not to be had. */
int size_watch_new(struct loop *loop, struct store *const *stores, size_t count,
	const struct size_watch_handler *handler, struct size_watch **ret_watch)
	__attribute__((warn_unused_result));

/** Watch no more, on the loop's thread. NULL is legal. */
void size_watch_free(struct size_watch *watch);

#endif
