/*
 * Types are few, so that they are all looked at whenever something may be told.
 */
#include "target/async_event.h"

#include <string.h>

#include "target/target_request.h"

void async_events_init(struct async_events *events)
{
	memset(events, 0, sizeof(*events));
	list_init(&events->held);
}

/* With its completion the transport may end the queue, and with it all that is held. */
static void tell(struct async_events *events)
{
	for (size_t i = 0; i < NVME_EVENT_TYPES; i++) {
		struct async_event *event = &events->types[i];
		struct target_request *request;

		if (!event->is_pending || event->is_told || list_is_empty(&events->held))
			continue;
		request = container_of(list_take_first(&events->held), struct target_request, held);
		events->held_count--;
		event->is_pending = false;
		event->is_told = true;
		event->told_page = nvme_event_lid_of(event->pending);
		request->base.result = event->pending;
		target_request_finish(request, NVME_STATUS_SUCCESS);
	}
}

nvme_status async_events_hold(struct async_events *events, struct target_request *request)
{
	if (events->held_count == ASYNC_EVENT_REQUESTS_MAX)
		return NVME_STATUS_AER_LIMIT_EXCEEDED;
	list_append(&events->held, &request->held);
	events->held_count++;
	tell(events);
	return TARGET_LATER;
}

void async_events_raise(struct async_events *events, uint32_t dw0)
{
	struct async_event *event = &events->types[nvme_event_type_of(dw0)];

	event->is_pending = true;
	event->pending = dw0;
	tell(events);
}

void async_events_read(struct async_events *events, uint8_t lid)
{
	for (size_t i = 0; i < NVME_EVENT_TYPES; i++) {
		struct async_event *event = &events->types[i];

		if (event->is_told && event->told_page == lid)
			event->is_told = false;
		if (event->is_pending && nvme_event_lid_of(event->pending) == lid)
			event->is_pending = false;
	}
	tell(events);
}

static void finish_held(struct async_events *events, struct list *link, nvme_status status)
{
	list_remove(link);
	events->held_count--;
	target_request_finish(container_of(link, struct target_request, held), status);
}

bool async_events_abort_one(struct async_events *events, uint16_t cid, nvme_status status)
{
	struct list *link;

	list_for_each (link, &events->held) {
		const struct target_request *request =
			container_of(link, struct target_request, held);

		if (le16_get(request->base.command.cid) == cid) {
			finish_held(events, link, status);
			return true;
		}
	}
	return false;
}

void async_events_abort(struct async_events *events, nvme_status status)
{
	memset(events->types, 0, sizeof(events->types));
	while (!list_is_empty(&events->held))
		finish_held(events, events->held.next, status);
}
