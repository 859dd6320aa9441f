/*
 * What the parts of a target know of it.
 */
#ifndef FERRY_TARGET_TARGET_PRIVATE_H
#define FERRY_TARGET_TARGET_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "nvme/property.h"
#include "target/fence.h"
#include "target/target.h"

#define TARGET_VERSION           NVME_VERSION_2_0
#define TARGET_READY_MS          7500 /* CAP.TO: within this an enable or a reset ends */
#define TARGET_ADMIN_ENTRIES_MIN 2
#define TARGET_PAGE_BYTES        TARGET_MDTS_UNIT

struct target {
	struct target_limits limits;
	struct log *log;
	struct subsystem *discovery;
	struct subsystem **subsystems;
	size_t subsystem_count;
	struct fences fences;
	bool is_published;

	pthread_mutex_t mutex; /* innermost; guards what follows */
	struct target_address addresses[TARGET_ADDRESSES_MAX];
	size_t address_count;
	uint64_t generation; /* GENCTR: moves with each change of what discovery tells */

	_Atomic uint64_t started_ns; /* when the first queue came, 0: none has */
	_Atomic size_t part_count;   /* queues and controllers in memory */
};

/** @return the subsystem of that name, the discovery subsystem included, or NULL. */
struct subsystem *target_find_subsystem(const struct target *target, const char *nqn);

/** @return at how many addresses subsystems are: those of discovery alone do not count. */
size_t target_count_addresses(struct target *target);

/** @return how much data one command may move. */
static inline uint32_t target_data_max(const struct target *target)
{
	return TARGET_PAGE_BYTES << target->limits.mdts;
}

static inline void target_add_part(struct target *target)
{
	atomic_fetch_add_explicit(&target->part_count, 1, memory_order_relaxed);
}

/** A part has been freed. Nothing of the target may be touched hereafter on its account. */
static inline void target_remove_part(struct target *target)
{
	atomic_fetch_sub_explicit(&target->part_count, 1, memory_order_release);
}

#endif
