/*
 * Life and turns of a loop; loop_wait.c is how it waits.
 *
 * Two eventfds can wake it, that of the messages and that of the ring. Both are edge triggered, so
 * that nobody ever reads them: each write is an event of its own.
 */
#include "loop/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "loop/cpu.h"
#include "loop/loop_private.h"
#include "loop/pool.h"

static void wake_ready(struct loop_watch *watch, uint32_t epoll_events)
{
	(void)watch;
	(void)epoll_events;
}

/* @return where @fd is from now on, or -errno, also that of making it. */
static int put(int fd, int (*place)(int fd))
{
	if (fd < 0)
		return -errno;
	return place != NULL ? place(fd) : fd;
}

static int loop_open(struct loop *loop, int (*place)(int fd))
{
	loop->epoll_fd = put(epoll_create1(EPOLL_CLOEXEC), place);
	if (loop->epoll_fd < 0)
		return loop->epoll_fd;
	loop->wake.fd = put(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), place);
	if (loop->wake.fd < 0)
		return loop->wake.fd;
	loop->wake.ready = wake_ready;
	return loop_watch(loop, &loop->wake, EPOLLIN);
}

static void cleanup_loop(struct loop **loop)
{
	loop_free(*loop);
}

int loop_new(const struct loop_options *options, struct loop **ret_loop)
{
	static const struct loop_options defaults = {0};
	CLEANUP(cleanup_loop) struct loop *loop = calloc(1, sizeof(*loop));
	int error;

	if (loop == NULL)
		return -ENOMEM;
	if (options == NULL)
		options = &defaults;
	loop->clock = options->clock != NULL ? options->clock : clock_monotonic();
	loop->is_simulated = loop->clock->advance != NULL;
	loop->is_spinning_off = options->is_spinning_off || loop->is_simulated;
	loop->files_wanted = options->files;
	loop->epoll_fd = -1;
	loop->wake.fd = -1;
	list_init(&loop->again);
	list_init(&loop->deferred);
	inbox_init(&loop->inbox);
	atomic_init(&loop->is_stopping, false);
	timer_init(&loop->trim_timer, loop, loop_trim);
	files_init(&loop->files, loop);
	error = pool_new(options->pool_bytes != 0 ? options->pool_bytes : LOOP_POOL_BYTES_DEFAULT,
		&loop->pool);
	if (error == 0 && !loop->is_simulated)
		error = loop_open(loop, options->place);
	if (error != 0)
		return error;
	*ret_loop = TAKE(loop);
	return 0;
}

void loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	assert(!loop->is_in_turn);
	timer_disarm(&loop->trim_timer);
	assert(loop->timers == NULL);
	files_deinit(&loop->files);
	pool_free(loop->pool);
	if (loop->wake.fd >= 0)
		(void)close(loop->wake.fd);
	if (loop->epoll_fd >= 0)
		(void)close(loop->epoll_fd);
	free(loop->receive_buffer);
	free(loop);
}

uint64_t loop_now_ns(const struct loop *loop)
{
	return loop->is_in_turn ? loop->now_ns : loop->clock->now_ns(loop->clock);
}

struct clock *loop_clock(const struct loop *loop)
{
	return loop->clock;
}

struct pool *loop_pool(struct loop *loop)
{
	return loop->pool;
}

/* Watches */

int loop_watch(struct loop *loop, struct loop_watch *watch, uint32_t epoll_events)
{
	struct epoll_event event = {.events = epoll_events | EPOLLET, .data.ptr = watch};

	assert(watch->loop == NULL);
	if (loop->is_simulated)
		return -EOPNOTSUPP;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0)
		return -errno;
	watch->loop = loop;
	return 0;
}

void loop_unwatch(struct loop_watch *watch)
{
	struct loop *loop = watch->loop;

	if (loop == NULL)
		return;
	watch->loop = NULL;
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	if (loop->active == watch)
		loop->active = NULL;
	for (int i = loop->event_index; i < loop->event_count; i++) {
		if (loop->events[i].data.ptr == watch)
			loop->events[i].data.ptr = NULL;
	}
}

/* Remember the watch to poll while spinning, if it alone is active. */
static void loop_note_active(struct loop *loop)
{
	struct loop_watch *active = NULL;
	unsigned count = 0;

	for (int i = 0; i < loop->event_count; i++) {
		struct loop_watch *watch = loop->events[i].data.ptr;

		if (watch->poll == NULL)
			continue;
		active = watch;
		count++;
	}
	if (count > 0)
		loop->active = count == 1 ? active : NULL;
}

static void loop_dispatch(struct loop *loop)
{
	loop_note_active(loop);
	while (loop->event_index < loop->event_count) {
		struct epoll_event *event = &loop->events[loop->event_index++];
		struct loop_watch *watch = event->data.ptr;

		if (watch != NULL)
			watch->ready(watch, event->events);
	}
	loop->event_count = 0;
	loop->event_index = 0;
}

/* Tasks */

void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *task))
{
	list_init(&task->link);
	task->run = run;
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
	if (list_is_empty(&task->link))
		list_append(&loop->deferred, &task->link);
}

void loop_again(struct loop *loop, struct loop_task *task)
{
	if (list_is_empty(&task->link))
		list_append(&loop->again, &task->link);
}

void loop_task_cancel(struct loop_task *task)
{
	list_remove(&task->link);
}

static void run_tasks(struct list *tasks)
{
	struct list *link;

	while ((link = list_take_first(tasks)) != NULL) {
		struct loop_task *task = container_of(link, struct loop_task, link);

		task->run(task);
	}
}

/* @return whether there was a task. */
static bool loop_run_again(struct loop *loop)
{
	struct list tasks, *link;

	if (list_is_empty(&loop->again))
		return false;
	/* Those that come meanwhile are for the next turn. */
	list_init(&tasks);
	while ((link = list_take_first(&loop->again)) != NULL)
		list_append(&tasks, link);
	run_tasks(&tasks);
	return true;
}

/* Messages */

void loop_post(struct loop *to, struct loop_message *message)
{
	if (inbox_post(&to->inbox, message))
		(void)eventfd_write(to->wake.fd, 1);
}

static void loop_deliver(struct loop *loop)
{
	struct loop_message *message = inbox_take(&loop->inbox);

	while (message != NULL) {
		struct loop_message *next = message->next;

		message->deliver(message);
		message = next;
	}
}

/* Turns */

/* What has to happen on the thread that runs the loop. */
static int loop_begin(struct loop *loop)
{
	int error = files_begin(&loop->files, loop->files_wanted);

	if (error != 0)
		return error;
	if (!loop->is_spinning_off)
		spin_init(&loop->spin, spin_limit_ns(0, cpu_allowed_count()));
	loop->is_wake_latency_measured = loop->spin.limit_ns == 0;
	loop->is_begun = true;
	return 0;
}

int loop_turn(struct loop *loop, int timeout_ms)
{
	int error = 0;

	assert(!loop->is_in_turn);
	if (!loop->is_begun)
		error = loop_begin(loop);
	if (error != 0)
		return error;
	loop->now_ns = loop->clock->now_ns(loop->clock);
	loop->is_in_turn = true;
	if (loop_run_again(loop))
		timeout_ms = 0;
	if (loop->is_simulated)
		loop_wait_simulated(loop, timeout_ms);
	else
		error = loop_wait(loop, timeout_ms);
	loop_dispatch(loop);
	files_complete(&loop->files);
	loop_deliver(loop);
	timer_fire_due(loop);
	run_tasks(&loop->deferred);
	files_flush(&loop->files);
	loop->is_in_turn = false;
	return error;
}

int loop_run(struct loop *loop)
{
	int error = 0;

	while (error == 0 && !atomic_load(&loop->is_stopping)) {
		if (loop->is_simulated && loop->timers == NULL && !loop_has_work(loop) &&
			list_is_empty(&loop->files.queued))
			return -EDEADLK;
		error = loop_turn(loop, -1);
	}
	atomic_store(&loop->is_stopping, false);
	return error;
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->is_stopping, true);
	if (!loop->is_simulated)
		(void)eventfd_write(loop->wake.fd, 1);
}

int loop_fd(struct loop *loop)
{
	return loop->epoll_fd;
}

int loop_prepare_poll(struct loop *loop)
{
	if (!loop->is_begun)
		return 0;
	files_flush(&loop->files);
	if (loop_has_work(loop) || !loop_fall_asleep(loop))
		return 0;
	return loop_sleep_ms(loop, loop->clock->now_ns(loop->clock), -1);
}
