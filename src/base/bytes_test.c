#include "base/bytes.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static_assert(sizeof(le16) == 2 && _Alignof(le16) == 1, "le16 must not pad a structure");
static_assert(sizeof(le32) == 4 && _Alignof(le32) == 1, "le32 must not pad a structure");
static_assert(sizeof(le64) == 8 && _Alignof(le64) == 1, "le64 must not pad a structure");

static void test_bytes_lie_lowest_first_when_stored(void **state)
{
	static const uint8_t expected[] = {1, 2, 3, 4, 5, 6, 7, 0xf8};

	(void)state;
	assert_memory_equal(le16_of(0x0201).bytes, expected, 2);
	assert_memory_equal(le32_of(0x04030201).bytes, expected, 4);
	assert_memory_equal(le64_of(0xf807060504030201).bytes, expected, 8);
}

static void test_bytes_give_the_number_back_when_loaded(void **state)
{
	/* Off by one: loads must not need alignment. */
	static const uint8_t bytes[] = {0, 1, 2, 3, 4, 5, 6, 7, 0xf8};

	(void)state;
	assert_int_equal(le16_load(bytes + 1), 0x0201);
	assert_int_equal(le32_load(bytes + 1), 0x04030201);
	assert_true(le64_load(bytes + 1) == 0xf807060504030201);
	assert_int_equal(le16_get(le16_of(0xfffe)), 0xfffe);
	assert_true(le32_get(le32_of(0xfffefdfc)) == 0xfffefdfc);
	assert_true(le64_get(le64_of(0xfffefdfcfbfaf9f8)) == 0xfffefdfcfbfaf9f8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_lie_lowest_first_when_stored),
		cmocka_unit_test(test_bytes_give_the_number_back_when_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
