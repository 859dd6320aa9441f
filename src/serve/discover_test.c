/*
 * The host's discovery at the target's, on one loop.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/host.h"
#include "target/subsystem.h"
#include "test/serve/memory_target.h"

#define HOST_OTHER "nqn.2024-01.org.example:other"

/* The target's end of a new connection. */
static int open_stream(void *context, unsigned attempt, struct stream **ret_stream)
{
	struct memory_target *target = context;
	struct connection *connection;
	struct stream *ends[2];

	if (attempt > 0)
		return -ENOENT;
	assert_int_equal(memory_stream_pair(target->loop, NULL, ends), 0);
	assert_int_equal(connection_new(&target->setting, ends[1], &connection), 0);
	target->live_count++;
	*ret_stream = ends[0];
	return 0;
}

static void test_discover_finds_what_a_target_lends_to_the_host_that_asks(void **state)
{
	static const struct {
		const char *host_nqn;
		uint8_t digests;
		uint32_t count;
	} rows[] = {
		{MEMORY_TARGET_HOST_NQN, 0, 4},
		{MEMORY_TARGET_HOST_NQN, 1, 4},
		{HOST_OTHER, 0, 2},
	};
	static const struct target_address addresses[] = {
		{.host = "192.0.2.1", .port = 4420},
		{.is_ipv6 = true, .host = "2001:db8::1", .port = 4421},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ferry_host_options options = {.struct_bytes = sizeof(options),
			.host_nqn = rows[i].host_nqn,
			.header_digest = rows[i].digests,
			.data_digest = rows[i].digests};
		struct ferry_host_record record = {.struct_bytes = sizeof(record)};
		struct ferry_host_discovery *discovery;
		struct memory_target target;
		struct host_plan plan = {.url = "nvme-tcp://192.0.2.1",
			.options = &options,
			.seat = {NULL, open_stream, &target}};
		char problem[FERRY_HOST_ERROR_MAX];

		memory_target_init(&target, 1);
		plan.seat.loop = target.loop;
		assert_int_equal(subsystem_allow_host(target.subsystem, MEMORY_TARGET_HOST_NQN), 0);
		for (size_t k = 0; k < sizeof(addresses) / sizeof(addresses[0]); k++)
			assert_int_equal(target_add_address(target.target, &addresses[k]), 0);
		target_publish(target.target);
		assert_int_equal(host_discover(&plan, &discovery, problem), 0);
		assert_int_equal(ferry_host_discovery_left_out(discovery), 0);
		assert_int_equal(ferry_host_discovery_count(discovery), rows[i].count);
		assert_int_equal(ferry_host_discovery_record(discovery, 1, &record), 0);
		assert_string_equal(record.url, "nvme-tcp://[2001:db8::1]:4421");
		if (rows[i].count > 2) {
			assert_int_equal(ferry_host_discovery_record(discovery, 2, &record), 0);
			assert_string_equal(record.url,
				"nvme-tcp://192.0.2.1:4420/" MEMORY_TARGET_NQN);
		}
		ferry_host_discovery_free(discovery);
		memory_target_deinit(&target, false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_discover_finds_what_a_target_lends_to_the_host_that_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
