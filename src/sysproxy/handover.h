/*
 * Handover: connections that one server greets and another serves.
 *
 * A *router* listens, authenticates and greets; it has no kernel. As soon as a connection has said what
 * it is to be, the router gives the descriptor and a struct handover to its owner. An *adopter* has a
 * kernel but no listener: it is given such connections, perhaps in another process, and goes on as if
 * it had greeted them. Not a byte is lost in between, since a greeting reads frames exactly.
 *
 * An adopter may fork *elsewhere*: instead of a second process of the same server, its owner makes one
 * by fork(2) or otherwise, in which an adopter of its own waits for the connection. Who connects to
 * which adopter is told by cookies: the owner of the router keeps those that adopters have told it, and
 * compares them with cookie_is_equal(). An adopter tells each cookie before a client can know it.
 *
 * Both run on a loop of their owner, and all functions here are called on its thread. A client sees no
 * difference: frames and errors are those of one server.
 */
#ifndef FERRY_SYSPROXY_HANDOVER_H
#define FERRY_SYSPROXY_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "ferry/sysproxy.h"
#include "loop/loop.h"
#include "sysproxy/wire.h"

struct ferry_kernel;

#define HANDOVER_NAME_MAX 256u /* bytes with NUL; a longer name is cut */

/* What a connection has asked to be. */
enum handover_kind {
	HANDOVER_GUEST, /* the session of a new process */
	HANDOVER_FORK,  /* the session of the process that a fork has made: that of the cookie */
	HANDOVER_LANE,  /* a lane of the process of the cookie */
};

/* A greeted connection, beside its descriptor. It has neither pointers nor holes that matter, so that
 * it can go to another process as it is; handover_check() is for what comes from there. */
struct handover {
	uint64_t number; /* of the request, which is to be answered */
	uint64_t lane_id;
	uint32_t kind;         /* enum handover_kind */
	uint32_t is_extended;  /* 1: it has said HELLO; else 0 */
	uint32_t carried_max;  /* bytes, at most WIRE_CARRIED_MAX */
	uint32_t is_cancelled; /* 1: of a FORK, whose child is not to be; else 0 */
	struct wire_cookie cookie;
	char name[HANDOVER_NAME_MAX]; /* of a guest */
};

/** @return whether every field is within its bounds and the name has a NUL. */
bool handover_check(const struct handover *handover) __attribute__((warn_unused_result));

/* ---- the router ---- */

struct handover_router {
	struct loop *loop;
	/** Take a connection, with @fd. If it cannot be placed after all see handover_refuse().
	 *  @return WIRE_ERROR_NONE; or with which error to refuse it and, in *ret_why, a constant
	 *  sentence for the log: @fd is not taken then. */
	enum wire_error (*route)(void *context, int fd, const struct handover *handover,
		const char **ret_why);
	void *context;
};

/** Listen at @url, as ferry_sysproxy_server_open() does, and greet. Closed by
 *  ferry_sysproxy_server_close(), on the loop's thread and at any time: connections that have not been
 *  routed are hung up.
 *  @param router copied
 *  @param options their limits are told to clients and must be those of the adopters
 *  @return 0 or -errno with a sentence */
int handover_open_router(const char *url, const struct handover_router *router,
	const struct ferry_sysproxy_server_options *options,
	struct ferry_sysproxy_server **ret_server, char ret_error[FERRY_SYSPROXY_ERROR_MAX])
	__attribute__((warn_unused_result));

/* ---- the adopter ---- */

struct handover_adopter {
	struct loop *loop;
	/** Make a copy of this process elsewhere: an adopter that waits for a HANDOVER_FORK with
	 *  @cookie; whoever routes knows of it when this returns. Called by the server's steward, a
	 *  thread that waits for nobody else; it may fork(2), and then never returns in the child, which
	 *  makes a loop and an adopter of its own. @name is the program's.
	 *  @return 0; -ENOMEM or another -errno, with which the fork fails.
	 *  NULL: the kernel forks, in this server. */
	int (*fork)(void *context, const struct wire_cookie *cookie, const char *name);
	/** From now on lanes of the process @process_id, and of it alone, come by @cookie; told before
	 *  its client knows. May be NULL. */
	void (*named)(void *context, uint64_t process_id, const struct wire_cookie *cookie);
	/** The last process has ended, and no connection is left. Not called while the server closes.
	 *  May be NULL. */
	void (*ended)(void *context);
	void *context;
};

/** Make a server that serves what it is given. Closed by ferry_sysproxy_server_close() on the loop's
 *  thread, but not within a turn.
 *  @param adopter, kernel copied
 *  @return 0 or -errno with a sentence */
int handover_open_adopter(const struct ferry_kernel *kernel, const struct handover_adopter *adopter,
	const struct ferry_sysproxy_server_options *options,
	struct ferry_sysproxy_server **ret_server, char ret_error[FERRY_SYSPROXY_ERROR_MAX])
	__attribute__((warn_unused_result));

/** Serve a connection that was greeted elsewhere. A HANDOVER_FORK begins a process at once if forks
 *  are made elsewhere: the caller has compared the cookie. A refusal is told to the client.
 *  @param fd taken
 *  @param handover of which handover_check() is true */
void handover_adopt(struct ferry_sysproxy_server *server, int fd, const struct handover *handover);

/* ---- either ---- */

/** Refuse a connection that was greeted, as the server would: it is told @code and has a moment to read
 *  it. @param fd taken; @param why for the log */
void handover_refuse(struct ferry_sysproxy_server *server, int fd, const struct handover *handover,
	enum wire_error code, const char *why);

#endif
