/*
 * How streams of every kind end and are freed: each test is run for each row of a table.
 */
#include "loop/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "loop/loop.h"
#include "test/loop/stream_pair.h"

static void test_stream_closes_after_the_data_when_the_peer_finishes(void **state)
{
	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);

		stream_pair_start(&pair);
		stream_put_text(pair.ends[0], "goodbye");
		stream_finish(pair.ends[0]);
		loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[1]);
		stream_probe_expect(&pair.probes[1], "goodbye");
		assert_int_equal(pair.probes[1].error, 0);
		stream_pair_end(&pair);
	}
}

static void test_stream_closes_after_the_data_when_the_peer_is_freed(void **state)
{
	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);
		struct stream_probe *probe = &pair.probes[0];

		stream_pair_start(&pair);
		stream_put_text(pair.ends[0], "goodbye");
		stream_tell_drained(pair.ends[0]);
		probe->is_freeing_when_drained = true;
		loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[1]);
		assert_null(probe->stream);
		stream_probe_expect(&pair.probes[1], "goodbye");
		assert_int_equal(pair.probes[1].error, 0);
		stream_pair_end(&pair);
	}
}

static void test_stream_may_be_freed_when_it_calls(void **state)
{
	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);

		pair.probes[1].is_freeing_when_received = true;
		pair.probes[0].is_freeing_when_closed = true;
		stream_pair_start(&pair);
		stream_put_text(pair.ends[0], "free");
		stream_put_text(pair.ends[1], "unread");
		loop_run_until(pair.loop, stream_probe_is_freed, &pair.probes[1]);
		loop_run_until(pair.loop, stream_probe_is_freed, &pair.probes[0]);
		stream_probe_expect(&pair.probes[1], "free");
		stream_pair_end(&pair);
	}
}

static void test_stream_may_be_freed_when_it_returns_a_lease(void **state)
{
	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);
		struct lease_probe leases[2] = {lease_probe_new(), lease_probe_new()};

		stream_pair_start(&pair);
		leases[0].freed_probe = &pair.probes[0];
		stream_lend(pair.ends[0], "a", 1, &leases[0].lease);
		stream_lend(pair.ends[0], "b", 1, &leases[1].lease);
		loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[1]);
		stream_probe_expect(&pair.probes[1], "ab");
		assert_int_equal(leases[0].sent, 1);
		assert_int_equal(leases[1].sent, 1);
		stream_pair_end(&pair);
	}
}

static void test_stream_returns_leases_unsent_when_it_is_freed(void **state)
{
	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);
		struct lease_probe lease = lease_probe_new();

		stream_pair_start(&pair);
		stream_lend(pair.ends[0], "never", 5, &lease.lease);
		stream_probe_end(&pair.probes[0]);
		assert_int_equal(lease.dropped, 1);
		loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[1]);
		assert_int_equal(pair.probes[1].received_bytes, 0);
		stream_pair_end(&pair);
	}
}

static void test_stream_drops_output_when_it_is_closed(void **state)
{
	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);
		struct lease_probe lease = lease_probe_new();

		stream_pair_start(&pair);
		stream_finish(pair.ends[1]);
		loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[0]);
		stream_put_text(pair.ends[0], "nowhere");
		stream_lend(pair.ends[0], "never", 5, &lease.lease);
		stream_resume(pair.ends[0]);
		stream_finish(pair.ends[0]);
		assert_int_equal(lease.dropped, 0);
		loop_run_idle(pair.loop);
		assert_int_equal(lease.dropped, 1);
		assert_int_equal(stream_unsent_bytes(pair.ends[0]), 0);
		assert_int_equal(pair.probes[1].received_bytes, 0);
		stream_pair_end(&pair);
	}
}

static void test_stream_sends_its_answer_when_the_peer_has_finished(void **state)
{
	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);

		stream_pair_start(&pair);
		stream_pause(pair.ends[1]);
		stream_put_text(pair.ends[0], "question");
		stream_finish(pair.ends[0]);
		loop_run_idle(pair.loop);
		stream_put_text(pair.ends[1], "answer");
		stream_resume(pair.ends[1]);
		loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[1]);
		stream_pair_run_until_received(&pair, 0, 6);
		stream_probe_expect(&pair.probes[0], "answer");
		stream_pair_end(&pair);
	}
}

static void test_stream_names_its_peer_when_asked(void **state)
{
	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);

		stream_pair_start(&pair);
		assert_memory_equal(stream_peer_name(pair.ends[0]), stream_kinds[row].peer_name,
			strlen(stream_kinds[row].peer_name));
		assert_ptr_equal(stream_loop(pair.ends[0]), pair.loop);
		stream_pair_end(&pair);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream_closes_after_the_data_when_the_peer_finishes),
		cmocka_unit_test(test_stream_closes_after_the_data_when_the_peer_is_freed),
		cmocka_unit_test(test_stream_may_be_freed_when_it_calls),
		cmocka_unit_test(test_stream_may_be_freed_when_it_returns_a_lease),
		cmocka_unit_test(test_stream_returns_leases_unsent_when_it_is_freed),
		cmocka_unit_test(test_stream_drops_output_when_it_is_closed),
		cmocka_unit_test(test_stream_sends_its_answer_when_the_peer_has_finished),
		cmocka_unit_test(test_stream_names_its_peer_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
