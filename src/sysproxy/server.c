/*
 * The life of a server, and its listener. Closing only begins the ends of all that there is; when the last
 * process has gone the loop stops.
 */
#include "sysproxy/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "loop/cpu.h"
#include "loop/listener.h"
#include "loop/spin.h"
#include "sysproxy/cookie.h"
#include "sysproxy/greeting.h"
#include "sysproxy/peer.h"
#include "sysproxy/process.h"
#include "sysproxy/server_options.h"
#include "sysproxy/session.h"
#include "sysproxy/thread.h"
#include "sysproxy/url.h"

#define WORKERS_IDLE_MAX 16u /* threads that are kept for the next call */

/* Processes by their cookies. All are compared, so that a cookie's place cannot be guessed either. */

struct ferry_process *server_find_lane_cookie(struct ferry_sysproxy_server *server,
	const struct wire_cookie *cookie)
{
	struct ferry_process *found = NULL;
	struct list *link;

	list_for_each (link, &server->processes) {
		struct ferry_process *process = container_of(link, struct ferry_process, link);

		if (cookie_is_equal(&process->lane_cookie, cookie) &&
			process->state == PROCESS_RUNNING && process->is_extended)
			found = process;
	}
	return found;
}

struct ferry_process *server_find_fork_cookie(struct ferry_sysproxy_server *server,
	const struct wire_cookie *cookie)
{
	struct ferry_process *found = NULL;
	struct list *link;

	list_for_each (link, &server->processes) {
		struct ferry_process *process = container_of(link, struct ferry_process, link);

		if (cookie_is_equal(&process->fork_cookie, cookie) &&
			process->state == PROCESS_PARKED)
			found = process;
	}
	return found;
}

/* Connections */

static void server_accepted(void *context, int fd, const struct sockaddr_storage *peer)
{
	struct ferry_sysproxy_server *server = context;
	enum wire_error refusal = WIRE_ERROR_NONE;
	unsigned most = SERVER_GREETINGS_MAX;
	const char *why = NULL;
	uid_t user;

	(void)peer;
	if (peer_check(fd, server->users, server->user_count, &user, &why) != 0) {
		refusal = WIRE_ERROR_AUTH;
		log_write(server->log, LOG_LEVEL_WARNING, "user",
			"a connection of user %ld is refused: %s", (long)user, why);
	} else if (!greeting_make_room(server)) {
		refusal = WIRE_ERROR_NO_MEMORY;
		why = "too many connections have not said what they are";
		most = SERVER_GREETINGS_MAX + SERVER_REFUSALS_MAX;
	}
	/* Those that are refused must not keep out others: there is not always room to tell them. */
	if (refusal != WIRE_ERROR_NONE && server->greeting_count >= most)
		(void)close(fd);
	else
		greeting_begin(server, fd, refusal, why);
}

/* Opening */

static int refuse(char *ret_error, int error, const char *subject, const char *problem)
{
	if (ret_error != NULL)
		(void)snprintf(ret_error, FERRY_SYSPROXY_ERROR_MAX, "%s: %s", subject, problem);
	return error;
}

static void server_free(struct ferry_sysproxy_server *server)
{
	if (server == NULL)
		return;
	listener_free(server->listener);
	worker_pool_free(server->steward);
	worker_pool_free(server->workers);
	if (!server->is_loop_borrowed)
		loop_free(server->loop);
	log_free(server->log);
	free(server);
}

static void cleanup_server(struct ferry_sysproxy_server **server)
{
	server_free(*server);
}

static int server_make_pools(struct ferry_sysproxy_server *server)
{
	const struct worker_options calls = {
		.threads_max = server->limits.threads_max,
		.idle_max = WORKERS_IDLE_MAX,
		.stack_bytes = server->limits.stack_bytes,
	};
	const struct worker_options steward = {
		.threads_max = 1,
		.idle_max = 1,
		.stack_bytes = server->limits.stack_bytes,
		.is_queueing = true,
	};
	int error = worker_pool_new(&calls, &server->workers);

	return error != 0 ? error : worker_pool_new(&steward, &server->steward);
}

/* Listen on the first address that can be had. */
static int server_listen(struct ferry_sysproxy_server *server, const struct sysproxy_url *url)
{
	int error = -EADDRNOTAVAIL;

	for (unsigned i = 0; i < url->address_count && error != 0; i++)
		error = listener_open(server->loop,
			(const struct sockaddr *)&url->addresses[i].storage,
			url->addresses[i].bytes, &server->listener);
	if (error != 0)
		return error;
	(void)snprintf(server->url, sizeof(server->url), "%s", url->text);
	if (url->kind == SYSPROXY_URL_TCP) {
		struct sockaddr_storage address;
		char text[ADDRESS_TEXT_MAX];

		listener_address(server->listener, &address);
		address_to_text(&address, text);
		(void)snprintf(server->url, sizeof(server->url), "tcp://%s", text);
	}
	listener_start(server->listener, server_accepted, server);
	return 0;
}

/* Serve the one connection that there is. */
static int server_take_fd(struct ferry_sysproxy_server *server, const struct sysproxy_url *url)
{
	int type = 0;
	socklen_t bytes = sizeof(type);

	if (getsockopt(url->fd, SOL_SOCKET, SO_TYPE, &type, &bytes) != 0)
		return -errno;
	if (type != SOCK_STREAM)
		return -EPROTOTYPE;
	server->limits.lanes_max = 0;
	(void)snprintf(server->url, sizeof(server->url), "%s", url->text);
	greeting_begin(server, url->fd, WIRE_ERROR_NONE, NULL);
	return 0;
}

/* Take the loop, or make one. */
static int server_take_loop(struct ferry_sysproxy_server *server)
{
	if (server->router.route != NULL)
		server->loop = server->router.loop;
	else
		server->loop = server->adopter.loop;
	server->is_loop_borrowed = server->loop != NULL;
	return server->is_loop_borrowed ? 0 : loop_new(NULL, &server->loop);
}

/* Begin to serve at @text. */
static int server_take_url(struct ferry_sysproxy_server *server, const char *text, char *ret_error)
{
	struct sysproxy_url url;
	const char *problem;
	int error = sysproxy_url_parse(text, &url, &problem);

	if (error != 0)
		return refuse(ret_error, error, text, problem);
	error = url.kind == SYSPROXY_URL_FD ? server_take_fd(server, &url)
					    : server_listen(server, &url);
	return error == 0 ? 0 : refuse(ret_error, error, text, strerrordesc_np(-error));
}

int server_make(const struct server_setup *setup, struct ferry_sysproxy_server **ret_server,
	char *ret_error)
{
	CLEANUP(cleanup_server) struct ferry_sysproxy_server *server = calloc(1, sizeof(*server));
	const char *problem;
	int error;

	if (server == NULL)
		return refuse(ret_error, -ENOMEM, "server", "out of memory");
	list_init(&server->processes);
	list_init(&server->greetings);
	atomic_init(&server->process_count, 0);
	if (setup->router != NULL)
		server->router = *setup->router;
	if (setup->adopter != NULL)
		server->adopter = *setup->adopter;
	if (setup->router == NULL && kernel_init(&server->kernel, setup->kernel) != 0)
		return refuse(ret_error, -EINVAL, "kernel",
			"struct_bytes is not set, or call is missing");
	error = server_options_take(server, setup->options, &problem);
	if (error != 0)
		return refuse(ret_error, error, "options", problem);
	error = server_take_loop(server);
	if (error == 0 && setup->router == NULL)
		error = server_make_pools(server);
	if (error != 0)
		return refuse(ret_error, error, "server", strerrordesc_np(-error));
	server->spin_limit_ns = spin_limit_ns(0, cpu_allowed_count());
	if (setup->url != NULL)
		error = server_take_url(server, setup->url, ret_error);
	if (error != 0)
		return error;
	*ret_server = TAKE(server);
	return 0;
}

/* Closing */

static bool is_empty(const struct ferry_sysproxy_server *server)
{
	return list_is_empty(&server->processes) && list_is_empty(&server->greetings);
}

static bool is_done(const struct ferry_sysproxy_server *server)
{
	return server->is_closing && is_empty(server);
}

void server_settle(struct ferry_sysproxy_server *server)
{
	if (!is_empty(server))
		return;
	if (server->is_closing && server->has_thread)
		loop_stop(server->loop);
	if (server->is_closing || !server->has_adopted)
		return;
	server->has_adopted = false;
	if (server->adopter.ended != NULL)
		server->adopter.ended(server->adopter.context);
}

void server_tell_name(struct ferry_sysproxy_server *server, uint64_t process_id,
	const struct wire_cookie *cookie)
{
	if (server->adopter.named != NULL)
		server->adopter.named(server->adopter.context, process_id, cookie);
}

/* On the loop: end everything, which goes on by itself. */
static void server_end(struct ferry_sysproxy_server *server)
{
	struct list *link;

	server->is_closing = true;
	listener_free(server->listener);
	server->listener = NULL;
	greeting_free_all(server);
	list_for_each (link, &server->processes) {
		struct ferry_process *process = container_of(link, struct ferry_process, link);

		if (process->session != NULL)
			session_close(process->session);
		process_die(process, NULL);
	}
	server_settle(server);
}

static void close_delivered(struct loop_message *message)
{
	server_end(container_of(message, struct ferry_sysproxy_server, close));
}

static void *server_run(void *argument)
{
	struct ferry_sysproxy_server *server = argument;

	/* A loop that fails has nothing left to be closed with. */
	if (loop_run(server->loop) != 0)
		abort();
	return NULL;
}

/* Public */

int ferry_sysproxy_server_start(const char *url, const struct ferry_kernel *kernel,
	const struct ferry_sysproxy_server_options *options,
	struct ferry_sysproxy_server **ret_server, char ret_error[FERRY_SYSPROXY_ERROR_MAX])
{
	const struct server_setup setup = {.url = url, .kernel = kernel, .options = options};

	return server_make(&setup, ret_server, ret_error);
}

int ferry_sysproxy_server_open(const char *url, const struct ferry_kernel *kernel,
	const struct ferry_sysproxy_server_options *options,
	struct ferry_sysproxy_server **ret_server, char ret_error[FERRY_SYSPROXY_ERROR_MAX])
{
	struct ferry_sysproxy_server *server;
	int error = ferry_sysproxy_server_start(url, kernel, options, &server, ret_error);

	if (error != 0)
		return error;
	server->has_thread = true;
	error = thread_start(0, server_run, server, &server->thread);
	if (error != 0) {
		server->has_thread = false;
		ferry_sysproxy_server_close(server);
		return refuse(ret_error, error, url, "no thread can be made");
	}
	*ret_server = server;
	return 0;
}

int ferry_sysproxy_server_fd(struct ferry_sysproxy_server *server)
{
	return loop_fd(server->loop);
}

int ferry_sysproxy_server_prepare(struct ferry_sysproxy_server *server)
{
	return loop_prepare_poll(server->loop);
}

int ferry_sysproxy_server_process(struct ferry_sysproxy_server *server, int timeout_ms)
{
	return loop_turn(server->loop, timeout_ms);
}

const char *ferry_sysproxy_server_url(const struct ferry_sysproxy_server *server)
{
	return server->url;
}

unsigned ferry_sysproxy_server_process_count(const struct ferry_sysproxy_server *server)
{
	return atomic_load(&server->process_count);
}

void ferry_sysproxy_server_close(struct ferry_sysproxy_server *server)
{
	int error = 0;

	if (server == NULL)
		return;
	server->close.deliver = close_delivered;
	if (server->is_loop_borrowed)
		server_end(server);
	else
		loop_post(server->loop, &server->close);
	if (server->has_thread)
		(void)pthread_join(server->thread, NULL);
	while (!server->has_thread && error == 0 && !is_done(server))
		error = loop_turn(server->loop, -1);
	server_free(server);
}
