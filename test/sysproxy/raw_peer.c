/*
 * Blocking calls with a time-out, so that a test that fails ends.
 */
#include "test/sysproxy/raw_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "sysproxy/banner.h"
#include "sysproxy/url.h"

#define PATIENCE_S 60

/* @return whether all came; false at the end before the first byte. */
static bool receive_all(struct raw_peer *peer, void *to, size_t bytes)
{
	size_t got_bytes = 0;

	while (got_bytes < bytes) {
		ssize_t got = recv(peer->fd, (uint8_t *)to + got_bytes, bytes - got_bytes, 0);

		if (got <= 0) {
			/* Not a time-out. */
			assert_true(got == 0 || errno == ECONNRESET || errno == EPIPE);
			return false;
		}
		got_bytes += (size_t)got;
	}
	return true;
}

static void receive_banner(struct raw_peer *peer)
{
	size_t bytes = 0;
	struct banner banner;

	do {
		assert_true(bytes < WIRE_BANNER_MAX);
		assert_true(receive_all(peer, peer->banner + bytes, 1));
	} while (peer->banner[bytes++] != '\n');
	peer->banner[bytes] = '\0';
	assert_int_equal(banner_parse(peer->banner, bytes, &banner), 0);
}

void raw_peer_adopt(struct raw_peer *peer, int fd)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};

	*peer = (struct raw_peer){.fd = fd, .payload = malloc(RAW_PAYLOAD_MAX)};
	assert_non_null(peer->payload);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
	receive_banner(peer);
}

void raw_peer_connect(struct raw_peer *peer, const char *url)
{
	struct sysproxy_url parsed;
	const char *problem;
	const struct sockaddr *address;
	int fd;

	assert_int_equal(sysproxy_url_parse(url, &parsed, &problem), 0);
	address = (const struct sockaddr *)&parsed.addresses[0].storage;
	fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, address, parsed.addresses[0].bytes), 0);
	raw_peer_adopt(peer, fd);
}

void raw_peer_close(struct raw_peer *peer)
{
	assert_int_equal(close(peer->fd), 0);
	peer->fd = -1;
}

void raw_peer_end(struct raw_peer *peer)
{
	if (peer->fd >= 0)
		raw_peer_close(peer);
	free(peer->payload);
	peer->payload = NULL;
}

bool raw_peer_send_bytes(struct raw_peer *peer, const void *bytes, size_t count)
{
	size_t sent_bytes = 0;

	while (sent_bytes < count) {
		ssize_t sent = send(peer->fd, (const uint8_t *)bytes + sent_bytes,
			count - sent_bytes, MSG_NOSIGNAL);

		if (sent < 0)
			return false;
		sent_bytes += (size_t)sent;
	}
	return true;
}

void raw_peer_send(struct raw_peer *peer, const struct wire_frame *frame, const void *payload,
	size_t payload_bytes)
{
	uint8_t *bytes = malloc(WIRE_HEADER_BYTES + payload_bytes);

	assert_non_null(bytes);
	wire_header_put((struct wire_header *)bytes, frame, payload_bytes);
	if (payload_bytes > 0)
		memcpy(bytes + WIRE_HEADER_BYTES, payload, payload_bytes);
	/* At once: whoever dislikes the header may hang up before it has seen the rest. */
	assert_true(raw_peer_send_bytes(peer, bytes, WIRE_HEADER_BYTES + payload_bytes));
	free(bytes);
}

void raw_peer_request(struct raw_peer *peer, uint16_t type, uint64_t number, uint32_t aux)
{
	const struct wire_frame frame = {.number = number, .type = type, .aux = aux};

	raw_peer_send(peer, &frame, NULL, 0);
}

bool raw_peer_receive(struct raw_peer *peer)
{
	struct wire_header header;

	if (!receive_all(peer, &header, sizeof(header)))
		return false;
	peer->frame = wire_frame_of(&header);
	assert_true(peer->frame.bytes >= WIRE_HEADER_BYTES);
	assert_true(peer->frame.bytes <= WIRE_FRAME_MAX);
	peer->payload_bytes = (size_t)peer->frame.bytes - WIRE_HEADER_BYTES;
	return receive_all(peer, peer->payload, peer->payload_bytes);
}

void raw_peer_expect(struct raw_peer *peer, uint16_t class, uint16_t type, uint64_t number)
{
	assert_true(raw_peer_receive(peer));
	assert_int_equal(peer->frame.class, class);
	assert_int_equal(peer->frame.type, type);
	assert_int_equal(peer->frame.number, number);
	assert_int_equal(wire_check_from_server(&peer->frame, true), 0);
}

void raw_peer_expect_error(struct raw_peer *peer, uint64_t number, uint32_t code)
{
	raw_peer_expect(peer, WIRE_ERROR, 0, number);
	assert_int_equal(peer->frame.aux, code);
	assert_int_equal(peer->payload_bytes, 0);
}

void raw_peer_expect_end(struct raw_peer *peer)
{
	assert_false(raw_peer_receive(peer));
}

/* Conversations */

struct wire_hello raw_peer_hello(struct raw_peer *peer)
{
	const struct wire_frame frame = {.number = 900, .type = WIRE_HELLO};
	struct wire_hello hello = {
		.version = le32_of(WIRE_VERSION),
		.carried_max = le32_of(WIRE_CARRIED_MAX),
		.ranges_max = le32_of(WIRE_RANGES_MAX),
	};

	banner_machine(hello.machine);
	raw_peer_send(peer, &frame, &hello, sizeof(hello));
	raw_peer_expect(peer, WIRE_RESPONSE, WIRE_HELLO, 900);
	assert_int_equal(peer->payload_bytes, sizeof(hello));
	memcpy(&hello, peer->payload, sizeof(hello));
	return hello;
}

static void send_guest(struct raw_peer *peer, const char *name)
{
	const struct wire_frame frame = {.number = 901, .type = WIRE_HANDSHAKE, .aux = WIRE_GUEST};

	raw_peer_send(peer, &frame, name, strlen(name) + 1);
	raw_peer_expect(peer, WIRE_RESPONSE, WIRE_HANDSHAKE, 901);
}

void raw_peer_guest(struct raw_peer *peer, const char *name)
{
	static const uint8_t zero[sizeof(struct wire_handshake_reply)];

	send_guest(peer, name);
	assert_int_equal(peer->payload_bytes, sizeof(zero));
	assert_memory_equal(peer->payload, zero, sizeof(zero));
}

struct wire_session_reply raw_peer_session(struct raw_peer *peer, const char *name)
{
	struct wire_session_reply reply;

	(void)raw_peer_hello(peer);
	send_guest(peer, name);
	assert_int_equal(peer->payload_bytes, sizeof(reply));
	memcpy(&reply, peer->payload, sizeof(reply));
	assert_int_equal(le32_get(reply.error), 0);
	assert_int_equal(le32_get(reply.zero), 0);
	return reply;
}

void raw_peer_lane(struct raw_peer *peer, const struct wire_cookie *cookie, uint64_t id)
{
	const struct wire_frame frame = {.number = 902, .type = WIRE_LANE};
	struct wire_lane lane = {.lane = *cookie, .id = le64_of(id)};
	static const uint8_t zero[sizeof(struct wire_handshake_reply)];

	(void)raw_peer_hello(peer);
	raw_peer_send(peer, &frame, &lane, sizeof(lane));
	raw_peer_expect(peer, WIRE_RESPONSE, WIRE_LANE, 902);
	assert_int_equal(peer->payload_bytes, sizeof(zero));
	assert_memory_equal(peer->payload, zero, sizeof(zero));
}

struct raw_call raw_call_of(uint32_t wanted, uint64_t number, uint64_t first, uint64_t second)
{
	return (struct raw_call){
		.wanted = wanted,
		.number = number,
		.argument_count = 2,
		.arguments = {first, second},
	};
}

struct wire_range raw_range(uint64_t address, uint64_t bytes, uint32_t flags, uint32_t carried)
{
	return (struct wire_range){
		.address = le64_of(address),
		.bytes = le64_of(bytes),
		.flags = le32_of(flags),
		.carried_bytes = le32_of(carried),
	};
}

void raw_call_range(struct raw_call *call, const struct wire_range *range, const void *carried)
{
	assert_true(call->range_count < 16);
	call->ranges[call->range_count] = *range;
	call->carried[call->range_count++] = carried;
}

void raw_peer_send_call(struct raw_peer *peer, const struct raw_call *call)
{
	const struct wire_frame frame = {
		.number = call->number,
		.type = WIRE_CALL,
		.aux = call->wanted,
	};
	struct wire_call head = {
		.argument_count = le16_of((uint16_t)call->argument_count),
		.range_count = le16_of((uint16_t)call->range_count),
	};
	uint8_t *bytes = malloc(RAW_PAYLOAD_MAX);
	size_t count = sizeof(head);

	assert_non_null(bytes);
	memcpy(bytes, &head, sizeof(head));
	for (unsigned i = 0; i < call->argument_count; i++, count += sizeof(le64)) {
		le64 argument = le64_of(call->arguments[i]);

		memcpy(bytes + count, &argument, sizeof(argument));
	}
	memcpy(bytes + count, call->ranges, call->range_count * sizeof(call->ranges[0]));
	count += call->range_count * sizeof(call->ranges[0]);
	for (unsigned i = 0; i < call->range_count; i++) {
		size_t carried_bytes = le32_get(call->ranges[i].carried_bytes);

		if (carried_bytes > 0)
			memcpy(bytes + count, call->carried[i], carried_bytes);
		count += carried_bytes;
	}
	raw_peer_send(peer, &frame, bytes, count);
	free(bytes);
}

uint32_t raw_peer_reply(struct raw_peer *peer, uint64_t number, struct wire_reply_view *ret_view)
{
	raw_peer_expect(peer, WIRE_RESPONSE, WIRE_CALL, number);
	assert_int_equal(peer->frame.aux, 0);
	assert_int_equal(wire_reply_parse(peer->payload, peer->payload_bytes, ret_view), 0);
	return ret_view->error;
}

uint32_t raw_peer_call(struct raw_peer *peer, uint32_t wanted, uint64_t first, uint64_t second,
	uint64_t ret_values[2])
{
	struct raw_call call = raw_call_of(wanted, 77, first, second);
	struct wire_reply_view view;
	uint32_t error;

	raw_peer_send_call(peer, &call);
	error = raw_peer_reply(peer, 77, &view);
	if (ret_values != NULL)
		memcpy(ret_values, view.values, sizeof(view.values));
	return error;
}

void raw_peer_send_syscall(struct raw_peer *peer, uint32_t wanted, uint64_t number, uint64_t first,
	uint64_t second)
{
	const struct wire_frame frame = {.number = number, .type = WIRE_SYSCALL, .aux = wanted};
	const le64 arguments[2] = {le64_of(first), le64_of(second)};

	raw_peer_send(peer, &frame, arguments, sizeof(arguments));
}

uint32_t raw_peer_syscall_reply(struct raw_peer *peer, uint64_t number, uint64_t ret_values[2])
{
	struct wire_syscall_reply reply;

	raw_peer_expect(peer, WIRE_RESPONSE, WIRE_SYSCALL, number);
	assert_int_equal(peer->payload_bytes, sizeof(reply));
	memcpy(&reply, peer->payload, sizeof(reply));
	assert_int_equal(le32_get(reply.zero), 0);
	if (ret_values != NULL) {
		ret_values[0] = le64_get(reply.values[0]);
		ret_values[1] = le64_get(reply.values[1]);
	}
	return le32_get(reply.error);
}

struct wire_copy raw_peer_expect_copy(struct raw_peer *peer, uint16_t type)
{
	struct wire_copy copy;

	assert_true(raw_peer_receive(peer));
	assert_int_equal(peer->frame.class, WIRE_REQUEST);
	assert_int_equal(peer->frame.type, type);
	assert_int_equal(wire_check_from_server(&peer->frame, false), 0);
	memcpy(&copy, peer->payload, sizeof(copy));
	return copy;
}

void raw_peer_answer_copy(struct raw_peer *peer, const void *data, size_t bytes)
{
	const struct wire_frame frame = {
		.number = peer->frame.number,
		.class = WIRE_RESPONSE,
		.type = WIRE_COPYIN,
	};

	raw_peer_send(peer, &frame, data, bytes);
}

struct wire_cookie raw_peer_prefork(struct raw_peer *peer)
{
	struct wire_cookie cookie;

	raw_peer_request(peer, WIRE_PREFORK, 50, 0);
	raw_peer_expect(peer, WIRE_RESPONSE, WIRE_PREFORK, 50);
	assert_int_equal(peer->payload_bytes, sizeof(cookie));
	memcpy(&cookie, peer->payload, sizeof(cookie));
	return cookie;
}

void raw_peer_send_fork(struct raw_peer *peer, const struct wire_cookie *cookie,
	uint32_t is_cancelled)
{
	const struct wire_frame frame = {.number = 60, .aux = WIRE_FORK};
	const struct wire_fork fork = {.cookie = *cookie, .is_cancelled = le32_of(is_cancelled)};

	raw_peer_send(peer, &frame, &fork, sizeof(fork));
}
