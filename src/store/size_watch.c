/*
 * A row for each store, with its inotify watch or none while it rests.
 */
#include "store/size_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "loop/loop.h"
#include "loop/timer.h"
#include "store/store.h"

#define MASK           (IN_MODIFY | IN_CLOSE_WRITE | IN_ONESHOT)
#define RESTING        (-1)
#define EVENTS_AT_ONCE 16

struct watched {
	struct store *store;
	int descriptor; /* inotify's name of the watch, or RESTING */
};

struct size_watch {
	struct loop_watch events;
	struct timer rest;
	struct size_watch_handler handler;
	size_t count;
	struct watched watched[];
};

static void look(const struct size_watch *watch, struct store *store)
{
	if (store_measure(store))
		watch->handler.changed(watch->handler.context, store);
}

/* Set the watch first: what changes after the look is told. */
static void set(struct size_watch *watch, struct watched *watched)
{
	const struct store *store = watched->store;

	watched->descriptor = store->operations->watch(store, watch->events.fd, MASK);
	if (watched->descriptor < 0)
		watched->descriptor = RESTING;
	look(watch, watched->store);
}

static void rested(struct timer *timer)
{
	struct size_watch *watch = container_of(timer, struct size_watch, rest);

	for (size_t i = 0; i < watch->count; i++) {
		if (watch->watched[i].descriptor == RESTING)
			set(watch, &watch->watched[i]);
	}
}

/* The same medium may be watched for two stores that only read it. */
static void told(struct size_watch *watch, int descriptor)
{
	for (size_t i = 0; i < watch->count; i++) {
		struct watched *watched = &watch->watched[i];

		if (watched->descriptor != descriptor)
			continue;
		watched->descriptor = RESTING;
		look(watch, watched->store);
		if (!watch->rest.is_armed)
			timer_arm_after(&watch->rest, SIZE_WATCH_REST_MS);
	}
}

static void ready(struct loop_watch *events, uint32_t epoll_events)
{
	struct size_watch *watch = container_of(events, struct size_watch, events);
	struct inotify_event buffer[EVENTS_AT_ONCE];
	ssize_t bytes;

	(void)epoll_events;
	/* A file that is watched, not a folder: events have no names behind them. */
	while ((bytes = read(watch->events.fd, buffer, sizeof(buffer))) > 0) {
		for (size_t i = 0; i < (size_t)bytes / sizeof(buffer[0]); i++)
			told(watch, buffer[i].wd);
	}
}

int size_watch_new(struct loop *loop, struct store *const *stores, size_t count,
	const struct size_watch_handler *handler, struct size_watch **ret_watch)
{
	struct size_watch *watch = calloc(1, sizeof(*watch) + count * sizeof(watch->watched[0]));
	int error;

	if (watch == NULL)
		return -ENOMEM;
	watch->handler = *handler;
	timer_init(&watch->rest, loop, rested);
	watch->events.ready = ready;
	watch->events.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	error = watch->events.fd < 0 ? -errno : loop_watch(loop, &watch->events, EPOLLIN);
	if (error != 0) {
		size_watch_free(watch);
		return error;
	}
	for (size_t i = 0; i < count; i++) {
		if (stores[i]->operations->watch == NULL)
			continue;
		watch->watched[watch->count].store = stores[i];
		set(watch, &watch->watched[watch->count++]);
	}
	*ret_watch = watch;
	return 0;
}

void size_watch_free(struct size_watch *watch)
{
	if (watch == NULL)
		return;
	timer_disarm(&watch->rest);
	loop_unwatch(&watch->events);
	if (watch->events.fd >= 0)
		(void)close(watch->events.fd);
	free(watch);
}
