/*
 * What the broker and its guests share.
 */
#ifndef FERRY_KERNEL_BROKER_PRIVATE_H
#define FERRY_KERNEL_BROKER_PRIVATE_H

#include "base/list.h"
#include "kernel/broker.h"
#include "loop/loop.h"
#include "loop/timer.h"

/* A URL at which clients come. */
struct broker_door {
	struct broker *broker;
	struct ferry_sysproxy_server *router;
};

struct broker {
	struct broker_options options;
	struct ferry_sysproxy_server_options server; /* of the routers */
	uid_t users[FERRY_SYSPROXY_USERS_MAX];
	struct spawner spawner;
	struct loop_watch watch; /* of the spawner's channel */
	struct broker_door doors[BROKER_URLS_MAX];
	unsigned door_count;
	struct list guests; /* of struct guest */
	unsigned guest_count;
	uint64_t last_id;
	struct loop_task sweep; /* frees guests that are gone */
	struct timer timer;     /* of stopping */
	bool is_stopping, is_failed, has_told;
};

/** Ask the spawner for the workers of guests that wait for one, as far as there is room. */
void broker_ask_spawner(struct broker *broker);

/** A guest is gone and can be freed, when nobody is using it any more. */
void broker_sweep_later(struct broker *broker);

#endif
