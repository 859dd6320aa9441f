#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct element {
	int value;
	struct list link;
};

struct fixture {
	struct list head;
	struct element elements[3];
};

static void list_of_three(struct fixture *fixture)
{
	list_init(&fixture->head);
	for (int i = 0; i < 3; i++) {
		fixture->elements[i].value = i;
		list_append(&fixture->head, &fixture->elements[i].link);
	}
}

/* The values in order as the digits of a number. */
static int digits(const struct list *head)
{
	struct list *link;
	int value = 0;

	list_for_each (link, head)
		value = value * 10 + container_of(link, struct element, link)->value + 1;
	return value;
}

static void test_list_keeps_order_when_elements_are_appended(void **state)
{
	struct fixture fixture;

	(void)state;
	list_of_three(&fixture);
	assert_false(list_is_empty(&fixture.head));
	assert_int_equal(digits(&fixture.head), 123);
}

static void test_list_closes_the_gap_when_an_element_is_removed(void **state)
{
	static const int expected[] = {23, 13, 12};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct fixture fixture;

		list_of_three(&fixture);
		list_remove(&fixture.elements[i].link);
		assert_int_equal(digits(&fixture.head), expected[i]);
		assert_true(list_is_empty(&fixture.elements[i].link));
		list_remove(&fixture.elements[i].link);
		assert_int_equal(digits(&fixture.head), expected[i]);
	}
}

static void test_list_gives_elements_in_order_when_taken(void **state)
{
	struct fixture fixture;

	(void)state;
	list_of_three(&fixture);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(list_take_first(&fixture.head), &fixture.elements[i].link);
	assert_true(list_is_empty(&fixture.head));
	assert_null(list_take_first(&fixture.head));
}

static void test_list_survives_a_walk_when_the_current_element_is_removed(void **state)
{
	struct fixture fixture;
	struct list *link, *following;

	(void)state;
	list_of_three(&fixture);
	list_for_each_safe (link, following, &fixture.head)
		if (container_of(link, struct element, link)->value != 1)
			list_remove(link);
	assert_int_equal(digits(&fixture.head), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_keeps_order_when_elements_are_appended),
		cmocka_unit_test(test_list_closes_the_gap_when_an_element_is_removed),
		cmocka_unit_test(test_list_gives_elements_in_order_when_taken),
		cmocka_unit_test(test_list_survives_a_walk_when_the_current_element_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
