#include "kernel/linux_policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"

#define VALUES_MAX 3

/* A policy of values that are all right. */
static void lend(struct linux_policy *policy, const char *const values[VALUES_MAX])
{
	linux_policy_init(policy);
	for (int i = 0; i < VALUES_MAX && values[i] != NULL; i++) {
		char problem[256] = "";

		if (linux_policy_lend(policy, values[i], problem, sizeof(problem)) != 0)
			fail_msg("%s: %s", values[i], problem);
	}
}

static socklen_t name_of(const char *host, unsigned port, struct sockaddr_storage *ret_name)
{
	struct sockaddr_in6 *name6 = (struct sockaddr_in6 *)ret_name;
	struct sockaddr_in *name = (struct sockaddr_in *)ret_name;

	memset(ret_name, 0, sizeof(*ret_name));
	if (strchr(host, ':') != NULL) {
		name6->sin6_family = AF_INET6;
		name6->sin6_port = htons((uint16_t)port);
		assert_int_equal(inet_pton(AF_INET6, host, &name6->sin6_addr), 1);
		return sizeof(*name6);
	}
	name->sin_family = AF_INET;
	name->sin_port = htons((uint16_t)port);
	assert_int_equal(inet_pton(AF_INET, host, &name->sin_addr), 1);
	return sizeof(*name);
}

static const struct {
	const char *values[VALUES_MAX];
	enum linux_reach reach;
	const char *host;
	unsigned port;
	int expected;
} judgements[] = {
	{{NULL}, LINUX_CONNECT, "127.0.0.1", 80, -EACCES},
	{{NULL}, LINUX_BIND, "127.0.0.1", 80, -EACCES},
	{{"net"}, LINUX_CONNECT, "192.0.2.1", 80, 0},
	{{"net"}, LINUX_BIND, "::", 0, 0},
	{{"net=connect:any"}, LINUX_CONNECT, "2001:db8::1", 80, 0},
	{{"net=connect:any"}, LINUX_CONNECT, "192.0.2.1", 80, 0},
	{{"net=connect:any"}, LINUX_BIND, "192.0.2.1", 80, -EACCES},
	{{"net=bind:any"}, LINUX_CONNECT, "192.0.2.1", 80, -EACCES},
	{{"net=bind:any"}, LINUX_BIND, "::", 80, 0},
	{{"net=connect:any:80"}, LINUX_CONNECT, "192.0.2.1", 80, 0},
	{{"net=connect:any:80"}, LINUX_CONNECT, "192.0.2.1", 81, -EACCES},
	{{"net=connect:any:80-90"}, LINUX_CONNECT, "192.0.2.1", 90, 0},
	{{"net=connect:any:80-90"}, LINUX_CONNECT, "192.0.2.1", 91, -EACCES},
	{{"net=connect:any:80-90"}, LINUX_CONNECT, "192.0.2.1", 79, -EACCES},
	{{"net=connect:192.0.2.1"}, LINUX_CONNECT, "192.0.2.1", 1, 0},
	{{"net=connect:192.0.2.1"}, LINUX_CONNECT, "192.0.2.2", 1, -EACCES},
	{{"net=connect:192.0.2.0/24"}, LINUX_CONNECT, "192.0.2.255", 1, 0},
	{{"net=connect:192.0.2.0/24"}, LINUX_CONNECT, "192.0.3.0", 1, -EACCES},
	{{"net=connect:192.0.2.128/25"}, LINUX_CONNECT, "192.0.2.128", 1, 0},
	{{"net=connect:192.0.2.128/25"}, LINUX_CONNECT, "192.0.2.127", 1, -EACCES},
	{{"net=connect:0.0.0.0/0"}, LINUX_CONNECT, "255.1.2.3", 1, 0},
	{{"net=connect:0.0.0.0/0"}, LINUX_CONNECT, "::1", 1, -EACCES},
	{{"net=connect:[2001:db8::]/33:443"}, LINUX_CONNECT, "2001:db8:7fff::1", 443, 0},
	{{"net=connect:[2001:db8::]/33:443"}, LINUX_CONNECT, "2001:db8:8000::1", 443, -EACCES},
	{{"net=connect:[2001:db8::]/33:443"}, LINUX_CONNECT, "2001:db8::1", 444, -EACCES},
	{{"net=connect:[2001:db8::1]"}, LINUX_CONNECT, "2001:db8::1", 9, 0},
	/* what goes to this machine is judged so */
	{{"net=connect:127.0.0.1"}, LINUX_CONNECT, "0.0.0.0", 9, 0},
	{{"net=connect:0.0.0.0/1"}, LINUX_CONNECT, "0.0.0.0", 9, 0},
	{{"net=connect:0.0.0.0/2"}, LINUX_CONNECT, "0.0.0.0", 9, -EACCES},
	{{"net=connect:[::1]"}, LINUX_CONNECT, "::", 9, 0},
	{{"net=connect:[::]"}, LINUX_CONNECT, "::", 9, -EACCES},
	/* an IPv4 address in an IPv6 one */
	{{"net=connect:[::]/0"}, LINUX_CONNECT, "::ffff:192.0.2.1", 9, -EACCES},
	{{"net=connect:192.0.2.1"}, LINUX_CONNECT, "::ffff:192.0.2.1", 9, 0},
	{{"net=connect:[::]/0"}, LINUX_CONNECT, "::ffff:0.0.0.0", 9, -EACCES},
	{{"net=bind:[::]/0"}, LINUX_BIND, "::ffff:127.0.0.1", 9, -EACCES},
	/* every address is not one */
	{{"net=bind:127.0.0.0/8"}, LINUX_BIND, "0.0.0.0", 9, -EACCES},
	{{"net=bind:0.0.0.0"}, LINUX_BIND, "0.0.0.0", 9, 0},
	{{"net=bind:[::]"}, LINUX_BIND, "::", 9, -EACCES},
	{{"net=bind:[::],bind:0.0.0.0"}, LINUX_BIND, "::", 9, 0},
	{{"net=bind:any:8000-8010"}, LINUX_BIND, "127.0.0.1", 0, -EACCES},
	/* they add up */
	{{"net=connect:192.0.2.1,bind:any:8080", "net=connect:192.0.2.2"}, LINUX_CONNECT,
		"192.0.2.2", 1, 0},
	{{"net=connect:192.0.2.1,bind:any:8080", "net=connect:192.0.2.2"}, LINUX_BIND, "192.0.2.2",
		8080, 0},
	{{"net=connect:192.0.2.1", "net"}, LINUX_BIND, "192.0.2.2", 8080, 0},
};

static void test_policy_judges_addresses_by_its_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(judgements); i++) {
		struct sockaddr_storage name;
		socklen_t bytes = name_of(judgements[i].host, judgements[i].port, &name);
		const struct sockaddr *address = (const struct sockaddr *)&name;
		struct linux_policy policy;
		int result;

		lend(&policy, judgements[i].values);
		result = judgements[i].reach == LINUX_BIND
			? linux_policy_bind(&policy, address, bytes)
			: linux_policy_connect(&policy, address, bytes, true);
		if (result != judgements[i].expected)
			fail_msg("row %zu: %s %s %u: %d", i, judgements[i].values[0],
				judgements[i].host, judgements[i].port, result);
		linux_policy_deinit(&policy);
	}
}

static void test_policy_lends_by_the_same_rule_when_family_is_unspecified(void **state)
{
	static const char *const values[VALUES_MAX] = {"net=connect:192.0.2.1,bind:192.0.2.1"};
	struct sockaddr_storage name;
	const struct sockaddr *address = (const struct sockaddr *)&name;
	struct linux_policy policy;
	socklen_t bytes;

	(void)state;
	lend(&policy, values);
	bytes = name_of("192.0.2.2", 9, &name);
	name.ss_family = AF_UNSPEC;
	assert_int_equal(linux_policy_connect(&policy, address, bytes, true), 0);
	assert_int_equal(linux_policy_connect(&policy, address, bytes, false), -EACCES);
	assert_int_equal(linux_policy_bind(&policy, address, bytes), -EACCES);
	bytes = name_of("192.0.2.1", 9, &name);
	name.ss_family = AF_UNSPEC;
	assert_int_equal(linux_policy_connect(&policy, address, bytes, false), 0);
	assert_int_equal(linux_policy_bind(&policy, address, bytes), 0);
	linux_policy_deinit(&policy);
}

static void test_policy_refuses_to_listen_when_not_bound(void **state)
{
	static const char *const values[VALUES_MAX] = {"net=bind:127.0.0.1:8080"};
	struct sockaddr_storage name;
	const struct sockaddr *address = (const struct sockaddr *)&name;
	struct linux_policy policy;
	socklen_t bytes;

	(void)state;
	lend(&policy, values);
	bytes = name_of("0.0.0.0", 0, &name);
	assert_int_equal(linux_policy_listen(&policy, address, bytes), -EACCES);
	bytes = name_of("127.0.0.1", 8080, &name);
	assert_int_equal(linux_policy_listen(&policy, address, bytes), 0);
	name.ss_family = AF_UNIX;
	assert_int_equal(linux_policy_listen(&policy, address, sizeof(sa_family_t)), 0);
	linux_policy_deinit(&policy);
}

static void test_policy_refuses_addresses_when_short_or_of_another_family(void **state)
{
	static const char *const values[VALUES_MAX] = {"net"};
	struct sockaddr_storage name;
	const struct sockaddr *address = (const struct sockaddr *)&name;
	struct linux_policy policy;

	(void)state;
	lend(&policy, values);
	(void)name_of("127.0.0.1", 9, &name);
	assert_int_equal(linux_policy_connect(&policy, address, 1, true), -EINVAL);
	assert_int_equal(linux_policy_connect(&policy, address, 15, true), -EINVAL);
	assert_int_equal(linux_policy_bind(&policy, address, 1), -EINVAL);
	assert_int_equal(linux_policy_bind(&policy, address, 15), -EINVAL);
	assert_int_equal(linux_policy_bind(&policy, address, 16), 0);
	(void)name_of("::1", 9, &name);
	assert_int_equal(linux_policy_bind(&policy, address, 23), -EINVAL);
	assert_int_equal(linux_policy_bind(&policy, address, 24), 0);
	for (int family = 0; family < AF_MAX; family++) {
		if (family == AF_INET || family == AF_INET6 || family == AF_UNIX ||
			family == AF_UNSPEC)
			continue;
		name.ss_family = (sa_family_t)family;
		assert_int_equal(linux_policy_connect(&policy, address, sizeof(name), true),
			-EAFNOSUPPORT);
		assert_int_equal(linux_policy_bind(&policy, address, sizeof(name)), -EAFNOSUPPORT);
	}
	linux_policy_deinit(&policy);
}

static void test_policy_refuses_unix_names_when_they_are_in_no_directory(void **state)
{
	static const char *const values[VALUES_MAX] = {NULL};
	static const struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "/a"};
	static const struct sockaddr_un abstract = {.sun_family = AF_UNIX, .sun_path = "\0a"};
	struct linux_policy policy;

	(void)state;
	lend(&policy, values);
	assert_int_equal(linux_policy_bind(&policy, (const struct sockaddr *)&path, 4), 0);
	assert_int_equal(linux_policy_bind(&policy, (const struct sockaddr *)&abstract, 4), -EPERM);
	assert_int_equal(linux_policy_bind(&policy, (const struct sockaddr *)&path, 2), -EPERM);
	assert_int_equal(linux_policy_connect(&policy, (const struct sockaddr *)&path, 4, true), 0);
	assert_int_equal(linux_policy_connect(&policy, (const struct sockaddr *)&abstract, 4, true),
		-EPERM);
	assert_int_equal(linux_policy_connect(&policy, (const struct sockaddr *)&path, 2, false),
		-EPERM);
	linux_policy_deinit(&policy);
}

static void test_policy_allows_sockets_of_what_is_lent(void **state)
{
	static const struct {
		int family;
		int type;
		int protocol;
		int with_network;
		int without;
	} rows[] = {
		{AF_INET, SOCK_STREAM, 0, 0, -EACCES},
		{AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP, 0, -EACCES},
		{AF_INET6, SOCK_DGRAM, IPPROTO_UDP, 0, -EACCES},
		{AF_INET6, SOCK_DGRAM, 0, 0, -EACCES},
		{AF_INET, SOCK_STREAM, IPPROTO_UDP, -EPROTONOSUPPORT, -EACCES},
		{AF_INET, SOCK_STREAM, IPPROTO_SCTP, -EPROTONOSUPPORT, -EACCES},
		{AF_INET, SOCK_DGRAM, IPPROTO_ICMP, -EPROTONOSUPPORT, -EACCES},
		{AF_INET, SOCK_RAW, IPPROTO_RAW, -EPERM, -EACCES},
		{AF_INET, SOCK_SEQPACKET, 0, -ESOCKTNOSUPPORT, -EACCES},
		{AF_INET, SOCK_STREAM | 0x10000, 0, -ESOCKTNOSUPPORT, -EACCES},
		{AF_UNIX, SOCK_STREAM, 0, 0, 0},
		{AF_UNIX, SOCK_DGRAM, AF_UNIX, 0, 0},
		{AF_UNIX, SOCK_SEQPACKET, 0, 0, 0},
		{AF_UNIX, SOCK_RAW, 0, -ESOCKTNOSUPPORT, -ESOCKTNOSUPPORT},
		{AF_UNIX, SOCK_STREAM, 5, -EPROTONOSUPPORT, -EPROTONOSUPPORT},
		{AF_NETLINK, SOCK_RAW, 0, -EAFNOSUPPORT, -EAFNOSUPPORT},
		{AF_PACKET, SOCK_DGRAM, 0, -EAFNOSUPPORT, -EAFNOSUPPORT},
		{AF_VSOCK, SOCK_STREAM, 0, -EAFNOSUPPORT, -EAFNOSUPPORT},
		{AF_ALG, SOCK_SEQPACKET, 0, -EAFNOSUPPORT, -EAFNOSUPPORT},
		{-1, SOCK_STREAM, 0, -EAFNOSUPPORT, -EAFNOSUPPORT},
	};
	static const char *const network[VALUES_MAX] = {"net=connect:any"};
	struct linux_policy with;
	struct linux_policy without;

	(void)state;
	lend(&with, network);
	linux_policy_init(&without);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(linux_policy_socket(&with, rows[i].family, rows[i].type,
					 rows[i].protocol),
			rows[i].with_network);
		assert_int_equal(linux_policy_socket(&without, rows[i].family, rows[i].type,
					 rows[i].protocol),
			rows[i].without);
	}
	linux_policy_deinit(&with);
	linux_policy_deinit(&without);
}

static void test_policy_says_what_is_right_when_text_is_wrong(void **state)
{
	static const struct {
		const char *text;
		int expected;
		const char *words;
	} rows[] = {
		{"", -EINVAL, "say net"},
		{"disk", -EINVAL, "say net"},
		{"network", -EINVAL, "say net"},
		{"/srv", -EINVAL, "path=/srv"},
		{"net=", -EINVAL, "connect:NETWORK"},
		{"net=any", -EINVAL, "connect:NETWORK"},
		{"net=connect", -EINVAL, "connect:any"},
		{"net=bind:", -EINVAL, "bind:any"},
		{"net=connect:any,", -EINVAL, "connect:NETWORK"},
		{"net=listen:any", -EINVAL, "bind:NETWORK"},
		{"net=connect:host.example", -EINVAL, "names are not looked up"},
		{"net=connect:192.0.2", -EINVAL, "192.0.2.0/24"},
		{"net=connect:192.0.2.1/24", -EINVAL, "ends in zeros"},
		{"net=connect:192.0.2.0/33", -EINVAL, "0-32"},
		{"net=connect:192.0.2.0/", -EINVAL, "0-32"},
		{"net=connect:[2001:db8::]/129", -EINVAL, "0-128"},
		{"net=connect:[2001:db8::1]/64", -EINVAL, "ends in zeros"},
		{"net=connect:[2001:db8::", -EINVAL, "brackets"},
		{"net=connect:2001:db8::1", -EINVAL, "brackets"},
		{"net=connect:[::ffff:192.0.2.1]", -EINVAL, "IPv4"},
		{"net=connect:[]", -EINVAL, "not a network"},
		{"net=connect::80", -EINVAL, "not a network"},
		{"net=connect:any:", -EINVAL, "0-65535"},
		{"net=connect:any:65536", -EINVAL, "0-65535"},
		{"net=connect:any:http", -EINVAL, "0-65535"},
		{"net=connect:any:1-", -EINVAL, "0-65535"},
		{"net=connect:any:90-80", -EINVAL, "lower comes first"},
		{"path=", -EINVAL, "which directory"},
		{"path=,ro", -EINVAL, "which directory"},
		{"path=/,rw", -EINVAL, "only ,ro"},
		{"path=/,ro,x", -EINVAL, "only ,ro"},
		{"path=/there/is/nothing", -ENOENT, "/there/is/nothing"},
		{"path=there/is/nothing", -ENOENT, "there/is/nothing"},
		{"path=/dev/null", -ENOTDIR, "not a directory"},
	};
	struct linux_policy policy;

	(void)state;
	linux_policy_init(&policy);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char problem[256] = "";
		int error = linux_policy_lend(&policy, rows[i].text, problem, sizeof(problem));

		if (error != rows[i].expected || strstr(problem, rows[i].words) == NULL)
			fail_msg("%s: %d %s", rows[i].text, error, problem);
		assert_false(policy.has_network);
		assert_int_equal(policy.rule_count, 0);
		assert_int_equal(policy.path_count, 0);
	}
	linux_policy_deinit(&policy);
}

static void test_policy_keeps_directories_in_order_and_tidy(void **state)
{
	static const char *const values[VALUES_MAX] = {"path=//usr/./bin/",
		"path=/usr/bin/../lib,ro", "path=/usr,ro"};
	static const struct linux_lent expected[] = {{(char *)"/usr", true},
		{(char *)"/usr/bin", false}, {(char *)"/usr/lib", true}};
	struct linux_policy policy;
	char problem[256] = "";

	(void)state;
	lend(&policy, values);
	assert_int_equal(policy.path_count, ARRAY_LENGTH(expected));
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
		assert_string_equal(policy.paths[i].path, expected[i].path);
		assert_int_equal(policy.paths[i].is_read_only, expected[i].is_read_only);
	}
	assert_int_equal(linux_policy_lend(&policy, "path=/usr/", problem, sizeof(problem)),
		-EINVAL);
	assert_non_null(strstr(problem, "twice"));
	assert_int_equal(linux_policy_lend(&policy, "path=/", problem, sizeof(problem)), 0);
	assert_string_equal(policy.paths[0].path, "/");
	linux_policy_deinit(&policy);
}

static void test_policy_refuses_more_than_its_limits(void **state)
{
	struct linux_policy policy;
	char problem[256] = "";

	(void)state;
	linux_policy_init(&policy);
	for (int i = 0; i < LINUX_RULES_MAX; i++)
		assert_int_equal(linux_policy_lend(&policy, "net=connect:any:80", problem,
					 sizeof(problem)),
			0);
	assert_int_equal(linux_policy_lend(&policy, "net=connect:any:80", problem, sizeof(problem)),
		-E2BIG);
	assert_int_equal(policy.rule_count, LINUX_RULES_MAX);
	for (int i = 0; i <= LINUX_PATHS_MAX; i++) {
		char directory[] = "/tmp/ferry-policy-XXXXXX";
		char value[64];
		int error;

		assert_non_null(mkdtemp(directory));
		(void)snprintf(value, sizeof(value), "path=%s", directory);
		error = linux_policy_lend(&policy, value, problem, sizeof(problem));
		assert_int_equal(rmdir(directory), 0);
		assert_int_equal(error, i < LINUX_PATHS_MAX ? 0 : -E2BIG);
	}
	linux_policy_deinit(&policy);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_judges_addresses_by_its_rules),
		cmocka_unit_test(test_policy_lends_by_the_same_rule_when_family_is_unspecified),
		cmocka_unit_test(test_policy_refuses_to_listen_when_not_bound),
		cmocka_unit_test(test_policy_refuses_addresses_when_short_or_of_another_family),
		cmocka_unit_test(test_policy_refuses_unix_names_when_they_are_in_no_directory),
		cmocka_unit_test(test_policy_allows_sockets_of_what_is_lent),
		cmocka_unit_test(test_policy_says_what_is_right_when_text_is_wrong),
		cmocka_unit_test(test_policy_keeps_directories_in_order_and_tidy),
		cmocka_unit_test(test_policy_refuses_more_than_its_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
