#include "target/io.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/feature.h"
#include "nvme/identify.h"
#include "nvme/log_page.h"
#include "test/target/io_fixture.h"

static void test_io_reads_what_was_written_when_sizes_differ(void **state)
{
	static const struct {
		uint32_t nsid, block_bytes, count;
		uint64_t slba;
	} rows[] = {
		{MEMORY, 512, 1, 0},
		{MEMORY, 512, 16, 3},
		{MEMORY, 512, 2048, BLOCKS - 2048},
		{BIG_BLOCKS, 4096, 1, 1023},
		{BIG_BLOCKS, 4096, 256, 7},
		{FAULTY, 512, 33, 100},
	};
	struct fixture fixture;
	uint8_t *written = malloc(DATA_MAX), *read = malloc(DATA_MAX);

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		size_t bytes = (size_t)rows[i].block_bytes * rows[i].count;
		struct nvme_command command =
			blocks(NVME_IO_WRITE, rows[i].nsid, rows[i].slba, rows[i].count);
		struct fake_exchange exchange = {.data = written, .data_bytes = bytes};

		for (size_t at = 0; at < bytes; at++)
			written[at] = (uint8_t)(at * 31 + at / 256 + i);
		assert_int_equal(fake_execute(fixture.io, &command, &exchange), 0);
		command.opcode = NVME_IO_READ;
		exchange = (struct fake_exchange){.ret_data = read, .data_bytes = bytes};
		assert_int_equal(fake_execute(fixture.io, &command, &exchange), 0);
		assert_memory_equal(written, read, bytes);
	}
	tear_down(&fixture);
	free(written);
	free(read);
}

static void test_io_is_refused_when_a_field_is_wrong(void **state)
{
	static const struct {
		uint8_t opcode;
		uint8_t flags;
		uint32_t nsid;
		uint64_t slba;
		uint32_t count;
		uint32_t sgl_bytes;
		uint16_t status;
	} rows[] = {
		{NVME_IO_READ, 0x40, 1, 0, 1, 512, 0},
		{NVME_IO_READ, 0x80, 1, BLOCKS - 1, 1, 512, 0},
		{NVME_IO_READ, 0x00, 1, 0, 1, 512, NVME_STATUS_INVALID_FIELD | DNR},
		{NVME_IO_READ, 0xc0, 1, 0, 1, 512, NVME_STATUS_INVALID_FIELD | DNR},
		{NVME_IO_READ, 0x41, 1, 0, 1, 512, NVME_STATUS_INVALID_FIELD | DNR},
		{NVME_IO_READ, 0x40, 0, 0, 1, 512, NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
		{NVME_IO_READ, 0x40, 5, 0, 1, 512, NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
		{NVME_IO_READ, 0x40, 0xffffffff, 0, 1, 512,
			NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
		{NVME_IO_WRITE, 0x40, 5, 0, 1, 512, NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
		{NVME_IO_WRITE, 0x40, READ_ONLY, 0, 1, 512,
			NVME_STATUS_NAMESPACE_WRITE_PROTECTED | DNR},
		{NVME_IO_WRITE, 0x40, READ_ONLY, BLOCKS, 1, 512,
			NVME_STATUS_NAMESPACE_WRITE_PROTECTED | DNR},
		{NVME_IO_READ, 0x40, 1, BLOCKS, 1, 512, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{NVME_IO_READ, 0x40, 1, BLOCKS - 1, 2, 1024, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{NVME_IO_WRITE, 0x40, 1, UINT64_MAX, 1, 512, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{NVME_IO_READ, 0x40, 1, UINT64_MAX, 65536, 512, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{NVME_IO_READ, 0x40, BIG_BLOCKS, 1024, 1, 4096, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{NVME_IO_READ, 0x40, 1, 0, 2049, 2049 * 512, NVME_STATUS_INVALID_FIELD | DNR},
		{NVME_IO_READ, 0x40, 1, 0, 2, 512, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{NVME_IO_READ, 0x40, 1, 0, 1, 1024, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{NVME_IO_FLUSH, 0x40, 5, 0, 1, 0, NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
		{NVME_IO_FLUSH, 0x40, 1, 0, 1, 512, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{0x03, 0x40, 1, 0, 1, 0, NVME_STATUS_INVALID_OPCODE | DNR},
		{0xff, 0x40, 1, 0, 1, 512, NVME_STATUS_INVALID_OPCODE | DNR},
		{NVME_IO_FABRICS, 0x40, NVME_FABRICS_PROPERTY_GET, 0, 1, 0,
			NVME_STATUS_INVALID_OPCODE | DNR},
		{NVME_IO_FABRICS, 0x40, 0xff, 0, 1, 0, NVME_STATUS_INVALID_OPCODE | DNR},
	};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command command =
			blocks(rows[i].opcode, rows[i].nsid, rows[i].slba, rows[i].count);
		struct fake_command *sent;

		command.flags = rows[i].flags;
		command.sgl = nvme_sgl_transport(rows[i].sgl_bytes);
		sent = fake_send_raw(fixture.io, &command, NULL, 0);
		assert_int_equal(fake_wait(sent), rows[i].status);
		fake_command_free(sent);
	}
	tear_down(&fixture);
}

static void test_io_takes_data_from_the_capsule_when_it_is_small_enough(void **state)
{
	static const struct {
		uint8_t opcode;
		uint32_t count;
		uint16_t status;
	} rows[] = {
		{NVME_IO_WRITE, 32, 0}, /* 16 KiB, as IOCCSZ says */
		{NVME_IO_WRITE, 33, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{NVME_IO_READ, 1, NVME_STATUS_INVALID_SGL_TYPE | DNR},
	};
	static uint8_t data[33 * 512];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint32_t bytes = rows[i].count * 512;
		struct nvme_command command = blocks(rows[i].opcode, 1, 0, rows[i].count);
		struct fake_command *sent;

		command.sgl = nvme_sgl_in_capsule(0, bytes);
		sent = fake_send_raw(fixture.io, &command, data, bytes);
		assert_int_equal(fake_wait(sent), rows[i].status);
		fake_command_free(sent);
	}
	tear_down(&fixture);
}

static void test_io_gives_the_status_when_the_store_fails(void **state)
{
	static const struct {
		int error;
		uint8_t opcode;
		uint16_t status;
	} rows[] = {
		{0, NVME_IO_READ, 0},
		{EIO, NVME_IO_READ, NVME_STATUS_UNRECOVERED_READ_ERROR},
		{EIO, NVME_IO_WRITE, NVME_STATUS_WRITE_FAULT},
		{EIO, NVME_IO_FLUSH, NVME_STATUS_WRITE_FAULT | DNR},
		{ENODATA, NVME_IO_READ, NVME_STATUS_UNRECOVERED_READ_ERROR | DNR},
		{ENOSPC, NVME_IO_WRITE, NVME_STATUS_CAPACITY_EXCEEDED | DNR},
		{EDQUOT, NVME_IO_WRITE, NVME_STATUS_CAPACITY_EXCEEDED | DNR},
		{EROFS, NVME_IO_WRITE, NVME_STATUS_NAMESPACE_WRITE_PROTECTED | DNR},
		{EPERM, NVME_IO_WRITE, NVME_STATUS_NAMESPACE_WRITE_PROTECTED | DNR},
		{ENOMEM, NVME_IO_WRITE, NVME_STATUS_INTERNAL_ERROR},
		{EAGAIN, NVME_IO_READ, NVME_STATUS_INTERNAL_ERROR},
		{ENXIO, NVME_IO_READ, NVME_STATUS_INTERNAL_ERROR | DNR},
	};
	static uint8_t data[512];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command command = blocks(rows[i].opcode, FAULTY, 0, 1);
		struct fake_exchange exchange = {
			.data = rows[i].opcode == NVME_IO_WRITE ? data : NULL,
			.data_bytes = rows[i].opcode == NVME_IO_FLUSH ? 0 : 512,
		};

		fixture.fault.error = rows[i].error;
		assert_int_equal(fake_execute(fixture.io, &command, &exchange), rows[i].status);
	}
	tear_down(&fixture);
}

static void test_io_writes_durably_when_fua_is_set_or_the_cache_is_off(void **state)
{
	static uint8_t data[512];
	struct nvme_command command = blocks(NVME_IO_WRITE, FAULTY, 0, 1);
	struct nvme_command cache = fake_command_of(NVME_ADMIN_SET_FEATURES, 0);
	struct fixture fixture;
	struct fake_exchange exchange = {.data = data, .data_bytes = 512};

	(void)state;
	set_up(&fixture);
	assert_int_equal(fake_execute(fixture.io, &command, &exchange), 0);
	assert_false(fixture.was.is_durable);
	nvme_command_set_range(&command, 0, 1, NVME_IO_FUA);
	assert_int_equal(fake_execute(fixture.io, &command, &exchange), 0);
	assert_true(fixture.was.is_durable);
	nvme_command_set_feature(&cache, NVME_FEATURE_VOLATILE_WRITE_CACHE, 0);
	assert_int_equal(fake_command(fixture.admin, &cache, NULL), 0);
	fixture.was.is_durable = false;
	nvme_command_set_range(&command, 0, 1, 0);
	assert_int_equal(fake_execute(fixture.io, &command, &exchange), 0);
	assert_true(fixture.was.is_durable);
	tear_down(&fixture);
}

static void test_io_flushes_all_when_the_nsid_is_broadcast(void **state)
{
	struct nvme_command command = fake_command_of(NVME_IO_FLUSH, NVME_NSID_BROADCAST);
	struct fixture fixture;
	struct fake_command *sent;

	(void)state;
	set_up(&fixture);
	fixture.fault.is_held = true;
	sent = fake_send(fixture.io, &command, NULL, 0);
	assert_false(sent->is_done);
	assert_int_equal(faulty_store_submitted_count(fixture.faulty, STORE_FLUSH), 1);
	faulty_store_release(fixture.faulty);
	assert_int_equal(fake_wait(sent), 0);
	fake_command_free(sent);
	fixture.fault = (struct fault){.error = EIO};
	assert_int_equal(fake_command(fixture.io, &command, NULL), NVME_STATUS_WRITE_FAULT | DNR);
	tear_down(&fixture);
}

static void test_io_completes_out_of_order_when_a_store_is_slow(void **state)
{
	struct nvme_command slow = blocks(NVME_IO_READ, FAULTY, 0, 1);
	struct nvme_command fast = blocks(NVME_IO_READ, MEMORY, 0, 1);
	struct fake_command *first, *second;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	fixture.fault.is_held = true;
	first = fake_send(fixture.io, &slow, NULL, 512);
	second = fake_send(fixture.io, &fast, NULL, 512);
	assert_true(second->is_done);
	assert_false(first->is_done);
	faulty_store_release(fixture.faulty);
	assert_int_equal(fake_wait(first), 0);
	fake_command_free(first);
	fake_command_free(second);
	tear_down(&fixture);
}

static void test_io_is_aborted_when_the_queue_has_ended(void **state)
{
	struct nvme_command read = blocks(NVME_IO_READ, FAULTY, 0, 1);
	struct fixture fixture;
	struct fake_command *held, *late;

	(void)state;
	set_up(&fixture);
	fixture.fault.is_held = true;
	held = fake_send(fixture.io, &read, NULL, 512);
	fake_connection_close(fixture.io);
	late = fake_send(fixture.io, &read, NULL, 512);
	assert_int_equal(fake_wait(late), NVME_STATUS_ABORTED_SQ_DELETION);
	fake_command_free(late);
	faulty_store_release(fixture.faulty);
	assert_int_equal(fake_wait(held), 0);
	fake_command_free(held);
	tear_down(&fixture);
}

static void test_io_advertises_what_it_has_when_asked(void **state)
{
	static const struct {
		uint8_t opcode;
		uint32_t effects;
		uint16_t oncs;
	} rows[] = {
		{NVME_IO_FLUSH, NVME_EFFECTS_SUPPORTED, 0},
		{NVME_IO_WRITE, NVME_EFFECTS_SUPPORTED | NVME_EFFECTS_LBA_CONTENT, 0},
		{NVME_IO_READ, NVME_EFFECTS_SUPPORTED, 0},
		{NVME_IO_WRITE_UNCORRECTABLE, NVME_EFFECTS_SUPPORTED | NVME_EFFECTS_LBA_CONTENT,
			NVME_ONCS_WRITE_UNCORRECTABLE},
		{NVME_IO_COMPARE, NVME_EFFECTS_SUPPORTED, NVME_ONCS_COMPARE},
		{NVME_IO_WRITE_ZEROES, NVME_EFFECTS_SUPPORTED | NVME_EFFECTS_LBA_CONTENT,
			NVME_ONCS_WRITE_ZEROES},
		{NVME_IO_DATASET_MANAGEMENT, NVME_EFFECTS_SUPPORTED | NVME_EFFECTS_LBA_CONTENT,
			NVME_ONCS_DATASET_MANAGEMENT},
		{NVME_IO_VERIFY, NVME_EFFECTS_SUPPORTED, NVME_ONCS_VERIFY},
		{NVME_IO_COPY, NVME_EFFECTS_SUPPORTED | NVME_EFFECTS_LBA_CONTENT, NVME_ONCS_COPY},
	};
	uint32_t effects[256] = {0};
	uint16_t oncs = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		effects[rows[i].opcode] = rows[i].effects;
		oncs |= rows[i].oncs;
	}
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(io_effects((uint8_t)i), effects[i]);
	assert_int_equal(io_oncs(), oncs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io_reads_what_was_written_when_sizes_differ),
		cmocka_unit_test(test_io_is_refused_when_a_field_is_wrong),
		cmocka_unit_test(test_io_takes_data_from_the_capsule_when_it_is_small_enough),
		cmocka_unit_test(test_io_gives_the_status_when_the_store_fails),
		cmocka_unit_test(test_io_writes_durably_when_fua_is_set_or_the_cache_is_off),
		cmocka_unit_test(test_io_flushes_all_when_the_nsid_is_broadcast),
		cmocka_unit_test(test_io_completes_out_of_order_when_a_store_is_slow),
		cmocka_unit_test(test_io_is_aborted_when_the_queue_has_ended),
		cmocka_unit_test(test_io_advertises_what_it_has_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
