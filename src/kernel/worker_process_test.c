/*
 * Worker processes: what they serve, and what a fork has of its parent.
 */
#include "kernel/worker_process.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/kernel/worker_bench.h"

#define PATIENCE_S 60

static void test_worker_process_serves_session_and_lanes_when_it_is_given_them(void **state)
{
	struct worker_bench worker;
	struct channel_message message;
	struct raw_peer session, lanes[3];
	struct wire_cookie cookie;

	(void)state;
	worker_bench_start(&worker);
	cookie = worker_bench_session(worker.channel, &session);
	worker_bench_expect_alive(&session);
	for (unsigned i = 0; i < 3; i++) {
		worker_bench_lane(worker.channel, &cookie, i + 1, &lanes[i]);
		worker_bench_expect_alive(&lanes[i]);
	}
	raw_peer_end(&lanes[0]);
	worker_bench_expect_alive(&lanes[1]);
	raw_peer_end(&session);
	for (unsigned i = 1; i < 3; i++) {
		raw_peer_expect_end(&lanes[i]);
		raw_peer_end(&lanes[i]);
	}
	assert_true(worker_bench_receive(worker.channel, CHANNEL_COUNTS, &message));
	assert_int_equal(message.counts.calls, 5);
	assert_int_equal(message.counts.failures, 0);
	worker_bench_expect_closed(&worker.channel);
	assert_int_equal(worker_bench_wait(&worker), 0);
}

static void test_worker_process_tells_lines_when_its_kernel_has_some(void **state)
{
	struct worker_bench worker;
	struct channel_message message;
	struct raw_peer session;

	(void)state;
	worker_bench_start(&worker);
	(void)worker_bench_session(worker.channel, &session);
	(void)worker_bench_call(&session, WORKER_TRACE, 0, 0);
	assert_true(worker_bench_receive(worker.channel, CHANNEL_TRACE, &message));
	assert_string_equal(message.text, "traced");
	(void)worker_bench_call(&session, WORKER_LOG, 0, 0);
	assert_true(worker_bench_receive(worker.channel, CHANNEL_LOG, &message));
	assert_int_equal(message.value, LOG_LEVEL_WARNING);
	assert_string_equal(message.text, "logged");
	raw_peer_end(&session);
	worker_bench_expect_end(&worker.channel);
	assert_int_equal(worker_bench_wait(&worker), 0);
}

static void test_worker_process_tells_its_new_cookie_when_the_program_execs(void **state)
{
	const struct wire_frame frame = {.number = 20, .aux = WIRE_EXEC};
	struct worker_bench worker;
	struct channel_message message;
	struct wire_session_reply reply;
	struct wire_cookie before;
	struct raw_peer session, lane;

	(void)state;
	worker_bench_start(&worker);
	before = worker_bench_session(worker.channel, &session);
	raw_peer_send(&session, &frame, "other", 6);
	raw_peer_expect(&session, WIRE_RESPONSE, WIRE_HANDSHAKE, 20);
	memcpy(&reply, session.payload, sizeof(reply));
	assert_true(worker_bench_receive(worker.channel, CHANNEL_COOKIE, &message));
	assert_memory_equal(&message.cookie, &reply.lane, sizeof(reply.lane));
	assert_memory_not_equal(&message.cookie, &before, sizeof(before));
	worker_bench_lane(worker.channel, &reply.lane, 1, &lane);
	worker_bench_expect_alive(&lane);
	raw_peer_end(&lane);
	raw_peer_end(&session);
	worker_bench_expect_end(&worker.channel);
	assert_int_equal(worker_bench_wait(&worker), 0);
}

/* @return how many descriptors there are, below the window and in it. */
static void count_descriptors(struct raw_peer *peer, uint64_t ret_counts[2])
{
	assert_int_equal(raw_peer_call(peer, WORKER_DESCRIPTORS, 0, 0, ret_counts), 0);
}

static void test_worker_process_keeps_its_descriptors_in_the_window_when_it_serves(void **state)
{
	struct worker_bench worker;
	struct raw_peer session, lanes[5], child;
	struct wire_cookie cookie, fork_cookie;
	uint64_t counts[2], child_counts[2];
	int child_channel;

	(void)state;
	worker_bench_start(&worker);
	cookie = worker_bench_session(worker.channel, &session);
	count_descriptors(&session, counts);
	assert_int_equal(counts[0], 3);
	/* Its channel, two of its loop, the session. */
	assert_int_equal(counts[1], 4);
	for (unsigned i = 0; i < 5; i++)
		worker_bench_lane(worker.channel, &cookie, i + 1, &lanes[i]);
	count_descriptors(&lanes[4], counts);
	assert_int_equal(counts[0], 3);
	assert_int_equal(counts[1], 9);
	assert_int_equal(worker_bench_call(&session, WORKER_PIPE, 0, 0), 3);
	/* The child has the client's descriptors and none of its parent's own. */
	child_channel = worker_bench_fork(worker.channel, &session, 0, &fork_cookie);
	(void)worker_bench_child(child_channel, &fork_cookie, &child);
	count_descriptors(&child, child_counts);
	assert_int_equal(child_counts[0], 5);
	assert_int_equal(child_counts[1], 4);
	count_descriptors(&session, counts);
	assert_int_equal(counts[0], 5);
	assert_int_equal(counts[1], 9);
	raw_peer_end(&child);
	worker_bench_expect_end(&child_channel);
	for (unsigned i = 0; i < 5; i++)
		raw_peer_end(&lanes[i]);
	raw_peer_end(&session);
	worker_bench_expect_end(&worker.channel);
	assert_int_equal(worker_bench_wait(&worker), 0);
}

/* Forks */

static void await_no_children(struct raw_peer *session)
{
	time_t start = time(NULL);

	while (worker_bench_call(session, WORKER_CHILDREN, 0, 0) != 0) {
		assert_true(time(NULL) - start < PATIENCE_S);
		(void)sched_yield();
	}
}

static void test_worker_process_forks_itself_when_its_program_forks(void **state)
{
	struct worker_bench worker;
	struct raw_peer session, busy, child, lane;
	struct wire_cookie cookie, fork_cookie;
	const struct raw_call block = {.wanted = WORKER_BLOCK, .number = 30};
	uint64_t ends[2], ids[2], child_ids[2];
	int channel;

	(void)state;
	worker_bench_start(&worker);
	cookie = worker_bench_session(worker.channel, &session);
	assert_int_equal(raw_peer_call(&session, WORKER_PIPE, 0, 0, ends), 0);
	(void)worker_bench_call(&session, WORKER_UMASK, 0123, 0);
	assert_int_equal(raw_peer_call(&session, WORKER_PROCESS, 0, 0, ids), 0);
	assert_int_equal(ids[0], worker.pid);
	/* Others are in calls meanwhile. */
	worker_bench_lane(worker.channel, &cookie, 1, &busy);
	raw_peer_send_call(&busy, &block);
	channel = worker_bench_fork(worker.channel, &session, 0, &fork_cookie);
	cookie = worker_bench_child(channel, &fork_cookie, &child);
	assert_int_equal(raw_peer_call(&child, WORKER_PROCESS, 0, 0, child_ids), 0);
	assert_int_not_equal(child_ids[0], ids[0]);
	assert_int_equal(child_ids[1], ids[0]);
	assert_int_equal(worker_bench_call(&child, WORKER_UMASK, 0, 0), 0123);
	assert_int_equal(worker_bench_call(&session, WORKER_UMASK, 0, 0), 0123);
	/* One end at each. */
	worker_bench_lane(channel, &cookie, 9, &lane);
	(void)worker_bench_call(&lane, WORKER_WRITE, ends[1], 42);
	assert_int_equal(worker_bench_call(&session, WORKER_READ, ends[0], 0), 42);
	raw_peer_end(&child);
	worker_bench_expect_end(&channel);
	raw_peer_expect_end(&lane);
	raw_peer_end(&lane);
	await_no_children(&session);
	raw_peer_end(&busy);
	raw_peer_end(&session);
	worker_bench_expect_end(&worker.channel);
	assert_int_equal(worker_bench_wait(&worker), 0);
}

static void test_worker_process_child_goes_on_when_its_parent_ends(void **state)
{
	struct worker_bench worker;
	struct raw_peer session, child, grandchild;
	struct wire_cookie cookie;
	int channel, grand_channel;

	(void)state;
	worker_bench_start(&worker);
	(void)worker_bench_session(worker.channel, &session);
	channel = worker_bench_fork(worker.channel, &session, 0, &cookie);
	(void)worker_bench_child(channel, &cookie, &child);
	raw_peer_end(&session);
	worker_bench_expect_end(&worker.channel);
	assert_int_equal(worker_bench_wait(&worker), 0);
	worker_bench_expect_alive(&child);
	grand_channel = worker_bench_fork(channel, &child, 0, &cookie);
	(void)worker_bench_child(grand_channel, &cookie, &grandchild);
	worker_bench_expect_alive(&child);
	raw_peer_end(&child);
	worker_bench_expect_end(&channel);
	worker_bench_expect_alive(&grandchild);
	raw_peer_end(&grandchild);
	worker_bench_expect_end(&grand_channel);
}

#define TREE_DEPTH 3

/* Each node has two children, of which one outlives it. */
static void grow(int channel, struct raw_peer *session, unsigned depth)
{
	struct wire_cookie cookies[2];
	struct raw_peer peers[2];
	int channels[2];

	if (depth == 0)
		return;
	for (unsigned i = 0; i < 2; i++) {
		channels[i] = worker_bench_fork(channel, session, 0, &cookies[i]);
		(void)worker_bench_child(channels[i], &cookies[i], &peers[i]);
	}
	for (unsigned i = 0; i < 2; i++) {
		grow(channels[i], &peers[i], depth - 1);
		worker_bench_expect_alive(&peers[i]);
		worker_bench_expect_alive(session);
		raw_peer_end(&peers[i]);
		worker_bench_expect_end(&channels[i]);
	}
}

static void test_worker_process_serves_a_tree_when_children_fork(void **state)
{
	struct worker_bench worker;
	struct raw_peer session;

	(void)state;
	worker_bench_start(&worker);
	(void)worker_bench_session(worker.channel, &session);
	grow(worker.channel, &session, TREE_DEPTH);
	await_no_children(&session);
	raw_peer_end(&session);
	worker_bench_expect_end(&worker.channel);
	assert_int_equal(worker_bench_wait(&worker), 0);
}

static void test_worker_process_tells_its_client_when_a_fork_is_refused(void **state)
{
	const struct {
		int error;
		uint32_t code;
	} rows[] = {
		{-EAGAIN, WIRE_ERROR_TRY_AGAIN},
		{-ENOMEM, WIRE_ERROR_NO_MEMORY},
		{-EPERM, WIRE_ERROR_RFORK_FAILED},
	};
	struct worker_bench worker;
	struct raw_peer session;
	struct wire_cookie cookie;

	(void)state;
	worker_bench_start(&worker);
	(void)worker_bench_session(worker.channel, &session);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(worker_bench_fork(worker.channel, &session, rows[i].error,
					 &cookie),
			-1);
		raw_peer_expect_error(&session, 12, rows[i].code);
		assert_int_equal(worker_bench_call(&session, WORKER_CHILDREN, 0, 0), 0);
	}
	raw_peer_end(&session);
	worker_bench_expect_end(&worker.channel);
	assert_int_equal(worker_bench_wait(&worker), 0);
}

static void test_worker_process_child_refuses_others_when_it_is_parked(void **state)
{
	struct worker_bench worker;
	struct raw_peer session, peer, child;
	struct wire_cookie cookie;
	struct handover handover = {.number = 14, .kind = HANDOVER_FORK};
	int channel;

	(void)state;
	worker_bench_start(&worker);
	(void)worker_bench_session(worker.channel, &session);
	channel = worker_bench_fork(worker.channel, &session, 0, &cookie);
	for (unsigned i = 0; i < 16; i++) {
		handover.cookie = cookie;
		handover.cookie.bytes[i] ^= 1;
		worker_bench_adopt(channel, &handover, &peer);
		raw_peer_expect_error(&peer, 14, WIRE_ERROR_INVALID_PREFORK);
		raw_peer_expect_end(&peer);
		raw_peer_end(&peer);
	}
	(void)worker_bench_child(channel, &cookie, &child);
	/* Once. */
	handover.cookie = cookie;
	worker_bench_adopt(channel, &handover, &peer);
	raw_peer_expect_error(&peer, 14, WIRE_ERROR_INVALID_PREFORK);
	raw_peer_end(&peer);
	worker_bench_expect_alive(&child);
	raw_peer_end(&child);
	worker_bench_expect_end(&channel);
	/* A fork that is given up. */
	channel = worker_bench_fork(worker.channel, &session, 0, &cookie);
	handover.cookie = cookie;
	handover.is_cancelled = 1;
	worker_bench_adopt(channel, &handover, &peer);
	raw_peer_expect_end(&peer);
	raw_peer_end(&peer);
	worker_bench_expect_end(&channel);
	await_no_children(&session);
	raw_peer_end(&session);
	worker_bench_expect_end(&worker.channel);
	assert_int_equal(worker_bench_wait(&worker), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_worker_process_serves_session_and_lanes_when_it_is_given_them),
		cmocka_unit_test(test_worker_process_tells_lines_when_its_kernel_has_some),
		cmocka_unit_test(test_worker_process_tells_its_new_cookie_when_the_program_execs),
		cmocka_unit_test(
			test_worker_process_keeps_its_descriptors_in_the_window_when_it_serves),
		cmocka_unit_test(test_worker_process_forks_itself_when_its_program_forks),
		cmocka_unit_test(test_worker_process_child_goes_on_when_its_parent_ends),
		cmocka_unit_test(test_worker_process_serves_a_tree_when_children_fork),
		cmocka_unit_test(test_worker_process_tells_its_client_when_a_fork_is_refused),
		cmocka_unit_test(test_worker_process_child_refuses_others_when_it_is_parked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
