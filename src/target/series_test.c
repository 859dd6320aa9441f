#include "target/series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/target/io_fixture.h"

#define COMMAND_COUNT 8

static unsigned count_done(struct fake_command *const commands[COMMAND_COUNT])
{
	unsigned count = 0;

	for (unsigned i = 0; i < COMMAND_COUNT; i++)
		count += commands[i]->is_done;
	return count;
}

/* @return how many turns it took; in none of them more than one of long commands may end. */
static unsigned turn_until_done(struct fixture *fixture,
	struct fake_command *const commands[COMMAND_COUNT])
{
	unsigned turns = 0, before = count_done(commands);

	assert_true(before == 0);
	while (before < COMMAND_COUNT) {
		unsigned now;

		fake_world_turn(&fixture->world);
		turns++;
		now = count_done(commands);
		assert_in_range(now - before, 0, 1);
		before = now;
	}
	return turns;
}

static void test_series_leave_the_loop_to_others_when_the_store_is_done_at_once(void **state)
{
	struct nvme_command verify = blocks(NVME_IO_VERIFY, MEMORY, 0, DATA_MAX / 512);
	struct fake_command *commands[COMMAND_COUNT];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (unsigned i = 0; i < COMMAND_COUNT; i++)
		commands[i] = fake_send(fixture.io, &verify, NULL, 0);
	assert_in_range(turn_until_done(&fixture, commands),
		COMMAND_COUNT * (DATA_MAX / SERIES_TURN_BYTES), 100);
	for (unsigned i = 0; i < COMMAND_COUNT; i++) {
		assert_int_equal(commands[i]->status, 0);
		fake_command_free(commands[i]);
	}
	tear_down(&fixture);
}

/* They want no buffer, so all of them are under way together. */
static void test_series_share_a_turn_when_they_want_no_buffer(void **state)
{
	static struct nvme_dsm_range ranges[NVME_DSM_RANGES_MAX];
	struct nvme_command dataset = fake_command_of(NVME_IO_DATASET_MANAGEMENT, MEMORY);
	struct fake_command *commands[COMMAND_COUNT];
	uint8_t data[512];
	unsigned turns = 0;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	write_letters(&fixture, MEMORY, 127, 512, 'x');
	nvme_command_set_dsm(&dataset, NVME_DSM_RANGES_MAX, NVME_DSM_AD);
	for (unsigned i = 0; i < NVME_DSM_RANGES_MAX; i++)
		ranges[i].block_count = le32_of(SERIES_BUFFER_BYTES / 512);
	for (unsigned i = 0; i < COMMAND_COUNT; i++)
		commands[i] = fake_send(fixture.io, &dataset, ranges, sizeof(ranges));
	for (; count_done(commands) < COMMAND_COUNT; turns++)
		fake_world_turn(&fixture.world);
	/* 64 KiB a range, more than four of which are not for one turn. */
	assert_in_range(turns, COMMAND_COUNT * NVME_DSM_RANGES_MAX / 4 - 1,
		COMMAND_COUNT * NVME_DSM_RANGES_MAX);
	for (unsigned i = 0; i < COMMAND_COUNT; i++) {
		assert_int_equal(commands[i]->status, 0);
		fake_command_free(commands[i]);
	}
	read_back(&fixture, MEMORY, 127, sizeof(data), data);
	assert_int_equal(count_others(data, sizeof(data), 0), 0);
	tear_down(&fixture);
}

static void test_series_come_back_when_the_connection_ends_between_two_turns(void **state)
{
	struct nvme_command verify = blocks(NVME_IO_VERIFY, MEMORY, 0, DATA_MAX / 512);
	struct fake_command *commands[COMMAND_COUNT];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (unsigned i = 0; i < COMMAND_COUNT; i++)
		commands[i] = fake_send(fixture.io, &verify, NULL, 0);
	fake_connection_close(fixture.io);
	for (unsigned i = 0; i < COMMAND_COUNT; i++) {
		(void)fake_wait(commands[i]);
		fake_command_free(commands[i]);
	}
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_series_leave_the_loop_to_others_when_the_store_is_done_at_once),
		cmocka_unit_test(test_series_share_a_turn_when_they_want_no_buffer),
		cmocka_unit_test(test_series_come_back_when_the_connection_ends_between_two_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
