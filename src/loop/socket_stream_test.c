#include "loop/socket_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "loop/address.h"
#include "loop/loop_private.h"
#include "loop/memory_stream.h"
#include "loop/stream_private.h"
#include "test/loop/stream_probe.h"

static bool is_opened(void *context)
{
	const struct stream_probe *probe = context;

	return probe->opened_calls > 0;
}

/* Where a blocking socket of the test listens. */
struct place {
	int fd;
	struct sockaddr_storage address;
	socklen_t bytes;
};

static struct place place_open(int family)
{
	struct place place = {.bytes = sizeof(place.address)};
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	place.fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(place.fd >= 0);
	/* A unix address without a path takes a free abstract one. */
	if (family == AF_INET)
		assert_int_equal(bind(place.fd, (struct sockaddr *)&in4, sizeof(in4)), 0);
	else
		assert_int_equal(bind(place.fd, (struct sockaddr *)&un, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(place.fd, (struct sockaddr *)&place.address, &place.bytes), 0);
	return place;
}

static struct loop *loop_open(void)
{
	struct loop *loop = NULL;

	assert_int_equal(loop_new(NULL, &loop), 0);
	return loop;
}

static void test_socket_stream_opens_when_somebody_listens(void **state)
{
	static const int families[] = {AF_INET, AF_UNIX};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
		struct place place = place_open(families[i]);
		struct loop *loop = loop_open();
		struct stream_probe probe = {.stream = NULL};
		struct sockaddr_storage local;
		struct stream *stream;
		char text[8] = "";
		int accepted;

		assert_int_equal(listen(place.fd, 1), 0);
		assert_int_equal(socket_stream_connect(loop, (struct sockaddr *)&place.address,
					 place.bytes, &stream),
			0);
		assert_int_equal(stream_reserve(stream, 16, 1), 0);
		memcpy(stream_put(stream, 5), "early", 5);
		stream_probe_start(&probe, stream);
		loop_run_until(loop, is_opened, &probe);
		assert_int_equal(probe.closed_calls, 0);
		accepted = accept(place.fd, NULL, NULL);
		assert_int_equal(recv(accepted, text, sizeof(text), 0), 5);
		assert_string_equal(text, "early");
		socket_stream_detect_death(stream, 5000);
		assert_int_equal(socket_stream_local_address(stream, &local), 0);
		assert_int_equal(local.ss_family, families[i]);
		assert_int_equal(close(accepted), 0);
		loop_run_until(loop, stream_probe_is_closed, &probe);
		assert_int_equal(probe.error, 0);
		assert_int_equal(probe.opened_calls, 1);
		stream_probe_end(&probe);
		loop_free(loop);
		assert_int_equal(close(place.fd), 0);
	}
}

static void test_socket_stream_closes_when_nobody_listens(void **state)
{
	static const int families[] = {AF_INET, AF_UNIX};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
		struct place place = place_open(families[i]);
		struct loop *loop = loop_open();
		struct stream_probe probe = {.stream = NULL};
		struct stream *stream;

		assert_int_equal(socket_stream_connect(loop, (struct sockaddr *)&place.address,
					 place.bytes, &stream),
			0);
		stream_probe_start(&probe, stream);
		loop_run_until(loop, stream_probe_is_closed, &probe);
		assert_int_equal(probe.error, ECONNREFUSED);
		assert_int_equal(probe.opened_calls, 0);
		stream_probe_end(&probe);
		loop_free(loop);
		assert_int_equal(close(place.fd), 0);
	}
}

/* A TCP stream and the other end of its connection. */
static int connect_peer(struct loop *loop, struct stream **ret_stream)
{
	struct place place = place_open(AF_INET);
	int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd;

	assert_int_equal(listen(place.fd, 1), 0);
	assert_int_equal(connect(peer, (struct sockaddr *)&place.address, place.bytes), 0);
	fd = accept(place.fd, NULL, NULL);
	assert_int_equal(socket_stream_adopt(loop, fd, ret_stream), 0);
	assert_int_equal(close(place.fd), 0);
	return peer;
}

static void reset_peer(int peer)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};

	assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	assert_int_equal(close(peer), 0);
}

static void test_socket_stream_closes_with_the_error_when_it_is_reset(void **state)
{
	(void)state;
	for (unsigned is_paused = 0; is_paused < 2; is_paused++) {
		struct loop *loop = loop_open();
		struct stream_probe probe = {.stream = NULL};
		struct stream *stream;
		int peer = connect_peer(loop, &stream);

		stream_probe_start(&probe, stream);
		if (is_paused)
			stream_pause(stream);
		loop_run_idle(loop);
		reset_peer(peer);
		loop_run_until(loop, stream_probe_is_closed, &probe);
		assert_int_equal(probe.error, ECONNRESET);
		stream_probe_end(&probe);
		loop_free(loop);
	}
}

static void test_socket_stream_gives_the_last_words_when_sending_fails(void **state)
{
	struct loop *loop = loop_open();
	struct stream_probe probe = {.stream = NULL};
	struct stream *stream;
	int peer = connect_peer(loop, &stream);

	(void)state;
	assert_int_equal(stream_reserve(stream, 16, 1), 0);
	assert_int_equal(send(peer, "why", 3, 0), 3);
	reset_peer(peer);
	/* Sent before the loop has looked at the socket. */
	memcpy(stream_put(stream, 4), "lost", 4);
	stream_probe_start(&probe, stream);
	loop_run_until(loop, stream_probe_is_closed, &probe);
	assert_true(probe.error == ECONNRESET || probe.error == EPIPE);
	assert_int_equal(probe.received_bytes, 3);
	assert_memory_equal(probe.received, "why", 3);
	stream_probe_end(&probe);
	loop_free(loop);
}

static void test_socket_stream_leaves_the_descriptor_when_it_cannot_adopt_it(void **state)
{
	struct loop *loop = loop_open();
	struct stream *stream = NULL;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(socket_stream_adopt(loop, fds[0], &stream), -ENOTSOCK);
	assert_null(stream);
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(close(fds[1]), 0);
	loop_free(loop);
}

static void test_socket_stream_has_no_address_when_it_is_no_socket(void **state)
{
	struct loop *loop = loop_open();
	struct sockaddr_storage address;
	struct stream *ends[2];

	(void)state;
	assert_int_equal(memory_stream_pair(loop, NULL, ends), 0);
	assert_int_equal(socket_stream_local_address(ends[0], &address), -ENOTSOCK);
	socket_stream_detect_death(ends[0], 1000);
	stream_free(ends[0]);
	stream_free(ends[1]);
	loop_free(loop);
}

#define HOLDERS      100
#define HOLDER_BYTES (128u << 10)

/* A user that takes nothing at first, and the other end of its stream. */
struct holder {
	struct stream *stream;
	int peer;
	bool is_taking;
	size_t sent_bytes, received_bytes;
};

static size_t holder_received(void *context, size_t direct_bytes, const uint8_t *data, size_t bytes)
{
	struct holder *holder = context;

	assert_int_equal(direct_bytes, 0);
	if (!holder->is_taking) {
		stream_pause(holder->stream);
		return 0;
	}
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(data[i], (uint8_t)((holder->received_bytes + i) % 251));
	holder->received_bytes += bytes;
	return bytes;
}

static void holder_closed(void *context, int error)
{
	(void)context;
	(void)error;
	fail();
}

static const struct stream_handler holder_handler = {
	.received = holder_received,
	.closed = holder_closed,
};

/* Its peer has sent as much as the kernel takes, at most HOLDER_BYTES. */
static void holder_open(struct holder *holder, struct loop *loop)
{
	static uint8_t bytes[HOLDER_BYTES];
	ssize_t sent;
	int fds[2];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i % 251);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(socket_stream_adopt(loop, fds[0], &holder->stream), 0);
	holder->peer = fds[1];
	while (holder->sent_bytes < HOLDER_BYTES &&
		(sent = send(holder->peer, bytes + holder->sent_bytes,
			 HOLDER_BYTES - holder->sent_bytes, MSG_DONTWAIT)) > 0)
		holder->sent_bytes += (size_t)sent;
	assert_true(holder->sent_bytes > SOCKET_RECEIVE_SCARCE_BYTES);
	stream_start(holder->stream, &holder_handler, holder);
}

static bool has_all(void *context)
{
	const struct holder *holder = context;

	return holder->received_bytes == holder->sent_bytes;
}

static void test_socket_stream_leaves_bytes_in_the_socket_when_many_users_are_paused(void **state)
{
	struct holder *holders = calloc(HOLDERS, sizeof(*holders));
	struct loop *loop = loop_open();
	size_t kept_bytes = 0;

	(void)state;
	assert_non_null(holders);
	for (unsigned i = 0; i < HOLDERS; i++)
		holder_open(&holders[i], loop);
	loop_run_idle(loop);
	for (unsigned i = 0; i < HOLDERS; i++)
		kept_bytes += holders[i].stream->kept_bytes;
	assert_true(kept_bytes >= SOCKET_KEPT_SHARE);
	assert_true(kept_bytes <=
		SOCKET_KEPT_SHARE + SOCKET_RECEIVE_BYTES + HOLDERS * SOCKET_RECEIVE_SCARCE_BYTES);
	assert_int_equal(loop->kept_bytes, kept_bytes);

	/* All of it comes in the end; what is kept by a stream that is freed goes with it. */
	for (unsigned i = 0; i < HOLDERS; i++) {
		holders[i].is_taking = true;
		if (i % 2 == 0) {
			stream_resume(holders[i].stream);
			loop_run_until(loop, has_all, &holders[i]);
		}
		stream_free(holders[i].stream);
		assert_int_equal(close(holders[i].peer), 0);
	}
	assert_int_equal(loop->kept_bytes, 0);
	loop_free(loop);
	free(holders);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_socket_stream_opens_when_somebody_listens),
		cmocka_unit_test(test_socket_stream_closes_when_nobody_listens),
		cmocka_unit_test(test_socket_stream_closes_with_the_error_when_it_is_reset),
		cmocka_unit_test(test_socket_stream_gives_the_last_words_when_sending_fails),
		cmocka_unit_test(test_socket_stream_leaves_the_descriptor_when_it_cannot_adopt_it),
		cmocka_unit_test(test_socket_stream_has_no_address_when_it_is_no_socket),
		cmocka_unit_test(
			test_socket_stream_leaves_bytes_in_the_socket_when_many_users_are_paused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
