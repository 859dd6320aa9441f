/*
 * A timer: one deadline of one owner, embedded in it. Arming and disarming allocate nothing. On a
 * busy path do not re-arm for each event: leave the timer armed, and when it fires compare with the
 * true deadline and arm it again.
 */
#ifndef FERRY_LOOP_TIMER_H
#define FERRY_LOOP_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

struct timer {
	void (*fire)(struct timer *timer);
	struct loop *loop;
	uint64_t deadline_ns; /* when it fires; never before the time it was armed at */
	uint64_t order;       /* of arming: equal deadlines fire in this order */
	struct timer *child, *next, *previous; /* links of the loop's pairing heap */
	bool is_armed;
};

/** Prepare a timer of @loop that calls @fire. */
void timer_init(struct timer *timer, struct loop *loop, void (*fire)(struct timer *timer));

/** Fire once at @deadline_ns of the loop's clock (in the next turn if that has passed). An armed
 *  timer is moved. */
void timer_arm(struct timer *timer, uint64_t deadline_ns);

/** Fire once, @delay_ms after the present turn woke up. */
void timer_arm_after(struct timer *timer, uint64_t delay_ms);

/** Do not fire. Legal at any time after timer_init(). */
void timer_disarm(struct timer *timer);

#endif
