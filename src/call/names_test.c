/*
 * The names of flags: those of each argument of the table can be told apart.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "call/names.h"
#include "call/table.h"

static void check(const struct call_names *names)
{
	for (size_t i = 0; i < names->count; i++) {
		const struct call_name *name = &names->names[i];

		/* One without a bit could never be seen beside others. */
		assert_true(name->mask != 0);
		assert_int_equal(name->value & ~name->mask, 0);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(names->names[j].name, name->name);
			assert_false(names->names[j].value == name->value &&
				names->names[j].mask == name->mask);
		}
	}
}

static void test_names_differ_when_they_are_of_one_argument(void **state)
{
	size_t count, checked = 0;
	const struct call_row *rows = call_rows(&count);

	(void)state;
	for (size_t i = 0; i < count * CALL_ARGUMENTS_MAX; i++) {
		const struct call_names *names =
			rows[i / CALL_ARGUMENTS_MAX].arguments[i % CALL_ARGUMENTS_MAX].names;

		if (names != NULL) {
			check(names);
			checked++;
		}
	}
	assert_true(checked > 20);
	check(&call_names_poll);
	check(&call_names_event);
	check(&call_names_fcntl_flags);
	check(&call_names_lock);
	check(&call_names_resolve);
}

static void test_name_is_found_when_it_is_there(void **state)
{
	uint32_t value = 77;

	(void)state;
	assert_false(call_names_find(&call_names_open, "O_NONSENSE", &value));
	assert_false(call_names_find(&call_names_open, "", &value));
	assert_int_equal(value, 77);
	assert_true(call_names_find(&call_names_open, "O_CREAT", &value));
	assert_int_equal(value, O_CREAT);
	assert_true(call_names_find(&call_names_open, "O_RDONLY", &value));
	assert_int_equal(value, O_RDONLY);
	assert_true(call_names_find(&call_names_family, "AF_INET6", &value));
	assert_int_equal(value, AF_INET6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_differ_when_they_are_of_one_argument),
		cmocka_unit_test(test_name_is_found_when_it_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
