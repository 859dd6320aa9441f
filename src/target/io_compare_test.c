#include "target/io.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/target/io_fixture.h"

#define FAILURE (NVME_STATUS_COMPARE_FAILURE | DNR)

static void test_compare_finds_the_one_byte_when_it_differs(void **state)
{
	static const struct {
		uint32_t nsid;
		uint32_t bytes;
		uint32_t wrong_at; /* bytes: nothing is wrong */
		uint16_t status;
	} rows[] = {
		{MEMORY, 512, 512, 0},
		{MEMORY, 512, 0, FAILURE},
		{MEMORY, 512, 511, FAILURE},
		{MEMORY, DATA_MAX, DATA_MAX, 0},
		{MEMORY, DATA_MAX, DATA_MAX - 1, FAILURE},
		{FAULTY, 65536 + 512, 65536 + 512, 0},
		{FAULTY, 65536 + 512, 65535, FAILURE},
		{FAULTY, 65536 + 512, 65536, FAILURE},
		{READ_ONLY, 4096, 4096, FAILURE}, /* zeros */
		{BIG_BLOCKS, 4096, 4096, 0},
	};
	static uint8_t data[DATA_MAX];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint32_t block_bytes = fixture.stores[rows[i].nsid - 1]->block_bytes;
		struct nvme_command command =
			blocks(NVME_IO_COMPARE, rows[i].nsid, 3, rows[i].bytes / block_bytes);
		struct fake_exchange exchange = {.data = data, .data_bytes = rows[i].bytes};

		if (rows[i].nsid != READ_ONLY)
			write_letters(&fixture, rows[i].nsid, 3, rows[i].bytes, 'x');
		memset(data, 'x', rows[i].bytes);
		if (rows[i].wrong_at < rows[i].bytes)
			data[rows[i].wrong_at] = 'y';
		assert_int_equal(fake_execute(fixture.io, &command, &exchange), rows[i].status);
	}
	tear_down(&fixture);
}

static void test_scan_is_refused_when_a_field_is_wrong(void **state)
{
	static const struct {
		uint8_t opcode;
		uint32_t nsid;
		uint64_t slba;
		uint32_t count, sgl_bytes;
		uint16_t status;
	} rows[] = {
		{NVME_IO_COMPARE, 9, 0, 1, 512, NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
		{NVME_IO_COMPARE, 1, BLOCKS, 1, 512, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{NVME_IO_COMPARE, 1, 0, 2049, 2049 * 512, NVME_STATUS_INVALID_FIELD | DNR},
		{NVME_IO_COMPARE, 1, 0, 2, 512, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{NVME_IO_VERIFY, 1, 0, 1, 0, 0},
		{NVME_IO_VERIFY, READ_ONLY, BLOCKS - 2048, 2048, 0, 0},
		{NVME_IO_VERIFY, BIG_BLOCKS, 0, 256, 0, 0},
		{NVME_IO_VERIFY, BIG_BLOCKS, 0, 257, 0, NVME_STATUS_INVALID_FIELD | DNR},
		{NVME_IO_VERIFY, 1, 0, 2049, 0, NVME_STATUS_INVALID_FIELD | DNR},
		{NVME_IO_VERIFY, 1, BLOCKS, 1, 0, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{NVME_IO_VERIFY, 9, 0, 1, 0, NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
		{NVME_IO_VERIFY, 1, 0, 1, 512, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
	};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command command =
			blocks(rows[i].opcode, rows[i].nsid, rows[i].slba, rows[i].count);
		struct fake_command *sent;

		command.sgl = nvme_sgl_transport(rows[i].sgl_bytes);
		sent = fake_send_raw(fixture.io, &command, NULL, 0);
		assert_int_equal(fake_wait(sent), rows[i].status);
		fake_command_free(sent);
	}
	tear_down(&fixture);
}

static void test_scan_gives_the_status_when_a_later_part_cannot_be_read(void **state)
{
	static const uint8_t opcodes[] = {NVME_IO_COMPARE, NVME_IO_VERIFY};
	static uint8_t data[200 * 512];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(opcodes); i++) {
		struct nvme_command command = blocks(opcodes[i], FAULTY, 0, 200);
		struct fake_exchange exchange = {0};

		if (opcodes[i] == NVME_IO_COMPARE)
			exchange = (struct fake_exchange){.data = data, .data_bytes = sizeof(data)};
		fixture.fault_after = 1;
		fixture.fault.error = EIO;
		assert_int_equal(fake_execute(fixture.io, &command, &exchange),
			NVME_STATUS_UNRECOVERED_READ_ERROR);
		fixture.fault.error = 0;
		assert_int_equal(fake_execute(fixture.io, &command, &exchange), 0);
	}
	tear_down(&fixture);
}

/* They have one buffer. */
static void test_scans_all_end_when_many_wait_for_each_other(void **state)
{
	static uint8_t data[512];
	struct nvme_command slow = blocks(NVME_IO_COMPARE, FAULTY, 0, 1);
	struct nvme_command fast = blocks(NVME_IO_COMPARE, MEMORY, 0, 1);
	struct fake_command *sent[20];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	fixture.fault.is_held = true;
	for (size_t i = 0; i < ARRAY_LENGTH(sent); i++)
		sent[i] = fake_send(fixture.io, i % 4 ? &fast : &slow, data, sizeof(data));
	assert_int_equal(faulty_store_waiting_count(fixture.faulty), 1);
	for (size_t i = 0; i < ARRAY_LENGTH(sent); i++) {
		assert_false(sent[i]->is_done && i % 4 == 0);
		if (i % 4 == 0)
			faulty_store_release(fixture.faulty);
		assert_int_equal(fake_wait(sent[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(sent); i++)
		fake_command_free(sent[i]);
	tear_down(&fixture);
}

static void test_scans_end_when_their_queue_has_ended_meanwhile(void **state)
{
	struct nvme_command verify = blocks(NVME_IO_VERIFY, FAULTY, 0, 200);
	struct fake_command *sent[3];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	fixture.fault.is_held = true;
	for (size_t i = 0; i < ARRAY_LENGTH(sent); i++)
		sent[i] = fake_send(fixture.io, &verify, NULL, 0);
	fake_connection_close(fixture.io);
	while (!sent[2]->is_done)
		faulty_store_release(fixture.faulty);
	for (size_t i = 0; i < ARRAY_LENGTH(sent); i++) {
		assert_int_equal(fake_wait(sent[i]), 0);
		fake_command_free(sent[i]);
	}
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare_finds_the_one_byte_when_it_differs),
		cmocka_unit_test(test_scan_is_refused_when_a_field_is_wrong),
		cmocka_unit_test(test_scan_gives_the_status_when_a_later_part_cannot_be_read),
		cmocka_unit_test(test_scans_all_end_when_many_wait_for_each_other),
		cmocka_unit_test(test_scans_end_when_their_queue_has_ended_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
