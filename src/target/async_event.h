/*
 * Asynchronous Event Requests of one controller (Base 2.0, 5.2): held until there is something to
 * tell, or the controller is reset or ends.
 */
#ifndef FERRY_TARGET_ASYNC_EVENT_H
#define FERRY_TARGET_ASYNC_EVENT_H

#include <stdint.h>

#include "base/list.h"
#include "nvme/status.h"

struct target_request;

#define ASYNC_EVENT_REQUESTS_MAX 4 /* AERL + 1 */

/* The notices that are sent, NVME_OAES_ bits: none yet. */
#define ASYNC_EVENT_NOTICES UINT32_C(0)

struct async_events {
	struct list held; /* requests, oldest first */
	unsigned held_count;
};

void async_events_init(struct async_events *events);

/** Hold @request. @return TARGET_LATER, or Limit Exceeded. */
nvme_status async_events_hold(struct async_events *events, struct target_request *request)
	__attribute__((warn_unused_result));

/** Complete all that are held with @status. */
void async_events_abort(struct async_events *events, nvme_status status);

#endif
