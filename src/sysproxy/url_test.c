/*
 * URLs of sysproxy servers.
 */
#include "sysproxy/url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

static void test_url_is_parsed_when_it_is_legal(void **state)
{
	static const struct {
		const char *text;
		enum sysproxy_url_kind kind;
		const char *again; /* NULL: as it was */
	} rows[] = {
		{"unix:///run/ferry.sock", SYSPROXY_URL_UNIX, NULL},
		{"tcp://127.0.0.1:7000", SYSPROXY_URL_TCP, NULL},
		{"tcp://127.9.9.9:0", SYSPROXY_URL_TCP, NULL},
		{"tcp://[::1]:7000", SYSPROXY_URL_TCP, NULL},
		{"TCP://localhost:7000", SYSPROXY_URL_TCP, "tcp://localhost:7000"},
		{"fd://0", SYSPROXY_URL_FD, NULL},
		{"fd://0012", SYSPROXY_URL_FD, "fd://12"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct sysproxy_url url;
		const char *problem = "";

		if (sysproxy_url_parse(rows[i].text, &url, &problem) != 0)
			fail_msg("%s: %s", rows[i].text, problem);
		assert_int_equal(url.kind, rows[i].kind);
		assert_string_equal(url.text, rows[i].again != NULL ? rows[i].again : rows[i].text);
		assert_true(url.kind == SYSPROXY_URL_FD || url.address_count > 0);
	}
}

static void test_url_is_refused_with_a_sentence_when_it_is_not_legal(void **state)
{
	static const struct {
		const char *text;
		int error;
	} rows[] = {
		{"", -EINVAL},
		{"/run/ferry.sock", -EINVAL},
		{"unix://", -EINVAL},
		{"tcp://127.0.0.1", -EINVAL},
		{"tcp://127.0.0.1:7000/x", -EINVAL},
		{"tcp://127.0.0.1:70000", -EINVAL},
		{"tcp://0.0.0.0:7000", -EACCES},
		{"tcp://192.0.2.1:7000", -EACCES},
		{"tcp://[2001:db8::1]:7000", -EACCES},
		{"tcp://[::]:7000", -EACCES},
		{"nvme-tcp://127.0.0.1:7000", -EINVAL},
		{"fd://", -EINVAL},
		{"fd://-1", -EINVAL},
		{"fd://3x", -EINVAL},
		{"fd://99999999999", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct sysproxy_url url;
		const char *problem = NULL;

		if (sysproxy_url_parse(rows[i].text, &url, &problem) != rows[i].error)
			fail_msg("%s", rows[i].text);
		assert_non_null(problem);
	}
}

static void test_url_names_an_absolute_path_when_it_was_relative(void **state)
{
	char directory[4096], expected[5120];
	struct sysproxy_url url;
	const char *problem;

	(void)state;
	assert_int_equal(chdir("/tmp"), 0);
	assert_non_null(getcwd(directory, sizeof(directory)));
	assert_int_equal(sysproxy_url_parse("unix://ferry.sock", &url, &problem), 0);
	(void)snprintf(expected, sizeof(expected), "unix://%s/ferry.sock", directory);
	assert_string_equal(url.text, expected);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(sysproxy_url_parse("unix://ferry.sock", &url, &problem), 0);
	assert_string_equal(url.text, "unix:///ferry.sock");
}

static void test_url_has_at_most_107_bytes_of_path_when_it_is_a_unix_socket(void **state)
{
	char text[160] = "unix:///";
	struct sysproxy_url url;
	const char *problem;

	(void)state;
	memset(text + strlen(text), 'p', 106);
	assert_int_equal(sysproxy_url_parse(text, &url, &problem), 0);
	assert_int_equal(strlen(((struct sockaddr_un *)&url.addresses[0].storage)->sun_path), 107);
	text[strlen(text)] = 'p';
	assert_int_equal(sysproxy_url_parse(text, &url, &problem), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url_is_parsed_when_it_is_legal),
		cmocka_unit_test(test_url_is_refused_with_a_sentence_when_it_is_not_legal),
		cmocka_unit_test(test_url_names_an_absolute_path_when_it_was_relative),
		cmocka_unit_test(test_url_has_at_most_107_bytes_of_path_when_it_is_a_unix_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
