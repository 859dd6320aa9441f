/*
 * Workers: threads that do what would hold up a loop. A pool makes them on demand up to a limit, keeps
 * some of them when there is nothing to do, and joins all at its end. Jobs begin in the order of their
 * submission.
 */
#ifndef FERRY_SYSPROXY_WORKER_H
#define FERRY_SYSPROXY_WORKER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct worker_pool;

/* Something to be done once, embedded in its owner; from submission until run() is called it is the
 * pool's. */
struct worker_job {
	struct list link;
	void (*run)(struct worker_job *job);
};

struct worker_options {
	unsigned threads_max; /* at least 1 */
	unsigned idle_max;    /* threads that are kept when there is nothing to do */
	size_t stack_bytes;   /* of a thread, 0: the system's default */
	bool is_queueing; /* jobs wait while all threads are busy; one thread is made at once, so
			       * that submitting never fails */
};

/** @return 0 and the pool, or -errno. */
int worker_pool_new(const struct worker_options *options, struct worker_pool **ret_pool)
	__attribute__((warn_unused_result));

/** Do what is still waiting, end all threads and free the pool. NULL is legal. */
void worker_pool_free(struct worker_pool *pool);

/** @return 0, or -EAGAIN: all threads that there may be are busy. */
int worker_submit(struct worker_pool *pool, struct worker_job *job)
	__attribute__((warn_unused_result));

/** Count a thread of somebody else's to the limit. @return whether there was one left. */
bool worker_reserve_thread(struct worker_pool *pool) __attribute__((warn_unused_result));
void worker_release_thread(struct worker_pool *pool);

#endif
