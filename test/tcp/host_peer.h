/*
 * A host's queue whose controller is the test: it sees the bytes that the queue sent and writes
 * the PDUs of a controller, rightly or wrongly made.
 */
#ifndef FERRY_TEST_TCP_HOST_PEER_H
#define FERRY_TEST_TCP_HOST_PEER_H

#include "base/clock.h"
#include "loop/memory_stream.h"
#include "tcp/host_queue.h"
#include "tcp/pdu.h"
#include "test/loop/stream_probe.h"

#define HOST_PEER_MAXH2CDATA 4096u

struct host_peer {
	struct simulated_clock clock;
	struct random random;
	struct loop *loop;
	struct tcp_host_queue *queue; /* NULL once freed */
	struct stream_probe controller;
	size_t taken_bytes; /* of what the controller received, by host_peer_take() */
	unsigned ready_calls, failed_calls;
	bool is_freeing_when_ready;
	int error;
	char reason[TCP_HOST_REASON_MAX];
};

/* A command of a test's. */
struct host_peer_command {
	struct tcp_host_command command;
	struct host_peer *peer;
	unsigned done_calls;
	bool is_freeing_queue; /* in done() */
	bool is_resubmitting;  /* once, in done() */
};

/** Make the queue and the other end. Fields of @options that are 0 get a default. */
void host_peer_open(struct host_peer *peer, struct tcp_host_queue_options options,
	const struct memory_stream_faults *faults);

/** Take ICReq and answer with @maxh2cdata and @cpda, until the queue is ready. */
void host_peer_initialize(struct host_peer *peer, uint32_t maxh2cdata, uint8_t cpda);

/** Free all of it. */
void host_peer_end(struct host_peer *peer);

/** Prepare a command that moves @bytes bytes at @data. */
void host_peer_command(struct host_peer *peer, struct host_peer_command *ret_command,
	enum tcp_host_transfer transfer, void *data, uint32_t bytes);

/** Submit it, which must work, and have the controller take its capsule. */
void host_peer_submit(struct host_peer *peer, struct host_peer_command *command);

/** Take turns until the controller has @bytes more bytes. @return them; valid to the end. */
const uint8_t *host_peer_take(struct host_peer *peer, size_t bytes);

/** Take turns until the queue has failed. */
void host_peer_run_until_failed(struct host_peer *peer);

/* What the controller sends. */
void host_peer_send(struct host_peer *peer, const void *bytes, size_t count);
void host_peer_send_ic_response(struct host_peer *peer, uint32_t maxh2cdata, uint8_t cpda);
void host_peer_send_completion(struct host_peer *peer, uint16_t cid, nvme_status status);
void host_peer_send_r2t(struct host_peer *peer, uint16_t cid, uint32_t offset, uint32_t bytes);

/** C2HData of @bytes bytes; the byte at @offset of the command's data is (uint8_t)(offset * 7). */
void host_peer_send_data(struct host_peer *peer, uint16_t cid, uint32_t offset, uint32_t bytes,
	uint8_t flags);

/** Fill and check data as above. */
void host_peer_fill(uint8_t *ret_data, size_t bytes);
bool host_peer_is_filled(const uint8_t *data, size_t offset, size_t bytes);

#endif
