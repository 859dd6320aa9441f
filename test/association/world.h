/*
 * Everything of one run: a loop with a simulated clock, a target with two subsystems of two
 * namespaces, the controller's ends of its connections, hosts, and what is behind the namespaces.
 * All choices are drawn from one seed.
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
#include "test/association/medium.h"

#define WORLD_SUBSYSTEMS  2
#define WORLD_NAMESPACES  2 /* of each subsystem */
#define WORLD_MEDIA       (WORLD_SUBSYSTEMS * WORLD_NAMESPACES)
#define WORLD_HOSTS_MAX   3
#define WORLD_ERAS_MAX    4096
#define WORLD_BUFFERS_MAX 6 /* kept from the connections */

struct host;
struct log;
struct stream;

struct world_era {
	struct connection *connection;
	bool is_over;
	unsigned flip_count;    /* bits flipped in transit */
	unsigned noticed_count; /* commands that ended because of them */
};

/* What came of it. */
struct world_counts {
	unsigned acknowledged, lost, reads, connected, flips, noticed, silences, expiries, events;
	unsigned bad_reads, shutdowns, resets, increments;
};

struct world {
	uint64_t seed;
	struct simulated_clock clock;
	struct random random;
	struct loop *loop;
	struct log *log;
	struct pool_share shares[WORLD_BUFFERS_MAX]; /* of buffers kept from the connections */
	struct pool_request buffers[WORLD_BUFFERS_MAX];
	unsigned buffer_count;
	struct target *target;
	struct connection_setting setting;
	struct medium media[WORLD_MEDIA];
	uint64_t time;  /* of the models: events */
	uint64_t trace; /* see world_run() */
	unsigned operations_left;
	bool is_shut_down;
	bool is_stuck; /* a connection, until its end is noted */
	struct host *hosts[WORLD_HOSTS_MAX];
	unsigned host_count;
	struct world_era eras[WORLD_ERAS_MAX];
	uint32_t era_count, live_count;
	struct world_counts counts;
};

/** Say what is wrong and with which seed, and abort. */
void world_fail(const struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/** @return whether something happens whose odds are one in @odds. */
bool world_is_lucky(struct world *world, uint64_t odds);

/** As above; odds of 0 are none. */
bool world_chance(struct world *world, uint64_t odds);

/** @return a number in @least..@most. */
uint32_t world_draw(struct world *world, uint32_t least, uint32_t most);

/** @return the NQN of a subsystem. */
const char *world_nqn(unsigned subsystem);

/** @return what is behind the namespace @nsid, 1.., of a subsystem. */
struct medium *world_medium(struct world *world, unsigned subsystem, uint32_t nsid);

/** Connect to the target. @param may_damage bits may be flipped, behind ICReq and ICResp
 *  @return the host's end, not started; *ret_era is the connection's. */
struct stream *world_connect(struct world *world, bool may_damage, uint32_t *ret_era);

/** The medium behind some namespace has changed: tell the hosts that want to know. */
void world_change_medium(struct world *world);

/** Something has come of the run that the next one of the same seed must come to as well. */
void world_trace(struct world *world, uint64_t value);

/** Run the world of @seed from beginning to end. @param is_telling say what came of it
 *  @return its trace: a number that all that happened, and when, have led to */
uint64_t world_run(uint64_t seed, bool is_telling);

#endif
