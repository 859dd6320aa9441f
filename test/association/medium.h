/*
 * What is behind a namespace: a store in memory, as it is or below faults, and the model of what its
 * blocks may hold. The faults of one that fails are latched as those of a real store are: once a
 * flush has failed, each flush and each durable write fails.
 */
#ifndef FERRY_TEST_ASSOCIATION_MEDIUM_H
#define FERRY_TEST_ASSOCIATION_MEDIUM_H

#include <stdbool.h>
#include <stdint.h>

#include "nvme/status.h"
#include "store/store.h"
#include "test/association/counter.h"
#include "test/association/model.h"

struct world;

struct medium_kind {
	uint32_t block_bytes, block_count;
	bool has_faults;          /* what follows, and delays; else it lends its memory */
	uint32_t error_one_in;    /* EIO, of anything; 0: never */
	uint32_t full_one_in;     /* ENOSPC, of what is written */
	uint32_t unsynced_one_in; /* EIO, of a flush, latched */
};

struct medium {
	struct world *world;
	const struct medium_kind *kind;
	struct store *store;    /* as the target has it */
	struct store *inner;    /* which holds the blocks */
	struct model *model;    /* of all blocks but the last */
	struct counter counter; /* of the last */
	uint64_t latch_time;    /* of the model: since then flushes fail; 0: they need not */
};

/** Make the medium @index of the world. */
void medium_init(struct medium *medium, struct world *world, unsigned index);
void medium_deinit(struct medium *medium);

/** @return whether the medium gives a reason for @status. */
bool medium_may_cause(const struct medium *medium, nvme_status status);

/** Fail the world unless the store holds what was acknowledged. Nothing is outstanding. */
void medium_check(struct medium *medium);

#endif
