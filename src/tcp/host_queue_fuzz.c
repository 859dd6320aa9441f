/*
 * A host's queue whose controller sends arbitrary bytes, after a right ICResp, while commands of
 * every kind are out. Whatever comes, memory outside of the commands' data stays as it was, each
 * command is done() once each time it was submitted, and the queue fails when the controller goes.
 *
 *  OFFSET  SIZE  MEANING
 *       0     1  1 flow control is off, 2 commands are submitted again when done, 4 a small window,
 *                8 ICResp is not sent, 16 bytes come in small pieces, 32 the queue is freed in the
 *                first done(), 64 reset, not ended, 128 data are aligned
 *       1     1  seed; 128 header digests, 64 data digests, 32 one is wrong: of the PDU that the
 *                seed modulo 8 counts from 0
 *       2     -  what the controller sends, as if there were no digests: they are put where they
 *                belong if the PDU's lengths make sense
 *
 * Deepest: a read and a write by R2T have succeeded.
 */
#include "tcp/host_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "loop/loop.h"
#include "loop/memory_stream.h"
#include "loop/stream.h"
#include "tcp/pdu.h"
#include "test/tcp/pdu_maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);
bool fuzz_is_deep(void);

#define COMMANDS    4
#define GUARD_BYTES 64u
#define DATA_BYTES  24576u
#define GUARD       0xa5
#define AGAIN_MAX   64
#define BYTES_MAX   65536 /* of an input */

enum {
	FLOW_CONTROL_OFF = 1,
	AGAIN = 2,
	SMALL_WINDOW = 4,
	NO_IC = 8,
	SMALL_PIECES = 16,
	FREED_WHEN_DONE = 32,
	RESET = 64,
	ALIGNED = 128,
};

/* Of the seed. */
enum { HEADER_DIGEST = 128, DATA_DIGEST = 64, WRONG_DIGEST = 32, WRONG_MASK = 7 };

enum { COMMAND_READ, COMMAND_WRITE };

struct fuzz_command {
	struct tcp_host_command command;
	struct fuzz *fuzz;
	bool is_out;
	uint8_t memory[GUARD_BYTES + DATA_BYTES + GUARD_BYTES];
};

struct fuzz {
	struct simulated_clock clock;
	struct random random;
	struct loop *loop;
	struct tcp_host_queue *queue; /* NULL once freed */
	struct stream *controller;
	unsigned again_count;
	uint8_t set, seed;
	bool is_done_well[COMMANDS];
	struct pdu_maker maker; /* of what the controller sends */
	struct fuzz_command commands[COMMANDS];
};

static bool is_deep;

bool fuzz_is_deep(void)
{
	return is_deep;
}

static void submit(struct fuzz_command *command)
{
	assert(!command->is_out);
	command->is_out = tcp_host_queue_submit(command->fuzz->queue, &command->command) == 0;
}

static void done(struct tcp_host_command *base)
{
	struct fuzz_command *command = container_of(base, struct fuzz_command, command);
	struct fuzz *fuzz = command->fuzz;
	struct tcp_host_queue *queue = fuzz->queue;

	assert(command->is_out);
	command->is_out = false;
	if (base->error == 0 && nvme_completion_status(&base->completion) == NVME_STATUS_SUCCESS)
		fuzz->is_done_well[command - fuzz->commands] = true;
	if ((fuzz->set & FREED_WHEN_DONE) != 0 && queue != NULL) {
		fuzz->queue = NULL;
		tcp_host_queue_free(queue);
	} else if ((fuzz->set & AGAIN) != 0 && queue != NULL && fuzz->again_count++ < AGAIN_MAX) {
		submit(command);
	}
}

static void ready(void *context)
{
	static const struct {
		enum tcp_host_transfer transfer;
		uint32_t bytes;
	} kinds[COMMANDS] = {
		{TCP_HOST_READ, 8192},
		{TCP_HOST_WRITE, DATA_BYTES},
		{TCP_HOST_WRITE, 512},
		{TCP_HOST_NO_DATA, 0},
	};
	struct fuzz *fuzz = context;

	for (size_t i = 0; i < COMMANDS; i++) {
		struct fuzz_command *command = &fuzz->commands[i];

		memset(command->memory, GUARD, sizeof(command->memory));
		command->fuzz = fuzz;
		command->command.done = done;
		command->command.transfer = kinds[i].transfer;
		command->command.data_bytes = kinds[i].bytes;
		command->command.data = kinds[i].bytes > 0 ? command->memory + GUARD_BYTES : NULL;
		submit(command);
		assert(command->is_out);
	}
}

static void failed(void *context, int error, const char *reason)
{
	struct fuzz *fuzz = context;

	assert(error < 0 && reason[0] != '\0');
	for (size_t i = 0; i < COMMANDS; i++)
		assert(!fuzz->commands[i].is_out);
	tcp_host_queue_free(fuzz->queue);
	fuzz->queue = NULL;
}

static const struct tcp_host_queue_handler handler = {ready, failed};

static size_t controller_received(void *context, size_t direct_bytes, const uint8_t *data,
	size_t bytes)
{
	(void)context;
	(void)direct_bytes;
	(void)data;
	return bytes;
}

static void controller_closed(void *context, int error)
{
	(void)context;
	(void)error;
}

static const struct stream_handler controller_handler = {.received = controller_received,
	.closed = controller_closed};

static void take_turns(struct fuzz *fuzz, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		(void)!loop_turn(fuzz->loop, 0);
}

static void open_queue(struct fuzz *fuzz)
{
	const struct tcp_host_queue_options options = {
		.entries = COMMANDS + 1,
		.capsule_data_bytes = 4096,
		.is_flow_control_off = (fuzz->set & FLOW_CONTROL_OFF) != 0,
		.has_header_digest = fuzz->maker.has_header_digest,
		.has_data_digest = fuzz->maker.has_data_digest,
	};
	const struct memory_stream_faults faults = {
		.random = &fuzz->random,
		.delivery_max_bytes = (fuzz->set & SMALL_PIECES) != 0 ? 7 : 0,
		.window_bytes = (fuzz->set & SMALL_WINDOW) != 0 ? 500 : 0,
	};
	struct pdu_ic_response ic = {.maxh2cdata = le32_of(PDU_MAXH2CDATA_MIN),
		.cpda = (fuzz->set & ALIGNED) != 0 ? PDU_PDA_MAX : 0,
		.dgst = (uint8_t)((fuzz->maker.has_header_digest ? PDU_IC_FLAG_HEADER_DIGEST : 0) |
			(fuzz->maker.has_data_digest ? PDU_IC_FLAG_DATA_DIGEST : 0))};
	struct stream *ends[2];

	if (memory_stream_pair(fuzz->loop, &faults, ends) < 0)
		abort();
	fuzz->controller = ends[1];
	if (stream_reserve(ends[1], 1024, 16) < 0)
		abort();
	stream_start(ends[1], &controller_handler, fuzz);
	if (tcp_host_queue_new(ends[0], &options, &handler, fuzz, &fuzz->queue) < 0)
		abort();
	if ((fuzz->set & NO_IC) != 0)
		return;
	pdu_set_common(&ic.common, PDU_IC_RESPONSE, sizeof(ic), 0, sizeof(ic));
	memcpy(stream_put(fuzz->controller, sizeof(ic)), &ic, sizeof(ic));
	while (!fuzz->commands[0].is_out)
		take_turns(fuzz, 1);
	take_turns(fuzz, 16);
}

static void check_guards(const struct fuzz *fuzz)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct fuzz_command *command = &fuzz->commands[i];
		size_t end = GUARD_BYTES;

		if (command->command.transfer == TCP_HOST_READ)
			end += command->command.data_bytes;
		if (command->fuzz == NULL)
			continue;
		for (size_t k = 0; k < GUARD_BYTES; k++)
			assert(command->memory[k] == GUARD);
		for (size_t k = end; k < sizeof(command->memory); k++)
			assert(command->memory[k] == GUARD);
	}
}

/* @return the length of the PDU at @data if its lengths are right ones without digests, else 0. */
static size_t sensible_bytes(const uint8_t *data, size_t bytes)
{
	struct pdu_common common;
	uint32_t plen;

	if (bytes < sizeof(struct pdu_data))
		return 0;
	memcpy(&common, data, sizeof(common));
	plen = le32_get(common.plen);
	if (common.type != PDU_RESPONSE && common.type != PDU_C2H_DATA && common.type != PDU_R2T)
		return 0;
	if (common.hlen != sizeof(struct pdu_data) || plen < common.hlen || plen > bytes)
		return 0;
	if (common.pdo != (plen > common.hlen ? common.hlen : 0))
		return 0;
	return plen;
}

/* Make what is sent: digests are added as long as the PDUs make sense. */
static void make_pdus(struct fuzz *fuzz, const uint8_t *data, size_t bytes)
{
	struct pdu_maker *maker = &fuzz->maker;
	bool has_digests = maker->has_header_digest || maker->has_data_digest;
	size_t plen;

	for (unsigned i = 0; has_digests && (plen = sensible_bytes(data, bytes)) > 0; i++) {
		uint8_t header[sizeof(struct pdu_data)];
		size_t used = maker->used;

		memcpy(header, data, sizeof(header));
		pdu_maker_add(maker, header, data + sizeof(header), plen - sizeof(header));
		if ((fuzz->seed & WRONG_DIGEST) != 0 && i == (fuzz->seed & WRONG_MASK) &&
			maker->used - used > plen)
			maker->bytes[maker->used - 1] ^= 1;
		data += plen;
		bytes -= plen;
	}
	if (bytes > 0)
		memcpy(maker->bytes + maker->used, data, bytes);
	maker->used += bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	struct loop_options options = {.pool_bytes = 4u << 20};
	struct fuzz *fuzz;

	is_deep = false;
	if (data_bytes < 2 || data_bytes > BYTES_MAX)
		return 0;
	fuzz = calloc(1, sizeof(*fuzz));
	if (fuzz == NULL)
		abort();
	fuzz->set = data[0];
	fuzz->seed = data[1];
	random_init(&fuzz->random, fuzz->seed);
	fuzz->maker.has_header_digest = (fuzz->seed & HEADER_DIGEST) != 0;
	fuzz->maker.has_data_digest = (fuzz->seed & DATA_DIGEST) != 0;
	fuzz->maker.bytes = malloc(PDU_MAKER_BYTES);
	if (fuzz->maker.bytes == NULL)
		abort();
	make_pdus(fuzz, data + 2, data_bytes - 2);
	simulated_clock_init(&fuzz->clock, 0);
	options.clock = &fuzz->clock.clock;
	if (loop_new(&options, &fuzz->loop) < 0)
		abort();
	open_queue(fuzz);
	if (fuzz->maker.used > 0)
		stream_lend(fuzz->controller, fuzz->maker.bytes, fuzz->maker.used, NULL);
	take_turns(fuzz, 64);
	if ((fuzz->set & RESET) != 0)
		memory_stream_reset(fuzz->controller);
	else
		stream_finish(fuzz->controller);
	/* All that is left to come is a matter of time. */
	while (fuzz->queue != NULL && loop_turn(fuzz->loop, 1000) == 0)
		;
	check_guards(fuzz);
	is_deep = fuzz->is_done_well[COMMAND_READ] && fuzz->is_done_well[COMMAND_WRITE];
	tcp_host_queue_free(fuzz->queue);
	stream_free(fuzz->controller);
	loop_free(fuzz->loop);
	free(fuzz->maker.bytes);
	free(fuzz);
	return 0;
}
