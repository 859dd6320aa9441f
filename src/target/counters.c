/*
 * Adding up.
 */
#include "target/counters.h"

static uint64_t counter_read(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void counters_add_to(const struct counters *counters, struct counter_totals *totals)
{
	totals->read_count += counter_read(&counters->read_count);
	totals->written_count += counter_read(&counters->written_count);
	totals->read_bytes += counter_read(&counters->read_bytes);
	totals->written_bytes += counter_read(&counters->written_bytes);
	totals->media_error_count += counter_read(&counters->media_error_count);
}
