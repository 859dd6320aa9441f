/*
 * A guest: a client process as the broker knows it, and the worker that acts for it. The broker has the
 * worker's channel, and by it all that it knows.
 *
 * What a worker says is not believed further than it concerns the guest itself: text is shown as text
 * and not too often, counts are shown, a cookie names nobody else. A worker that breaks the channel's
 * rules is cut off.
 */
#ifndef FERRY_KERNEL_GUEST_H
#define FERRY_KERNEL_GUEST_H

#include "kernel/broker_private.h"
#include "sysproxy/handover.h"

#define GUEST_LINES_MAX    10u /* of a worker's log, in a second */
#define GUEST_MESSAGES_MAX 64u /* taken from a worker in one turn */

enum guest_state {
	GUEST_WAITING, /* for its worker, which the spawner forks; its session is kept here */
	GUEST_PARKED,  /* it was forked; its client has not come */
	GUEST_RUNNING, /* its worker has its session */
	GUEST_ENDING,  /* it has been told to end, or has begun to: nothing more goes to it */
	GUEST_GONE,    /* to be freed */
};

struct guest {
	struct list link; /* in the broker's */
	struct broker *broker;
	enum guest_state state;
	uint64_t id;
	char name[HANDOVER_NAME_MAX];
	struct loop_watch watch;    /* of its channel */
	struct loop_task read_more; /* there may be more messages */
	struct timer timer;         /* PARKED: until it is given up; ENDING: until it is killed */

	/* of one that the spawner forks */
	bool is_spawned;
	bool is_asked_for; /* the spawner knows of it */
	bool has_ended;    /* the spawner has reaped it */
	int32_t status;
	int worker_channel; /* the worker's end, until the spawner has it */
	int session;        /* WAITING: the connection */
	struct handover handover;
	struct ferry_sysproxy_server *router; /* by which it came */

	struct wire_cookie cookie; /* PARKED: of the fork; RUNNING: of its lanes, if it has one */
	bool has_cookie;
	struct guest *parent; /* of one that is PARKED */
	struct list children; /* PARKED ones */
	unsigned child_count;
	struct list sibling;

	bool has_counts;
	struct channel_counts counts;
	uint64_t lines_since_ns; /* the second in which lines are counted */
	unsigned line_count, left_out_count;
};

/** Begin a guest for a client that has come: its worker is asked for.
 *  @param session taken if 0 is returned; @param router by which it came
 *  @return 0 or -errno. */
int guest_new(struct broker *broker, struct ferry_sysproxy_server *router, int session,
	const struct handover *handover) __attribute__((warn_unused_result));

/** Ask the spawner for its worker. @return 0, or -errno: -EAGAIN: there is no room now. */
int guest_ask(struct guest *guest) __attribute__((warn_unused_result));

/** The spawner has forked its worker, or has failed to. */
void guest_spawned(struct guest *guest, int error);

/** The spawner says that its worker has gone. */
void guest_ended(struct guest *guest, int32_t status);

/** Give the worker a connection. @param fd taken if 0 is returned
 *  @return 0 or -errno. */
int guest_adopt(struct guest *guest, int fd, const struct handover *handover)
	__attribute__((warn_unused_result));

/** Take what the worker has said, all of it if @is_all. */
void guest_read(struct guest *guest, bool is_all);

/** End it: in order, since its client has gone or is not wanted. It may be GONE afterwards. */
void guest_end(struct guest *guest);

/** Free one that is GONE, or whose process has been killed. */
void guest_free(struct guest *guest);

#endif
