/*
 * How bytes flow through streams of every kind: each test is run for each row of a table.
 */
#include "loop/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "loop/loop.h"
#include "test/loop/stream_pair.h"

#define BULK_BYTES (4u << 20)

/* Feeds @bytes to a stream whenever it has room: headers put, payloads lent. */
static void feed(struct stream *stream, const uint8_t *bytes, size_t *sent_bytes)
{
	while (*sent_bytes < BULK_BYTES && stream_has_room(stream, 24, 2)) {
		size_t left = BULK_BYTES - *sent_bytes;
		size_t put_bytes = left < 24 ? left : 24;
		size_t lent_bytes = left - put_bytes < 5000 ? left - put_bytes : 5000;

		memcpy(stream_put(stream, put_bytes), bytes + *sent_bytes, put_bytes);
		*sent_bytes += put_bytes;
		if (lent_bytes > 0)
			stream_lend(stream, bytes + *sent_bytes, lent_bytes, NULL);
		*sent_bytes += lent_bytes;
	}
}

struct bulk {
	struct stream_pair *pair;
	const uint8_t *bytes;
	size_t sent_bytes[2];
};

static bool is_bulk_received(void *context)
{
	struct bulk *bulk = context;

	for (unsigned i = 0; i < 2; i++)
		feed(bulk->pair->ends[i], bulk->bytes, &bulk->sent_bytes[i]);
	return bulk->pair->probes[0].received_bytes >= BULK_BYTES &&
		bulk->pair->probes[1].received_bytes >= BULK_BYTES;
}

static void test_stream_carries_all_in_order_when_both_ends_send_much(void **state)
{
	CLEANUP(cleanup_free) uint8_t *bytes = malloc(BULK_BYTES);

	(void)state;
	assert_non_null(bytes);
	stream_probe_fill(bytes, BULK_BYTES, 1);
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);
		struct bulk bulk = {&pair, bytes, {0, 0}};

		/* One takes payload in place, the other from the loop's buffer. */
		pair.probes[1].direct_wish_bytes = 7000;
		stream_pair_start(&pair);
		loop_run_until(pair.loop, is_bulk_received, &bulk);
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(pair.probes[i].received_bytes, BULK_BYTES);
			assert_memory_equal(pair.probes[i].received, bytes, BULK_BYTES);
			assert_int_equal(stream_unsent_bytes(pair.ends[i]), 0);
		}
		assert_int_equal(pair.probes[0].direct_bytes, 0);
		assert_true(pair.probes[1].direct_bytes > 0);
		stream_pair_end(&pair);
	}
}

static void test_stream_sends_all_at_once_when_there_are_many_pieces(void **state)
{
	static const uint8_t zeros[STREAM_PAIR_PIECES];

	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);
		struct lease_probe lease = lease_probe_new();

		stream_pair_start(&pair);
		for (unsigned i = 0; i < STREAM_PAIR_PIECES; i++)
			stream_lend(pair.ends[0], zeros, 1, &lease.lease);
		assert_false(stream_has_room(pair.ends[0], 0, 1));
		stream_pair_run_until_received(&pair, 1, STREAM_PAIR_PIECES);
		assert_int_equal(lease.sent, STREAM_PAIR_PIECES);
		assert_int_equal(lease.dropped, 0);
		assert_memory_equal(pair.probes[1].received, zeros, STREAM_PAIR_PIECES);
		stream_pair_end(&pair);
	}
}

static void test_stream_sends_what_was_put_when_it_starts_later(void **state)
{
	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);

		stream_put_text(pair.ends[0], "early");
		loop_run_idle(pair.loop);
		assert_int_equal(stream_unsent_bytes(pair.ends[0]), 5);
		stream_pair_start(&pair);
		stream_pair_run_until_received(&pair, 1, 5);
		stream_probe_expect(&pair.probes[1], "early");
		stream_pair_end(&pair);
	}
}

static void test_stream_places_bytes_when_a_place_is_wished(void **state)
{
	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);

		pair.probes[1].direct_wish_bytes = 6;
		stream_pair_start(&pair);
		stream_put_text(pair.ends[0], "directbuffer");
		stream_pair_run_until_received(&pair, 1, 12);
		stream_probe_expect(&pair.probes[1], "directbuffer");
		assert_int_equal(pair.probes[1].direct_bytes, 6);
		/* The wish made in that call holds for what comes now. */
		stream_put_text(pair.ends[0], "more");
		stream_pair_run_until_received(&pair, 1, 16);
		assert_int_equal(pair.probes[1].direct_bytes, 10);
		/* And none if it is taken back. */
		stream_direct(pair.ends[1], NULL, 0);
		pair.probes[1].direct_wish_bytes = 0;
		stream_put_text(pair.ends[0], "last");
		stream_pair_run_until_received(&pair, 1, 20);
		assert_int_equal(pair.probes[1].direct_bytes, 10);
		stream_probe_expect(&pair.probes[1], "directbuffermorelast");
		stream_pair_end(&pair);
	}
}

static void test_stream_brings_untaken_bytes_again_when_it_is_resumed(void **state)
{
	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);
		struct stream_probe *probe = &pair.probes[1];

		probe->is_take_ordered = true;
		probe->take_bytes = 2;
		stream_pair_start(&pair);
		stream_put_text(pair.ends[0], "abcdef");
		loop_run_until(pair.loop, stream_probe_has_received, probe);
		stream_probe_expect(probe, "ab");
		stream_put_text(pair.ends[0], "ghi");
		loop_run_idle(pair.loop);
		stream_probe_expect(probe, "ab");
		/* Half of the rest, and paused again. */
		probe->is_take_ordered = true;
		probe->take_bytes = 1;
		probe->is_within_call = true;
		stream_resume(pair.ends[1]);
		probe->is_within_call = false;
		loop_run_idle(pair.loop);
		stream_probe_expect(probe, "abc");
		stream_resume(pair.ends[1]);
		stream_pair_run_until_received(&pair, 1, 9);
		stream_probe_expect(probe, "abcdefghi");
		stream_pair_end(&pair);
	}
}

static void test_stream_receives_nothing_when_it_is_paused(void **state)
{
	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);

		stream_pair_start(&pair);
		stream_pause(pair.ends[1]);
		stream_put_text(pair.ends[0], "patience");
		stream_finish(pair.ends[0]);
		loop_run_idle(pair.loop);
		assert_int_equal(pair.probes[1].received_calls, 0);
		assert_int_equal(pair.probes[1].closed_calls, 0);
		stream_resume(pair.ends[1]);
		loop_run_until(pair.loop, stream_probe_is_closed, &pair.probes[1]);
		stream_probe_expect(&pair.probes[1], "patience");
		stream_pair_end(&pair);
	}
}

static void test_stream_holds_the_sender_up_when_the_receiver_is_paused(void **state)
{
	CLEANUP(cleanup_free) uint8_t *bytes = calloc(1, STREAM_PROBE_BYTES);

	(void)state;
	assert_non_null(bytes);
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);
		struct lease_probe lease = lease_probe_new();

		stream_pair_start(&pair);
		stream_pause(pair.ends[1]);
		stream_lend(pair.ends[0], bytes, STREAM_PROBE_BYTES, &lease.lease);
		stream_tell_drained(pair.ends[0]);
		loop_run_idle(pair.loop);
		assert_true(stream_unsent_bytes(pair.ends[0]) > 0);
		assert_true(stream_send_progress_ns(pair.ends[0]) <= loop_now_ns(pair.loop));
		assert_int_equal(lease.sent, 0);
		assert_int_equal(pair.probes[0].drained_calls, 0);
		stream_resume(pair.ends[1]);
		stream_pair_run_until_received(&pair, 1, STREAM_PROBE_BYTES);
		assert_int_equal(lease.sent, 1);
		loop_run_until(pair.loop, stream_probe_is_drained, &pair.probes[0]);
		assert_int_equal(pair.probes[0].drained_calls, 1);
		stream_pair_end(&pair);
	}
}

static void test_stream_tells_drained_when_asked(void **state)
{
	(void)state;
	for (size_t row = 0; row < STREAM_KINDS; row++) {
		struct stream_pair pair = stream_pair_open(&stream_kinds[row]);
		struct stream_probe *probe = &pair.probes[0];

		stream_pair_start(&pair);
		probe->is_within_call = true;
		stream_tell_drained(pair.ends[0]);
		probe->is_within_call = false;
		loop_run_until(pair.loop, stream_probe_is_drained, probe);
		stream_put_text(pair.ends[0], "x");
		stream_pair_run_until_received(&pair, 1, 1);
		assert_int_equal(probe->drained_calls, 1);
		stream_put_text(pair.ends[0], "y");
		stream_tell_drained(pair.ends[0]);
		stream_pair_run_until_received(&pair, 1, 2);
		assert_int_equal(probe->drained_calls, 2);
		stream_pair_end(&pair);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream_carries_all_in_order_when_both_ends_send_much),
		cmocka_unit_test(test_stream_sends_all_at_once_when_there_are_many_pieces),
		cmocka_unit_test(test_stream_sends_what_was_put_when_it_starts_later),
		cmocka_unit_test(test_stream_places_bytes_when_a_place_is_wished),
		cmocka_unit_test(test_stream_brings_untaken_bytes_again_when_it_is_resumed),
		cmocka_unit_test(test_stream_receives_nothing_when_it_is_paused),
		cmocka_unit_test(test_stream_holds_the_sender_up_when_the_receiver_is_paused),
		cmocka_unit_test(test_stream_tells_drained_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
