#include "test/association/world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop/loop.h"
#include "loop/memory_stream.h"
#include "loop/pool.h"
#include "store/memory_store.h"
#include "test/association/host.h"
#include "test/store/faulty_store.h"

#define OPERATIONS    600
#define TURNS_MAX     20000000u
#define SIMULATED_MAX (36000ull * CLOCK_SECOND_NS)

void world_fail(const struct world *world, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "seed %" PRIu64 ": ", world->seed);
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	abort();
}

bool world_is_lucky(struct world *world, uint64_t odds)
{
	return random_below(&world->random, odds) == 0;
}

uint32_t world_draw(struct world *world, uint32_t least, uint32_t most)
{
	return least + (uint32_t)random_below(&world->random, (uint64_t)most - least + 1);
}

void world_trace(struct world *world, uint64_t value)
{
	world->trace = (world->trace ^ value ^ world->clock.time_ns) * 0x9e3779b97f4a7c15u;
	world->trace ^= world->trace >> 32;
}

/* Connections */

static void connection_is_up(void *context, struct connection *connection)
{
	(void)context;
	(void)connection;
}

static void connection_is_over(void *context, struct connection *connection)
{
	struct world *world = context;

	for (uint32_t i = 0; i < world->era_count; i++) {
		struct world_era *era = &world->eras[i];

		if (era->connection != connection || era->is_over)
			continue;
		era->is_over = true;
		world->live_count--;
		world->time++;
		world_trace(world, i);
		for (unsigned j = 0; j < WORLD_NAMESPACES; j++)
			model_end_era(world->models[j], world->time, i);
		return;
	}
	world_fail(world, "a connection ended that never was");
}

/* Tiny deliveries go without long delays: no transfer is to take an hour. */
static struct memory_stream_faults draw_faults(struct world *world)
{
	static const uint64_t resets[] = {0, 0, 1000, 200};
	static const size_t windows[] = {0, 4096, 65536};
	struct memory_stream_faults faults = {
		.random = &world->random,
		.window_bytes = windows[world_draw(world, 0, 2)],
		.reset_one_in = resets[world_draw(world, 0, 3)],
	};

	switch (world_draw(world, 0, 5)) {
	case 0:
		faults.delivery_max_bytes = 100;
		break;
	case 1:
	case 2:
		faults.delivery_max_bytes = 5000;
		faults.delay_max_ns = CLOCK_MS_NS;
		break;
	case 3:
		faults.delay_max_ns = 20 * CLOCK_MS_NS;
		break;
	}
	return faults;
}

struct stream *world_connect(struct world *world, uint32_t *ret_era)
{
	struct memory_stream_faults faults = draw_faults(world);
	struct world_era *era = &world->eras[world->era_count];
	struct stream *ends[2];

	if (world->era_count == WORLD_ERAS_MAX)
		world_fail(world, "too many connections");
	if (memory_stream_pair(world->loop, &faults, ends) < 0 ||
		connection_new(&world->setting, ends[1], &era->connection) < 0)
		world_fail(world, "no memory for a connection");
	*ret_era = world->era_count++;
	world->live_count++;
	return ends[0];
}

/* Stores */

static struct fault decide(void *context, const struct store_request *request)
{
	struct world *world = context;
	struct fault fault = {0};

	(void)request;
	if (world_is_lucky(world, 3))
		fault.delay_ms = world_draw(world, 1, 30);
	if (world_is_lucky(world, 40))
		fault.error = EIO;
	return fault;
}

static void make_stores(struct world *world)
{
	const uint32_t block_bytes[WORLD_NAMESPACES] = {512, 4096};
	const uint32_t block_counts[WORLD_NAMESPACES] = {160, 40};

	for (unsigned i = 0; i < WORLD_NAMESPACES; i++) {
		struct store_options options = {.block_bytes = block_bytes[i]};

		if (memory_store_new((uint64_t)block_bytes[i] * block_counts[i], &options,
			    &world->stores[i]) < 0)
			world_fail(world, "no memory for a store");
		world->models[i] = model_new(block_bytes[i], block_counts[i], i);
	}
	world->media = world->stores[1];
	world->stores[1] = faulty_store_store(faulty_store_new(world->media, decide, world));
}

static void ignore_done(struct store_request *request)
{
	(void)request;
}

/* At the end the media hold what was acknowledged. */
static void check_medium(struct world *world, unsigned index)
{
	struct store *store = index == 0 ? world->stores[0] : world->media;
	struct model *model = world->models[index];
	struct model_range all = {0, model_block_count(model)};
	struct store_request request = {
		.done = ignore_done,
		.opcode = STORE_READ,
		.bytes = (size_t)all.count * model_block_bytes(model),
	};
	uint32_t block;

	request.data = malloc(request.bytes);
	if (request.data == NULL)
		world_fail(world, "no memory to read a medium");
	store_submit(store, world->loop, &request);
	if (!model_allows(model, ++world->time, all, request.data, &block))
		world_fail(world, "block %u of the medium of namespace %u is wrong", block,
			index + 1);
	free(request.data);
}

/* Life */

static void make_target(struct world *world)
{
	static const uint32_t data_maxima[] = {4096, 65536, 262144};
	struct target_limits limits = target_limits_default();
	struct subsystem *subsystem;
	int error;

	limits.capsule_bytes = world_draw(world, 0, 4) * 4096;
	error = target_new(&limits, NULL, &world->target);
	if (error == 0)
		error = target_add_subsystem(world->target, WORLD_NQN, &subsystem);
	if (error != 0)
		world_fail(world, "no target");
	subsystem_allow_any_host(subsystem);
	for (unsigned i = 0; i < WORLD_NAMESPACES; i++)
		if (subsystem_add_namespace(subsystem, world->stores[i]) != (int)i + 1)
			world_fail(world, "no namespace");
	target_publish(world->target);
	world->setting = (struct connection_setting){
		.target = world->target,
		.deadlines = tcp_deadlines_default(),
		.data_max = data_maxima[world_draw(world, 0, 2)],
		.established = connection_is_up,
		.ended = connection_is_over,
		.context = world,
	};
}

/* Leave half a MiB to the connections, or less. */
static void take_buffers(struct world *world)
{
	size_t bytes = POOL_BUFFER_MAX;

	for (unsigned i = 0; i < WORLD_BUFFERS; i++, bytes /= 2) {
		world->buffers[i] =
			(struct pool_request){.share = &world->shares[i], .bytes = bytes};
		if (!pool_take(loop_pool(world->loop), &world->buffers[i]))
			world_fail(world, "no buffers to take");
	}
}

static void give_buffers(struct world *world)
{
	for (unsigned i = 0; i < WORLD_BUFFERS; i++)
		pool_give(loop_pool(world->loop), &world->buffers[i]);
}

static void make_world(struct world *world, uint64_t seed)
{
	struct loop_options options = {.clock = &world->clock.clock};

	world->seed = seed;
	random_init(&world->random, seed);
	simulated_clock_init(&world->clock, CLOCK_SECOND_NS);
	options.pool_bytes = 2 * POOL_BUFFER_MAX;
	if (loop_new(&options, &world->loop) < 0)
		world_fail(world, "no loop");
	/* A pool that hosts exhaust, or one that they do not. */
	if (world_is_lucky(world, 2))
		take_buffers(world);
	make_stores(world);
	make_target(world);
	world->operations_left = OPERATIONS;
	world->host_count = world_draw(world, 1, WORLD_HOSTS_MAX);
	for (unsigned i = 0; i < world->host_count; i++)
		world->hosts[i] = host_new(world, i);
}

static bool is_busy(const struct world *world)
{
	if (world->operations_left > 0 && !world->is_shut_down)
		return true;
	for (unsigned i = 0; i < world->host_count; i++)
		if (host_is_busy(world->hosts[i]))
			return true;
	return false;
}

static bool has_connections(const struct world *world)
{
	return world->live_count > 0 || !target_is_idle(world->target);
}

static void run_while(struct world *world, bool (*is_going_on)(const struct world *world))
{
	uint64_t end_ns = world->clock.time_ns + SIMULATED_MAX;

	for (unsigned i = 0; is_going_on(world); i++) {
		if (loop_turn(world->loop, 1000) < 0)
			world_fail(world, "the loop failed");
		if (i == TURNS_MAX || world->clock.time_ns > end_ns)
			world_fail(world, "nothing goes on: %u operations left, %u connections",
				world->operations_left, world->live_count);
	}
}

static void tell(const struct world *world)
{
	printf("seed %" PRIu64 ": %u hosts, %" PRIu32
	       " connections, %u connected; %u writes acknowledged, %u not; %u reads; %.3f s; "
	       "trace %016" PRIx64 "\n",
		world->seed, world->host_count, world->era_count, world->connected_count,
		world->acknowledged_count, world->lost_count, world->read_count,
		(double)world->clock.time_ns / CLOCK_SECOND_NS, world->trace);
}

uint64_t world_run(uint64_t seed, bool is_telling)
{
	struct world *world = calloc(1, sizeof(*world));
	uint64_t trace;

	if (world == NULL)
		abort();
	make_world(world, seed);
	run_while(world, is_busy);
	world->operations_left = 0;
	if (world_is_lucky(world, 3)) {
		world->is_shut_down = true;
		target_shut_down(world->target);
		run_while(world, has_connections);
	}
	for (unsigned i = 0; i < world->host_count; i++)
		host_free(world->hosts[i]);
	run_while(world, has_connections);
	for (unsigned i = 0; i < WORLD_NAMESPACES; i++)
		check_medium(world, i);
	give_buffers(world);
	if (pool_held_bytes(loop_pool(world->loop)) != 0)
		world_fail(world, "%zu bytes of buffers are still held",
			pool_held_bytes(loop_pool(world->loop)));
	if (is_telling)
		tell(world);
	target_free(world->target);
	for (unsigned i = 0; i < WORLD_NAMESPACES; i++) {
		store_free(world->stores[i]);
		model_free(world->models[i]);
	}
	loop_free(world->loop);
	trace = world->trace;
	free(world);
	return trace;
}
