#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "loop/loop_private.h"
#include "loop/pool.h"

static int setup(void **state)
{
	const struct loop_options options = {.is_spinning_off = true};

	return loop_new(&options, (struct loop **)state);
}

static int setup_simulated(void **state)
{
	static struct simulated_clock clock;
	const struct loop_options options = {.clock = &clock.clock};

	simulated_clock_init(&clock, 1);
	return loop_new(&options, (struct loop **)state);
}

static int teardown(void **state)
{
	loop_free(*state);
	return 0;
}

/* Descriptors */

#define PLACE 200

static int place_high(int fd)
{
	int placed = fcntl(fd, F_DUPFD_CLOEXEC, PLACE);

	return close(fd) == 0 ? placed : -EBADF;
}

static int place_first_only(int fd)
{
	if (fcntl(PLACE, F_GETFD) < 0)
		return place_high(fd);
	(void)close(fd);
	return -EMFILE;
}

static void test_loop_puts_its_descriptors_elsewhere_when_told(void **state)
{
	struct loop_options options = {.files = LOOP_FILES_THREADS, .place = place_high};
	int lowest = dup(STDIN_FILENO);
	struct loop *loop = NULL;

	(void)state;
	assert_int_equal(close(lowest), 0);
	assert_int_equal(loop_new(&options, &loop), 0);
	assert_int_equal(loop_turn(loop, 0), 0);
	assert_int_equal(loop_fd(loop), PLACE);
	assert_int_equal(fcntl(lowest, F_GETFD), -1);
	loop_stop(loop);
	assert_int_equal(loop_run(loop), 0);
	loop_free(loop);
	assert_int_equal(fcntl(PLACE, F_GETFD), -1);
	/* There is no loop without a place for all. */
	options.place = place_first_only;
	assert_int_equal(loop_new(&options, &loop), -EMFILE);
	assert_int_equal(fcntl(PLACE, F_GETFD), -1);
	assert_int_equal(fcntl(lowest, F_GETFD), -1);
}

/* Tasks */

struct task_probe {
	struct loop_task task;
	struct loop *loop;
	int run_count;
	int again_count; /* times left to ask for another turn */
	int defer_count; /* times left to defer itself */
};

static void probe_run(struct loop_task *task)
{
	struct task_probe *probe = container_of(task, struct task_probe, task);

	probe->run_count++;
	if (probe->again_count-- > 0)
		loop_again(probe->loop, task);
	else if (probe->defer_count-- > 0)
		loop_defer(probe->loop, task);
}

static void task_probe_init(struct task_probe *probe, struct loop *loop)
{
	*probe = (struct task_probe){.loop = loop};
	loop_task_init(&probe->task, probe_run);
}

static void test_loop_runs_task_once_when_deferred_twice(void **state)
{
	struct task_probe probe;

	task_probe_init(&probe, *state);
	loop_defer(*state, &probe.task);
	loop_defer(*state, &probe.task);
	loop_again(*state, &probe.task);
	assert_int_equal(loop_turn(*state, -1), 0);
	assert_int_equal(probe.run_count, 1);
}

static void test_loop_runs_deferred_in_same_turn_when_they_defer(void **state)
{
	struct task_probe probe;

	task_probe_init(&probe, *state);
	probe.defer_count = 3;
	loop_defer(*state, &probe.task);
	assert_int_equal(loop_turn(*state, -1), 0);
	assert_int_equal(probe.run_count, 4);
}

static void test_loop_does_not_sleep_when_a_task_wants_another_turn(void **state)
{
	struct task_probe probe;

	task_probe_init(&probe, *state);
	probe.again_count = 2;
	loop_again(*state, &probe.task);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(loop_turn(*state, -1), 0);
		assert_int_equal(probe.run_count, i);
	}
	assert_int_equal(loop_turn(*state, 0), 0);
	assert_int_equal(probe.run_count, 3);
}

static void test_loop_does_not_run_task_when_cancelled(void **state)
{
	struct task_probe probe;

	task_probe_init(&probe, *state);
	loop_defer(*state, &probe.task);
	loop_task_cancel(&probe.task);
	loop_again(*state, &probe.task);
	loop_task_cancel(&probe.task);
	loop_task_cancel(&probe.task);
	assert_int_equal(loop_turn(*state, 0), 0);
	assert_int_equal(probe.run_count, 0);
}

/* Watches */

struct pipe_probe {
	struct loop_watch watch;
	int write_fd;
	int ready_count;
	int poll_count;
	int poll_finds; /* the poll that finds something; 0: none */
	struct pipe_probe *to_unwatch;
};

static void pipe_ready(struct loop_watch *watch, uint32_t epoll_events)
{
	struct pipe_probe *probe = container_of(watch, struct pipe_probe, watch);

	assert_true((epoll_events & EPOLLIN) != 0);
	probe->ready_count++;
	if (probe->to_unwatch != NULL)
		loop_unwatch(&probe->to_unwatch->watch);
}

static bool pipe_poll(struct loop_watch *watch)
{
	struct pipe_probe *probe = container_of(watch, struct pipe_probe, watch);

	return ++probe->poll_count == probe->poll_finds;
}

static void pipe_open(struct pipe_probe *probe, struct loop *loop)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	*probe = (struct pipe_probe){.watch = {.ready = pipe_ready, .fd = fds[0]}};
	probe->write_fd = fds[1];
	assert_int_equal(loop_watch(loop, &probe->watch, EPOLLIN), 0);
}

static void pipe_write(const struct pipe_probe *probe)
{
	assert_int_equal(write(probe->write_fd, "x", 1), 1);
}

static void pipe_close(struct pipe_probe *probe)
{
	loop_unwatch(&probe->watch);
	assert_int_equal(close(probe->watch.fd), 0);
	assert_int_equal(close(probe->write_fd), 0);
}

static void test_loop_tells_once_when_a_descriptor_becomes_readable(void **state)
{
	struct pipe_probe probe;

	pipe_open(&probe, *state);
	assert_int_equal(loop_turn(*state, 0), 0);
	assert_int_equal(probe.ready_count, 0);
	pipe_write(&probe);
	assert_int_equal(loop_turn(*state, -1), 0);
	assert_int_equal(loop_turn(*state, 0), 0);
	assert_int_equal(probe.ready_count, 1);
	pipe_write(&probe);
	assert_int_equal(loop_turn(*state, -1), 0);
	assert_int_equal(probe.ready_count, 2);
	pipe_close(&probe);
}

static void test_loop_forgets_fetched_events_when_unwatched(void **state)
{
	struct pipe_probe probes[2];

	for (int i = 0; i < 2; i++) {
		pipe_open(&probes[i], *state);
		probes[i].to_unwatch = &probes[1 - i];
	}
	for (int i = 0; i < 2; i++)
		pipe_write(&probes[i]);
	assert_int_equal(loop_turn(*state, -1), 0);
	assert_int_equal(probes[0].ready_count + probes[1].ready_count, 1);
	for (int i = 0; i < 2; i++)
		pipe_close(&probes[i]);
}

static void test_loop_fails_when_a_regular_file_is_watched(void **state)
{
	CLEANUP(cleanup_close) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct loop_watch watch = {.ready = pipe_ready, .fd = fd};

	assert_int_equal(loop_watch(*state, &watch, EPOLLIN), -EPERM);
	loop_unwatch(&watch);
}

/* A clock on which each look takes 1 us. */
static uint64_t ticking_now_ns(struct clock *clock)
{
	return ((struct simulated_clock *)clock)->time_ns += 1000;
}

static void test_loop_polls_the_active_watch_when_it_spins(void **state)
{
	struct simulated_clock clock = {.clock.now_ns = ticking_now_ns};
	const struct loop_options options = {.clock = &clock.clock};
	struct pipe_probe probe;
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&options, &loop), 0);
	pipe_open(&probe, loop);
	probe.watch.poll = pipe_poll;
	assert_int_equal(loop_turn(loop, 0), 0);
	/* Whatever the machine allows: */
	spin_init(&loop->spin, 50000);
	loop->is_wake_latency_measured = true;

	pipe_write(&probe);
	assert_int_equal(loop_turn(loop, -1), 0);
	assert_int_equal(probe.ready_count, 1);
	assert_int_equal(probe.poll_count, 0);
	probe.poll_finds = 20;
	assert_int_equal(loop_turn(loop, -1), 0);
	assert_int_equal(probe.poll_count, 20);
	assert_int_equal(probe.ready_count, 1);
	/* Nothing is found: it sleeps and backs off. */
	assert_int_equal(loop_turn(loop, 1), 0);
	assert_int_equal(loop->spin.skip, 1);
	assert_true(probe.poll_count > 100);
	pipe_close(&probe);
	assert_null(loop->active);
	loop_free(loop);
}

/* Running */

static void test_loop_returns_when_stopped_before_it_runs(void **state)
{
	loop_stop(*state);
	assert_int_equal(loop_run(*state), 0);
}

static void fire_stop(struct timer *timer)
{
	loop_stop(timer->loop);
}

static void ignore_signal(int number)
{
	(void)number;
}

static void test_loop_goes_on_when_signals_interrupt_it(void **state)
{
	const struct sigaction action = {.sa_handler = ignore_signal};
	const struct itimerval often = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};
	const struct itimerval never = {0};
	struct timer timer;

	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	timer_init(&timer, *state, fire_stop);
	timer_arm_after(&timer, 20);
	assert_int_equal(loop_run(*state), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
}

static void test_loop_tells_of_a_deadlock_when_simulated_and_nothing_is_left(void **state)
{
	struct timer timer;

	assert_int_equal(loop_turn(*state, -1), 0);
	timer_init(&timer, *state, fire_stop);
	timer_arm_after(&timer, 1000);
	assert_int_equal(loop_run(*state), 0);
	assert_int_equal(loop_now_ns(*state), 1 + CLOCK_SECOND_NS);
	assert_int_equal(loop_run(*state), -EDEADLK);
}

static void test_loop_watches_nothing_when_simulated(void **state)
{
	struct loop_watch watch = {.ready = pipe_ready, .fd = 0};

	assert_int_equal(loop_watch(*state, &watch, EPOLLIN), -EOPNOTSUPP);
}

/* An embedder's loop */

static bool is_readable(struct loop *loop)
{
	struct pollfd poll_fd = {.fd = loop_fd(loop), .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static void count_delivery(struct loop_message *message)
{
	message->deliver = NULL;
}

static void test_loop_descriptor_tells_when_something_is_pending(void **state)
{
	struct loop_message message = {.deliver = count_delivery};
	struct task_probe probe;
	struct timer timer;

	/* The first turn is always due. */
	assert_int_equal(loop_prepare_poll(*state), 0);
	assert_int_equal(loop_turn(*state, 0), 0);
	assert_int_equal(loop_prepare_poll(*state), -1);
	assert_false(is_readable(*state));

	loop_post(*state, &message);
	assert_true(is_readable(*state));
	assert_int_equal(loop_turn(*state, 0), 0);
	assert_null(message.deliver);
	assert_false(is_readable(*state));

	task_probe_init(&probe, *state);
	loop_defer(*state, &probe.task);
	assert_int_equal(loop_prepare_poll(*state), 0);
	assert_int_equal(loop_turn(*state, 0), 0);

	timer_init(&timer, *state, fire_stop);
	timer_arm_after(&timer, 5000);
	assert_in_range(loop_prepare_poll(*state), 1, 5000);
	timer_disarm(&timer);
	assert_int_equal(loop_prepare_poll(*state), -1);
}

/* A clock that the test moves, but not a simulated one. */
static uint64_t standing_now_ns(struct clock *clock)
{
	return ((struct simulated_clock *)clock)->time_ns;
}

static void test_loop_trims_its_pool_once_when_idle_for_a_second(void **state)
{
	struct simulated_clock clock = {.clock.now_ns = standing_now_ns};
	const struct loop_options options = {.clock = &clock.clock, .is_spinning_off = true};
	struct pool_share share = {0};
	struct pool_request request = {.share = &share, .bytes = POOL_BUFFER_MAX};
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&options, &loop), 0);
	assert_int_equal(loop_turn(loop, 1), 0);
	assert_int_equal(loop_prepare_poll(loop), -1);
	for (int i = 0; i < 2; i++) {
		assert_true(pool_take(loop_pool(loop), &request));
		pool_give(loop_pool(loop), &request);
		assert_int_equal(loop_turn(loop, 1), 0);
		assert_int_equal(loop_prepare_poll(loop), 1000);
		/* The first time it has been used meanwhile. */
		if (i == 0) {
			assert_true(pool_take(loop_pool(loop), &request));
			pool_give(loop_pool(loop), &request);
		}
		clock.time_ns += CLOCK_SECOND_NS;
		assert_int_equal(loop_turn(loop, 0), 0);
		assert_int_equal(pool_trim_mark(loop_pool(loop)) != 0, i == 0);
	}
	assert_int_equal(loop_turn(loop, 1), 0);
	assert_int_equal(loop_prepare_poll(loop), -1);
	loop_free(loop);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(test_loop_runs_task_once_when_deferred_twice),
		LOOP_TEST(test_loop_runs_deferred_in_same_turn_when_they_defer),
		LOOP_TEST(test_loop_does_not_sleep_when_a_task_wants_another_turn),
		LOOP_TEST(test_loop_does_not_run_task_when_cancelled),
		LOOP_TEST(test_loop_tells_once_when_a_descriptor_becomes_readable),
		LOOP_TEST(test_loop_forgets_fetched_events_when_unwatched),
		LOOP_TEST(test_loop_fails_when_a_regular_file_is_watched),
		cmocka_unit_test(test_loop_polls_the_active_watch_when_it_spins),
		LOOP_TEST(test_loop_returns_when_stopped_before_it_runs),
		LOOP_TEST(test_loop_goes_on_when_signals_interrupt_it),
		cmocka_unit_test_setup_teardown(
			test_loop_tells_of_a_deadlock_when_simulated_and_nothing_is_left,
			setup_simulated, teardown),
		cmocka_unit_test_setup_teardown(test_loop_watches_nothing_when_simulated,
			setup_simulated, teardown),
		LOOP_TEST(test_loop_descriptor_tells_when_something_is_pending),
		cmocka_unit_test(test_loop_puts_its_descriptors_elsewhere_when_told),
		cmocka_unit_test(test_loop_trims_its_pool_once_when_idle_for_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
