/*
 * Everything of one run: a loop with a simulated clock, a target with a RAM and a faulty store, the
 * controller's ends of its connections, hosts, and a model of what the stores may hold. All choices
 * are drawn from one seed.
 *
 * An era is the life of one connection as the target sees it.
 */
#ifndef FERRY_TEST_ASSOCIATION_WORLD_H
#define FERRY_TEST_ASSOCIATION_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "loop/pool.h"
#include "serve/connection.h"
#include "target/target.h"
#include "test/association/model.h"

#define WORLD_NQN        "nqn.2024-01.org.example:disks"
#define WORLD_NAMESPACES 2 /* 1: RAM, which lends; 2: one that fails and delays */
#define WORLD_HOSTS_MAX  3
#define WORLD_ERAS_MAX   4096
#define WORLD_BUFFERS    4 /* kept from the connections */

struct faulty_store;
struct host;
struct stream;

struct world_era {
	struct connection *connection;
	bool is_over;
};

struct world {
	uint64_t seed;
	struct simulated_clock clock;
	struct random random;
	struct loop *loop;
	struct pool_share shares[WORLD_BUFFERS]; /* of buffers kept from the connections */
	struct pool_request buffers[WORLD_BUFFERS];
	struct target *target;
	struct connection_setting setting;
	struct store *stores[WORLD_NAMESPACES]; /* as the target has them */
	struct store *media;                    /* below the faulty one */
	struct model *models[WORLD_NAMESPACES];
	uint64_t time;  /* of the models: events */
	uint64_t trace; /* see world_run() */
	unsigned operations_left;
	bool is_shut_down;
	struct host *hosts[WORLD_HOSTS_MAX];
	unsigned host_count;
	struct world_era eras[WORLD_ERAS_MAX];
	uint32_t era_count, live_count;
	/* What came of it */
	unsigned acknowledged_count, lost_count, read_count, connected_count;
};

/** Say what is wrong and with which seed, and abort. */
void world_fail(const struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/** @return whether something happens whose odds are one in @odds. */
bool world_is_lucky(struct world *world, uint64_t odds);

/** @return a number in @least..@most. */
uint32_t world_draw(struct world *world, uint32_t least, uint32_t most);

/** Connect to the target. @return the host's end, not started; *ret_era is the connection's. */
struct stream *world_connect(struct world *world, uint32_t *ret_era);

/** Something has come of the run that the next one of the same seed must come to as well. */
void world_trace(struct world *world, uint64_t value);

/** Run the world of @seed from beginning to end. @param is_telling say what came of it
 *  @return its trace: a number that all that happened, and when, have led to */
uint64_t world_run(uint64_t seed, bool is_telling);

#endif
