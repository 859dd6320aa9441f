/*
 * The public calls of a client, and what happens when its server is lost.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "loop/cpu.h"
#include "sysproxy/client_private.h"

#define CONNECT_TIMEOUT_DEFAULT_MS 10000u
#define RETRY_STEP_MS              100u  /* each attempt to reconnect waits this much longer... */
#define RETRY_STEP_MAX_MS          1000u /* ...up to this */

void client_raise(const struct ferry_sysproxy *client, int signal)
{
	if (client->signal != NULL)
		client->signal(client->signal_context, signal);
	else
		(void)raise(signal);
}

/* The thread has ended: its lane is of no more use. */
static void thread_ended(void *value)
{
	struct client_lane *lane = value;
	struct ferry_sysproxy *client = lane->client;

	(void)pthread_mutex_lock(&client->mutex);
	client_lane_free(lane);
	(void)pthread_mutex_unlock(&client->mutex);
}

static void set_options(struct ferry_sysproxy *client, const struct ferry_sysproxy_options *given)
{
	struct ferry_sysproxy_options options = {0};

	/* A program may have been built with fewer fields than we know, or more. */
	if (given != NULL)
		memcpy(&options, given,
			given->struct_bytes < sizeof(options) ? given->struct_bytes
							      : sizeof(options));
	(void)snprintf(client->name, sizeof(client->name), "%s",
		options.name != NULL ? options.name : program_invocation_short_name);
	client->connect_timeout_ms = options.connect_timeout_ms != 0 ? options.connect_timeout_ms
								     : CONNECT_TIMEOUT_DEFAULT_MS;
	client->reconnect_ms = options.reconnect_ms;
	client->signal = options.signal;
	client->signal_context = options.signal_context;
	client->is_plain = options.is_plain != 0;
}

static void client_free(struct ferry_sysproxy *client)
{
	if (client == NULL)
		return;
	if (client->is_own != NULL)
		(void)munmap(client->is_own, sizeof(*client->is_own));
	free(client);
}

static int client_new(const struct ferry_sysproxy_options *options,
	struct ferry_sysproxy **ret_client)
{
	struct ferry_sysproxy *client = calloc(1, sizeof(*client));
	void *page;

	if (client == NULL)
		return -ENOMEM;
	set_options(client, options);
	list_init(&client->lanes);
	page = mmap(NULL, sizeof(*client->is_own), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || pthread_key_create(&client->lane_key, thread_ended) != 0) {
		client->is_own = page != MAP_FAILED ? page : NULL;
		client_free(client);
		return -ENOMEM;
	}
	client->is_own = page;
	*client->is_own = 1;
	(void)madvise(page, sizeof(*client->is_own), MADV_WIPEONFORK);
	(void)pthread_mutex_init(&client->mutex, NULL);
	client->spin_limit_ns = spin_limit_ns(cpu_wake_latency_ns(), cpu_allowed_count());
	*ret_client = client;
	return 0;
}

int client_adopt(struct ferry_sysproxy *client, struct link *link, const struct client_grant *grant)
{
	struct client_session *session = client_session_new(client, link, grant);

	if (session == NULL) {
		link_deinit(link);
		return -ENOMEM;
	}
	client->session = session;
	client->grant = *grant;
	client->lane_count = 0;
	atomic_fetch_add(&client->generation, 1);
	return 0;
}

int client_begin(struct ferry_sysproxy *client, const struct client_greeting *greeting_of,
	char ret_error[CLIENT_ERROR_MAX])
{
	struct client_greeting greeting = *greeting_of;
	struct client_grant grant;
	struct link link;
	int error;

	greeting.name = client->name;
	greeting.is_plain = client->is_plain;
	greeting.timeout_ms = client->connect_timeout_ms;
	error = client_connect(&client->url, &greeting, &link, &grant, ret_error);
	return error != 0 ? error : client_adopt(client, &link, &grant);
}

int ferry_sysproxy_open(const char *url, const struct ferry_sysproxy_options *options,
	struct ferry_sysproxy **ret_client, char ret_error[FERRY_SYSPROXY_ERROR_MAX])
{
	struct ferry_sysproxy *client;
	const char *problem = "";
	int error = client_new(options, &client);

	if (error != 0) {
		(void)snprintf(ret_error, CLIENT_ERROR_MAX, "no memory");
		return error;
	}
	if (url == NULL && client_inherit(client, &error, ret_error)) {
		/* The connection of the program that has become this one. */
	} else {
		if (url == NULL)
			url = getenv(CLIENT_URL_VARIABLE);
		error = sysproxy_url_parse(url != NULL ? url : "", &client->url, &problem);
		if (error != 0)
			(void)snprintf(ret_error, CLIENT_ERROR_MAX, "%s: %s",
				url != NULL ? url : CLIENT_URL_VARIABLE " is not set", problem);
		else
			error = client_begin(client,
				&(struct client_greeting){.handshake = WIRE_GUEST}, ret_error);
	}
	if (error != 0) {
		(void)pthread_key_delete(client->lane_key);
		client_free(client);
		return error;
	}
	*ret_client = client;
	return 0;
}

void ferry_sysproxy_close(struct ferry_sysproxy *client)
{
	if (client == NULL)
		return;
	(void)pthread_key_delete(client->lane_key);
	while (!list_is_empty(&client->lanes))
		client_lane_free(container_of(client->lanes.next, struct client_lane, entry));
	client_session_unref(client->session);
	(void)pthread_mutex_destroy(&client->mutex);
	client_free(client);
}

/* Wait in blocking style, but for what a signal may do. */
static void pause_ms(uint64_t ms)
{
	(void)poll(NULL, 0, (int)ms);
}

/* Reach the server again, for as long as the options say; the client's mutex is held: whoever else
 * has lost it waits for the outcome. */
static int reconnect(struct ferry_sysproxy *client)
{
	struct clock *clock = clock_monotonic();
	uint64_t start_ns = clock->now_ns(clock), wait_ms = 0;
	char problem[CLIENT_ERROR_MAX];

	client_session_unref(client->session);
	client->session = NULL;
	if (client->reconnect_ms == FERRY_SYSPROXY_NEVER || client->url.kind == SYSPROXY_URL_FD)
		return -ENOTCONN;
	while (client->reconnect_ms == FERRY_SYSPROXY_ALWAYS ||
		clock->now_ns(clock) - start_ns <= (uint64_t)client->reconnect_ms * CLOCK_MS_NS) {
		pause_ms(wait_ms);
		if (client_begin(client, &(struct client_greeting){.handshake = WIRE_GUEST},
			    problem) == 0)
			return 0;
		if (wait_ms < RETRY_STEP_MAX_MS)
			wait_ms += RETRY_STEP_MS;
	}
	return -ENOTCONN;
}

/* The server was lost in @generation. @return 0 when there is a newer one, or -ENOTCONN. */
static int recover(struct ferry_sysproxy *client, unsigned generation)
{
	int error = 0;

	(void)pthread_mutex_lock(&client->mutex);
	if (generation == atomic_load(&client->generation))
		error = reconnect(client);
	(void)pthread_mutex_unlock(&client->mutex);
	return error;
}

/* By the session, when there is no lane. */
static int call_by_session(struct ferry_sysproxy *client, struct ferry_sysproxy_call *call)
{
	struct client_session *session;
	int error;

	(void)pthread_mutex_lock(&client->mutex);
	session = client->session;
	if (session != NULL)
		client_session_ref(session);
	(void)pthread_mutex_unlock(&client->mutex);
	if (session == NULL)
		return -ENOTCONN;
	error = client_session_is_lost(session) ? -ENOTCONN : client_session_call(session, call);
	client_session_unref(session);
	return error;
}

static int call_once(struct ferry_sysproxy *client, struct ferry_sysproxy_call *call)
{
	struct client_lane *lane;
	int error;

	lane = client_lane_get(client, &error);
	if (lane != NULL)
		return client_lane_call(lane, call);
	return error != 0 ? error : call_by_session(client, call);
}

/* What this thread is in a call of, innermost first: more than one only while a signal handler runs,
 * which must not use what the call that it interrupts has locked or half sent. */
struct nesting {
	const struct ferry_sysproxy *client;
	const struct nesting *outer;
};

static _Thread_local const struct nesting *innermost;

static bool is_in_call(const struct ferry_sysproxy *client)
{
	const struct nesting *nesting = innermost;

	while (nesting != NULL && nesting->client != client)
		nesting = nesting->outer;
	return nesting != NULL;
}

static int call_until_made(struct ferry_sysproxy *client, struct ferry_sysproxy_call *call)
{
	int error;

	for (;;) {
		unsigned generation = atomic_load(&client->generation);

		error = call_once(client, call);
		if (error != -ENOTCONN && error != -ECONNABORTED)
			return error;
		if (error == -ECONNABORTED && (call->flags & FERRY_SYSPROXY_REPEATABLE) == 0)
			return error;
		error = recover(client, generation);
		if (error != 0)
			return error;
	}
}

int ferry_sysproxy_call(struct ferry_sysproxy *client, struct ferry_sysproxy_call *call)
{
	const struct nesting nesting = {client, innermost};
	int error;

	if (!client_is_own(client))
		return -ENOTCONN;
	if (is_in_call(client))
		return -EDEADLK;
	innermost = &nesting;
	atomic_signal_fence(memory_order_seq_cst);
	error = call_until_made(client, call);
	atomic_signal_fence(memory_order_seq_cst);
	innermost = nesting.outer;
	return error;
}

void ferry_sysproxy_cancel(struct ferry_sysproxy *client, const struct ferry_sysproxy_call *call)
{
	if (!client_is_own(client))
		return;
	(void)pthread_mutex_lock(&client->mutex);
	if (client->session != NULL && client->grant.is_extended) {
		for (struct list *link = client->lanes.next; link != &client->lanes;
			link = link->next) {
			struct client_lane *lane = container_of(link, struct client_lane, entry);

			if (atomic_load_explicit(&lane->call, memory_order_acquire) == call)
				client_session_cancel(client->session, lane->id, lane->number);
		}
		client_session_cancel_call(client->session, call);
	}
	(void)pthread_mutex_unlock(&client->mutex);
}

static struct client_grant get_grant(const struct ferry_sysproxy *client)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&client->mutex;
	struct client_grant grant;

	(void)pthread_mutex_lock(mutex);
	grant = client->grant;
	(void)pthread_mutex_unlock(mutex);
	return grant;
}

uint64_t ferry_sysproxy_process_id(const struct ferry_sysproxy *client)
{
	return get_grant(client).process_id;
}

int ferry_sysproxy_is_extended(const struct ferry_sysproxy *client)
{
	return get_grant(client).is_extended;
}
