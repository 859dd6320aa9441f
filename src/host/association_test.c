/*
 * What an association does on its own: keep alive, shutdown, and the time it takes for both.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "loop/loop.h"
#include "nvme/completion.h"
#include "nvme/property.h"
#include "test/host/host_bench.h"
#include "test/loop/stream_probe.h"

static void run_ms(struct host_bench *bench, uint64_t ms)
{
	uint64_t end_ns = bench->clock.time_ns + ms * CLOCK_MS_NS;

	while (bench->clock.time_ns < end_ns)
		assert_int_equal(loop_turn(bench->loop,
					 (int)((end_ns - bench->clock.time_ns) / CLOCK_MS_NS) + 1),
			0);
}

static void test_association_sends_keep_alive_only_when_nothing_else_flows(void **state)
{
	static const struct {
		const char *name;
		uint32_t ctratt;
		uint16_t kas;
		uint32_t kato_ms;
		bool is_busy;
		unsigned least, most;
	} rows[] = {
		{"idle", NVME_CTRATT_TBKAS, 10, 1000, false, 35, 45},
		{"idle, timer based", 0, 10, 1000, false, 17, 23},
		{"busy", NVME_CTRATT_TBKAS, 10, 1000, true, 0, 0},
		{"busy, timer based", 0, 10, 1000, true, 17, 23},
		{"not supported", 0, 0, 1000, false, 0, 0},
		{"not wanted", NVME_CTRATT_TBKAS, 10, FERRY_HOST_NO_KEEP_ALIVE, false, 0, 0},
	};
	uint8_t data[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct host_bench bench;

		host_bench_init(&bench);
		bench.options.kato_ms = rows[i].kato_ms;
		bench.controller.identify.ctratt = le32_of(rows[i].ctratt);
		bench.controller.identify.kas = le16_of(rows[i].kas);
		host_bench_start_and_wait(&bench);
		assert_int_equal(bench.controller.kato_ms,
			rows[i].kato_ms == FERRY_HOST_NO_KEEP_ALIVE ? 0 : rows[i].kato_ms);
		for (unsigned k = 0; k < 100; k++) {
			if (rows[i].is_busy)
				assert_int_equal(ferry_host_pread(bench.host, data, sizeof(data),
							 0),
					0);
			run_ms(&bench, 100);
		}
		if (bench.controller.keep_alives < rows[i].least ||
			bench.controller.keep_alives > rows[i].most)
			fail_msg("%s: %u", rows[i].name, bench.controller.keep_alives);
		assert_int_equal(bench.lost_calls, 0);
		host_bench_end(&bench);
	}
}

static void test_association_ends_when_keep_alive_is_not_answered(void **state)
{
	struct asked asked = {.done_calls = 0};
	uint8_t data[512];
	struct host_bench bench;

	(void)state;
	host_bench_init(&bench);
	bench.options.kato_ms = 1000;
	host_bench_start_and_wait(&bench);
	bench.controller.is_silent_to_keep_alive = true;
	bench.controller.is_holding = true;
	asked.request = (struct ferry_host_request){.block_count = 1, .buffer = data};
	assert_int_equal(host_bench_ask(&bench, &asked, ferry_host_read), 0);
	run_ms(&bench, 2000);
	assert_int_equal(bench.lost_calls, 1);
	assert_int_equal(bench.lost_error, -ETIMEDOUT);
	assert_int_equal(asked.done_calls, 1);
	assert_int_equal(asked.error, -EIO);
	expect_words(ferry_host_error(bench.host), "Keep Alive for 1000 ms");
	assert_int_equal(bench.controller.keep_alives, 1);
	host_bench_end(&bench);
}

static void test_association_shuts_down_in_bounded_time_when_closed(void **state)
{
	static const struct {
		bool is_holding, never_shuts_down;
		int error;
		uint64_t least_ms, most_ms;
	} rows[] = {
		{false, false, 0, 0, 100},
		{false, true, 0, 1900, 2200},
		{true, false, -ECANCELED, 2900, 3200},
		{true, true, -ECANCELED, 4900, 5200},
	};
	uint8_t data[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct asked asked = {.done_calls = 0};
		struct host_bench bench;
		uint64_t start_ns, taken_ms;

		host_bench_init(&bench);
		host_bench_start_and_wait(&bench);
		bench.controller.is_holding = rows[i].is_holding;
		bench.controller.never_shuts_down = rows[i].never_shuts_down;
		asked.request = (struct ferry_host_request){.block_count = 1, .buffer = data};
		assert_int_equal(host_bench_ask(&bench, &asked, ferry_host_read), 0);
		start_ns = bench.clock.time_ns;
		ferry_host_close(bench.host);
		bench.host = NULL;
		taken_ms = (bench.clock.time_ns - start_ns) / CLOCK_MS_NS;
		assert_in_range(taken_ms, rows[i].least_ms, rows[i].most_ms);
		assert_int_equal(asked.done_calls, 1);
		assert_int_equal(asked.error, rows[i].error);
		assert_int_equal(bench.lost_calls, 0);
		assert_int_equal(nvme_cc_shn(bench.controller.cc), NVME_CC_SHN_NORMAL);
		host_bench_end(&bench);
	}
}

static void test_association_is_canceled_when_closed_while_connecting(void **state)
{
	(void)state;
	for (unsigned turns = 0; turns < 30; turns++) {
		struct host_bench bench;

		host_bench_init(&bench);
		host_bench_start(&bench);
		for (unsigned i = 0; i < turns; i++)
			assert_int_equal(loop_turn(bench.loop, 0), 0);
		ferry_host_close(bench.host);
		bench.host = NULL;
		assert_int_equal(bench.ready_calls, 1);
		if (bench.ready_error != 0)
			assert_int_equal(bench.ready_error, -ECANCELED);
		assert_int_equal(bench.lost_calls, 0);
		host_bench_end(&bench);
	}
}

static void test_association_keeps_to_the_time_given_when_the_target_is_silent(void **state)
{
	struct host_bench bench;

	(void)state;
	host_bench_init(&bench);
	bench.controller.is_silent_to_all = true;
	bench.options.connect_timeout_ms = 700;
	assert_int_equal(host_bench_open(&bench), -ETIMEDOUT);
	assert_in_range(bench.clock.time_ns / CLOCK_MS_NS, 700, 710);
	host_bench_end(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_association_sends_keep_alive_only_when_nothing_else_flows),
		cmocka_unit_test(test_association_ends_when_keep_alive_is_not_answered),
		cmocka_unit_test(test_association_shuts_down_in_bounded_time_when_closed),
		cmocka_unit_test(test_association_is_canceled_when_closed_while_connecting),
		cmocka_unit_test(
			test_association_keeps_to_the_time_given_when_the_target_is_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
