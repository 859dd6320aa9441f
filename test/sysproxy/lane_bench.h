/*
 * What the tests of lanes begin with: a server, a process, and a lane of it with the id 1.
 */
#ifndef FERRY_TEST_SYSPROXY_LANE_BENCH_H
#define FERRY_TEST_SYSPROXY_LANE_BENCH_H

#include "test/sysproxy/server_bench.h"

#define LANE_BENCH_ADDRESS 0x10000u

struct lane_bench {
	struct server_bench *base;
	struct raw_peer session, lane;
};

/* For cmocka. */
int lane_bench_setup(void **state);
int lane_bench_teardown(void **state);

/** A call of number 7 with one range at LANE_BENCH_ADDRESS. */
struct raw_call lane_bench_call(uint32_t wanted, uint64_t bytes, uint32_t flags,
	const void *carried, uint32_t carried_bytes);

/** Receive a copy request of call 7. */
struct wire_call_copy lane_bench_expect_copy(struct raw_peer *lane, uint16_t type);

/** Answer the copy that came last. */
void lane_bench_answer(struct raw_peer *lane, uint32_t error, uint64_t address, const void *data,
	size_t bytes);

/** The lane answers a call. */
void lane_bench_expect_null_call(struct lane_bench *bench);

/** The lane ends, and its process lives. */
void lane_bench_expect_gone(struct lane_bench *bench);

#endif
