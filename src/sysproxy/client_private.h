/*
 * What the files of the client share. client.c: the public calls, reconnecting. client_connect.c:
 * from a URL to a greeted connection. client_lane.c: a thread's own connection, one call at a time.
 * client_session.c: the first connection, shared by all threads. client_memory.c: what a call has
 * declared. client_fork.c: fork and exec.
 *
 * A *generation* is one session with its lanes. When the server is lost, or the program has forked, a
 * new one begins; what belongs to an old one is of no more use.
 *
 * Locks, outermost first: the client's mutex; a session's mutex; its receive_mutex; its send_mutex.
 */
#ifndef FERRY_SYSPROXY_CLIENT_PRIVATE_H
#define FERRY_SYSPROXY_CLIENT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "ferry/sysproxy.h"
#include "sysproxy/link.h"
#include "sysproxy/url.h"
#include "sysproxy/wire.h"

#define CLIENT_URL_VARIABLE "FERRY_CALLS"    /* of the environment: where the server is */
#define CLIENT_FD_VARIABLE  "FERRY_CALLS_FD" /* the connection, handed on by exec */

#define CLIENT_NAME_MAX     256          /* with NUL */
#define CLIENT_ANONMMAP_MAX (1ull << 40) /* bytes that one ANONMMAP may ask for */

struct client_session;

/* What an extended server has granted. */
struct client_grant {
	uint32_t carried_max;
	uint32_t ranges_max;
	uint32_t lanes_max;
	uint32_t calls_max; /* outstanding on the session */
	uint64_t process_id;
	struct wire_cookie lane;
	bool is_extended;
};

struct ferry_sysproxy {
	/* constant */
	struct sysproxy_url url;
	char name[CLIENT_NAME_MAX];
	uint32_t connect_timeout_ms;
	int32_t reconnect_ms;
	void (*signal)(void *context, int signal);
	void *signal_context;
	bool is_plain;
	uint64_t spin_limit_ns;
	pthread_key_t lane_key; /* each thread's struct client_lane */
	/* A page that a child made by fork() finds wiped: 1 in the process that made it. */
	uint32_t *is_own;

	_Atomic unsigned generation;
	pthread_mutex_t mutex;          /* guards what follows */
	struct client_session *session; /* NULL: the server is lost */
	struct client_grant grant;
	struct list lanes;   /* of all generations */
	unsigned lane_count; /* of this one */
	uint64_t last_lane_id;
};

/* The connection of one thread; its own but for what says otherwise. */
struct client_lane {
	struct link link;
	struct ferry_sysproxy *client;
	struct client_grant grant;
	unsigned generation;
	uint64_t id;
	uint64_t used_at_ns;
	struct list entry; /* the client's mutex */
	/* What is in progress, for cancelling: read by others with the client's mutex held. */
	_Atomic(const struct ferry_sysproxy_call *) call;
	_Atomic uint64_t number;
};

/* client_connect.c */

#define CLIENT_ERROR_MAX FERRY_SYSPROXY_ERROR_MAX

/* How a connection introduces itself. */
struct client_greeting {
	enum wire_handshake handshake;
	const struct wire_cookie *cookie; /* of WIRE_FORK */
	const char *name;                 /* of WIRE_GUEST and WIRE_EXEC */
	bool is_fork_cancelled;
	bool is_plain;
	uint32_t timeout_ms;
};

/** Connect to @url and say hello. @return 0 with a link, the caller's, and the grant; or -errno with a
 *  sentence in @ret_error. */
int client_connect(const struct sysproxy_url *url, const struct client_greeting *greeting,
	struct link *ret_link, struct client_grant *ret_grant, char ret_error[CLIENT_ERROR_MAX])
	__attribute__((warn_unused_result));

/** Connect a lane. @return 0 or -errno: -ESRCH when the server does not know the process. */
int client_connect_lane(const struct ferry_sysproxy *client, uint64_t id, struct link *ret_link)
	__attribute__((warn_unused_result));

/** The rest of an introduction on @link, whose banner is read and whose HELLO was said long ago or
 *  never: send the handshake, await the answer. What comes before the answer is passed over.
 *  @return 0 or -errno. */
int client_greet(struct link *link, const struct client_greeting *greeting,
	struct client_grant *grant) __attribute__((warn_unused_result));

/** @return the errno (negative) that an ERROR frame stands for. */
int client_error_of(uint32_t wire_error);

/* client_memory.c */

/** Check a call before it is sent: limits, and that its memory is there. OUT memory is probed as far
 *  as a reply may carry. @param is_in_checked IN memory too, which otherwise sending will find out
 *  @return 0, -EINVAL or -EFAULT. */
int client_memory_check(const struct ferry_sysproxy_call *call, const struct client_grant *grant,
	bool is_in_checked) __attribute__((warn_unused_result));

#define CLIENT_MAPPED_MAX 8 /* ANONMMAPs in the course of one call */

/* What a call in progress lets the server touch: its ranges, and what was mapped for it. */
struct client_memory_scope {
	struct ferry_sysproxy_call *call;
	unsigned mapped_count;
	struct iovec mapped[CLIENT_MAPPED_MAX];
};

/** @return the end of the memory in @scope that @address lies in and that may be used as @flag; NULL if
 *  there is none. */
const uint8_t *client_memory_end(const struct client_memory_scope *scope, uint64_t address,
	unsigned flag);

/** @return whether the memory can be written to, without changing it. */
bool client_memory_is_writable(void *address, size_t bytes);
bool client_memory_is_readable(const void *address, size_t bytes);

/* How many parts an answer to a copy request has at most. */
#define CLIENT_PARTS_MAX 3

/* An answer to a frame of the server's, built in place. */
struct client_memory_answer {
	struct wire_header header;
	struct wire_call_copy_reply reply;
	le64 address;
	struct iovec parts[CLIENT_PARTS_MAX];
	unsigned part_count; /* 0: nothing is answered */
};

/* What a copy request or ANONMMAP of the server's asks for. */
struct client_memory_copy {
	uint64_t call; /* its number; 0 on plain 0.4 */
	uint64_t address;
	uint64_t bytes;
};

/** Receive the fixed part of @frame, which is a copy request or ANONMMAP.
 *  @return 0 or -errno: the link is of no more use. */
int client_memory_take_copy(struct link *link, const struct wire_frame *frame,
	struct client_memory_copy *ret_copy) __attribute__((warn_unused_result));

/** Serve it in @scope (NULL: no call has declared what it is about; its memory is EFAULT).
 *  @return 0 with the answer to be sent before the call ends, or -errno: the link is of no more use. */
int client_memory_serve(struct link *link, const struct wire_frame *frame,
	const struct client_memory_copy *copy, struct client_memory_scope *scope,
	struct client_memory_answer *ret_answer) __attribute__((warn_unused_result));

/** Receive the response @frame of @call, its payload, and put everything in place.
 *  @return 0 or -errno: the link is of no more use. */
int client_memory_take_reply(struct link *link, const struct wire_frame *frame,
	struct ferry_sysproxy_call *call) __attribute__((warn_unused_result));

/* A call as it is sent. */
#define CLIENT_RANGES_INLINE 8

struct client_memory_request {
	uint8_t *bytes; /* header, arguments and ranges; inline_bytes or allocated */
	struct iovec *parts;
	unsigned part_count;
	uint8_t inline_bytes[WIRE_HEADER_BYTES + sizeof(struct wire_call) + 8 * WIRE_ARGUMENTS_MAX +
		CLIENT_RANGES_INLINE * sizeof(struct wire_range)];
	struct iovec inline_parts[CLIENT_RANGES_INLINE + 1];
};

/** Build the frame of @call, which has been checked. @return 0 or -ENOMEM. */
int client_memory_request_init(struct client_memory_request *request,
	const struct ferry_sysproxy_call *call, uint64_t number, const struct client_grant *grant)
	__attribute__((warn_unused_result));
void client_memory_request_deinit(struct client_memory_request *request);

/* client_lane.c */

/** @return this thread's lane, made if need be; NULL with @ret_error 0: there is none to be had, use
 *  the session; NULL with -errno: the server is lost. */
struct client_lane *client_lane_get(struct ferry_sysproxy *client, int *ret_error);

/** Make a call on it. @return as ferry_sysproxy_call(); when that is -ENOTCONN or -ECONNABORTED, and
 *  perhaps when it is -EFAULT, the lane is gone. */
int client_lane_call(struct client_lane *lane, struct ferry_sysproxy_call *call)
	__attribute__((warn_unused_result));

/** Free a lane; the client's mutex is held. */
void client_lane_free(struct client_lane *lane);

/* client_session.c */

/** @return a session over @link, whose owner it becomes, with one reference, or NULL without memory. */
struct client_session *client_session_new(struct ferry_sysproxy *client, struct link *link,
	const struct client_grant *grant);
void client_session_ref(struct client_session *session);
void client_session_unref(struct client_session *session);

/** As client_lane_call(). */
int client_session_call(struct client_session *session, struct ferry_sysproxy_call *call)
	__attribute__((warn_unused_result));

/** PREFORK. @return 0 or -errno. */
int client_session_prefork(struct client_session *session, struct wire_cookie *ret_cookie)
	__attribute__((warn_unused_result));

/** Send CANCEL, for @call if it is in progress on the session itself (@lane_id 0), or for @number of a
 *  lane. */
void client_session_cancel(struct client_session *session, uint64_t lane_id, uint64_t number);
void client_session_cancel_call(struct client_session *session,
	const struct ferry_sysproxy_call *call);

/** @return whether the server has hung up, as far as is known. */
bool client_session_is_lost(const struct client_session *session);

/** Stop using the connection between two frames: nobody sends or receives until client_session_thaw().
 *  @return its descriptor. */
int client_session_freeze(struct client_session *session);
void client_session_thaw(struct client_session *session);

/** In the child of a fork: free it without touching what threads of the parent had locked. */
void client_session_abandon(struct client_session *session);

/* client.c */

/** @return whether this process made the connection: false in a child that was not made by
 *  ferry_sysproxy_fork(), whose copy of it must not be used. */
static inline bool client_is_own(const struct ferry_sysproxy *client)
{
	return *client->is_own != 0;
}

/** The signal @signal was raised by the server. */
void client_raise(const struct ferry_sysproxy *client, int signal);

/** Connect and begin a generation; the client's mutex is held, or nobody else knows the client.
 *  @param greeting the handshake, its cookie. @return 0 or -errno with a sentence. */
int client_begin(struct ferry_sysproxy *client, const struct client_greeting *greeting,
	char ret_error[CLIENT_ERROR_MAX]) __attribute__((warn_unused_result));

/** Begin a generation with a session over @link, which is used up. @return 0 or -ENOMEM. */
int client_adopt(struct ferry_sysproxy *client, struct link *link, const struct client_grant *grant)
	__attribute__((warn_unused_result));

/* client_fork.c */

/** Go on with the connection of the program that executed this one, if there was one.
 *  @return whether; then @ret_error is 0 or -errno with a sentence. */
bool client_inherit(struct ferry_sysproxy *client, int *ret_error, char ret_text[CLIENT_ERROR_MAX]);

#endif
