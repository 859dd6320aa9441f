/*
 * How a loop waits: it spins if that has paid lately, then it sleeps in epoll. What could wake it is
 * switched on only for the sleep: while it is awake, posting and completing cost no system call.
 */
#include <errno.h>
#include <limits.h>

#include "base/clock.h"
#include "loop/cpu.h"
#include "loop/loop_private.h"
#include "loop/pool.h"

#define TRIM_DELAY_MS 1000

/* While spinning, rounds between two looks at the clock, a power of two. */
#define SPIN_CLOCK_ROUNDS 16

/* How often the active watch is polled before epoll is asked about the others. */
#define SPIN_POLLS 8

/* Fetch events, sleeping at most @timeout_ms. @return 0 or -errno. */
static int loop_fetch(struct loop *loop, int timeout_ms)
{
	int count = epoll_wait(loop->epoll_fd, loop->events, LOOP_EVENTS_MAX, timeout_ms);

	if (count < 0 && errno != EINTR)
		return -errno;
	loop->polls_left = SPIN_POLLS;
	loop->event_index = 0;
	loop->event_count = count > 0 ? count : 0;
	return 0;
}

bool loop_has_work(const struct loop *loop)
{
	return !list_is_empty(&loop->again) || !list_is_empty(&loop->deferred) ||
		inbox_has_messages(&loop->inbox) || files_are_ready(&loop->files);
}

int loop_sleep_ms(const struct loop *loop, uint64_t now_ns, int timeout_ms)
{
	uint64_t deadline_ns = timer_next_deadline_ns(loop);
	uint64_t until_ms;

	if (deadline_ns == UINT64_MAX)
		return timeout_ms;
	if (deadline_ns <= now_ns)
		return 0;
	until_ms = (deadline_ns - now_ns + CLOCK_MS_NS - 1) / CLOCK_MS_NS;
	if (until_ms > INT_MAX)
		until_ms = INT_MAX;
	return timeout_ms < 0 || (uint64_t)timeout_ms > until_ms ? (int)until_ms : timeout_ms;
}

bool loop_fall_asleep(struct loop *loop)
{
	return inbox_fall_asleep(&loop->inbox) && files_fall_asleep(&loop->files);
}

void loop_trim(struct timer *timer)
{
	struct loop *loop = container_of(timer, struct loop, trim_timer);
	uint64_t mark = pool_trim_mark(loop->pool);

	/* Used since: not idle. The next sleep arms the timer again. */
	if (mark == loop->trim_mark)
		pool_trim(loop->pool);
}

static void loop_prepare_trim(struct loop *loop)
{
	uint64_t mark = pool_trim_mark(loop->pool);

	if (mark == 0 || loop->trim_timer.is_armed || loop->is_simulated)
		return;
	loop->trim_mark = mark;
	timer_arm_after(&loop->trim_timer, TRIM_DELAY_MS);
}

/* One look for something to do. @return 1 if there is, 0 if not, or -errno. */
static int loop_look(struct loop *loop)
{
	int error;

	if (loop_has_work(loop))
		return 1;
	if (loop->active != NULL && loop->polls_left > 0) {
		loop->polls_left--;
		return loop->active->poll(loop->active);
	}
	error = loop_fetch(loop, 0);
	return error != 0 ? error : loop->event_count > 0;
}

static void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Spin instead of sleeping for @sleep_ms (-1: endlessly). @return 1 if there is something to do or
 * the time is over, 0 if the loop may sleep, or -errno. */
static int loop_spin(struct loop *loop, int sleep_ms)
{
	uint64_t start_ns = loop->now_ns;
	uint64_t sleep_ns = sleep_ms < 0 ? UINT64_MAX : (uint64_t)sleep_ms * CLOCK_MS_NS;

	if (loop->is_spinning_off || !spin_is_wanted(&loop->spin))
		return 0;
	for (unsigned round = 0;; round++) {
		int found = loop_look(loop);

		if (found < 0)
			return found;
		if (found > 0) {
			spin_found(&loop->spin, round == 0);
			return 1;
		}
		spin_pause();
		if (round % SPIN_CLOCK_ROUNDS != SPIN_CLOCK_ROUNDS - 1)
			continue;
		loop->now_ns = loop->clock->now_ns(loop->clock);
		if (loop->now_ns - start_ns >= sleep_ns)
			return 1;
		if (loop->now_ns - start_ns >= loop->spin.limit_ns)
			break;
	}
	spin_in_vain(&loop->spin);
	/* An idle moment: the time to learn the limit. */
	if (!loop->is_wake_latency_measured) {
		loop->is_wake_latency_measured = true;
		loop->spin.limit_ns = spin_limit_ns(cpu_wake_latency_ns(), 2);
	}
	return 0;
}

int loop_wait(struct loop *loop, int timeout_ms)
{
	int error;

	if (timeout_ms != 0)
		loop_prepare_trim(loop);
	files_flush(&loop->files);
	if (loop_has_work(loop))
		timeout_ms = 0;
	timeout_ms = loop_sleep_ms(loop, loop->now_ns, timeout_ms);
	if (timeout_ms == 0)
		return loop_fetch(loop, 0);

	error = loop_spin(loop, timeout_ms);
	if (error == 0) {
		error = loop_fetch(loop, loop_fall_asleep(loop) ? timeout_ms : 0);
		files_wake_up(&loop->files);
	}
	loop->now_ns = loop->clock->now_ns(loop->clock);
	return error < 0 ? error : 0;
}

void loop_wait_simulated(struct loop *loop, int timeout_ms)
{
	uint64_t deadline_ns = timer_next_deadline_ns(loop);

	files_flush(&loop->files);
	if (timeout_ms == 0 || deadline_ns <= loop->now_ns || loop_has_work(loop))
		return;
	if (timeout_ms > 0 && deadline_ns - loop->now_ns > (uint64_t)timeout_ms * CLOCK_MS_NS)
		deadline_ns = loop->now_ns + (uint64_t)timeout_ms * CLOCK_MS_NS;
	if (deadline_ns == UINT64_MAX)
		return;
	loop->clock->advance(loop->clock, deadline_ns);
	loop->now_ns = loop->clock->now_ns(loop->clock);
}
