#include "base/cleanup.h"
#include "base/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const uint8_t numbers[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
	0x0c, 0x0d, 0x0e, 0x0f};

static void test_reader_gives_numbers_when_all_are_there(void **state)
{
	struct reader reader = reader_over(numbers, sizeof(numbers));

	(void)state;
	assert_int_equal(reader_u8(&reader), 0x01);
	assert_int_equal(reader_le16(&reader), 0x0302);
	assert_int_equal(reader_le32(&reader), 0x07060504);
	assert_false(reader_is_finished(&reader));
	assert_true(reader_le64(&reader) == 0x0f0e0d0c0b0a0908u);
	assert_true(reader_is_ok(&reader));
	assert_true(reader_is_finished(&reader));
}

static uint64_t read_number(struct reader *reader, size_t bytes)
{
	switch (bytes) {
	case 1:
		return reader_u8(reader);
	case 2:
		return reader_le16(reader);
	case 4:
		return reader_le32(reader);
	default:
		return reader_le64(reader);
	}
}

static void test_reader_gives_zero_and_sticks_when_bytes_are_missing(void **state)
{
	static const struct {
		size_t number_bytes, there_bytes;
	} rows[] = {{1, 0}, {2, 0}, {2, 1}, {4, 0}, {4, 3}, {8, 0}, {8, 7}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct reader reader = reader_over(numbers, rows[i].there_bytes);

		assert_true(read_number(&reader, rows[i].number_bytes) == 0);
		assert_false(reader_is_ok(&reader));
		assert_false(reader_is_finished(&reader));
		/* A shorter field would have fitted before. */
		assert_int_equal(reader_u8(&reader), 0);
		assert_null(reader_bytes(&reader, 0));
		assert_false(reader_is_ok(&reader));
	}
}

static void test_reader_returns_bytes_in_place_when_enough_are_left(void **state)
{
	struct reader reader = reader_over(numbers, sizeof(numbers));

	(void)state;
	reader_skip(&reader, 3);
	assert_ptr_equal(reader_bytes(&reader, 5), numbers + 3);
	assert_ptr_equal(reader_bytes(&reader, 7), numbers + 8);
	assert_non_null(reader_bytes(&reader, 0));
	assert_true(reader_is_finished(&reader));
	assert_null(reader_bytes(&reader, 1));
	assert_false(reader_is_ok(&reader));
}

static void test_reader_fails_when_a_length_is_enormous(void **state)
{
	struct reader reader = reader_over(numbers, sizeof(numbers));

	(void)state;
	reader_skip(&reader, 1);
	reader_skip(&reader, SIZE_MAX);
	assert_false(reader_is_ok(&reader));
}

static void test_reader_copies_or_zeroes_when_asked_for_a_copy(void **state)
{
	struct reader reader = reader_over(numbers, 6);
	uint8_t copy[4];

	(void)state;
	reader_copy(&reader, copy, sizeof(copy));
	assert_memory_equal(copy, numbers, sizeof(copy));
	assert_true(reader_is_ok(&reader));
	reader_copy(&reader, copy, sizeof(copy));
	assert_memory_equal(copy, "\0\0\0\0", sizeof(copy));
	assert_false(reader_is_ok(&reader));
}

static void test_reader_is_finished_when_it_is_over_nothing(void **state)
{
	struct reader reader = reader_over(NULL, 0);

	(void)state;
	assert_true(reader_is_finished(&reader));
	reader_skip(&reader, 0);
	reader_copy(&reader, NULL, 0);
	assert_non_null(reader_bytes(&reader, 0));
	assert_true(reader_is_finished(&reader));
	assert_int_equal(reader_u8(&reader), 0);
	assert_false(reader_is_ok(&reader));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader_gives_numbers_when_all_are_there),
		cmocka_unit_test(test_reader_gives_zero_and_sticks_when_bytes_are_missing),
		cmocka_unit_test(test_reader_returns_bytes_in_place_when_enough_are_left),
		cmocka_unit_test(test_reader_fails_when_a_length_is_enormous),
		cmocka_unit_test(test_reader_copies_or_zeroes_when_asked_for_a_copy),
		cmocka_unit_test(test_reader_is_finished_when_it_is_over_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
