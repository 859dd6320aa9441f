#include "loop/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/list.h"
#include "loop/loop.h"

#define START_NS      1000u
#define TIMER_COUNT   64
#define SEQUENCE_MAX  64
#define RANDOM_ROUNDS 5000

struct probe;

struct fixture {
	struct simulated_clock clock;
	struct loop *loop;
	int sequence[SEQUENCE_MAX]; /* the numbers of the timers that fired */
	int sequence_count;
};

struct probe {
	struct timer timer;
	struct fixture *fixture;
	int number;
	uint64_t rearm_ns;       /* 0: do not */
	struct timer *to_disarm; /* when it fires */
	uint64_t expected_ns;    /* in the model; 0: not armed */
};

static int setup(void **state)
{
	static struct fixture fixture;
	const struct loop_options options = {.clock = &fixture.clock.clock};

	fixture = (struct fixture){0};
	simulated_clock_init(&fixture.clock, START_NS);
	*state = &fixture;
	return loop_new(&options, &fixture.loop);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	loop_free(fixture->loop);
	return 0;
}

static void probe_fire(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);
	struct fixture *fixture = probe->fixture;

	if (fixture->sequence_count < SEQUENCE_MAX)
		fixture->sequence[fixture->sequence_count++] = probe->number;
	if (probe->rearm_ns != 0)
		timer_arm(timer, probe->rearm_ns);
	if (probe->to_disarm != NULL)
		timer_disarm(probe->to_disarm);
}

static void probe_init(struct probe *probe, struct fixture *fixture, int number)
{
	*probe = (struct probe){.fixture = fixture, .number = number};
	timer_init(&probe->timer, fixture->loop, probe_fire);
}

static void assert_sequence(const struct fixture *fixture, const int *expected, int count)
{
	assert_int_equal(fixture->sequence_count, count);
	for (int i = 0; i < count; i++)
		assert_int_equal(fixture->sequence[i], expected[i]);
}

static void test_timer_fires_in_order_of_deadlines_when_due_together(void **state)
{
	static const uint64_t deadlines_ns[] = {5000, 3000, 5000, 2000, 3000, 1};
	static const int expected[] = {5, 3, 1, 4, 0, 2};
	struct fixture *fixture = *state;
	struct probe probes[6];

	for (int i = 0; i < 6; i++) {
		probe_init(&probes[i], fixture, i);
		timer_arm(&probes[i].timer, deadlines_ns[i]);
	}
	simulated_clock_init(&fixture->clock, 5000);
	assert_int_equal(loop_turn(fixture->loop, 0), 0);
	assert_sequence(fixture, expected, 6);
}

static void test_timer_advances_simulated_clock_when_nothing_else_is_to_do(void **state)
{
	struct fixture *fixture = *state;
	struct probe probe;

	probe_init(&probe, fixture, 0);
	timer_arm_after(&probe.timer, 7);
	assert_int_equal(loop_turn(fixture->loop, 3), 0);
	assert_int_equal(fixture->sequence_count, 0);
	assert_int_equal(fixture->clock.time_ns, START_NS + 3 * CLOCK_MS_NS);
	assert_int_equal(loop_turn(fixture->loop, -1), 0);
	assert_int_equal(fixture->sequence_count, 1);
	assert_int_equal(fixture->clock.time_ns, START_NS + 7 * CLOCK_MS_NS);
	assert_false(probe.timer.is_armed);
}

static void test_timer_fires_in_next_turn_when_rearmed_in_the_past(void **state)
{
	static const int expected[] = {0, 1, 0, 0};
	struct fixture *fixture = *state;
	struct probe eager, other;

	probe_init(&eager, fixture, 0);
	probe_init(&other, fixture, 1);
	eager.rearm_ns = 1;
	timer_arm(&eager.timer, 1);
	timer_arm(&other.timer, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_turn(fixture->loop, 0), 0);
	/* It does not keep the other from firing. */
	assert_sequence(fixture, expected, 4);
	timer_disarm(&eager.timer);
}

static void test_timer_does_not_fire_when_disarmed_by_another(void **state)
{
	static const int expected[] = {0};
	struct fixture *fixture = *state;
	struct probe first, second;

	probe_init(&first, fixture, 0);
	probe_init(&second, fixture, 1);
	first.to_disarm = &second.timer;
	timer_arm(&first.timer, 2000);
	timer_arm(&second.timer, 2000);
	assert_int_equal(loop_turn(fixture->loop, -1), 0);
	assert_sequence(fixture, expected, 1);
	timer_disarm(&second.timer);
}

static void test_timer_moves_when_armed_again(void **state)
{
	static const int expected[] = {1, 0};
	struct fixture *fixture = *state;
	struct probe first, second;

	probe_init(&first, fixture, 0);
	probe_init(&second, fixture, 1);
	timer_arm(&first.timer, 2000);
	timer_arm(&second.timer, 3000);
	timer_arm(&first.timer, 4000);
	assert_int_equal(loop_turn(fixture->loop, -1), 0);
	assert_int_equal(loop_turn(fixture->loop, -1), 0);
	assert_sequence(fixture, expected, 2);
}

/* Everything due has fired, nothing else. */
static void check_against_model(struct fixture *fixture, struct probe *probes)
{
	for (int i = 0; i < TIMER_COUNT; i++) {
		struct probe *probe = &probes[i];

		if (probe->expected_ns != 0 && probe->expected_ns <= fixture->clock.time_ns)
			probe->expected_ns = 0;
		assert_int_equal(probe->timer.is_armed, probe->expected_ns != 0);
	}
}

static void test_timer_agrees_with_a_model_when_driven_at_random(void **state)
{
	struct fixture *fixture = *state;
	struct probe probes[TIMER_COUNT];
	struct random random;

	random_init(&random, 1);
	for (int i = 0; i < TIMER_COUNT; i++)
		probe_init(&probes[i], fixture, i);
	for (int round = 0; round < RANDOM_ROUNDS; round++) {
		struct probe *probe = &probes[random_below(&random, TIMER_COUNT)];

		switch (random_below(&random, 4)) {
		case 0:
			timer_disarm(&probe->timer);
			probe->expected_ns = 0;
			break;
		case 1:
			simulated_clock_init(&fixture->clock,
				fixture->clock.time_ns + random_below(&random, 500));
			assert_int_equal(loop_turn(fixture->loop, 0), 0);
			check_against_model(fixture, probes);
			break;
		default:
			probe->expected_ns =
				fixture->clock.time_ns + 1 + random_below(&random, 5000);
			timer_arm(&probe->timer, probe->expected_ns);
			break;
		}
	}
	for (int i = 0; i < TIMER_COUNT; i++)
		timer_disarm(&probes[i].timer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_timer_fires_in_order_of_deadlines_when_due_together, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_timer_advances_simulated_clock_when_nothing_else_is_to_do, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_timer_fires_in_next_turn_when_rearmed_in_the_past, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_does_not_fire_when_disarmed_by_another,
			setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_moves_when_armed_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_timer_agrees_with_a_model_when_driven_at_random, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
