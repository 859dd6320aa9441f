#include "target/io.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/feature.h"
#include "test/target/io_fixture.h"

static void test_write_zeroes_gives_the_status_when_fields_vary(void **state)
{
	static const struct {
		uint32_t nsid;
		uint64_t slba;
		uint32_t count, sgl_bytes;
		uint8_t flags;
		uint16_t status;
	} rows[] = {
		{MEMORY, 0, 1, 0, 0x40, 0},
		{MEMORY, 0, BLOCKS, 0, 0x40, 0},
		{MEMORY, BLOCKS - 1, 1, 0, 0x40, 0},
		{BIG_BLOCKS, 0, 1024, 0, 0x40, 0},
		{MEMORY, BLOCKS, 1, 0, 0x40, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, 0, 65536, 0, 0x40, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, UINT64_MAX, 2, 0, 0x40, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, 0, 1, 512, 0x40, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{MEMORY, 0, 1, 0, 0x41, NVME_STATUS_INVALID_FIELD | DNR},
		{READ_ONLY, 0, 1, 0, 0x40, NVME_STATUS_NAMESPACE_WRITE_PROTECTED | DNR},
		{NAMESPACE_COUNT + 1, 0, 1, 0, 0x40, NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
		{UINT32_MAX, 0, 1, 0, 0x40, NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
	};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command command =
			blocks(NVME_IO_WRITE_ZEROES, rows[i].nsid, rows[i].slba, rows[i].count);
		struct fake_command *sent;

		command.flags = rows[i].flags;
		command.sgl = nvme_sgl_transport(rows[i].sgl_bytes);
		sent = fake_send_raw(fixture.io, &command, NULL, 0);
		assert_int_equal(fake_wait(sent), rows[i].status);
		fake_command_free(sent);
	}
	tear_down(&fixture);
}

static void test_write_zeroes_zeroes_its_range_alone_when_it_succeeds(void **state)
{
	struct nvme_command command = blocks(NVME_IO_WRITE_ZEROES, FAULTY, 2, 3);
	uint8_t data[8 * 512];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	write_letters(&fixture, FAULTY, 0, sizeof(data), 'x');
	assert_int_equal(fake_command(fixture.io, &command, NULL), 0);
	read_back(&fixture, FAULTY, 0, sizeof(data), data);
	assert_int_equal(count_others(data, 2 * 512, 'x'), 0);
	assert_int_equal(count_others(data + 2 * 512, 3 * 512, 0), 0);
	assert_int_equal(count_others(data + 5 * 512, 3 * 512, 'x'), 0);
	tear_down(&fixture);
}

static void test_write_zeroes_passes_deac_and_fua_to_the_store_when_set(void **state)
{
	static const uint32_t flags[] = {0, NVME_IO_DEAC, NVME_IO_FUA, NVME_IO_DEAC | NVME_IO_FUA};
	struct nvme_command command = blocks(NVME_IO_WRITE_ZEROES, FAULTY, 0, 1);
	struct nvme_command cache = fake_command_of(NVME_ADMIN_SET_FEATURES, 0);
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
		nvme_command_set_range(&command, 9, 2, flags[i]);
		assert_int_equal(fake_command(fixture.io, &command, NULL), 0);
		assert_int_equal(fixture.was.opcode, STORE_ZERO);
		assert_int_equal(fixture.was.offset, 9 * 512);
		assert_int_equal(fixture.was.bytes, 2 * 512);
		assert_int_equal(fixture.was.may_unmap, (flags[i] & NVME_IO_DEAC) != 0);
		assert_int_equal(fixture.was.is_durable, (flags[i] & NVME_IO_FUA) != 0);
	}
	nvme_command_set_feature(&cache, NVME_FEATURE_VOLATILE_WRITE_CACHE, 0);
	assert_int_equal(fake_command(fixture.admin, &cache, NULL), 0);
	nvme_command_set_range(&command, 0, 1, 0);
	assert_int_equal(fake_command(fixture.io, &command, NULL), 0);
	assert_true(fixture.was.is_durable);
	tear_down(&fixture);
}

static void test_erasure_gives_the_status_when_the_store_fails(void **state)
{
	static const struct {
		int error;
		uint16_t status;
	} rows[] = {
		{EIO, NVME_STATUS_WRITE_FAULT},
		{ENODATA, NVME_STATUS_WRITE_FAULT | DNR},
		{ENOSPC, NVME_STATUS_CAPACITY_EXCEEDED | DNR},
		{ENOMEM, NVME_STATUS_INTERNAL_ERROR},
	};
	const struct nvme_dsm_range range = {.block_count = le32_of(1)};
	struct nvme_command zero = blocks(NVME_IO_WRITE_ZEROES, FAULTY, 0, 1);
	struct nvme_command discard = fake_command_of(NVME_IO_DATASET_MANAGEMENT, FAULTY);
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	nvme_command_set_dsm(&discard, 1, NVME_DSM_AD);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct fake_exchange exchange = {.data = &range, .data_bytes = sizeof(range)};

		fixture.fault.error = rows[i].error;
		assert_int_equal(fake_command(fixture.io, &zero, NULL), rows[i].status);
		assert_int_equal(fake_execute(fixture.io, &discard, &exchange), rows[i].status);
	}
	tear_down(&fixture);
}

static void test_dataset_management_deallocates_all_ranges_when_asked(void **state)
{
	static struct nvme_dsm_range ranges[NVME_DSM_RANGES_MAX];
	static const uint32_t counts[] = {1, 2, NVME_DSM_RANGES_MAX};
	static uint8_t data[4 * NVME_DSM_RANGES_MAX * 512];
	struct nvme_command command = fake_command_of(NVME_IO_DATASET_MANAGEMENT, MEMORY);
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	/* Two of every four blocks, and now and then none. */
	for (uint32_t i = 0; i < NVME_DSM_RANGES_MAX; i++)
		ranges[i] = (struct nvme_dsm_range){
			.attributes = le32_of(i),
			.block_count = le32_of(i % 5 == 4 ? 0 : 2),
			.slba = le64_of(4 * i + 1),
		};
	for (size_t row = 0; row < 2 * ARRAY_LENGTH(counts); row++) {
		/* Linux sends room for all ranges whatever their number. */
		size_t bytes = row % 2 ? sizeof(ranges) : counts[row / 2] * sizeof(ranges[0]);
		struct fake_exchange exchange = {.data = ranges, .data_bytes = bytes};

		command.nsid = le32_of(row % 2 ? MEMORY : FAULTY);
		write_letters(&fixture, row % 2 ? MEMORY : FAULTY, 0, sizeof(data), 'x');
		nvme_command_set_dsm(&command, counts[row / 2], NVME_DSM_AD);
		assert_int_equal(fake_execute(fixture.io, &command, &exchange), 0);
		read_back(&fixture, row % 2 ? MEMORY : FAULTY, 0, sizeof(data), data);
		for (uint32_t i = 0; i < sizeof(data) / 512; i++) {
			bool is_gone = i / 4 < counts[row / 2] && i / 4 % 5 != 4 &&
				(i % 4 == 1 || i % 4 == 2);

			assert_int_equal(count_others(data + (size_t)i * 512, 512,
						 is_gone ? 0 : 'x'),
				0);
		}
	}
	tear_down(&fixture);
}

static void test_dataset_management_gives_the_status_when_fields_vary(void **state)
{
	static const struct {
		uint32_t nsid, attributes, range_count;
		uint32_t sgl_bytes;
		uint64_t slba; /* of the last range */
		uint32_t block_count;
		uint16_t status;
	} rows[] = {
		{MEMORY, NVME_DSM_AD, 1, 16, BLOCKS - 1, 1, 0},
		{MEMORY, NVME_DSM_AD, 1, 16, BLOCKS, 0, 0},
		{MEMORY, NVME_DSM_IDR | NVME_DSM_IDW, 1, 16, 0, 1, 0},
		{READ_ONLY, NVME_DSM_IDW, 1, 16, 0, 1, 0},
		{MEMORY, NVME_DSM_AD, 2, 32, BLOCKS, 1, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, NVME_DSM_AD, 2, 32, UINT64_MAX, 2, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, NVME_DSM_AD, 2, 32, 0, UINT32_MAX, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, 0, 2, 32, 0, UINT32_MAX, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, NVME_DSM_AD, 2, 31, 0, 1, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{MEMORY, NVME_DSM_AD, 2, 16, 0, 1, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{MEMORY, NVME_DSM_AD, 2, 4097, 0, 1, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{READ_ONLY, NVME_DSM_AD, 1, 16, 0, 1, NVME_STATUS_NAMESPACE_WRITE_PROTECTED | DNR},
		{9, NVME_DSM_AD, 1, 16, 0, 1, NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
	};
	static uint8_t data[512];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command command =
			fake_command_of(NVME_IO_DATASET_MANAGEMENT, rows[i].nsid);
		static struct nvme_dsm_range ranges[NVME_DSM_RANGES_MAX + 1];
		struct fake_command *sent;

		write_letters(&fixture, MEMORY, 7, 512, 'x');
		memset(ranges, 0, sizeof(ranges));
		ranges[0] = (struct nvme_dsm_range){.slba = le64_of(7), .block_count = le32_of(1)};
		ranges[rows[i].range_count - 1] = (struct nvme_dsm_range){
			.slba = le64_of(rows[i].slba),
			.block_count = le32_of(rows[i].block_count),
		};
		nvme_command_set_dsm(&command, rows[i].range_count, rows[i].attributes);
		command.sgl = nvme_sgl_transport(rows[i].sgl_bytes);
		sent = fake_send_raw(fixture.io, &command, ranges, 0);
		assert_int_equal(fake_wait(sent), rows[i].status);
		fake_command_free(sent);
		/* A wrong range spares the others. */
		read_back(&fixture, MEMORY, 7, 512, data);
		assert_int_equal(count_others(data, 512, 'x'), 0);
	}
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_zeroes_gives_the_status_when_fields_vary),
		cmocka_unit_test(test_write_zeroes_zeroes_its_range_alone_when_it_succeeds),
		cmocka_unit_test(test_write_zeroes_passes_deac_and_fua_to_the_store_when_set),
		cmocka_unit_test(test_erasure_gives_the_status_when_the_store_fails),
		cmocka_unit_test(test_dataset_management_deallocates_all_ranges_when_asked),
		cmocka_unit_test(test_dataset_management_gives_the_status_when_fields_vary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
