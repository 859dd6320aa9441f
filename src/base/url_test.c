#include "base/cleanup.h"
#include "base/url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LABEL_63 "abcdefghijklmnopqrstuvwxyz0123456789-abcdefghijklmnopqrstuvwxyz"
#define LABEL_61 "abcdefghijklmnopqrstuvwxyz0123456789-abcdefghijklmnopqrstuvwx"
#define NAME_253 LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_61

static void test_url_address_is_split_when_well_formed(void **state)
{
	static const struct {
		const char *text, *host;
		bool has_port;
		uint16_t port;
		const char *shown;
	} rows[] = {
		{"127.0.0.1", "127.0.0.1", false, 0, "127.0.0.1"},
		{"127.0.0.1:4420", "127.0.0.1", true, 4420, "127.0.0.1:4420"},
		{"host:0", "host", true, 0, "host:0"},
		{"host:00080", "host", true, 80, "host:80"},
		{"Disk-1.example_net.:65535", "Disk-1.example_net.", true, 65535,
			"Disk-1.example_net.:65535"},
		{"1a.b2", "1a.b2", false, 0, "1a.b2"},
		{"[::1]:4420", "::1", true, 4420, "[::1]:4420"},
		{"[::1]", "::1", false, 0, "[::1]"},
		{"::1", "::1", false, 0, "[::1]"},
		{"::", "::", false, 0, "[::]"},
		{"::ffff:1.2.3.4", "::ffff:1.2.3.4", false, 0, "[::ffff:1.2.3.4]"},
		{"fe80::1%eth0.7", "fe80::1%eth0.7", false, 0, "[fe80::1%eth0.7]"},
		{"[fe80::1%2]:1", "fe80::1%2", true, 1, "[fe80::1%2]:1"},
		{NAME_253 ":65535", NAME_253, true, 65535, NAME_253 ":65535"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const char *problem = NULL;
		char shown[URL_ADDRESS_TEXT_MAX];
		struct url_address address;

		assert_int_equal(url_address_parse(rows[i].text, &address, &problem), 0);
		assert_null(problem);
		assert_string_equal(address.host, rows[i].host);
		assert_int_equal(address.has_port, rows[i].has_port);
		assert_int_equal(address.port, rows[i].port);
		url_address_to_text(&address, shown);
		assert_string_equal(shown, rows[i].shown);
	}
}

static void test_url_address_is_refused_with_a_reason_when_malformed(void **state)
{
	static const struct {
		const char *text, *problem;
	} rows[] = {
		{"", "the host is missing"},
		{":4420", "the host is missing"},
		{"host:", "the port is not a number from 0 to 65535"},
		{"host:65536", "the port is not a number from 0 to 65535"},
		{"host:http", "the port is not a number from 0 to 65535"},
		{"host:-1", "the port is not a number from 0 to 65535"},
		{"host: 1", "the port is not a number from 0 to 65535"},
		{"[::1", "the closing bracket is missing"},
		{"[]:1", "only an IPv6 address goes in brackets"},
		{"[host]:1", "only an IPv6 address goes in brackets"},
		{"[127.0.0.1]:1", "only an IPv6 address goes in brackets"},
		{"[::1]4420", "only a colon and a port may follow the host"},
		{"[::1]]", "only a colon and a port may follow the host"},
		{"[:::1]", "the host is not an IPv6 address"},
		{"host:1:2", "the host is not an IPv6 address"},
		{"::1%", "the host is not an IPv6 address"},
		{"::1%a b", "the host is not an IPv6 address"},
		{"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
			"the host is not an IPv6 address"},
		{"4420", "the host is not an IPv4 address"},
		{"1.2.3", "the host is not an IPv4 address"},
		{"256.1.1.1", "the host is not an IPv4 address"},
		{"host.1", "the host is not an IPv4 address"},
		{"user@host", "the host has a character that no name has"},
		{"ho st", "the host has a character that no name has"},
		{"h\xc3\xb6st", "the host has a character that no name has"},
		{".host", "a part of the host name is empty or too long"},
		{"a..b", "a part of the host name is empty or too long"},
		{"host..", "a part of the host name is empty or too long"},
		{LABEL_63 "x", "a part of the host name is empty or too long"},
		{NAME_253 ".xx", "the host is too long"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const char *problem = "";
		struct url_address address = {.host = "untouched"};

		assert_int_equal(url_address_parse(rows[i].text, &address, &problem), -EINVAL);
		assert_string_equal(problem, rows[i].problem);
		assert_string_equal(address.host, "untouched");
	}
}

static void test_url_is_split_when_well_formed(void **state)
{
	static const struct {
		const char *text, *scheme, *host;
		bool has_port;
		uint16_t port;
		const char *path;
	} rows[] = {
		{"nvme-tcp://host/nqn.2014-08.org:x", "nvme-tcp", "host", false, 0,
			"nqn.2014-08.org:x"},
		{"NVMe-TCP://[::1]:4420/A/b", "nvme-tcp", "::1", true, 4420, "A/b"},
		{"tcp://host:9", "tcp", "host", true, 9, ""},
		{"tcp://host:9/", "tcp", "host", true, 9, ""},
		{"tcp://host//x", "tcp", "host", false, 0, "/x"},
		{"tcp://h/a%20b?c#d \xc3\xa9", "tcp", "h", false, 0, "a%20b?c#d \xc3\xa9"},
		{"unix:///run/ferry.sock", "unix", "", false, 0, "/run/ferry.sock"},
		{"unix://ferry.sock", "unix", "", false, 0, "ferry.sock"},
		{"a+b.c-1://h", "a+b.c-1", "h", false, 0, ""},
		{"abcdefghijklmno://h", "abcdefghijklmno", "h", false, 0, ""},
		{"tcp://" NAME_253 ":65535/x", "tcp", NAME_253, true, 65535, "x"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const char *problem = NULL;
		struct url url;

		assert_true(url_is_url(rows[i].text));
		assert_int_equal(url_parse(rows[i].text, &url, &problem), 0);
		assert_null(problem);
		assert_string_equal(url.scheme, rows[i].scheme);
		assert_string_equal(url.address.host, rows[i].host);
		assert_int_equal(url.address.has_port, rows[i].has_port);
		assert_int_equal(url.address.port, rows[i].port);
		assert_string_equal(url.path, rows[i].path);
	}
}

static void test_url_is_refused_with_a_reason_when_malformed(void **state)
{
	static const struct {
		const char *text, *problem;
		bool is_url;
	} rows[] = {
		{"", "it does not begin with a scheme and ://", false},
		{"host", "it does not begin with a scheme and ://", false},
		{"host:4420", "it does not begin with a scheme and ://", false},
		{"://host", "it does not begin with a scheme and ://", false},
		{"1tcp://host", "it does not begin with a scheme and ://", false},
		{"t_p://host", "it does not begin with a scheme and ://", false},
		{"tcp:/host", "it does not begin with a scheme and ://", false},
		{"/srv/tcp://host", "it does not begin with a scheme and ://", false},
		{"abcdefghijklmnop://h", "the scheme is too long", true},
		{"tcp://", "the host is missing", true},
		{"tcp:///path", "the host is missing", true},
		{"tcp://:1/path", "the host is missing", true},
		{"tcp://host:x/path", "the port is not a number from 0 to 65535", true},
		{"tcp://host?query", "the host has a character that no name has", true},
		{"tcp://host/a\nb", "the path has a control character", true},
		{"tcp://host/a\x7f", "the path has a control character", true},
		{"tcp://" NAME_253 LABEL_63 "/", "the host is too long", true},
		{"unix://", "the path is missing", true},
		{"unix:///a\tb", "the path has a control character", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const char *problem = "";
		struct url url = {.path = "untouched"};

		assert_int_equal(url_is_url(rows[i].text), rows[i].is_url);
		assert_int_equal(url_parse(rows[i].text, &url, &problem), -EINVAL);
		assert_string_equal(problem, rows[i].problem);
		assert_string_equal(url.path, "untouched");
	}
}

static void test_url_path_is_refused_when_it_does_not_fit(void **state)
{
	static const char *const starts[] = {"tcp://host/", "unix://"};
	char text[URL_PATH_MAX + 64];
	const char *problem = "";
	struct url url;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(starts); i++) {
		size_t length = strlen(starts[i]);

		memcpy(text, starts[i], length);
		memset(text + length, 'p', URL_PATH_MAX);
		text[length + URL_PATH_MAX - 1] = '\0';
		assert_int_equal(url_parse(text, &url, &problem), 0);
		assert_int_equal(strlen(url.path), URL_PATH_MAX - 1);
		text[length + URL_PATH_MAX - 1] = 'p';
		text[length + URL_PATH_MAX] = '\0';
		assert_int_equal(url_parse(text, &url, &problem), -EINVAL);
		assert_string_equal(problem, "the path is too long");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url_address_is_split_when_well_formed),
		cmocka_unit_test(test_url_address_is_refused_with_a_reason_when_malformed),
		cmocka_unit_test(test_url_is_split_when_well_formed),
		cmocka_unit_test(test_url_is_refused_with_a_reason_when_malformed),
		cmocka_unit_test(test_url_path_is_refused_when_it_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
