#include "serve/admission.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/cleanup.h"

static const char all_full[] = "there are as many connections as are served at one time";
static const char source_full[] = "its address has as many connections as it may have";

static struct sockaddr_storage address_of(const char *host, uint16_t port)
{
	struct sockaddr_storage storage = {.ss_family = AF_UNIX};
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)&storage;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&storage;

	if (inet_pton(AF_INET, host, &ipv4->sin_addr) == 1) {
		ipv4->sin_family = AF_INET;
		ipv4->sin_port = htons(port);
	} else if (inet_pton(AF_INET6, host, &ipv6->sin6_addr) == 1) {
		ipv6->sin6_family = AF_INET6;
		ipv6->sin6_port = htons(port);
	}
	return storage;
}

#define COMERS_MAX 8

/* One connection after another comes, from a host with another port each time; some are established
 * or end at once. */
static void test_admission_refuses_when_a_limit_is_reached(void **state)
{
	static const struct {
		struct admission_limits limits;
		struct {
			const char *host;
			char then; /* e: established, l: leaves, E: established and leaves */
			const char *refusal;
		} comers[COMERS_MAX];
	} rows[] = {
		{{2, 9, 9, 9},
			{{"192.0.2.1", 0, NULL}, {"192.0.2.2", 0, NULL},
				{"192.0.2.3", 0, all_full}}},
		{{9, 9, 2, 9},
			{{"192.0.2.1", 'e', NULL}, {"192.0.2.1", 0, NULL},
				{"192.0.2.1", 0, source_full}, {"192.0.2.2", 0, NULL}}},
		/* What leaves makes room, established or not. */
		{{1, 1, 1, 1},
			{{"192.0.2.1", 'l', NULL}, {"192.0.2.1", 'E', NULL}, {"192.0.2.2", 0, NULL},
				{"192.0.2.2", 0, all_full}}},
		/* The same bits of another family are another address; unix sockets are one. */
		{{9, 9, 1, 9},
			{{"1.2.3.4", 0, NULL}, {"::ffff:1.2.3.4", 0, NULL}, {"unix", 0, NULL},
				{"unix", 0, source_full}}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct admission *admission = admission_new(&rows[i].limits);
		struct admission_entry entries[COMERS_MAX] = {{.order = 0}};

		assert_non_null(admission);
		for (size_t j = 0; j < COMERS_MAX && rows[i].comers[j].host != NULL; j++) {
			const char then = rows[i].comers[j].then;
			struct sockaddr_storage peer =
				address_of(rows[i].comers[j].host, (uint16_t)(50000 + j));
			struct admission_entry *loser = NULL;
			const char *refusal =
				admission_enter(admission, &peer, &entries[j], &loser);

			if (rows[i].comers[j].refusal != NULL) {
				assert_non_null(refusal);
				assert_string_equal(refusal, rows[i].comers[j].refusal);
				assert_null(entries[j].source);
				continue;
			}
			assert_null(refusal);
			if (rows[i].limits.pending_max > 1)
				assert_null(loser);
			if (then == 'e' || then == 'E')
				admission_establish(admission, &entries[j]);
			if (then == 'l' || then == 'E')
				assert_false(admission_leave(admission, &entries[j]));
		}
		admission_free(admission);
	}
	admission_free(NULL);
}

static void test_admission_takes_the_place_of_the_right_one_when_too_many_are_pending(void **state)
{
	/* Who come, and who has to go for the last of them. */
	static const struct {
		const char *hosts[5];
		int loser; /* -1: nobody */
	} rows[] = {
		{{"192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"}, -1},
		/* Of an address that has too many itself, its own oldest. */
		{{"192.0.2.2", "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1"}, 1},
		{{"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1"}, 0},
		/* The oldest of the address that has the most, not an older one. */
		{{"192.0.2.2", "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.3"}, 1},
		{{"192.0.2.2", "192.0.2.1", "192.0.2.1", "192.0.2.3", "192.0.2.4"}, 1},
		/* The newcomer counts. */
		{{"192.0.2.2", "192.0.2.2", "192.0.2.1", "192.0.2.1", "192.0.2.1"}, 2},
		/* Of equals the one whose oldest is older. */
		{{"192.0.2.2", "192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"}, 0},
		{{"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8::5"}, 0},
	};
	const struct admission_limits limits = {9, 4, 9, 3};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct admission *admission = admission_new(&limits);
		struct admission_entry entries[5];
		struct admission_entry *loser = NULL;
		unsigned count = 0;

		assert_non_null(admission);
		for (; count < 5 && rows[i].hosts[count] != NULL; count++) {
			struct sockaddr_storage peer =
				address_of(rows[i].hosts[count], (uint16_t)(50000 + count));

			assert_null(loser);
			assert_null(admission_enter(admission, &peer, &entries[count], &loser));
		}
		assert_ptr_equal(loser, rows[i].loser >= 0 ? &entries[rows[i].loser] : NULL);
		for (unsigned j = 0; j < count; j++) {
			/* It may have been established before it was told. */
			if (j % 2 == 0)
				admission_establish(admission, &entries[j]);
			assert_int_equal(admission_leave(admission, &entries[j]),
				(int)j == rows[i].loser);
		}
		admission_free(admission);
	}
}

static void test_admission_has_a_place_when_another_is_pending_no_more(void **state)
{
	const struct admission_limits limits = {9, 2, 9, 2};
	struct admission *admission = admission_new(&limits);
	struct sockaddr_storage peer = address_of("192.0.2.1", 1);
	struct admission_entry entries[4];
	struct admission_entry *loser;

	(void)state;
	assert_non_null(admission);
	for (unsigned i = 0; i < ARRAY_LENGTH(entries); i++) {
		assert_null(admission_enter(admission, &peer, &entries[i], &loser));
		assert_null(loser);
		if (i == 0)
			admission_establish(admission, &entries[i]);
		else if (i == 2)
			assert_false(admission_leave(admission, &entries[i]));
	}
	admission_free(admission);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_admission_refuses_when_a_limit_is_reached),
		cmocka_unit_test(
			test_admission_takes_the_place_of_the_right_one_when_too_many_are_pending),
		cmocka_unit_test(test_admission_has_a_place_when_another_is_pending_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
