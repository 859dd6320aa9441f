#include "target/host_list.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "target/target.h"

static void test_host_list_allows_nobody_when_it_is_new(void **state)
{
	struct host_list list;

	(void)state;
	host_list_init(&list);
	assert_false(host_list_allows(&list, "nqn.2024-01.org.example:a"));
	host_list_deinit(&list);
}

static void test_host_list_allows_exactly_those_when_they_are_added(void **state)
{
	struct host_list list;

	(void)state;
	host_list_init(&list);
	assert_int_equal(host_list_add(&list, "nqn.2024-01.org.example:a"), 0);
	assert_int_equal(host_list_add(&list, "nqn.2024-01.org.example:a"), 0);
	assert_int_equal(list.count, 1);
	assert_int_equal(host_list_add(&list, ""), -EINVAL);
	assert_true(host_list_allows(&list, "nqn.2024-01.org.example:a"));
	assert_false(host_list_allows(&list, "nqn.2024-01.org.example:A"));
	assert_false(host_list_allows(&list, "nqn.2024-01.org.example"));
	assert_false(host_list_allows(&list, "nqn.2024-01.org.example:ab"));
	host_list_deinit(&list);
}

static void test_host_list_is_full_when_the_most_are_added(void **state)
{
	struct host_list list;
	char nqn[64];

	(void)state;
	host_list_init(&list);
	for (unsigned i = 0; i < TARGET_HOSTS_MAX; i++) {
		(void)snprintf(nqn, sizeof(nqn), "nqn.2024-01.org.example:%u", i);
		assert_int_equal(host_list_add(&list, nqn), 0);
	}
	assert_int_equal(host_list_add(&list, "nqn.2024-01.org.example:over"), -ENOSPC);
	host_list_deinit(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_list_allows_nobody_when_it_is_new),
		cmocka_unit_test(test_host_list_allows_exactly_those_when_they_are_added),
		cmocka_unit_test(test_host_list_is_full_when_the_most_are_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
