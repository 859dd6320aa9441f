#include "base/cleanup.h"
#include "base/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_writer_lays_numbers_down_little_endian_when_there_is_room(void **state)
{
	static const uint8_t expected[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
		0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0, 0, 0, 'a', 'b'};
	uint8_t buffer[sizeof(expected)];
	struct writer writer = writer_over(buffer, sizeof(buffer));

	(void)state;
	memset(buffer, 0xff, sizeof(buffer));
	writer_u8(&writer, 0x01);
	writer_le16(&writer, 0x0302);
	writer_le32(&writer, 0x07060504);
	writer_le64(&writer, 0x0f0e0d0c0b0a0908);
	writer_zeros(&writer, 3);
	writer_copy(&writer, "ab", 2);
	assert_true(writer_is_ok(&writer));
	assert_int_equal(writer.used_bytes, sizeof(expected));
	assert_memory_equal(buffer, expected, sizeof(expected));
}

static void write_bytes(struct writer *writer, char how, size_t bytes)
{
	static const uint8_t source[16] = {0};

	if (how == 'z')
		writer_zeros(writer, bytes);
	else if (how == 'c')
		writer_copy(writer, source, bytes);
	else if (bytes == 1)
		writer_u8(writer, 0);
	else if (bytes == 2)
		writer_le16(writer, 0);
	else if (bytes == 4)
		writer_le32(writer, 0);
	else
		writer_le64(writer, 0);
}

static void test_writer_writes_nothing_and_sticks_when_room_is_missing(void **state)
{
	static const struct {
		char how;
		size_t bytes, room_bytes;
	} rows[] = {{'n', 1, 0}, {'n', 2, 1}, {'n', 4, 3}, {'n', 8, 7}, {'z', 5, 4}, {'c', 16, 15},
		{'z', SIZE_MAX, 15}, {'c', SIZE_MAX, 15}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint8_t buffer[16], untouched[16];
		struct writer writer = writer_over(buffer, rows[i].room_bytes + 1);

		memset(buffer, 0xff, sizeof(buffer));
		memset(untouched, 0xff, sizeof(untouched));
		writer_u8(&writer, 0xff);
		write_bytes(&writer, rows[i].how, rows[i].bytes);
		assert_false(writer_is_ok(&writer));
		/* This would have fitted. */
		writer_zeros(&writer, rows[i].room_bytes);
		assert_false(writer_is_ok(&writer));
		assert_int_equal(writer.used_bytes, 1);
		assert_memory_equal(buffer, untouched, sizeof(buffer));
	}
}

static void test_writer_is_ok_when_nothing_is_written_to_nothing(void **state)
{
	struct writer writer = writer_over(NULL, 0);

	(void)state;
	writer_zeros(&writer, 0);
	writer_copy(&writer, NULL, 0);
	assert_true(writer_is_ok(&writer));
	writer_u8(&writer, 1);
	assert_false(writer_is_ok(&writer));
	assert_int_equal(writer.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writer_lays_numbers_down_little_endian_when_there_is_room),
		cmocka_unit_test(test_writer_writes_nothing_and_sticks_when_room_is_missing),
		cmocka_unit_test(test_writer_is_ok_when_nothing_is_written_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
