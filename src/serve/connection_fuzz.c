/*
 * A target that a host speaks to over a stream in memory: arbitrary bytes from a state that has
 * been reached rightly. Whatever comes, the target is idle again when the host has gone.
 *
 *  OFFSET  SIZE  MEANING
 *       0     1  state (modulo 4): 0 fresh, 1 after IC, 2 an admin queue is live, 3 an I/O queue is;
 *                16 small pieces, 32 a small window, 64 flow control is off, 128 reset at the end
 *       1     1  seed of the pieces
 *       2     -  what the host sends
 */
#include "serve/connection.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "loop/memory_stream.h"
#include "loop/pool.h"
#include "nvme/command.h"
#include "nvme/property.h"
#include "store/memory_store.h"
#include "store/null_store.h"
#include "store/store.h"
#include "target/target.h"
#include "tcp/pdu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);

#define NQN         "nqn.2024-01.org.example:disk"
#define HOST_NQN    "nqn.2024-01.org.example:host"
#define STORE_BYTES 65536u
#define ENTRIES     32 /* of each queue */
#define BYTES_MAX   16384
#define TURNS_MAX   1000000u

enum {
	STATE_MASK = 3,
	SMALL_PIECES = 16,
	SMALL_WINDOW = 32,
	FLOW_CONTROL_OFF = 64,
	RESET = 128,
};

enum state { FRESH, INITIALIZED, ADMIN_LIVE, IO_LIVE };

struct world {
	struct simulated_clock clock;
	struct random random;
	struct loop *loop;
	struct store *stores[2];
	struct target *target;
	struct connection_setting setting;
	uint8_t set;
	unsigned live_count, established_count;
	struct stream *hosts[2]; /* NULL: not connected */
	uint8_t heard[24];       /* the first bytes after ICResp of the stream that came last */
	size_t heard_bytes;
};

static void established(void *context, struct connection *connection)
{
	struct world *world = context;

	assert(connection_is_established(connection));
	world->established_count++;
}

static void ended(void *context, struct connection *connection)
{
	struct world *world = context;

	(void)connection;
	world->live_count--;
}

/* The host keeps what Connect answers. */
static size_t received(void *context, size_t direct_bytes, const uint8_t *data, size_t bytes)
{
	struct world *world = context;

	(void)direct_bytes;
	for (size_t i = 0; i < bytes; i++, world->heard_bytes++) {
		size_t at = world->heard_bytes - sizeof(struct pdu_ic_response);

		if (at < sizeof(world->heard))
			world->heard[at] = data[i];
	}
	return bytes;
}

static void closed(void *context, int error)
{
	(void)context;
	(void)error;
}

static const struct stream_handler host_handler = {.received = received, .closed = closed};

static void take_turns(struct world *world, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert(loop_turn(world->loop, 0) == 0);
}

static void make_world(struct world *world)
{
	const struct store_options options = {.block_bytes = 512};
	struct loop_options loop_options = {.clock = &world->clock.clock,
		.pool_bytes = 2 * POOL_BUFFER_MAX};
	struct subsystem *subsystem;

	simulated_clock_init(&world->clock, CLOCK_SECOND_NS);
	assert(loop_new(&loop_options, &world->loop) == 0);
	assert(memory_store_new(STORE_BYTES, &options, &world->stores[0]) == 0);
	assert(null_store_new(STORE_BYTES, &options, &world->stores[1]) == 0);
	assert(target_new(NULL, NULL, &world->target) == 0);
	assert(target_add_subsystem(world->target, NQN, &subsystem) == 0);
	subsystem_allow_any_host(subsystem);
	for (unsigned i = 0; i < 2; i++)
		assert(subsystem_add_namespace(subsystem, world->stores[i]) > 0);
	target_publish(world->target);
	world->setting = (struct connection_setting){
		.target = world->target,
		.deadlines = tcp_deadlines_default(),
		.data_max = 65536,
		.established = established,
		.ended = ended,
		.context = world,
	};
}

/* @return the host's end of a new connection. */
static struct stream *connect_stream(struct world *world, unsigned index, bool has_faults)
{
	struct memory_stream_faults faults = {.random = &world->random};
	struct connection *connection;
	struct stream *ends[2];

	if (has_faults && (world->set & SMALL_PIECES) != 0)
		faults.delivery_max_bytes = 64;
	if (has_faults && (world->set & SMALL_WINDOW) != 0)
		faults.window_bytes = 2048;
	assert(memory_stream_pair(world->loop, &faults, ends) == 0);
	assert(stream_reserve(ends[0], 4096, 16) == 0);
	world->heard_bytes = 0;
	stream_start(ends[0], &host_handler, world);
	assert(connection_new(&world->setting, ends[1], &connection) == 0);
	world->live_count++;
	world->hosts[index] = ends[0];
	return ends[0];
}

static void put_ic_request(struct stream *host)
{
	struct pdu_ic_request pdu = {.hpda = 0};

	pdu_set_common(&pdu.common, PDU_IC_REQUEST, sizeof(pdu), 0, sizeof(pdu));
	memcpy(stream_put(host, sizeof(pdu)), &pdu, sizeof(pdu));
}

static void put_connect(struct world *world, struct stream *host, uint16_t qid, uint16_t cntlid)
{
	struct nvme_connect_command connect = {
		.opcode = NVME_ADMIN_FABRICS,
		.flags = NVME_FLAGS_PSDT_SGL,
		.fctype = NVME_FABRICS_CONNECT,
		.sgl = nvme_sgl_in_capsule(0, sizeof(struct nvme_connect_data)),
		.qid = le16_of(qid),
		.sqsize = le16_of(ENTRIES - 1),
		.cattr = (world->set & FLOW_CONTROL_OFF) != 0 ? NVME_CATTR_DISABLE_SQFC : 0,
	};
	struct nvme_connect_data data = {.hostid = {1}, .cntlid = le16_of(cntlid)};
	struct pdu_command pdu = {.command = nvme_command_of_fabrics(&connect)};

	nvme_nqn_to_field(data.subnqn, NQN);
	nvme_nqn_to_field(data.hostnqn, HOST_NQN);
	pdu_set_common(&pdu.common, PDU_COMMAND, sizeof(pdu), sizeof(pdu),
		sizeof(pdu) + sizeof(data));
	memcpy(stream_put(host, sizeof(pdu)), &pdu, sizeof(pdu));
	for (size_t i = 0; i < sizeof(data); i += 256)
		memcpy(stream_put(host, 256), (const uint8_t *)&data + i, 256);
}

static void put_enable(struct stream *host)
{
	struct nvme_property_command set = {
		.opcode = NVME_ADMIN_FABRICS,
		.flags = NVME_FLAGS_PSDT_SGL,
		.cid = le16_of(1),
		.fctype = NVME_FABRICS_PROPERTY_SET,
		.ofst = le32_of(NVME_PROPERTY_CC),
		.value = le64_of(nvme_cc_of_enabled(NVME_CC_CSS_NVM)),
	};
	struct pdu_command pdu = {.command = nvme_command_of_fabrics(&set)};

	pdu_set_common(&pdu.common, PDU_COMMAND, sizeof(pdu), 0, sizeof(pdu));
	memcpy(stream_put(host, sizeof(pdu)), &pdu, sizeof(pdu));
}

/* Reach the state. @return the stream on which the input goes on. */
static struct stream *reach(struct world *world, enum state state)
{
	struct stream *host = connect_stream(world, 0, state != IO_LIVE);
	struct pdu_response response;

	if (state == FRESH)
		return host;
	put_ic_request(host);
	if (state == INITIALIZED)
		return host;
	put_connect(world, host, 0, NVME_CNTLID_DYNAMIC);
	put_enable(host);
	take_turns(world, 300);
	assert(world->established_count == 1);
	if (state == ADMIN_LIVE)
		return host;
	memcpy(&response, world->heard, sizeof(response));
	host = connect_stream(world, 1, true);
	put_ic_request(host);
	put_connect(world, host, 1, nvme_connect_result_cntlid(le32_get(response.completion.dw0)));
	take_turns(world, 300);
	assert(world->established_count == 2);
	return host;
}

static void end_world(struct world *world)
{
	for (unsigned i = 2; i > 0; i--) {
		if (world->hosts[i - 1] != NULL && (world->set & RESET) != 0)
			memory_stream_reset(world->hosts[i - 1]);
		stream_free(world->hosts[i - 1]);
	}
	for (unsigned i = 0; world->live_count > 0 || !target_is_idle(world->target); i++) {
		assert(i < TURNS_MAX);
		assert(loop_turn(world->loop, 1000) == 0);
	}
	assert(pool_held_bytes(loop_pool(world->loop)) == 0);
	target_free(world->target);
	for (unsigned i = 0; i < 2; i++)
		store_free(world->stores[i]);
	loop_free(world->loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	struct world world = {0};
	struct stream *host;

	if (data_bytes < 2 || data_bytes > BYTES_MAX)
		return 0;
	world.set = data[0];
	random_init(&world.random, data[1]);
	make_world(&world);
	host = reach(&world, world.set & STATE_MASK);
	if (data_bytes > 2)
		stream_lend(host, data + 2, data_bytes - 2, NULL);
	take_turns(&world, 100);
	end_world(&world);
	return 0;
}
