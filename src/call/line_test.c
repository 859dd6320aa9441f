/*
 * Lines of text: quoting, names of flags, and where they are cut.
 */
#include "call/line.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

static void test_line_is_cut_when_its_room_ends(void **state)
{
	static const struct {
		size_t room;
		const char *expected;
	} rows[] = {{1, ""}, {2, "a"}, {6, "abcde"}, {9, "abcdefgh"}, {20, "abcdefgh12"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char text[32];
		struct call_line line = call_line_over(text, rows[i].room);

		call_line_add(&line, "abcd");
		call_line_add(&line, "%s", "");
		call_line_add(&line, "%s%d", "efgh", 12);
		assert_string_equal(text, rows[i].expected);
		assert_int_equal(line.used, strlen(rows[i].expected));
	}
}

static void test_bytes_are_escaped_when_they_are_no_text(void **state)
{
	static const struct {
		const char *bytes;
		size_t count;
		const char *expected;
	} rows[] = {
		{"", 0, "\"\""},
		{"abc~ ", 5, "\"abc~ \""},
		{"a\n\t\rb", 5, "\"a\\n\\t\\rb\""},
		{"\"\\", 2, "\"\\\"\\\\\""},
		{"\0", 1, "\"\\0\""},
		/* An octal digit after it would belong to it. */
		{"\0"
		 "1",
			2, "\"\\0001\""},
		{"\0"
		 "8",
			2, "\"\\08\""},
		{"\x1b\x7f\xff", 3, "\"\\33\\177\\377\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char text[64];
		struct call_line line = call_line_over(text, sizeof(text));

		call_line_add_quoted(&line, (const uint8_t *)rows[i].bytes, rows[i].count);
		assert_string_equal(text, rows[i].expected);
	}
}

static void test_names_are_those_of_the_bits(void **state)
{
	static const struct {
		const struct call_names *names;
		uint32_t value;
		const char *expected;
	} rows[] = {
		{&call_names_open, O_RDONLY, "O_RDONLY"},
		{&call_names_open, O_RDONLY | O_CLOEXEC, "O_RDONLY|O_CLOEXEC"},
		{&call_names_open, O_RDWR | O_CREAT | O_TRUNC, "O_RDWR|O_CREAT|O_TRUNC"},
		{&call_names_open, O_WRONLY | O_SYNC, "O_WRONLY|O_SYNC"},
		{&call_names_open, O_WRONLY | O_DSYNC, "O_WRONLY|O_DSYNC"},
		{&call_names_open, O_RDWR | O_TMPFILE, "O_RDWR|O_TMPFILE"},
		{&call_names_open, O_DIRECTORY, "O_RDONLY|O_DIRECTORY"},
		{&call_names_open, O_ACCMODE, "0x3"},
		{&call_names_open, O_WRONLY | 1u << 30, "O_WRONLY|0x40000000"},
		{&call_names_at, 0, "0"},
		{&call_names_access, F_OK, "F_OK"},
		{&call_names_access, R_OK | X_OK, "R_OK|X_OK"},
		{&call_names_socket, SOCK_DGRAM | SOCK_NONBLOCK, "SOCK_DGRAM|SOCK_NONBLOCK"},
		{&call_names_socket, SOCK_SEQPACKET, "SOCK_SEQPACKET"},
		{&call_names_family, 77, "0x4d"},
		{&call_names_seek, SEEK_SET, "SEEK_SET"},
		{NULL, 0, "0"},
		{NULL, 5, "0x5"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char text[128];
		struct call_line line = call_line_over(text, sizeof(text));

		call_line_add_names(&line, rows[i].names, rows[i].value);
		assert_string_equal(text, rows[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_is_cut_when_its_room_ends),
		cmocka_unit_test(test_bytes_are_escaped_when_they_are_no_text),
		cmocka_unit_test(test_names_are_those_of_the_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
