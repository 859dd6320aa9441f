/*
 * The test has one thread and waits for each thing in turn; every wait has an end.
 */
#include "test/kernel/worker_bench.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/kernel/worker_kernel.h"

#define PATIENCE_S 60

static void be_patient(int fd)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
}

/* The worker: of the test's descriptors it has the standard ones and its channel. */
static _Noreturn void be_worker(int channel)
{
	const struct rlimit descriptors = {2 * WORKER_BENCH_WINDOW, 2 * WORKER_BENCH_WINDOW};
	const struct rlimit none = {0, 0};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || dup2(channel, 3) != 3 ||
		close_range(4, ~0u, 0) != 0 || setrlimit(RLIMIT_NOFILE, &descriptors) != 0 ||
		setrlimit(RLIMIT_CORE, &none) != 0)
		_exit(99);
	_exit(worker_process_run(&worker_kernel_duties, 3));
}

void worker_bench_start(struct worker_bench *bench)
{
	int ends[2];

	assert_int_equal(channel_pair(ends), 0);
	be_patient(ends[0]);
	bench->channel = ends[0];
	bench->pid = fork();
	assert_true(bench->pid >= 0);
	if (bench->pid == 0)
		be_worker(ends[1]);
	assert_int_equal(close(ends[1]), 0);
}

int worker_bench_wait(struct worker_bench *bench)
{
	int status;

	assert_int_equal(waitpid(bench->pid, &status, 0), bench->pid);
	return status;
}

bool worker_bench_receive(int channel, enum channel_type type, struct channel_message *ret_message)
{
	int error;

	do {
		error = channel_receive(channel, CHANNEL_FROM_WORKER, 0, ret_message);
		if (error == -EPIPE)
			return false;
		assert_int_equal(error, 0);
	} while (ret_message->type == CHANNEL_LOG && type != CHANNEL_LOG);
	assert_int_equal(ret_message->type, type);
	return true;
}

void worker_bench_expect_closed(int *channel)
{
	struct channel_message message;

	assert_false(worker_bench_receive(*channel, CHANNEL_COUNTS, &message));
	assert_int_equal(close(*channel), 0);
	*channel = -1;
}

void worker_bench_expect_end(int *channel)
{
	struct channel_message message;

	assert_true(worker_bench_receive(*channel, CHANNEL_COUNTS, &message));
	worker_bench_expect_closed(channel);
}

void worker_bench_adopt(int channel, const struct handover *handover, struct raw_peer *peer)
{
	struct channel_message message = {.type = CHANNEL_ADOPT, .handover = *handover};
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	be_patient(ends[0]);
	*peer = (struct raw_peer){.fd = ends[0], .payload = malloc(RAW_PAYLOAD_MAX)};
	assert_non_null(peer->payload);
	message.fd = ends[1];
	assert_int_equal(channel_send(channel, &message, 0), 0);
	assert_int_equal(close(ends[1]), 0);
}

/* The session is answered, after the broker has heard the cookie. */
static struct wire_cookie expect_session(int channel, struct raw_peer *peer, uint64_t number)
{
	struct channel_message message;
	struct wire_session_reply reply;

	raw_peer_expect(peer, WIRE_RESPONSE, WIRE_HANDSHAKE, number);
	assert_int_equal(peer->payload_bytes, sizeof(reply));
	memcpy(&reply, peer->payload, sizeof(reply));
	assert_true(worker_bench_receive(channel, CHANNEL_COOKIE, &message));
	assert_memory_equal(&message.cookie, &reply.lane, sizeof(reply.lane));
	return reply.lane;
}

struct wire_cookie worker_bench_session(int channel, struct raw_peer *peer)
{
	const struct handover handover = {
		.number = 10,
		.kind = HANDOVER_GUEST,
		.is_extended = 1,
		.carried_max = WIRE_CARRIED_MAX,
		.name = "guest",
	};

	worker_bench_adopt(channel, &handover, peer);
	return expect_session(channel, peer, handover.number);
}

void worker_bench_lane(int channel, const struct wire_cookie *cookie, uint64_t id,
	struct raw_peer *peer)
{
	const struct handover handover = {
		.number = 11,
		.lane_id = id,
		.kind = HANDOVER_LANE,
		.is_extended = 1,
		.carried_max = WIRE_CARRIED_MAX,
		.cookie = *cookie,
	};

	worker_bench_adopt(channel, &handover, peer);
	raw_peer_expect(peer, WIRE_RESPONSE, WIRE_LANE, handover.number);
}

int worker_bench_fork(int channel, struct raw_peer *session, int error,
	struct wire_cookie *ret_cookie)
{
	const struct channel_message answer = {
		.type = CHANNEL_FORK_ANSWER,
		.value = error,
		.fd = -1,
	};
	struct channel_message message;

#ifdef __SANITIZE_THREAD__
	/* Its runtime ends a child that makes threads where its parent had some. */
	if (error == 0)
		skip();
#endif
	raw_peer_request(session, WIRE_PREFORK, 12, 0);
	assert_true(worker_bench_receive(channel, CHANNEL_FORKED, &message));
	assert_int_equal(channel_send(channel, &answer, 0), 0);
	if (error != 0) {
		assert_int_equal(close(message.fd), 0);
		return -1;
	}
	raw_peer_expect(session, WIRE_RESPONSE, WIRE_PREFORK, 12);
	assert_int_equal(session->payload_bytes, sizeof(*ret_cookie));
	assert_memory_equal(session->payload, &message.cookie, sizeof(message.cookie));
	*ret_cookie = message.cookie;
	be_patient(message.fd);
	return message.fd;
}

struct wire_cookie worker_bench_child(int channel, const struct wire_cookie *cookie,
	struct raw_peer *peer)
{
	const struct handover handover = {
		.number = 13,
		.kind = HANDOVER_FORK,
		.is_extended = 1,
		.carried_max = WIRE_CARRIED_MAX,
		.cookie = *cookie,
	};

	worker_bench_adopt(channel, &handover, peer);
	return expect_session(channel, peer, handover.number);
}

uint64_t worker_bench_call(struct raw_peer *peer, enum worker_call call, uint64_t first,
	uint64_t second)
{
	uint64_t values[2];

	assert_int_equal(raw_peer_call(peer, (uint32_t)call, first, second, values), 0);
	return values[0];
}

void worker_bench_expect_alive(struct raw_peer *peer)
{
	assert_int_equal(worker_bench_call(peer, WORKER_NULL, 77, 78), 77);
}
