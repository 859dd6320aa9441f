/*
 * The loop's timers are a pairing heap: arming is O(1), firing and disarming O(log n) amortised. In
 * a list of siblings `previous` of the first one is the parent.
 */
#include "loop/timer.h"

#include <stddef.h>

#include "base/clock.h"
#include "loop/loop_private.h"

static bool is_earlier(const struct timer *a, const struct timer *b)
{
	if (a->deadline_ns != b->deadline_ns)
		return a->deadline_ns < b->deadline_ns;
	return a->order < b->order;
}

/* Make one heap of two, either of which may be NULL. */
static struct timer *meld(struct timer *a, struct timer *b)
{
	struct timer *root, *other;

	if (a == NULL)
		return b;
	if (b == NULL)
		return a;
	root = is_earlier(a, b) ? a : b;
	other = root == a ? b : a;
	other->previous = root;
	other->next = root->child;
	if (other->next != NULL)
		other->next->previous = other;
	root->child = other;
	root->previous = NULL;
	root->next = NULL;
	return root;
}

/* Make one heap of a list of siblings: in pairs, then the pairs from the last to the first. */
static struct timer *meld_siblings(struct timer *first)
{
	struct timer *pairs = NULL;
	struct timer *root = NULL;

	while (first != NULL) {
		struct timer *second = first->next;
		struct timer *rest = second == NULL ? NULL : second->next;
		struct timer *pair = meld(first, second);

		pair->next = pairs;
		pairs = pair;
		first = rest;
	}
	while (pairs != NULL) {
		struct timer *rest = pairs->next;

		pairs->next = NULL;
		root = meld(root, pairs);
		pairs = rest;
	}
	if (root != NULL) {
		root->previous = NULL;
		root->next = NULL;
	}
	return root;
}

void timer_init(struct timer *timer, struct loop *loop, void (*fire)(struct timer *timer))
{
	*timer = (struct timer){.fire = fire, .loop = loop};
}

void timer_arm(struct timer *timer, uint64_t deadline_ns)
{
	struct loop *loop = timer->loop;
	uint64_t now_ns = loop_now_ns(loop);

	timer_disarm(timer);
	/* Not before now: a timer that re-arms itself in the past must not come before others. */
	timer->deadline_ns = deadline_ns > now_ns ? deadline_ns : now_ns;
	timer->order = loop->timer_order++;
	timer->is_armed = true;
	loop->timers = meld(loop->timers, timer);
}

void timer_arm_after(struct timer *timer, uint64_t delay_ms)
{
	timer_arm(timer, loop_now_ns(timer->loop) + delay_ms * CLOCK_MS_NS);
}

void timer_disarm(struct timer *timer)
{
	struct loop *loop = timer->loop;
	struct timer *rest;

	if (!timer->is_armed)
		return;
	timer->is_armed = false;
	rest = meld_siblings(timer->child);
	timer->child = NULL;
	if (loop->timers == timer) {
		loop->timers = rest;
		return;
	}
	if (timer->previous->child == timer)
		timer->previous->child = timer->next;
	else
		timer->previous->next = timer->next;
	if (timer->next != NULL)
		timer->next->previous = timer->previous;
	timer->next = NULL;
	timer->previous = NULL;
	loop->timers = meld(loop->timers, rest);
}

uint64_t timer_next_deadline_ns(const struct loop *loop)
{
	return loop->timers == NULL ? UINT64_MAX : loop->timers->deadline_ns;
}

void timer_fire_due(struct loop *loop)
{
	uint64_t order_end = loop->timer_order;
	struct timer *timer;

	while ((timer = loop->timers) != NULL && timer->deadline_ns <= loop->now_ns &&
		timer->order < order_end) {
		timer_disarm(timer);
		timer->fire(timer);
	}
}
