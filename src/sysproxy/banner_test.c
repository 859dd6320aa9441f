/*
 * Banners, ours and those of stock servers.
 */
#include "sysproxy/banner.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"

static void test_banner_parses_a_line_when_a_server_may_send_it(void **state)
{
	static const struct {
		const char *line;
		unsigned major, minor, extension;
		const char *os, *machine;
	} rows[] = {
		{"RUMPSP-0.4-NetBSD-7.99.34/amd64\n", 0, 4, 0, "NetBSD-7.99.34", "amd64"},
		{"RUMPSP-0.3-NetBSD-5.99.45/i386\n", 0, 3, 0, "NetBSD-5.99.45", "i386"},
		{"RUMPSP-0.4-Ferry-0.1.0/x86_64 FERRY-1\n", 0, 4, 1, "Ferry-0.1.0", "x86_64"},
		{"RUMPSP-0.4-Ferry-0.1.0/x86_64 FERRY-2 more\n", 0, 4, 2, "Ferry-0.1.0", "x86_64"},
		{"RUMPSP-0.4-X/y OTHER-1\n", 0, 4, 0, "X", "y"},
		{"RUMPSP-1.10-a/b/c\n", 1, 10, 0, "a/b", "c"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct banner banner;

		assert_int_equal(banner_parse(rows[i].line, strlen(rows[i].line), &banner), 0);
		assert_int_equal(banner.major, rows[i].major);
		assert_int_equal(banner.minor, rows[i].minor);
		assert_int_equal(banner.extension, rows[i].extension);
		assert_string_equal(banner.os, rows[i].os);
		assert_string_equal(banner.machine, rows[i].machine);
	}
}

static void test_banner_refuses_a_line_when_it_is_none(void **state)
{
	static const char *const lines[] = {"", "\n", "RUMPSP-0.4-NetBSD-7/amd64", "SSH-2.0-x/y\n",
		"RUMPSP-\n", "RUMPSP-0-x/y\n", "RUMPSP-.4-x/y\n", "RUMPSP-0.4x/y\n",
		"RUMPSP-0.4-noslash\n", "RUMPSP-0.4-x/y\r\n", "RUMPSP-0.4-x/y FERRY-\n",
		"RUMPSP-0.4-x/y FERRY-1a\n", "RUMPSP-0.4444-x/y\n"};
	static const char beginning[] = "RUMPSP-0.4-x/";
	char line[WIRE_BANNER_MAX + 2];
	struct banner banner;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++)
		assert_int_equal(banner_parse(lines[i], strlen(lines[i]), &banner), -EPROTO);
	memset(line, 'x', sizeof(line));
	memcpy(line, beginning, sizeof(beginning) - 1);
	line[WIRE_BANNER_MAX] = '\n';
	assert_int_equal(banner_parse(line, WIRE_BANNER_MAX + 1, &banner), -EPROTO);
	line[WIRE_BANNER_MAX - 1] = '\n';
	assert_int_equal(banner_parse(line, WIRE_BANNER_MAX, &banner), 0);
}

static void test_banner_fits_its_line_when_names_are_long(void **state)
{
	struct banner banner = {.minor = 4, .extension = 1}, back;
	char line[WIRE_BANNER_MAX + 1];
	size_t bytes;

	(void)state;
	memset(banner.os, 'o', sizeof(banner.os) - 1);
	memset(banner.machine, 'm', sizeof(banner.machine) - 1);
	bytes = banner_make(&banner, line);
	assert_in_range(bytes, 1, WIRE_BANNER_MAX);
	assert_int_equal(banner_parse(line, bytes, &back), 0);
	assert_int_equal(back.extension, 1);
	assert_string_equal(back.machine, banner.machine);
	assert_int_equal(back.minor, 4);
}

static void test_banner_is_what_stock_clients_know_when_nothing_is_announced(void **state)
{
	struct banner banner = {.minor = 4, .os = "Tree-1", .machine = "x86_64"};
	char line[WIRE_BANNER_MAX + 1];

	(void)state;
	assert_int_equal(banner_make(&banner, line), strlen("RUMPSP-0.4-Tree-1/x86_64\n"));
	assert_string_equal(line, "RUMPSP-0.4-Tree-1/x86_64\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_banner_parses_a_line_when_a_server_may_send_it),
		cmocka_unit_test(test_banner_refuses_a_line_when_it_is_none),
		cmocka_unit_test(test_banner_fits_its_line_when_names_are_long),
		cmocka_unit_test(test_banner_is_what_stock_clients_know_when_nothing_is_announced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
