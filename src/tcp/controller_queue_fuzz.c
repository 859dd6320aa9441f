/*
 * A controller's queue whose host sends arbitrary bytes after a right ICReq and Connect, below a
 * layer that takes any command for a flush, a read or a write by its opcode and completes in a
 * random order. Whatever comes, every request comes back, and the queue closes.
 *
 *  OFFSET  SIZE  MEANING
 *       0     1  1 flow control is off, 2 requests are held, 4 a small window, 8 no buffers at first,
 *                16 Connect is not sent, 32 bytes come in small pieces, 64 ended, not closed, 128 reset
 *       1     1  seed; 128: data digests are used
 *       2     -  what the host sends
 */
#include "tcp/controller_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "loop/memory_stream.h"
#include "loop/pool.h"
#include "loop/stream.h"
#include "tcp/pdu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);

#define ENTRIES    8
#define DATA_BYTES 65536u

enum {
	DATA_DIGEST = 128, /* of the seed */
};

enum {
	FLOW_CONTROL_OFF = 1,
	HELD = 2,
	SMALL_WINDOW = 4,
	NO_BUFFERS = 8,
	NO_CONNECT = 16,
	SMALL_PIECES = 32,
	ENDED = 64,
	RESET = 128,
};

struct fuzz {
	struct simulated_clock clock;
	struct random random;
	struct loop *loop;
	struct tcp_controller_queue *queue; /* NULL once closed */
	struct stream *host;
	struct request *held[ENTRIES];
	unsigned held_count;
	unsigned above_count; /* begun, not completed or abandoned */
	unsigned lent_count;
	bool is_ended;
	uint8_t set, seed;
	struct pool_share shares[2];
	struct pool_request buffers[2];
	uint8_t *lent;
};

/* The layer above */

static uint16_t begin(void *context, struct request *request)
{
	struct fuzz *fuzz = context;
	uint32_t bytes = le32_get(request->command.sgl.length);

	assert(!fuzz->is_ended && request->data == NULL && request->data_bytes == 0);
	if (bytes > DATA_BYTES || (request->command.opcode & 3) == 3)
		return 0x4002;
	if ((request->command.opcode & 1) != 0) {
		if (request->capsule_bytes != 0 && request->capsule_bytes != bytes)
			return 0x400f;
		request->transfer = REQUEST_FROM_HOST;
		request->data_bytes = bytes;
	} else if ((request->command.opcode & 2) != 0) {
		request->transfer = REQUEST_TO_HOST;
		request->data_bytes = bytes;
		request->is_lending = (request->command.opcode & 4) != 0;
	}
	fuzz->above_count++;
	return 0;
}

static void complete(struct fuzz *fuzz, struct request *request)
{
	request->status = request->command.opcode & 0x10;
	request->result = request->command.opcode & 0x20;
	if (request->command.opcode == 0x7d && fuzz->queue != NULL &&
		tcp_controller_queue_size(fuzz->queue, ENTRIES,
			(fuzz->set & FLOW_CONTROL_OFF) != 0) < 0)
		request->status = 6;
	if (request->is_lending && request->data_bytes > 0) {
		request->data = fuzz->lent;
		fuzz->lent_count++;
	} else if (request->transfer == REQUEST_TO_HOST && request->data_bytes > 0) {
		memset(request->data, 0x5a, request->data_bytes);
	}
	fuzz->above_count--;
	request->complete(request);
}

static void execute(void *context, struct request *request)
{
	struct fuzz *fuzz = context;

	assert(request->data_bytes == 0 || request->is_lending || request->data != NULL);
	if ((fuzz->set & HELD) == 0 || fuzz->held_count == ENTRIES) {
		complete(fuzz, request);
		return;
	}
	fuzz->held[fuzz->held_count++] = request;
}

static void complete_one(struct fuzz *fuzz)
{
	size_t index = random_below(&fuzz->random, fuzz->held_count);
	struct request *request = fuzz->held[index];

	fuzz->held[index] = fuzz->held[--fuzz->held_count];
	complete(fuzz, request);
}

static void abandon(void *context, struct request *request)
{
	struct fuzz *fuzz = context;

	(void)request;
	fuzz->above_count--;
}

static void release(void *context, struct request *request)
{
	struct fuzz *fuzz = context;

	assert(request->data == fuzz->lent);
	fuzz->lent_count--;
}

static void ended(void *context)
{
	struct fuzz *fuzz = context;

	assert(!fuzz->is_ended && fuzz->above_count == fuzz->held_count);
	fuzz->is_ended = true;
}

static void closed(void *context, const char *reason)
{
	struct fuzz *fuzz = context;

	(void)reason;
	assert(fuzz->is_ended && fuzz->above_count == 0);
	tcp_controller_queue_free(fuzz->queue);
	fuzz->queue = NULL;
}

static const struct tcp_controller_handler handler = {begin, execute, abandon, release, ended,
	closed};

/* The host: everything is received and nothing is read. */

static size_t host_received(void *context, size_t direct_bytes, const uint8_t *data, size_t bytes)
{
	(void)context;
	(void)direct_bytes;
	(void)data;
	return bytes;
}

static void host_closed(void *context, int error)
{
	(void)context;
	(void)error;
}

static const struct stream_handler host_handler = {.received = host_received,
	.closed = host_closed};

static void take_turns(struct fuzz *fuzz, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		(void)!loop_turn(fuzz->loop, 0);
		if (fuzz->held_count > 0 && random_below(&fuzz->random, 2) == 0)
			complete_one(fuzz);
	}
}

static void send_opening(struct fuzz *fuzz)
{
	struct pdu_ic_request ic = {.hpda = 0};
	struct pdu_command connect = {.command.opcode = 0x7d};

	if ((fuzz->seed & DATA_DIGEST) != 0)
		ic.dgst = PDU_IC_FLAG_DATA_DIGEST;
	pdu_set_common(&ic.common, PDU_IC_REQUEST, sizeof(ic), 0, sizeof(ic));
	pdu_set_common(&connect.common, PDU_COMMAND, sizeof(connect), 0, sizeof(connect));
	memcpy(stream_put(fuzz->host, sizeof(ic)), &ic, sizeof(ic));
	if ((fuzz->set & NO_CONNECT) == 0)
		memcpy(stream_put(fuzz->host, sizeof(connect)), &connect, sizeof(connect));
	take_turns(fuzz, 8);
}

static void hold_pool(struct fuzz *fuzz, bool is_held)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!is_held) {
			pool_give(loop_pool(fuzz->loop), &fuzz->buffers[i]);
			continue;
		}
		fuzz->buffers[i] =
			(struct pool_request){.share = &fuzz->shares[i], .bytes = POOL_BUFFER_MAX};
		assert(pool_take(loop_pool(fuzz->loop), &fuzz->buffers[i]));
	}
}

static void open_queue(struct fuzz *fuzz)
{
	const struct tcp_controller_options options = {
		.deadlines = tcp_deadlines_default(),
		.data_max = 8192,
		.capsule_max = 8192,
		.request_bytes = sizeof(struct request),
	};
	struct memory_stream_faults faults = {.random = &fuzz->random};
	struct stream *ends[2];

	if ((fuzz->set & SMALL_WINDOW) != 0)
		faults.window_bytes = 600;
	if ((fuzz->set & SMALL_PIECES) != 0)
		faults.delivery_max_bytes = 50;
	assert(memory_stream_pair(fuzz->loop, &faults, ends) == 0);
	fuzz->host = ends[0];
	assert(stream_reserve(ends[0], 256, 16) == 0);
	stream_start(ends[0], &host_handler, fuzz);
	assert(tcp_controller_queue_new(ends[1], &options, &handler, fuzz, &fuzz->queue) == 0);
}

/* Whatever was sent, the queue closes when the host does. */
static void close_queue(struct fuzz *fuzz)
{
	if ((fuzz->set & ENDED) != 0 && fuzz->queue != NULL)
		tcp_controller_queue_end(fuzz->queue, "ended");
	if ((fuzz->set & RESET) != 0)
		memory_stream_reset(fuzz->host);
	else if ((fuzz->set & ENDED) != 0)
		stream_finish(fuzz->host);
	take_turns(fuzz, 8);
	hold_pool(fuzz, false);
	take_turns(fuzz, 8);
	stream_free(fuzz->host);
	for (unsigned i = 0; i < 100000 && fuzz->queue != NULL; i++)
		take_turns(fuzz, 1);
	assert(fuzz->queue == NULL && fuzz->lent_count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	struct fuzz fuzz = {0};

	if (data_bytes < 2 || data_bytes > 16384)
		return 0;
	fuzz.set = data[0];
	fuzz.seed = data[1];
	random_init(&fuzz.random, fuzz.seed);
	simulated_clock_init(&fuzz.clock, 1);
	fuzz.lent = calloc(1, DATA_BYTES);
	assert(fuzz.lent != NULL);
	assert(loop_new(&(struct loop_options){.clock = &fuzz.clock.clock,
				.pool_bytes = 2 * POOL_BUFFER_MAX},
		       &fuzz.loop) == 0);
	open_queue(&fuzz);
	send_opening(&fuzz);
	if ((fuzz.set & NO_BUFFERS) != 0)
		hold_pool(&fuzz, true);
	if (data_bytes > 2)
		stream_lend(fuzz.host, data + 2, data_bytes - 2, NULL);
	take_turns(&fuzz, 30);
	close_queue(&fuzz);
	assert(pool_held_bytes(loop_pool(fuzz.loop)) == 0);
	loop_free(fuzz.loop);
	free(fuzz.lent);
	return 0;
}
