#include "store/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_identity_differs_each_time_when_random(void **state)
{
	uint8_t first[UUID_BYTES], second[UUID_BYTES];

	(void)state;
	identity_random(first);
	identity_random(second);
	assert_memory_not_equal(first, second, UUID_BYTES);
	assert_int_equal(first[6] >> 4, 4);
	assert_int_equal(first[8] >> 6, 2);
}

static void test_identity_follows_the_path_when_made_again(void **state)
{
	uint8_t first[UUID_BYTES], again[UUID_BYTES], other[UUID_BYTES];

	(void)state;
	identity_of_path("/srv/a.img", first);
	identity_of_path("/srv/a.img", again);
	identity_of_path("/srv/b.img", other);
	assert_memory_equal(first, again, UUID_BYTES);
	assert_memory_not_equal(first, other, UUID_BYTES);
	assert_int_equal(first[6] >> 4, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity_differs_each_time_when_random),
		cmocka_unit_test(test_identity_follows_the_path_when_made_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
