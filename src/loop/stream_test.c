/*
 * What holds for streams of every kind: each test is run for each row of a table.
 */
#include "loop/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "loop/loop.h"
#include "loop/memory_stream.h"
#include "loop/socket_stream.h"
#include "loop/stream_probe.h"

#define PUT_BYTES (64u << 10)
#define PIECES    1500 /* more than one sendmsg() takes */

struct pair {
	struct loop *loop;
	struct stream *ends[2];
	struct stream_probe probes[2];
};

static void open_tcp(struct pair *pair)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fds[2] = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -1};

	assert_int_equal(bind(listening, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &bytes), 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&address, bytes), 0);
	fds[1] = accept(listening, NULL, NULL);
	assert_true(fds[1] >= 0);
	assert_int_equal(close(listening), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(socket_stream_adopt(pair->loop, fds[i], &pair->ends[i]), 0);
}

static void open_unix(struct pair *pair)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(socket_stream_adopt(pair->loop, fds[i], &pair->ends[i]), 0);
}

static void open_memory(struct pair *pair)
{
	assert_int_equal(memory_stream_pair(pair->loop, NULL, pair->ends), 0);
}

static void open_small_memory(struct pair *pair)
{
	const struct memory_stream_faults faults = {.window_bytes = 1000};

	assert_int_equal(memory_stream_pair(pair->loop, &faults, pair->ends), 0);
}

static const struct kind {
	const char *name;
	const char *peer_name; /* begins with it */
	void (*open)(struct pair *pair);
} kinds[] = {
	{"tcp", "127.0.0.1:", open_tcp},
	{"unix", "unix", open_unix},
	{"memory", "memory", open_memory},
	{"memory, small window", "memory", open_small_memory},
};

static struct pair pair_open(const struct kind *kind)
{
	struct pair pair = {.loop = NULL};

	print_message("           of kind %s\n", kind->name);
	assert_int_equal(loop_new(NULL, &pair.loop), 0);
	kind->open(&pair);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(stream_reserve(pair.ends[i], PUT_BYTES, PIECES), 0);
	return pair;
}

static void pair_start(struct pair *pair)
{
	for (unsigned i = 0; i < 2; i++)
		stream_probe_start(&pair->probes[i], pair->ends[i]);
}

static void pair_end(struct pair *pair)
{
	for (unsigned i = 0; i < 2; i++)
		stream_probe_end(&pair->probes[i]);
	loop_run_idle(pair->loop);
	loop_free(pair->loop);
}

static void put_text(struct stream *stream, const char *text)
{
	memcpy(stream_put(stream, strlen(text)), text, strlen(text));
}

static void assert_received(const struct stream_probe *probe, const char *text)
{
	assert_int_equal(probe->received_bytes, strlen(text));
	assert_memory_equal(probe->received, text, strlen(text));
}

static bool is_something_received(void *context)
{
	const struct stream_probe *probe = context;

	return probe->received_bytes > 0;
}

static bool is_closed(void *context)
{
	const struct stream_probe *probe = context;

	return probe->closed_calls > 0;
}

static bool is_drained(void *context)
{
	const struct stream_probe *probe = context;

	return probe->drained_calls > 0;
}

struct wish {
	const struct stream_probe *probe;
	size_t bytes;
};

static bool is_received(void *context)
{
	const struct wish *wish = context;

	return wish->probe->received_bytes >= wish->bytes;
}

static void run_until_received(struct pair *pair, unsigned index, size_t bytes)
{
	struct wish wish = {&pair->probes[index], bytes};

	loop_run_until(pair->loop, is_received, &wish);
}

static bool is_freed(void *context)
{
	const struct stream_probe *probe = context;

	return probe->stream == NULL;
}

struct lease {
	struct stream_lease lease;
	struct stream_probe *freed_probe; /* whose stream is freed on the return */
	unsigned sent, dropped;
};

static void lease_returned(struct stream_lease *stream_lease, bool is_sent)
{
	struct lease *lease = container_of(stream_lease, struct lease, lease);

	if (is_sent)
		lease->sent++;
	else
		lease->dropped++;
	if (lease->freed_probe && lease->freed_probe->stream) {
		stream_free(lease->freed_probe->stream);
		lease->freed_probe->stream = NULL;
	}
}

#define LEASE ((struct lease){.lease.returned = lease_returned})

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
	struct pair *pair;
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
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);
		struct bulk bulk = {&pair, bytes, {0, 0}};

		/* One takes payload in place, the other from the loop's buffer. */
		pair.probes[1].direct_wish_bytes = 7000;
		pair_start(&pair);
		loop_run_until(pair.loop, is_bulk_received, &bulk);
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(pair.probes[i].received_bytes, BULK_BYTES);
			assert_memory_equal(pair.probes[i].received, bytes, BULK_BYTES);
			assert_int_equal(stream_unsent_bytes(pair.ends[i]), 0);
		}
		assert_int_equal(pair.probes[0].direct_bytes, 0);
		assert_true(pair.probes[1].direct_bytes > 0);
		pair_end(&pair);
	}
}

static void test_stream_sends_all_at_once_when_there_are_many_pieces(void **state)
{
	static const uint8_t zeros[PIECES];

	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);
		struct lease lease = LEASE;

		pair_start(&pair);
		for (unsigned i = 0; i < PIECES; i++)
			stream_lend(pair.ends[0], zeros, 1, &lease.lease);
		assert_false(stream_has_room(pair.ends[0], 0, 1));
		run_until_received(&pair, 1, PIECES);
		assert_int_equal(lease.sent, PIECES);
		assert_int_equal(lease.dropped, 0);
		assert_memory_equal(pair.probes[1].received, zeros, PIECES);
		pair_end(&pair);
	}
}

static void test_stream_sends_what_was_put_when_it_starts_later(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);

		put_text(pair.ends[0], "early");
		loop_run_idle(pair.loop);
		assert_int_equal(stream_unsent_bytes(pair.ends[0]), 5);
		pair_start(&pair);
		run_until_received(&pair, 1, 5);
		assert_received(&pair.probes[1], "early");
		pair_end(&pair);
	}
}

static void test_stream_places_bytes_when_a_place_is_wished(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);

		pair.probes[1].direct_wish_bytes = 6;
		pair_start(&pair);
		put_text(pair.ends[0], "directbuffer");
		run_until_received(&pair, 1, 12);
		assert_received(&pair.probes[1], "directbuffer");
		assert_int_equal(pair.probes[1].direct_bytes, 6);
		/* The wish made in that call holds for what comes now. */
		put_text(pair.ends[0], "more");
		run_until_received(&pair, 1, 16);
		assert_int_equal(pair.probes[1].direct_bytes, 10);
		/* And none if it is taken back. */
		stream_direct(pair.ends[1], NULL, 0);
		pair.probes[1].direct_wish_bytes = 0;
		put_text(pair.ends[0], "last");
		run_until_received(&pair, 1, 20);
		assert_int_equal(pair.probes[1].direct_bytes, 10);
		assert_received(&pair.probes[1], "directbuffermorelast");
		pair_end(&pair);
	}
}

static void test_stream_brings_untaken_bytes_again_when_it_is_resumed(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);
		struct stream_probe *probe = &pair.probes[1];

		probe->is_take_ordered = true;
		probe->take_bytes = 2;
		pair_start(&pair);
		put_text(pair.ends[0], "abcdef");
		loop_run_until(pair.loop, is_something_received, probe);
		assert_received(probe, "ab");
		put_text(pair.ends[0], "ghi");
		loop_run_idle(pair.loop);
		assert_received(probe, "ab");
		/* Half of the rest, and paused again. */
		probe->is_take_ordered = true;
		probe->take_bytes = 1;
		probe->is_within_call = true;
		stream_resume(pair.ends[1]);
		probe->is_within_call = false;
		loop_run_idle(pair.loop);
		assert_received(probe, "abc");
		stream_resume(pair.ends[1]);
		run_until_received(&pair, 1, 9);
		assert_received(probe, "abcdefghi");
		pair_end(&pair);
	}
}

static void test_stream_receives_nothing_when_it_is_paused(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);

		pair_start(&pair);
		stream_pause(pair.ends[1]);
		put_text(pair.ends[0], "patience");
		stream_finish(pair.ends[0]);
		loop_run_idle(pair.loop);
		assert_int_equal(pair.probes[1].received_calls, 0);
		assert_int_equal(pair.probes[1].closed_calls, 0);
		stream_resume(pair.ends[1]);
		loop_run_until(pair.loop, is_closed, &pair.probes[1]);
		assert_received(&pair.probes[1], "patience");
		pair_end(&pair);
	}
}

static void test_stream_holds_the_sender_up_when_the_receiver_is_paused(void **state)
{
	CLEANUP(cleanup_free) uint8_t *bytes = calloc(1, STREAM_PROBE_BYTES);

	(void)state;
	assert_non_null(bytes);
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);
		struct lease lease = LEASE;

		pair_start(&pair);
		stream_pause(pair.ends[1]);
		stream_lend(pair.ends[0], bytes, STREAM_PROBE_BYTES, &lease.lease);
		stream_tell_drained(pair.ends[0]);
		loop_run_idle(pair.loop);
		assert_true(stream_unsent_bytes(pair.ends[0]) > 0);
		assert_true(stream_send_progress_ns(pair.ends[0]) <= loop_now_ns(pair.loop));
		assert_int_equal(lease.sent, 0);
		assert_int_equal(pair.probes[0].drained_calls, 0);
		stream_resume(pair.ends[1]);
		run_until_received(&pair, 1, STREAM_PROBE_BYTES);
		assert_int_equal(lease.sent, 1);
		loop_run_until(pair.loop, is_drained, &pair.probes[0]);
		assert_int_equal(pair.probes[0].drained_calls, 1);
		pair_end(&pair);
	}
}

static void test_stream_tells_drained_when_asked(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);
		struct stream_probe *probe = &pair.probes[0];

		pair_start(&pair);
		probe->is_within_call = true;
		stream_tell_drained(pair.ends[0]);
		probe->is_within_call = false;
		loop_run_until(pair.loop, is_drained, probe);
		put_text(pair.ends[0], "x");
		run_until_received(&pair, 1, 1);
		assert_int_equal(probe->drained_calls, 1);
		put_text(pair.ends[0], "y");
		stream_tell_drained(pair.ends[0]);
		run_until_received(&pair, 1, 2);
		assert_int_equal(probe->drained_calls, 2);
		pair_end(&pair);
	}
}

static void test_stream_closes_after_the_data_when_the_peer_finishes(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);

		pair_start(&pair);
		put_text(pair.ends[0], "goodbye");
		stream_finish(pair.ends[0]);
		loop_run_until(pair.loop, is_closed, &pair.probes[1]);
		assert_received(&pair.probes[1], "goodbye");
		assert_int_equal(pair.probes[1].error, 0);
		pair_end(&pair);
	}
}

static void test_stream_closes_after_the_data_when_the_peer_is_freed(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);
		struct stream_probe *probe = &pair.probes[0];

		pair_start(&pair);
		put_text(pair.ends[0], "goodbye");
		stream_tell_drained(pair.ends[0]);
		probe->is_freeing_when_drained = true;
		loop_run_until(pair.loop, is_closed, &pair.probes[1]);
		assert_null(probe->stream);
		assert_received(&pair.probes[1], "goodbye");
		assert_int_equal(pair.probes[1].error, 0);
		pair_end(&pair);
	}
}

static void test_stream_may_be_freed_when_it_calls(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);

		pair.probes[1].is_freeing_when_received = true;
		pair.probes[0].is_freeing_when_closed = true;
		pair_start(&pair);
		put_text(pair.ends[0], "free");
		put_text(pair.ends[1], "unread");
		loop_run_until(pair.loop, is_freed, &pair.probes[1]);
		loop_run_until(pair.loop, is_freed, &pair.probes[0]);
		assert_received(&pair.probes[1], "free");
		pair_end(&pair);
	}
}

static void test_stream_may_be_freed_when_it_returns_a_lease(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);
		struct lease leases[2] = {LEASE, LEASE};

		pair_start(&pair);
		leases[0].freed_probe = &pair.probes[0];
		stream_lend(pair.ends[0], "a", 1, &leases[0].lease);
		stream_lend(pair.ends[0], "b", 1, &leases[1].lease);
		loop_run_until(pair.loop, is_closed, &pair.probes[1]);
		assert_received(&pair.probes[1], "ab");
		assert_int_equal(leases[0].sent, 1);
		assert_int_equal(leases[1].sent, 1);
		pair_end(&pair);
	}
}

static void test_stream_returns_leases_unsent_when_it_is_freed(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);
		struct lease lease = LEASE;

		pair_start(&pair);
		stream_lend(pair.ends[0], "never", 5, &lease.lease);
		stream_probe_end(&pair.probes[0]);
		assert_int_equal(lease.dropped, 1);
		loop_run_until(pair.loop, is_closed, &pair.probes[1]);
		assert_int_equal(pair.probes[1].received_bytes, 0);
		pair_end(&pair);
	}
}

static void test_stream_drops_output_when_it_is_closed(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);
		struct lease lease = LEASE;

		pair_start(&pair);
		stream_finish(pair.ends[1]);
		loop_run_until(pair.loop, is_closed, &pair.probes[0]);
		put_text(pair.ends[0], "nowhere");
		stream_lend(pair.ends[0], "never", 5, &lease.lease);
		stream_resume(pair.ends[0]);
		stream_finish(pair.ends[0]);
		assert_int_equal(lease.dropped, 0);
		loop_run_idle(pair.loop);
		assert_int_equal(lease.dropped, 1);
		assert_int_equal(stream_unsent_bytes(pair.ends[0]), 0);
		assert_int_equal(pair.probes[1].received_bytes, 0);
		pair_end(&pair);
	}
}

static void test_stream_sends_its_answer_when_the_peer_has_finished(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);

		pair_start(&pair);
		stream_pause(pair.ends[1]);
		put_text(pair.ends[0], "question");
		stream_finish(pair.ends[0]);
		loop_run_idle(pair.loop);
		put_text(pair.ends[1], "answer");
		stream_resume(pair.ends[1]);
		loop_run_until(pair.loop, is_closed, &pair.probes[1]);
		run_until_received(&pair, 0, 6);
		assert_received(&pair.probes[0], "answer");
		pair_end(&pair);
	}
}

static void test_stream_names_its_peer_when_asked(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LENGTH(kinds); row++) {
		struct pair pair = pair_open(&kinds[row]);

		pair_start(&pair);
		assert_memory_equal(stream_peer_name(pair.ends[0]), kinds[row].peer_name,
			strlen(kinds[row].peer_name));
		assert_ptr_equal(stream_loop(pair.ends[0]), pair.loop);
		pair_end(&pair);
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
