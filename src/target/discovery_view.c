/*
 * A host is told where it can go from where it is: a wildcard is the address at which it has arrived.
 */
#include "target/discovery_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "target/controller.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target_private.h"

/* fe80::/10: of use only to a host on the same link. */
static bool is_link_local(const char *host)
{
	return strncasecmp(host, "fe", 2) == 0 && host[2] != '\0' &&
		strchr("89abAB", host[2]) != NULL && host[3] != '\0' && host[4] == ':';
}

/* @return where the host that asks over @queue reaches @address, NULL if it does not. */
static const char *reachable_host(const struct target_queue *queue,
	const struct target_address *address)
{
	if (address->host[0] == '\0') {
		if (queue->local_host[0] == '\0' || queue->is_local_ipv6 != address->is_ipv6)
			return NULL;
		return queue->local_host;
	}
	if (is_link_local(address->host) && !is_link_local(queue->local_host))
		return NULL;
	return address->host;
}

static bool is_same_host(const struct target_address *left, const struct target_address *right)
{
	return left->is_ipv6 == right->is_ipv6 && strcmp(left->host, right->host) == 0;
}

static bool is_same_address(const struct target_address *left, const struct target_address *right)
{
	return is_same_host(left, right) && left->port == right->port &&
		left->is_for_discovery == right->is_for_discovery;
}

static void add_port(struct discovery_view *view, const struct target_queue *queue, size_t index)
{
	const struct target_address *address = &queue->target->addresses[index];
	const char *host = reachable_host(queue, address);
	struct discovery_port *port = &view->ports[view->port_count];

	if (host == NULL)
		return;
	port->id = (uint16_t)(index + 1);
	port->address = *address;
	/* A zone is this machine's own name of a link: RFC 4007, 11.2. */
	(void)snprintf(port->address.host, sizeof(port->address.host), "%.*s",
		(int)strcspn(host, "%"), host);
	for (size_t i = 0; i < view->port_count; i++) {
		if (is_same_address(&view->ports[i].address, &port->address))
			return;
	}
	view->port_count++;
}

/* How well @port does as the way to discovery. */
static unsigned self_rank(const struct target_queue *queue, const struct discovery_port *port)
{
	if (port->address.is_for_discovery)
		return 2;
	return port->address.port == queue->local_port ? 1 : 0;
}

/* Of the ports at one host address one is told as the way to discovery: the one that is for this, else
 * the one by which the host has come, else the first. */
static void choose_self(struct discovery_view *view, const struct target_queue *queue)
{
	for (size_t i = 0; i < view->port_count; i++) {
		struct discovery_port *port = &view->ports[i];
		unsigned rank = self_rank(queue, port);

		port->is_self = true;
		for (size_t j = 0; j < view->port_count; j++) {
			unsigned other = self_rank(queue, &view->ports[j]);

			if (is_same_host(&view->ports[j].address, &port->address) &&
				(other > rank || (other == rank && j < i)))
				port->is_self = false;
		}
	}
}

/* What the target tells of its addresses. */
static void take_ports(struct discovery_view *view, const struct target_queue *queue)
{
	struct target *target = queue->target;
	bool depends_on_way = false;
	size_t self_count = 0;

	(void)pthread_mutex_lock(&target->mutex);
	view->generation = target->generation;
	for (size_t i = 0; i < target->address_count; i++) {
		const char *host = target->addresses[i].host;

		add_port(view, queue, i);
		depends_on_way = depends_on_way || host[0] == '\0' || is_link_local(host);
	}
	(void)pthread_mutex_unlock(&target->mutex);
	choose_self(view, queue);
	for (size_t i = 0; i < view->port_count; i++)
		self_count += view->ports[i].is_self;
	view->is_same_by_all_ways = self_count <= 1 || !depends_on_way;
}

static void take_subsystems(struct discovery_view *view, const struct target_queue *queue)
{
	const struct target *target = queue->target;

	for (size_t i = 0; i < target->subsystem_count; i++) {
		if (host_list_allows(&target->subsystems[i]->hosts, queue->controller->host.nqn))
			view->listed[i / 64] |= UINT64_C(1) << i % 64;
	}
}

static size_t view_bytes(size_t port_count)
{
	return sizeof(struct discovery_view) + port_count * sizeof(struct discovery_port);
}

struct discovery_view *discovery_view_new(const struct target_queue *queue)
{
	struct discovery_view *view = calloc(1, view_bytes(TARGET_ADDRESSES_MAX));
	struct discovery_view *smaller;

	if (view == NULL)
		return NULL;
	take_ports(view, queue);
	take_subsystems(view, queue);
	smaller = realloc(view, view_bytes(view->port_count));
	return smaller != NULL ? smaller : view;
}

bool discovery_view_is_same(const struct discovery_view *left, const struct discovery_view *right)
{
	if (left->port_count != right->port_count ||
		left->is_same_by_all_ways != right->is_same_by_all_ways ||
		memcmp(left->listed, right->listed, sizeof(left->listed)) != 0)
		return false;
	for (size_t i = 0; i < left->port_count; i++) {
		const struct discovery_port *one = &left->ports[i], *other = &right->ports[i];

		if (one->id != other->id || one->is_self != other->is_self ||
			!is_same_address(&one->address, &other->address))
			return false;
	}
	return true;
}
