/*
 * The queue hangs on one end of a memory stream, and a stream probe on the other.
 */
#include "test/tcp/host_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loop/loop.h"

#define CONTROLLER_PUT_BYTES (1u << 20)
#define CONTROLLER_PIECES    64

static void peer_ready(void *context)
{
	struct host_peer *peer = context;

	peer->ready_calls++;
	if (peer->is_freeing_when_ready) {
		tcp_host_queue_free(peer->queue);
		peer->queue = NULL;
	}
}

static void peer_failed(void *context, int error, const char *reason)
{
	struct host_peer *peer = context;

	assert_int_equal(tcp_host_queue_outstanding(peer->queue), 0);
	peer->failed_calls++;
	peer->error = error;
	assert_true(strlen(reason) < sizeof(peer->reason));
	memcpy(peer->reason, reason, strlen(reason) + 1);
	tcp_host_queue_free(peer->queue);
	peer->queue = NULL;
}

static const struct tcp_host_queue_handler peer_handler = {peer_ready, peer_failed};

void host_peer_open(struct host_peer *peer, struct tcp_host_queue_options options,
	const struct memory_stream_faults *faults)
{
	struct memory_stream_faults drawn = {.random = NULL};
	struct stream *ends[2];

	*peer = (struct host_peer){.loop = NULL};
	simulated_clock_init(&peer->clock, 0);
	random_init(&peer->random, 1);
	assert_int_equal(loop_new(&(struct loop_options){.clock = &peer->clock.clock}, &peer->loop),
		0);
	if (faults != NULL) {
		drawn = *faults;
		drawn.random = &peer->random;
	}
	assert_int_equal(memory_stream_pair(peer->loop, &drawn, ends), 0);
	assert_int_equal(stream_reserve(ends[1], CONTROLLER_PUT_BYTES, CONTROLLER_PIECES), 0);
	stream_probe_start(&peer->controller, ends[1]);
	if (options.entries == 0)
		options.entries = 8;
	assert_int_equal(tcp_host_queue_new(ends[0], &options, &peer_handler, peer, &peer->queue),
		0);
}

void host_peer_initialize(struct host_peer *peer, uint32_t maxh2cdata, uint8_t cpda)
{
	(void)host_peer_take(peer, sizeof(struct pdu_ic_request));
	host_peer_send_ic_response(peer, maxh2cdata, cpda);
	while (peer->ready_calls == 0)
		assert_int_equal(loop_turn(peer->loop, 1000), 0);
}

void host_peer_end(struct host_peer *peer)
{
	tcp_host_queue_free(peer->queue);
	stream_probe_end(&peer->controller);
	loop_free(peer->loop);
}

static void command_done(struct tcp_host_command *base)
{
	struct host_peer_command *command = container_of(base, struct host_peer_command, command);
	struct host_peer *peer = command->peer;

	command->done_calls++;
	if (command->is_resubmitting) {
		command->is_resubmitting = false;
		assert_int_equal(tcp_host_queue_submit(peer->queue, base), 0);
	}
	if (command->is_freeing_queue) {
		struct tcp_host_queue *queue = peer->queue;

		peer->queue = NULL;
		tcp_host_queue_free(queue);
	}
}

void host_peer_command(struct host_peer *peer, struct host_peer_command *ret_command,
	enum tcp_host_transfer transfer, void *data, uint32_t bytes)
{
	static const uint8_t opcodes[] = {
		[TCP_HOST_NO_DATA] = NVME_IO_FLUSH,
		[TCP_HOST_READ] = NVME_IO_READ,
		[TCP_HOST_WRITE] = NVME_IO_WRITE,
	};

	*ret_command = (struct host_peer_command){
		.command = {.command = {.opcode = opcodes[transfer], .nsid = le32_of(1)},
			.transfer = transfer,
			.data = data,
			.data_bytes = bytes,
			.done = command_done},
		.peer = peer,
	};
}

void host_peer_submit(struct host_peer *peer, struct host_peer_command *command)
{
	assert_int_equal(tcp_host_queue_submit(peer->queue, &command->command), 0);
	(void)host_peer_take(peer, sizeof(struct pdu_command));
}

const uint8_t *host_peer_take(struct host_peer *peer, size_t bytes)
{
	const uint8_t *taken = peer->controller.received + peer->taken_bytes;

	peer->taken_bytes += bytes;
	while (peer->controller.received_bytes < peer->taken_bytes)
		assert_int_equal(loop_turn(peer->loop, 1000), 0);
	return taken;
}

static bool has_failed(void *context)
{
	return ((struct host_peer *)context)->failed_calls > 0;
}

void host_peer_run_until_failed(struct host_peer *peer)
{
	loop_run_until(peer->loop, has_failed, peer);
}

void host_peer_send(struct host_peer *peer, const void *bytes, size_t count)
{
	memcpy(stream_put(peer->controller.stream, count), bytes, count);
}

void host_peer_send_ic_response(struct host_peer *peer, uint32_t maxh2cdata, uint8_t cpda)
{
	struct pdu_ic_response pdu = {.cpda = cpda, .maxh2cdata = le32_of(maxh2cdata)};

	pdu_set_common(&pdu.common, PDU_IC_RESPONSE, sizeof(pdu), 0, sizeof(pdu));
	host_peer_send(peer, &pdu, sizeof(pdu));
}

void host_peer_send_completion(struct host_peer *peer, uint16_t cid, nvme_status status)
{
	struct pdu_response pdu = {.completion = nvme_completion_of(cid, status, 1)};

	pdu_set_common(&pdu.common, PDU_RESPONSE, sizeof(pdu), 0, sizeof(pdu));
	host_peer_send(peer, &pdu, sizeof(pdu));
}

void host_peer_send_r2t(struct host_peer *peer, uint16_t cid, uint32_t offset, uint32_t bytes)
{
	struct pdu_r2t pdu = {.cccid = le16_of(cid),
		.ttag = le16_of((uint16_t)(cid ^ 0x5a5a)),
		.r2to = le32_of(offset),
		.r2tl = le32_of(bytes)};

	pdu_set_common(&pdu.common, PDU_R2T, sizeof(pdu), 0, sizeof(pdu));
	host_peer_send(peer, &pdu, sizeof(pdu));
}

void host_peer_send_data(struct host_peer *peer, uint16_t cid, uint32_t offset, uint32_t bytes,
	uint8_t flags)
{
	struct pdu_data pdu = {.cccid = le16_of(cid),
		.datao = le32_of(offset),
		.datal = le32_of(bytes)};

	pdu_set_common(&pdu.common, PDU_C2H_DATA, sizeof(pdu), sizeof(pdu),
		(uint32_t)sizeof(pdu) + bytes);
	pdu.common.flags = flags;
	host_peer_send(peer, &pdu, sizeof(pdu));
	for (uint32_t sent = 0; sent < bytes; sent += 256) {
		uint32_t part = bytes - sent < 256 ? bytes - sent : 256;
		uint8_t *put = stream_put(peer->controller.stream, part);

		for (uint32_t i = 0; i < part; i++)
			put[i] = (uint8_t)((offset + sent + i) * 7);
	}
}

void host_peer_fill(uint8_t *ret_data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		ret_data[i] = (uint8_t)(i * 7);
}

bool host_peer_is_filled(const uint8_t *data, size_t offset, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (data[i] != (uint8_t)((offset + i) * 7))
			return false;
	}
	return true;
}
