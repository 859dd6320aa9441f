/*
 * The model must tell right from wrong, or the runs prove nothing.
 */
#include "test/association/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BLOCK_BYTES 512
#define BLOCKS      8

static const struct model_range two = {2, 2};

struct pair {
	uint8_t bytes[2 * BLOCK_BYTES];
};

static bool allows(struct model *model, uint64_t start, const struct pair *data)
{
	uint32_t block;

	return model_allows(model, start, two, data->bytes, &block);
}

/* A write of the two blocks from @start to @end. @return what it wrote. */
static struct pair write_two(struct model *model, uint64_t start, uint64_t end, enum model_end how)
{
	struct pair data;
	uint32_t write = model_begin_write(model, start, 1, two, data.bytes);

	model_end_write(model, end, write, how);
	return data;
}

static void test_model_allows_only_the_last_when_writes_were_acknowledged(void **state)
{
	struct model *model = model_new(BLOCK_BYTES, BLOCKS, 0);
	struct pair zeros = {{0}}, old, new, wrong;

	(void)state;
	assert_true(allows(model, 1, &zeros));
	old = write_two(model, 2, 3, MODEL_ACKNOWLEDGED);
	assert_false(allows(model, 4, &zeros));
	assert_true(allows(model, 4, &old));
	/* A read that began before the write had ended may have come before it. */
	assert_true(allows(model, 2, &zeros));
	new = write_two(model, 5, 6, MODEL_ACKNOWLEDGED);
	assert_true(allows(model, 7, &new));
	assert_false(allows(model, 7, &old));
	for (size_t i = 0; i < sizeof(wrong.bytes); i += 37) {
		wrong = new;
		wrong.bytes[i] ^= 0x10;
		assert_false(allows(model, 7, &wrong));
	}
	/* The blocks of a write in the wrong order. */
	memcpy(wrong.bytes, new.bytes + BLOCK_BYTES, BLOCK_BYTES);
	memcpy(wrong.bytes + BLOCK_BYTES, new.bytes, BLOCK_BYTES);
	assert_false(allows(model, 7, &wrong));
	model_free(model);
}

static void test_model_allows_as_much_as_can_be_when_a_write_was_not_acknowledged(void **state)
{
	static const struct row {
		enum model_end how;
		bool is_old_allowed, is_new_allowed, is_late_allowed;
	} rows[] = {
		{MODEL_ACKNOWLEDGED, false, true, false},
		{MODEL_REFUSED, true, false, false},
		{MODEL_FAILED, true, true, false},
		{MODEL_LOST, true, true, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct model *model = model_new(BLOCK_BYTES, BLOCKS, 0);
		struct pair old = write_two(model, 1, 2, MODEL_ACKNOWLEDGED);
		struct pair new = write_two(model, 3, 4, rows[i].how);
		struct pair mixed = old;

		memcpy(mixed.bytes, new.bytes, 100);
		assert_int_equal(allows(model, 5, &old), rows[i].is_old_allowed);
		assert_int_equal(allows(model, 5, &new), rows[i].is_new_allowed);
		assert_int_equal(allows(model, 5, &mixed),
			rows[i].is_old_allowed && rows[i].is_new_allowed);
		/* What is lost may come later than the next write, until its era has ended. */
		(void)write_two(model, 6, 7, MODEL_ACKNOWLEDGED);
		assert_int_equal(allows(model, 8, &new), rows[i].is_late_allowed);
		model_end_era(model, 9, 2);
		assert_int_equal(allows(model, 10, &new), rows[i].is_late_allowed);
		model_end_era(model, 11, 1);
		(void)write_two(model, 12, 13, MODEL_ACKNOWLEDGED);
		assert_false(allows(model, 14, &new));
		model_free(model);
	}
}

static void test_model_follows_the_sources_when_blocks_were_copied(void **state)
{
	static const struct model_range sources[MODEL_SOURCES] = {{6, 1}, {1, 1}};
	static const struct model_range back[MODEL_SOURCES] = {{2, 1}, {0, 0}};
	struct model *model = model_new(BLOCK_BYTES, BLOCKS, 0);
	struct pair zeros = {{0}}, source, expected = {{0}};
	uint32_t write, copy, block;

	(void)state;
	write = model_begin_write(model, 1, 1, (struct model_range){6, 2}, source.bytes);
	model_end_write(model, 2, write, MODEL_ACKNOWLEDGED);
	copy = model_begin_copy(model, 3, 1, 2, sources);
	memcpy(expected.bytes, source.bytes, BLOCK_BYTES);
	assert_true(allows(model, 4, &zeros));
	assert_true(allows(model, 4, &expected));
	model_end_write(model, 5, copy, MODEL_ACKNOWLEDGED);
	/* What comes to the source later is not in the copy. */
	write = model_begin_write(model, 6, 1, (struct model_range){6, 1}, NULL);
	model_end_write(model, 7, write, MODEL_ACKNOWLEDGED);
	assert_true(allows(model, 8, &expected));
	assert_false(allows(model, 8, &zeros));
	assert_false(allows(model, 8, &source));
	assert_true(model_requires(model, 8, two, expected.bytes));
	/* Two copies at the same time, each of the other's. */
	copy = model_begin_copy(model, 9, 1, 6, back);
	write = model_begin_copy(model, 9, 1, 2, (struct model_range[]){{6, 1}, {0, 0}});
	assert_true(allows(model, 10, &expected));
	assert_true(allows(model, 10, &zeros));
	model_end_write(model, 11, copy, MODEL_ACKNOWLEDGED);
	model_end_write(model, 11, write, MODEL_ACKNOWLEDGED);
	assert_true(model_allows(model, 12, (struct model_range){6, 1}, expected.bytes, &block));
	assert_false(model_allows(model, 12, (struct model_range){6, 1}, source.bytes + BLOCK_BYTES,
		&block));
	assert_int_equal(block, 6);
	model_free(model);
}

static void test_model_requires_nothing_when_a_write_lasts(void **state)
{
	struct model *model = model_new(BLOCK_BYTES, BLOCKS, 0);
	struct pair old = write_two(model, 1, 2, MODEL_ACKNOWLEDGED);
	struct pair new;

	(void)state;
	assert_true(model_requires(model, 3, two, old.bytes));
	(void)model_begin_write(model, 4, 1, two, new.bytes);
	assert_false(model_requires(model, 5, two, old.bytes));
	assert_false(model_requires(model, 5, two, new.bytes));
	model_free(model);
}

static void test_model_has_bad_blocks_when_they_were_marked(void **state)
{
	static const struct model_range none = {0, 2};
	struct model *model = model_new(BLOCK_BYTES, BLOCKS, 0);
	struct pair zeros = {{0}};
	uint32_t mark;

	(void)state;
	assert_false(model_may_be_bad(model, 1, two));
	mark = model_begin_mark(model, 2, 1, (struct model_range){3, 1});
	assert_true(model_may_be_bad(model, 3, two));
	assert_false(model_must_be_bad(model, 3, two));
	assert_true(allows(model, 3, &zeros));
	model_end_write(model, 4, mark, MODEL_ACKNOWLEDGED);
	assert_true(model_must_be_bad(model, 5, two));
	assert_false(allows(model, 5, &zeros));
	assert_false(model_may_be_bad(model, 5, none));
	(void)write_two(model, 6, 7, MODEL_FAILED);
	assert_true(model_may_be_bad(model, 8, two));
	assert_false(model_must_be_bad(model, 8, two));
	(void)write_two(model, 9, 10, MODEL_ACKNOWLEDGED);
	assert_false(model_may_be_bad(model, 11, two));
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model_allows_only_the_last_when_writes_were_acknowledged),
		cmocka_unit_test(
			test_model_allows_as_much_as_can_be_when_a_write_was_not_acknowledged),
		cmocka_unit_test(test_model_follows_the_sources_when_blocks_were_copied),
		cmocka_unit_test(test_model_requires_nothing_when_a_write_lasts),
		cmocka_unit_test(test_model_has_bad_blocks_when_they_were_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
