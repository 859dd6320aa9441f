/*
 * A subsystem: a name, namespaces, the hosts that may have them, and the controllers that hosts
 * have made. The discovery subsystem is one without namespaces that every host may have.
 *
 * Everything up to the mutex is constant once the target is published. The mutex is taken when a
 * queue is connected or has gone, when a controller ends and for the SMART page, never for I/O. It
 * is the innermost lock: nothing is called that could wait.
 */
#ifndef FERRY_TARGET_SUBSYSTEM_H
#define FERRY_TARGET_SUBSYSTEM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "nvme/nqn.h"
#include "nvme/status.h"
#include "target/counters.h"
#include "target/host_list.h"
#include "target/namespace.h"

struct controller;
struct target;

#define SUBSYSTEM_SERIAL_LENGTH 20

struct subsystem {
	struct target *target;
	bool is_discovery;
	char nqn[NVME_NQN_TEXT_MAX];
	char serial[SUBSYSTEM_SERIAL_LENGTH + 1]; /* made of the NQN: the same on every run */
	struct host_list hosts;
	struct namespace *namespaces; /* by nsid - 1 */
	uint32_t namespace_count;

	pthread_mutex_t mutex; /* guards what follows */
	struct list controllers;
	unsigned controller_count;
	uint16_t last_cntlid;          /* the one given last, 0: none */
	bool is_closed;                /* no controller is made any more */
	struct list counters;          /* of all its queues */
	struct counter_totals retired; /* of the queues that have gone */
};

/** @return 0 and the subsystem, the caller's, or -ENOMEM. */
int subsystem_new(struct target *target, const char *nqn, bool is_discovery,
	struct subsystem **ret_subsystem) __attribute__((warn_unused_result));

/** Free a subsystem that has no controller. NULL is legal. */
void subsystem_free(struct subsystem *subsystem);

/** @return the namespace @nsid, NULL if there is none. */
static inline const struct namespace *subsystem_namespace(const struct subsystem *subsystem,
	uint32_t nsid)
{
	return nsid - 1 < subsystem->namespace_count ? &subsystem->namespaces[nsid - 1] : NULL;
}

/** List @controller and give it an id, 1..FFEFh, the next after the one given last.
 *  @return NULL, or a constant clause that says why not: there are too many, of this host or in all,
 *  or the subsystem is closed. */
const char *subsystem_enter(struct subsystem *subsystem, struct controller *controller)
	__attribute__((warn_unused_result));

/** A listed controller gets one I/O queue more. @return NULL, or as above: its host has too many. */
const char *subsystem_add_queue(struct subsystem *subsystem, struct controller *controller)
	__attribute__((warn_unused_result));

/** It has one less. */
void subsystem_remove_queue(struct subsystem *subsystem, struct controller *controller);

/** The controller is listed no more and its id is free. */
void subsystem_leave(struct subsystem *subsystem, struct controller *controller);

/** @return the controller of that id with a reference, the caller's, or NULL. */
struct controller *subsystem_find_controller(struct subsystem *subsystem, uint16_t cntlid);

/** Make no controller any more, and tell those there are to end. From any thread. */
void subsystem_close(struct subsystem *subsystem);

/** The namespace @nsid has changed: tell all controllers. From any thread. */
void subsystem_note_namespace(struct subsystem *subsystem, uint32_t nsid);

/** What the controllers of the discovery subsystem tell has changed. From any thread. */
void subsystem_note_discovery(struct subsystem *subsystem);

/** Count what @counters, all zero, count from now on. */
void subsystem_add_counters(struct subsystem *subsystem, struct counters *counters);

/** Keep what @counters have counted; they go. */
void subsystem_retire_counters(struct subsystem *subsystem, struct counters *counters);

/** The sum over all queues there ever were. From any thread. */
void subsystem_total(struct subsystem *subsystem, struct counter_totals *ret_totals);

#endif
