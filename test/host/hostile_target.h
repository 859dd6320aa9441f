/*
 * A target for the fuzzing of hosts: a disk and a discovery log behind memory streams, that answers
 * rightly, or as a script says (hostile_script.h). It keeps account of the data it has sent for each
 * request, so that data the host accepts can be compared with them, and checks what the host sends: its
 * digests, and that data of a write are those of the request.
 *
 * Digests are put where the host has asked for them, so that what is wrong in a PDU is what the
 * script made wrong, and is looked at by the host behind the check of the digest.
 */
#ifndef FERRY_TEST_HOST_HOSTILE_TARGET_H
#define FERRY_TEST_HOST_HOSTILE_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/memory_stream.h"
#include "loop/stream.h"
#include "tcp/pdu.h"

#define HOSTILE_CONNECTIONS    8
#define HOSTILE_COMMANDS_MAX   512 /* that a host sends in a run */
#define HOSTILE_REQUESTS_MAX   24
#define HOSTILE_CHANGES_MAX    4
#define HOSTILE_REQUEST_BLOCKS 1024u /* request N is of blocks from N times this */
#define HOSTILE_BLOCK_BYTES    512u
#define HOSTILE_PDU_MAX        65536u      /* data of a PDU */
#define HOSTILE_WINDOW_BYTES   (64u << 10) /* the most that is on its way to the target */
#define HOSTILE_INPUT_BYTES    (2u * HOSTILE_PDU_MAX + 2048) /* part of a PDU, and what comes */
#define HOSTILE_CNTLID         7
#define HOSTILE_NQN            "nqn.2014-08.org.example:disk"

/* A request of the host's user. */
struct hostile_request {
	bool is_write;
	uint32_t bytes;
	uint8_t *buffer;  /* the host's */
	uint8_t *sent;    /* what was sent for each byte of a read, when it was first sent */
	uint8_t *is_sent; /* for each byte */
	bool must_fail;   /* something of it was damaged on the way */
	bool is_unknown;  /* no account is kept: bytes that are no PDUs went where it is */
};

struct hostile_connection {
	struct hostile_target *target;
	struct stream *stream; /* NULL: closed */
	uint8_t *input;        /* of HOSTILE_INPUT_BYTES: what is not yet a whole PDU */
	size_t input_bytes;
	uint16_t qid;
	bool has_flow_control;
	bool is_unknown; /* what was sent is not a sequence of PDUs, or guesses at commands */
	bool is_broken;  /* a header with a wrong digest was sent: nothing more may be accepted */
};

struct hostile_command {
	struct hostile_connection *connection;
	struct nvme_command command;
	struct hostile_request *request; /* NULL: not of a request's */
	uint32_t offset, bytes;          /* which part of the request's */
	uint32_t received_bytes;         /* of a write's data */
	bool is_pending;                 /* to be answered */
	bool is_completed;               /* a completion was sent */
	bool is_granted;                 /* R2T was sent */
};

/* What the script changes in a PDU before it is sent. */
struct hostile_changes {
	unsigned skip; /* PDUs before it */
	unsigned count;
	struct {
		uint16_t offset; /* in the header, or behind it in the data */
		uint8_t value;
	} changes[HOSTILE_CHANGES_MAX];
	bool is_header_spoilt, is_data_spoilt; /* the digests */
};

struct hostile_target {
	struct loop *loop;
	struct memory_stream_faults faults;
	struct hostile_connection connections[HOSTILE_CONNECTIONS];
	unsigned connection_count;
	struct hostile_command commands[HOSTILE_COMMANDS_MAX]; /* as they came */
	unsigned command_count;
	struct hostile_request requests[HOSTILE_REQUESTS_MAX];
	unsigned request_count;
	struct hostile_changes changes;
	bool has_header_digest, has_data_digest;
	uint32_t block_bytes; /* of the disk, as the host was told */
	bool is_shut_down;
	unsigned auto_count; /* commands that are answered rightly as they come */
	uint8_t *scratch;    /* of a whole PDU */
};

void hostile_target_init(struct hostile_target *target, struct loop *loop,
	const struct memory_stream_faults *faults);
void hostile_target_deinit(struct hostile_target *target);

/** For host_seat.open_stream; the context is the target. */
int hostile_target_open(void *target, unsigned attempt, struct stream **ret_stream);

/** Answer rightly. A write whose data are not here is asked for them, and completed when they are. */
void hostile_target_answer(struct hostile_command *command);

/** Answer an ICReq rightly. */
void hostile_target_answer_ic(struct hostile_connection *connection);

/** @return the @index-th (modulo their number) of the commands to be answered; NULL: there is none. */
struct hostile_command *hostile_target_pending(struct hostile_target *target, unsigned index);

/** Send @bytes bytes of data (at most HOSTILE_PDU_MAX), a pattern of the command's own, as from
 *  @offset on. With the SUCCESS flag the command is no longer pending after this. */
void hostile_target_send_data(struct hostile_command *command, uint8_t flags, uint32_t offset,
	uint32_t bytes);
void hostile_target_send_r2t(struct hostile_command *command, uint32_t offset, uint32_t bytes);
/** The command is no longer pending after this. */
void hostile_target_send_response(struct hostile_command *command, uint64_t result,
	uint16_t status);

/** Send a PDU with its digests, after the changes that are due. @param header of hlen bytes, whole
 *  but for digests and their flags @param command whose data it brings, NULL: none that is known */
void hostile_target_send(struct hostile_connection *connection, const void *header,
	const void *data, uint32_t data_bytes, struct hostile_command *command);

/** Send bytes that are no PDU. */
void hostile_target_send_raw(struct hostile_connection *connection, const uint8_t *bytes,
	size_t count);

#endif
