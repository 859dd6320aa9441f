/*
 * The life of the public host, and its place in an embedder's loop.
 */
#include "host/host.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "host/host_private.h"
#include "loop/loop.h"
#include "loop/socket_stream.h"

#define QUEUE_ENTRIES_DEFAULT 128
#define KATO_MS_DEFAULT       5000
#define CONNECT_MS_DEFAULT    10000
#define REQUESTS_DEFAULT      1024
#define CLOSE_MS              5000  /* of which the shutdown has its part */
#define DEAD_PEER_MS          30000 /* without keep alive */

void host_say(void *context, const char *text)
{
	struct ferry_host *host = context;

	(void)snprintf(host->error_text, sizeof(host->error_text), "%s: %s", host->url_text, text);
}

/* Options */

int host_refuse(char *ret_error, int error, const char *subject, const char *problem)
{
	if (ret_error != NULL)
		(void)snprintf(ret_error, FERRY_HOST_ERROR_MAX, "%s: %s", subject, problem);
	return error;
}

static uint32_t chosen(uint32_t value, uint32_t fallback)
{
	return value != 0 ? value : fallback;
}

static int take_identity(struct association_options *to, const struct ferry_host_options *from)
{
	static const uint8_t zero[sizeof(from->host_id)];

	if (from->host_nqn == NULL)
		host_identity_default("", &to->identity);
	else if (host_identity_of_nqn(from->host_nqn, &to->identity) != 0)
		return -EINVAL;
	if (memcmp(from->host_id, zero, sizeof(zero)) != 0)
		memcpy(to->identity.id, from->host_id, sizeof(to->identity.id));
	return 0;
}

static int take_options(struct ferry_host *host, const struct ferry_host_options *given,
	char *ret_error)
{
	struct ferry_host_options options = {.struct_bytes = sizeof(options)};
	struct association_options *to = &host->options;
	uint32_t io_queues, queue_entries;

	if (given != NULL && given->struct_bytes == 0)
		return host_refuse(ret_error, -EINVAL, "options", "struct_bytes is not set");
	if (given != NULL)
		memcpy(&options, given,
			given->struct_bytes < sizeof(options) ? given->struct_bytes
							      : sizeof(options));
	io_queues = chosen(options.io_queues, 1);
	queue_entries = chosen(options.queue_entries, QUEUE_ENTRIES_DEFAULT);
	host->request_count = chosen(options.requests, REQUESTS_DEFAULT);
	if (io_queues > FERRY_HOST_IO_QUEUES_MAX)
		return host_refuse(ret_error, -EINVAL, "options", "more than 64 I/O queues");
	if (queue_entries < 2 || queue_entries > FERRY_HOST_ENTRIES_MAX)
		return host_refuse(ret_error, -EINVAL, "options",
			"a queue has 2 to 1024 entries (queue_entries)");
	if (host->request_count > FERRY_HOST_REQUESTS_MAX)
		return host_refuse(ret_error, -EINVAL, "options", "more than 65536 requests");
	if (take_identity(to, &options) != 0)
		return host_refuse(ret_error, -EINVAL, "options",
			"host_nqn is not an NQN: 1 to 223 bytes of UTF-8");
	to->io_queues = (uint16_t)io_queues;
	to->queue_entries = (uint16_t)queue_entries;
	/* A discovery controller without keep alive is not a persistent one: Base 2.0, 3.1.2.3. */
	to->kato_ms = options.kato_ms == FERRY_HOST_NO_KEEP_ALIVE || to->is_discovery
		? 0
		: chosen(options.kato_ms, KATO_MS_DEFAULT);
	to->has_header_digest = options.header_digest != 0;
	to->has_data_digest = options.data_digest != 0;
	to->connect_timeout_ms = chosen(options.connect_timeout_ms, CONNECT_MS_DEFAULT);
	return 0;
}

/* The association's calls */

static int open_stream(void *context, unsigned attempt, struct stream **ret_stream)
{
	struct ferry_host *host = context;
	const struct address *address;
	int error;

	if (host->seat.open_stream != NULL)
		return host->seat.open_stream(host->seat.context, attempt, ret_stream);
	if (attempt >= host->address_count)
		return -ENOENT;
	host->address_index = attempt;
	address = &host->addresses[attempt];
	error = socket_stream_connect(host->loop, (const struct sockaddr *)&address->storage,
		address->bytes, ret_stream);
	if (error == 0)
		socket_stream_detect_death(*ret_stream,
			chosen(host->options.kato_ms, DEAD_PEER_MS));
	return error;
}

static void end(struct ferry_host *host, int error)
{
	enum host_state state = host->state;

	host->state = HOST_ENDED;
	host->error = error;
	if (host->operations != NULL)
		operations_end_waiting(host->operations, -ENOTCONN);
	if (state == HOST_CONNECTING && host->handler.ready != NULL)
		host->handler.ready(host->handler.context, error);
	else if (state == HOST_READY && host->handler.lost != NULL && error != 0)
		host->handler.lost(host->handler.context, error);
}

static void association_ready(void *context)
{
	struct ferry_host *host = context;
	int error = 0;

	if (!host->options.is_discovery)
		error = operations_new(host->association, host->request_count, host_say, host,
			&host->operations);
	if (error != 0) {
		host_say(host, "out of memory");
		end(host, error);
		return;
	}
	host->state = HOST_READY;
	if (host->handler.ready != NULL)
		host->handler.ready(host->handler.context, 0);
}

static void association_ended(void *context, int error)
{
	struct ferry_host *host = context;

	if (host->state == HOST_ENDED)
		return;
	if (error != 0)
		host_say(host, association_problem(host->association));
	else if (host->state == HOST_CONNECTING)
		error = -ECANCELED;
	end(host, error);
}

static const struct association_handler association_handler = {
	.open_stream = open_stream,
	.ready = association_ready,
	.ended = association_ended,
};

/* Opening and closing */

static void host_free(struct ferry_host *host)
{
	association_free(host->association);
	if (host->operations != NULL)
		operations_end_waiting(host->operations, -ECANCELED);
	operations_free(host->operations);
	if (host->is_loop_own)
		loop_free(host->loop);
	free(host);
}

static void cleanup_host(struct ferry_host **host)
{
	if (*host != NULL)
		host_free(*host);
}

static int resolve(struct ferry_host *host, char *ret_error)
{
	const char *problem;
	int count;

	if (host->seat.open_stream != NULL)
		return 0;
	count = address_resolve(&host->url.address, host->addresses, &problem);
	if (count < 0)
		return host_refuse(ret_error, count, host->url.address.host, problem);
	host->address_count = (unsigned)count;
	return 0;
}

static int take_url(struct ferry_host *host, const struct host_plan *plan, char *ret_error)
{
	char address[URL_ADDRESS_TEXT_MAX];
	const char *problem;
	int error;

	if (plan->is_discovery)
		error = host_url_parse_discovery(plan->url, &host->url, &problem);
	else
		error = host_url_parse(plan->url, &host->url, &problem);
	if (error != 0)
		return host_refuse(ret_error, error, plan->url, problem);
	url_address_to_text(&host->url.address, address);
	(void)snprintf(host->url_text, sizeof(host->url_text), HOST_URL_SCHEME "://%s%s%s", address,
		plan->is_discovery ? "" : "/", plan->is_discovery ? "" : host->url.nqn);
	host->options.is_discovery = plan->is_discovery;
	memcpy(host->options.nqn, host->url.nqn, sizeof(host->options.nqn));
	host->options.nsid = host->url.nsid;
	return 0;
}

int host_start(const struct host_plan *plan, struct ferry_host **ret_host,
	char ret_error[FERRY_HOST_ERROR_MAX])
{
	CLEANUP(cleanup_host) struct ferry_host *host = calloc(1, sizeof(*host));
	int error;

	if (host == NULL)
		return host_refuse(ret_error, -ENOMEM, plan->url, "out of memory");
	host->seat = plan->seat;
	if (plan->handler != NULL)
		host->handler = *plan->handler;
	error = take_url(host, plan, ret_error);
	if (error == 0)
		error = take_options(host, plan->options, ret_error);
	if (error == 0)
		error = resolve(host, ret_error);
	if (error != 0)
		return error;
	host->loop = plan->seat.loop;
	if (host->loop == NULL) {
		error = loop_new(NULL, &host->loop);
		if (error != 0)
			return host_refuse(ret_error, error, plan->url,
				"no event loop can be made");
		host->is_loop_own = true;
	}
	error = association_new(host->loop, &host->options, &association_handler, host,
		&host->association);
	if (error != 0)
		return host_refuse(ret_error, error, plan->url, "out of memory");
	*ret_host = TAKE(host);
	return 0;
}

int ferry_host_start(const char *url, const struct ferry_host_options *options,
	const struct ferry_host_handler *handler, struct ferry_host **ret_host,
	char ret_error[FERRY_HOST_ERROR_MAX])
{
	const struct host_plan plan = {.url = url, .options = options, .handler = handler};

	return host_start(&plan, ret_host, ret_error);
}

int host_open(const struct host_plan *plan, struct ferry_host **ret_host,
	char ret_error[FERRY_HOST_ERROR_MAX])
{
	const struct host_plan quiet = {.url = plan->url,
		.options = plan->options,
		.seat = plan->seat,
		.is_discovery = plan->is_discovery};
	struct ferry_host *host;
	int error = host_start(&quiet, &host, ret_error);

	if (error != 0)
		return error;
	while (error == 0 && host->state == HOST_CONNECTING)
		error = loop_turn(host->loop, -1);
	if (error != 0)
		host_say(host, strerrordesc_np(-error));
	else if (host->state == HOST_ENDED)
		error = host->error;
	if (error == 0) {
		*ret_host = host;
		return 0;
	}
	if (ret_error != NULL)
		memcpy(ret_error, host->error_text, sizeof(host->error_text));
	host_free(host);
	return error;
}

int ferry_host_open(const char *url, const struct ferry_host_options *options,
	struct ferry_host **ret_host, char ret_error[FERRY_HOST_ERROR_MAX])
{
	const struct host_plan plan = {.url = url, .options = options};

	return host_open(&plan, ret_host, ret_error);
}

void host_give_up(struct ferry_host *host, int error)
{
	host_say(host, strerrordesc_np(-error));
	association_free(host->association);
	host->association = NULL;
	end(host, error);
}

static unsigned outstanding(const struct ferry_host *host)
{
	return host->operations != NULL ? operations_outstanding(host->operations) : 0;
}

/* Take a turn of at most what is left until @deadline_ns. @return whether there was time left. */
static bool turn_until(struct ferry_host *host, uint64_t deadline_ns)
{
	uint64_t now_ns = loop_now_ns(host->loop);

	if (now_ns >= deadline_ns)
		return false;
	return loop_turn(host->loop, (int)((deadline_ns - now_ns) / CLOCK_MS_NS) + 1) == 0;
}

void ferry_host_close(struct ferry_host *host)
{
	uint64_t deadline_ns;

	if (host == NULL)
		return;
	deadline_ns = loop_now_ns(host->loop) +
		(uint64_t)(CLOSE_MS - ASSOCIATION_SHUTDOWN_MS) * CLOCK_MS_NS;
	while (host->state == HOST_READY && outstanding(host) > 0 && turn_until(host, deadline_ns))
		;
	if (host->operations != NULL)
		operations_expect_end(host->operations, -ECANCELED);
	if (host->state != HOST_ENDED)
		association_shutdown(host->association);
	/* It bounds itself; a loop that fails would not. */
	deadline_ns = loop_now_ns(host->loop) + (uint64_t)CLOSE_MS * CLOCK_MS_NS;
	while (host->state != HOST_ENDED && turn_until(host, deadline_ns))
		;
	host_free(host);
}

/* The embedder's loop */

int ferry_host_fd(struct ferry_host *host)
{
	return loop_fd(host->loop);
}

int ferry_host_prepare(struct ferry_host *host)
{
	return loop_prepare_poll(host->loop);
}

int ferry_host_process(struct ferry_host *host, int timeout_ms)
{
	return loop_turn(host->loop, timeout_ms);
}
