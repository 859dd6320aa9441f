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
static const char all_pending[] = "too many connections have not sent their Connect";
static const char source_full[] = "its address has as many connections as it may have";
static const char source_pending[] =
	"too many connections from its address have not sent their Connect";

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
		{{9, 2, 9, 9},
			{{"192.0.2.1", 'e', NULL}, {"192.0.2.1", 0, NULL}, {"192.0.2.2", 0, NULL},
				{"192.0.2.3", 0, all_pending}}},
		{{9, 9, 2, 9},
			{{"192.0.2.1", 'e', NULL}, {"192.0.2.1", 0, NULL},
				{"192.0.2.1", 0, source_full}, {"192.0.2.2", 0, NULL}}},
		{{9, 9, 9, 2},
			{{"2001:db8::1", 'e', NULL}, {"2001:db8::1", 0, NULL},
				{"2001:db8::1", 0, NULL}, {"2001:db8::1", 0, source_pending},
				{"2001:db8::2", 0, NULL}}},
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

		assert_non_null(admission);
		for (size_t j = 0; j < COMERS_MAX && rows[i].comers[j].host != NULL; j++) {
			const char then = rows[i].comers[j].then;
			struct sockaddr_storage peer =
				address_of(rows[i].comers[j].host, (uint16_t)(50000 + j));
			struct admission_source *source = NULL;
			const char *refusal = admission_enter(admission, &peer, &source);

			if (rows[i].comers[j].refusal != NULL) {
				assert_non_null(refusal);
				assert_string_equal(refusal, rows[i].comers[j].refusal);
				assert_null(source);
				continue;
			}
			assert_null(refusal);
			if (then == 'e' || then == 'E')
				admission_establish(admission, source);
			if (then == 'l' || then == 'E')
				admission_leave(admission, source, then == 'l');
		}
		admission_free(admission);
	}
	admission_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_admission_refuses_when_a_limit_is_reached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
