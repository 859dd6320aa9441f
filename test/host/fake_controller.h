/*
 * A controller for the tests of hosts: a small disk in memory behind memory streams, that does what
 * it is told, well or badly. It is simple where a real one is careful: it believes its host.
 */
#ifndef FERRY_TEST_HOST_FAKE_CONTROLLER_H
#define FERRY_TEST_HOST_FAKE_CONTROLLER_H

#include <stdbool.h>
#include <stdint.h>

#include "host/host.h"
#include "loop/stream.h"
#include "nvme/identify_namespace.h"
#include "nvme/status.h"

#define FAKE_CONNECTIONS   16
#define FAKE_ADDRESSES     4
#define FAKE_HELD_MAX      256
#define FAKE_BLOCK_BYTES   512u
#define FAKE_BLOCKS        8192u
#define FAKE_INPUT_BYTES   (3u << 20)
#define FAKE_CNTLID        7
#define FAKE_LOG_RECORDS   40u
#define FAKE_LOG_BYTES     ((1u + FAKE_LOG_RECORDS) * 1024)
#define FAKE_NQN           "nqn.2014-08.org.example:disk"
#define FAKE_URL           "nvme-tcp://127.0.0.1/" FAKE_NQN
#define FAKE_DISCOVERY_URL "nvme-tcp://127.0.0.1"

struct fake_connection {
	struct fake_controller *controller;
	struct stream *stream;
	uint8_t *input; /* what came and is not yet a whole PDU */
	size_t input_bytes;
	uint16_t qid;
	bool has_flow_control;
	/* The write that R2T asked for. */
	struct nvme_command writing;
	uint32_t written_bytes;
};

struct fake_held {
	struct fake_connection *connection;
	struct nvme_command command;
};

struct fake_controller {
	struct loop *loop;
	struct fake_connection connections[FAKE_CONNECTIONS];
	unsigned connection_count;
	uint8_t *disk;
	uint32_t cc;

	/* What it says; fake_controller_init() makes it right. */
	uint64_t cap;
	struct nvme_identify_controller identify;
	struct nvme_identify_namespace identify_namespace;
	uint8_t descriptors[NVME_IDENTIFY_BYTES];
	uint32_t csts_ready; /* what CSTS reads when it is ready */
	unsigned polls_to_ready;
	uint16_t queues_granted;
	uint8_t log
		[FAKE_LOG_BYTES]; /* of discovery; the record count in its header is the test's */

	/* How it misbehaves */
	unsigned addresses_dead;       /* the first so many addresses refuse */
	unsigned addresses_resetting;  /* as many reset the connection */
	uint32_t connect_dw0;          /* of an admin Connect */
	nvme_status connect_status;    /* of an admin Connect */
	nvme_status io_connect_status; /* of an I/O Connect */
	bool insists_on_flow_control;  /* refuses an I/O Connect without */
	uint8_t failing_opcode;        /* admin; with failing_status */
	nvme_status failing_status;
	nvme_status io_status; /* of all I/O */
	unsigned log_changes;  /* so often the log changes before its header is shown once more */
	unsigned log_restarts; /* so often a piece of it is refused by Discover Restart */
	bool is_silent_to_keep_alive;
	bool is_silent_to_all;
	bool is_silent_to_log;
	bool resets_at_log;
	bool never_shuts_down;
	bool is_holding; /* I/O commands are kept until fake_controller_release() */

	/* What it saw */
	struct nvme_connect_data connect_data;
	uint32_t kato_ms;
	unsigned log_reads, log_bytes_max;
	unsigned keep_alives, io_commands, flushes, fua_writes, io_connects, blocks_max;
	unsigned held_count;
	struct fake_held held[FAKE_HELD_MAX];
};

void fake_controller_init(struct fake_controller *controller, struct loop *loop);
void fake_controller_deinit(struct fake_controller *controller);

/** For host_seat.open_stream; the context is the controller. */
int fake_controller_open(void *controller, unsigned attempt, struct stream **ret_stream);

/** Carry out what was held. */
void fake_controller_release(struct fake_controller *controller);

/** Reset all connections. */
void fake_controller_reset(struct fake_controller *controller);

#endif
