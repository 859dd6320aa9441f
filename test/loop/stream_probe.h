/*
 * A user of a stream for tests: it gathers what the stream tells, and does in its calls what a test
 * has ordered.
 */
#ifndef FERRY_TEST_LOOP_STREAM_PROBE_H
#define FERRY_TEST_LOOP_STREAM_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/stream.h"

#define STREAM_PROBE_BYTES (8u << 20) /* at most received by one */

struct stream_probe {
	struct stream *stream; /* NULL once freed */
	uint8_t *received;     /* all that came */
	size_t received_bytes;
	size_t direct_bytes; /* of these, the ones that came to the direct place */
	unsigned received_calls, opened_calls, drained_calls, closed_calls;
	int error;
	/* Orders */
	size_t direct_wish_bytes; /* ask for as many in place after each call */
	size_t take_bytes;        /* take only as many, and pause, in the first call */
	bool is_take_ordered;
	bool is_freeing_when_received, is_freeing_when_drained, is_freeing_when_closed;
	bool is_within_call; /* set by the test around its own calls */
};

/** Start @stream with the probe as its user. */
void stream_probe_start(struct stream_probe *probe, struct stream *stream);

/** Free the stream, unless that has been done, and the memory. */
void stream_probe_end(struct stream_probe *probe);

/* Conditions for loop_run_until(), of the probe that is the context. */
bool stream_probe_has_received(void *probe);
bool stream_probe_is_drained(void *probe);
bool stream_probe_is_closed(void *probe);
bool stream_probe_is_freed(void *probe);

/** Fail unless exactly @text was received. */
void stream_probe_expect(const struct stream_probe *probe, const char *text);

/** Put @text into the output. */
void stream_put_text(struct stream *stream, const char *text);

/* A lease that counts how it is returned. */
struct lease_probe {
	struct stream_lease lease;
	struct stream_probe *freed_probe; /* whose stream is freed on the return */
	unsigned sent, dropped;
};

struct lease_probe lease_probe_new(void);

/** Take turns until @is_met; fails the test when 20 s pass without. */
void loop_run_until(struct loop *loop, bool (*is_met)(void *context), void *context);

/** Take turns until nothing is left to be done at once. */
void loop_run_idle(struct loop *loop);

/** Fill with bytes that tell their place. */
void stream_probe_fill(uint8_t *ret_bytes, size_t bytes, uint64_t seed);

#endif
