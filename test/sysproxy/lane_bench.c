/*
 * A lane, and a peer that answers by hand what is asked of it.
 */
#include "test/sysproxy/lane_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int lane_bench_setup(void **state)
{
	struct lane_bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	(void)server_bench_setup((void **)&bench->base);
	server_bench_open(bench->base, NULL);
	server_bench_lane(bench->base, &bench->session, &bench->lane);
	*state = bench;
	return 0;
}

int lane_bench_teardown(void **state)
{
	struct lane_bench *bench = *state;
	void *base = bench->base;

	raw_peer_end(&bench->lane);
	raw_peer_end(&bench->session);
	free(bench);
	return server_bench_teardown(&base);
}

struct raw_call lane_bench_call(uint32_t wanted, uint64_t bytes, uint32_t flags,
	const void *carried, uint32_t carried_bytes)
{
	struct raw_call call = raw_call_of(wanted, 7, LANE_BENCH_ADDRESS, bytes);
	struct wire_range range = raw_range(LANE_BENCH_ADDRESS, bytes, flags, carried_bytes);

	raw_call_range(&call, &range, carried);
	return call;
}

struct wire_call_copy lane_bench_expect_copy(struct raw_peer *lane, uint16_t type)
{
	struct wire_call_copy copy;

	assert_true(raw_peer_receive(lane));
	assert_int_equal(lane->frame.class, WIRE_REQUEST);
	assert_int_equal(lane->frame.type, type);
	assert_int_equal(wire_check_from_server(&lane->frame, true), 0);
	memcpy(&copy, lane->payload, sizeof(copy));
	assert_int_equal(le64_get(copy.call), 7);
	return copy;
}

void lane_bench_answer(struct raw_peer *lane, uint32_t error, uint64_t address, const void *data,
	size_t bytes)
{
	const struct wire_frame frame = {
		.number = lane->frame.number,
		.class = WIRE_RESPONSE,
		.type = lane->frame.type,
	};
	struct wire_call_copy_reply head = {.error = le32_of(error), .address = le64_of(address)};
	uint8_t *payload = malloc(sizeof(head) + bytes);

	assert_non_null(payload);
	memcpy(payload, &head, sizeof(head));
	if (bytes > 0)
		memcpy(payload + sizeof(head), data, bytes);
	raw_peer_send(lane, &frame, payload, sizeof(head) + bytes);
	free(payload);
}

void lane_bench_expect_null_call(struct lane_bench *bench)
{
	uint64_t values[2];

	assert_int_equal(raw_peer_call(&bench->lane, FAKE_NULL, 3, 4, values), 0);
	assert_int_equal(values[0], 3);
}

void lane_bench_expect_gone(struct lane_bench *bench)
{
	raw_peer_expect_end(&bench->lane);
	fake_kernel_await_lwps(bench->base->kernel, 0);
	/* Its process lives. */
	assert_int_equal(raw_peer_call(&bench->session, FAKE_NULL, 1, 2, NULL), 0);
}
