/*
 * Pairs that do not run to their end: abandoned, aborted, or without their queue.
 */
#include "target/fused.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "test/target/fused_pair.h"

#define FAILED  NVME_STATUS_ABORTED_FAILED_FUSED
#define ABORTED NVME_STATUS_ABORT_REQUESTED

/* Abandoned */

static void test_fused_half_fails_when_the_other_is_abandoned(void **state)
{
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (unsigned i = 0; i < 4; i++) {
		unsigned gone = i % 2;
		bool is_other_here = i / 2 == 1;
		struct fused_pair pair;
		struct fake_command *other;

		fixture.io->is_data_held = true;
		pair = fused_pair_send(&fixture, MEMORY, 0, 'b');
		other = pair.halves[1 - gone];
		if (is_other_here)
			fake_data_arrives(other);
		assert_false(other->is_done);
		fake_abandon(pair.halves[gone]);
		assert_int_equal(other->is_done, is_other_here);
		if (!is_other_here)
			fake_data_arrives(other);
		fixture.io->is_data_held = false;
		assert_int_equal(fake_wait(other), FAILED);
		fake_command_free(pair.halves[0]);
		fake_command_free(pair.halves[1]);
		fused_assert_block(&fixture, MEMORY, FUSED_SLBA, 0);
	}
	fused_assert_works(&fixture);
	tear_down(&fixture);
}

static void test_fused_second_fails_when_the_first_was_abandoned_before(void **state)
{
	struct fixture fixture;
	struct fused_pair pair;

	(void)state;
	set_up(&fixture);
	fixture.io->is_data_held = true;
	pair.halves[FIRST] = fused_send_first(&fixture, MEMORY, 0);
	fake_abandon(pair.halves[FIRST]);
	pair.halves[SECOND] = fused_send_second(&fixture, MEMORY, 'b');
	fixture.io->is_data_held = false;
	fused_pair_end(&pair, 0, FAILED);
	fused_assert_works(&fixture);
	tear_down(&fixture);
}

static void test_fused_first_ends_when_its_queue_does(void **state)
{
	struct fixture fixture;
	struct fake_command *first;

	(void)state;
	set_up(&fixture);
	first = fused_send_first(&fixture, MEMORY, 0);
	fused_turn(&fixture);
	assert_false(first->is_done);
	fake_connection_close(fixture.io);
	assert_true(first->is_done);
	assert_int_equal(first->status, NVME_STATUS_ABORTED_SQ_DELETION);
	fake_command_free(first);
	tear_down(&fixture);
}

static void test_fused_pair_goes_when_its_queue_ends_before_its_data(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		struct fixture fixture;
		struct fused_pair pair;

		(void)state;
		set_up(&fixture);
		fixture.io->is_data_held = true;
		pair = fused_pair_send(&fixture, MEMORY, 0, 'b');
		if (i < 2)
			fake_data_arrives(pair.halves[i]);
		fake_connection_close(fixture.io);
		for (unsigned j = 0; j < 2; j++) {
			if (j != i)
				fake_abandon(pair.halves[j]);
		}
		for (unsigned j = 0; j < 2; j++) {
			assert_true(pair.halves[j]->is_done);
			fake_command_free(pair.halves[j]);
		}
		assert_true(fake_connection_is_closed(fixture.io));
		tear_down(&fixture);
	}
}

static void test_fused_pair_comes_back_when_its_queue_ends_while_it_runs(void **state)
{
	struct fixture fixture;
	struct fused_pair pair;

	(void)state;
	set_up(&fixture);
	fixture.fault.is_held = true;
	pair = fused_pair_send(&fixture, FAULTY, 0, 'b');
	fused_turn(&fixture);
	assert_int_equal(faulty_store_waiting_count(fixture.faulty), 1);
	fake_connection_close(fixture.io);
	target_shut_down(fixture.world.target);
	fused_turn(&fixture);
	assert_false(target_is_idle(fixture.world.target));
	fixture.fault.is_held = false;
	faulty_store_release(fixture.faulty);
	fused_pair_end(&pair, 0, 0);
	tear_down(&fixture);
}

/* Abort */

static struct fake_command *send_abort(struct fixture *fixture, unsigned half)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_ABORT, 0);

	nvme_command_set_abort(&command, 1, (uint16_t)(FUSED_FIRST_CID + half));
	return fake_send(fixture->admin, &command, NULL, 0);
}

static void end_abort(struct fake_command *abort, bool is_aborted)
{
	assert_int_equal(fake_wait(abort), 0);
	assert_int_equal(abort->result, is_aborted ? 0 : NVME_ABORT_NOT_ABORTED);
	fake_command_free(abort);
}

static void test_fused_first_is_aborted_at_once_when_it_waits(void **state)
{
	struct fixture fixture;
	struct fused_pair pair;

	(void)state;
	set_up(&fixture);
	pair.halves[FIRST] = fused_send_first(&fixture, MEMORY, 0);
	end_abort(send_abort(&fixture, FIRST), true);
	assert_true(pair.halves[FIRST]->is_done);
	pair.halves[SECOND] = fused_send_second(&fixture, MEMORY, 'b');
	fused_pair_end(&pair, ABORTED, FAILED);
	fused_assert_works(&fixture);
	tear_down(&fixture);
}

static void test_fused_half_fails_when_the_other_is_aborted(void **state)
{
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (unsigned i = 0; i < 4; i++) {
		unsigned aborted = i % 2;
		bool is_here = i / 2 == 1;
		struct fake_command *abort;
		struct fused_pair pair;

		fixture.io->is_data_held = true;
		pair = fused_pair_send(&fixture, MEMORY, 0, 'b');
		if (is_here)
			fake_data_arrives(pair.halves[aborted]);
		abort = send_abort(&fixture, aborted);
		fused_turn(&fixture);
		assert_int_equal(pair.halves[aborted]->is_done, is_here);
		if (!is_here)
			fake_data_arrives(pair.halves[aborted]);
		end_abort(abort, true);
		fake_data_arrives(pair.halves[1 - aborted]);
		fixture.io->is_data_held = false;
		fused_pair_end(&pair, aborted == FIRST ? ABORTED : FAILED,
			aborted == FIRST ? FAILED : ABORTED);
		fused_assert_block(&fixture, MEMORY, FUSED_SLBA, 0);
	}
	fused_assert_works(&fixture);
	tear_down(&fixture);
}

static void test_fused_pair_runs_to_its_end_when_an_abort_comes_too_late(void **state)
{
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (unsigned i = 0; i < 4; i++) {
		unsigned half = i % 2;
		bool is_writing = i / 2 == 1;
		struct fused_pair pair;
		unsigned writes;

		write_letters(&fixture, FAULTY, FUSED_SLBA, 512, 'a');
		writes = faulty_store_submitted_count(fixture.faulty, STORE_WRITE);
		fixture.fault.is_held = true;
		pair = fused_pair_send(&fixture, FAULTY, 'a', 'b');
		fused_turn(&fixture);
		if (is_writing) {
			faulty_store_release(fixture.faulty);
			fused_turn(&fixture);
		}
		assert_int_equal(faulty_store_submitted_count(fixture.faulty, STORE_WRITE) - writes,
			is_writing);
		assert_int_equal(faulty_store_waiting_count(fixture.faulty), 1);
		end_abort(send_abort(&fixture, half), false);
		fixture.fault.is_held = false;
		faulty_store_release(fixture.faulty);
		fused_pair_end(&pair, 0, 0);
		fused_assert_block(&fixture, FAULTY, FUSED_SLBA, 'b');
	}
	fused_assert_works(&fixture);
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fused_half_fails_when_the_other_is_abandoned),
		cmocka_unit_test(test_fused_second_fails_when_the_first_was_abandoned_before),
		cmocka_unit_test(test_fused_first_ends_when_its_queue_does),
		cmocka_unit_test(test_fused_pair_goes_when_its_queue_ends_before_its_data),
		cmocka_unit_test(test_fused_pair_comes_back_when_its_queue_ends_while_it_runs),
		cmocka_unit_test(test_fused_first_is_aborted_at_once_when_it_waits),
		cmocka_unit_test(test_fused_half_fails_when_the_other_is_aborted),
		cmocka_unit_test(test_fused_pair_runs_to_its_end_when_an_abort_comes_too_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
