/*
 * Signals that wait, and the frames that tell of them.
 */
#include "sysproxy/signals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_signals_are_told_once_and_in_order_when_they_are_taken(void **state)
{
	static const int raised[] = {15, 1, 15, 13, 1};
	static const uint32_t told[] = {15, 1, 13};
	uint8_t frames[SIGNALS_BYTES_MAX];
	struct signals signals;

	(void)state;
	signals_init(&signals);
	assert_int_equal(signals_take(&signals, frames), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(signals_add(&signals, raised[i]), i == 0);
	assert_true(signals_are_waiting(&signals));
	assert_int_equal(signals_take(&signals, frames), 3 * WIRE_HEADER_BYTES);
	for (unsigned i = 0; i < 3; i++) {
		const struct wire_header *header =
			(const struct wire_header *)(frames + i * WIRE_HEADER_BYTES);
		struct wire_frame frame = wire_frame_of(header);

		assert_int_equal(wire_check_from_server(&frame, false), 0);
		assert_int_equal(frame.type, WIRE_RAISE);
		assert_int_equal(frame.number, 0);
		assert_int_equal(frame.aux, told[i]);
	}
	assert_false(signals_are_waiting(&signals));
	signals_deinit(&signals);
}

static void test_signals_ask_for_the_loop_when_it_has_heard_of_the_last(void **state)
{
	uint8_t frames[SIGNALS_BYTES_MAX];
	struct signals signals;

	(void)state;
	signals_init(&signals);
	assert_true(signals_add(&signals, 1));
	assert_int_equal(signals_take(&signals, frames), WIRE_HEADER_BYTES);
	assert_false(signals_add(&signals, 2));
	signals_heard(&signals);
	assert_true(signals_add(&signals, 2));
	signals_deinit(&signals);
}

static void test_signals_are_lost_when_too_many_wait(void **state)
{
	uint8_t frames[SIGNALS_BYTES_MAX];
	struct signals signals;

	(void)state;
	signals_init(&signals);
	for (int i = 0; i < (int)SIGNALS_MAX + 10; i++)
		(void)!signals_add(&signals, i);
	assert_int_equal(signals_take(&signals, frames), SIGNALS_BYTES_MAX);
	signals_deinit(&signals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals_are_told_once_and_in_order_when_they_are_taken),
		cmocka_unit_test(test_signals_ask_for_the_loop_when_it_has_heard_of_the_last),
		cmocka_unit_test(test_signals_are_lost_when_too_many_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
