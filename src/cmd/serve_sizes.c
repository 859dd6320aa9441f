/*
 * The thread is a loop that has nothing but the watch.
 */
#include "cmd/serve_sizes.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "loop/loop.h"
#include "store/size_watch.h"

static void *run(void *context)
{
	struct serve_sizes *sizes = context;

	/* A loop that fails notices no more changes, as if there were no inotify. */
	(void)!loop_run(sizes->loop);
	(void)!eventfd_write(sizes->done_fd, 1);
	return NULL;
}

static int start(struct serve_sizes *sizes)
{
	sizes->done_fd = eventfd(0, EFD_CLOEXEC);
	if (sizes->done_fd < 0)
		return -errno;
	return -pthread_create(&sizes->thread, NULL, run, sizes);
}

int serve_sizes_start(struct serve_sizes *sizes, struct store *const *stores, size_t count,
	const struct size_watch_handler *handler)
{
	const struct loop_options options = {.files = LOOP_FILES_THREADS, .is_spinning_off = true};
	int error;

	*sizes = (struct serve_sizes){.done_fd = -1};
	error = loop_new(&options, &sizes->loop);
	if (error == 0)
		error = size_watch_new(sizes->loop, stores, count, handler, &sizes->watch);
	if (error == 0)
		error = start(sizes);
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
	struct pollfd done = {.fd = sizes->done_fd, .events = POLLIN};

	if (sizes->has_thread) {
		loop_stop(sizes->loop);
		if (poll(&done, 1, SERVE_SIZES_STOP_MS) != 1)
			return false;
		(void)pthread_join(sizes->thread, NULL);
	}
	size_watch_free(sizes->watch);
	/* In one that is all zeros it is no descriptor. */
	if (sizes->loop != NULL)
		cleanup_close(&sizes->done_fd);
	loop_free(sizes->loop);
	*sizes = (struct serve_sizes){.loop = NULL};
	return true;
}
