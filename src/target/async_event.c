/*
 * Holding and letting go; nothing is told yet.
 */
#include "target/async_event.h"

#include "target/target_request.h"

void async_events_init(struct async_events *events)
{
	list_init(&events->held);
	events->held_count = 0;
}

nvme_status async_events_hold(struct async_events *events, struct target_request *request)
{
	if (events->held_count == ASYNC_EVENT_REQUESTS_MAX)
		return NVME_STATUS_AER_LIMIT_EXCEEDED;
	list_append(&events->held, &request->held);
	events->held_count++;
	return TARGET_LATER;
}

void async_events_abort(struct async_events *events, nvme_status status)
{
	struct list *link;

	while ((link = list_take_first(&events->held)) != NULL) {
		events->held_count--;
		target_request_finish(container_of(link, struct target_request, held), status);
	}
}
