/*
 * One thread has the loop: that of the process, or in the child of a fork the one that was its parent's
 * steward, the only one that fork(2) has left. The child begins anew and touches nothing of what its
 * parent's threads were doing.
 *
 * descriptor_lock: between the arrival of a descriptor and its move to the window there is no fork, which
 * would give the child a copy of it among those of the client.
 */
#include "kernel/worker_process.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/limits.h"
#include "loop/pool.h"
#include "loop/timer.h"
#include "sysproxy/cookie.h"
#include "sysproxy/handover.h"

#define STATUS_FAILED   1      /* it could not begin, or the broker made no sense */
#define END_MS          10000u /* that calls have to end in when the broker wants it */
#define LOOP_POOL_BYTES (2 * POOL_BUFFER_MAX) /* of which calls need nothing: the least */

struct worker_process {
	const struct worker_process_duties *duties;
	struct loop *loop;
	struct loop_watch channel;
	struct ferry_kernel kernel;
	struct ferry_sysproxy_server *server;
	sigset_t signals; /* of the process, of which a steward has none */
	int status;
	struct timer end_timer; /* ends the process in disorder */

	/* of one that a fork has made, until its client has come */
	bool is_parked;
	struct wire_cookie cookie;
	char name[HANDOVER_NAME_MAX];

	pthread_mutex_t descriptor_lock;
	sem_t answered; /* a fork */
	int answer;     /* then: 0 or -errno */
};

/* What the broker hears */

static void tell(struct worker_process *worker, const struct channel_message *message, int flags)
{
	/* Without a broker it is about to end. */
	(void)!channel_send(worker->channel.fd, message, flags);
}

static void tell_line(struct worker_process *worker, const struct channel_message *form,
	const char *line, int flags)
{
	struct channel_message message = *form;

	(void)snprintf(message.text, sizeof(message.text), "%s", line);
	tell(worker, &message, flags);
}

void worker_process_log(struct worker_process *worker, enum log_level level, const char *line)
{
	const struct channel_message form = {.type = CHANNEL_LOG, .value = (int)level, .fd = -1};

	tell_line(worker, &form, line, MSG_DONTWAIT);
}

void worker_process_trace(struct worker_process *worker, const char *line)
{
	const struct channel_message form = {.type = CHANNEL_TRACE, .fd = -1};

	tell_line(worker, &form, line, 0);
}

static void log_line(void *context, int level, const char *line)
{
	worker_process_log(context, (enum log_level)level, line);
}

static void tell_name(void *context, uint64_t process_id, const struct wire_cookie *cookie)
{
	const struct channel_message message = {
		.type = CHANNEL_COOKIE,
		.fd = -1,
		.cookie = *cookie,
	};

	(void)process_id;
	tell(context, &message, 0);
}

static void tell_counts(struct worker_process *worker)
{
	struct channel_message message = {.type = CHANNEL_COUNTS, .fd = -1};

	worker->duties->kernel_counts(worker->duties->context, &worker->kernel, &message.counts);
	tell(worker, &message, 0);
}

/* Ends */

static void worker_end(struct worker_process *worker, int status)
{
	worker->status = status;
	loop_stop(worker->loop);
}

static void process_ended(void *context)
{
	worker_end(context, 0);
}

/* A call does not heed its cancellation. */
static void end_timed_out(struct timer *timer)
{
	(void)timer;
	_exit(STATUS_FAILED);
}

/* End what is left of the process. */
static void close_server(struct worker_process *worker)
{
	timer_init(&worker->end_timer, worker->loop, end_timed_out);
	timer_arm_after(&worker->end_timer, END_MS);
	ferry_sysproxy_server_close(worker->server);
	timer_disarm(&worker->end_timer);
}

/* Forks: on the steward */

/* A channel for the child, both ends in the window. */
static int make_channel(int ret_ends[2])
{
	int ends[2];
	int error = channel_pair(ends);

	if (error != 0)
		return error;
	ret_ends[0] = kernel_window_take(ends[0]);
	ret_ends[1] = kernel_window_take(ends[1]);
	if (ret_ends[0] >= 0 && ret_ends[1] >= 0)
		return 0;
	error = ret_ends[0] < 0 ? ret_ends[0] : ret_ends[1];
	cleanup_close(&ret_ends[0]);
	cleanup_close(&ret_ends[1]);
	return error;
}

/* Announce a child. @return what the broker answers. */
static int announce(struct worker_process *worker, const struct wire_cookie *cookie, int channel)
{
	const struct channel_message message = {
		.type = CHANNEL_FORKED,
		.fd = channel,
		.cookie = *cookie,
	};
	int error = channel_send(worker->channel.fd, &message, 0);

	if (error != 0)
		return error;
	while (sem_wait(&worker->answered) != 0)
		;
	return worker->answer;
}

static int worker_begin(struct worker_process *worker, int channel);

/* The child of a fork: nothing of its parent's is left but what is the client's. */
static _Noreturn void be_child(const struct worker_process *parent, int channel,
	const struct wire_cookie *cookie, const char *name)
{
	struct worker_process child = {
		.duties = parent->duties,
		.signals = parent->signals,
		.is_parked = true,
		.cookie = *cookie,
	};
	unsigned window = (unsigned)kernel_window();

	(void)snprintf(child.name, sizeof(child.name), "%s", name);
	if (((unsigned)channel > window && close_range(window, (unsigned)channel - 1, 0) != 0) ||
		close_range((unsigned)channel + 1, ~0u, 0) != 0)
		_exit(STATUS_FAILED);
	(void)pthread_sigmask(SIG_SETMASK, &child.signals, NULL);
	_exit(worker_begin(&child, channel));
}

static int fork_process(void *context, const struct wire_cookie *cookie, const char *name)
{
	const struct channel_message none = {.type = CHANNEL_COUNTS, .fd = -1};
	struct worker_process *worker = context;
	int ends[2];
	int error;
	pid_t child;

	(void)pthread_mutex_lock(&worker->descriptor_lock);
	error = make_channel(ends);
	(void)pthread_mutex_unlock(&worker->descriptor_lock);
	if (error != 0)
		return error;
	error = announce(worker, cookie, ends[0]);
	(void)close(ends[0]);
	if (error != 0) {
		(void)close(ends[1]);
		return error;
	}
	(void)pthread_mutex_lock(&worker->descriptor_lock);
	child = fork();
	if (child == 0)
		be_child(worker, ends[1], cookie, name);
	error = child < 0 ? -errno : 0;
	(void)pthread_mutex_unlock(&worker->descriptor_lock);
	/* The broker knows of it: it has gone, in order. */
	if (error != 0)
		(void)!channel_send(ends[1], &none, MSG_DONTWAIT);
	(void)close(ends[1]);
	return error;
}

/* What the broker says */

static void adopt(struct worker_process *worker, int fd, const struct handover *handover)
{
	struct handover copy = *handover;

	if (handover->kind == HANDOVER_FORK) {
		if (!worker->is_parked || !cookie_is_equal(&worker->cookie, &handover->cookie)) {
			handover_refuse(worker->server, fd, handover, WIRE_ERROR_INVALID_PREFORK,
				"there is no fork of that cookie");
			return;
		}
		worker->is_parked = false;
		memcpy(copy.name, worker->name, sizeof(copy.name));
	}
	handover_adopt(worker->server, fd, &copy);
}

/* Receive a message, with its descriptor in the window. */
static int receive(struct worker_process *worker, struct channel_message *ret_message)
{
	int error;

	(void)pthread_mutex_lock(&worker->descriptor_lock);
	error = channel_receive(worker->channel.fd, CHANNEL_TO_WORKER, MSG_DONTWAIT, ret_message);
	if (error == 0 && ret_message->fd >= 0) {
		ret_message->fd = kernel_window_take(ret_message->fd);
		error = ret_message->fd < 0 ? ret_message->fd : 0;
	}
	(void)pthread_mutex_unlock(&worker->descriptor_lock);
	return error;
}

static void obey(struct worker_process *worker, const struct channel_message *message)
{
	if (message->type == CHANNEL_ADOPT) {
		adopt(worker, message->fd, &message->handover);
	} else if (message->type == CHANNEL_FORK_ANSWER) {
		worker->answer = message->value;
		(void)sem_post(&worker->answered);
	}
}

/* The broker has no more to say. */
static void hear_the_end(struct worker_process *worker, int status)
{
	loop_unwatch(&worker->channel);
	/* Nobody will answer a fork. */
	worker->answer = -EPIPE;
	(void)sem_post(&worker->answered);
	worker_end(worker, status);
}

static void channel_ready(struct loop_watch *watch, uint32_t events)
{
	struct worker_process *worker = container_of(watch, struct worker_process, channel);
	struct channel_message message;
	int error;

	(void)events;
	do {
		error = receive(worker, &message);
		if (error == 0)
			obey(worker, &message);
		else if (error == -EMFILE)
			worker_process_log(worker, LOG_LEVEL_WARNING,
				"a connection is lost: there are too many");
	} while (error == 0 || error == -EMFILE);
	if (error != -EAGAIN)
		hear_the_end(worker, error == -EPIPE ? 0 : STATUS_FAILED);
}

/* Hear no more. What came last and nobody has read would have the broker lose what it has not read. */
static void close_ears(struct worker_process *worker)
{
	struct channel_message message;
	int error;

	loop_unwatch(&worker->channel);
	(void)shutdown(worker->channel.fd, SHUT_RD);
	do {
		message.fd = -1;
		error = receive(worker, &message);
		if (error == 0)
			cleanup_close(&message.fd);
	} while (error == 0 || error == -EBADMSG || error == -EMFILE);
}

/* Beginnings */

static int open_server(struct worker_process *worker)
{
	const struct handover_adopter adopter = {
		.loop = worker->loop,
		.fork = fork_process,
		.named = tell_name,
		.ended = process_ended,
		.context = worker,
	};
	const struct ferry_sysproxy_server_options options = {
		.struct_bytes = sizeof(options),
		.processes_max = 1,
		.calls_max = worker->duties->calls_max,
		.threads_max = worker->duties->threads_max,
		.log = log_line,
		.log_context = worker,
	};

	return handover_open_adopter(&worker->kernel, &adopter, &options, &worker->server, NULL);
}

static int open_all(struct worker_process *worker)
{
	const struct loop_options options = {
		.files = LOOP_FILES_THREADS,
		.pool_bytes = LOOP_POOL_BYTES,
		.place = kernel_window_take,
		/* Lanes spin by themselves; a loop that does would first measure what a wake-up
		 * costs, with descriptors whose numbers are the client's. */
		.is_spinning_off = true,
	};
	int error = loop_new(&options, &worker->loop);

	if (error == 0)
		error = worker->duties->kernel_new(worker->duties->context, worker,
			&worker->kernel);
	if (error == 0)
		error = open_server(worker);
	if (error == 0)
		error = loop_watch(worker->loop, &worker->channel, EPOLLIN | EPOLLRDHUP);
	return error;
}

/* Be a worker whose channel is @channel, in the window. @return the exit status. */
static int worker_begin(struct worker_process *worker, int channel)
{
	int error;

	worker->channel.fd = channel;
	worker->channel.ready = channel_ready;
	(void)pthread_mutex_init(&worker->descriptor_lock, NULL);
	(void)sem_init(&worker->answered, 0, 0);
	error = open_all(worker);
	if (error == 0)
		error = loop_run(worker->loop);
	if (error != 0) {
		worker_process_log(worker, LOG_LEVEL_ERROR, strerrordesc_np(-error));
		return STATUS_FAILED;
	}
	close_server(worker);
	close_ears(worker);
	tell_counts(worker);
	return worker->status;
}

int worker_process_run(const struct worker_process_duties *duties, int channel)
{
	struct worker_process worker = {.duties = duties};

	channel = kernel_window_take(channel);
	/* Children are nobody's to wait for: they are told apart by their channels. */
	if (channel < 0 || signal(SIGCHLD, SIG_IGN) == SIG_ERR ||
		signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
		pthread_sigmask(SIG_SETMASK, NULL, &worker.signals) != 0)
		return STATUS_FAILED;
	return worker_begin(&worker, channel);
}
