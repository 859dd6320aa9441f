/*
 * A host, all of it, at a target that does what the input says: to what its handshake says, and to its
 * reads, writes and flushes, or to its asking for a discovery log. Whatever comes, the host becomes
 * ready or says why not, once; each request ends once; a read that succeeds has the bytes that were
 * sent for it, undamaged, and no others; no byte of a write but its own goes out; and closing takes its
 * time and no more. Deepest: reads in pieces and writes by R2T have succeeded, or a discovery log was
 * read.
 *
 *  OFFSET  SIZE  MEANING
 *       0     1  1 header digests, 2 data digests, 4 bytes come in small pieces, 8 a small window,
 *                16 two I/O queues, 32 the discovery log is asked for; 128 and 64, when the script has
 *                ended: 0 answers are right ones, 64 connections end, 128 they are reset, 192 silence
 *       1     1  seed of the pieces
 *       2     1  commands that are answered rightly before the script has its say, 255: all
 *       3     -  test/host/hostile_script.h; a step 6 reads (kind modulo 4 is 0), writes (1), flushes
 *                (2) or writes through (3), of as many blocks as the rest of the kind says, plus 1
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "host/host.h"
#include "loop/loop.h"
#include "loop/pool.h"
#include "test/host/hostile_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);
bool fuzz_is_deep(void);

#define URL                "nvme-tcp://127.0.0.1/" HOSTILE_NQN
#define URL_LOG            "nvme-tcp://127.0.0.1"
#define BYTES_MAX          4096
#define TURNS_MAX          2000000u
#define AFTER_MS           2000u /* the script's end, to what is left undone */
#define CLOSE_MS_MAX       9000u
#define SMALL_WINDOW_BYTES 700
#define UNSENT             0xee /* what a read's buffer holds before */

enum {
	HEADER_DIGEST = 1,
	DATA_DIGEST = 2,
	SMALL_PIECES = 4,
	SMALL_WINDOW = 8,
	TWO_QUEUES = 16,
	DISCOVERY = 32,
	END_MASK = 192,
	END_RIGHT = 0,
	END_FINISH = 64,
	END_RESET = 128,
};

enum ask { ASK_READ, ASK_WRITE, ASK_FLUSH, ASK_WRITE_THROUGH };

struct asked {
	struct fuzz *fuzz;
	struct hostile_request *request; /* NULL: a flush */
	bool is_out, is_done;
};

struct fuzz {
	uint8_t set;
	struct simulated_clock clock;
	struct random random;
	struct loop *loop;
	struct ferry_host *host;
	struct hostile_target target;
	struct hostile_script script;
	uint64_t script_ended_ms;
	unsigned ready_count, lost_count, asked_count;
	struct asked asked[HOSTILE_REQUESTS_MAX];
	unsigned long_reads, long_writes;
};

static bool is_deep;

bool fuzz_is_deep(void)
{
	return is_deep;
}

/* Requests */

static void check_read(const struct hostile_request *request)
{
	if (request->is_unknown)
		return;
	assert(!request->must_fail);
	for (uint32_t i = 0; i < request->bytes; i++)
		assert(request->is_sent[i] && request->buffer[i] == request->sent[i]);
}

static void done(void *context, int error)
{
	struct asked *asked = context;
	struct hostile_request *request = asked->request;
	struct fuzz *fuzz = asked->fuzz;

	assert(asked->is_out && !asked->is_done && error <= 0);
	asked->is_done = true;
	if (error != 0 || request == NULL)
		return;
	if (request->is_write) {
		assert(request->is_unknown || !request->must_fail);
		fuzz->long_writes += request->bytes > 8192;
	} else {
		check_read(request);
		fuzz->long_reads += request->bytes > 8192;
	}
}

static void make_request(struct hostile_request *request, bool is_write, uint32_t bytes)
{
	request->is_write = is_write;
	request->bytes = bytes;
	request->buffer = malloc(bytes);
	request->sent = calloc(1, bytes);
	request->is_sent = calloc(1, bytes);
	assert(request->buffer != NULL && request->sent != NULL && request->is_sent != NULL);
	memset(request->buffer, UNSENT, bytes);
	for (uint32_t i = 0; is_write && i < bytes; i++)
		request->buffer[i] = (uint8_t)(i * 13 + (i >> 8));
}

static void ask(void *context, uint8_t kind)
{
	struct ferry_host_info info = {.struct_bytes = sizeof(info)};
	struct fuzz *fuzz = context;
	struct hostile_target *target = &fuzz->target;
	struct ferry_host_request order = {.done = done};
	struct hostile_request *request;
	struct asked *asked;
	uint32_t bytes;
	int error;

	if (fuzz->host == NULL || ferry_host_get_info(fuzz->host, &info) != 0 ||
		fuzz->asked_count == HOSTILE_REQUESTS_MAX)
		return;
	asked = &fuzz->asked[fuzz->asked_count++];
	asked->fuzz = fuzz;
	order.context = asked;
	if (kind % 4 == ASK_FLUSH) {
		asked->is_out = ferry_host_flush(fuzz->host, &order) == 0;
		return;
	}
	bytes = (kind / 4 + 1u) * HOSTILE_BLOCK_BYTES;
	if (bytes < info.block_bytes)
		bytes = info.block_bytes;
	bytes -= bytes % info.block_bytes;
	target->block_bytes = info.block_bytes;
	order.lba = target->request_count * HOSTILE_REQUEST_BLOCKS;
	order.block_count = bytes / info.block_bytes;
	request = asked->request = &target->requests[target->request_count++];
	make_request(request, kind % 4 != ASK_READ, bytes);
	order.buffer = request->buffer;
	if (kind % 4 == ASK_WRITE_THROUGH)
		order.flags = FERRY_HOST_FUA;
	error = request->is_write ? ferry_host_write(fuzz->host, &order)
				  : ferry_host_read(fuzz->host, &order);
	asked->is_out = error == 0;
}

static void ready(void *context, int error)
{
	static const uint8_t kinds[] = {
		ASK_READ | 7 << 2,
		ASK_WRITE | 0 << 2,
		ASK_WRITE | 31 << 2,
		ASK_FLUSH,
		ASK_READ | 39 << 2,
	};
	struct fuzz *fuzz = context;

	fuzz->ready_count++;
	for (size_t i = 0; error == 0 && i < sizeof(kinds); i++)
		ask(fuzz, kinds[i]);
}

static void lost(void *context, int error)
{
	struct fuzz *fuzz = context;

	assert(error < 0);
	fuzz->lost_count++;
}

/* The run */

static uint64_t now_ms(const struct fuzz *fuzz)
{
	return fuzz->clock.time_ns / CLOCK_MS_NS;
}

static void script_ended(void *context)
{
	struct fuzz *fuzz = context;
	struct hostile_target *target = &fuzz->target;
	struct hostile_command *command;
	uint8_t end = fuzz->set & END_MASK;

	fuzz->script_ended_ms = now_ms(fuzz);
	for (unsigned i = 0; i < target->connection_count; i++) {
		struct stream *stream = target->connections[i].stream;

		if (stream != NULL && end == END_FINISH)
			stream_finish(stream);
		else if (stream != NULL && end == END_RESET)
			memory_stream_reset(stream);
	}
	target->auto_count = end == END_RIGHT ? UINT32_MAX : 0;
	for (unsigned i = 0; end == END_RIGHT && i < target->command_count; i++) {
		command = &target->commands[i];
		if (command->is_pending && !command->is_granted)
			hostile_target_answer(command);
	}
}

static struct host_plan plan_of(struct fuzz *fuzz, const struct ferry_host_options *options,
	const struct ferry_host_handler *handler)
{
	return (struct host_plan){
		.url = (fuzz->set & DISCOVERY) != 0 ? URL_LOG : URL,
		.options = options,
		.handler = handler,
		.seat = {fuzz->loop, hostile_target_open, &fuzz->target},
	};
}

/* The script has ended, and so has all that may come of it. */
static bool is_over(const struct fuzz *fuzz)
{
	if (fuzz->lost_count > 0)
		return true;
	if (!fuzz->script.is_ended)
		return false;
	if (now_ms(fuzz) > fuzz->script_ended_ms + AFTER_MS)
		return true;
	for (unsigned i = 0; i < fuzz->asked_count; i++) {
		if (fuzz->asked[i].is_out && !fuzz->asked[i].is_done)
			return false;
	}
	return fuzz->ready_count > 0;
}

static void run_host(struct fuzz *fuzz, const struct ferry_host_options *options)
{
	const struct ferry_host_handler handler = {ready, lost, fuzz};
	const struct host_plan plan = plan_of(fuzz, options, &handler);
	unsigned turns = 0;
	uint64_t closing_ms;
	int error = host_start(&plan, &fuzz->host, NULL);

	assert(error == 0);
	while (!is_over(fuzz)) {
		error = ferry_host_process(fuzz->host, 100);
		turns++;
		assert(error == 0 && turns < TURNS_MAX);
	}
	closing_ms = now_ms(fuzz);
	ferry_host_close(fuzz->host);
	fuzz->host = NULL;
	assert(now_ms(fuzz) - closing_ms <= CLOSE_MS_MAX);
	assert(fuzz->ready_count == 1 && fuzz->lost_count <= 1);
	for (unsigned i = 0; i < fuzz->asked_count; i++)
		assert(fuzz->asked[i].is_out == fuzz->asked[i].is_done);
	is_deep = fuzz->long_reads > 0 && fuzz->long_writes > 0;
}

static void run_discovery(struct fuzz *fuzz, const struct ferry_host_options *options)
{
	const struct host_plan plan = plan_of(fuzz, options, NULL);
	struct ferry_host_discovery *discovery = NULL;
	char problem[FERRY_HOST_ERROR_MAX] = "";
	int error = host_discover(&plan, &discovery, problem);

	assert(error == 0 ? discovery != NULL : problem[0] != '\0');
	is_deep = error == 0 && ferry_host_discovery_count(discovery) > 1;
	ferry_host_discovery_free(discovery);
}

static void start(struct fuzz *fuzz, const uint8_t *data, size_t data_bytes)
{
	struct loop_options options = {.clock = &fuzz->clock.clock,
		.pool_bytes = 2 * POOL_BUFFER_MAX};
	struct memory_stream_faults faults = {.random = &fuzz->random,
		.window_bytes = HOSTILE_WINDOW_BYTES};
	int error;

	fuzz->set = data[0];
	random_init(&fuzz->random, data[1]);
	simulated_clock_init(&fuzz->clock, CLOCK_SECOND_NS);
	error = loop_new(&options, &fuzz->loop);
	assert(error == 0);
	if ((fuzz->set & SMALL_PIECES) != 0)
		faults.delivery_max_bytes = 200;
	if ((fuzz->set & SMALL_WINDOW) != 0)
		faults.window_bytes = SMALL_WINDOW_BYTES;
	hostile_target_init(&fuzz->target, fuzz->loop, &faults);
	fuzz->target.has_header_digest = (fuzz->set & HEADER_DIGEST) != 0;
	fuzz->target.has_data_digest = (fuzz->set & DATA_DIGEST) != 0;
	fuzz->target.auto_count = data[2] == UINT8_MAX ? UINT32_MAX : data[2];
	fuzz->script = (struct hostile_script){.target = &fuzz->target,
		.reader = reader_over(data + 3, data_bytes - 3),
		.ask = ask,
		.ended = script_ended,
		.context = fuzz};
	hostile_script_start(&fuzz->script, fuzz->loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	struct ferry_host_options options = {.struct_bytes = sizeof(options),
		.host_nqn = "nqn.2014-08.org.example:host",
		.queue_entries = 8,
		.requests = HOSTILE_REQUESTS_MAX,
		.connect_timeout_ms = 1000};
	struct fuzz *fuzz;

	is_deep = false;
	if (data_bytes < 3 || data_bytes > BYTES_MAX)
		return 0;
	fuzz = calloc(1, sizeof(*fuzz));
	assert(fuzz != NULL);
	start(fuzz, data, data_bytes);
	options.header_digest = fuzz->target.has_header_digest;
	options.data_digest = fuzz->target.has_data_digest;
	options.io_queues = (fuzz->set & TWO_QUEUES) != 0 ? 2 : 1;
	if ((fuzz->set & DISCOVERY) != 0)
		run_discovery(fuzz, &options);
	else
		run_host(fuzz, &options);
	hostile_script_stop(&fuzz->script);
	hostile_target_deinit(&fuzz->target);
	for (unsigned i = 0; i < fuzz->target.request_count; i++) {
		free(fuzz->target.requests[i].buffer);
		free(fuzz->target.requests[i].sent);
		free(fuzz->target.requests[i].is_sent);
	}
	loop_free(fuzz->loop);
	free(fuzz);
	return 0;
}
