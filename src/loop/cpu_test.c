#include "loop/cpu.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void test_cpu_counts_one_when_bound_to_one(void **state)
{
	cpu_set_t before, one;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	CPU_ZERO(&one);
	for (size_t cpu = 0; CPU_COUNT(&one) == 0; cpu++) {
		if (CPU_ISSET(cpu, &before))
			CPU_SET(cpu, &one);
	}
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(cpu_allowed_count(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_in_range(cpu_allowed_count(), 1, (unsigned)CPU_COUNT(&before));
}

static void test_cpu_wakes_within_a_minute_when_measured(void **state)
{
	(void)state;
	assert_in_range(cpu_wake_latency_ns(), 1, 60ull * CLOCK_SECOND_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpu_counts_one_when_bound_to_one),
		cmocka_unit_test(test_cpu_wakes_within_a_minute_when_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
