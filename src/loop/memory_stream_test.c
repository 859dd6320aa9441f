#include "loop/memory_stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "loop/stream.h"
#include "test/loop/stream_probe.h"

#define BYTES 20000

struct pair {
	struct simulated_clock clock;
	struct random random;
	struct loop *loop;
	struct stream *ends[2];
	struct stream_probe probes[2];
};

static void pair_open(struct pair *pair, uint64_t seed, struct memory_stream_faults faults)
{
	*pair = (struct pair){.loop = NULL};
	simulated_clock_init(&pair->clock, 0);
	random_init(&pair->random, seed);
	assert_int_equal(loop_new(&(struct loop_options){.clock = &pair->clock.clock}, &pair->loop),
		0);
	faults.random = &pair->random;
	assert_int_equal(memory_stream_pair(pair->loop, &faults, pair->ends), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(stream_reserve(pair->ends[i], 4096, 64), 0);
		stream_probe_start(&pair->probes[i], pair->ends[i]);
	}
}

static void pair_end(struct pair *pair)
{
	for (unsigned i = 0; i < 2; i++)
		stream_probe_end(&pair->probes[i]);
	loop_free(pair->loop);
}

static bool is_received(void *context)
{
	const struct stream_probe *probe = context;

	return probe->received_bytes == BYTES;
}

static void test_memory_stream_carries_all_in_order_when_deliveries_are_late_and_short(void **state)
{
	static const struct memory_stream_faults rows[] = {
		{.delay_max_ns = CLOCK_MS_NS},
		{.delivery_max_bytes = 1},
		{.delivery_max_bytes = 333, .window_bytes = 1000},
		{.delay_max_ns = CLOCK_MS_NS, .delivery_max_bytes = 333, .window_bytes = 100},
	};
	uint8_t bytes[BYTES];

	(void)state;
	stream_probe_fill(bytes, sizeof(bytes), 3);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct pair pair;

		pair_open(&pair, i, rows[i]);
		stream_lend(pair.ends[0], bytes, sizeof(bytes), NULL);
		stream_finish(pair.ends[0]);
		loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[1]);
		assert_int_equal(pair.probes[1].error, 0);
		assert_int_equal(pair.probes[1].received_bytes, sizeof(bytes));
		assert_memory_equal(pair.probes[1].received, bytes, sizeof(bytes));
		if (rows[i].delay_max_ns > 0)
			assert_true(pair.clock.time_ns > 0);
		if (rows[i].delivery_max_bytes > 0)
			assert_true(pair.probes[1].received_calls >=
				sizeof(bytes) / rows[i].delivery_max_bytes);
		pair_end(&pair);
	}
}

static void test_memory_stream_runs_alike_when_the_seed_is_the_same(void **state)
{
	const struct memory_stream_faults faults = {.delay_max_ns = CLOCK_MS_NS,
		.delivery_max_bytes = 777};
	const uint64_t seeds[] = {1, 1, 2};
	uint64_t times_ns[ARRAY_LENGTH(seeds)];
	unsigned calls[ARRAY_LENGTH(seeds)];
	uint8_t bytes[BYTES] = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(seeds); i++) {
		struct pair pair;

		pair_open(&pair, seeds[i], faults);
		stream_lend(pair.ends[0], bytes, sizeof(bytes), NULL);
		loop_run_until(pair.loop, is_received, &pair.probes[1]);
		times_ns[i] = pair.clock.time_ns;
		calls[i] = pair.probes[1].received_calls;
		pair_end(&pair);
	}
	assert_true(times_ns[0] == times_ns[1]);
	assert_int_equal(calls[0], calls[1]);
	assert_true(times_ns[0] != times_ns[2]);
}

static void test_memory_stream_closes_both_ends_when_it_is_reset(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct pair pair;

		pair_open(&pair, 1, (struct memory_stream_faults){.delay_max_ns = CLOCK_MS_NS});
		(void)stream_put(pair.ends[0], 3);
		/* A pause does not hide it. */
		stream_pause(pair.ends[1]);
		pair.probes[0].is_within_call = true;
		pair.probes[1].is_within_call = true;
		memory_stream_reset(pair.ends[i]);
		pair.probes[0].is_within_call = false;
		pair.probes[1].is_within_call = false;
		loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[0]);
		loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[1]);
		assert_int_equal(pair.probes[0].error, ECONNRESET);
		assert_int_equal(pair.probes[1].error, ECONNRESET);
		assert_int_equal(pair.probes[1].received_bytes, 0);
		memory_stream_reset(pair.ends[i]);
		pair_end(&pair);
	}
}

static void test_memory_stream_is_reset_when_chance_has_it(void **state)
{
	uint8_t bytes[BYTES] = {0};
	struct pair pair;

	(void)state;
	pair_open(&pair, 5,
		(struct memory_stream_faults){.delivery_max_bytes = 100, .reset_one_in = 20});
	stream_lend(pair.ends[0], bytes, sizeof(bytes), NULL);
	loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[0]);
	loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[1]);
	assert_int_equal(pair.probes[0].error, ECONNRESET);
	assert_int_equal(pair.probes[1].error, ECONNRESET);
	assert_true(pair.probes[1].received_bytes < sizeof(bytes));
	pair_end(&pair);
}

static void test_memory_stream_is_reset_behind_the_byte_when_told_to(void **state)
{
	static const uint64_t rows[] = {1, 77, 1000, 19999};
	uint8_t bytes[BYTES] = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct pair pair;

		pair_open(&pair, i,
			(struct memory_stream_faults){
				.delivery_max_bytes = 300,
				.reset_after = rows[i],
			});
		stream_lend(pair.ends[0], bytes, sizeof(bytes), NULL);
		for (unsigned j = 0; j < 2; j++)
			loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[j]);
		assert_int_equal(pair.probes[0].error, ECONNRESET);
		assert_int_equal(pair.probes[1].error, ECONNRESET);
		assert_int_equal(pair.probes[1].received_bytes, rows[i]);
		pair_end(&pair);
	}
}

static unsigned flipped_bits(const uint8_t *some, const uint8_t *others, size_t bytes)
{
	unsigned count = 0;

	for (size_t i = 0; i < bytes; i++)
		count += (unsigned)__builtin_popcount((unsigned)(some[i] ^ others[i]));
	return count;
}

static void test_memory_stream_flips_a_bit_when_chance_has_it(void **state)
{
	static const struct row {
		uint64_t one_in, after;
		bool is_damaging;
	} rows[] = {
		{1, 0, true},
		{10, 0, true},
		{10, BYTES / 2, true},
		{1, BYTES - 1, true},
		{1, BYTES, false},
		{0, 0, false},
	};
	uint8_t bytes[BYTES];

	(void)state;
	stream_probe_fill(bytes, sizeof(bytes), 3);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		unsigned count = 0;
		struct pair pair;

		pair_open(&pair, i,
			(struct memory_stream_faults){
				.delivery_max_bytes = 200,
				.flip_one_in = rows[i].one_in,
				.flip_after = rows[i].after,
				.flip_count = &count,
			});
		stream_lend(pair.ends[0], bytes, sizeof(bytes), NULL);
		loop_run_until(pair.loop, is_received, &pair.probes[1]);
		assert_int_equal(count > 0, rows[i].is_damaging);
		assert_int_equal(flipped_bits(pair.probes[1].received, bytes, sizeof(bytes)),
			count);
		assert_memory_equal(pair.probes[1].received, bytes, (size_t)rows[i].after);
		if (rows[i].one_in == 1 && rows[i].after == 0)
			assert_int_equal(count, pair.probes[1].received_calls);
		pair_end(&pair);
	}
}

static void test_memory_stream_tells_of_a_reset_when_it_starts_later(void **state)
{
	struct simulated_clock clock;
	struct loop *loop;
	struct stream *ends[2];
	struct stream_probe probe = {.stream = NULL};

	(void)state;
	simulated_clock_init(&clock, 0);
	assert_int_equal(loop_new(&(struct loop_options){.clock = &clock.clock}, &loop), 0);
	assert_int_equal(memory_stream_pair(loop, NULL, ends), 0);
	memory_stream_reset(ends[0]);
	loop_run_idle(loop);
	stream_probe_start(&probe, ends[1]);
	loop_run_until(loop, stream_probe_is_closed, &probe);
	assert_int_equal(probe.error, ECONNRESET);
	stream_probe_end(&probe);
	stream_free(ends[0]);
	loop_free(loop);
}

static void test_memory_stream_may_be_freed_when_deliveries_are_under_way(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct pair pair;

		pair_open(&pair, 1, (struct memory_stream_faults){.delay_max_ns = CLOCK_MS_NS});
		memset(stream_put(pair.ends[0], 3), 'x', 3);
		memset(stream_put(pair.ends[1], 3), 'y', 3);
		assert_int_equal(loop_turn(pair.loop, 0), 0);
		stream_probe_end(&pair.probes[i]);
		loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[1 - i]);
		assert_int_equal(pair.probes[1 - i].error, 0);
		assert_int_equal(pair.probes[1 - i].received_bytes, 3);
		pair_end(&pair);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_memory_stream_carries_all_in_order_when_deliveries_are_late_and_short),
		cmocka_unit_test(test_memory_stream_runs_alike_when_the_seed_is_the_same),
		cmocka_unit_test(test_memory_stream_closes_both_ends_when_it_is_reset),
		cmocka_unit_test(test_memory_stream_is_reset_when_chance_has_it),
		cmocka_unit_test(test_memory_stream_is_reset_behind_the_byte_when_told_to),
		cmocka_unit_test(test_memory_stream_flips_a_bit_when_chance_has_it),
		cmocka_unit_test(test_memory_stream_tells_of_a_reset_when_it_starts_later),
		cmocka_unit_test(test_memory_stream_may_be_freed_when_deliveries_are_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
