/*
 * A host for tests, and the transport between it and the target, without a wire: commands go
 * straight to a target's queue, data from and to memory. Nothing here may fail: what does fails the
 * test.
 *
 * A world is a target with one or two loops on a simulated clock, turned by turns in one thread. A
 * connection closes as a real one does: when it is told to end or is closed by the host, the target
 * is told, and the queue is freed when all its requests are back.
 */
#ifndef FERRY_TEST_TARGET_FAKE_HOST_H
#define FERRY_TEST_TARGET_FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "nvme/command.h"
#include "target/queue.h"
#include "target/target.h"

#define FAKE_HOST_NQN "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555"
#define FAKE_NQN      "nqn.2024-01.org.example:disks"

struct fake_world {
	struct simulated_clock clock;
	struct loop *loops[2];
	struct target *target;
	struct subsystem *subsystem; /* FAKE_NQN, open to any host */
	struct log *log;
	unsigned log_line_count;
	char log_line[1024]; /* the last */
};

/** Make a target with one subsystem and no namespace yet. @param limits NULL for the defaults */
void fake_world_init(struct fake_world *world, const struct target_limits *limits);

/** Turn the loops until the target is idle and free all. */
void fake_world_deinit(struct fake_world *world);

/** Turn each loop once, without waiting. */
void fake_world_turn(struct fake_world *world);

/** Let @ms pass, in steps of 100 ms. */
void fake_world_pass(struct fake_world *world, uint64_t ms);

/** Turn until @target is idle. */
void fake_world_settle(struct fake_world *world);

struct fake_connection {
	struct fake_world *world; /* NULL: loops are turned by others */
	struct loop *loop;
	struct target_queue *queue; /* NULL once freed */
	char name[64];
	bool is_memory_short; /* connected() fails */
	bool is_holding;      /* what is told to end does not do so by itself */
	bool is_data_held;    /* what is sent is begun and not executed: fake_data_arrives() */
	bool is_connected;
	struct target_queue_parameters parameters;
	unsigned end_count; /* how often the target told it to end */
	const char *end_reason;
	unsigned keep_alive_off_count; /* how often it was told so */
	bool is_ended;
	unsigned outstanding_count;
	unsigned done_count; /* commands that the target has completed */
	struct list outstanding;
};

/* One command. */
struct fake_command {
	struct list link; /* of the connection's outstanding ones */
	struct fake_connection *connection;
	bool is_done;
	unsigned done_index; /* among all that its connection's target has completed */
	bool is_freed_when_done;
	uint16_t status;
	uint64_t result;
	uint8_t *data; /* as the host has it, of data_bytes */
	size_t data_bytes;
	struct request *request;
};

/** Connect a transport that has not sent Connect yet.
 *  @param loop_index which loop of the world's */
struct fake_connection *fake_connection_open(struct fake_world *world, unsigned loop_index,
	const struct target_queue_peer *peer);

/** As above, on any loop, which others turn. */
struct fake_connection *fake_connection_open_on(struct target *target, struct loop *loop,
	const struct target_queue_peer *peer);

/** The host closes the connection. Legal more than once. */
void fake_connection_close(struct fake_connection *connection);

/** @return whether the target has let go of the queue: it is freed. */
bool fake_connection_is_closed(const struct fake_connection *connection);

/** Close, and free what the test has of it. The queue goes by itself. */
void fake_connection_free(struct fake_connection *connection);

/** Send @command with an SGL for @data_bytes bytes: in the capsule if @data is given, else to be
 *  received. @return the command, to be freed by fake_command_free(). */
struct fake_command *fake_send(struct fake_connection *connection,
	const struct nvme_command *command, const void *data, size_t data_bytes);

/** As above with the SGL as it is in @command, and @capsule_bytes of the data in the capsule. */
struct fake_command *fake_send_raw(struct fake_connection *connection,
	const struct nvme_command *command, const void *data, size_t capsule_bytes);

/** The data of a command sent while connection->is_data_held has come. */
void fake_data_arrives(struct fake_command *command);

/** It never comes: the command is abandoned, and done. */
void fake_abandon(struct fake_command *command);

void fake_command_free(struct fake_command *command);

/** Turn the loops until @command is done. @return its status. */
uint16_t fake_wait(struct fake_command *command);

/** Send, wait and free. @param data what the host sends, or NULL; @param ret_data what it receives,
 *  or NULL; @data_bytes of either. @param ret_result may be NULL. @return the status. */
struct fake_exchange {
	const void *data;
	void *ret_data;
	size_t data_bytes;
	uint64_t result;
};
uint16_t fake_execute(struct fake_connection *connection, const struct nvme_command *command,
	struct fake_exchange *exchange);

/** As fake_execute() for a command without data; @ret_result may be NULL. */
uint16_t fake_command(struct fake_connection *connection, const struct nvme_command *command,
	uint64_t *ret_result);

/** A Connect of FAKE_HOST_NQN to FAKE_NQN, to be altered and sent. */
struct fake_connect {
	struct nvme_connect_command command;
	struct nvme_connect_data data;
};
void fake_connect_init(struct fake_connect *connect, uint16_t qid, uint16_t cntlid);
uint16_t fake_connect(struct fake_connection *connection, const struct fake_connect *connect,
	uint64_t *ret_result);

/** Open an admin queue on loop @loop_index, connected and enabled. @return it with its id. */
struct fake_connection *fake_admin(struct fake_world *world, unsigned loop_index,
	uint16_t *ret_cntlid);

/** As above, of this host. What is NULL or 0 is as fake_connect_init() has it. */
struct fake_guest {
	const char *nqn; /* of the subsystem */
	const char *host_nqn;
	const struct target_queue_peer *peer;
	uint32_t kato_ms;
};
struct fake_connection *fake_admin_of(struct fake_world *world, unsigned loop_index,
	const struct fake_guest *guest, uint16_t *ret_cntlid);

/** Open an I/O queue of that controller. */
struct fake_connection *fake_io(struct fake_world *world, unsigned loop_index, uint16_t cntlid,
	uint16_t qid);

uint16_t fake_property_get(struct fake_connection *connection, uint32_t offset, uint8_t attrib,
	uint64_t *ret_value);
uint16_t fake_property_set(struct fake_connection *connection, uint32_t offset, uint8_t attrib,
	uint64_t value);

/** @return CSTS. */
uint32_t fake_csts(struct fake_connection *connection);

/** @return a command of @opcode for @nsid with PSDT as fabrics has it. */
struct nvme_command fake_command_of(uint8_t opcode, uint32_t nsid);

#endif
