/*
 * Worker processes: how they end. What goes wrong is one client's error.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/kernel/worker_bench.h"

#define PATIENCE_S 60

static void await_blocked(struct raw_peer *session, unsigned count)
{
	time_t start = time(NULL);

	while (worker_bench_call(session, WORKER_BLOCKED, 0, 0) != count) {
		assert_true(time(NULL) - start < PATIENCE_S);
		(void)sched_yield();
	}
}

static const struct raw_call crash = {.wanted = WORKER_CRASH, .number = 40};

static void crash_a_child(int channel, struct raw_peer *session)
{
	struct wire_cookie cookie;
	struct raw_peer child;
	int child_channel = worker_bench_fork(channel, session, 0, &cookie);

	(void)worker_bench_child(child_channel, &cookie, &child);
	raw_peer_send_call(&child, &crash);
	raw_peer_expect_end(&child);
	raw_peer_end(&child);
	worker_bench_expect_closed(&child_channel);
}

static void test_worker_process_takes_no_other_along_when_it_crashes(void **state)
{
	struct worker_bench worker, other;
	struct raw_peer session, other_session, child, lane;
	struct wire_cookie cookie, lane_cookie;
	int channel, status;

	(void)state;
	worker_bench_start(&worker);
	worker_bench_start(&other);
	lane_cookie = worker_bench_session(worker.channel, &session);
	(void)worker_bench_session(other.channel, &other_session);
	channel = worker_bench_fork(worker.channel, &session, 0, &cookie);
	(void)worker_bench_child(channel, &cookie, &child);
	worker_bench_lane(worker.channel, &lane_cookie, 1, &lane);
	raw_peer_send_call(&lane, &crash);
	raw_peer_expect_end(&lane);
	raw_peer_end(&lane);
	raw_peer_expect_end(&session);
	raw_peer_end(&session);
	worker_bench_expect_closed(&worker.channel);
	status = worker_bench_wait(&worker);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	worker_bench_expect_alive(&other_session);
	worker_bench_expect_alive(&child);
	/* A child that crashes does not hurt its parent either. */
	crash_a_child(channel, &child);
	worker_bench_expect_alive(&child);
	raw_peer_end(&child);
	worker_bench_expect_end(&channel);
	raw_peer_end(&other_session);
	worker_bench_expect_end(&other.channel);
	assert_int_equal(worker_bench_wait(&other), 0);
}

static void test_worker_process_ends_its_calls_when_the_broker_wants_it(void **state)
{
	const struct raw_call block = {.wanted = WORKER_BLOCK, .number = 41};
	struct worker_bench worker;
	struct raw_peer session, lane;
	struct wire_cookie cookie;

	(void)state;
	worker_bench_start(&worker);
	cookie = worker_bench_session(worker.channel, &session);
	worker_bench_lane(worker.channel, &cookie, 1, &lane);
	raw_peer_send_call(&lane, &block);
	raw_peer_send_call(&session, &block);
	await_blocked(&session, 2);
	assert_int_equal(shutdown(worker.channel, SHUT_WR), 0);
	assert_false(raw_peer_receive(&session));
	raw_peer_end(&session);
	raw_peer_end(&lane);
	worker_bench_expect_end(&worker.channel);
	assert_int_equal(worker_bench_wait(&worker), 0);
}

static void test_worker_process_ends_when_the_broker_goes(void **state)
{
	struct worker_bench worker;
	struct raw_peer session, child;
	struct wire_cookie cookie;
	int channel, parked;

	(void)state;
	/* Without a client, with one, and parked. */
	worker_bench_start(&worker);
	assert_int_equal(close(worker.channel), 0);
	assert_int_equal(worker_bench_wait(&worker), 0);
	worker_bench_start(&worker);
	(void)worker_bench_session(worker.channel, &session);
	channel = worker_bench_fork(worker.channel, &session, 0, &cookie);
	(void)worker_bench_child(channel, &cookie, &child);
	parked = worker_bench_fork(channel, &child, 0, &cookie);
	assert_int_equal(shutdown(parked, SHUT_WR), 0);
	worker_bench_expect_end(&parked);
	assert_int_equal(close(channel), 0);
	assert_false(raw_peer_receive(&child));
	raw_peer_end(&child);
	worker_bench_expect_alive(&session);
	assert_int_equal(close(worker.channel), 0);
	assert_false(raw_peer_receive(&session));
	raw_peer_end(&session);
	assert_int_equal(worker_bench_wait(&worker), 0);
}

static void test_worker_process_ends_when_a_fork_is_not_answered(void **state)
{
	struct worker_bench worker;
	struct channel_message message;
	struct raw_peer session;

	(void)state;
	worker_bench_start(&worker);
	(void)worker_bench_session(worker.channel, &session);
	raw_peer_request(&session, WIRE_PREFORK, 12, 0);
	assert_true(worker_bench_receive(worker.channel, CHANNEL_FORKED, &message));
	assert_int_equal(shutdown(worker.channel, SHUT_WR), 0);
	worker_bench_expect_end(&worker.channel);
	assert_int_equal(worker_bench_wait(&worker), 0);
	/* There never was a child. */
	worker_bench_expect_closed(&message.fd);
	raw_peer_end(&session);
}

static void test_worker_process_fails_when_the_broker_makes_no_sense(void **state)
{
	static const uint8_t nonsense[100] = {0xff};
	struct worker_bench worker;
	struct raw_peer session;
	int status;

	(void)state;
	worker_bench_start(&worker);
	(void)worker_bench_session(worker.channel, &session);
	assert_int_equal(send(worker.channel, nonsense, sizeof(nonsense), 0), sizeof(nonsense));
	assert_false(raw_peer_receive(&session));
	raw_peer_end(&session);
	status = worker_bench_wait(&worker);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(close(worker.channel), 0);
}

static void test_worker_process_refuses_a_second_process_when_it_has_one(void **state)
{
	const struct handover handover = {.number = 15, .kind = HANDOVER_GUEST, .name = "second"};
	struct worker_bench worker;
	struct raw_peer session, peer;

	(void)state;
	worker_bench_start(&worker);
	(void)worker_bench_session(worker.channel, &session);
	worker_bench_adopt(worker.channel, &handover, &peer);
	raw_peer_expect_error(&peer, 15, WIRE_ERROR_NO_MEMORY);
	raw_peer_expect_end(&peer);
	raw_peer_end(&peer);
	worker_bench_expect_alive(&session);
	raw_peer_end(&session);
	worker_bench_expect_end(&worker.channel);
	assert_int_equal(worker_bench_wait(&worker), 0);
}

/* Clients that are killed */

#define KILLS 40

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Do some of what a client can do, as far as @steps goes, without waiting for what comes of it. */
static void be_busy(struct worker_bench *worker, struct raw_peer peers[2],
	const struct wire_cookie *cookie, uint32_t *seed)
{
	const struct handover lane = {
		.number = 11,
		.lane_id = 2,
		.kind = HANDOVER_LANE,
		.is_extended = 1,
		.carried_max = WIRE_CARRIED_MAX,
		.cookie = *cookie,
	};
	const struct raw_call block = {.wanted = WORKER_BLOCK, .number = 42};
	const struct raw_call null = {.wanted = WORKER_NULL, .number = 43};
	uint8_t bytes[40];

	worker_bench_adopt(worker->channel, &lane, &peers[1]);
	if (next_random(seed) % 2 == 0)
		raw_peer_expect(&peers[1], WIRE_RESPONSE, WIRE_LANE, 11);
	for (uint32_t left = next_random(seed) % 6; left > 0; left--) {
		struct raw_peer *peer = &peers[next_random(seed) % 2];

		raw_peer_send_call(peer, next_random(seed) % 3 == 0 ? &block : &null);
		/* A lane has one call at a time. */
		if (peer == &peers[1])
			break;
	}
	memset(bytes, 0, sizeof(bytes));
	bytes[0] = WIRE_HEADER_BYTES + 16;
	if (next_random(seed) % 2 == 0)
		(void)raw_peer_send_bytes(&peers[0], bytes, next_random(seed) % sizeof(bytes));
}

static void test_worker_process_ends_in_order_when_its_client_is_killed(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < KILLS; i++) {
		struct worker_bench worker;
		struct channel_message message;
		struct raw_peer peers[2];
		struct wire_cookie cookie, fork_cookie;
		bool has_child = next_random(&seed) % 4 == 0;
		int child = -1;

		worker_bench_start(&worker);
		cookie = worker_bench_session(worker.channel, &peers[0]);
		if (has_child)
			child = worker_bench_fork(worker.channel, &peers[0], 0, &fork_cookie);
		be_busy(&worker, peers, &cookie, &seed);
		raw_peer_end(&peers[next_random(&seed) % 2]);
		raw_peer_end(&peers[0]);
		raw_peer_end(&peers[1]);
		assert_true(worker_bench_receive(worker.channel, CHANNEL_COUNTS, &message));
		worker_bench_expect_closed(&worker.channel);
		assert_int_equal(worker_bench_wait(&worker), 0);
		if (!has_child)
			continue;
		assert_int_equal(shutdown(child, SHUT_WR), 0);
		worker_bench_expect_end(&child);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worker_process_takes_no_other_along_when_it_crashes),
		cmocka_unit_test(test_worker_process_ends_its_calls_when_the_broker_wants_it),
		cmocka_unit_test(test_worker_process_ends_when_the_broker_goes),
		cmocka_unit_test(test_worker_process_ends_when_a_fork_is_not_answered),
		cmocka_unit_test(test_worker_process_fails_when_the_broker_makes_no_sense),
		cmocka_unit_test(test_worker_process_refuses_a_second_process_when_it_has_one),
		cmocka_unit_test(test_worker_process_ends_in_order_when_its_client_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
