/*
 * A target behind streams in memory, on a loop with a simulated clock, for fuzzers: a subsystem of two
 * namespaces, and hosts that send what their owner puts and count what they hear.
 */
#ifndef FERRY_TEST_SERVE_MEMORY_TARGET_H
#define FERRY_TEST_SERVE_MEMORY_TARGET_H

#include "base/clock.h"
#include "loop/memory_stream.h"
#include "serve/connection.h"
#include "target/target.h"
#include "tcp/pdu.h"

#define MEMORY_TARGET_NQN         "nqn.2024-01.org.example:disk"
#define MEMORY_TARGET_HOST_NQN    "nqn.2024-01.org.example:host"
#define MEMORY_TARGET_STORE_BYTES 65536u
#define MEMORY_TARGET_HOSTS       3
#define MEMORY_TARGET_TURNS_MAX   1000000u

struct memory_host {
	struct stream *stream; /* NULL: not connected */
	uint8_t input[PDU_HEADER_MAX];
	uint32_t plen;     /* of the PDU that comes; 0: not known */
	uint32_t pdu_used; /* of it, here */
	/* What was heard */
	unsigned data_count, r2t_count, response_count, success_count;
	struct nvme_completion completion; /* the last */
	uint16_t ttag;                     /* of the last R2T */
};

struct memory_target {
	struct simulated_clock clock;
	struct random random;
	struct loop *loop;
	struct store *stores[2];
	struct target *target;
	struct subsystem *subsystem;
	struct connection_setting setting;
	unsigned live_count, established_count;
	struct memory_host hosts[MEMORY_TARGET_HOSTS];
};

/** Make the target; the owner says which hosts the subsystem allows, and publishes it. */
void memory_target_init(struct memory_target *target, uint64_t seed);

/** Free all, hosts first (reset or ended), and see that the target comes to rest. */
void memory_target_deinit(struct memory_target *target, bool is_reset);

/** Connect host @index. @param faults NULL: none */
struct memory_host *memory_target_connect(struct memory_target *target, unsigned index,
	const struct memory_stream_faults *faults);

void memory_target_turn(struct memory_target *target, unsigned count);

/** Take turns until @host has heard @response_count completions, or nothing more can come.
 *  @return whether it has. */
bool memory_target_await(struct memory_target *target, const struct memory_host *host,
	unsigned response_count);

/** Put @count bytes. */
void memory_host_put(struct memory_host *host, const void *bytes, size_t count);

/** @param dgst digests to ask for, as in ICReq */
void memory_host_put_ic(struct memory_host *host, uint8_t dgst);

/** @return a Connect with which the target's subsystem is content, @ret_data its data. */
struct nvme_connect_command memory_target_connect_of(uint16_t qid, uint16_t cntlid,
	struct nvme_connect_data *ret_data);

/** Put a command with its data in the capsule. */
void memory_host_put_capsule(struct memory_host *host, const void *command, const void *data,
	size_t data_bytes);

/** Put a Property Set of CC that enables the controller. */
void memory_host_put_enable(struct memory_host *host);

#endif
