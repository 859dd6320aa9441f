#include "store/null_store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "test/store/store_probe.h"

#define SIZE_BYTES (1ull << 50)

static void test_null_store_reads_zeros_when_written_to(void **state)
{
	static const uint8_t zeros[4096];
	struct store *store;
	uint8_t block[4096];
	struct store_request request = {
		.opcode = STORE_WRITE,
		.offset = SIZE_BYTES - sizeof(block),
		.bytes = sizeof(block),
		.data = block,
	};

	(void)state;
	assert_int_equal(null_store_new(SIZE_BYTES, &(struct store_options){0}, &store), 0);
	memset(block, 'x', sizeof(block));
	assert_int_equal(store_probe_run(store, NULL, request), 0);
	request.opcode = STORE_ZERO;
	assert_int_equal(store_probe_run(store, NULL, request), 0);
	request.opcode = STORE_DISCARD;
	assert_int_equal(store_probe_run(store, NULL, request), 0);
	request.opcode = STORE_FLUSH;
	assert_int_equal(store_probe_run(store, NULL, request), 0);
	request.opcode = STORE_READ;
	assert_int_equal(store_probe_run(store, NULL, request), 0);
	assert_memory_equal(block, zeros, sizeof(block));
	store_free(store);
}

static void test_null_store_lends_zeros_when_as_much_as_possible_is_read(void **state)
{
	struct store *store;
	const uint8_t *lent;
	unsigned sum = 0;

	(void)state;
	assert_int_equal(null_store_new(SIZE_BYTES, &(struct store_options){0}, &store), 0);
	lent = store->operations->lend(store, SIZE_BYTES - STORE_BYTES_MAX, STORE_BYTES_MAX);
	for (size_t i = 0; i < STORE_BYTES_MAX; i++)
		sum += lent[i];
	assert_int_equal(sum, 0);
	store_free(store);
}

static void test_null_store_refuses_a_write_when_read_only(void **state)
{
	struct store *store;
	uint8_t block[512] = {0};
	const struct store_request request = {.opcode = STORE_WRITE, .bytes = 512, .data = block};

	(void)state;
	assert_int_equal(null_store_new(SIZE_BYTES, &(struct store_options){.is_read_only = true},
				 &store),
		0);
	assert_int_equal(store_probe_run(store, NULL, request), EROFS);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_null_store_reads_zeros_when_written_to),
		cmocka_unit_test(test_null_store_lends_zeros_when_as_much_as_possible_is_read),
		cmocka_unit_test(test_null_store_refuses_a_write_when_read_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
