/*
 * Records are made one at a time, and only those that show in the window: a page may be as
 * long as subsystems times addresses, of which a host reads a piece.
 */
#include "target/discovery.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "nvme/discovery.h"
#include "target/controller.h"
#include "target/discovery_view.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target_private.h"
#include "target/window.h"

static const struct discovery_view *view_of(const struct target_request *request)
{
	return request->queue->controller->view;
}

nvme_status discovery_log_open(const struct target_request *request, uint64_t offset)
{
	struct controller *controller = request->queue->controller;
	struct discovery_view *view;

	if (offset != 0 && controller->view != NULL)
		return NVME_STATUS_SUCCESS;
	view = discovery_view_new(request->queue);
	if (view == NULL)
		return NVME_STATUS_INTERNAL_ERROR;
	/* What has changed for others alone is no change. */
	if (controller->view != NULL && discovery_view_is_same(controller->view, view))
		view->generation = controller->view->generation;
	free(controller->view);
	controller->view = view;
	return NVME_STATUS_SUCCESS;
}

bool discovery_log_has_changed(const struct controller *controller)
{
	CLEANUP(cleanup_free) struct discovery_view *view = NULL;

	if (controller->view == NULL || controller->queues[0] == NULL)
		return true;
	view = discovery_view_new(controller->queues[0]);
	/* Without memory: one event too many harms nobody. */
	return view == NULL || !discovery_view_is_same(controller->view, view);
}

static uint64_t count_records(const struct target_request *request)
{
	const struct discovery_view *view = view_of(request);
	uint64_t self_count = 0, address_count = 0, subsystem_count = 0;

	for (size_t i = 0; i < view->port_count; i++) {
		self_count += view->ports[i].is_self;
		address_count += !view->ports[i].address.is_for_discovery;
	}
	for (size_t i = 0; i < request->queue->target->subsystem_count; i++)
		subsystem_count += discovery_view_lists(view, i);
	return self_count + address_count * subsystem_count;
}

uint64_t discovery_log_bytes(const struct target_request *request)
{
	return sizeof(struct nvme_discovery_log) +
		count_records(request) * sizeof(struct nvme_discovery_record);
}

static uint16_t eflags_of(const struct discovery_view *view)
{
	return NVME_EFLAGS_PERSISTENT | (view->is_same_by_all_ways ? NVME_EFLAGS_DUPLICATE : 0);
}

static void write_record(const struct discovery_view *view, const struct subsystem *subsystem,
	const struct discovery_port *port, struct window *window)
{
	const struct target_limits *limits = &subsystem->target->limits;
	struct nvme_discovery_record record = {
		.trtype = NVME_TRTYPE_TCP,
		.adrfam = port->address.is_ipv6 ? NVME_ADRFAM_IPV6 : NVME_ADRFAM_IPV4,
		.subtype = subsystem->is_discovery ? NVME_SUBTYPE_CURRENT : NVME_SUBTYPE_NVM,
		.treq = (uint8_t)(NVME_TREQ_NOT_REQUIRED |
			(limits->is_flow_control_kept ? 0 : NVME_TREQ_SQFC)),
		.portid = le16_of(port->id),
		.cntlid = le16_of(NVME_CNTLID_DYNAMIC),
		.asqsz = le16_of(limits->admin_entries_max),
		.eflags = le16_of(subsystem->is_discovery ? eflags_of(view) : 0),
	};
	char text[8];

	if (!window_shows(window, sizeof(record))) {
		window_put(window, NULL, sizeof(record));
		return;
	}
	(void)snprintf(text, sizeof(text), "%u", port->address.port);
	text_to_field(record.trsvcid, sizeof(record.trsvcid), text, '\0');
	text_to_field(record.traddr, sizeof(record.traddr), port->address.host, '\0');
	nvme_nqn_to_field(record.subnqn, subsystem->nqn);
	window_put(window, &record, sizeof(record));
}

/* The records of one subsystem. */
static void write_subsystem(const struct target_request *request, const struct subsystem *subsystem,
	struct window *window)
{
	const struct discovery_view *view = view_of(request);

	for (size_t i = 0; i < view->port_count; i++) {
		const struct discovery_port *port = &view->ports[i];

		if (subsystem->is_discovery ? port->is_self : !port->address.is_for_discovery)
			write_record(view, subsystem, port, window);
	}
}

void discovery_log_write(const struct target_request *request, struct window *window)
{
	const struct target *target = request->queue->target;
	const struct discovery_view *view = view_of(request);
	struct nvme_discovery_log header = {
		.genctr = le64_of(view->generation),
		.numrec = le64_of(count_records(request)),
	};

	window_put(window, &header, sizeof(header));
	write_subsystem(request, target->discovery, window);
	for (size_t i = 0; i < target->subsystem_count; i++) {
		if (discovery_view_lists(view, i))
			write_subsystem(request, target->subsystems[i], window);
	}
}
