#include "base/cleanup.h"
#include "base/uuid.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t rising[UUID_BYTES] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x10,
	0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe};

static void test_uuid_is_parsed_when_written_in_either_case(void **state)
{
	static const char *const rows[] = {"01234567-89ab-cdef-1032-547698badcfe",
		"01234567-89AB-CDEF-1032-547698BAdcfe"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint8_t uuid[UUID_BYTES];
		char text[UUID_TEXT_BYTES];

		assert_int_equal(uuid_from_text(rows[i], uuid), 0);
		assert_memory_equal(uuid, rising, UUID_BYTES);
		uuid_to_text(uuid, text);
		assert_string_equal(text, rows[0]);
	}
}

static void test_uuid_is_refused_when_malformed(void **state)
{
	static const char *const rows[] = {
		"",
		"01234567-89ab-cdef-1032-547698badcf",
		"01234567-89ab-cdef-1032-547698badcfe0",
		"01234567-89ab-cdef-1032-547698badcfg",
		"0123456789ab-cdef-1032-547698badcfe00",
		"01234567-89ab-cdef-1032-547698badcf ",
		"01234567-89ab-cdef-103-2547698badcfe",
		"{01234567-89ab-cdef-1032-547698badcfe}",
		"0123456789abcdef1032547698badcfe",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint8_t uuid[UUID_BYTES];

		memcpy(uuid, rising, sizeof(uuid));
		assert_int_equal(uuid_from_text(rows[i], uuid), -EINVAL);
		assert_memory_equal(uuid, rising, sizeof(uuid));
	}
}

/* The expected values are those of Python's uuid.uuid5(). */
static void test_uuid_is_always_the_same_when_made_from_a_name(void **state)
{
	static const struct {
		const char *name, *expected;
	} rows[] = {
		{"", "056a36d4-3a01-5a7d-9d0e-ad8f00d3e89f"},
		{"disk.img", "8ba28127-2ba2-54a4-944b-5ddd726b99a8"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint8_t uuid[UUID_BYTES];
		char text[UUID_TEXT_BYTES];

		uuid_from_name(rows[i].name, strlen(rows[i].name), uuid);
		uuid_to_text(uuid, text);
		assert_string_equal(text, rows[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uuid_is_parsed_when_written_in_either_case),
		cmocka_unit_test(test_uuid_is_refused_when_malformed),
		cmocka_unit_test(test_uuid_is_always_the_same_when_made_from_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
