/*
 * States go one way: WAITING or PARKED, RUNNING, ENDING, GONE. A guest is freed by the broker's sweep,
 * never while it is looked at.
 *
 * One whose worker the spawner has forked is GONE when the channel has ended and the spawner has reaped
 * the worker; one that a worker has forked, when the channel has ended.
 */
#include "kernel/guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* Ends */

static struct log *log_of(const struct guest *guest)
{
	return guest->broker->options.log;
}

static void close_channel(struct guest *guest)
{
	if (guest->watch.fd < 0)
		return;
	loop_unwatch(&guest->watch);
	loop_task_cancel(&guest->read_more);
	(void)close(guest->watch.fd);
	guest->watch.fd = -1;
}

static void leave_parent(struct guest *guest)
{
	if (guest->parent == NULL)
		return;
	list_remove(&guest->sibling);
	guest->parent->child_count--;
	guest->parent = NULL;
}

static void end_children(struct guest *guest)
{
	struct list *link, *following;

	list_for_each_safe (link, following, &guest->children)
		guest_end(container_of(link, struct guest, sibling));
}

static void tell_how_it_went(const struct guest *guest)
{
	unsigned long long id = guest->id;

	if (guest->has_ended && WIFSIGNALED(guest->status))
		log_write(log_of(guest), LOG_LEVEL_WARNING, "worker killed",
			"process %llu, %s: its worker was killed by signal %d", id, guest->name,
			WTERMSIG(guest->status));
	else if (!guest->has_counts)
		log_write(log_of(guest), LOG_LEVEL_WARNING, "worker lost",
			"process %llu, %s: its worker has not ended in order", id, guest->name);
	else
		log_write(log_of(guest), LOG_LEVEL_INFO, "guest went",
			"process %llu, %s: went: %llu calls, %llu failed, %llu refused", id,
			guest->name, (unsigned long long)guest->counts.calls,
			(unsigned long long)guest->counts.failures,
			(unsigned long long)guest->counts.refusals);
}

/* It is of no use any more: nothing goes to it, and its children end. */
static void begin_end(struct guest *guest)
{
	if (guest->state == GUEST_ENDING || guest->state == GUEST_GONE)
		return;
	guest->state = GUEST_ENDING;
	guest->has_cookie = false;
	timer_arm_after(&guest->timer, BROKER_END_MS);
	leave_parent(guest);
	end_children(guest);
}

static void settle(struct guest *guest)
{
	if (guest->state == GUEST_GONE || guest->watch.fd >= 0 ||
		(guest->is_spawned && guest->is_asked_for && !guest->has_ended))
		return;
	begin_end(guest);
	timer_disarm(&guest->timer);
	guest->state = GUEST_GONE;
	broker_sweep_later(guest->broker);
}

static void hang_up_session(struct guest *guest)
{
	if (guest->session >= 0)
		(void)close(guest->session);
	guest->session = -1;
}

void guest_end(struct guest *guest)
{
	if (guest->state == GUEST_ENDING || guest->state == GUEST_GONE)
		return;
	hang_up_session(guest);
	begin_end(guest);
	if (guest->is_spawned && !guest->is_asked_for)
		close_channel(guest);
	else if (guest->watch.fd >= 0)
		(void)shutdown(guest->watch.fd, SHUT_WR);
	settle(guest);
}

static void timed_out(struct timer *timer)
{
	struct guest *guest = container_of(timer, struct guest, timer);
	const struct channel_message message = {.type = CHANNEL_KILL, .id = guest->id, .fd = -1};

	if (guest->state == GUEST_PARKED) {
		guest_end(guest);
		return;
	}
	log_write(log_of(guest), LOG_LEVEL_WARNING, "worker stuck",
		"process %llu, %s: its worker does not end", (unsigned long long)guest->id,
		guest->name);
	close_channel(guest);
	if (guest->is_spawned && !guest->has_ended &&
		channel_send(guest->broker->spawner.channel, &message, MSG_DONTWAIT) != 0)
		timer_arm_after(timer, BROKER_END_MS);
	settle(guest);
}

/* Cut off a worker that breaks the rules: it is not waited for. */
static void cut_off(struct guest *guest, const char *why)
{
	const struct channel_message message = {.type = CHANNEL_KILL, .id = guest->id, .fd = -1};

	log_write(log_of(guest), LOG_LEVEL_WARNING, "worker cut off",
		"process %llu, %s: its worker is cut off: %s", (unsigned long long)guest->id,
		guest->name, why);
	begin_end(guest);
	close_channel(guest);
	/* If there is no room for it now the timer says it again. */
	if (guest->is_spawned && !guest->has_ended)
		(void)!channel_send(guest->broker->spawner.channel, &message, MSG_DONTWAIT);
	settle(guest);
}

/* What workers say */

static bool is_line_welcome(struct guest *guest)
{
	uint64_t now_ns = loop_now_ns(guest->broker->options.loop);

	if (now_ns - guest->lines_since_ns >= LOG_WINDOW_NS) {
		if (guest->left_out_count > 0)
			log_write(log_of(guest), LOG_LEVEL_WARNING, NULL,
				"process %llu, %s: %u lines left out",
				(unsigned long long)guest->id, guest->name, guest->left_out_count);
		guest->lines_since_ns = now_ns;
		guest->line_count = 0;
		guest->left_out_count = 0;
	}
	if (guest->line_count < GUEST_LINES_MAX) {
		guest->line_count++;
		return true;
	}
	guest->left_out_count++;
	return false;
}

static void take_line(struct guest *guest, const struct channel_message *message)
{
	/* Who came and went the broker knows itself. */
	enum log_level level =
		message->value == LOG_LEVEL_INFO ? LOG_LEVEL_DEBUG : (enum log_level)message->value;

	if (is_line_welcome(guest))
		log_write(log_of(guest), level, NULL, "process %llu, %s: %s",
			(unsigned long long)guest->id, guest->name, message->text);
}

static void take_trace(const struct guest *guest, const struct channel_message *message)
{
	const struct broker_options *options = &guest->broker->options;
	char line[CHANNEL_TEXT_MAX + 32];

	if (options->trace == NULL)
		return;
	(void)snprintf(line, sizeof(line), "[%llu] %s", (unsigned long long)guest->id,
		message->text);
	options->trace(options->context, line);
}

static void guest_ready(struct loop_watch *watch, uint32_t events);
static void guest_read_more(struct loop_task *task);

static struct guest *guest_make(struct broker *broker, const char *name)
{
	struct guest *guest = calloc(1, sizeof(*guest));

	if (guest == NULL)
		return NULL;
	guest->broker = broker;
	guest->id = ++broker->last_id;
	guest->watch = (struct loop_watch){.ready = guest_ready, .fd = -1};
	guest->worker_channel = -1;
	guest->session = -1;
	(void)snprintf(guest->name, sizeof(guest->name), "%s", name);
	timer_init(&guest->timer, broker->options.loop, timed_out);
	loop_task_init(&guest->read_more, guest_read_more);
	list_init(&guest->sibling);
	list_init(&guest->children);
	list_append(&broker->guests, &guest->link);
	broker->guest_count++;
	return guest;
}

static bool is_channel(int fd)
{
	int domain = 0, type = 0;
	socklen_t bytes = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) == 0 && domain == AF_UNIX &&
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type == SOCK_SEQPACKET;
}

/* @return 0, the child is there, with its channel; or -errno. */
static int park_child(struct guest *parent, const struct channel_message *message)
{
	struct broker *broker = parent->broker;
	struct guest *child;
	int error;

	if (parent->state != GUEST_RUNNING || broker->guest_count >= broker->options.guests_max ||
		parent->child_count >= BROKER_CHILDREN_MAX)
		return -EAGAIN;
	if (!is_channel(message->fd))
		return -ENOTSOCK;
	child = guest_make(broker, parent->name);
	if (child == NULL)
		return -ENOMEM;
	child->state = GUEST_PARKED;
	child->watch.fd = message->fd;
	error = loop_watch(broker->options.loop, &child->watch, EPOLLIN);
	if (error != 0) {
		child->watch.fd = -1;
		child->has_counts = true;
		settle(child);
		return error;
	}
	child->cookie = message->cookie;
	child->has_cookie = true;
	child->parent = parent;
	parent->child_count++;
	list_append(&parent->children, &child->sibling);
	timer_arm_after(&child->timer, broker->options.prefork_timeout_ms);
	return 0;
}

static void take_fork(struct guest *guest, const struct channel_message *message)
{
	const struct channel_message answer = {
		.type = CHANNEL_FORK_ANSWER,
		.value = park_child(guest, message),
		.fd = -1,
	};

	if (answer.value != 0)
		(void)close(message->fd);
	if (guest->state != GUEST_RUNNING)
		return;
	if (channel_send(guest->watch.fd, &answer, MSG_DONTWAIT) == -EAGAIN)
		cut_off(guest, "it does not read");
}

static void take_message(struct guest *guest, const struct channel_message *message)
{
	switch (message->type) {
	case CHANNEL_COOKIE:
		if (guest->state == GUEST_RUNNING) {
			guest->cookie = message->cookie;
			guest->has_cookie = true;
		}
		break;
	case CHANNEL_FORKED:
		take_fork(guest, message);
		break;
	case CHANNEL_LOG:
		take_line(guest, message);
		break;
	case CHANNEL_TRACE:
		take_trace(guest, message);
		break;
	case CHANNEL_COUNTS:
		guest->counts = message->counts;
		guest->has_counts = true;
		break;
	case CHANNEL_SPAWN:
	case CHANNEL_KILL:
	case CHANNEL_SANDBOX:
	case CHANNEL_SPAWNED:
	case CHANNEL_ENDED:
	case CHANNEL_ADOPT:
	case CHANNEL_FORK_ANSWER:
		break; /* not from a worker: channel_receive() has seen to that */
	}
}

void guest_read(struct guest *guest, bool is_all)
{
	struct channel_message message;
	unsigned count = 0;
	int error = 0;

	while (guest->watch.fd >= 0 && error == 0 && (is_all || count++ < GUEST_MESSAGES_MAX)) {
		error = channel_receive(guest->watch.fd, CHANNEL_FROM_WORKER, MSG_DONTWAIT,
			&message);
		if (error == 0)
			take_message(guest, &message);
	}
	if (guest->watch.fd < 0)
		return;
	if (error == 0) {
		loop_again(guest->broker->options.loop, &guest->read_more);
	} else if (error == -EPIPE) {
		begin_end(guest);
		close_channel(guest);
		settle(guest);
	} else if (error != -EAGAIN) {
		cut_off(guest,
			error == -EBADMSG ? "it breaks the rules of its channel"
					  : strerrordesc_np(-error));
	}
}

static void guest_read_more(struct loop_task *task)
{
	guest_read(container_of(task, struct guest, read_more), false);
}

static void guest_ready(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	guest_read(container_of(watch, struct guest, watch), false);
}

/* Beginnings */

int guest_new(struct broker *broker, struct ferry_sysproxy_server *router, int session,
	const struct handover *handover)
{
	struct guest *guest = guest_make(broker, handover->name);
	int fds[2], error;

	if (guest == NULL)
		return -ENOMEM;
	guest->is_spawned = true;
	guest->has_counts = true; /* there is nothing to be missed yet */
	error = channel_pair(fds);
	if (error == 0) {
		guest->watch.fd = fds[0];
		guest->worker_channel = fds[1];
		error = loop_watch(broker->options.loop, &guest->watch, EPOLLIN);
	}
	if (error != 0) {
		guest_end(guest);
		return error;
	}
	guest->session = session;
	guest->handover = *handover;
	guest->router = router;
	broker_ask_spawner(broker);
	return 0;
}

int guest_ask(struct guest *guest)
{
	const struct channel_message message = {.type = CHANNEL_SPAWN,
		.id = guest->id,
		.fd = guest->worker_channel};
	int error = channel_send(guest->broker->spawner.channel, &message, MSG_DONTWAIT);

	if (error != 0)
		return error;
	guest->is_asked_for = true;
	(void)close(guest->worker_channel);
	guest->worker_channel = -1;
	return 0;
}

void guest_spawned(struct guest *guest, int error)
{
	int session = guest->session;

	if (error != 0)
		guest->has_ended = true;
	if (guest->state == GUEST_WAITING) {
		guest->session = -1;
		if (error == 0)
			error = guest_adopt(guest, session, &guest->handover);
		if (error != 0)
			handover_refuse(guest->router, session, &guest->handover,
				WIRE_ERROR_TRY_AGAIN, "it can have no worker");
		else
			log_write(log_of(guest), LOG_LEVEL_INFO, "guest came", "process %llu is %s",
				(unsigned long long)guest->id, guest->name);
	}
	if (error != 0) {
		log_write(log_of(guest), LOG_LEVEL_WARNING, "no worker",
			"process %llu, %s: it can have no worker: %s",
			(unsigned long long)guest->id, guest->name, strerrordesc_np(-error));
		guest_end(guest);
		if (guest->has_ended)
			close_channel(guest);
		settle(guest);
	}
}

void guest_ended(struct guest *guest, int32_t status)
{
	guest->has_ended = true;
	guest->status = status;
	guest_read(guest, true);
	begin_end(guest);
	hang_up_session(guest);
	close_channel(guest);
	settle(guest);
}

int guest_adopt(struct guest *guest, int fd, const struct handover *handover)
{
	struct channel_message message = {.type = CHANNEL_ADOPT, .fd = fd, .handover = *handover};
	int error = channel_send(guest->watch.fd, &message, MSG_DONTWAIT);

	if (error != 0)
		return error;
	(void)close(fd);
	if (guest->state == GUEST_PARKED) {
		timer_disarm(&guest->timer);
		leave_parent(guest);
	}
	if (guest->state != GUEST_RUNNING) {
		guest->state = GUEST_RUNNING;
		guest->has_cookie = false;
		guest->has_counts = false;
	}
	return 0;
}

void guest_free(struct guest *guest)
{
	begin_end(guest);
	timer_disarm(&guest->timer);
	hang_up_session(guest);
	close_channel(guest);
	if (guest->worker_channel >= 0)
		(void)close(guest->worker_channel);
	tell_how_it_went(guest);
	list_remove(&guest->link);
	guest->broker->guest_count--;
	free(guest);
}
