/*
 * What discovery tells one host, as it was at one moment: which subsystems, and where. A host reads
 * the log in pieces; it is given one view from its first piece to its last (Base 2.0, 5.16.1.23).
 *
 * A view belongs to its controller and is at most TARGET_ADDRESSES_MAX addresses and a bit for each
 * subsystem.
 */
#ifndef FERRY_TARGET_DISCOVERY_VIEW_H
#define FERRY_TARGET_DISCOVERY_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/target.h"

struct target_queue;

/* An address as the host is told it: never "". */
struct discovery_port {
	struct target_address address;
	uint16_t id;  /* PORTID */
	bool is_self; /* the way to the discovery subsystem at this host address */
};

struct discovery_view {
	uint64_t generation;                         /* GENCTR */
	uint64_t listed[TARGET_SUBSYSTEMS_MAX / 64]; /* a bit for each subsystem, by index */
	/* DUPRETINFO: every listed way to discovery leads to the same list. */
	bool is_same_by_all_ways;
	size_t port_count;
	struct discovery_port ports[];
};

/** @return what the host of the admin queue @queue may see now, the caller's to free(), or NULL
 *  without memory. */
struct discovery_view *discovery_view_new(const struct target_queue *queue);

/** @return whether both tell the same, whatever their generations. */
bool discovery_view_is_same(const struct discovery_view *left, const struct discovery_view *right);

/** @return whether the subsystem of that index is listed. */
static inline bool discovery_view_lists(const struct discovery_view *view, size_t index)
{
	return (view->listed[index / 64] >> index % 64 & 1) != 0;
}

#endif
