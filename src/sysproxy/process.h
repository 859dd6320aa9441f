/*
 * A client process, from the handshake that begins it until the kernel has ended it. It owns its
 * session, its lanes and the children that it has announced.
 *
 * It ends in one order: no call begins any more and those in progress are cancelled until they have
 * ended; lanes are gone; the kernel's process exits; the memory is freed.
 */
#ifndef FERRY_SYSPROXY_PROCESS_H
#define FERRY_SYSPROXY_PROCESS_H

#include "loop/timer.h"
#include "sysproxy/server.h"
#include "sysproxy/signals.h"

#define PROCESS_NAME_MAX      256u /* bytes with NUL; a longer one is cut */
#define PROCESS_CHILDREN_MAX  256u /* that one has announced and that have not connected */
#define PROCESS_CANCEL_MIN_MS 1u   /* between two times that a call is cancelled, at first... */
#define PROCESS_CANCEL_MAX_MS 100u /* ...and after a while */

struct greeting;
struct session;

enum process_state {
	PROCESS_BEGINNING, /* the steward has the kernel make it */
	PROCESS_PARKED,    /* a fork has made it; its program has not connected */
	PROCESS_RUNNING,   /* it has a session */
	PROCESS_EXECING,   /* calls and lanes are ending; then the kernel is told of the exec */
	PROCESS_DYING,     /* calls and lanes are ending; then the kernel's process exits */
	PROCESS_EXITING,   /* the steward has the kernel end it */
	PROCESS_ENDED,     /* the kernel has; its client may still be reading why */
};

/* Something the steward does for a process. */
struct process_job {
	struct worker_job job;
	struct loop_message message;
	void (*done)(struct ferry_process *process); /* on the loop */
	bool is_running;
	int error;
};

struct ferry_process {
	struct ferry_sysproxy_server *server;
	struct list link; /* in the server's */
	enum process_state state;
	void *data; /* the kernel's pointer, if it has_data */
	bool has_data;
	uint64_t id;
	char name[PROCESS_NAME_MAX];
	struct process_job job;
	struct greeting *greeting; /* of the connection that began it and waits for it */

	struct session *session; /* NULL: not yet */
	bool is_extended;
	size_t carried_max; /* bytes, of a call and of its reply */
	struct list lanes;  /* of struct lane */
	unsigned lane_count;
	struct wire_cookie lane_cookie;

	struct ferry_process *parent; /* of one that is parked, or about to be */
	struct list children;         /* those */
	unsigned child_count;
	struct list sibling;    /* in the parent's */
	unsigned forks_running; /* children that the steward is making, here or elsewhere */
	struct wire_cookie fork_cookie;
	uint64_t fork_number; /* of the request that is to be answered with it */
	struct timer prefork_timer;

	uint64_t exec_number;
	struct timer cancel_timer;
	unsigned cancel_delay_ms;
	struct loop_task free; /* of one that the kernel does not know */
	struct signals signals;
	struct loop_message signals_message;
};

/** Begin a process for a new program. What has become of it is told to @greeting.
 *  @return 0; -ENFILE: the server is full; or -ENOMEM. */
int process_begin(struct ferry_sysproxy_server *server, struct greeting *greeting, const char *name,
	struct ferry_process **ret_process) __attribute__((warn_unused_result));

/** The greeting of a process that begins has gone. */
void process_forget_greeting(struct ferry_process *process);

/** Begin a copy of @parent; its session answers request @number with the cookie.
 *  @return as process_begin(); -ENFILE also when @parent has announced too many already. */
int process_fork(struct ferry_process *parent, uint64_t number) __attribute__((warn_unused_result));

/** Give @process, which is beginning or parked, the session that it runs by. */
void process_run(struct ferry_process *process, struct session *session);

/** Become another program: end all calls and lanes, tell the kernel, and have the session answer
 *  request @number. */
void process_exec(struct ferry_process *process, const char *name, uint64_t number);

/** Begin the end. Nothing happens to one that is ending. @param why a sentence for the log, or NULL */
void process_die(struct ferry_process *process, const char *why);

/** Calls have to be cancelled again after a while. */
void process_cancel_later(struct ferry_process *process);

/** A call, a lane or the session has ended: go on with what waits for that. */
void process_settle(struct ferry_process *process);

/** Make a new secret name for WIRE_LANE. */
void process_renew_cookie(struct ferry_process *process);

#endif
