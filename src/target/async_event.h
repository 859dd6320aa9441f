/*
 * Asynchronous events of one controller (Base 2.0, 5.2), and the requests of the host that carry
 * them: held until there is something to tell, or the controller is reset or ends.
 *
 * An event of a type that was told is not told again until the host has read the page it points at;
 * what happens meanwhile is one event more, told then unless that reading has shown it already.
 */
#ifndef FERRY_TARGET_ASYNC_EVENT_H
#define FERRY_TARGET_ASYNC_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "nvme/log_page.h"
#include "nvme/status.h"

struct target_request;

#define ASYNC_EVENT_REQUESTS_MAX 4 /* AERL + 1 */

/* What there is of one type. */
struct async_event {
	bool is_pending;   /* to be told */
	bool is_told;      /* and not yet read: tell no more */
	uint32_t pending;  /* dword 0 */
	uint8_t told_page; /* LID */
};

struct async_events {
	struct list held; /* requests, oldest first */
	unsigned held_count;
	struct async_event types[NVME_EVENT_TYPES];
};

void async_events_init(struct async_events *events);

/** Hold @request, or let it tell what is pending. @return TARGET_LATER, or Limit Exceeded. */
nvme_status async_events_hold(struct async_events *events, struct target_request *request)
	__attribute__((warn_unused_result));

/** Something has happened. @param dw0 what to tell, as nvme_event_of() makes it */
void async_events_raise(struct async_events *events, uint32_t dw0);

/** The host has read the page @lid and does not want its events retained. */
void async_events_read(struct async_events *events, uint8_t lid);

/** Complete the held request of command @cid with @status. @return whether there is one. */
bool async_events_abort_one(struct async_events *events, uint16_t cid, nvme_status status);

/** Complete all that are held with @status, and forget what there was to tell. */
void async_events_abort(struct async_events *events, nvme_status status);

#endif
