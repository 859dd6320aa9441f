/*
 * Streams over TCP and unix sockets. Receiving goes to the stream's direct place and to a buffer of
 * SOCKET_RECEIVE_BYTES that all streams of a loop share, until a read comes back short, at most that
 * much in a turn; sending is one sendmsg a turn, carried on when the socket has room.
 */
#ifndef FERRY_LOOP_SOCKET_STREAM_H
#define FERRY_LOOP_SOCKET_STREAM_H

#include <sys/socket.h>

struct loop;
struct stream;

#define SOCKET_RECEIVE_BYTES (256u << 10)

/* What paused users leave untaken is memory that peers fill. When the streams of a loop keep
 * SOCKET_KEPT_SHARE of it, each receives only SOCKET_RECEIVE_SCARCE_BYTES at a time to be taken or
 * kept: the rest stays in the socket. What goes to a direct place does not count. */
#define SOCKET_KEPT_SHARE           (4u << 20)
#define SOCKET_RECEIVE_SCARCE_BYTES (16u << 10)

/** Make a stream of a connected socket (TCP: TCP_NODELAY is set). Takes @fd on success only.
 *  @return 0 and the stream, to be started and freed by the caller, or -errno. */
int socket_stream_adopt(struct loop *loop, int fd, struct stream **ret_stream)
	__attribute__((warn_unused_result));

/** Begin to connect to @address (AF_INET, AF_INET6 or AF_UNIX); opened() or closed() tells the end.
 *  A refusal, even one known at once, is closed()'s to tell (EAGAIN: a unix listener's queue is full).
 *  @return 0 and the stream, or -errno. */
int socket_stream_connect(struct loop *loop, const struct sockaddr *address,
	socklen_t address_bytes, struct stream **ret_stream) __attribute__((warn_unused_result));

/** For a TCP stream: notice a dead peer after about @timeout_ms even when idle (keepalive probes and
 *  TCP_USER_TIMEOUT). Other streams: nothing. */
void socket_stream_detect_death(struct stream *stream, unsigned timeout_ms);

/** The local address of the stream's socket. @return 0 or -errno (-ENOTSOCK: not a socket). */
int socket_stream_local_address(const struct stream *stream, struct sockaddr_storage *ret_address)
	__attribute__((warn_unused_result));

#endif
