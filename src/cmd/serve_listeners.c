/*
 * Listeners are opened in the order of the command line; the ports of discovery after them, so that one
 * that the user has listed is not taken.
 */
#include "cmd/serve_listeners.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/message.h"
#include "serve/server.h"
#include "target/target.h"

#define VERB "serve"

static bool is_wildcard(const struct sockaddr_storage *address)
{
	char host[ADDRESS_TEXT_MAX];

	address_host_to_text(address, host);
	return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* Tell discovery of a listener: as the user said, or where the asking host has reached us. */
static int advertise(struct serve_listeners *listeners, const struct sockaddr_storage *address,
	bool is_for_discovery)
{
	struct target_address advertised = {
		.is_ipv6 = address->ss_family == AF_INET6,
		.port = (uint16_t)address_port(address),
		.is_for_discovery = is_for_discovery,
	};
	const struct url_address *given = &listeners->options->discovery_address;
	char host[ADDRESS_TEXT_MAX];

	if (listeners->options->has_discovery_address) {
		(void)snprintf(advertised.host, sizeof(advertised.host), "%s", given->host);
		advertised.is_ipv6 = strchr(given->host, ':') != NULL;
		if (given->has_port)
			advertised.port = given->port;
	} else if (!is_wildcard(address)) {
		address_host_to_text(address, host);
		(void)snprintf(advertised.host, sizeof(advertised.host), "%s", host);
	}
	return target_add_address(listeners->target, &advertised);
}

static void complain_of_address(const struct address *address, int error)
{
	char text[ADDRESS_TEXT_MAX];

	address_to_text(&address->storage, text);
	if (error == -EADDRINUSE)
		complain(VERB,
			"%s: in use by another program; choose a port with --listen "
			"ADDR:PORT, or port 0 for a free one",
			text);
	else if (error == -EACCES)
		complain(VERB, "%s: not permitted; ports below 1024 are for root", text);
	else
		complain(VERB, "%s: cannot listen: %s", text, strerror(-error));
}

static int listen_everywhere(struct serve_listeners *listeners)
{
	for (unsigned i = 0; i < listeners->options->listener_count; i++) {
		const struct address *wanted = &listeners->options->listeners[i];
		int error = server_listen(listeners->server, wanted, &listeners->addresses[i]);

		if (error == 0)
			error = advertise(listeners, &listeners->addresses[i], false);
		if (error == 0) {
			listeners->address_count++;
			continue;
		}
		complain_of_address(wanted, error);
		return error;
	}
	return 0;
}

static bool is_listened(const struct serve_listeners *listeners, const struct address *address)
{
	char wanted[ADDRESS_TEXT_MAX], text[ADDRESS_TEXT_MAX];

	address_to_text(&address->storage, wanted);
	for (unsigned i = 0; i < listeners->address_count + listeners->discovery_count; i++) {
		address_to_text(i < listeners->address_count
				? &listeners->addresses[i]
				: &listeners->discovery[i - listeners->address_count],
			text);
		if (strcmp(text, wanted) == 0)
			return true;
	}
	return false;
}

/* Open discovery's own port. Where --discovery-address names a port, hosts are told of that alone. */
static int open_discovery(struct serve_listeners *listeners, const struct address *address)
{
	struct sockaddr_storage *bound = &listeners->discovery[listeners->discovery_count];
	int error = server_listen(listeners->server, address, bound);

	if (error < 0)
		return error;
	listeners->discovery_count++;
	if (listeners->options->has_discovery_address &&
		listeners->options->discovery_address.has_port)
		return 0;
	return advertise(listeners, bound, true);
}

/* Discovery is answered on every port; this is the one that hosts try first. */
static int listen_for_discovery(struct serve_listeners *listeners)
{
	const struct serve_options *options = listeners->options;
	char text[ADDRESS_TEXT_MAX];

	for (unsigned i = 0; options->discovery_port != 0 && i < options->listener_count; i++) {
		struct address address = options->listeners[i];
		int error;

		if (!options->has_discovery_port &&
			address_port(&listeners->addresses[i]) != SERVE_PORT_DEFAULT)
			continue;
		address_set_port(&address.storage, options->discovery_port);
		if (is_listened(listeners, &address))
			continue;
		error = open_discovery(listeners, &address);
		if (error < 0 && options->has_discovery_port) {
			complain_of_address(&address, error);
			return error;
		}
		if (error < 0) {
			address_to_text(&address.storage, text);
			log_write(listeners->log, LOG_LEVEL_INFO, NULL,
				"%s: cannot listen: %s; hosts discover at port %u instead", text,
				strerror(-error), SERVE_PORT_DEFAULT);
		}
	}
	return 0;
}

int serve_listeners_open(struct serve_listeners *listeners, const struct serve_options *options,
	struct server *server, struct target *target, struct log *log)
{
	int error;

	*listeners = (struct serve_listeners){
		.options = options,
		.server = server,
		.target = target,
		.log = log,
	};
	error = listen_everywhere(listeners);
	return error < 0 ? error : listen_for_discovery(listeners);
}
