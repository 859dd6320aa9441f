#include "loop/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

static void test_address_becomes_text_when_it_was_numeric(void **state)
{
	static const struct {
		const char *host;
		uint16_t port;
		int family;
		const char *text, *host_text;
	} rows[] = {
		{"127.0.0.1", 4420, AF_INET, "127.0.0.1:4420", "127.0.0.1"},
		{"::1", 4420, AF_INET6, "[::1]:4420", "::1"},
		{"255.255.255.255", 65535, AF_INET, "255.255.255.255:65535", "255.255.255.255"},
		{"2001:db8:1111:2222:3333:4444:5555:6666", 0, AF_INET6,
			"[2001:db8:1111:2222:3333:4444:5555:6666]:0",
			"2001:db8:1111:2222:3333:4444:5555:6666"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct url_address url_address = {.port = rows[i].port, .has_port = true};
		struct address addresses[ADDRESS_RESOLVE_MAX];
		const char *problem = NULL;
		char text[ADDRESS_TEXT_MAX];

		memcpy(url_address.host, rows[i].host, strlen(rows[i].host));
		assert_int_equal(address_resolve(&url_address, addresses, &problem), 1);
		assert_null(problem);
		assert_int_equal(addresses[0].storage.ss_family, rows[i].family);
		assert_int_equal(address_port(&addresses[0].storage), rows[i].port);
		assert_int_equal(addresses[0].bytes,
			rows[i].family == AF_INET ? sizeof(struct sockaddr_in)
						  : sizeof(struct sockaddr_in6));
		address_to_text(&addresses[0].storage, text);
		assert_string_equal(text, rows[i].text);
		address_host_to_text(&addresses[0].storage, text);
		assert_string_equal(text, rows[i].host_text);
	}
}

static void test_address_resolves_to_loopback_when_the_host_is_empty(void **state)
{
	struct url_address url_address = {.port = 4420};
	struct address addresses[ADDRESS_RESOLVE_MAX];
	const char *problem = NULL;
	char text[ADDRESS_TEXT_MAX];
	int count = address_resolve(&url_address, addresses, &problem);

	(void)state;
	assert_in_range(count, 1, ADDRESS_RESOLVE_MAX);
	for (int i = 0; i < count; i++) {
		address_to_text(&addresses[i].storage, text);
		assert_true(strcmp(text, "127.0.0.1:4420") == 0 || strcmp(text, "[::1]:4420") == 0);
	}
}

static void test_address_says_what_is_wrong_when_it_cannot_be_resolved(void **state)
{
	/* RFC 1035: a label has at most 63 characters; no name server is asked. */
	struct url_address url_address = {
		.host = "a23456789b23456789c23456789d23456789e23456789f23456789g23456789h.x",
		.port = 1,
	};
	struct address addresses[ADDRESS_RESOLVE_MAX];
	const char *problem = NULL;

	(void)state;
	assert_true(address_resolve(&url_address, addresses, &problem) < 0);
	assert_non_null(problem);
}

static void test_address_has_a_name_when_it_is_no_internet_address(void **state)
{
	static const struct {
		sa_family_t family;
		const char *text;
	} rows[] = {{AF_UNIX, "unix"}, {AF_UNSPEC, "unknown"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct sockaddr_storage storage = {.ss_family = rows[i].family};
		char text[ADDRESS_TEXT_MAX];

		address_to_text(&storage, text);
		assert_string_equal(text, rows[i].text);
		address_host_to_text(&storage, text);
		assert_string_equal(text, rows[i].text);
		address_set_port(&storage, 1);
		assert_int_equal(address_port(&storage), 0);
	}
}

static void test_address_has_another_port_when_it_is_set(void **state)
{
	static const sa_family_t families[] = {AF_INET, AF_INET6};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
		struct sockaddr_storage storage = {.ss_family = families[i]};

		address_set_port(&storage, 8009);
		assert_int_equal(address_port(&storage), 8009);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_becomes_text_when_it_was_numeric),
		cmocka_unit_test(test_address_resolves_to_loopback_when_the_host_is_empty),
		cmocka_unit_test(test_address_says_what_is_wrong_when_it_cannot_be_resolved),
		cmocka_unit_test(test_address_has_a_name_when_it_is_no_internet_address),
		cmocka_unit_test(test_address_has_another_port_when_it_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
