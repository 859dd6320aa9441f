/*
 * The thread is a loop that has nothing but the watch.
 */
#include "cmd/serve_sizes.h"

#include <time.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "store/size_watch.h"

static void *run(void *context)
{
	/* A loop that fails notices no more changes, as if there were no inotify. */
	(void)!loop_run(context);
	return NULL;
}

int serve_sizes_start(struct serve_sizes *sizes, struct store *const *stores, size_t count,
	const struct size_watch_handler *handler)
{
	const struct loop_options options = {.files = LOOP_FILES_THREADS, .is_spinning_off = true};
	int error;

	*sizes = (struct serve_sizes){.loop = NULL};
	error = loop_new(&options, &sizes->loop);
	if (error == 0)
		error = size_watch_new(sizes->loop, stores, count, handler, &sizes->watch);
	if (error == 0)
		error = -pthread_create(&sizes->thread, NULL, run, sizes->loop);
	if (error != 0) {
		(void)!serve_sizes_stop(sizes);
		return error;
	}
	sizes->has_thread = true;
	(void)pthread_setname_np(sizes->thread, "sizes");
	return 0;
}

bool serve_sizes_stop(struct serve_sizes *sizes)
{
	if (sizes->has_thread) {
		uint64_t due_ns = clock_monotonic()->now_ns(clock_monotonic()) +
			(uint64_t)SERVE_SIZES_STOP_MS * CLOCK_MS_NS;
		const struct timespec due = {
			.tv_sec = (time_t)(due_ns / CLOCK_SECOND_NS),
			.tv_nsec = (long)(due_ns % CLOCK_SECOND_NS),
		};

		loop_stop(sizes->loop);
		if (pthread_clockjoin_np(sizes->thread, NULL, CLOCK_MONOTONIC, &due) != 0)
			return false;
	}
	size_watch_free(sizes->watch);
	loop_free(sizes->loop);
	*sizes = (struct serve_sizes){.loop = NULL};
	return true;
}
