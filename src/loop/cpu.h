/*
 * What the machine gives this thread: processors, and how fast it wakes up.
 */
#ifndef FERRY_LOOP_CPU_H
#define FERRY_LOOP_CPU_H

#include <stdint.h>

/** @return the CPUs this thread can really use at the same time as others of its process: the
 *  affinity mask, bounded by the CPU quota of its control group; at least 1. */
unsigned cpu_allowed_count(void);

/** Measure how long a sleeping thread takes to wake up: some wake-ups back and forth, less than a
 *  millisecond. @return ns, 0 when it cannot be measured. */
uint64_t cpu_wake_latency_ns(void);

#endif
