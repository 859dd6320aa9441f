/*
 * bench_count_reads COUNT: COUNT Reads of 4 KiB at depth 32 from the target to a host that only
 * counts bytes, over a memory stream on one loop. Under callgrind the difference between two counts
 * is what one Read costs in instructions, whatever else the machine does (bench/count).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "bench/capsule.h"
#include "loop/loop.h"
#include "loop/memory_stream.h"
#include "loop/stream.h"
#include "serve/connection.h"
#include "store/store.h"
#include "target/target.h"

#define NQN   "nqn.2026-01.org.example:count"
#define DEPTH 32
#define TURNS 1000 /* that an answer may take */

struct host {
	struct loop *loop;
	struct stream *stream;
	size_t received_bytes;
	uint8_t last[sizeof(struct pdu_response)];
};

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "bench_count_reads: %s\n", what);
	exit(EXIT_FAILURE);
}

static size_t received(void *context, size_t direct_bytes, const uint8_t *data, size_t bytes)
{
	struct host *host = context;

	(void)direct_bytes;
	host->received_bytes += bytes;
	if (bytes >= sizeof(host->last))
		memcpy(host->last, data + bytes - sizeof(host->last), sizeof(host->last));
	return bytes;
}

static void closed(void *context, int error)
{
	(void)context;
	(void)error;
	die("the target closed the connection");
}

static const struct stream_handler host_handler = {.received = received, .closed = closed};

static void ended(void *context, struct connection *connection)
{
	(void)context;
	(void)connection;
}

/* Take turns until @bytes more have come. */
static void await(struct host *host, size_t bytes)
{
	for (unsigned i = 0; i < TURNS && host->received_bytes < bytes; i++) {
		if (loop_turn(host->loop, 0) < 0)
			die("the loop failed");
	}
	if (host->received_bytes != bytes)
		die("an answer has not the length it should have");
	host->received_bytes = 0;
}

/* @return dword 0 of the completion. */
static uint32_t call(struct host *host, const uint8_t *pdu, size_t bytes)
{
	struct pdu_response response;

	for (size_t sent = 0; sent < bytes; sent += STREAM_PUT_MAX) {
		size_t part = bytes - sent < STREAM_PUT_MAX ? bytes - sent : STREAM_PUT_MAX;

		memcpy(stream_put(host->stream, part), pdu + sent, part);
	}
	await(host, sizeof(response));
	memcpy(&response, host->last, sizeof(response));
	if (response.common.type != PDU_RESPONSE || le16_get(response.completion.status) != 0)
		die("a command of the set-up failed");
	return le32_get(response.completion.dw0);
}

static uint16_t open_queue(struct host *host, const struct connection_setting *setting,
	uint16_t qid, uint16_t cntlid)
{
	struct connection *connection;
	struct stream *ends[2];
	uint8_t pdu[BENCH_CAPSULE_MAX];

	if (memory_stream_pair(host->loop, NULL, ends) < 0 ||
		connection_new(setting, ends[0], &connection) < 0 ||
		stream_reserve(ends[1], 2 * BENCH_CAPSULE_MAX, DEPTH + 8) < 0)
		die("no connection");
	host->stream = ends[1];
	stream_start(host->stream, &host_handler, host);
	(void)capsule_ic_request(pdu);
	memcpy(stream_put(host->stream, sizeof(struct pdu_ic_request)), pdu,
		sizeof(struct pdu_ic_request));
	await(host, sizeof(struct pdu_ic_response));
	return (uint16_t)call(host, pdu, capsule_connect(pdu, NQN, qid, cntlid));
}

static void read_blocks(struct host *host, uint64_t count)
{
	for (uint64_t done = 0; done < count; done += DEPTH) {
		for (uint16_t i = 0; i < DEPTH; i++) {
			struct pdu_command *pdu =
				(struct pdu_command *)(void *)stream_put(host->stream,
					sizeof(*pdu));

			capsule_read(pdu, (done + i) % 256, i);
		}
		await(host, DEPTH * BENCH_ANSWER_BYTES);
	}
}

int main(int argc, char **argv)
{
	struct simulated_clock clock;
	struct loop_options options = {.clock = &clock.clock};
	struct connection_setting setting = {.deadlines = tcp_deadlines_default(),
		.data_max = 1u << 18,
		.established = ended,
		.ended = ended};
	struct subsystem *subsystem;
	struct host host = {0};
	struct store *store;
	uint64_t count;
	uint8_t pdu[BENCH_CAPSULE_MAX];
	char problem[256];
	uint16_t cntlid;

	if (argc != 2 || text_parse_number(argv[1], DEPTH, 1u << 30, &count) < 0)
		die("one number is needed");
	simulated_clock_init(&clock, CLOCK_SECOND_NS);
	if (loop_new(&options, &host.loop) < 0 ||
		store_open("ram:1M", &store, problem, sizeof(problem)) < 0 ||
		target_new(NULL, NULL, &setting.target) < 0 ||
		target_add_subsystem(setting.target, NQN, &subsystem) < 0 ||
		subsystem_add_namespace(subsystem, store) < 0)
		die("no target");
	subsystem_allow_any_host(subsystem);
	target_publish(setting.target);
	cntlid = open_queue(&host, &setting, NVME_QID_ADMIN, NVME_CNTLID_DYNAMIC);
	(void)call(&host, pdu, capsule_enable(pdu));
	(void)open_queue(&host, &setting, 1, cntlid);
	read_blocks(&host, count);
	return EXIT_SUCCESS; /* what is open ends with the process */
}
