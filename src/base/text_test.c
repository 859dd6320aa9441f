#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define UNTOUCHED 0xdead

static void test_text_gives_a_number_or_the_reason_when_parsed(void **state)
{
	static const struct {
		const char *text;
		uint64_t minimum, maximum;
		int result;
		uint64_t value;
	} rows[] = {
		{"0", 0, 10, 0, 0},
		{"10", 1, 10, 0, 10},
		{"007", 0, 10, 0, 7},
		{"18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX},
		{"0", 1, 10, -ERANGE, UNTOUCHED},
		{"11", 1, 10, -ERANGE, UNTOUCHED},
		{"18446744073709551616", 0, UINT64_MAX, -ERANGE, UNTOUCHED},
		{"99999999999999999999999", 0, UINT64_MAX, -ERANGE, UNTOUCHED},
		{"99999999999999999999999x", 0, UINT64_MAX, -EINVAL, UNTOUCHED},
		{"", 0, 10, -EINVAL, UNTOUCHED},
		{" 1", 0, 10, -EINVAL, UNTOUCHED},
		{"1 ", 0, 10, -EINVAL, UNTOUCHED},
		{"+1", 0, 10, -EINVAL, UNTOUCHED},
		{"-1", 0, UINT64_MAX, -EINVAL, UNTOUCHED},
		{"0x1", 0, 10, -EINVAL, UNTOUCHED},
		{"1.0", 0, 10, -EINVAL, UNTOUCHED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint64_t value = UNTOUCHED;

		assert_int_equal(text_parse_number(rows[i].text, rows[i].minimum, rows[i].maximum,
					 &value),
			rows[i].result);
		assert_true(value == rows[i].value);
	}
}

static void test_text_gives_a_size_or_the_reason_when_parsed(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t bytes;
	} rows[] = {
		{"0", 0, 0},
		{"512", 0, 512},
		{"4K", 0, 4096},
		{"4k", 0, 4096},
		{"1M", 0, 1 << 20},
		{"1MiB", 0, 1 << 20},
		{"1mb", 0, 1 << 20},
		{"3G", 0, (uint64_t)3 << 30},
		{"2TiB", 0, (uint64_t)2 << 40},
		{"5P", 0, (uint64_t)5 << 50},
		{"8191P", 0, (uint64_t)8191 << 50},
		{"9223372036854775807", 0, INT64_MAX},
		{"8192P", -ERANGE, UNTOUCHED},
		{"9223372036854775808", -ERANGE, UNTOUCHED},
		{"18446744073709551617K", -ERANGE, UNTOUCHED},
		{"", -EINVAL, UNTOUCHED},
		{"K", -EINVAL, UNTOUCHED},
		{"1E", -EINVAL, UNTOUCHED},
		{"1 K", -EINVAL, UNTOUCHED},
		{"1Ki", -EINVAL, UNTOUCHED},
		{"1KBB", -EINVAL, UNTOUCHED},
		{"1iB", -EINVAL, UNTOUCHED},
		{"1B", -EINVAL, UNTOUCHED},
		{"1.5G", -EINVAL, UNTOUCHED},
		{"-1K", -EINVAL, UNTOUCHED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint64_t bytes = UNTOUCHED;

		assert_int_equal(text_parse_size(rows[i].text, &bytes), rows[i].result);
		assert_true(bytes == rows[i].bytes);
	}
}

static void test_text_shows_a_size_when_it_is_large_or_small(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *expected;
	} rows[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1 KiB"},
		{1536, "1.5 KiB"},
		{64 << 20, "64 MiB"},
		{(64 << 20) + 1, "64 MiB"},
		{((uint64_t)1 << 40) - 1, "1023.9 GiB"},
		{(uint64_t)3 << 49, "1.5 PiB"},
		{UINT64_MAX, "15.9 EiB"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char text[TEXT_SIZE_MAX];

		text_from_size(rows[i].bytes, text);
		assert_string_equal(text, rows[i].expected);
	}
}

static void test_text_is_padded_or_cut_when_put_in_a_field(void **state)
{
	static const struct {
		const char *text;
		char pad;
		const char *expected;
	} rows[] = {{"", ' ', "    "}, {"ab", ' ', "ab  "}, {"abcd", ' ', "abcd"},
		{"abcde", ' ', "abcd"}, {"ab", '\0', "ab\0\0"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char field[5] = "#####";

		text_to_field(field, 4, rows[i].text, rows[i].pad);
		assert_memory_equal(field, rows[i].expected, 4);
		assert_int_equal(field[4], '#');
	}
}

static void test_text_loses_padding_and_controls_when_taken_from_a_field(void **state)
{
	static const struct {
		const char *field, *expected;
	} rows[] = {{"\0\0\0\0", ""}, {"    ", ""}, {"ab  ", "ab"}, {"ab\0\0", "ab"},
		{"ab\0 ", "ab"}, {" abc", " abc"}, {"a\0b\0", "a?b"}, {"a\nb\x7f", "a?b?"},
		{"\xc3\xa9~!", "??~!"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char text[5];

		text_from_field(text, rows[i].field, 4);
		assert_string_equal(text, rows[i].expected);
	}
}

static void test_text_is_copied_when_it_fits(void **state)
{
	char to[4] = "xyz";

	(void)state;
	assert_true(text_copy(to, sizeof(to), "abc"));
	assert_string_equal(to, "abc");
	assert_true(text_copy(to, sizeof(to), ""));
	assert_string_equal(to, "");
	to[0] = 'x';
	assert_false(text_copy(to, sizeof(to), "abcd"));
	assert_string_equal(to, "");
	to[0] = 'x';
	assert_false(text_copy(to, 0, ""));
	assert_int_equal(to[0], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_gives_a_number_or_the_reason_when_parsed),
		cmocka_unit_test(test_text_gives_a_size_or_the_reason_when_parsed),
		cmocka_unit_test(test_text_shows_a_size_when_it_is_large_or_small),
		cmocka_unit_test(test_text_is_padded_or_cut_when_put_in_a_field),
		cmocka_unit_test(test_text_loses_padding_and_controls_when_taken_from_a_field),
		cmocka_unit_test(test_text_is_copied_when_it_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
