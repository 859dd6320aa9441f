/*
 * The server as a whole: its life, and what one client can do to others.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/sysproxy/server_bench.h"

#define BLOCKED 1000u

static void expect_null_call(struct raw_peer *peer)
{
	raw_peer_send_syscall(peer, FAKE_NULL, 70, 1, 2);
	assert_int_equal(raw_peer_syscall_reply(peer, 70, NULL), 0);
}

/* URLs and options */

static void test_server_answers_when_it_is_at_a_url_of_each_kind(void **state)
{
	static const char *const urls[] = {NULL, "tcp://127.0.0.1:0", "tcp://[::1]:0"};
	struct server_bench *bench = *state;
	struct raw_peer session, lane;

	for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
		server_bench_open(bench, urls[i]);
		assert_null(strstr(ferry_sysproxy_server_url(bench->server), ":0"));
		server_bench_lane(bench, &session, &lane);
		assert_int_equal(raw_peer_call(&lane, FAKE_NULL, 1, 2, NULL), 0);
		raw_peer_end(&lane);
		raw_peer_end(&session);
		server_bench_close(bench);
	}
}

static void test_server_serves_one_process_when_it_is_given_a_descriptor(void **state)
{
	struct server_bench *bench = *state;
	char url[32];
	struct raw_peer peer;
	struct wire_hello hello;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	(void)snprintf(url, sizeof(url), "fd://%d", fds[0]);
	server_bench_open(bench, url);
	raw_peer_adopt(&peer, fds[1]);
	hello = raw_peer_hello(&peer);
	assert_int_equal(le32_get(hello.lanes_max), 0);
	raw_peer_request(&peer, WIRE_HANDSHAKE, 1, WIRE_GUEST);
	raw_peer_expect(&peer, WIRE_RESPONSE, WIRE_HANDSHAKE, 1);
	assert_int_equal(raw_peer_call(&peer, FAKE_NULL, 1, 2, NULL), 0);
	raw_peer_end(&peer);
	fake_kernel_await_processes(bench->kernel, 0);
}

static int try_open(struct server_bench *bench, const char *url,
	const struct ferry_sysproxy_server_options *options, char *ret_error)
{
	const struct ferry_kernel face = fake_kernel_face(bench->kernel);

	ret_error[0] = '\0';
	return ferry_sysproxy_server_open(url, &face, options, &bench->server, ret_error);
}

static void test_server_says_why_when_it_cannot_be_opened(void **state)
{
	static const struct {
		const char *url;
		int error;
	} rows[] = {
		{"tcp://192.0.2.1:0", -EACCES},
		{"tcp://0.0.0.0:0", -EACCES},
		{"ftp://x", -EINVAL},
		{"unix:///nowhere/at/all", -ENOENT},
		{"fd://9999", -EBADF},
		{"fd://0x", -EINVAL},
	};
	struct server_bench *bench = *state;
	char error[FERRY_SYSPROXY_ERROR_MAX];

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(try_open(bench, rows[i].url, NULL, error), rows[i].error);
		assert_non_null(strstr(error, rows[i].url));
		assert_null(bench->server);
	}
}

static void test_server_refuses_options_when_they_are_beyond_limits(void **state)
{
	const uid_t users[FERRY_SYSPROXY_USERS_MAX + 1] = {0};
	const struct ferry_sysproxy_server_options rows[] = {
		{.struct_bytes = 0},
		{.struct_bytes = sizeof(rows[0]), .processes_max = 65537},
		{.struct_bytes = sizeof(rows[0]), .calls_max = 1025},
		{.struct_bytes = sizeof(rows[0]), .threads_max = 65537},
		{.struct_bytes = sizeof(rows[0]),
			.users = users,
			.user_count = FERRY_SYSPROXY_USERS_MAX + 1},
	};
	struct server_bench *bench = *state;
	char error[FERRY_SYSPROXY_ERROR_MAX];

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(try_open(bench, bench->url, &rows[i], error), -EINVAL);
		assert_string_not_equal(error, "");
	}
}

static void test_server_refuses_a_kernel_when_it_answers_no_calls(void **state)
{
	struct server_bench *bench = *state;
	struct ferry_kernel_operations operations = {.struct_bytes = sizeof(operations)};
	const struct ferry_kernel face = {.operations = &operations};
	char error[FERRY_SYSPROXY_ERROR_MAX];

	assert_int_equal(ferry_sysproxy_server_open(bench->url, &face, NULL, &bench->server, error),
		-EINVAL);
	operations.struct_bytes = 0;
	assert_int_equal(ferry_sysproxy_server_open(bench->url, &face, NULL, &bench->server, error),
		-EINVAL);
}

static int call_number(void *kernel, void *lwp, struct ferry_lwp *handle,
	const struct ferry_kernel_call *call, int64_t ret_values[2])
{
	(void)kernel;
	(void)lwp;
	(void)handle;
	ret_values[0] = call->number;
	return 0;
}

static void test_server_leaves_operations_out_when_a_kernel_has_but_call(void **state)
{
	struct server_bench *bench = *state;
	const struct ferry_kernel_operations operations = {
		.struct_bytes = sizeof(operations),
		.call = call_number,
	};
	const struct ferry_kernel face = {.operations = &operations};
	char error[FERRY_SYSPROXY_ERROR_MAX];
	struct raw_peer session, lane;
	struct wire_session_reply reply;
	uint64_t values[2];

	assert_int_equal(ferry_sysproxy_server_open(bench->url, &face, NULL, &bench->server, error),
		0);
	reply = server_bench_session(bench, &session);
	assert_int_equal(le64_get(reply.process_id), 1);
	raw_peer_connect(&lane, bench->url);
	raw_peer_lane(&lane, &reply.lane, 1);
	assert_int_equal(raw_peer_call(&lane, 33, 0, 0, values), 0);
	assert_int_equal(values[0], 33);
	raw_peer_request(&session, WIRE_PREFORK, 4, 0);
	raw_peer_expect_error(&session, 4, WIRE_ERROR_RFORK_FAILED);
	raw_peer_end(&lane);
	raw_peer_end(&session);
}

static void test_server_replaces_a_socket_file_when_its_owner_is_dead(void **state)
{
	struct server_bench *bench = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char error[FERRY_SYSPROXY_ERROR_MAX];
	struct ferry_sysproxy_server *first;
	struct raw_peer peer;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", bench->url + 7);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(close(fd), 0);
	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	raw_peer_end(&peer);
	/* One that lives is left alone. */
	first = bench->server;
	assert_int_equal(try_open(bench, bench->url, NULL, error), -EADDRINUSE);
	bench->server = first;
	server_bench_guest(bench, &peer);
	raw_peer_end(&peer);
}

/* Blocked calls */

static void block_on_session(struct server_bench *bench, struct raw_peer *peer, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		raw_peer_send_syscall(peer, FAKE_BLOCK, i, 9, 0);
	fake_kernel_await_blocked(bench->kernel, count);
}

/* Wake all calls that block, by @waker, and receive their replies. */
static void wake_all(struct raw_peer *waker, struct raw_peer *peer, unsigned count)
{
	bool is_seen[BLOCKED + 1] = {false};

	raw_peer_send_syscall(waker, FAKE_WAKE, count, 9, 0);
	if (waker != peer)
		assert_int_equal(raw_peer_syscall_reply(waker, count, NULL), 0);
	for (unsigned i = 0; i < count + (waker == peer); i++) {
		assert_true(raw_peer_receive(peer));
		assert_int_equal(peer->frame.type, WIRE_SYSCALL);
		assert_true(peer->frame.number <= BLOCKED && !is_seen[peer->frame.number]);
		is_seen[peer->frame.number] = true;
		assert_int_equal(le32_load(peer->payload), 0);
	}
}

static void test_server_wakes_blocked_calls_when_the_same_client_calls(void **state)
{
	static const unsigned counts[] = {127, 128, 129, BLOCKED};
	struct server_bench *bench = *state;
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
		server_bench_guest(bench, &peer);
		block_on_session(bench, &peer, counts[i]);
		wake_all(&peer, &peer, counts[i]);
		raw_peer_end(&peer);
	}
}

static void test_server_wakes_blocked_calls_when_another_client_calls(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer, other, lanes[8];
	struct wire_session_reply reply;

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	block_on_session(bench, &peer, BLOCKED);
	server_bench_guest(bench, &other);
	expect_null_call(&other);
	wake_all(&other, &peer, BLOCKED);
	raw_peer_end(&peer);
	raw_peer_end(&other);

	/* The same on lanes. */
	reply = server_bench_session(bench, &peer);
	for (unsigned i = 0; i < 8; i++) {
		struct raw_call call = raw_call_of(FAKE_BLOCK, 1, 9, 0);

		raw_peer_connect(&lanes[i], bench->url);
		raw_peer_lane(&lanes[i], &reply.lane, i + 1);
		raw_peer_send_call(&lanes[i], &call);
	}
	fake_kernel_await_blocked(bench->kernel, 8);
	assert_int_equal(raw_peer_call(&peer, FAKE_WAKE, 9, 0, NULL), 0);
	for (unsigned i = 0; i < 8; i++) {
		struct wire_reply_view view;

		assert_int_equal(raw_peer_reply(&lanes[i], 1, &view), 0);
		raw_peer_end(&lanes[i]);
	}
	raw_peer_end(&peer);
}

static void test_server_cancels_blocked_calls_when_their_client_vanishes(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer, other;

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &other);
	server_bench_guest(bench, &peer);
	block_on_session(bench, &peer, BLOCKED);
	raw_peer_end(&peer);
	fake_kernel_await_processes(bench->kernel, 1);
	fake_kernel_await_lwps(bench->kernel, 0);
	expect_null_call(&other);
	raw_peer_end(&other);
}

static void test_server_cancels_blocked_calls_when_it_closes(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer, session, lane, silent, copying;
	struct raw_call call = raw_call_of(FAKE_STUBBORN, 1, 3, 0);

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	block_on_session(bench, &peer, 100);
	server_bench_lane(bench, &session, &lane);
	raw_peer_send_call(&lane, &call);
	fake_kernel_await_blocked(bench->kernel, 101);
	raw_peer_request(&session, WIRE_PREFORK, 1, 0);
	assert_true(raw_peer_receive(&session));
	raw_peer_connect(&silent, bench->url);
	server_bench_guest(bench, &copying);
	raw_peer_send_syscall(&copying, FAKE_COPYIN, 1, 0x1000, 10);
	assert_true(raw_peer_receive(&copying));
	server_bench_close(bench);
	raw_peer_expect_end(&peer);
	raw_peer_expect_end(&session);
	raw_peer_expect_end(&lane);
	raw_peer_expect_end(&silent);
	raw_peer_expect_end(&copying);
	raw_peer_end(&peer);
	raw_peer_end(&session);
	raw_peer_end(&lane);
	raw_peer_end(&silent);
	raw_peer_end(&copying);
}

/* Clients that do not read */

static void test_server_serves_others_when_a_client_sends_junk_and_never_reads(void **state)
{
	struct server_bench *bench = *state;
	const struct wire_frame junk = {.type = 1000};
	struct raw_peer rude, other;
	struct wire_header frames[1000];
	ssize_t sent;

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &rude);
	server_bench_guest(bench, &other);
	for (size_t i = 0; i < ARRAY_LENGTH(frames); i++)
		wire_header_put(&frames[i], &junk, 0);
	/* Until the server reads no more; each time others are served. */
	for (unsigned is_full = 0; is_full < 10;) {
		sent = send(rude.fd, frames, sizeof(frames), MSG_DONTWAIT | MSG_NOSIGNAL);
		assert_true(sent > 0 || errno == EAGAIN);
		if (sent < 0)
			is_full++;
		expect_null_call(&other);
	}
	raw_peer_end(&rude);
	fake_kernel_await_processes(bench->kernel, 1);
	expect_null_call(&other);
	raw_peer_end(&other);
}

static void test_server_serves_others_when_a_client_reads_no_replies(void **state)
{
	struct server_bench *bench = *state;
	struct raw_call call = raw_call_of(FAKE_COPYOUT, 1, 0x1000, WIRE_CARRIED_MAX);
	const struct wire_range range = raw_range(0x1000, WIRE_CARRIED_MAX, WIRE_RANGE_OUT, 0);
	struct raw_peer rude, lane, other;

	server_bench_open(bench, NULL);
	server_bench_lane(bench, &rude, &lane);
	server_bench_guest(bench, &other);
	raw_call_range(&call, &range, NULL);
	raw_peer_send_call(&lane, &call);
	for (unsigned i = 0; i < 20; i++) {
		raw_peer_send_call(&rude, &call);
		expect_null_call(&other);
	}
	raw_peer_end(&rude);
	raw_peer_end(&lane);
	fake_kernel_await_processes(bench->kernel, 1);
	raw_peer_end(&other);
}

static void test_server_ends_a_process_when_a_lane_does_not_read(void **state)
{
	struct server_bench *bench = *state;
	struct raw_call call = raw_call_of(FAKE_COPYOUT, 1, 0x1000, WIRE_CARRIED_MAX);
	const struct wire_range range = raw_range(0x1000, WIRE_CARRIED_MAX, WIRE_RANGE_OUT, 0);
	struct raw_peer session, lane;
	uint8_t byte;

	server_bench_open(bench, NULL);
	server_bench_lane(bench, &session, &lane);
	raw_call_range(&call, &range, NULL);
	raw_peer_send_call(&lane, &call);
	/* Its thread is sending, and has no room. */
	assert_int_equal(recv(lane.fd, &byte, 1, MSG_PEEK), 1);
	raw_peer_end(&session);
	fake_kernel_await_processes(bench->kernel, 0);
	raw_peer_end(&lane);
}

static void test_server_serves_others_when_a_client_takes_no_copies(void **state)
{
	struct server_bench *bench = *state;
	const uint64_t bytes = 64ull * WIRE_COPY_MAX;
	struct raw_peer rude, other;

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &rude);
	server_bench_guest(bench, &other);
	/* Copies out that it never takes; the call ends when it vanishes. */
	raw_peer_send_syscall(&rude, FAKE_COPYOUT, 1, 0x1000, bytes);
	fake_kernel_await_lwps(bench->kernel, 1);
	expect_null_call(&other);
	raw_peer_end(&rude);
	fake_kernel_await_processes(bench->kernel, 1);
	expect_null_call(&other);
	raw_peer_end(&other);
}

/* The embedder's loop */

static void turn(struct server_bench *bench)
{
	struct pollfd poll_fd = {
		.fd = ferry_sysproxy_server_fd(bench->server),
		.events = POLLIN,
	};
	int timeout_ms = ferry_sysproxy_server_prepare(bench->server);

	assert_true(poll(&poll_fd, 1, timeout_ms) >= 0);
	assert_int_equal(ferry_sysproxy_server_process(bench->server, 0), 0);
}

static void test_server_runs_in_a_loop_of_others_when_it_is_started(void **state)
{
	struct server_bench *bench = *state;
	const struct ferry_kernel face = fake_kernel_face(bench->kernel);
	const struct wire_frame guest = {.number = 1};
	char error[FERRY_SYSPROXY_ERROR_MAX];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	uint8_t bytes[512];
	ssize_t got;
	struct wire_header header;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ferry_sysproxy_server_start(bench->url, &face, &bench->options,
				 &bench->server, error),
		0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", bench->url + 7);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	wire_header_put(&header, &guest, 0);
	assert_int_equal(send(fd, &header, sizeof(header), 0), sizeof(header));
	while (ferry_sysproxy_server_process_count(bench->server) == 0)
		turn(bench);
	fake_kernel_await_processes(bench->kernel, 1);
	do {
		turn(bench);
		got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_PEEK);
	} while (got < 0 || memchr(bytes, '\n', (size_t)got) == bytes + got - 1);
	/* Closing goes round the loop itself. */
	server_bench_close(bench);
	assert_int_equal(close(fd), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_bench_setup, server_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_server_answers_when_it_is_at_a_url_of_each_kind),
		TEST(test_server_serves_one_process_when_it_is_given_a_descriptor),
		TEST(test_server_says_why_when_it_cannot_be_opened),
		TEST(test_server_refuses_options_when_they_are_beyond_limits),
		TEST(test_server_refuses_a_kernel_when_it_answers_no_calls),
		TEST(test_server_leaves_operations_out_when_a_kernel_has_but_call),
		TEST(test_server_replaces_a_socket_file_when_its_owner_is_dead),
		TEST(test_server_wakes_blocked_calls_when_the_same_client_calls),
		TEST(test_server_wakes_blocked_calls_when_another_client_calls),
		TEST(test_server_cancels_blocked_calls_when_their_client_vanishes),
		TEST(test_server_cancels_blocked_calls_when_it_closes),
		TEST(test_server_serves_others_when_a_client_sends_junk_and_never_reads),
		TEST(test_server_serves_others_when_a_client_reads_no_replies),
		TEST(test_server_ends_a_process_when_a_lane_does_not_read),
		TEST(test_server_serves_others_when_a_client_takes_no_copies),
		TEST(test_server_runs_in_a_loop_of_others_when_it_is_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
