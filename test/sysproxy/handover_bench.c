/*
 * Orders are given to the loop's thread, which carries them out between two turns, and so closes adopters
 * that have ended.
 */
#include "test/sysproxy/handover_bench.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "sysproxy/cookie.h"

#define PATIENCE_S 60

/* An adopter, and who belongs to it. */
struct place {
	struct list link;
	struct handover_bench *bench;
	struct ferry_sysproxy_server *server;
	struct wire_cookie fork, lane;
	char name[HANDOVER_NAME_MAX]; /* of the forked */
	bool is_forked, has_lanes, has_ended;
};

/* A fork, which the loop's thread makes for the steward. */
struct fork_order {
	struct loop_message message;
	struct handover_bench *bench;
	const struct wire_cookie *cookie;
	const char *name;
	sem_t done;
};

static struct place *place_new(struct handover_bench *bench);

/* On the steward */

static void fork_delivered(struct loop_message *message)
{
	struct fork_order *order = container_of(message, struct fork_order, message);
	struct place *place = place_new(order->bench);

	place->is_forked = true;
	place->fork = *order->cookie;
	(void)snprintf(place->name, sizeof(place->name), "%s", order->name);
	assert_int_equal(sem_post(&order->done), 0);
}

static int make_fork(void *context, const struct wire_cookie *cookie, const char *name)
{
	struct place *place = context;
	struct handover_bench *bench = place->bench;
	struct fork_order order = {
		.message.deliver = fork_delivered,
		.bench = bench,
		.cookie = cookie,
		.name = name,
	};

	if (bench->fork_error != 0)
		return bench->fork_error;
	assert_int_equal(sem_init(&order.done, 0, 0), 0);
	loop_post(bench->loop, &order.message);
	while (sem_wait(&order.done) != 0)
		;
	assert_int_equal(sem_destroy(&order.done), 0);
	return 0;
}

/* On the loop */

static void note_name(void *context, uint64_t process_id, const struct wire_cookie *cookie)
{
	struct place *place = context;

	(void)process_id;
	place->lane = *cookie;
	place->has_lanes = true;
}

static void note_end(void *context)
{
	struct place *place = context;

	assert_false(place->has_ended);
	place->has_ended = true;
	place->bench->ended_count++;
}

static struct place *place_new(struct handover_bench *bench)
{
	struct place *place = calloc(1, sizeof(*place));
	struct ferry_kernel face = fake_kernel_face(bench->base->kernel);
	char error[FERRY_SYSPROXY_ERROR_MAX] = "";
	struct handover_adopter adopter = {
		.loop = bench->loop,
		.fork = make_fork,
		.named = note_name,
		.ended = note_end,
		.context = place,
	};

	assert_non_null(place);
	place->bench = bench;
	if (handover_open_adopter(&face, &adopter, &bench->base->options, &place->server, error) !=
		0)
		fail_msg("%s", error);
	assert_string_equal(ferry_sysproxy_server_url(place->server), "");
	list_append(&bench->adopters, &place->link);
	return place;
}

static void place_free(struct place *place)
{
	ferry_sysproxy_server_close(place->server);
	list_remove(&place->link);
	free(place);
}

static struct place *first_place(struct handover_bench *bench)
{
	return container_of(bench->adopters.next, struct place, link);
}

static struct place *find_place(struct handover_bench *bench, const struct handover *handover)
{
	struct list *link;

	if (handover->kind == HANDOVER_GUEST)
		return bench->is_shared && !list_is_empty(&bench->adopters) ? first_place(bench)
									    : place_new(bench);
	if (handover->kind == HANDOVER_LANE && bench->is_lane_misplaced)
		return first_place(bench);
	list_for_each (link, &bench->adopters) {
		struct place *place = container_of(link, struct place, link);

		if (handover->kind == HANDOVER_FORK && place->is_forked &&
			cookie_is_equal(&place->fork, &handover->cookie))
			return place;
		if (handover->kind == HANDOVER_LANE && place->has_lanes &&
			cookie_is_equal(&place->lane, &handover->cookie))
			return place;
	}
	return NULL;
}

static enum wire_error route(void *context, int fd, const struct handover *handover,
	const char **ret_why)
{
	struct handover_bench *bench = context;
	struct handover copy = *handover;
	struct place *place;

	assert_true(handover_check(handover));
	if (bench->refusal != WIRE_ERROR_NONE) {
		*ret_why = "the bench refuses";
		return bench->refusal;
	}
	if (bench->late != WIRE_ERROR_NONE) {
		handover_refuse(bench->router, fd, handover, bench->late, "the bench is late");
		return WIRE_ERROR_NONE;
	}
	place = find_place(bench, handover);
	if (place == NULL) {
		*ret_why = "the bench knows no such cookie";
		return WIRE_ERROR_INVALID_PREFORK;
	}
	if (handover->kind == HANDOVER_FORK) {
		memcpy(copy.name, place->name, sizeof(copy.name));
		place->is_forked = false;
	}
	handover_adopt(place->server, fd, &copy);
	return WIRE_ERROR_NONE;
}

/* The thread */

static void close_ended(struct handover_bench *bench)
{
	struct list *link, *following;

	list_for_each_safe (link, following, &bench->adopters) {
		struct place *place = container_of(link, struct place, link);

		if (place->has_ended)
			place_free(place);
	}
}

static void order_delivered(struct loop_message *message)
{
	container_of(message, struct handover_bench, message)->is_ordered = true;
}

static void *run(void *argument)
{
	struct handover_bench *bench = argument;

	while (!bench->is_stopping) {
		assert_int_equal(loop_turn(bench->loop, -1), 0);
		close_ended(bench);
		if (!bench->is_ordered)
			continue;
		bench->is_ordered = false;
		bench->order(bench);
		assert_int_equal(sem_post(&bench->done), 0);
	}
	return NULL;
}

/* Have the thread do @order. */
static void give_order(struct handover_bench *bench, void (*order)(struct handover_bench *bench))
{
	bench->order = order;
	bench->message.deliver = order_delivered;
	loop_post(bench->loop, &bench->message);
	while (sem_wait(&bench->done) != 0)
		;
}

/* Orders */

static void open_router(struct handover_bench *bench)
{
	const struct handover_router router = {
		.loop = bench->loop,
		.route = route,
		.context = bench,
	};
	char error[FERRY_SYSPROXY_ERROR_MAX] = "";

	if (handover_open_router(bench->base->url, &router, &bench->base->options, &bench->router,
		    error) != 0)
		fail_msg("%s", error);
}

static void close_router(struct handover_bench *bench)
{
	ferry_sysproxy_server_close(bench->router);
	bench->router = NULL;
}

static void close_adopters(struct handover_bench *bench)
{
	while (!list_is_empty(&bench->adopters))
		place_free(first_place(bench));
}

static void stop(struct handover_bench *bench)
{
	close_router(bench);
	close_adopters(bench);
	bench->is_stopping = true;
}

/* Public */

int handover_bench_setup(void **state)
{
	struct handover_bench *bench = calloc(1, sizeof(*bench));
	void *base;

	assert_non_null(bench);
	assert_int_equal(server_bench_setup(&base), 0);
	bench->base = base;
	list_init(&bench->adopters);
	assert_int_equal(sem_init(&bench->done, 0, 0), 0);
	assert_int_equal(loop_new(NULL, &bench->loop), 0);
	assert_int_equal(pthread_create(&bench->thread, NULL, run, bench), 0);
	*state = bench;
	return 0;
}

int handover_bench_teardown(void **state)
{
	struct handover_bench *bench = *state;
	void *base = bench->base;

	give_order(bench, stop);
	assert_int_equal(pthread_join(bench->thread, NULL), 0);
	loop_free(bench->loop);
	assert_int_equal(sem_destroy(&bench->done), 0);
	free(bench);
	return server_bench_teardown(&base);
}

void handover_bench_open(struct handover_bench *bench)
{
	give_order(bench, open_router);
}

void handover_bench_close_router(struct handover_bench *bench)
{
	give_order(bench, close_router);
}

void handover_bench_close_adopters(struct handover_bench *bench)
{
	give_order(bench, close_adopters);
}

void handover_bench_connect(struct handover_bench *bench, struct raw_peer *peer)
{
	raw_peer_connect(peer, bench->base->url);
}

struct wire_session_reply handover_bench_session(struct handover_bench *bench,
	struct raw_peer *peer)
{
	handover_bench_connect(bench, peer);
	return raw_peer_session(peer, "test");
}

static void count_adopters(struct handover_bench *bench)
{
	struct list *link;

	bench->adopter_count = 0;
	list_for_each (link, &bench->adopters)
		bench->adopter_count++;
}

void handover_bench_await_adopters(struct handover_bench *bench, unsigned count)
{
	time_t start = time(NULL);

	do {
		assert_true(time(NULL) - start < PATIENCE_S);
		(void)sched_yield();
		give_order(bench, count_adopters);
	} while (bench->adopter_count != count);
}

unsigned handover_bench_ended_count(struct handover_bench *bench)
{
	give_order(bench, count_adopters);
	return bench->ended_count;
}
