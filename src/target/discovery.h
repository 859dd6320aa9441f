/*
 * The Discovery log page (Base 2.0, 5.16.1.23; TCP 1.0, 3.1): for each host address a record of the
 * discovery subsystem itself, then for each address one of each subsystem that the asking host may
 * connect to.
 *
 * A host that reads the page from its beginning takes a view of what there is; what it reads behind
 * the beginning is of that view, so that all pieces belong together. GENCTR moves when that view and
 * the one before tell something different.
 */
#ifndef FERRY_TARGET_DISCOVERY_H
#define FERRY_TARGET_DISCOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "nvme/status.h"

struct controller;
struct target_request;
struct window;

/** The page is about to be read at @offset: take a view anew if that is its beginning.
 *  @return success, or Internal Error without memory. */
nvme_status discovery_log_open(const struct target_request *request, uint64_t offset)
	__attribute__((warn_unused_result));

/** @return the size of the page that is open. */
uint64_t discovery_log_bytes(const struct target_request *request);

/** Produce the page that is open. */
void discovery_log_write(const struct target_request *request, struct window *window);

/** @return whether the page would tell the host of @controller something else than it told last; true
 *  where it has told nothing yet. On the controller's loop. */
bool discovery_log_has_changed(const struct controller *controller);

#endif
