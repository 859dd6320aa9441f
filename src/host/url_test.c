#include "host/url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

static void test_host_url_parses_when_it_is_right(void **state)
{
	static const struct {
		const char *text;
		const char *host;
		uint16_t port;
		const char *nqn;
		uint32_t nsid;
	} rows[] = {
		{"nvme-tcp://127.0.0.1/nqn.2014-08.org.example:a", "127.0.0.1", 4420,
			"nqn.2014-08.org.example:a", 1},
		{"nvme-tcp://box:4421/nqn.x:y/7", "box", 4421, "nqn.x:y", 7},
		{"nvme-tcp://[fe80::1%eth0]/nqn.x:y/4294967294", "fe80::1%eth0", 4420, "nqn.x:y",
			4294967294},
		{"NVME-TCP://[::1]:0/nqn.x:a/b", "::1", 0, "nqn.x:a/b", 1},
		{"nvme-tcp://h/nqn.x:a/b/3", "h", 4420, "nqn.x:a/b", 3},
		{"nvme-tcp://h/12", "h", 4420, "12", 1},
		{"nvme-tcp://h/nqn.x:a/3x", "h", 4420, "nqn.x:a/3x", 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const char *problem = NULL;
		struct host_url url;

		assert_int_equal(host_url_parse(rows[i].text, &url, &problem), 0);
		assert_string_equal(url.address.host, rows[i].host);
		assert_int_equal(url.address.port, rows[i].port);
		assert_true(url.address.has_port);
		assert_string_equal(url.nqn, rows[i].nqn);
		assert_int_equal(url.nsid, rows[i].nsid);
	}
}

static void test_host_url_says_what_is_wrong_when_it_is_refused(void **state)
{
	static const struct {
		const char *text;
		const char *problem;
	} rows[] = {
		{"disk.img", "scheme"},
		{"tcp://h:1/nqn.x:y", "nvme-tcp://"},
		{"nvme-tcp://h", "NQN is missing"},
		{"nvme-tcp://h/", "NQN is missing"},
		{"nvme-tcp://h//5", "NQN is missing"},
		{"nvme-tcp://h/nqn.x:y/0", "NSID"},
		{"nvme-tcp://h/nqn.x:y/4294967295", "NSID"},
		{"nvme-tcp://h:99999/nqn.x:y", "port"},
		{"nvme-tcp:///nqn.x:y", "host is missing"},
		{"nvme-tcp://h/nqn.x:\xff", "UTF-8"},
	};
	char text[300] = "nvme-tcp://h/";
	const char *problem = NULL;
	struct host_url url;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(host_url_parse(rows[i].text, &url, &problem), -EINVAL);
		if (strstr(problem, rows[i].problem) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", problem, rows[i].problem);
	}
	memset(text + strlen(text), 'n', 224);
	assert_int_equal(host_url_parse(text, &url, &problem), -EINVAL);
	assert_non_null(strstr(problem, "longer than 223"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_url_parses_when_it_is_right),
		cmocka_unit_test(test_host_url_says_what_is_wrong_when_it_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
