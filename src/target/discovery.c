/*
 * Records are made one at a time, and only those that show in the window: a page may be as
 * long as subsystems times addresses, of which a host reads a piece.
 */
#include "target/discovery.h"

#include <stdio.h>

#include "base/text.h"
#include "nvme/discovery.h"
#include "target/controller.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target_private.h"
#include "target/window.h"

/* @return where the host that asks over @queue reaches @address, NULL if it does not: a wildcard
 * is wherever its own connection arrived, of the same family only. */
static const char *reachable_host(const struct target_queue *queue,
	const struct target_address *address)
{
	if (address->host[0] != '\0')
		return address->host;
	if (queue->local_host[0] == '\0' || queue->is_local_ipv6 != address->is_ipv6)
		return NULL;
	return queue->local_host;
}

static bool is_listed(const struct subsystem *subsystem, const struct controller *controller)
{
	return host_list_allows(&subsystem->hosts, controller->host.nqn);
}

static unsigned count_addresses(const struct target_queue *queue)
{
	const struct target *target = queue->target;
	unsigned count = 0;

	for (size_t i = 0; i < target->address_count; i++)
		count += reachable_host(queue, &target->addresses[i]) != NULL;
	return count;
}

static uint64_t count_records(const struct target_request *request)
{
	const struct target_queue *queue = request->queue;
	const struct target *target = queue->target;
	uint64_t subsystem_count = 1; /* the discovery subsystem */

	for (size_t i = 0; i < target->subsystem_count; i++)
		subsystem_count += is_listed(target->subsystems[i], queue->controller);
	return subsystem_count * count_addresses(queue);
}

uint64_t discovery_log_bytes(const struct target_request *request)
{
	return sizeof(struct nvme_discovery_log) +
		count_records(request) * sizeof(struct nvme_discovery_record);
}

static void write_record(const struct target_queue *queue, const struct subsystem *subsystem,
	size_t address_index, struct window *window)
{
	const struct target_address *address = &queue->target->addresses[address_index];
	bool is_self = subsystem->is_discovery;
	struct nvme_discovery_record record = {
		.trtype = NVME_TRTYPE_TCP,
		.adrfam = address->is_ipv6 ? NVME_ADRFAM_IPV6 : NVME_ADRFAM_IPV4,
		.subtype = is_self ? NVME_SUBTYPE_CURRENT : NVME_SUBTYPE_NVM,
		.treq = (uint8_t)(NVME_TREQ_NOT_REQUIRED |
			(queue->target->limits.is_flow_control_kept ? 0 : NVME_TREQ_SQFC)),
		.portid = le16_of((uint16_t)(address_index + 1)),
		.cntlid = le16_of(NVME_CNTLID_DYNAMIC),
		.asqsz = le16_of(queue->target->limits.admin_entries_max),
		.eflags = le16_of(is_self ? NVME_EFLAGS_DUPLICATE : 0),
	};
	char port[8];

	(void)snprintf(port, sizeof(port), "%u", address->port);
	text_to_field(record.trsvcid, sizeof(record.trsvcid), port, '\0');
	text_to_field(record.traddr, sizeof(record.traddr), reachable_host(queue, address), '\0');
	nvme_nqn_to_field(record.subnqn, subsystem->nqn);
	window_put(window, &record, sizeof(record));
}

/* The records of one subsystem. */
static void write_subsystem(const struct target_queue *queue, const struct subsystem *subsystem,
	struct window *window)
{
	const struct target *target = queue->target;

	for (size_t i = 0; i < target->address_count; i++) {
		if (reachable_host(queue, &target->addresses[i]) == NULL)
			continue;
		if (window_shows(window, sizeof(struct nvme_discovery_record)))
			write_record(queue, subsystem, i, window);
		else
			window_put(window, NULL, sizeof(struct nvme_discovery_record));
	}
}

void discovery_log_write(const struct target_request *request, struct window *window)
{
	const struct target_queue *queue = request->queue;
	const struct target *target = queue->target;
	struct nvme_discovery_log header = {
		.genctr = le64_of(atomic_load(&target->generation)),
		.numrec = le64_of(count_records(request)),
	};

	window_put(window, &header, sizeof(header));
	write_subsystem(queue, target->discovery, window);
	for (size_t i = 0; i < target->subsystem_count; i++) {
		if (is_listed(target->subsystems[i], queue->controller))
			write_subsystem(queue, target->subsystems[i], window);
	}
}
