/*
 * A loop: one thread's engine. Sockets are nonblocking and watched by edge-triggered epoll; files
 * are served by an io_uring or by I/O threads (file.h); timers exist only while a deadline does.
 * Before it sleeps a loop spins for a while if spinning has paid lately (spin.h). Idle it uses no
 * CPU at all.
 *
 * One turn, in this order:
 *   1. tasks left over for this turn (loop_again)
 *   2. descriptors that epoll reported: each watch's ready()
 *   3. completed file operations
 *   4. messages from other threads
 *   5. timers that are due
 *   6. deferred tasks (loop_defer), until none is left: streams send here, once a turn
 *   7. file operations that the turn made are submitted together
 * It sleeps in 2 unless 1 ran a task, or 4 or 6 left something to do.
 *
 * Everything here but loop_post() and loop_stop() belongs to the loop's own thread: the one that
 * calls loop_turn() or loop_run(). A loop is made by any thread; its io_uring is made by the first
 * turn, since it belongs to the thread that enables it.
 *
 * With a simulated clock (clock.h) a loop never sleeps and opens no descriptor: when nothing is to
 * be done it advances the clock to the next timer (at most by the turn's timeout). Memory streams
 * and timers work as ever, file operations are executed in step 7 and done in the next turn; a test
 * that is driven by a seed gives the same run each time.
 */
#ifndef FERRY_LOOP_LOOP_H
#define FERRY_LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct clock;
struct pool;

struct loop;

enum loop_files {
	LOOP_FILES_AUTO,    /* io_uring where the kernel allows it, threads else; the environment
			     * variable FERRY_LOOP=epoll asks for threads */
	LOOP_FILES_THREADS, /* I/O threads */
};

#define LOOP_POOL_BYTES_DEFAULT (64u << 20)

struct loop_options {
	struct clock *clock; /* NULL: clock_monotonic(). Must outlive the loop */
	size_t pool_bytes;   /* of the buffer pool (pool.h), a power of two; 0: the default */
	enum loop_files files;
	bool is_spinning_off; /* never spin before sleeping */
	/* Given each descriptor that the loop makes for itself, which it takes, to put it elsewhere.
	 * @return its number, or -errno. NULL: they stay where they are. io_uring's are not asked
	 * about: LOOP_FILES_THREADS has none. */
	int (*place)(int fd);
};

/** @param options NULL for defaults
 *  @return 0 and the loop, owned by the caller, or -errno. */
int loop_new(const struct loop_options *options, struct loop **ret_loop)
	__attribute__((warn_unused_result));

/** Free a loop that is not running and has no watch, timer or file operation left. NULL is legal. */
void loop_free(struct loop *loop);

/** Take turns until loop_stop(). @return 0 or -errno when the loop itself fails; -EDEADLK when the
 *  clock is simulated and nothing is left that could happen. */
int loop_run(struct loop *loop) __attribute__((warn_unused_result));

/** Take one turn, sleeping at most @timeout_ms (0: not at all; -1: until something happens, a signal
 *  included). Not from within a turn. @return 0 or -errno. */
int loop_turn(struct loop *loop, int timeout_ms) __attribute__((warn_unused_result));

/** Make loop_run() return after its present turn. From any thread. */
void loop_stop(struct loop *loop);

/** @return a descriptor that polls readable when loop_turn(loop, 0) has something to do: for an
 *  embedder's own event loop. Also call loop_prepare_poll() each time before polling it. */
int loop_fd(struct loop *loop);

/** Make loop_fd() tell of everything that is pending. @return the milliseconds after which a turn
 *  is due whether or not the descriptor is readable (0: now, -1: never). */
int loop_prepare_poll(struct loop *loop);

/** @return the time at which the present turn woke up (ns of the loop's clock), without a system
 *  call; between turns the present time. */
uint64_t loop_now_ns(const struct loop *loop);

struct clock *loop_clock(const struct loop *loop);
struct pool *loop_pool(struct loop *loop);

/* A descriptor that the loop watches, embedded in its owner. */
struct loop_watch {
	void (*ready)(struct loop_watch *watch, uint32_t epoll_events);
	/* Try to receive without blocking. @return whether anything came (the end and an error
	 * included). A spinning loop calls it for the watch that was active last: it costs less
	 * than asking epoll. May be NULL. */
	bool (*poll)(struct loop_watch *watch);
	struct loop *loop; /* NULL: not watched */
	int fd;
};

/** Watch @watch->fd (ready, poll and fd are set by the caller, loop is NULL) for @epoll_events, edge
 *  triggered. @return 0 or -errno (-EOPNOTSUPP: the clock is simulated). */
int loop_watch(struct loop *loop, struct loop_watch *watch, uint32_t epoll_events)
	__attribute__((warn_unused_result));

/** Stop watching; ready() is not called again, not even for events already fetched. Call it before
 *  the descriptor is closed. A watch that is not watched is legal. */
void loop_unwatch(struct loop_watch *watch);

/* Something to be run by the loop, embedded in its owner. */
struct loop_task {
	struct list link;
	void (*run)(struct loop_task *task);
};

void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *task));

/** Run @task in step 6 of this turn, once; a task that is pending stays where it is. */
void loop_defer(struct loop *loop, struct loop_task *task);

/** Run @task in step 1 of the next turn, once; the loop does not sleep in between. */
void loop_again(struct loop *loop, struct loop_task *task);

/** Forget a pending task. */
void loop_task_cancel(struct loop_task *task);

/* Something another thread says, embedded in its owner; may be posted again once delivered. */
struct loop_message {
	struct loop_message *next;
	void (*deliver)(struct loop_message *message);
};

/** Have @to call message->deliver on its thread. From any thread, without a lock; messages of one
 *  sender arrive in the order posted. A loop that is freed drops undelivered messages. */
void loop_post(struct loop *to, struct loop_message *message);

#endif
