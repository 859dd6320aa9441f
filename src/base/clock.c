/*
 * The clocks, and xoshiro256** by Blackman and Vigna, seeded with splitmix64 as they advise: any
 * seed, 0 too, gives a state that is not all zeros.
 */
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>
#include <time.h>

static uint64_t monotonic_now_ns(struct clock *clock)
{
	struct timespec now;
	int error = clock_gettime(CLOCK_MONOTONIC, &now);

	(void)clock;
	assert(error == 0);
	return (uint64_t)now.tv_sec * CLOCK_SECOND_NS + (uint64_t)now.tv_nsec;
}

struct clock *clock_monotonic(void)
{
	static const struct clock monotonic = {.now_ns = monotonic_now_ns};

	/* Nothing writes to it: clocks are not const because others have a state. */
	return (struct clock *)&monotonic;
}

static uint64_t simulated_now_ns(struct clock *clock)
{
	return ((struct simulated_clock *)clock)->time_ns;
}

static void simulated_advance(struct clock *clock, uint64_t deadline_ns)
{
	struct simulated_clock *simulated = (struct simulated_clock *)clock;

	if (simulated->time_ns < deadline_ns)
		simulated->time_ns = deadline_ns;
}

void simulated_clock_init(struct simulated_clock *clock, uint64_t time_ns)
{
	clock->clock.now_ns = simulated_now_ns;
	clock->clock.advance = simulated_advance;
	clock->time_ns = time_ns;
}

void random_init(struct random *random, uint64_t seed)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t mixed;

		seed += 0x9e3779b97f4a7c15;
		mixed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9;
		mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
		random->state[i] = mixed ^ (mixed >> 31);
	}
}

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

uint64_t random_next(struct random *random)
{
	uint64_t *state = random->state;
	uint64_t result = rotate_left(state[1] * 5, 7) * 9;
	uint64_t shifted = state[1] << 17;

	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= shifted;
	state[3] = rotate_left(state[3], 45);
	return result;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
	uint64_t value;

	assert(bound >= 1);
	/* Passing over the lowest 2^64 mod bound values leaves each remainder equally often. */
	do {
		value = random_next(random);
	} while (value < -bound % bound);
	return value % bound;
}

void random_secret(void *ret_to, size_t bytes)
{
	uint8_t *to = ret_to;

	while (bytes > 0) {
		ssize_t got_bytes = getrandom(to, bytes, 0);

		assert(got_bytes > 0 || errno == EINTR);
		if (got_bytes > 0) {
			to += got_bytes;
			bytes -= (size_t)got_bytes;
		}
	}
}
