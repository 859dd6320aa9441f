/*
 * Time and randomness as interfaces, so that a test can own them. Times are nanoseconds since an
 * arbitrary start and never go back.
 */
#ifndef FERRY_BASE_CLOCK_H
#define FERRY_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_SECOND_NS 1000000000u
#define CLOCK_MS_NS     1000000u

struct clock {
	/* The present time. */
	uint64_t (*now_ns)(struct clock *clock);
	/* NULL for a real clock. A simulated one jumps forward to @deadline_ns: a loop with nothing
	 * to do calls it instead of sleeping. */
	void (*advance)(struct clock *clock, uint64_t deadline_ns);
};

/** The machine's monotonic clock. A constant; never freed. */
struct clock *clock_monotonic(void);

/* A clock that stands still until it is told otherwise. */
struct simulated_clock {
	struct clock clock;
	uint64_t time_ns;
};

/** Start at @time_ns. Pass &clock->clock on. */
void simulated_clock_init(struct simulated_clock *clock, uint64_t time_ns);

/* A small pseudo-random generator (xoshiro256**) for tests, back-off and workloads; never for
 * secrets. The same seed gives the same sequence on every machine. */
struct random {
	uint64_t state[4];
};

void random_init(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);

/** @return a number in 0..@bound-1, without bias that matters; @bound >= 1. */
uint64_t random_below(struct random *random, uint64_t bound);

/** Fill @ret_to with bytes from the kernel's generator (getrandom); never fails after boot. */
void random_secret(void *ret_to, size_t bytes);

#endif
