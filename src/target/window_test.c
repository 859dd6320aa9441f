#include "target/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define PAGE_BYTES  12
#define PIECE_BYTES 4

static void test_window_shows_the_part_when_a_page_is_put(void **state)
{
	static const struct {
		uint64_t offset;
		size_t bytes;
		const char *shown; /* '.' for zero */
	} rows[] = {
		{0, 12, "abcdEFGHijkl"},
		{0, 4, "abcd"},
		{2, 4, "cdEF"},
		{3, 6, "dEFGHi"},
		{4, 4, "EFGH"},
		{5, 2, "FG"},
		{10, 6, "kl...."},
		{12, 3, "..."},
		{UINT64_MAX - 3, 4, "...."},
		{0, 0, ""},
	};
	static const char page[PAGE_BYTES] = "abcdEFGHijkl";

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char to[PAGE_BYTES + 1];
		struct window window;

		memset(to, 'X', sizeof(to));
		window = window_over(to, rows[i].offset, rows[i].bytes);
		for (size_t at = 0; at < PAGE_BYTES; at += PIECE_BYTES)
			window_put(&window, page + at, PIECE_BYTES);
		for (size_t at = 0; at < rows[i].bytes; at++)
			assert_int_equal(to[at] == '\0' ? '.' : to[at], rows[i].shown[at]);
		assert_int_equal(to[rows[i].bytes], 'X');
	}
}

static void test_window_shows_only_what_it_must_when_asked_beforehand(void **state)
{
	uint8_t to[4];
	struct window window = window_over(to, 4, sizeof(to));

	(void)state;
	assert_false(window_shows(&window, 4));
	assert_true(window_shows(&window, 5));
	window_put(&window, NULL, 7);
	assert_true(window_shows(&window, 1));
	window_put(&window, NULL, 1);
	assert_false(window_shows(&window, 100));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window_shows_the_part_when_a_page_is_put),
		cmocka_unit_test(test_window_shows_only_what_it_must_when_asked_beforehand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
