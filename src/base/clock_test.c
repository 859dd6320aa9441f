#include "base/cleanup.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_clock_never_goes_back_when_monotonic(void **state)
{
	struct clock *clock = clock_monotonic();
	uint64_t before_ns = clock->now_ns(clock);

	(void)state;
	assert_null(clock->advance);
	for (int i = 0; i < 1000; i++) {
		uint64_t after_ns = clock->now_ns(clock);

		assert_true(after_ns >= before_ns);
		before_ns = after_ns;
	}
}

static void test_clock_moves_only_forward_when_simulated(void **state)
{
	static const struct {
		uint64_t deadline_ns, expected_ns;
	} rows[] = {{100, 100}, {150, 150}, {120, 150}, {UINT64_MAX, UINT64_MAX}, {0, UINT64_MAX}};
	struct simulated_clock simulated;
	struct clock *clock = &simulated.clock;

	(void)state;
	simulated_clock_init(&simulated, 100);
	assert_true(clock->now_ns(clock) == 100);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		clock->advance(clock, rows[i].deadline_ns);
		assert_true(clock->now_ns(clock) == rows[i].expected_ns);
	}
}

static void test_random_follows_its_definition_when_seeded(void **state)
{
	/* splitmix64 from 0, and what the generator's authors' code gives from 1, 2, 3, 4. */
	static const uint64_t seeded[] = {0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4,
		0x06c45d188009454f, 0xf88bb8a8724c81ec};
	static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
	struct random random;

	(void)state;
	random_init(&random, 0);
	assert_memory_equal(random.state, seeded, sizeof(seeded));
	random = (struct random){{1, 2, 3, 4}};
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
		assert_true(random_next(&random) == expected[i]);
}

static void test_random_stays_below_when_bounded(void **state)
{
	static const uint64_t bounds[] = {1, 2, 3, 10, 4096, (uint64_t)1 << 63,
		((uint64_t)1 << 63) + 1, UINT64_MAX};
	struct random random;

	(void)state;
	random_init(&random, 42);
	for (size_t i = 0; i < ARRAY_LENGTH(bounds); i++)
		for (int turn = 0; turn < 200; turn++)
			assert_true(random_below(&random, bounds[i]) < bounds[i]);
}

static void test_random_reaches_every_value_when_the_bound_is_small(void **state)
{
	unsigned seen_counts[6] = {0};
	struct random random;

	(void)state;
	random_init(&random, 7);
	for (int turn = 0; turn < 6000; turn++)
		seen_counts[random_below(&random, 6)]++;
	for (size_t i = 0; i < ARRAY_LENGTH(seen_counts); i++)
		assert_in_range(seen_counts[i], 800, 1200);
}

static void test_random_secret_fills_exactly_when_asked(void **state)
{
	static const uint8_t zeros[32];
	uint8_t first[33] = {0}, second[32] = {0};

	(void)state;
	random_secret(first, 0);
	assert_memory_equal(first, zeros, sizeof(zeros));
	random_secret(first, 32);
	random_secret(second, sizeof(second));
	assert_memory_not_equal(first, zeros, sizeof(zeros));
	assert_memory_not_equal(first, second, sizeof(second));
	assert_int_equal(first[32], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock_never_goes_back_when_monotonic),
		cmocka_unit_test(test_clock_moves_only_forward_when_simulated),
		cmocka_unit_test(test_random_follows_its_definition_when_seeded),
		cmocka_unit_test(test_random_stays_below_when_bounded),
		cmocka_unit_test(test_random_reaches_every_value_when_the_bound_is_small),
		cmocka_unit_test(test_random_secret_fills_exactly_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
