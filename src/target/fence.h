/*
 * Fences: how a fused Compare and Write is alone with its blocks. There is one fence for each store
 * of a target, and each loop has its part of it. All that changes blocks (Write, Write Zeroes,
 * Copy...) enters and leaves its own loop's part, which takes no lock and no atomic. Who wants to be
 * alone raises the fence over his range: he asks every loop by message, each from then on holds what
 * would change that range, and answers when what had entered before has left. When all have
 * answered he has the range to himself, until he lowers the fence by a second round of messages.
 *
 * A fence stands over one range at a time, those who wait for it take turns. What only reads passes.
 *
 * States of a fence, whose moves the mutex guards:
 *   down      nobody wants it
 *   rising    the loops have been asked
 *   up        they have all answered
 *   sinking   the loops have been told; when they all know, the next in turn may have it
 * In all but the first the fence is a part of the target, which so cannot go idle.
 *
 * A site is all that a loop has of all fences. It is made with the loop's first queue and stays as
 * long as the target: a loop that has had a queue is turned until the target is idle, and freed when
 * no queue will come any more.
 */
#ifndef FERRY_TARGET_FENCE_H
#define FERRY_TARGET_FENCE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "loop/loop.h"

struct store;
struct target;
struct target_request;

/* The mutex is the innermost lock: nothing is called that could wait. It is taken when a queue is
 * made and by fused commands, never by others. */
struct fences {
	struct target *target;
	struct fence **fences; /* by index; constant once the target is published */
	unsigned fence_count;

	pthread_mutex_t mutex; /* guards what follows, and of each fence what is said there */
	struct list sites;
	unsigned site_count;
};

struct fence {
	struct fences *fences;
	const struct store *store;
	unsigned index;
	/* how many loops have not answered yet */
	_Atomic unsigned pending_count;
	struct fence_turn *turn; /* while rising */
	struct loop_message message;

	/* the mutex */
	bool is_taken;  /* not down */
	bool is_raised; /* rising or up, over this range: */
	uint64_t slba;
	uint32_t block_count;
	struct list waiting; /* turns */
};

/* One who wants to be alone, embedded in its owner until raised() is called. */
struct fence_turn {
	/* set by the owner */
	struct loop *loop;
	uint64_t slba;
	uint32_t block_count;
	void (*raised)(struct fence_turn *turn); /* on the loop; never from within fence_raise() */
	/* private */
	struct list link;
};

/* A command that changes blocks, embedded in its request; begins as zeros. */
struct fence_change {
	struct list link;
	struct fence_part *part; /* that it has entered, NULL: none */
	bool is_awaited;
};

/* All of it is the loop's. */
struct fence_part {
	struct list changing; /* what has entered */
	struct list held;     /* what may not */
	bool is_up;           /* over this range: */
	uint64_t slba;
	uint32_t block_count;
	unsigned awaited_count; /* of what is changing: what has to leave before we answer */
	struct fence *fence;
	struct loop_message message; /* to this loop */
};

struct fence_site {
	struct list link; /* of the target's */
	struct loop *loop;
	struct fence_part parts[]; /* by the fence's index */
};

void fences_init(struct fences *fences, struct target *target);

/** Free all fences and sites. All fences are down. */
void fences_deinit(struct fences *fences);

/** @return 0 and the fence of @store, one for all its namespaces, or -ENOMEM. Not once the target is
 *  published. */
int fences_add(struct fences *fences, const struct store *store, struct fence **ret_fence)
	__attribute__((warn_unused_result));

/** @return the site of @loop, on which this is called, made if it is the first time; NULL: no
 *  memory. */
struct fence_site *fences_site(struct fences *fences, struct loop *loop);

/** Raise @fence over the range of @turn when its turn comes. */
void fence_raise(struct fence *fence, struct fence_turn *turn);

/** Lower a fence that one has raised, from the same loop. */
void fence_lower(struct fence *fence);

/** As fence_hold(), of a part whose fence is up. */
bool fence_hold_overlapping(struct fence_part *part, struct target_request *request);

/** Hold @request if it would change what @part's fence stands over: target_queue_execute() is called
 *  for it when the fence is lowered. @return whether it is held. */
static inline bool fence_hold(struct fence_part *part, struct target_request *request)
{
	return part->is_up && fence_hold_overlapping(part, request);
}

/** @return the part of @fence that is the site's. */
static inline struct fence_part *fence_site_part(struct fence_site *site, const struct fence *fence)
{
	return &site->parts[fence->index];
}

/** @change begins. */
static inline void fence_enter(struct fence_part *part, struct fence_change *change)
{
	list_append(&part->changing, &change->link);
	change->part = part;
}

/** One less of what a fence that rises waits for. */
void fence_settle(struct fence_part *part);

/** @change, which has entered, has ended. */
static inline void fence_leave(struct fence_change *change)
{
	struct fence_part *part = change->part;

	list_remove(&change->link);
	change->part = NULL;
	if (change->is_awaited) {
		change->is_awaited = false;
		fence_settle(part);
	}
}

#endif
