/*
 * Measured over loopback: below 50 us two ends that both sleep miss each other, above 200 us nothing
 * more is gained.
 */
#include "loop/spin.h"

#define LIMIT_MIN_NS     50000u
#define LIMIT_MAX_NS     200000u
#define LIMIT_DEFAULT_NS 100000u

void spin_init(struct spin *spin, uint64_t limit_ns)
{
	*spin = (struct spin){.limit_ns = limit_ns};
}

bool spin_is_wanted(struct spin *spin)
{
	if (spin->limit_ns == 0)
		return false;
	if (spin->skip > 0) {
		spin->skip--;
		return false;
	}
	return true;
}

void spin_found(struct spin *spin, bool is_first_look)
{
	if (!is_first_look)
		spin->penalty >>= 1;
}

void spin_in_vain(struct spin *spin)
{
	spin->penalty = 2 * spin->penalty + 1;
	if (spin->penalty > SPIN_PENALTY_MAX)
		spin->penalty = SPIN_PENALTY_MAX;
	spin->skip = spin->penalty;
}

uint64_t spin_limit_ns(uint64_t wake_latency_ns, unsigned cpu_count)
{
	if (cpu_count < 2)
		return 0;
	if (wake_latency_ns == 0)
		return LIMIT_DEFAULT_NS;
	if (wake_latency_ns <= LIMIT_MIN_NS / 2)
		return LIMIT_MIN_NS;
	if (wake_latency_ns >= LIMIT_MAX_NS / 2)
		return LIMIT_MAX_NS;
	return 2 * wake_latency_ns;
}
