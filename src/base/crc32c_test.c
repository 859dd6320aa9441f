#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef uint32_t routine(uint32_t crc, const void *from, size_t bytes);

static routine *const routines[] = {crc32c, crc32c_by_table};

/* The definition, bit by bit. */
static uint32_t crc32c_by_bits(const uint8_t *from, size_t bytes)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < 8 * bytes; i++) {
		uint32_t bit = (crc ^ (uint32_t)from[i / 8] >> i % 8) & 1;

		crc = crc >> 1 ^ (bit != 0 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* RFC 3720, B.4, and the customary check value. */
static void test_crc32c_gives_the_published_values_when_fed_them(void **state)
{
	static const uint8_t zeros[32];
	uint8_t ones[32], rising[32], falling[32];
	const struct {
		const void *from;
		size_t bytes;
		uint32_t expected;
	} rows[] = {
		{"", 0, 0},
		{"123456789", 9, 0xe3069283},
		{zeros, 32, 0x8a9136aa},
		{ones, 32, 0x62a8ab43},
		{rising, 32, 0x46dd794e},
		{falling, 32, 0x113fdb5c},
	};

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (uint8_t i = 0; i < 32; i++) {
		rising[i] = i;
		falling[i] = (uint8_t)(31 - i);
	}
	for (size_t way = 0; way < ARRAY_LENGTH(routines); way++)
		for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
			assert_true(
				routines[way](0, rows[i].from, rows[i].bytes) == rows[i].expected);
}

static void test_crc32c_follows_its_definition_when_length_and_alignment_vary(void **state)
{
	struct random random;
	uint8_t bytes[600];

	(void)state;
	random_init(&random, 1);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)random_next(&random);
	for (size_t length = 0; length <= 520; length += length < 80 ? 1 : 37)
		for (size_t offset = 0; offset < 9; offset++) {
			uint32_t expected = crc32c_by_bits(bytes + offset, length);

			assert_true(crc32c(0, bytes + offset, length) == expected);
			assert_true(crc32c_by_table(0, bytes + offset, length) == expected);
		}
}

static void test_crc32c_does_not_depend_on_pieces_when_continued(void **state)
{
	static const char text[] = "a data digest that comes in as many pieces as reads";
	size_t bytes = sizeof(text) - 1;

	(void)state;
	for (size_t way = 0; way < ARRAY_LENGTH(routines); way++)
		for (size_t cut = 0; cut <= bytes; cut++) {
			uint32_t crc = routines[way](0, text, cut);

			crc = routines[way](crc, text + cut, bytes - cut);
			assert_true(crc == crc32c_by_bits((const uint8_t *)text, bytes));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc32c_gives_the_published_values_when_fed_them),
		cmocka_unit_test(test_crc32c_follows_its_definition_when_length_and_alignment_vary),
		cmocka_unit_test(test_crc32c_does_not_depend_on_pieces_when_continued),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
