/*
 * Where connections go, and the ends of all there is.
 */
#include "kernel/broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "kernel/guest.h"
#include "sysproxy/cookie.h"

/* Ends */

/* Nothing is left of a broker that ends. */
static void settle(struct broker *broker)
{
	if ((!broker->is_stopping && !broker->is_failed) || broker->guest_count > 0 ||
		broker->has_told)
		return;
	broker->has_told = true;
	timer_disarm(&broker->timer);
	broker->options.ended(broker->options.context, broker->is_failed);
}

static void sweep(struct loop_task *task)
{
	struct broker *broker = container_of(task, struct broker, sweep);
	struct list *link, *following;

	list_for_each_safe (link, following, &broker->guests) {
		struct guest *guest = container_of(link, struct guest, link);

		if (guest->state == GUEST_GONE)
			guest_free(guest);
	}
	settle(broker);
}

void broker_sweep_later(struct broker *broker)
{
	loop_defer(broker->options.loop, &broker->sweep);
}

static void free_guests(struct broker *broker)
{
	struct list *link, *following;

	list_for_each_safe (link, following, &broker->guests)
		guest_free(container_of(link, struct guest, link));
}

static void close_doors(struct broker *broker)
{
	while (broker->door_count > 0)
		ferry_sysproxy_server_close(broker->doors[--broker->door_count].router);
}

/* The rest does not end in time, or cannot: it is killed with the spawner. */
static void end_by_force(struct broker *broker)
{
	loop_unwatch(&broker->watch);
	spawner_end(&broker->spawner);
	free_guests(broker);
	settle(broker);
}

static void stop_timed_out(struct timer *timer)
{
	end_by_force(container_of(timer, struct broker, timer));
}

/* The spawner */

static struct guest *find_id(const struct broker *broker, uint64_t id)
{
	struct list *link;

	list_for_each (link, &broker->guests) {
		struct guest *guest = container_of(link, struct guest, link);

		if (guest->id == id && guest->is_spawned && guest->is_asked_for)
			return guest;
	}
	return NULL;
}

void broker_ask_spawner(struct broker *broker)
{
	struct list *link;

	list_for_each (link, &broker->guests) {
		struct guest *guest = container_of(link, struct guest, link);

		if (guest->state == GUEST_WAITING && !guest->is_asked_for && guest_ask(guest) != 0)
			return;
	}
}

static void take_message(struct broker *broker, const struct channel_message *message)
{
	struct guest *guest = find_id(broker, message->id);

	if (guest != NULL && message->type == CHANNEL_SPAWNED)
		guest_spawned(guest, message->value);
	else if (guest != NULL && message->type == CHANNEL_ENDED)
		guest_ended(guest, message->value);
}

static void fail(struct broker *broker)
{
	log_write(broker->options.log, LOG_LEVEL_ERROR, NULL,
		"the process that makes workers has ended: no calls are served any more");
	broker->is_failed = true;
	close_doors(broker);
	end_by_force(broker);
}

static void spawner_ready(struct loop_watch *watch, uint32_t events)
{
	struct broker *broker = container_of(watch, struct broker, watch);
	struct channel_message message;
	int error;

	(void)events;
	while ((error = channel_receive(watch->fd, CHANNEL_FROM_SPAWNER, MSG_DONTWAIT, &message)) ==
		0)
		take_message(broker, &message);
	if (error == -EAGAIN)
		broker_ask_spawner(broker);
	else
		fail(broker);
}

/* Connections */

/* All are compared, so that a cookie's place cannot be guessed either. */
static struct guest *find_cookie(const struct broker *broker, enum guest_state state,
	const struct wire_cookie *cookie)
{
	struct guest *found = NULL;
	struct list *link;

	list_for_each (link, &broker->guests) {
		struct guest *guest = container_of(link, struct guest, link);

		if (cookie_is_equal(&guest->cookie, cookie) && guest->has_cookie &&
			guest->state == state)
			found = guest;
	}
	return found;
}

/* A worker tells of a cookie before its client can know it; it may still lie in the channel. */
static struct guest *await_cookie(struct broker *broker, enum guest_state state,
	const struct wire_cookie *cookie)
{
	struct guest *found = find_cookie(broker, state, cookie);
	struct list *link;

	if (found != NULL)
		return found;
	list_for_each (link, &broker->guests)
		guest_read(container_of(link, struct guest, link), false);
	return find_cookie(broker, state, cookie);
}

static enum wire_error route_guest(struct broker_door *door, int fd,
	const struct handover *handover, const char **ret_why)
{
	struct broker *broker = door->broker;

	if (broker->guest_count >= broker->options.guests_max) {
		*ret_why = "there are as many processes as may be";
		return WIRE_ERROR_NO_MEMORY;
	}
	if (guest_new(broker, door->router, fd, handover) != 0) {
		*ret_why = "it can have no worker";
		return WIRE_ERROR_TRY_AGAIN;
	}
	return WIRE_ERROR_NONE;
}

static enum wire_error route_known(struct broker *broker, int fd, const struct handover *handover,
	const char **ret_why)
{
	bool is_lane = handover->kind == HANDOVER_LANE;
	struct guest *guest =
		await_cookie(broker, is_lane ? GUEST_RUNNING : GUEST_PARKED, &handover->cookie);

	if (guest == NULL) {
		*ret_why = is_lane ? "a lane of no process" : "there is no fork of that cookie";
		return WIRE_ERROR_INVALID_PREFORK;
	}
	if (!is_lane && handover->is_cancelled != 0) {
		guest_end(guest);
		(void)close(fd);
		return WIRE_ERROR_NONE;
	}
	if (guest_adopt(guest, fd, handover) != 0) {
		*ret_why = "its worker does not take it";
		return WIRE_ERROR_TRY_AGAIN;
	}
	return WIRE_ERROR_NONE;
}

static enum wire_error route(void *context, int fd, const struct handover *handover,
	const char **ret_why)
{
	struct broker_door *door = context;

	if (handover->kind == HANDOVER_GUEST)
		return route_guest(door, fd, handover, ret_why);
	return route_known(door->broker, fd, handover, ret_why);
}

/* Public */

static void pass_line_on(void *context, int level, const char *line)
{
	const struct broker *broker = context;

	log_write(broker->options.log, (enum log_level)level, NULL, "%s", line);
}

int broker_new(const struct broker_options *options, struct spawner *spawner,
	struct broker **ret_broker)
{
	CLEANUP(cleanup_free) struct broker *broker = calloc(1, sizeof(*broker));
	int error;

	if (broker == NULL)
		return -ENOMEM;
	broker->options = *options;
	if (broker->options.guests_max == 0)
		broker->options.guests_max = BROKER_GUESTS_DEFAULT;
	if (broker->options.prefork_timeout_ms == 0)
		broker->options.prefork_timeout_ms = BROKER_PREFORK_MS;
	for (size_t i = 0; i < options->user_count && i < FERRY_SYSPROXY_USERS_MAX; i++)
		broker->users[i] = options->users[i];
	broker->server = (struct ferry_sysproxy_server_options){
		.struct_bytes = sizeof(broker->server),
		.users = broker->users,
		.user_count = options->user_count,
		.log = pass_line_on,
		.log_context = broker,
	};
	list_init(&broker->guests);
	loop_task_init(&broker->sweep, sweep);
	timer_init(&broker->timer, options->loop, stop_timed_out);
	broker->watch = (struct loop_watch){.ready = spawner_ready, .fd = spawner->channel};
	error = loop_watch(options->loop, &broker->watch, EPOLLIN);
	if (error != 0)
		return error;
	broker->spawner = *spawner;
	*spawner = (struct spawner){.channel = -1};
	*ret_broker = TAKE(broker);
	return 0;
}

int broker_listen(struct broker *broker, const char *url, const char **ret_url,
	char ret_error[FERRY_SYSPROXY_ERROR_MAX])
{
	struct broker_door *door = &broker->doors[broker->door_count];
	const struct handover_router router = {.loop = broker->options.loop,
		.route = route,
		.context = door};
	int error;

	if (broker->door_count >= BROKER_URLS_MAX) {
		(void)snprintf(ret_error, FERRY_SYSPROXY_ERROR_MAX, "%s: more than %u URLs", url,
			BROKER_URLS_MAX);
		return -E2BIG;
	}
	door->broker = broker;
	error = handover_open_router(url, &router, &broker->server, &door->router, ret_error);
	if (error != 0)
		return error;
	broker->door_count++;
	*ret_url = ferry_sysproxy_server_url(door->router);
	return 0;
}

unsigned broker_guest_count(const struct broker *broker)
{
	return broker->guest_count;
}

void broker_stop(struct broker *broker)
{
	struct list *link, *following;

	if (broker->is_stopping)
		return;
	broker->is_stopping = true;
	close_doors(broker);
	list_for_each_safe (link, following, &broker->guests)
		guest_end(container_of(link, struct guest, link));
	timer_arm_after(&broker->timer,
		2u * BROKER_END_MS); /* first those that are stuck are killed one by one */
	broker_sweep_later(broker);
}

void broker_free(struct broker *broker)
{
	if (broker == NULL)
		return;
	broker->has_told = true;
	close_doors(broker);
	end_by_force(broker);
	timer_disarm(&broker->timer);
	loop_task_cancel(&broker->sweep);
	free(broker);
}
