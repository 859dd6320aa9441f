/*
 * Feeds a receiver with arbitrary bytes under several cuttings, held PDUs and dropped data, and has
 * all tell the same.
 *
 *  OFFSET  SIZE  MEANING
 *       0     1  rules: 1 we are the controller, 2 header digests, 4 data digests, 3..7 CPDA or HPDA
 *       1     1  seed of the cutting
 *       2     -  what the peer sends
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "loop/loop.h"
#include "loop/memory_stream.h"
#include "loop/stream.h"
#include "tcp/receiver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);

#define DATA_MAX   16384u
#define EVENTS_MAX 256
#define RUNS       4

enum event_kind { EVENT_HEADER, EVENT_DATA, EVENT_FAULT };

struct event {
	enum event_kind kind;
	uint32_t values[4];
};

struct run {
	struct receiver receiver;
	struct stream *stream;
	struct random random;
	bool is_holding, is_held, is_dead;
	uint8_t *place;
	struct event events[EVENTS_MAX];
	unsigned event_count;
	unsigned pdu_count;
};

static void record(struct run *run, struct event event)
{
	if (run->event_count < EVENTS_MAX)
		run->events[run->event_count++] = event;
}

static struct receiver_answer run_header(void *context, const struct pdu *pdu)
{
	struct run *run = context;

	assert(!run->is_dead);
	assert(pdu->data_bytes <= DATA_MAX && pdu->padding_bytes < PDU_ALIGNMENT_MAX);
	assert(pdu->header_bytes >= 24 && pdu->header_bytes <= PDU_HEADER_MAX);
	run->is_held = run->is_holding && !run->is_held;
	if (run->is_held)
		return (struct receiver_answer){.is_held = true};
	record(run,
		(struct event){EVENT_HEADER,
			{crc32c(0, pdu->header, pdu->header_bytes), pdu->padding_bytes,
				pdu->data_bytes, pdu->has_data_digest}});
	/* Every third one's data is dropped. */
	return (struct receiver_answer){.data = run->pdu_count++ % 3 == 2 ? NULL : run->place};
}

static struct pdu_fault run_data(void *context, const struct pdu *pdu, bool is_intact)
{
	struct run *run = context;

	assert(!run->is_dead && pdu->data_bytes > 0);
	assert(is_intact || pdu->has_data_digest);
	record(run,
		(struct event){EVENT_DATA,
			{crc32c(0, pdu->header, pdu->header_bytes),
				crc32c(0, run->place, pdu->data_bytes), is_intact}});
	return (struct pdu_fault){.fes = PDU_FES_NONE};
}

static void run_fault(void *context, struct pdu_fault fault, const uint8_t *header,
	size_t header_bytes)
{
	struct run *run = context;

	assert(!run->is_dead && fault.fes != PDU_FES_NONE && header_bytes <= PDU_HEADER_MAX);
	run->is_dead = true;
	record(run,
		(struct event){EVENT_FAULT,
			{(uint32_t)fault.fes, fault.fei, crc32c(0, header, header_bytes)}});
}

static const struct receiver_handler run_handler = {run_header, run_data, run_fault};

static size_t received(void *context, size_t direct_bytes, const uint8_t *data, size_t bytes)
{
	struct run *run = context;

	return receiver_take(&run->receiver, direct_bytes, data, bytes);
}

static void closed(void *context, int error)
{
	(void)context;
	(void)error;
}

static const struct stream_handler stream_handler = {.received = received, .closed = closed};

static void take_turns(struct loop *loop, struct run *run)
{
	unsigned idle = 0;

	while (idle < 3) {
		(void)!loop_turn(loop, 0);
		idle++;
		if (run->receiver.state != RECEIVER_HELD)
			continue;
		receiver_resume(&run->receiver);
		idle = 0;
	}
}

/* Run @index: 0 whole, 1 and 3 in pieces of random size, 2 byte by byte at first; 1 and 2 held. */
static struct run *run_once(struct loop *loop, unsigned index, const uint8_t *data,
	size_t data_bytes)
{
	struct run *run = calloc(1, sizeof(*run));
	struct stream *ends[2];
	uint8_t rules = data[0];
	size_t sent = 2;

	assert(run != NULL);
	run->place = calloc(1, DATA_MAX);
	assert(run->place != NULL && memory_stream_pair(loop, NULL, ends) == 0);
	assert(stream_reserve(ends[0], 0, 16) == 0);
	random_init(&run->random, data[1]);
	run->is_holding = index == 1 || index == 2;
	receiver_init(&run->receiver, ends[1], &run_handler, run);
	run->receiver.rules = (struct pdu_rules){
		.is_controller = (rules & 1) != 0,
		.has_header_digest = (rules & 2) != 0,
		.has_data_digest = (rules & 4) != 0,
		.alignment_pda = rules >> 3,
		.capsule_data_max = DATA_MAX / 2,
		.data_max = DATA_MAX,
	};
	stream_start(ends[0], &stream_handler, run);
	stream_start(ends[1], &stream_handler, run);
	while (sent < data_bytes) {
		size_t left = data_bytes - sent, bytes = left;

		if (index == 2)
			bytes = sent < 600 ? 1 : 7;
		else if (index > 0)
			bytes = 1 + random_below(&run->random, index == 1 ? 20 : 500);
		bytes = bytes < left ? bytes : left;
		stream_lend(ends[0], data + sent, bytes, NULL);
		take_turns(loop, run);
		sent += bytes;
	}
	stream_free(ends[0]);
	stream_free(ends[1]);
	free(run->place);
	return run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	struct simulated_clock clock;
	struct run *runs[RUNS];
	struct loop *loop;

	if (data_bytes < 2 || data_bytes > 8192)
		return 0;
	simulated_clock_init(&clock, 1);
	assert(loop_new(&(struct loop_options){.clock = &clock.clock}, &loop) == 0);
	for (unsigned i = 0; i < RUNS; i++) {
		runs[i] = run_once(loop, i, data, data_bytes);
		assert(runs[i]->event_count == runs[0]->event_count);
		assert(memcmp(runs[i]->events, runs[0]->events, sizeof(runs[0]->events)) == 0);
	}
	for (unsigned i = 0; i < RUNS; i++)
		free(runs[i]);
	loop_free(loop);
	return 0;
}
