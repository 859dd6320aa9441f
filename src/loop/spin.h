/*
 * Whether to spin before sleeping, and for how long: a state machine without time or I/O.
 *
 * A wake-up costs more than a short spin, for both ends, so a loop looks around for a while before
 * it sleeps. The limit must exceed the wake latency of the peer and its service time, or two
 * adaptive ends can both stay asleep, each spinning in vain while the other wakes up. Each vain spin
 * doubles a penalty, the number of sleeps without a spin that follow; finding something halves it.
 * Something found at the first look was there anyhow and says nothing about spinning.
 */
#ifndef FERRY_LOOP_SPIN_H
#define FERRY_LOOP_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#define SPIN_PENALTY_MAX 255

struct spin {
	uint64_t limit_ns; /* 0: never spin */
	unsigned penalty;
	unsigned skip; /* sleeps without a spin that are left */
};

/** Before anything is known: no penalty. */
void spin_init(struct spin *spin, uint64_t limit_ns);

/** Ask before each sleep. @return whether to spin for limit_ns first. */
bool spin_is_wanted(struct spin *spin);

/** Something was found, at the first look or after at least one vain one. */
void spin_found(struct spin *spin, bool is_first_look);

/** The limit was reached. */
void spin_in_vain(struct spin *spin);

/** @param wake_latency_ns measured, 0: unknown
 *  @param cpu_count of the CPUs this thread may use
 *  @return the limit for such a machine. */
uint64_t spin_limit_ns(uint64_t wake_latency_ns, unsigned cpu_count);

#endif
