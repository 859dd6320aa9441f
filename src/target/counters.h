/*
 * What a queue has done, for the SMART page. Each set has one writer, its queue's loop; anyone may
 * read it at any time, hence the relaxed atomics: a load and a store, no locked instruction.
 */
#ifndef FERRY_TARGET_COUNTERS_H
#define FERRY_TARGET_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/list.h"

struct counters {
	struct list link;            /* of the subsystem, guarded by its mutex */
	_Atomic uint64_t read_count; /* commands that succeeded */
	_Atomic uint64_t written_count;
	_Atomic uint64_t read_bytes; /* of these */
	_Atomic uint64_t written_bytes;
	_Atomic uint64_t media_error_count; /* reads and writes that the store failed */
};

/* Counters added up. */
struct counter_totals {
	uint64_t read_count, written_count;
	uint64_t read_bytes, written_bytes;
	uint64_t media_error_count;
};

/** Add to a counter of one's own. */
static inline void counter_add(_Atomic uint64_t *counter, uint64_t amount)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
		memory_order_relaxed);
}

/** Add @counters to @totals. From any thread. */
void counters_add_to(const struct counters *counters, struct counter_totals *totals);

#endif
