/*
 * What stands on the command line of `ferry call`.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cmd/hand_argument.h"

static void test_argument_is_a_number_when_it_looks_like_one(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} rows[] = {
		{"0", 0},
		{"123", 123},
		{"0x7b", 123},
		{"0644", 0644},
		{"-1", UINT64_MAX},
		{"18446744073709551615", UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct hand_argument argument;
		const char *problem;

		assert_int_equal(hand_argument_init(&argument, rows[i].text, &problem), 0);
		assert_int_equal(argument.kind, HAND_ARGUMENT_NUMBER);
		assert_int_equal(argument.value, rows[i].value);
		assert_null(argument.memory);
		hand_argument_deinit(&argument);
	}
}

static void test_argument_is_a_string_when_it_is_nothing_else(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"/hello", "/hello"},
		{"", ""},
		{"-", "-"},
		{"-x", "-x"},
		{"12a", "12a"},
		{"18446744073709551616", "18446744073709551616"},
		{"=123", "123"},
		{"=", ""},
		{"==", "="},
		{"=[5]", "[5]"},
		{"=@file", "@file"},
		{"=,", ","},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct hand_argument argument;
		const char *problem;

		assert_int_equal(hand_argument_init(&argument, rows[i].text, &problem), 0);
		assert_int_equal(argument.kind, HAND_ARGUMENT_BYTES);
		assert_int_equal(argument.value, (uintptr_t)argument.memory);
		assert_int_equal(argument.bytes, strlen(rows[i].expected) + 1);
		assert_string_equal((const char *)argument.memory, rows[i].expected);
		hand_argument_deinit(&argument);
	}
}

static void test_argument_is_room_when_in_brackets(void **state)
{
	static const struct {
		const char *text;
		size_t bytes;
	} rows[] = {{"[0]", 0}, {"[1]", 1}, {"[0x10]", 16}, {"[67108864]", HAND_ROOM_MAX}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct hand_argument argument;
		const char *problem;

		assert_int_equal(hand_argument_init(&argument, rows[i].text, &problem), 0);
		assert_int_equal(argument.kind, HAND_ARGUMENT_ROOM);
		assert_int_equal(argument.bytes, rows[i].bytes);
		for (size_t j = 0; j < rows[i].bytes && j < 16; j++)
			assert_int_equal(argument.memory[j], 0);
		hand_argument_deinit(&argument);
	}
}

static void test_argument_is_refused_when_it_is_wrong(void **state)
{
	static const char *const rows[] = {"[", "[]", "[x]", "[1", "[1]x", "[-1]", "[67108865]",
		"[99999999999999999999]", "@", "@/nonexistent/file", "@/dev/null", "@/"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct hand_argument argument;
		const char *problem = NULL;

		assert_true(hand_argument_init(&argument, rows[i], &problem) < 0);
		assert_non_null(problem);
		hand_argument_deinit(&argument);
	}
}

static void test_argument_is_the_contents_when_it_names_a_file(void **state)
{
	static const uint8_t contents[] = {0, 1, '\n', 0xff, 0};
	char path[] = "@/tmp/ferry-call-XXXXXX";
	struct hand_argument argument;
	const char *problem;
	int fd = mkstemp(path + 1);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, contents, sizeof(contents)), sizeof(contents));
	(void)close(fd);
	assert_int_equal(hand_argument_init(&argument, path, &problem), 0);
	(void)unlink(path + 1);
	assert_int_equal(argument.kind, HAND_ARGUMENT_BYTES);
	assert_int_equal(argument.bytes, sizeof(contents));
	assert_memory_equal(argument.memory, contents, sizeof(contents));
	hand_argument_deinit(&argument);
}

static void test_number_is_found_when_a_call_is_named(void **state)
{
	static const struct {
		const char *name;
		enum call_numbering numbering;
		long number; /* -1: there is none */
	} rows[] = {
		{"getpid", NUMBERING_LINUX, SYS_getpid},
		{"openat", NUMBERING_LINUX, SYS_openat},
		{"getpid", NUMBERING_NETBSD, 20},
		{"pwrite", NUMBERING_NETBSD, 174},
		{"pwrite", NUMBERING_LINUX, -1},
		{"pwrite64", NUMBERING_NETBSD, -1},
		{"0", NUMBERING_LINUX, 0},
		{"0x10", NUMBERING_NETBSD, 16},
		{"4294967295", NUMBERING_LINUX, 4294967295},
		{"4294967296", NUMBERING_LINUX, -1},
		{"-1", NUMBERING_LINUX, -1},
		{"1x", NUMBERING_LINUX, -1},
		{"", NUMBERING_LINUX, -1},
		{"nonsense", NUMBERING_LINUX, -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint32_t number = 77;
		bool is_found = call_number_of(rows[i].name, rows[i].numbering, &number);

		assert_int_equal(is_found, rows[i].number >= 0);
		assert_int_equal(number, rows[i].number >= 0 ? rows[i].number : 77);
	}
}

static void test_error_has_a_name_when_both_kernels_mean_the_same(void **state)
{
	(void)state;
	assert_string_equal(call_error_name(ENOENT, NUMBERING_LINUX), "ENOENT");
	assert_string_equal(call_error_name(ENOSYS, NUMBERING_LINUX), "ENOSYS");
	assert_null(call_error_name(4000, NUMBERING_LINUX));
	assert_string_equal(call_error_name(ENOENT, NUMBERING_NETBSD), "ENOENT");
	assert_string_equal(call_error_name(ERANGE, NUMBERING_NETBSD), "ERANGE");
	assert_null(call_error_name(EAGAIN, NUMBERING_NETBSD));
	assert_null(call_error_name(78, NUMBERING_NETBSD));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_argument_is_a_number_when_it_looks_like_one),
		cmocka_unit_test(test_argument_is_a_string_when_it_is_nothing_else),
		cmocka_unit_test(test_argument_is_room_when_in_brackets),
		cmocka_unit_test(test_argument_is_refused_when_it_is_wrong),
		cmocka_unit_test(test_argument_is_the_contents_when_it_names_a_file),
		cmocka_unit_test(test_number_is_found_when_a_call_is_named),
		cmocka_unit_test(test_error_has_a_name_when_both_kernels_mean_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
