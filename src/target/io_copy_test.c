#include "target/io.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/target/io_fixture.h"

struct source {
	uint64_t slba;
	uint32_t count;
};

static uint16_t copy(struct fixture *fixture, uint32_t nsid, uint64_t to,
	const struct source sources[], uint64_t *ret_result)
{
	struct nvme_copy_range ranges[NVME_COPY_RANGES_MAX] = {0};
	struct nvme_command command = fake_command_of(NVME_IO_COPY, nsid);
	uint32_t count = 0;
	struct fake_exchange exchange = {.data = ranges};
	uint16_t status;

	for (; sources[count].count > 0; count++) {
		ranges[count].slba = le64_of(sources[count].slba);
		ranges[count].nlb = le16_of((uint16_t)(sources[count].count - 1));
	}
	nvme_command_set_slba(&command, to);
	command.cdw12 = le32_of((count - 1) | NVME_IO_FUA);
	exchange.data_bytes = count * sizeof(ranges[0]);
	status = fake_execute(fixture->io, &command, &exchange);
	*ret_result = exchange.result;
	return status;
}

static void test_copy_gathers_its_sources_in_order_when_they_lie_apart(void **state)
{
	static const struct source sources[] = {{100, 1}, {2000, 300}, {50, 2}, {0, 0}};
	static const uint32_t nsids[] = {MEMORY, FAULTY};
	static uint8_t data[305 * 512];
	struct fixture fixture;
	uint64_t result;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(nsids); i++) {
		write_letters(&fixture, nsids[i], 999, sizeof(data), 'z');
		write_letters(&fixture, nsids[i], 100, 512, 'a');
		write_letters(&fixture, nsids[i], 2000, 300 * 512, 'b');
		write_letters(&fixture, nsids[i], 50, 1024, 'c');
		assert_int_equal(copy(&fixture, nsids[i], 1000, sources, &result), 0);
		assert_int_equal(result, 0);
		read_back(&fixture, nsids[i], 999, sizeof(data), data);
		assert_int_equal(count_others(data, 512, 'z'), 0);
		assert_int_equal(count_others(data + 512, 512, 'a'), 0);
		assert_int_equal(count_others(data + 2 * 512, 300 * 512, 'b'), 0);
		assert_int_equal(count_others(data + 302 * 512, 2 * 512, 'c'), 0);
		assert_int_equal(count_others(data + 304 * 512, 512, 'z'), 0);
	}
	assert_true(fixture.was.is_durable);
	tear_down(&fixture);
}

static void test_copy_gives_the_status_when_ranges_vary(void **state)
{
	static const struct {
		uint32_t nsid;
		uint64_t to;
		struct source sources[4];
		uint16_t status;
	} rows[] = {
		{MEMORY, 4096, {{0, 2048}, {2048, 2048}}, 0},
		{MEMORY, BLOCKS - 1, {{0, 1}}, 0},
		{MEMORY, 4096, {{0, 2049}}, NVME_STATUS_COMMAND_SIZE_LIMIT_EXCEEDED | DNR},
		{BIG_BLOCKS, 512, {{0, 256}}, 0},
		{BIG_BLOCKS, 512, {{0, 257}}, NVME_STATUS_COMMAND_SIZE_LIMIT_EXCEEDED | DNR},
		{MEMORY, 0, {{BLOCKS - 1, 2}}, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, 0, {{UINT64_MAX, 2}}, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, BLOCKS - 1, {{0, 1}, {8, 1}}, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, UINT64_MAX, {{0, 1}}, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, 10, {{10, 1}}, NVME_STATUS_INVALID_FIELD | DNR},
		{MEMORY, 10, {{0, 1}, {11, 1}}, NVME_STATUS_INVALID_FIELD | DNR},
		{MEMORY, 10, {{0, 10}, {20, 10}}, NVME_STATUS_INVALID_FIELD | DNR},
		{MEMORY, 10, {{0, 10}, {30, 10}}, 0},
		{READ_ONLY, 10, {{0, 1}}, NVME_STATUS_NAMESPACE_WRITE_PROTECTED | DNR},
		{9, 10, {{0, 1}}, NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
	};
	struct fixture fixture;
	uint64_t result;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		assert_int_equal(copy(&fixture, rows[i].nsid, rows[i].to, rows[i].sources, &result),
			rows[i].status);
	tear_down(&fixture);
}

static void test_copy_is_refused_when_the_sum_is_beyond_mcl(void **state)
{
	struct source sources[NVME_COPY_RANGES_MAX + 1] = {0};
	struct fixture fixture;
	uint64_t result;

	(void)state;
	set_up(&fixture);
	for (unsigned i = 0; i < 17; i++)
		sources[i] = (struct source){0, 2048};
	assert_int_equal(copy(&fixture, MEMORY, 4096, sources, &result),
		NVME_STATUS_COMMAND_SIZE_LIMIT_EXCEEDED | DNR);
	for (unsigned i = 0; i < NVME_COPY_RANGES_MAX; i++)
		sources[i] = (struct source){i, 1};
	assert_int_equal(copy(&fixture, MEMORY, 4096, sources, &result), 0);
	tear_down(&fixture);
}

static void test_copy_is_refused_when_its_format_or_length_is_wrong(void **state)
{
	static const struct {
		uint32_t cdw12, sgl_bytes;
		uint16_t status;
	} rows[] = {
		{1 << NVME_COPY_FORMAT_SHIFT, 32, NVME_STATUS_INVALID_FIELD | DNR},
		{0, 31, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{1, 32, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{0, 8193, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
	};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command command = fake_command_of(NVME_IO_COPY, MEMORY);
		struct fake_command *sent;

		command.cdw12 = le32_of(rows[i].cdw12);
		command.sgl = nvme_sgl_transport(rows[i].sgl_bytes);
		sent = fake_send_raw(fixture.io, &command, NULL, 0);
		assert_int_equal(fake_wait(sent), rows[i].status);
		fake_command_free(sent);
	}
	tear_down(&fixture);
}

static void test_copy_tells_the_range_when_the_store_fails(void **state)
{
	static const struct source sources[] = {{100, 1}, {200, 1}, {300, 1}, {0, 0}};
	static const struct {
		unsigned fault_after;
		uint16_t status;
		uint64_t result;
	} rows[] = {
		{0, NVME_STATUS_UNRECOVERED_READ_ERROR, 0},
		{1, NVME_STATUS_WRITE_FAULT, 0},
		{4, NVME_STATUS_UNRECOVERED_READ_ERROR, 2},
		{5, NVME_STATUS_WRITE_FAULT, 2},
		{6, 0, 0},
	};
	struct fixture fixture;
	uint64_t result;

	(void)state;
	set_up(&fixture);
	fixture.fault.error = EIO;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		fixture.fault_after = rows[i].fault_after;
		assert_int_equal(copy(&fixture, FAULTY, 1000, sources, &result), rows[i].status);
		assert_int_equal(result, rows[i].result);
	}
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy_gathers_its_sources_in_order_when_they_lie_apart),
		cmocka_unit_test(test_copy_gives_the_status_when_ranges_vary),
		cmocka_unit_test(test_copy_is_refused_when_the_sum_is_beyond_mcl),
		cmocka_unit_test(test_copy_is_refused_when_its_format_or_length_is_wrong),
		cmocka_unit_test(test_copy_tells_the_range_when_the_store_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
