#include "loop/spin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"

/* Answer every question with a vain spin. @return the spins among @sleep_count sleeps. */
static unsigned spin_vainly(struct spin *spin, unsigned sleep_count)
{
	unsigned spin_count = 0;

	for (unsigned i = 0; i < sleep_count; i++) {
		if (!spin_is_wanted(spin))
			continue;
		spin_in_vain(spin);
		spin_count++;
	}
	return spin_count;
}

static void test_spin_never_spins_when_limit_is_0(void **state)
{
	struct spin spin;

	(void)state;
	spin_init(&spin, 0);
	assert_false(spin_is_wanted(&spin));
}

static void test_spin_backs_off_when_spinning_is_in_vain(void **state)
{
	struct spin spin;

	(void)state;
	spin_init(&spin, 100);
	/* After each vain spin 1, 3, 7, ... sleeps without one. */
	assert_int_equal(spin_vainly(&spin, 1 + 1 + 1 + 3 + 1 + 7), 3);
	assert_int_equal(spin.penalty, 7);
	(void)spin_vainly(&spin, 1000);
	assert_int_equal(spin.penalty, SPIN_PENALTY_MAX);
}

static void test_spin_costs_one_in_256_sleeps_when_always_in_vain(void **state)
{
	struct spin spin;

	(void)state;
	spin_init(&spin, 100);
	(void)spin_vainly(&spin, 10000);
	assert_in_range(spin_vainly(&spin, 256 * 100), 100, 101);
}

static void test_spin_halves_penalty_when_found_after_a_vain_look(void **state)
{
	struct spin spin;

	(void)state;
	spin_init(&spin, 100);
	(void)spin_vainly(&spin, 1 + 1 + 1 + 3 + 1 + 7);
	assert_int_equal(spin.penalty, 7);
	assert_true(spin_is_wanted(&spin));
	spin_found(&spin, false);
	assert_int_equal(spin.penalty, 3);
	assert_true(spin_is_wanted(&spin));
	spin_found(&spin, false);
	spin_found(&spin, false);
	assert_int_equal(spin.penalty, 0);
}

static void test_spin_learns_nothing_when_found_at_first_look(void **state)
{
	struct spin spin;

	(void)state;
	spin_init(&spin, 100);
	spin_in_vain(&spin);
	spin_found(&spin, true);
	assert_int_equal(spin.penalty, 1);
	assert_int_equal(spin.skip, 1);
}

static void test_spin_limit_follows_latency_when_measured(void **state)
{
	static const struct {
		uint64_t latency_ns;
		unsigned cpu_count;
		uint64_t limit_ns;
	} cases[] = {
		{0, 2, 100000},
		{1, 2, 50000},
		{25000, 2, 50000},
		{40000, 64, 80000},
		{100000, 2, 200000},
		{UINT64_MAX, 2, 200000},
		{40000, 1, 0},
		{0, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		assert_int_equal(spin_limit_ns(cases[i].latency_ns, cases[i].cpu_count),
			cases[i].limit_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spin_never_spins_when_limit_is_0),
		cmocka_unit_test(test_spin_backs_off_when_spinning_is_in_vain),
		cmocka_unit_test(test_spin_costs_one_in_256_sleeps_when_always_in_vain),
		cmocka_unit_test(test_spin_halves_penalty_when_found_after_a_vain_look),
		cmocka_unit_test(test_spin_learns_nothing_when_found_at_first_look),
		cmocka_unit_test(test_spin_limit_follows_latency_when_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
