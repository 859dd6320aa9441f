#include "base/cleanup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void note(bool **is_noted)
{
	if (*is_noted != NULL)
		**is_noted = true;
}

static bool *leave_scope(bool *is_noted, bool is_taken)
{
	CLEANUP(note) bool *pointer = is_noted;

	return is_taken ? TAKE(pointer) : NULL;
}

static void test_cleanup_runs_when_a_scope_is_left(void **state)
{
	bool is_noted = false;

	(void)state;
	assert_null(leave_scope(&is_noted, false));
	assert_true(is_noted);
}

static void test_cleanup_spares_a_pointer_when_it_was_taken(void **state)
{
	bool is_noted = false;

	(void)state;
	assert_ptr_equal(leave_scope(&is_noted, true), &is_noted);
	assert_false(is_noted);
}

/* Opens a descriptor that is closed on return unless it is taken. */
static int open_null(bool is_taken, int *ret_number)
{
	CLEANUP(cleanup_close) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	*ret_number = fd;
	return is_taken ? take_fd(&fd) : -1;
}

static void test_cleanup_closes_a_descriptor_when_it_was_not_taken(void **state)
{
	int number = -1;
	int fd = open_null(false, &number);

	(void)state;
	assert_int_equal(fd, -1);
	assert_true(number >= 0);
	assert_int_equal(fcntl(number, F_GETFD), -1);

	fd = open_null(true, &number);
	assert_int_equal(fd, number);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_int_equal(close(fd), 0);
}

static void test_cleanup_does_nothing_when_there_is_nothing(void **state)
{
	CLEANUP(cleanup_free) char *text = NULL;
	CLEANUP(cleanup_close) int fd = -1;

	(void)state;
	(void)text;
	(void)fd;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cleanup_runs_when_a_scope_is_left),
		cmocka_unit_test(test_cleanup_spares_a_pointer_when_it_was_taken),
		cmocka_unit_test(test_cleanup_closes_a_descriptor_when_it_was_not_taken),
		cmocka_unit_test(test_cleanup_does_nothing_when_there_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
