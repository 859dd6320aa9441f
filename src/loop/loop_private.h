/*
 * What the parts of the loop layer know of each other.
 */
#ifndef FERRY_LOOP_LOOP_PRIVATE_H
#define FERRY_LOOP_LOOP_PRIVATE_H

#include <stdatomic.h>
#include <sys/epoll.h>

#include "loop/file_private.h"
#include "loop/inbox.h"
#include "loop/loop.h"
#include "loop/spin.h"
#include "loop/timer.h"

#define LOOP_EVENTS_MAX 64 /* fetched by one turn; the rest comes in the next */

struct loop {
	struct clock *clock;
	uint64_t now_ns; /* in a turn: when it woke up */
	enum loop_files files_wanted;
	bool is_simulated;
	bool is_spinning_off;
	bool is_begun; /* its first turn has been taken */
	bool is_in_turn;

	struct pool *pool;
	struct timer trim_timer; /* armed while the pool has something to trim */
	uint64_t trim_mark;      /* pool_trim_mark() when it was armed */

	int epoll_fd; /* -1 when simulated, as wake.fd */
	struct loop_watch wake;
	int event_count, event_index;
	struct epoll_event events[LOOP_EVENTS_MAX];

	struct list again, deferred; /* of struct loop_task */
	struct timer *timers;        /* a pairing heap, the earliest at its root */
	uint64_t timer_order;
	struct files files;

	struct inbox inbox;
	atomic_bool is_stopping;

	struct spin spin;
	bool is_wake_latency_measured;
	struct loop_watch *active; /* the one with poll() that was active last, alone; or NULL */
	unsigned polls_left;       /* of it, before epoll is asked again */

	void *receive_buffer; /* of all socket streams, made by the first of them, freed here */
	size_t kept_bytes;    /* received, and kept by its streams for paused users (stream.c) */
};

/** Wait as step 2 says: fetch events into loop->events. @return 0 or -errno. */
int loop_wait(struct loop *loop, int timeout_ms) __attribute__((warn_unused_result));

/** As loop_wait() with a simulated clock. */
void loop_wait_simulated(struct loop *loop, int timeout_ms);

/** @return whether there is something to do without asking epoll. */
bool loop_has_work(const struct loop *loop);

/** Have everything that happens from now on make the epoll descriptor readable. @return false if
 *  something has happened already. */
bool loop_fall_asleep(struct loop *loop);

/** @return @timeout_ms (-1: none) bounded by the next deadline, rounded up. */
int loop_sleep_ms(const struct loop *loop, uint64_t now_ns, int timeout_ms);

/** The trim timer of a loop fires. */
void loop_trim(struct timer *timer);

/** @return the deadline of the earliest timer, UINT64_MAX if none is armed. */
uint64_t timer_next_deadline_ns(const struct loop *loop);

/** Fire the timers that were due when the turn woke up, and not those armed meanwhile. */
void timer_fire_due(struct loop *loop);

#endif
