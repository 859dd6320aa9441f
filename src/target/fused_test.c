#include "target/fused.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/target/fused_pair.h"

#define MISMATCH (NVME_STATUS_COMPARE_FAILURE | DNR)
#define INVALID  (NVME_STATUS_INVALID_FIELD | DNR)
#define FAILED   NVME_STATUS_ABORTED_FAILED_FUSED
#define MISSING  NVME_STATUS_ABORTED_MISSING_FUSED

/* The pair alone */

static void test_fused_writes_when_the_block_compares(void **state)
{
	static const uint32_t nsids[] = {MEMORY, BIG_BLOCKS, FAULTY};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (unsigned i = 0; i < ARRAY_LENGTH(nsids); i++) {
		size_t bytes = fixture.stores[nsids[i] - 1]->block_bytes;
		struct fused_pair pair;

		write_letters(&fixture, nsids[i], FUSED_SLBA - 1, 3 * bytes, 'a');
		pair = fused_pair_send(&fixture, nsids[i], 'a', 'b');
		(void)fake_wait(pair.halves[SECOND]);
		assert_true(pair.halves[FIRST]->done_index < pair.halves[SECOND]->done_index);
		fused_pair_end(&pair, 0, 0);
		fused_assert_block(&fixture, nsids[i], FUSED_SLBA - 1, 'a');
		fused_assert_block(&fixture, nsids[i], FUSED_SLBA, 'b');
		fused_assert_block(&fixture, nsids[i], FUSED_SLBA + 1, 'a');
	}
	tear_down(&fixture);
}

static void test_fused_writes_nothing_when_the_block_differs(void **state)
{
	struct fixture fixture;
	struct fused_pair pair;

	(void)state;
	set_up(&fixture);
	write_letters(&fixture, MEMORY, FUSED_SLBA, 512, 'a');
	pair = fused_pair_send(&fixture, MEMORY, 'x', 'b');
	(void)fake_wait(pair.halves[SECOND]);
	assert_true(pair.halves[FIRST]->done_index < pair.halves[SECOND]->done_index);
	fused_pair_end(&pair, MISMATCH, FAILED);
	fused_assert_block(&fixture, MEMORY, FUSED_SLBA, 'a');
	fused_assert_works(&fixture);
	tear_down(&fixture);
}

static void test_fused_write_is_durable_when_fua_is_set(void **state)
{
	struct nvme_command write = fused_half_of(NVME_IO_WRITE, NVME_FLAGS_FUSE_SECOND, FAULTY);
	struct fixture fixture;
	struct fused_pair pair;

	(void)state;
	set_up(&fixture);
	pair.halves[FIRST] = fused_send_first(&fixture, FAULTY, 0);
	nvme_command_set_range(&write, FUSED_SLBA, 1, NVME_IO_FUA);
	pair.halves[SECOND] = fused_send(&fixture, &write, 'b');
	fused_pair_end(&pair, 0, 0);
	assert_int_equal(fixture.was.opcode, STORE_WRITE);
	assert_true(fixture.was.is_durable);
	tear_down(&fixture);
}

static void test_fused_pair_ends_when_the_store_fails(void **state)
{
	static const struct {
		unsigned fault_after;
		uint16_t first, second;
	} rows[] = {
		{0, NVME_STATUS_UNRECOVERED_READ_ERROR, FAILED},
		{1, 0, NVME_STATUS_WRITE_FAULT}, /* NVM 1.0, 2.1.3.1: Compare is unaffected */
	};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (unsigned i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct fused_pair pair;

		fixture.fault_after = rows[i].fault_after;
		fixture.fault.error = EIO;
		pair = fused_pair_send(&fixture, FAULTY, 0, 'b');
		fused_pair_end(&pair, rows[i].first, rows[i].second);
		fixture.fault.error = 0;
		fused_assert_block(&fixture, FAULTY, FUSED_SLBA, 0);
		fused_assert_works(&fixture);
	}
	tear_down(&fixture);
}

static void test_fused_pair_fails_when_its_block_is_marked_bad(void **state)
{
	struct nvme_command mark = blocks(NVME_IO_WRITE_UNCORRECTABLE, MEMORY, FUSED_SLBA, 1);
	struct fixture fixture;
	struct fused_pair pair;

	(void)state;
	set_up(&fixture);
	assert_int_equal(fake_command(fixture.io, &mark, NULL), 0);
	pair = fused_pair_send(&fixture, MEMORY, 0, 'b');
	fused_pair_end(&pair, NVME_STATUS_UNRECOVERED_READ_ERROR | DNR, FAILED);
	fused_assert_works(&fixture);
	tear_down(&fixture);
}

/* Pairing */

struct half_row {
	uint8_t opcode, fuse;
	uint32_t nsid;
	uint64_t slba;
	uint32_t block_count;
	uint16_t status;
};

static void test_fused_half_ends_when_the_other_is_not_its_own(void **state)
{
	enum { ONE = NVME_FLAGS_FUSE_FIRST, TWO = NVME_FLAGS_FUSE_SECOND, BOTH = ONE | TWO };
	enum { C = NVME_IO_COMPARE, W = NVME_IO_WRITE, R = NVME_IO_READ, RESERVED = 0x7e };
	static const uint16_t end = NVME_STATUS_LBA_OUT_OF_RANGE | DNR;
	static const struct {
		const char *name;
		struct half_row first, second;
	} rows[] = {
		{"not fused", {C, ONE, 1, 7, 1, MISSING}, {W, 0, 1, 7, 1, 0}},
		{"unknown", {C, ONE, 1, 7, 1, MISSING},
			{RESERVED, 0, 1, 7, 1, NVME_STATUS_INVALID_OPCODE | DNR}},
		{"reserved FUSE", {C, ONE, 1, 7, 1, MISSING}, {W, BOTH, 1, 7, 1, INVALID}},
		{"other FUSED_SLBA", {C, ONE, 1, 7, 1, INVALID}, {W, TWO, 1, 8, 1, INVALID}},
		{"other NLB", {C, ONE, 1, 7, 1, INVALID}, {W, TWO, 1, 7, 2, INVALID}},
		{"other NSID", {C, ONE, 1, 7, 1, INVALID}, {W, TWO, 4, 7, 1, INVALID}},
		{"Compare second", {C, ONE, 1, 7, 1, FAILED}, {C, TWO, 1, 7, 1, INVALID}},
		{"Zeroes second", {C, ONE, 1, 7, 1, FAILED},
			{NVME_IO_WRITE_ZEROES, TWO, 1, 7, 1,
				NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR}},
		{"Write first", {W, ONE, 1, 7, 1, INVALID}, {W, TWO, 1, 7, 1, FAILED}},
		{"Read first", {R, ONE, 1, 7, 1, NVME_STATUS_INVALID_SGL_TYPE | DNR},
			{W, TWO, 1, 7, 1, FAILED}},
		{"over ACWU", {C, ONE, 1, 7, 2, NVME_STATUS_ATOMIC_WRITE_UNIT_EXCEEDED | DNR},
			{W, TWO, 1, 7, 2, FAILED}},
		{"past the end", {C, ONE, 1, BLOCKS, 1, end}, {W, TWO, 1, BLOCKS, 1, FAILED}},
		{"no namespace", {C, ONE, 9, 7, 1, NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
			{W, TWO, 9, 7, 1, FAILED}},
		{"read-only", {C, ONE, READ_ONLY, 7, 1, FAILED},
			{W, TWO, READ_ONLY, 7, 1, NVME_STATUS_NAMESPACE_WRITE_PROTECTED | DNR}},
		{"no first", {W, 0, 1, 7, 1, 0}, {W, TWO, 1, 7, 1, MISSING}},
		{"a second after a pair that failed", {C, TWO, 1, 7, 1, MISSING},
			{W, TWO, 1, 7, 1, MISSING}},
	};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (unsigned i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct half_row *halves[] = {&rows[i].first, &rows[i].second};
		struct fake_command *sent[2];

		for (unsigned j = 0; j < 2; j++) {
			struct nvme_command command = blocks(halves[j]->opcode, halves[j]->nsid,
				halves[j]->slba, halves[j]->block_count);

			command.flags |= halves[j]->fuse;
			sent[j] = fused_send(&fixture, &command, 'z');
		}
		for (unsigned j = 0; j < 2; j++) {
			if (fake_wait(sent[j]) != halves[j]->status)
				fail_msg("%s: half %u ended with %03x", rows[i].name, j,
					sent[j]->status);
			fake_command_free(sent[j]);
		}
		fused_assert_works(&fixture);
	}
	tear_down(&fixture);
}

static void test_fused_first_is_missed_when_another_first_follows(void **state)
{
	struct fixture fixture;
	struct fake_command *first;
	struct fused_pair pair;

	(void)state;
	set_up(&fixture);
	first = fused_send_first(&fixture, MEMORY, 0);
	fused_turn(&fixture);
	assert_false(first->is_done);
	pair = fused_pair_send(&fixture, MEMORY, 0, 'b');
	assert_true(first->is_done);
	assert_int_equal(first->status, MISSING);
	fake_command_free(first);
	fused_pair_end(&pair, 0, 0);
	tear_down(&fixture);
}

static void test_fused_half_is_refused_when_psdt_or_the_queue_is_wrong(void **state)
{
	struct nvme_command identify = fake_command_of(NVME_ADMIN_IDENTIFY, 0);
	struct nvme_command compare = fused_half_of(NVME_IO_COMPARE, NVME_FLAGS_FUSE_FIRST, MEMORY);
	struct fixture fixture;
	struct fused_pair pair;

	(void)state;
	set_up(&fixture);
	for (uint8_t fuse = 1; fuse <= 3; fuse++) {
		identify.flags = (uint8_t)(NVME_FLAGS_PSDT_SGL | fuse);
		assert_int_equal(fake_command(fixture.admin, &identify, NULL), INVALID);
	}
	compare.flags = NVME_FLAGS_FUSE_FIRST;
	pair.halves[FIRST] = fused_send(&fixture, &compare, 'a');
	pair.halves[SECOND] = fused_send_second(&fixture, MEMORY, 'b');
	fused_pair_end(&pair, INVALID, FAILED);
	fused_assert_works(&fixture);
	tear_down(&fixture);
}

static void test_fused_half_that_waits_for_data_keeps_its_fate_when_the_other_fails(void **state)
{
	struct nvme_command other = fused_half_of(NVME_IO_WRITE, NVME_FLAGS_FUSE_SECOND, MEMORY);
	struct fixture fixture;
	struct fused_pair pair;

	(void)state;
	set_up(&fixture);
	fixture.io->is_data_held = true;
	pair.halves[FIRST] = fused_send_first(&fixture, MEMORY, 0);
	nvme_command_set_slba(&other, FUSED_SLBA + 1);
	pair.halves[SECOND] = fused_send(&fixture, &other, 'b');
	assert_false(pair.halves[FIRST]->is_done);
	fake_data_arrives(pair.halves[FIRST]);
	fixture.io->is_data_held = false;
	fused_pair_end(&pair, INVALID, INVALID);
	tear_down(&fixture);
}

static void test_fused_pairs_run_when_data_comes_in_any_order(void **state)
{
	static const unsigned orders[][4] = {{0, 1, 2, 3}, {1, 0, 3, 2}, {3, 2, 1, 0},
		{2, 1, 3, 0}};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (unsigned i = 0; i < ARRAY_LENGTH(orders); i++) {
		struct fake_command *sent[4];
		struct fused_pair pair;

		write_letters(&fixture, FAULTY, FUSED_SLBA, 512, 'a');
		fixture.io->is_data_held = true;
		for (unsigned j = 0; j < 2; j++) {
			/* The second pair writes what the first, if it is the first, leaves. */
			pair = fused_pair_send(&fixture, FAULTY, 'a', 'a');
			memcpy(&sent[2 * j], pair.halves, sizeof(pair.halves));
		}
		for (unsigned j = 0; j < 4; j++)
			fake_data_arrives(sent[orders[i][j]]);
		fixture.io->is_data_held = false;
		for (unsigned j = 0; j < 4; j++) {
			assert_int_equal(fake_wait(sent[j]), 0);
			fake_command_free(sent[j]);
		}
	}
	tear_down(&fixture);
}

static void test_fused_compare_is_refused_when_too_many_are_there(void **state)
{
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (unsigned i = 0; i < 2; i++) {
		struct fused_pair pairs[FUSED_PAIRS_MAX], last;

		fixture.io->is_data_held = true;
		for (unsigned j = 0; j < FUSED_PAIRS_MAX; j++)
			pairs[j] = fused_pair_send(&fixture, MEMORY, 0, 0);
		last = fused_pair_send(&fixture, MEMORY, 0, 'b');
		fused_pair_end(&last, NVME_STATUS_INTERNAL_ERROR, FAILED);
		fixture.io->is_data_held = false;
		for (unsigned j = 0; j < FUSED_PAIRS_MAX; j++) {
			if (i == 0) {
				fake_abandon(pairs[j].halves[FIRST]);
			} else {
				fake_data_arrives(pairs[j].halves[FIRST]);
			}
			fake_data_arrives(pairs[j].halves[SECOND]);
			fused_pair_end(&pairs[j], 0, i == 0 ? FAILED : 0);
		}
	}
	fused_assert_works(&fixture);
	tear_down(&fixture);
}

/* The transport's are for all, and a half may have to wait for long. */
static void test_fused_half_has_its_data_in_no_buffer_when_it_waits(void **state)
{
	struct fixture fixture;
	struct fused_pair pair;

	(void)state;
	set_up(&fixture);
	pair.halves[FIRST] = fused_send_first(&fixture, MEMORY, 0);
	assert_ptr_not_equal(pair.halves[FIRST]->request->data, pair.halves[FIRST]->data);
	fixture.io->is_data_held = true;
	pair.halves[SECOND] = fused_send_second(&fixture, MEMORY, 'b');
	assert_non_null(pair.halves[SECOND]->request->data);
	assert_ptr_not_equal(pair.halves[SECOND]->request->data, pair.halves[SECOND]->data);
	fake_data_arrives(pair.halves[SECOND]);
	fused_pair_end(&pair, 0, 0);
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fused_writes_when_the_block_compares),
		cmocka_unit_test(test_fused_writes_nothing_when_the_block_differs),
		cmocka_unit_test(test_fused_write_is_durable_when_fua_is_set),
		cmocka_unit_test(test_fused_pair_ends_when_the_store_fails),
		cmocka_unit_test(test_fused_pair_fails_when_its_block_is_marked_bad),
		cmocka_unit_test(test_fused_half_ends_when_the_other_is_not_its_own),
		cmocka_unit_test(test_fused_first_is_missed_when_another_first_follows),
		cmocka_unit_test(test_fused_half_is_refused_when_psdt_or_the_queue_is_wrong),
		cmocka_unit_test(
			test_fused_half_that_waits_for_data_keeps_its_fate_when_the_other_fails),
		cmocka_unit_test(test_fused_pairs_run_when_data_comes_in_any_order),
		cmocka_unit_test(test_fused_compare_is_refused_when_too_many_are_there),
		cmocka_unit_test(test_fused_half_has_its_data_in_no_buffer_when_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
