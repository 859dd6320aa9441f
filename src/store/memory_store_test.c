#include "store/memory_store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/store/store_probe.h"

#define SIZE_BYTES (1u << 20)

/* Such stores are done at once and need no loop. */
static int run(struct store *store, struct store_request request)
{
	return store_probe_run(store, NULL, request);
}

static void test_memory_store_reads_back_what_was_written_when_durable_or_not(void **state)
{
	struct store *store;
	uint8_t written[1024], back[1024];

	(void)state;
	assert_int_equal(memory_store_new(SIZE_BYTES, &(struct store_options){0}, &store), 0);
	for (int i = 0; i < 2; i++) {
		struct store_request request = {
			.opcode = STORE_WRITE,
			.is_durable = i == 1,
			.offset = SIZE_BYTES - 1024,
			.bytes = sizeof(written),
			.data = written,
		};

		memset(written, 'a' + i, sizeof(written));
		assert_int_equal(run(store, request), 0);
		assert_int_equal(run(store, (struct store_request){.opcode = STORE_FLUSH}), 0);
		request.opcode = STORE_READ;
		request.data = back;
		assert_int_equal(run(store, request), 0);
		assert_memory_equal(back, written, sizeof(back));
		assert_memory_equal(store->operations->lend(store, request.offset, sizeof(back)),
			written, sizeof(back));
	}
	store_free(store);
}

static void test_memory_store_zeroes_the_range_alone_when_zeroed_or_discarded(void **state)
{
	static const struct {
		enum store_opcode opcode;
		uint32_t offset, bytes;
	} rows[] = {
		{STORE_ZERO, 512, 512},
		{STORE_ZERO, 0, SIZE_BYTES},
		{STORE_ZERO, 3 * 512, 200 * 512},
		{STORE_DISCARD, 4096, 65536},
		{STORE_DISCARD, 512, 128 * 512},
		{STORE_DISCARD, SIZE_BYTES - 129 * 512, 129 * 512},
	};
	uint8_t *data = malloc(SIZE_BYTES);
	struct store *store;

	(void)state;
	assert_int_equal(memory_store_new(SIZE_BYTES, &(struct store_options){0}, &store), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const uint8_t *blocks = store->operations->lend(store, 0, SIZE_BYTES);

		memset(data, 'x', SIZE_BYTES);
		assert_int_equal(run(store,
					 (struct store_request){
						 .opcode = STORE_WRITE,
						 .bytes = SIZE_BYTES,
						 .data = data,
					 }),
			0);
		assert_int_equal(run(store,
					 (struct store_request){
						 .opcode = rows[i].opcode,
						 .offset = rows[i].offset,
						 .bytes = rows[i].bytes,
					 }),
			0);
		memset(data + rows[i].offset, 0, rows[i].bytes);
		assert_memory_equal(blocks, data, SIZE_BYTES);
	}
	store_free(store);
	free(data);
}

static void test_memory_store_is_zeros_when_larger_than_the_machine(void **state)
{
	const uint64_t size_bytes = 1ull << 44;
	static const uint8_t zeros[4096];
	struct store *store;
	uint8_t block[4096];
	const struct store_request request = {
		.opcode = STORE_READ,
		.offset = size_bytes - sizeof(block),
		.bytes = sizeof(block),
		.data = block,
	};

	(void)state;
	/* A sanitizer or a limit may leave less room for addresses. */
	if (memory_store_new(size_bytes, &(struct store_options){0}, &store) != 0)
		skip();
	assert_int_equal(run(store, request), 0);
	assert_memory_equal(block, zeros, sizeof(block));
	store_free(store);
}

static void test_memory_store_is_refused_when_it_cannot_be_addressed(void **state)
{
	struct store *store = NULL;

	(void)state;
	assert_int_equal(memory_store_new(1ull << 62, &(struct store_options){0}, &store), -ENOMEM);
	assert_null(store);
}

static void test_memory_store_refuses_a_write_when_read_only(void **state)
{
	struct store *store;
	uint8_t block[512] = {1};
	struct store_request request = {.opcode = STORE_WRITE, .bytes = 512, .data = block};

	(void)state;
	assert_int_equal(memory_store_new(SIZE_BYTES, &(struct store_options){.is_read_only = true},
				 &store),
		0);
	assert_int_equal(run(store, request), EROFS);
	request.opcode = STORE_ZERO;
	assert_int_equal(run(store, request), EROFS);
	request.opcode = STORE_DISCARD;
	assert_int_equal(run(store, request), EROFS);
	request.opcode = STORE_READ;
	assert_int_equal(run(store, request), 0);
	assert_int_equal(block[0], 0);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_store_reads_back_what_was_written_when_durable_or_not),
		cmocka_unit_test(test_memory_store_zeroes_the_range_alone_when_zeroed_or_discarded),
		cmocka_unit_test(test_memory_store_is_zeros_when_larger_than_the_machine),
		cmocka_unit_test(test_memory_store_is_refused_when_it_cannot_be_addressed),
		cmocka_unit_test(test_memory_store_refuses_a_write_when_read_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
