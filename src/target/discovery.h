/*
 * The Discovery log page (Base 2.0, 5.16.1.23; TCP 1.0, 3.1): for each address a record of the
 * discovery subsystem itself, then one for each subsystem that the asking host may connect to.
 * What it tells is constant but for the generation, by which a host that reads it in pieces sees
 * whether they belong together.
 */
#ifndef FERRY_TARGET_DISCOVERY_H
#define FERRY_TARGET_DISCOVERY_H

#include <stdint.h>

struct target_request;
struct window;

/** @return the size of the page for the host that asks. */
uint64_t discovery_log_bytes(const struct target_request *request);

/** Produce the page for the host that asks. */
void discovery_log_write(const struct target_request *request, struct window *window);

#endif
