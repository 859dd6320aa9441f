#include "host/host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "loop/loop.h"
#include "nvme/completion.h"
#include "nvme/property.h"
#include "test/host/host_bench.h"
#include "test/loop/stream_probe.h"

static void test_host_opens_and_tells_what_it_found_when_the_target_is_right(void **state)
{
	struct ferry_host_info info = {.struct_bytes = sizeof(info)};
	struct host_bench bench;

	(void)state;
	host_bench_init(&bench);
	bench.controller.polls_to_ready = 3;
	bench.options.io_queues = 3;
	bench.controller.queues_granted = 2;
	bench.options.kato_ms = 12345;
	assert_int_equal(host_bench_open(&bench), 0);
	assert_int_equal(ferry_host_get_info(bench.host, &info), 0);
	assert_string_equal(info.nqn, FAKE_NQN);
	assert_string_equal(info.host_nqn, "nqn.2014-08.org.example:host");
	assert_string_equal(info.model, "Fake disk");
	assert_string_equal(info.serial, "S1");
	assert_string_equal(info.firmware, "1.0");
	assert_int_equal(info.version, 0x20000);
	assert_int_equal(info.cntlid, FAKE_CNTLID);
	assert_int_equal(info.io_queues, 2);
	assert_int_equal(info.queue_entries, 128);
	assert_int_equal(info.transfer_bytes, 128 << 10);
	assert_int_equal(info.capsule_bytes, 4096);
	assert_int_equal(info.nsid, 1);
	assert_int_equal(info.block_bytes, 512);
	assert_int_equal(info.block_count, FAKE_BLOCKS);
	assert_int_equal(info.uuid[15], 0xab);
	assert_int_equal(info.has_write_cache, 1);
	assert_int_equal(info.is_read_only, 0);
	assert_int_equal(bench.controller.kato_ms, 12345);
	assert_int_equal(le16_get(bench.controller.connect_data.cntlid), FAKE_CNTLID);
	assert_string_equal(bench.controller.connect_data.hostnqn, "nqn.2014-08.org.example:host");
	assert_string_equal(bench.controller.connect_data.subnqn, FAKE_NQN);
	assert_true(nvme_cc_is_enabled(bench.controller.cc));

	/* What a program that was built against an older header sees. */
	info = (struct ferry_host_info){.struct_bytes = sizeof(info.struct_bytes) + 4};
	assert_int_equal(ferry_host_get_info(bench.host, &info), 0);
	assert_int_equal(info.nqn[0], 0);
	host_bench_end(&bench);
	assert_int_equal(nvme_cc_shn(bench.controller.cc), NVME_CC_SHN_NORMAL);
}

static void test_host_refuses_when_url_or_options_are_wrong(void **state)
{
	static const struct {
		const char *url;
		struct ferry_host_options options;
		const char *words;
	} rows[] = {
		{"disk.img", {.struct_bytes = sizeof(rows[0].options)}, "disk.img: "},
		{FAKE_URL, {.struct_bytes = 0}, "struct_bytes"},
		{FAKE_URL, {.struct_bytes = sizeof(rows[0].options), .io_queues = 65},
			"I/O queues"},
		{FAKE_URL, {.struct_bytes = sizeof(rows[0].options), .queue_entries = 1},
			"2 to 1024"},
		{FAKE_URL, {.struct_bytes = sizeof(rows[0].options), .queue_entries = 1025},
			"2 to 1024"},
		{FAKE_URL, {.struct_bytes = sizeof(rows[0].options), .requests = 65537},
			"65536 requests"},
		{FAKE_URL, {.struct_bytes = sizeof(rows[0].options), .host_nqn = ""}, "host_nqn"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct ferry_host *host = NULL;
		char error[FERRY_HOST_ERROR_MAX];

		assert_int_equal(ferry_host_open(rows[i].url, &rows[i].options, &host, error),
			-EINVAL);
		expect_words(error, rows[i].words);
		assert_null(host);
		assert_int_equal(ferry_host_open(rows[i].url, &rows[i].options, &host, NULL),
			-EINVAL);
	}
}

static void test_host_moves_bytes_when_asked_to_block(void **state)
{
	static const struct {
		uint16_t io_queues, queue_entries;
		size_t bytes;
		uint64_t offset;
	} rows[] = {
		{1, 128, 512, 0},
		{1, 128, 4096, 512 * 3},
		{1, 128, 8192, 4096},
		{1, 128, 128 << 10, 0},
		{3, 2, (1 << 20) + 512, 512},
		{4, 16, FAKE_BLOCKS * 512, 0},
	};
	CLEANUP(cleanup_free) uint8_t *from = malloc((size_t)FAKE_BLOCKS * 512);
	CLEANUP(cleanup_free) uint8_t *to = malloc((size_t)FAKE_BLOCKS * 512);

	(void)state;
	assert_true(from != NULL && to != NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct host_bench bench;

		host_bench_init(&bench);
		bench.options.io_queues = rows[i].io_queues;
		bench.options.queue_entries = rows[i].queue_entries;
		assert_int_equal(host_bench_open(&bench), 0);
		stream_probe_fill(from, rows[i].bytes, i);
		memset(to, 0, rows[i].bytes);
		assert_int_equal(ferry_host_pwrite(bench.host, from, rows[i].bytes, rows[i].offset),
			0);
		assert_memory_equal(bench.controller.disk + rows[i].offset, from, rows[i].bytes);
		assert_int_equal(ferry_host_sync(bench.host), 0);
		assert_int_equal(bench.controller.flushes, 1);
		assert_int_equal(ferry_host_pread(bench.host, to, rows[i].bytes, rows[i].offset),
			0);
		assert_memory_equal(to, from, rows[i].bytes);
		assert_true(bench.controller.blocks_max <= 256);
		host_bench_end(&bench);
	}
}

static void test_host_refuses_a_range_when_it_is_not_of_the_disk(void **state)
{
	const uint64_t end = (uint64_t)FAKE_BLOCKS * 512;
	const struct {
		size_t bytes;
		uint64_t offset;
		int error;
	} rows[] = {
		{0, 0, 0},
		{0, end, 0},
		{511, 0, -EINVAL},
		{512, 1, -EINVAL},
		{512, end, -ERANGE},
		{1024, end - 512, -ERANGE},
		{512, UINT64_MAX - 511, -ERANGE},
		{SIZE_MAX - 511, 512, -ERANGE},
	};
	struct asked asked = {.request = {.lba = 0}};
	uint8_t data[512] = {0};
	struct host_bench bench;

	(void)state;
	host_bench_init(&bench);
	assert_int_equal(host_bench_open(&bench), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(ferry_host_pread(bench.host, data, rows[i].bytes, rows[i].offset),
			rows[i].error);
		assert_int_equal(ferry_host_pwrite(bench.host, data, rows[i].bytes, rows[i].offset),
			rows[i].error);
	}
	assert_int_equal(host_bench_ask(&bench, &asked, ferry_host_read), -EINVAL);
	asked.request = (struct ferry_host_request){.block_count = 1, .buffer = data, .flags = 1};
	assert_int_equal(host_bench_ask(&bench, &asked, ferry_host_read), -EINVAL);
	asked.request = (struct ferry_host_request){.block_count = 1, .buffer = data, .flags = 2};
	assert_int_equal(host_bench_ask(&bench, &asked, ferry_host_write), -EINVAL);
	asked.request = (struct ferry_host_request){.lba = FAKE_BLOCKS - 1,
		.block_count = 2,
		.buffer = data};
	assert_int_equal(host_bench_ask(&bench, &asked, ferry_host_write), -ERANGE);
	expect_words(ferry_host_error(bench.host), "the disk ends at 8192");
	assert_int_equal(bench.controller.io_commands, 0);
	host_bench_end(&bench);
}

static void test_host_keeps_order_and_says_eagain_when_more_is_asked_than_fits(void **state)
{
	struct asked asked[8] = {{.done_calls = 0}};
	unsigned order = 0;
	uint8_t data[512];
	struct host_bench bench;

	(void)state;
	host_bench_init(&bench);
	bench.options.queue_entries = 3;
	bench.options.requests = 6;
	host_bench_start_and_wait(&bench);
	assert_int_equal(bench.ready_error, 0);
	bench.controller.is_holding = true;
	for (size_t i = 0; i < ARRAY_LENGTH(asked); i++) {
		asked[i].request =
			(struct ferry_host_request){.lba = i, .block_count = 1, .buffer = data};
		asked[i].order = &order;
		assert_int_equal(host_bench_ask(&bench, &asked[i], ferry_host_read),
			i < 6 ? 0 : -EAGAIN);
	}
	loop_run_idle(bench.loop);
	assert_int_equal(bench.controller.held_count, 2);
	while (order < 6) {
		fake_controller_release(&bench.controller);
		loop_run_idle(bench.loop);
	}
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(asked[i].done_calls, 1);
		assert_int_equal(asked[i].error, 0);
		assert_int_equal(asked[i].place, i);
	}
	assert_int_equal(host_bench_ask(&bench, &asked[6], ferry_host_read), 0);
	bench.controller.is_holding = false;
	fake_controller_release(&bench.controller);
	host_bench_end(&bench);
	/* Closing waits for what is out. */
	assert_int_equal(asked[6].done_calls, 1);
	assert_int_equal(asked[6].error, 0);
}

static void test_host_writes_through_when_fua_is_asked(void **state)
{
	struct asked asked = {.done_calls = 0};
	uint8_t data[1024] = {1};
	struct host_bench bench;

	(void)state;
	host_bench_init(&bench);
	assert_int_equal(host_bench_open(&bench), 0);
	asked.request = (struct ferry_host_request){.block_count = 2,
		.buffer = data,
		.flags = FERRY_HOST_FUA};
	assert_int_equal(host_bench_ask(&bench, &asked, ferry_host_write), 0);
	loop_run_idle(bench.loop);
	assert_int_equal(asked.done_calls, 1);
	assert_int_equal(bench.controller.fua_writes, 1);
	host_bench_end(&bench);
}

static void test_host_tells_the_status_when_a_command_fails(void **state)
{
	static const struct {
		nvme_status status;
		int error;
		const char *words;
	} rows[] = {
		{NVME_STATUS_UNRECOVERED_READ_ERROR, -EIO, "Read of 256 blocks at "},
		{NVME_STATUS_NAMESPACE_WRITE_PROTECTED, -EROFS, "0/20h"},
		{NVME_STATUS_CAPACITY_EXCEEDED, -ENOSPC, "0/81h"},
		{NVME_STATUS_LBA_OUT_OF_RANGE | NVME_STATUS_DNR, -ERANGE, "LBA Out of Range"},
	};
	static uint8_t data[1 << 20];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct host_bench bench;

		host_bench_init(&bench);
		bench.options.queue_entries = 4;
		assert_int_equal(host_bench_open(&bench), 0);
		bench.controller.io_status = rows[i].status;
		assert_int_equal(ferry_host_pread(bench.host, data, sizeof(data), 0),
			rows[i].error);
		expect_words(ferry_host_error(bench.host), rows[i].words);
		/* What was not sent by then was not sent. */
		assert_int_equal(bench.controller.io_commands, 3);
		assert_int_equal(ferry_host_sync(bench.host), rows[i].error);
		expect_words(ferry_host_error(bench.host), "Flush: ");
		bench.controller.io_status = NVME_STATUS_SUCCESS;
		assert_int_equal(ferry_host_sync(bench.host), 0);
		host_bench_end(&bench);
	}
}

static void test_host_ends_all_requests_when_the_connection_is_lost(void **state)
{
	struct asked asked[5] = {{.done_calls = 0}};
	struct ferry_host_info info = {.struct_bytes = sizeof(info)};
	uint8_t data[512];
	struct host_bench bench;

	(void)state;
	host_bench_init(&bench);
	bench.options.queue_entries = 3;
	host_bench_start_and_wait(&bench);
	bench.controller.is_holding = true;
	for (size_t i = 0; i < 4; i++) {
		asked[i].request = (struct ferry_host_request){.block_count = 1, .buffer = data};
		assert_int_equal(host_bench_ask(&bench, &asked[i], ferry_host_read), 0);
	}
	loop_run_idle(bench.loop);
	fake_controller_reset(&bench.controller);
	loop_run_idle(bench.loop);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(asked[i].done_calls, 1);
		assert_int_equal(asked[i].error, i < 2 ? -EIO : -ENOTCONN);
	}
	assert_int_equal(bench.lost_calls, 1);
	assert_int_equal(bench.lost_error, -ECONNRESET);
	asked[4].request = asked[0].request;
	assert_int_equal(host_bench_ask(&bench, &asked[4], ferry_host_read), -ENOTCONN);
	assert_int_equal(ferry_host_pread(bench.host, data, sizeof(data), 0), -ENOTCONN);
	assert_int_equal(ferry_host_sync(bench.host), -ENOTCONN);
	assert_int_equal(ferry_host_get_info(bench.host, &info), -ENOTCONN);
	expect_words(ferry_host_error(bench.host), "Connection reset");
	host_bench_end(&bench);
	assert_int_equal(bench.ready_calls, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_opens_and_tells_what_it_found_when_the_target_is_right),
		cmocka_unit_test(test_host_refuses_when_url_or_options_are_wrong),
		cmocka_unit_test(test_host_moves_bytes_when_asked_to_block),
		cmocka_unit_test(test_host_refuses_a_range_when_it_is_not_of_the_disk),
		cmocka_unit_test(
			test_host_keeps_order_and_says_eagain_when_more_is_asked_than_fits),
		cmocka_unit_test(test_host_writes_through_when_fua_is_asked),
		cmocka_unit_test(test_host_tells_the_status_when_a_command_fails),
		cmocka_unit_test(test_host_ends_all_requests_when_the_connection_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
