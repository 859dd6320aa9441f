#include "loop/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "loop/stream.h"

struct fixture {
	struct simulated_clock clock;
	struct loop *loop;
	struct output output;
	unsigned wakes;
};

static void fixture_send(struct loop_task *task)
{
	container_of(task, struct fixture, output.send)->wakes++;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	simulated_clock_init(&fixture->clock, 1000);
	assert_int_equal(loop_new(&(struct loop_options){.clock = &fixture->clock.clock},
				 &fixture->loop),
		0);
	assert_int_equal(output_init(&fixture->output, fixture->loop, fixture_send), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	output_drop(&fixture->output);
	output_deinit(&fixture->output);
	loop_free(fixture->loop);
	free(fixture);
	return 0;
}

struct lease {
	struct stream_lease lease;
	struct output *output; /* to be dropped when it is returned */
	unsigned sent, dropped;
};

static void lease_returned(struct stream_lease *stream_lease, bool is_sent)
{
	struct lease *lease = container_of(stream_lease, struct lease, lease);

	if (is_sent)
		lease->sent++;
	else
		lease->dropped++;
	if (lease->output)
		output_drop(lease->output);
}

static void test_output_merges_puts_when_they_are_neighbours(void **state)
{
	struct fixture *fixture = *state;
	struct output *output = &fixture->output;

	assert_int_equal(output_reserve(output, 100, 8), 0);
	memcpy(output_put(output, 3), "abc", 3);
	memcpy(output_put(output, 2), "de", 2);
	output_lend(output, "FGH", 3, NULL);
	memcpy(output_put(output, 1), "i", 1);
	assert_int_equal(output->piece_count, 3);
	assert_int_equal(output->unsent_bytes, 9);
	assert_memory_equal(output_pieces(output)[0].iov_base, "abcde", 5);
	assert_int_equal(output_pieces(output)[0].iov_len, 5);
	assert_memory_equal(output_pieces(output)[1].iov_base, "FGH", 3);
	assert_memory_equal(output_pieces(output)[2].iov_base, "i", 1);
}

static void test_output_wakes_its_owner_when_it_was_empty(void **state)
{
	struct fixture *fixture = *state;
	struct output *output = &fixture->output;

	assert_int_equal(output_reserve(output, 100, 8), 0);
	(void)output_put(output, 3);
	assert_int_equal(loop_turn(fixture->loop, 0), 0);
	assert_int_equal(fixture->wakes, 1);
	(void)output_put(output, 3);
	assert_int_equal(loop_turn(fixture->loop, 0), 0);
	assert_int_equal(fixture->wakes, 1);
	output_sent(output, 6);
	output_lend(output, "x", 1, NULL);
	assert_int_equal(loop_turn(fixture->loop, 0), 0);
	assert_int_equal(fixture->wakes, 2);
}

static void test_output_has_no_room_when_either_limit_is_met(void **state)
{
	struct fixture *fixture = *state;
	struct output *output = &fixture->output;

	assert_int_equal(output_reserve(output, 10, 2), 0);
	assert_true(output_has_room(output, 10, 2));
	assert_false(output_has_room(output, 11, 1));
	assert_false(output_has_room(output, 0, 3));
	(void)output_put(output, 4);
	assert_true(output_has_room(output, 6, 1));
	assert_false(output_has_room(output, 7, 1));
	output_lend(output, "x", 1, NULL);
	assert_false(output_has_room(output, 0, 1));
	output_sent(output, 3);
	assert_true(output_has_room(output, 9, 0));
	assert_false(output_has_room(output, 0, 1));
	output_sent(output, 2);
	assert_true(output_has_room(output, 10, 2));
}

static void test_output_returns_a_lease_when_all_of_it_is_sent(void **state)
{
	struct fixture *fixture = *state;
	struct output *output = &fixture->output;
	struct lease leases[3] = {
		{.lease.returned = lease_returned},
		{.lease.returned = lease_returned},
		{.lease.returned = lease_returned},
	};

	assert_int_equal(output_reserve(output, 10, 4), 0);
	output_lend(output, "abcd", 4, &leases[0].lease);
	output_lend(output, "efgh", 4, &leases[1].lease);
	output_lend(output, "ijkl", 4, &leases[2].lease);
	output_sent(output, 3);
	assert_int_equal(leases[0].sent, 0);
	output_sent(output, 4);
	assert_int_equal(leases[0].sent, 1);
	assert_int_equal(leases[1].sent, 0);
	assert_memory_equal(output_pieces(output)[0].iov_base, "h", 1);
	output_drop(output);
	assert_int_equal(leases[1].sent, 0);
	assert_int_equal(leases[1].dropped, 1);
	assert_int_equal(leases[2].dropped, 1);
	assert_int_equal(output->unsent_bytes, 0);
}

static void test_output_tells_sent_from_dropped_when_a_lease_drops_the_rest(void **state)
{
	struct fixture *fixture = *state;
	struct output *output = &fixture->output;
	struct lease leases[3] = {
		{.lease.returned = lease_returned, .output = output},
		{.lease.returned = lease_returned},
		{.lease.returned = lease_returned},
	};

	assert_int_equal(output_reserve(output, 10, 4), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(leases); i++)
		output_lend(output, "abcd", 4, &leases[i].lease);
	output_sent(output, 10);
	assert_int_equal(leases[0].sent, 1);
	assert_int_equal(leases[1].sent, 1);
	assert_int_equal(leases[1].dropped, 0);
	assert_int_equal(leases[2].sent, 0);
	assert_int_equal(leases[2].dropped, 1);
	assert_int_equal(output->piece_count, 0);
	assert_int_equal(output->unsent_bytes, 0);
}

#define MODEL_BYTES  (1u << 20)
#define MODEL_ROUNDS 20000

struct model {
	uint8_t bytes[MODEL_BYTES]; /* all that was ever put or lent */
	uint8_t lent[MODEL_BYTES];  /* lent from here, at the place where it belongs */
	size_t put_bytes, sent_bytes;
};

static void model_add(struct model *model, struct output *output, struct random *random)
{
	size_t bytes = 1 + random_below(random, random_below(random, 4) == 0 ? OUTPUT_PUT_MAX : 40);
	bool is_put = random_below(random, 3) > 0;

	if (model->put_bytes + bytes > MODEL_BYTES ||
		!output_has_room(output, is_put ? bytes : 0, 1))
		return;
	for (size_t i = 0; i < bytes; i++)
		model->bytes[model->put_bytes + i] = (uint8_t)random_next(random);
	if (is_put) {
		memcpy(output_put(output, bytes), model->bytes + model->put_bytes, bytes);
	} else {
		memcpy(model->lent + model->put_bytes, model->bytes + model->put_bytes, bytes);
		output_lend(output, model->lent + model->put_bytes, bytes, NULL);
	}
	model->put_bytes += bytes;
}

static void model_check(const struct model *model, const struct output *output)
{
	size_t at = model->sent_bytes;

	for (unsigned i = 0; i < output->piece_count; i++) {
		const struct iovec *piece = output_pieces(output) + i;

		assert_memory_equal(piece->iov_base, model->bytes + at, piece->iov_len);
		at += piece->iov_len;
	}
	assert_int_equal(at, model->put_bytes);
	assert_int_equal(output->unsent_bytes, model->put_bytes - model->sent_bytes);
}

static void test_output_keeps_bytes_in_order_when_they_come_and_go_at_random(void **state)
{
	struct fixture *fixture = *state;
	struct output *output = &fixture->output;
	struct model *model = calloc(1, sizeof(*model));
	struct random random;

	assert_non_null(model);
	random_init(&random, 4711);
	assert_int_equal(output_reserve(output, OUTPUT_PUT_MAX, 4), 0);
	for (unsigned round = 0; round < MODEL_ROUNDS; round++) {
		if (random_below(&random, 3) > 0) {
			model_add(model, output, &random);
		} else if (output->unsent_bytes > 0) {
			size_t bytes = 1 + random_below(&random, output->unsent_bytes);

			output_sent(output, bytes);
			model->sent_bytes += bytes;
		}
		/* Grow in the midst of it, a few times. */
		if (round % 2000 == 1999)
			assert_int_equal(output_reserve(output, OUTPUT_PUT_MAX + round / 20,
						 4 + round / 1000),
				0);
		model_check(model, output);
	}
	assert_true(model->sent_bytes > MODEL_BYTES / 4);
	free(model);
}

static void test_output_tells_its_progress_when_bytes_enter_and_leave(void **state)
{
	struct fixture *fixture = *state;
	struct output *output = &fixture->output;

	assert_int_equal(output_reserve(output, 100, 8), 0);
	fixture->clock.time_ns = 2000;
	(void)output_put(output, 8);
	assert_true(output->progress_ns == 2000);
	fixture->clock.time_ns = 3000;
	(void)output_put(output, 8);
	assert_true(output->progress_ns == 2000);
	output_sent(output, 16);
	assert_true(output->progress_ns == 3000);
}

static void test_output_makes_no_progress_when_less_than_its_share_leaves(void **state)
{
	static const uint8_t bytes[3 * OUTPUT_PROGRESS_BYTES];
	struct fixture *fixture = *state;
	struct output *output = &fixture->output;

	fixture->clock.time_ns = 2000;
	output_lend(output, bytes, sizeof(bytes), NULL);
	fixture->clock.time_ns = 3000;
	output_sent(output, OUTPUT_PROGRESS_BYTES - 1);
	assert_true(output->progress_ns == 2000);
	output_sent(output, 1);
	assert_true(output->progress_ns == 3000);
	fixture->clock.time_ns = 4000;
	output_sent(output, OUTPUT_PROGRESS_BYTES - 1);
	assert_true(output->progress_ns == 3000);
	output_drop(output);
	/* What left before does not count for what comes now. */
	output_lend(output, bytes, sizeof(bytes), NULL);
	fixture->clock.time_ns = 5000;
	output_sent(output, 1);
	assert_true(output->progress_ns == 4000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_output_merges_puts_when_they_are_neighbours,
			setup, teardown),
		cmocka_unit_test_setup_teardown(test_output_wakes_its_owner_when_it_was_empty,
			setup, teardown),
		cmocka_unit_test_setup_teardown(test_output_has_no_room_when_either_limit_is_met,
			setup, teardown),
		cmocka_unit_test_setup_teardown(test_output_returns_a_lease_when_all_of_it_is_sent,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_output_tells_sent_from_dropped_when_a_lease_drops_the_rest, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_output_keeps_bytes_in_order_when_they_come_and_go_at_random, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_output_tells_its_progress_when_bytes_enter_and_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_output_makes_no_progress_when_less_than_its_share_leaves, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
