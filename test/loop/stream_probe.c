/*
 * The direct place of a probe is where the bytes belong in its memory, so that all of them lie in
 * order however they came.
 */
#include "test/loop/stream_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "loop/loop.h"

#define STREAM_PROBE_DEADLINE_NS (20ull * CLOCK_SECOND_NS)
#define STREAM_PROBE_IDLE_TURNS  16

static void probe_free_stream(struct stream_probe *probe)
{
	struct stream *stream = probe->stream;

	probe->stream = NULL;
	stream_free(stream);
}

static void probe_opened(void *context)
{
	struct stream_probe *probe = context;

	assert_false(probe->is_within_call);
	probe->opened_calls++;
}

static size_t probe_received(void *context, size_t direct_bytes, const uint8_t *data, size_t bytes)
{
	struct stream_probe *probe = context;
	size_t taken = bytes;

	assert_false(probe->is_within_call);
	assert_non_null(probe->stream);
	assert_true(direct_bytes > 0 || bytes > 0);
	assert_true(probe->received_bytes + direct_bytes + bytes <= STREAM_PROBE_BYTES);
	probe->received_calls++;
	probe->direct_bytes += direct_bytes;
	probe->received_bytes += direct_bytes;
	if (probe->is_take_ordered && probe->take_bytes < bytes) {
		probe->is_take_ordered = false;
		taken = probe->take_bytes;
		stream_pause(probe->stream);
	}
	if (taken > 0)
		memcpy(probe->received + probe->received_bytes, data, taken);
	probe->received_bytes += taken;
	if (probe->direct_wish_bytes > 0)
		stream_direct(probe->stream, probe->received + probe->received_bytes,
			probe->direct_wish_bytes);
	if (probe->is_freeing_when_received)
		probe_free_stream(probe);
	return taken;
}

static void probe_drained(void *context)
{
	struct stream_probe *probe = context;

	assert_false(probe->is_within_call);
	assert_int_equal(stream_unsent_bytes(probe->stream), 0);
	probe->drained_calls++;
	if (probe->is_freeing_when_drained)
		probe_free_stream(probe);
}

static void probe_closed(void *context, int error)
{
	struct stream_probe *probe = context;

	assert_false(probe->is_within_call);
	assert_int_equal(probe->closed_calls, 0);
	probe->closed_calls++;
	probe->error = error;
	if (probe->is_freeing_when_closed)
		probe_free_stream(probe);
}

static const struct stream_handler probe_handler = {
	.opened = probe_opened,
	.received = probe_received,
	.drained = probe_drained,
	.closed = probe_closed,
};

void stream_probe_start(struct stream_probe *probe, struct stream *stream)
{
	probe->stream = stream;
	probe->received = malloc(STREAM_PROBE_BYTES);
	assert_non_null(probe->received);
	probe->is_within_call = true;
	if (probe->direct_wish_bytes > 0)
		stream_direct(stream, probe->received, probe->direct_wish_bytes);
	stream_start(stream, &probe_handler, probe);
	probe->is_within_call = false;
}

void stream_probe_end(struct stream_probe *probe)
{
	probe_free_stream(probe);
	free(probe->received);
	probe->received = NULL;
}

bool stream_probe_has_received(void *probe)
{
	return ((struct stream_probe *)probe)->received_bytes > 0;
}

bool stream_probe_is_drained(void *probe)
{
	return ((struct stream_probe *)probe)->drained_calls > 0;
}

bool stream_probe_is_closed(void *probe)
{
	return ((struct stream_probe *)probe)->closed_calls > 0;
}

bool stream_probe_is_freed(void *probe)
{
	return ((struct stream_probe *)probe)->stream == NULL;
}

void stream_probe_expect(const struct stream_probe *probe, const char *text)
{
	assert_int_equal(probe->received_bytes, strlen(text));
	assert_memory_equal(probe->received, text, strlen(text));
}

void stream_put_text(struct stream *stream, const char *text)
{
	memcpy(stream_put(stream, strlen(text)), text, strlen(text));
}

static void lease_returned(struct stream_lease *lease, bool is_sent)
{
	struct lease_probe *probe = container_of(lease, struct lease_probe, lease);

	if (is_sent)
		probe->sent++;
	else
		probe->dropped++;
	if (probe->freed_probe)
		probe_free_stream(probe->freed_probe);
}

struct lease_probe lease_probe_new(void)
{
	return (struct lease_probe){.lease.returned = lease_returned};
}

void loop_run_until(struct loop *loop, bool (*is_met)(void *context), void *context)
{
	struct clock *clock = clock_monotonic();
	uint64_t end_ns = clock->now_ns(clock) + STREAM_PROBE_DEADLINE_NS;

	while (!is_met(context)) {
		assert_true(clock->now_ns(clock) < end_ns);
		assert_int_equal(loop_turn(loop, 100), 0);
	}
}

void loop_run_idle(struct loop *loop)
{
	for (unsigned i = 0; i < STREAM_PROBE_IDLE_TURNS; i++)
		assert_int_equal(loop_turn(loop, 0), 0);
}

void stream_probe_fill(uint8_t *ret_bytes, size_t bytes, uint64_t seed)
{
	struct random random;

	random_init(&random, seed);
	for (size_t i = 0; i < bytes; i++)
		ret_bytes[i] = (uint8_t)random_next(&random);
}
