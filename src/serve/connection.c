/*
 * The join is thin: requests pass between the two ends as they are.
 */
#include "serve/connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "loop/address.h"
#include "loop/socket_stream.h"
#include "target/queue.h"
#include "target/target.h"

/* Without keep alive (KATO 0) the network alone tells of a dead host. */
#define DEAD_HOST_TIMEOUT_MS 60000

/* NVMe/TCP 1.0, 3.3.2.1: in-capsule data of this size is legal for admin and fabrics commands. */
#define ADMIN_CAPSULE_BYTES 8192u

struct connection {
	struct list link;
	const struct connection_setting *setting;
	struct stream *stream; /* the transport's */
	struct tcp_controller_queue *transport;
	struct target_queue *queue;
	void *context; /* the owner's */
	bool is_established;
	char peer_name[ADDRESS_TEXT_MAX];
	char local_host[ADDRESS_TEXT_MAX];
};

static uint16_t begin(void *context, struct request *request)
{
	struct connection *connection = context;

	return target_queue_begin(connection->queue, request);
}

static void execute(void *context, struct request *request)
{
	struct connection *connection = context;

	target_queue_execute(connection->queue, request);
}

static void abandon(void *context, struct request *request)
{
	struct connection *connection = context;

	target_queue_abandon(connection->queue, request);
}

static void release(void *context, struct request *request)
{
	struct connection *connection = context;

	target_queue_release(connection->queue, request);
}

static void ended(void *context)
{
	struct connection *connection = context;

	target_queue_end(connection->queue);
}

static void connection_free(struct connection *connection)
{
	target_queue_free(connection->queue);
	tcp_controller_queue_free(connection->transport);
	free(connection);
}

static void closed(void *context, const char *reason)
{
	struct connection *connection = context;
	const struct connection_setting *setting = connection->setting;

	if (reason != NULL)
		log_write(setting->log,
			connection->is_established ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
			"connection closed", "%s: closed: %s", target_queue_name(connection->queue),
			reason);
	setting->ended(setting->context, connection);
	connection_free(connection);
}

static const struct tcp_controller_handler transport_handler = {
	.begin = begin,
	.execute = execute,
	.abandon = abandon,
	.release = release,
	.ended = ended,
	.closed = closed,
};

static int connected(void *context, const struct target_queue_parameters *parameters)
{
	struct connection *connection = context;
	int error = tcp_controller_queue_size(connection->transport, parameters->entries,
		parameters->is_flow_control_off);

	if (error < 0)
		return error;
	connection->is_established = true;
	connection->setting->established(connection->setting->context, connection);
	if (!parameters->is_kept_alive)
		socket_stream_detect_death(connection->stream, DEAD_HOST_TIMEOUT_MS);
	return 0;
}

static void end_asked(void *context, const char *reason)
{
	connection_end(context, reason);
}

static void keep_alive_off(void *context)
{
	struct connection *connection = context;

	socket_stream_detect_death(connection->stream, DEAD_HOST_TIMEOUT_MS);
}

static struct request *find(void *context, uint16_t cid)
{
	struct connection *connection = context;

	return tcp_controller_queue_find(connection->transport, cid);
}

static const struct target_queue_handler target_handler = {
	.connected = connected,
	.end = end_asked,
	.keep_alive_off = keep_alive_off,
	.find = find,
};

/* Names are copied: the stream goes before the connection does. */
static struct target_queue_peer describe_peer(struct connection *connection)
{
	struct sockaddr_storage local;

	(void)snprintf(connection->peer_name, sizeof(connection->peer_name), "%s",
		stream_peer_name(connection->stream));
	if (socket_stream_local_address(connection->stream, &local) < 0)
		local.ss_family = AF_UNSPEC;
	if (local.ss_family == AF_INET || local.ss_family == AF_INET6)
		address_host_to_text(&local, connection->local_host);
	return (struct target_queue_peer){
		.name = connection->peer_name,
		.local_host = connection->local_host,
		.is_local_ipv6 = local.ss_family == AF_INET6,
		.local_port = (uint16_t)address_port(&local),
	};
}

int connection_new(const struct connection_setting *setting, struct stream *stream,
	struct connection **ret_connection)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	uint32_t capsule_bytes = target_limits(setting->target)->capsule_bytes;
	struct tcp_controller_options options = {
		.deadlines = setting->deadlines,
		.data_max = setting->data_max,
		.header_digest = setting->header_digest,
		.data_digest = setting->data_digest,
		.capsule_max =
			capsule_bytes > ADMIN_CAPSULE_BYTES ? capsule_bytes : ADMIN_CAPSULE_BYTES,
		.request_bytes = target_request_bytes,
	};
	struct target_queue_peer peer;
	int error;

	if (connection == NULL) {
		stream_free(stream);
		return -ENOMEM;
	}
	list_init(&connection->link);
	connection->setting = setting;
	connection->stream = stream;
	peer = describe_peer(connection);
	error = target_queue_new(setting->target, stream_loop(stream), &target_handler, connection,
		&peer, &connection->queue);
	if (error < 0) {
		stream_free(stream);
		free(connection);
		return error;
	}
	error = tcp_controller_queue_new(stream, &options, &transport_handler, connection,
		&connection->transport);
	if (error < 0) {
		connection_free(connection);
		return error;
	}
	*ret_connection = connection;
	return 0;
}

void connection_end(struct connection *connection, const char *reason)
{
	tcp_controller_queue_end(connection->transport, reason);
}

void connection_cut(struct connection *connection, const char *reason)
{
	tcp_controller_queue_cut(connection->transport, reason);
}

struct list *connection_link(struct connection *connection)
{
	return &connection->link;
}

struct connection *connection_of_link(struct list *link)
{
	return container_of(link, struct connection, link);
}

void connection_set_context(struct connection *connection, void *context)
{
	connection->context = context;
}

void *connection_context(const struct connection *connection)
{
	return connection->context;
}

bool connection_is_established(const struct connection *connection)
{
	return connection->is_established;
}

bool connection_is_ending(const struct connection *connection)
{
	return tcp_controller_queue_is_ending(connection->transport);
}
