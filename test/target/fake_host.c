/*
 * The transport of fake_host.h. Where a real one would wait for the wire, it does at once.
 */
#include "test/target/fake_host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "loop/loop.h"
#include "nvme/property.h"

#define TURNS_MAX 10000

/* The world */

static void keep_line(void *context, enum log_level level, const char *line)
{
	struct fake_world *world = context;

	(void)level;
	world->log_line_count++;
	(void)snprintf(world->log_line, sizeof(world->log_line), "%s", line);
}

void fake_world_init(struct fake_world *world, const struct target_limits *limits)
{
	struct loop_options options = {.clock = &world->clock.clock};

	memset(world, 0, sizeof(*world));
	simulated_clock_init(&world->clock, CLOCK_SECOND_NS);
	world->log = log_new(LOG_LEVEL_DEBUG, keep_line, world, &world->clock.clock);
	assert_non_null(world->log);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(loop_new(&options, &world->loops[i]), 0);
	assert_int_equal(target_new(limits, world->log, &world->target), 0);
	assert_int_equal(target_add_subsystem(world->target, FAKE_NQN, &world->subsystem), 0);
	subsystem_allow_any_host(world->subsystem);
}

void fake_world_turn(struct fake_world *world)
{
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(loop_turn(world->loops[i], 0), 0);
}

void fake_world_pass(struct fake_world *world, uint64_t ms)
{
	for (uint64_t passed = 0; passed < ms; passed += 100) {
		world->clock.time_ns += 100 * (uint64_t)CLOCK_MS_NS;
		for (unsigned i = 0; i < 4; i++)
			fake_world_turn(world);
	}
}

void fake_world_settle(struct fake_world *world)
{
	for (unsigned i = 0; i < TURNS_MAX && !target_is_idle(world->target); i++)
		fake_world_turn(world);
	assert_true(target_is_idle(world->target));
}

void fake_world_deinit(struct fake_world *world)
{
	fake_world_settle(world);
	for (unsigned i = 0; i < 2; i++)
		loop_free(world->loops[i]);
	target_free(world->target);
	log_free(world->log);
}

/* Connections */

static int connected(void *context, const struct target_queue_parameters *parameters)
{
	struct fake_connection *connection = context;

	if (connection->is_memory_short)
		return -ENOMEM;
	connection->is_connected = true;
	connection->parameters = *parameters;
	return 0;
}

static void free_if_closed(struct fake_connection *connection)
{
	struct target_queue *queue = connection->queue;

	if (!connection->is_ended || connection->outstanding_count > 0 || queue == NULL)
		return;
	connection->queue = NULL;
	target_queue_free(queue);
}

void fake_connection_close(struct fake_connection *connection)
{
	if (connection->is_ended)
		return;
	connection->is_ended = true;
	/* What is held is completed meanwhile: only afterwards is the queue freed. */
	connection->outstanding_count++;
	target_queue_end(connection->queue);
	connection->outstanding_count--;
	free_if_closed(connection);
}

static void end(void *context, const char *reason)
{
	struct fake_connection *connection = context;

	connection->end_count++;
	connection->end_reason = reason;
	if (!connection->is_holding)
		fake_connection_close(connection);
}

static void keep_alive_off(void *context)
{
	struct fake_connection *connection = context;

	connection->keep_alive_off_count++;
}

static struct request *find(void *context, uint16_t cid)
{
	struct fake_connection *connection = context;
	struct list *link;

	list_for_each (link, &connection->outstanding) {
		struct fake_command *command = container_of(link, struct fake_command, link);

		if (le16_get(command->request->command.cid) == cid)
			return command->request;
	}
	return NULL;
}

static const struct target_queue_handler handler = {
	.connected = connected,
	.end = end,
	.keep_alive_off = keep_alive_off,
	.find = find,
};

struct fake_connection *fake_connection_open_on(struct target *target, struct loop *loop,
	const struct target_queue_peer *peer)
{
	static const struct target_queue_peer somewhere = {
		.name = "192.0.2.7:50123",
		.local_host = "192.0.2.1",
	};
	struct fake_connection *connection = calloc(1, sizeof(*connection));

	assert_non_null(connection);
	connection->loop = loop;
	list_init(&connection->outstanding);
	assert_int_equal(target_queue_new(target, loop, &handler, connection,
				 peer != NULL ? peer : &somewhere, &connection->queue),
		0);
	return connection;
}

struct fake_connection *fake_connection_open(struct fake_world *world, unsigned loop_index,
	const struct target_queue_peer *peer)
{
	struct fake_connection *connection =
		fake_connection_open_on(world->target, world->loops[loop_index], peer);

	connection->world = world;
	return connection;
}

bool fake_connection_is_closed(const struct fake_connection *connection)
{
	return connection->queue == NULL;
}

void fake_connection_free(struct fake_connection *connection)
{
	fake_connection_close(connection);
	for (unsigned i = 0; i < TURNS_MAX && connection->queue != NULL; i++)
		fake_world_turn(connection->world);
	assert_null(connection->queue);
	free(connection);
}

/* Commands */

/* The transport keeps this behind the target's part. */
static struct fake_command **owner_of(struct request *request)
{
	return (struct fake_command **)((uint8_t *)request + target_request_bytes);
}

static void completed(struct request *request)
{
	struct fake_command *command = *owner_of(request);
	struct fake_connection *connection = command->connection;

	assert_false(command->is_done);
	command->is_done = true;
	command->done_index = connection->done_count++;
	command->status = request->status;
	command->result = request->result;
	if (request->is_lending && request->status == 0) {
		memcpy(command->data, request->data, command->data_bytes);
		target_queue_release(connection->queue, request);
	}
	list_remove(&command->link);
	connection->outstanding_count--;
	free_if_closed(connection);
	if (command->is_freed_when_done)
		fake_command_free(command);
}

static void begin(struct fake_command *command, const void *data)
{
	struct fake_connection *connection = command->connection;
	struct request *request = command->request;

	command->status = target_queue_begin(connection->queue, request);
	if (command->status != 0) {
		command->is_done = true;
		command->result = request->result;
		return;
	}
	command->data_bytes = request->data_bytes;
	command->data = calloc(1, request->data_bytes + 1);
	assert_non_null(command->data);
	if (request->transfer == REQUEST_FROM_HOST)
		memcpy(request->data != NULL ? request->data : command->data, data,
			request->data_bytes);
	/* What the target does not fill shows. */
	if (request->transfer == REQUEST_TO_HOST)
		memset(command->data, 0xa5, request->data_bytes);
	if (!request->is_lending && request->data == NULL)
		request->data = request->transfer == REQUEST_NO_DATA ? NULL : command->data;
	connection->outstanding_count++;
	list_append(&connection->outstanding, &command->link);
	if (!connection->is_data_held)
		target_queue_execute(connection->queue, request);
}

void fake_data_arrives(struct fake_command *command)
{
	target_queue_execute(command->connection->queue, command->request);
}

void fake_abandon(struct fake_command *command)
{
	struct fake_connection *connection = command->connection;

	target_queue_abandon(connection->queue, command->request);
	command->is_done = true;
	list_remove(&command->link);
	connection->outstanding_count--;
	free_if_closed(connection);
}

struct fake_command *fake_send_raw(struct fake_connection *connection,
	const struct nvme_command *nvme, const void *data, size_t capsule_bytes)
{
	struct fake_command *command = calloc(1, sizeof(*command));

	assert_non_null(command);
	list_init(&command->link);
	command->connection = connection;
	command->request = calloc(1, target_request_bytes + sizeof(struct fake_command *));
	assert_non_null(command->request);
	*owner_of(command->request) = command;
	command->request->command = *nvme;
	command->request->capsule_bytes = (uint32_t)capsule_bytes;
	command->request->complete = completed;
	begin(command, data);
	return command;
}

struct fake_command *fake_send(struct fake_connection *connection, const struct nvme_command *nvme,
	const void *data, size_t data_bytes)
{
	struct nvme_command command = *nvme;
	bool is_in_capsule = data != NULL && data_bytes <= 8192;

	command.sgl = is_in_capsule ? nvme_sgl_in_capsule(0, (uint32_t)data_bytes)
				    : nvme_sgl_transport((uint32_t)data_bytes);
	return fake_send_raw(connection, &command, data, is_in_capsule ? data_bytes : 0);
}

void fake_command_free(struct fake_command *command)
{
	if (command == NULL)
		return;
	assert_true(command->is_done);
	free(command->request);
	free(command->data);
	free(command);
}

uint16_t fake_wait(struct fake_command *command)
{
	for (unsigned i = 0; i < TURNS_MAX && !command->is_done; i++)
		fake_world_turn(command->connection->world);
	assert_true(command->is_done);
	return command->status;
}

uint16_t fake_execute(struct fake_connection *connection, const struct nvme_command *nvme,
	struct fake_exchange *exchange)
{
	struct fake_command *command =
		fake_send(connection, nvme, exchange->data, exchange->data_bytes);
	uint16_t status = fake_wait(command);

	exchange->result = command->result;
	if (exchange->ret_data != NULL && status == 0)
		memcpy(exchange->ret_data, command->data, command->data_bytes);
	fake_command_free(command);
	return status;
}

uint16_t fake_command(struct fake_connection *connection, const struct nvme_command *command,
	uint64_t *ret_result)
{
	struct fake_exchange exchange = {0};
	uint16_t status = fake_execute(connection, command, &exchange);

	if (ret_result != NULL)
		*ret_result = exchange.result;
	return status;
}

struct nvme_command fake_command_of(uint8_t opcode, uint32_t nsid)
{
	return (struct nvme_command){
		.opcode = opcode,
		.flags = NVME_FLAGS_PSDT_SGL,
		.nsid = le32_of(nsid),
	};
}

/* Connect and properties */

void fake_connect_init(struct fake_connect *connect, uint16_t qid, uint16_t cntlid)
{
	*connect = (struct fake_connect){
		.command =
			{
				.opcode = NVME_ADMIN_FABRICS,
				.flags = NVME_FLAGS_PSDT_SGL,
				.fctype = NVME_FABRICS_CONNECT,
				.qid = le16_of(qid),
				.sqsize = le16_of(31),
			},
		.data = {.cntlid = le16_of(cntlid)},
	};
	memset(connect->data.hostid, 0x11, sizeof(connect->data.hostid));
	nvme_nqn_to_field(connect->data.hostnqn, FAKE_HOST_NQN);
	nvme_nqn_to_field(connect->data.subnqn, FAKE_NQN);
}

uint16_t fake_connect(struct fake_connection *connection, const struct fake_connect *connect,
	uint64_t *ret_result)
{
	struct nvme_command command = nvme_command_of_fabrics(&connect->command);
	struct fake_exchange exchange = {.data = &connect->data,
		.data_bytes = sizeof(connect->data)};
	uint16_t status = fake_execute(connection, &command, &exchange);

	if (ret_result != NULL)
		*ret_result = exchange.result;
	return status;
}

uint16_t fake_property_get(struct fake_connection *connection, uint32_t offset, uint8_t attrib,
	uint64_t *ret_value)
{
	struct nvme_property_command get = {
		.opcode = NVME_ADMIN_FABRICS,
		.flags = NVME_FLAGS_PSDT_SGL,
		.fctype = NVME_FABRICS_PROPERTY_GET,
		.attrib = attrib,
		.ofst = le32_of(offset),
	};
	struct nvme_command command = nvme_command_of_fabrics(&get);

	return fake_command(connection, &command, ret_value);
}

uint16_t fake_property_set(struct fake_connection *connection, uint32_t offset, uint8_t attrib,
	uint64_t value)
{
	struct nvme_property_command set = {
		.opcode = NVME_ADMIN_FABRICS,
		.flags = NVME_FLAGS_PSDT_SGL,
		.fctype = NVME_FABRICS_PROPERTY_SET,
		.attrib = attrib,
		.ofst = le32_of(offset),
		.value = le64_of(value),
	};
	struct nvme_command command = nvme_command_of_fabrics(&set);

	return fake_command(connection, &command, NULL);
}

uint32_t fake_csts(struct fake_connection *connection)
{
	uint64_t csts;

	assert_int_equal(fake_property_get(connection, NVME_PROPERTY_CSTS, 0, &csts), 0);
	return (uint32_t)csts;
}

struct fake_connection *fake_admin_of(struct fake_world *world, unsigned loop_index,
	const struct fake_guest *guest, uint16_t *ret_cntlid)
{
	struct fake_connection *connection = fake_connection_open(world, loop_index, guest->peer);
	struct fake_connect connect;
	uint64_t cntlid;

	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	if (guest->nqn != NULL)
		nvme_nqn_to_field(connect.data.subnqn, guest->nqn);
	if (guest->host_nqn != NULL)
		nvme_nqn_to_field(connect.data.hostnqn, guest->host_nqn);
	connect.command.kato = le32_of(guest->kato_ms);
	assert_int_equal(fake_connect(connection, &connect, &cntlid), 0);
	assert_int_equal(fake_property_set(connection, NVME_PROPERTY_CC, 0,
				 nvme_cc_of_enabled(NVME_CC_CSS_NVM)),
		0);
	assert_int_equal(fake_csts(connection), NVME_CSTS_RDY);
	if (ret_cntlid != NULL)
		*ret_cntlid = (uint16_t)cntlid;
	return connection;
}

struct fake_connection *fake_admin(struct fake_world *world, unsigned loop_index,
	uint16_t *ret_cntlid)
{
	static const struct fake_guest guest = {0};

	return fake_admin_of(world, loop_index, &guest, ret_cntlid);
}

struct fake_connection *fake_io(struct fake_world *world, unsigned loop_index, uint16_t cntlid,
	uint16_t qid)
{
	struct fake_connection *connection = fake_connection_open(world, loop_index, NULL);
	struct fake_connect connect;

	fake_connect_init(&connect, qid, cntlid);
	assert_int_equal(fake_connect(connection, &connect, NULL), 0);
	return connection;
}
