/*
 * Each loop owns its connections; the server counts them. Three things cross threads: accepted
 * descriptors on their way to a loop, the word that a connection without Connect has lost its place,
 * and that a stopping loop has no connection left.
 */
#include "serve/server.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "loop/address.h"
#include "loop/listener.h"
#include "loop/loop.h"
#include "loop/socket_stream.h"
#include "loop/timer.h"
#include "serve/admission.h"
#include "serve/connection.h"
#include "target/target.h"

#define THREADS_DEFAULT_MAX 4
#define LAST_TURN_MS        10

/* One loop with its connections. */
struct worker {
	struct server *server;
	struct loop *loop;
	pthread_t thread;
	bool has_thread;
	unsigned index;
	struct connection_setting setting;
	struct list connections;
	bool is_stopping;
	bool is_idle_told;
	struct loop_message stop_message; /* to the worker */
	struct loop_message idle_message; /* to loop 0 */
};

struct server {
	struct target *target;
	struct log *log;
	struct server_options options;
	struct worker *workers;
	struct listener *listeners[SERVER_LISTENERS_MAX];
	unsigned listener_count;
	unsigned next_worker;
	struct admission *admission;
	bool is_stopping;
	unsigned idle_workers; /* of loop 0 */
	struct timer stop_timer;
	int result;
};

/* A connection from when it is accepted: a descriptor on its way to a worker, then that worker's. If it
 * loses its place loop 0 posts that, before the worker may be told to stop, and the last of its end
 * and the delivery frees it. */
struct guest {
	struct admission_entry entry;
	struct loop_message arrival;
	struct loop_message loss;
	struct worker *worker;
	int fd;
	struct connection *connection;
	bool has_ended;
	bool is_loss_delivered;
};

struct server_options server_options_default(void)
{
	cpu_set_t cpus;
	unsigned count = 1;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		count = (unsigned)CPU_COUNT(&cpus);
	return (struct server_options){
		.thread_count = count < THREADS_DEFAULT_MAX ? count : THREADS_DEFAULT_MAX,
		.deadlines = tcp_deadlines_default(),
		.data_max = SERVER_DATA_MAX_DEFAULT,
		.connections_max = SERVER_CONNECTIONS_MAX,
		.address_connections_max = SERVER_ADDRESS_CONNECTIONS,
	};
}

static void worker_check_idle(struct worker *worker)
{
	if (!worker->is_stopping || worker->is_idle_told || !list_is_empty(&worker->connections))
		return;
	worker->is_idle_told = true;
	loop_post(worker->server->workers[0].loop, &worker->idle_message);
}

static void worker_is_idle(struct loop_message *message)
{
	struct server *server = container_of(message, struct worker, idle_message)->server;

	if (++server->idle_workers < server->options.thread_count)
		return;
	server->result = 0;
	loop_stop(server->workers[0].loop);
}

static void end_guest(struct guest *guest)
{
	bool is_lost = admission_leave(guest->worker->server->admission, &guest->entry);

	guest->has_ended = true;
	if (!is_lost || guest->is_loss_delivered)
		free(guest);
}

static void loss_delivered(struct loop_message *message)
{
	struct guest *guest = container_of(message, struct guest, loss);

	guest->is_loss_delivered = true;
	if (guest->has_ended)
		free(guest);
	else if (!connection_is_established(guest->connection))
		connection_cut(guest->connection,
			"there was no Connect when a newer connection needed its place");
}

static void connection_established(void *context, struct connection *connection)
{
	struct worker *worker = context;
	struct guest *guest = connection_context(connection);

	admission_establish(worker->server->admission, &guest->entry);
}

static void connection_ended(void *context, struct connection *connection)
{
	struct worker *worker = context;

	list_remove(connection_link(connection));
	end_guest(connection_context(connection));
	worker_check_idle(worker);
}

static void worker_take(struct worker *worker, struct guest *guest)
{
	struct stream *stream;
	int error = socket_stream_adopt(worker->loop, guest->fd, &stream);

	if (error < 0) {
		(void)close(guest->fd);
	} else if (worker->is_stopping) {
		stream_free(stream);
		error = -ESHUTDOWN;
	} else {
		error = connection_new(&worker->setting, stream, &guest->connection);
	}
	if (error < 0) {
		end_guest(guest);
		return;
	}
	connection_set_context(guest->connection, guest);
	list_append(&worker->connections, connection_link(guest->connection));
}

static void arrival_delivered(struct loop_message *message)
{
	struct guest *guest = container_of(message, struct guest, arrival);

	worker_take(guest->worker, guest);
}

/* @return NULL when the connection from @peer is on its way to @worker, or why it is refused. */
static const char *admit(struct worker *worker, int fd, const struct sockaddr_storage *peer)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	struct admission_entry *loser;
	const char *refusal;

	if (guest == NULL)
		return "out of memory";
	refusal = admission_enter(worker->server->admission, peer, &guest->entry, &loser);
	if (refusal != NULL) {
		free(guest);
		return refusal;
	}
	guest->arrival.deliver = arrival_delivered;
	guest->loss.deliver = loss_delivered;
	guest->worker = worker;
	guest->fd = fd;
	if (loser != NULL) {
		struct guest *other = container_of(loser, struct guest, entry);

		loop_post(other->worker->loop, &other->loss);
	}
	if (worker->index == 0)
		worker_take(worker, guest);
	else
		loop_post(worker->loop, &guest->arrival);
	return NULL;
}

static void accepted(void *context, int fd, const struct sockaddr_storage *peer)
{
	struct server *server = context;
	const char *refusal = admit(&server->workers[server->next_worker], fd, peer);
	char name[ADDRESS_TEXT_MAX];

	if (refusal == NULL) {
		server->next_worker = (server->next_worker + 1) % server->options.thread_count;
		return;
	}
	address_to_text(peer, name);
	log_write(server->log, LOG_LEVEL_WARNING, "connection refused", "%s: refused: %s", name,
		refusal);
	(void)close(fd);
}

/* Established connections end with their controllers, which target_shut_down() takes care of; here
 * go those that have none, and nobody is waited for that was told of an error before. */
static void worker_stop(struct loop_message *message)
{
	struct worker *worker = container_of(message, struct worker, stop_message);
	struct list *link, *following;

	worker->is_stopping = true;
	list_for_each_safe (link, following, &worker->connections) {
		struct connection *connection = connection_of_link(link);

		if (!connection_is_established(connection) || connection_is_ending(connection))
			connection_end(connection, "the server is stopping");
	}
	worker_check_idle(worker);
}

static void stop_timed_out(struct timer *timer)
{
	struct server *server = container_of(timer, struct server, stop_timer);

	server->result = -ETIMEDOUT;
	loop_stop(server->workers[0].loop);
}

void server_stop(struct server *server)
{
	if (server->is_stopping)
		return;
	server->is_stopping = true;
	for (unsigned i = 0; i < server->listener_count; i++)
		listener_free(server->listeners[i]);
	server->listener_count = 0;
	timer_arm_after(&server->stop_timer, SERVER_STOP_MS);
	target_shut_down(server->target);
	for (unsigned i = 0; i < server->options.thread_count; i++)
		loop_post(server->workers[i].loop, &server->workers[i].stop_message);
}

static void *run_worker(void *context)
{
	struct worker *worker = context;

	if (loop_run(worker->loop) < 0)
		log_write(worker->server->log, LOG_LEVEL_ERROR, NULL, "loop %u has failed",
			worker->index);
	return NULL;
}

static int start_worker(struct worker *worker)
{
	char name[16];
	int error = pthread_create(&worker->thread, NULL, run_worker, worker);

	if (error != 0)
		return -error;
	worker->has_thread = true;
	(void)snprintf(name, sizeof(name), "loop %u", worker->index);
	(void)pthread_setname_np(worker->thread, name);
	return 0;
}

static int make_worker(struct server *server, unsigned index)
{
	struct worker *worker = &server->workers[index];

	worker->server = server;
	worker->index = index;
	list_init(&worker->connections);
	worker->stop_message.deliver = worker_stop;
	worker->idle_message.deliver = worker_is_idle;
	worker->setting = (struct connection_setting){
		.target = server->target,
		.log = server->log,
		.deadlines = server->options.deadlines,
		.data_max = server->options.data_max,
		.header_digest = server->options.header_digest,
		.data_digest = server->options.data_digest,
		.established = connection_established,
		.ended = connection_ended,
		.context = worker,
	};
	return loop_new(NULL, &worker->loop);
}

static struct admission *make_admission(const struct server_options *options)
{
	const struct admission_limits limits = {
		.connections_max = options->connections_max,
		.pending_max = SERVER_CONNECTIONS_PENDING,
		.source_connections_max = options->address_connections_max,
		.source_pending_max = SERVER_ADDRESS_PENDING,
	};

	return admission_new(&limits);
}

int server_new(struct target *target, struct log *log, const struct server_options *options,
	struct server **ret_server)
{
	struct server *server = calloc(1, sizeof(*server));
	int error = 0;

	assert(options->thread_count >= 1 && options->thread_count <= SERVER_THREADS_MAX);
	assert(options->connections_max >= 1 && options->connections_max <= SERVER_CONNECTIONS_MAX);
	assert(options->address_connections_max >= 1);
	if (server == NULL)
		return -ENOMEM;
	server->target = target;
	server->log = log;
	server->options = *options;
	server->admission = make_admission(options);
	server->workers = calloc(options->thread_count, sizeof(*server->workers));
	if (server->admission == NULL || server->workers == NULL)
		error = -ENOMEM;
	for (unsigned i = 0; error == 0 && i < options->thread_count; i++)
		error = make_worker(server, i);
	if (error < 0) {
		server_free(server);
		return error;
	}
	timer_init(&server->stop_timer, server->workers[0].loop, stop_timed_out);
	*ret_server = server;
	return 0;
}

int server_listen(struct server *server, const struct address *address,
	struct sockaddr_storage *ret_address)
{
	struct listener *listener;
	int error;

	if (server->listener_count == SERVER_LISTENERS_MAX)
		return -ENOSPC;
	error = listener_open(server->workers[0].loop, (const struct sockaddr *)&address->storage,
		address->bytes, &listener);
	if (error < 0)
		return error;
	server->listeners[server->listener_count++] = listener;
	listener_address(listener, ret_address);
	return 0;
}

static void stop_threads(struct server *server)
{
	for (unsigned i = 1; i < server->options.thread_count; i++) {
		struct worker *worker = &server->workers[i];

		if (!worker->has_thread)
			continue;
		loop_stop(worker->loop);
		(void)pthread_join(worker->thread, NULL);
		worker->has_thread = false;
	}
}

/* The last connections have gone; what they left is on its way between the loops, as messages. */
static int await_target(struct server *server)
{
	struct loop *loop = server->workers[0].loop;
	uint64_t deadline_ns = loop_now_ns(loop) + (uint64_t)SERVER_STOP_MS * CLOCK_MS_NS;
	int error = 0;

	while (error == 0 && !target_is_idle(server->target)) {
		if (loop_now_ns(loop) >= deadline_ns)
			return -ETIMEDOUT;
		error = loop_turn(loop, LAST_TURN_MS);
	}
	return error;
}

int server_run(struct server *server)
{
	int error = 0;

	for (unsigned i = 1; error == 0 && i < server->options.thread_count; i++)
		error = start_worker(&server->workers[i]);
	for (unsigned i = 0; error == 0 && i < server->listener_count; i++)
		listener_start(server->listeners[i], accepted, server);
	if (error == 0)
		error = loop_run(server->workers[0].loop);
	timer_disarm(&server->stop_timer);
	if (error == 0)
		error = server->result;
	if (error == 0)
		error = await_target(server);
	stop_threads(server);
	return error;
}

void server_free(struct server *server)
{
	if (server == NULL)
		return;
	if (server->workers != NULL)
		stop_threads(server);
	for (unsigned i = 0; i < server->listener_count; i++)
		listener_free(server->listeners[i]);
	for (unsigned i = 0; server->workers != NULL && i < server->options.thread_count; i++)
		loop_free(server->workers[i].loop);
	free(server->workers);
	admission_free(server->admission);
	free(server);
}

struct loop *server_loop(struct server *server)
{
	return server->workers[0].loop;
}

unsigned server_thread_count(const struct server *server)
{
	return server->options.thread_count;
}
