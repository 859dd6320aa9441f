/*
 * Whole connections in memory on a simulated clock: how they end where the host does nothing for it.
 */
#include "serve/connection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "loop/memory_stream.h"
#include "nvme/command.h"
#include "nvme/io_command.h"
#include "nvme/property.h"
#include "store/memory_store.h"
#include "store/store.h"
#include "target/target.h"
#include "tcp/pdu.h"
#include "test/store/faulty_store.h"

#define NQN      "nqn.2024-01.org.example:disk"
#define HOST_NQN "nqn.2024-01.org.example:host"
#define ENTRIES  32
#define BLOCK    512u

/* The host's end of one connection. */
struct side {
	struct stream *stream;
	uint8_t last[sizeof(struct pdu_response)]; /* the last bytes that came */
	bool is_closed;
};

struct world {
	struct simulated_clock clock;
	struct loop *loop;
	struct faulty_store *faulty;
	struct target *target;
	struct connection_setting setting;
	unsigned live_count;
	struct side admin, io, again;
	uint16_t cntlid;
};

static void established(void *context, struct connection *connection)
{
	(void)context;
	assert_true(connection_is_established(connection));
}

static void ended(void *context, struct connection *connection)
{
	struct world *world = context;

	(void)connection;
	world->live_count--;
}

static size_t received(void *context, size_t direct_bytes, const uint8_t *data, size_t bytes)
{
	struct side *side = context;
	size_t kept = bytes < sizeof(side->last) ? bytes : sizeof(side->last);

	(void)direct_bytes;
	memmove(side->last, side->last + kept, sizeof(side->last) - kept);
	memcpy(side->last + sizeof(side->last) - kept, data + bytes - kept, kept);
	return bytes;
}

static void closed(void *context, int error)
{
	struct side *side = context;

	(void)error;
	side->is_closed = true;
}

static const struct stream_handler host_handler = {.received = received, .closed = closed};

static void run(struct world *world)
{
	for (unsigned i = 0; i < 30; i++)
		assert_int_equal(loop_turn(world->loop, 0), 0);
}

static void pass(struct world *world, uint64_t ms)
{
	uint64_t end_ns = world->clock.time_ns + ms * CLOCK_MS_NS;

	while (world->clock.time_ns < end_ns)
		assert_int_equal(loop_turn(world->loop,
					 (int)((end_ns - world->clock.time_ns) / CLOCK_MS_NS)),
			0);
	run(world);
}

/* Its completion is the last that came. */
static struct nvme_completion last_completion(const struct side *side)
{
	struct pdu_response response;

	memcpy(&response, side->last, sizeof(response));
	assert_int_equal(response.common.type, PDU_RESPONSE);
	return response.completion;
}

static void put_command(struct side *side, const struct nvme_command *command, size_t data_bytes)
{
	struct pdu_command pdu = {.command = *command};

	pdu_set_common(&pdu.common, PDU_COMMAND, sizeof(pdu), data_bytes > 0 ? sizeof(pdu) : 0,
		(uint32_t)(sizeof(pdu) + data_bytes));
	memcpy(stream_put(side->stream, sizeof(pdu)), &pdu, sizeof(pdu));
}

/* @return the status that it completes with. */
static uint16_t finish_command(struct world *world, const struct side *side)
{
	run(world);
	return le16_get(last_completion(side).status) >> 1;
}

static void open_side(struct world *world, struct side *side)
{
	struct pdu_ic_request ic = {.hpda = 0};
	struct connection *connection;
	struct stream *ends[2];

	assert_int_equal(memory_stream_pair(world->loop, NULL, ends), 0);
	*side = (struct side){.stream = ends[0]};
	assert_int_equal(stream_reserve(side->stream, 4096, 16), 0);
	stream_start(side->stream, &host_handler, side);
	assert_int_equal(connection_new(&world->setting, ends[1], &connection), 0);
	world->live_count++;
	pdu_set_common(&ic.common, PDU_IC_REQUEST, sizeof(ic), 0, sizeof(ic));
	memcpy(stream_put(side->stream, sizeof(ic)), &ic, sizeof(ic));
	run(world);
}

/* Connect as queue @qid of the world's controller, made by queue 0. */
static uint16_t connect_side(struct world *world, struct side *side, uint16_t qid)
{
	struct nvme_connect_command connect = {
		.opcode = NVME_ADMIN_FABRICS,
		.flags = NVME_FLAGS_PSDT_SGL,
		.fctype = NVME_FABRICS_CONNECT,
		.sgl = nvme_sgl_in_capsule(0, sizeof(struct nvme_connect_data)),
		.qid = le16_of(qid),
		.sqsize = le16_of(ENTRIES - 1),
	};
	struct nvme_connect_data data = {.hostid = {1},
		.cntlid = le16_of(qid == 0 ? NVME_CNTLID_DYNAMIC : world->cntlid)};
	struct nvme_command command = nvme_command_of_fabrics(&connect);
	uint16_t status;

	open_side(world, side);
	nvme_nqn_to_field(data.subnqn, NQN);
	nvme_nqn_to_field(data.hostnqn, HOST_NQN);
	put_command(side, &command, sizeof(data));
	for (size_t i = 0; i < sizeof(data); i += 256)
		memcpy(stream_put(side->stream, 256), (const uint8_t *)&data + i, 256);
	status = finish_command(world, side);
	if (qid == 0)
		world->cntlid = nvme_connect_result_cntlid(le32_get(last_completion(side).dw0));
	return status;
}

static uint64_t property(struct world *world, uint8_t fctype, uint32_t offset, uint64_t value)
{
	struct nvme_property_command set = {
		.opcode = NVME_ADMIN_FABRICS,
		.flags = NVME_FLAGS_PSDT_SGL,
		.fctype = fctype,
		.ofst = le32_of(offset),
		.value = le64_of(value),
	};
	struct nvme_command command = nvme_command_of_fabrics(&set);

	put_command(&world->admin, &command, 0);
	assert_int_equal(finish_command(world, &world->admin), NVME_STATUS_SUCCESS);
	return le32_get(last_completion(&world->admin).dw0);
}

static void enable(struct world *world, bool is_enabled)
{
	uint32_t cc = nvme_cc_of_enabled(NVME_CC_CSS_NVM);

	(void)property(world, NVME_FABRICS_PROPERTY_SET, NVME_PROPERTY_CC,
		is_enabled ? cc : cc & ~NVME_CC_EN);
}

static bool is_ready(struct world *world)
{
	return (property(world, NVME_FABRICS_PROPERTY_GET, NVME_PROPERTY_CSTS, 0) &
		       NVME_CSTS_RDY) != 0;
}

/* A write whose data is in the capsule, or is to be asked for. */
static void put_write(struct side *side, bool is_in_capsule)
{
	struct nvme_command write = {
		.opcode = NVME_IO_WRITE,
		.flags = NVME_FLAGS_PSDT_SGL,
		.cid = le16_of(9),
		.nsid = le32_of(1),
		.sgl = is_in_capsule ? nvme_sgl_in_capsule(0, BLOCK) : nvme_sgl_transport(BLOCK),
	};

	put_command(side, &write, is_in_capsule ? BLOCK : 0);
	if (is_in_capsule)
		memset(stream_put(side->stream, BLOCK), 7, BLOCK);
}

static struct fault hold(void *context, const struct store_request *request)
{
	(void)context;
	return (struct fault){.is_held = request->opcode == STORE_WRITE};
}

/* A controller that is enabled, with one I/O queue whose host is silent from now on. */
static void make_world(struct world *world)
{
	const struct store_options options = {.block_bytes = BLOCK};
	struct loop_options loop_options = {.clock = &world->clock.clock};
	struct subsystem *subsystem;
	struct store *store;

	*world = (struct world){0};
	simulated_clock_init(&world->clock, CLOCK_SECOND_NS);
	assert_int_equal(loop_new(&loop_options, &world->loop), 0);
	assert_int_equal(memory_store_new(128 * BLOCK, &options, &store), 0);
	world->faulty = faulty_store_new(store, hold, NULL);
	assert_int_equal(target_new(NULL, NULL, &world->target), 0);
	assert_int_equal(target_add_subsystem(world->target, NQN, &subsystem), 0);
	subsystem_allow_any_host(subsystem);
	assert_int_equal(subsystem_add_namespace(subsystem, faulty_store_store(world->faulty)), 1);
	target_publish(world->target);
	world->setting = (struct connection_setting){
		.target = world->target,
		.deadlines = tcp_deadlines_default(),
		.data_max = 65536,
		.established = established,
		.ended = ended,
		.context = world,
	};
	assert_int_equal(connect_side(world, &world->admin, 0), NVME_STATUS_SUCCESS);
	enable(world, true);
	assert_int_equal(connect_side(world, &world->io, 1), NVME_STATUS_SUCCESS);
}

static void fall_silent(struct world *world, struct side *side)
{
	run(world);
	stream_pause(side->stream);
}

static void end_world(struct world *world)
{
	stream_free(world->again.stream);
	stream_free(world->io.stream);
	stream_free(world->admin.stream);
	run(world);
	assert_int_equal(world->live_count, 0);
	assert_true(target_is_idle(world->target));
	target_free(world->target);
	store_free(faulty_store_store(world->faulty));
	loop_free(world->loop);
}

/* The queue id is free, the association goes on. */
static void expect_reset_complete(struct world *world)
{
	assert_false(is_ready(world));
	assert_int_equal(world->live_count, 1);
	enable(world, true);
	assert_true(is_ready(world));
	assert_int_equal(connect_side(world, &world->again, 1), NVME_STATUS_SUCCESS);
}

static void test_connection_ends_soon_when_the_controller_is_reset_and_the_host_does_nothing(
	void **state)
{
	struct world world;

	(void)state;
	/* Idle, and with a write that waits for its data. */
	for (unsigned i = 0; i < 2; i++) {
		make_world(&world);
		if (i == 1)
			put_write(&world.io, false);
		fall_silent(&world, &world.io);
		enable(&world, false);
		assert_true(is_ready(&world));
		pass(&world, world.setting.deadlines.linger_ms);
		expect_reset_complete(&world);
		assert_int_equal(faulty_store_submitted_count(world.faulty, STORE_WRITE), 0);
		end_world(&world);
	}
}

/* A write that is in the store when the reset comes never overtakes what the host writes later. */
static void test_connection_keeps_its_queue_when_the_store_has_a_command_of_it(void **state)
{
	struct world world;

	(void)state;
	make_world(&world);
	put_write(&world.io, true);
	fall_silent(&world, &world.io);
	assert_int_equal(faulty_store_waiting_count(world.faulty), 1);
	enable(&world, false);
	pass(&world, 20000);
	assert_true(is_ready(&world));
	enable(&world, true);
	assert_int_equal(connect_side(&world, &world.again, 1),
		NVME_STATUS_COMMAND_SEQUENCE_ERROR | NVME_STATUS_DNR);
	stream_free(world.again.stream);
	enable(&world, false);
	faulty_store_release(world.faulty);
	run(&world);
	expect_reset_complete(&world);
	end_world(&world);
}

static void test_connection_ends_soon_when_the_target_shuts_down_and_the_host_does_nothing(
	void **state)
{
	struct world world;

	(void)state;
	make_world(&world);
	fall_silent(&world, &world.io);
	fall_silent(&world, &world.admin);
	target_shut_down(world.target);
	run(&world);
	assert_int_equal(world.live_count, 2);
	pass(&world, world.setting.deadlines.linger_ms);
	assert_int_equal(world.live_count, 0);
	assert_true(target_is_idle(world.target));
	end_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_connection_ends_soon_when_the_controller_is_reset_and_the_host_does_nothing),
		cmocka_unit_test(
			test_connection_keeps_its_queue_when_the_store_has_a_command_of_it),
		cmocka_unit_test(
			test_connection_ends_soon_when_the_target_shuts_down_and_the_host_does_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
