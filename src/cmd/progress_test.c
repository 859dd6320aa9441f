#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd/progress.h"

#define MIB (UINT64_C(1) << 20)

static void check(const struct progress_state *state, unsigned width, const char *expected)
{
	char text[PROGRESS_TEXT_MAX];

	progress_to_text(state, width, text);
	assert_string_equal(text, expected);
}

static void test_progress_says_all_when_there_is_room(void **state)
{
	static const struct row {
		struct progress_state state;
		const char *expected;
	} rows[] = {
		{{"copying", 0, 64 * MIB, 0, 0}, "copying   0%  0 B of 64 MiB  0 B/s  -:-- left"},
		{{"copying", 16 * MIB, 64 * MIB, 8 * MIB, UINT64_C(2) * CLOCK_SECOND_NS},
			"copying  25%  16 MiB of 64 MiB  8 MiB/s  0:06 left"},
		{{"copying", MIB, 3601 * MIB, MIB, CLOCK_SECOND_NS},
			"copying   0%  1 MiB of 3.5 GiB  1 MiB/s  1:00:00 left"},
		{{"copying", 1, UINT64_MAX, 1, CLOCK_SECOND_NS},
			"copying   0%  1 B of 15.9 EiB  1 B/s  days left"},
		{{"verifying", 64 * MIB, 64 * MIB, MIB, CLOCK_SECOND_NS},
			"verifying 100%  64 MiB of 64 MiB  1 MiB/s  0:00 left"},
		{{"copying", 0, 0, 0, CLOCK_SECOND_NS},
			"copying 100%  0 B of 0 B  0 B/s  -:-- left"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		check(&rows[i].state, 59, rows[i].expected);
}

static void test_progress_draws_a_bar_when_the_terminal_is_wide(void **state)
{
	const struct progress_state half = {"copying", 2, 4, 1, CLOCK_SECOND_NS};
	const struct progress_state none = {"copying", 0, 4, 0, 0};
	const struct progress_state all = {"copying", 4, 4, 1, CLOCK_SECOND_NS};

	(void)state;
	check(&half, 57, "copying  50%  2 B of 4 B  1 B/s  0:01 left  [====>     ]");
	check(&half, 56, "copying  50%  2 B of 4 B  1 B/s  0:01 left");
	check(&none, 57, "copying   0%  0 B of 4 B  0 B/s  -:-- left  [          ]");
	check(&all, 57, "copying 100%  4 B of 4 B  1 B/s  0:00 left  [==========]");
}

static void test_progress_is_cut_when_the_terminal_is_narrow(void **state)
{
	const struct progress_state half = {"copying", 2, 4, 1, CLOCK_SECOND_NS};

	(void)state;
	check(&half, 14, "copying  50% ");
	check(&half, 1, "");
}

static void test_progress_keeps_within_its_width_when_that_is_any(void **state)
{
	const struct progress_state half = {"copying", UINT64_MAX / 2, UINT64_MAX, UINT64_MAX, 1};
	char text[PROGRESS_TEXT_MAX];

	(void)state;
	for (unsigned width = 1; width < PROGRESS_TEXT_MAX; width++) {
		progress_to_text(&half, width, text);
		assert_true(strlen(text) < width);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_progress_says_all_when_there_is_room),
		cmocka_unit_test(test_progress_draws_a_bar_when_the_terminal_is_wide),
		cmocka_unit_test(test_progress_is_cut_when_the_terminal_is_narrow),
		cmocka_unit_test(test_progress_keeps_within_its_width_when_that_is_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
