/*
 * A client made of nothing but a socket: frames in, frames out, legal or not. Every wait has an end: a
 * test that waits for what does not come fails.
 */
#ifndef FERRY_TEST_SYSPROXY_RAW_PEER_H
#define FERRY_TEST_SYSPROXY_RAW_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sysproxy/wire.h"

#define RAW_PAYLOAD_MAX (WIRE_FRAME_MAX - WIRE_HEADER_BYTES)

struct raw_peer {
	int fd;
	char banner[WIRE_BANNER_MAX + 1];
	struct wire_frame frame; /* received last */
	uint8_t *payload;        /* of it; RAW_PAYLOAD_MAX bytes */
	size_t payload_bytes;
};

/** Connect to the URL of a server, unix:// or tcp://, and read the banner. */
void raw_peer_connect(struct raw_peer *peer, const char *url);

/** Adopt the connected socket @fd, and read the banner. */
void raw_peer_adopt(struct raw_peer *peer, int fd);

/** Close the socket, if that has not been done, and free the memory. */
void raw_peer_end(struct raw_peer *peer);

/** Close the socket. */
void raw_peer_close(struct raw_peer *peer);

/** Send bytes as they are. @return whether they went. */
bool raw_peer_send_bytes(struct raw_peer *peer, const void *bytes, size_t count);

/** Send a frame. */
void raw_peer_send(struct raw_peer *peer, const struct wire_frame *frame, const void *payload,
	size_t payload_bytes);

/** Send a frame of a request. */
void raw_peer_request(struct raw_peer *peer, uint16_t type, uint64_t number, uint32_t aux);

/** Receive a frame. @return false at the end of the connection. */
bool raw_peer_receive(struct raw_peer *peer);

/** Receive a frame of that class, type and number; fails the test if another comes. */
void raw_peer_expect(struct raw_peer *peer, uint16_t class, uint16_t type, uint64_t number);

/** Receive an error @code for request @number. */
void raw_peer_expect_error(struct raw_peer *peer, uint64_t number, uint32_t code);

/** Receive nothing but the end. */
void raw_peer_expect_end(struct raw_peer *peer);

/* Conversations */

/** HELLO and its answer. */
struct wire_hello raw_peer_hello(struct raw_peer *peer);

/** GUEST and its answer; with HELLO before it, the answer tells more. */
void raw_peer_guest(struct raw_peer *peer, const char *name);
struct wire_session_reply raw_peer_session(struct raw_peer *peer, const char *name);

/** HELLO, LANE and its answer. */
void raw_peer_lane(struct raw_peer *peer, const struct wire_cookie *cookie, uint64_t id);

/* A call of the extension, in the making. */
struct raw_call {
	uint32_t wanted;
	uint64_t number;
	unsigned argument_count, range_count;
	uint64_t arguments[WIRE_ARGUMENTS_MAX];
	struct wire_range ranges[16];
	const void *carried[16];
};

struct raw_call raw_call_of(uint32_t wanted, uint64_t number, uint64_t first, uint64_t second);

/** Declare memory. @param carried NULL, or its first @carried_bytes bytes */
void raw_call_range(struct raw_call *call, const struct wire_range *range, const void *carried);
struct wire_range raw_range(uint64_t address, uint64_t bytes, uint32_t flags, uint32_t carried);

void raw_peer_send_call(struct raw_peer *peer, const struct raw_call *call);

/** Receive the reply to call @number. @return its errno; @ret_view lies in the peer until the next. */
uint32_t raw_peer_reply(struct raw_peer *peer, uint64_t number, struct wire_reply_view *ret_view);

/** A call of up to two arguments without memory. @return errno. */
uint32_t raw_peer_call(struct raw_peer *peer, uint32_t wanted, uint64_t first, uint64_t second,
	uint64_t ret_values[2]);

/** The same with SYSCALL of 0.4. */
void raw_peer_send_syscall(struct raw_peer *peer, uint32_t wanted, uint64_t number, uint64_t first,
	uint64_t second);
uint32_t raw_peer_syscall_reply(struct raw_peer *peer, uint64_t number, uint64_t ret_values[2]);

/** Announce a child. @return its cookie. */
struct wire_cookie raw_peer_prefork(struct raw_peer *peer);

/** Be that child, request 60, or say that there will be none. */
void raw_peer_send_fork(struct raw_peer *peer, const struct wire_cookie *cookie,
	uint32_t is_cancelled);

/** Receive a copy request of 0.4. */
struct wire_copy raw_peer_expect_copy(struct raw_peer *peer, uint16_t type);

/** Answer the copy that came last, as stock clients do: as if to a COPYIN. */
void raw_peer_answer_copy(struct raw_peer *peer, const void *data, size_t bytes);

#endif
