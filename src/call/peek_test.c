/*
 * Looking at memory that may not be there.
 */
#include "call/peek.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/call/edge.h"
#include "test/seccomp/refusal.h"

static void test_peek_copies_when_memory_is_there(void **state)
{
	char to[4] = "xyz";
	struct edge edge;

	(void)state;
	edge_init(&edge);
	assert_int_equal(call_peek(to, edge_put(&edge, "abc", 3), 3), 0);
	assert_string_equal(to, "abc");
	assert_int_equal(call_peek(to, 1, 0), 0);
	edge_deinit(&edge);
}

static void test_peek_fails_when_memory_is_not_there(void **state)
{
	char to[4];
	struct edge edge;
	const uint64_t addresses[] = {0, 1, 8, UINT64_MAX, UINT64_MAX - 3, 1ull << 63, 1ull << 47};

	(void)state;
	edge_init(&edge);
	for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++)
		assert_int_equal(call_peek(to, addresses[i], 4), -EFAULT);
	assert_int_equal(call_peek(to, (uintptr_t)edge.end, 1), -EFAULT);
	assert_int_equal(call_peek(to, (uintptr_t)edge.end - 3, 4), -EFAULT);
	edge_deinit(&edge);
}

static void test_string_is_measured_when_it_ends_in_time(void **state)
{
	static const size_t lengths[] = {0, 1, 254, 255, 256, 257, 1000, 4094};
	struct edge edge;

	(void)state;
	edge_init(&edge);
	for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
		size_t bytes = lengths[i] + 1, measured = 0;
		uint8_t *at = edge.end - bytes;

		/* At the very end of memory, and in the midst of it. */
		memset(edge.page, 'x', edge.page_bytes);
		edge.end[-1] = '\0';
		assert_int_equal(call_peek_string((uintptr_t)at, 4096, &measured), 0);
		assert_int_equal(measured, bytes);
		edge.page[lengths[i]] = '\0';
		assert_int_equal(call_peek_string((uintptr_t)edge.page, 4096, &measured), 0);
		assert_int_equal(measured, bytes);
	}
	edge_deinit(&edge);
}

static void test_string_has_its_limit_when_it_does_not_end(void **state)
{
	static const size_t limits[] = {0, 1, 256, 1000, 4096};
	struct edge edge;

	(void)state;
	edge_init(&edge);
	memset(edge.page, 'x', edge.page_bytes);
	for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
		size_t measured = 77;

		assert_int_equal(call_peek_string((uintptr_t)(edge.end - limits[i]), limits[i],
					 &measured),
			0);
		assert_int_equal(measured, limits[i]);
		assert_int_equal(call_peek_string((uintptr_t)(edge.end - limits[i]), limits[i] + 1,
					 &measured),
			-EFAULT);
	}
	edge_deinit(&edge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peek_copies_when_memory_is_there),
		cmocka_unit_test(test_peek_fails_when_memory_is_not_there),
		cmocka_unit_test(test_string_is_measured_when_it_ends_in_time),
		cmocka_unit_test(test_string_has_its_limit_when_it_does_not_end),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	/* The same where the kernel does not copy. */
	if (refuse_peeking(EPERM) != 0)
		return failed;
	return failed + cmocka_run_group_tests_name("refused", tests, NULL, NULL);
}
