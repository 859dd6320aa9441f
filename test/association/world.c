#include "test/association/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "loop/loop.h"
#include "loop/memory_stream.h"
#include "test/association/host.h"

#define OPERATIONS    600
#define TURNS_MAX     20000000u
#define SIMULATED_MAX (36000ull * CLOCK_SECOND_NS)
#define IC_BYTES      128 /* of ICReq and of ICResp, which no digest covers */

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

bool world_chance(struct world *world, uint64_t odds)
{
	return odds > 0 && world_is_lucky(world, odds);
}

uint32_t world_draw(struct world *world, uint32_t least, uint32_t most)
{
	return least + (uint32_t)random_below(&world->random, (uint64_t)most - least + 1);
}

const char *world_nqn(unsigned subsystem)
{
	static const char *const nqns[WORLD_SUBSYSTEMS] = {
		"nqn.2024-01.org.example:disks",
		"nqn.2024-01.org.example:more-disks",
	};

	return nqns[subsystem];
}

struct medium *world_medium(struct world *world, unsigned subsystem, uint32_t nsid)
{
	return &world->media[subsystem * WORLD_NAMESPACES + nsid - 1];
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
		/* Hosts answer and read, so it is damage that made them wait for something else. */
		if (world->is_stuck && era->flip_count == 0)
			world_fail(world, "connection %" PRIu32 " hung", i);
		world->is_stuck = false;
		world->live_count--;
		world->time++;
		world_trace(world, i);
		for (unsigned j = 0; j < WORLD_MEDIA; j++)
			model_end_era(world->media[j].model, world->time, i);
		return;
	}
	world_fail(world, "a connection ended that never was");
}

/* Tiny deliveries go without long delays: no transfer is to take an hour. A cut comes anywhere:
 * within the first PDUs, within a header, within data. */
static struct memory_stream_faults draw_faults(struct world *world)
{
	static const uint64_t resets[] = {0, 0, 1000, 200};
	static const size_t windows[] = {0, 4096, 65536};
	static const uint32_t cuts[] = {600, 6000, 600000};
	struct memory_stream_faults faults = {
		.random = &world->random,
		.window_bytes = windows[world_draw(world, 0, 2)],
		.reset_one_in = resets[world_draw(world, 0, 3)],
	};

	if (world_is_lucky(world, 4))
		faults.reset_after = world_draw(world, 1, cuts[world_draw(world, 0, 2)]);
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

struct stream *world_connect(struct world *world, bool may_damage, uint32_t *ret_era)
{
	static const uint64_t flips[] = {0, 1000, 100, 20};
	struct memory_stream_faults faults = draw_faults(world);
	struct world_era *era = &world->eras[world->era_count];
	struct stream *ends[2];

	if (world->era_count == WORLD_ERAS_MAX)
		world_fail(world, "too many connections");
	if (may_damage) {
		faults.flip_one_in = flips[world_draw(world, 0, 3)];
		faults.flip_after = IC_BYTES;
		faults.flip_count = &era->flip_count;
	}
	if (memory_stream_pair(world->loop, &faults, ends) < 0 ||
		connection_new(&world->setting, ends[1], &era->connection) < 0)
		world_fail(world, "no memory for a connection");
	*ret_era = world->era_count++;
	world->live_count++;
	return ends[0];
}

void world_change_medium(struct world *world)
{
	unsigned subsystem = world_draw(world, 0, WORLD_SUBSYSTEMS - 1);
	uint32_t nsid = world_draw(world, 1, WORLD_NAMESPACES);

	target_note_store(world->target, world_medium(world, subsystem, nsid)->store);
	for (unsigned i = 0; i < world->host_count; i++)
		host_expect_event(world->hosts[i], subsystem, nsid);
}

/* Life */

/* What only the log says: that a controller ends for want of keep alive; that the connection which is
 * over next was cut since nothing more came of what was under way. */
static void take_line(void *context, enum log_level level, const char *line)
{
	struct world *world = context;

	(void)level;
	if (strstr(line, "within the keep alive timeout") != NULL)
		world->counts.expiries++;
	if (strstr(line, "closed: the data of an R2T never came") != NULL ||
		strstr(line, "closed: a PDU stayed incomplete") != NULL ||
		strstr(line, "closed: the host does not read") != NULL)
		world->is_stuck = true;
}

static void make_target(struct world *world)
{
	static const uint32_t data_maxima[] = {4096, 65536, 262144};
	static const uint32_t capsules[] = {0, 0, 4096, 8192, 16384, 65536};
	static const uint8_t mdts[] = {1, 4, 8};
	struct target_limits limits = target_limits_default();
	int error;

	limits.capsule_bytes = capsules[world_draw(world, 0, 5)];
	limits.mdts = mdts[world_draw(world, 0, 2)];
	limits.is_flow_control_kept = world_is_lucky(world, 4);
	error = target_new(&limits, world->log, &world->target);
	for (unsigned i = 0; i < WORLD_SUBSYSTEMS && error == 0; i++) {
		struct subsystem *subsystem;

		error = target_add_subsystem(world->target, world_nqn(i), &subsystem);
		if (error != 0)
			break;
		subsystem_allow_any_host(subsystem);
		for (uint32_t nsid = 1; nsid <= WORLD_NAMESPACES; nsid++)
			if (subsystem_add_namespace(subsystem,
				    world_medium(world, i, nsid)->store) != (int)nsid)
				world_fail(world, "no namespace");
	}
	if (error != 0)
		world_fail(world, "no target");
	target_publish(world->target);
	world->setting = (struct connection_setting){
		.target = world->target,
		.log = world->log,
		.deadlines = tcp_deadlines_default(),
		.data_max = data_maxima[world_draw(world, 0, 2)],
		.established = connection_is_up,
		.ended = connection_is_over,
		.context = world,
	};
}

/* Leave the connections some of the pool of two of the largest buffers, down to 1/64 of one: 64 KiB
 * or 32. */
static void take_buffers(struct world *world)
{
	size_t bytes = POOL_BUFFER_MAX;

	world->buffer_count = world_draw(world, 0, WORLD_BUFFERS_MAX);
	for (unsigned i = 0; i < world->buffer_count; i++, bytes /= 2) {
		world->buffers[i] =
			(struct pool_request){.share = &world->shares[i], .bytes = bytes};
		if (!pool_take(loop_pool(world->loop), &world->buffers[i]))
			world_fail(world, "no buffers to take");
	}
}

static void make_world(struct world *world, uint64_t seed)
{
	struct loop_options options = {.clock = &world->clock.clock};

	world->seed = seed;
	random_init(&world->random, seed);
	simulated_clock_init(&world->clock, CLOCK_SECOND_NS);
	options.pool_bytes = 2 * POOL_BUFFER_MAX;
	world->log = log_new(LOG_LEVEL_INFO, take_line, world, &world->clock.clock);
	if (world->log == NULL || loop_new(&options, &world->loop) < 0)
		world_fail(world, "no loop");
	take_buffers(world);
	for (unsigned i = 0; i < WORLD_MEDIA; i++)
		medium_init(&world->media[i], world, i);
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
	const struct world_counts *counts = &world->counts;

	printf("seed %" PRIu64 ": %u hosts, %" PRIu32
	       " connections, %u connected; %u writes acknowledged, %u not; %u reads, %u of bad "
	       "blocks; %u bits flipped, %u times noticed; %u resets, %u shutdowns, %u silences, "
	       "%u expiries, %u events, %u counted; %.3f s; trace %016" PRIx64 "\n",
		world->seed, world->host_count, world->era_count, counts->connected,
		counts->acknowledged, counts->lost, counts->reads, counts->bad_reads, counts->flips,
		counts->noticed, counts->resets, counts->shutdowns, counts->silences,
		counts->expiries, counts->events, counts->increments,
		(double)world->clock.time_ns / CLOCK_SECOND_NS, world->trace);
}

/* All is quiet, and nothing is left of what was. */
static void check_end(struct world *world)
{
	for (unsigned i = 0; i < WORLD_MEDIA; i++)
		medium_check(&world->media[i]);
	for (unsigned i = 0; i < world->buffer_count; i++)
		pool_give(loop_pool(world->loop), &world->buffers[i]);
	if (pool_held_bytes(loop_pool(world->loop)) != 0)
		world_fail(world, "%zu bytes of buffers are still held",
			pool_held_bytes(loop_pool(world->loop)));
	if (world->counts.expiries > world->counts.silences)
		world_fail(world, "a host that was heard was taken for dead");
	for (uint32_t i = 0; i < world->era_count; i++) {
		world->counts.flips += world->eras[i].flip_count;
		world->counts.noticed += world->eras[i].noticed_count;
	}
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
	for (unsigned i = 0; i < world->host_count; i++)
		host_check_damage(world->hosts[i]);
	if (world_is_lucky(world, 3)) {
		world->is_shut_down = true;
		target_shut_down(world->target);
		run_while(world, has_connections);
	}
	for (unsigned i = 0; i < world->host_count; i++)
		host_free(world->hosts[i]);
	run_while(world, has_connections);
	check_end(world);
	if (is_telling)
		tell(world);
	target_free(world->target);
	for (unsigned i = 0; i < WORLD_MEDIA; i++)
		medium_deinit(&world->media[i]);
	loop_free(world->loop);
	log_free(world->log);
	trace = world->trace;
	free(world);
	return trace;
}
