#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "nvme/discovery.h"
#include "nvme/property.h"
#include "test/host/host_bench.h"

/* Make a log of @count records, each with a port of its own. */
static void fill_log(struct fake_controller *controller, uint32_t count)
{
	struct nvme_discovery_log header = {.genctr = le64_of(5), .numrec = le64_of(count)};

	memcpy(controller->log, &header, sizeof(header));
	for (uint32_t i = 0; i < count && i < FAKE_LOG_RECORDS; i++) {
		struct nvme_discovery_record record = {
			.trtype = NVME_TRTYPE_TCP,
			.adrfam = NVME_ADRFAM_IPV4,
			.subtype = NVME_SUBTYPE_NVM,
		};
		char port[8];

		(void)snprintf(port, sizeof(port), "%u", i + 1);
		text_to_field(record.traddr, sizeof(record.traddr), "192.0.2.1", ' ');
		text_to_field(record.trsvcid, sizeof(record.trsvcid), port, ' ');
		nvme_nqn_to_field(record.subnqn, FAKE_NQN);
		memcpy(controller->log + sizeof(header) + i * sizeof(record), &record,
			sizeof(record));
	}
}

static void bench_init(struct host_bench *bench, uint32_t count)
{
	host_bench_init(bench);
	bench->controller.cap = nvme_cap_of(32, 500, NVME_CAP_CSS_NO_IO);
	fill_log(&bench->controller, count);
}

static void test_discover_tells_every_record_when_the_log_is_read(void **state)
{
	static const struct {
		uint32_t count;
		uint8_t mdts;
		unsigned reads, bytes_max;
	} rows[] = {
		{0, 0, 1, 1024},
		{1, 0, 3, 1024},
		{16, 0, 3, 16384},
		{40, 0, 5, 16384},
		{40, 5, 5, 16384},
		{9, 1, 4, 8192},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct ferry_host_record record = {.struct_bytes = sizeof(record)};
		struct ferry_host_discovery *discovery;
		struct host_bench bench;

		bench_init(&bench, rows[i].count);
		bench.controller.identify.mdts = rows[i].mdts;
		assert_int_equal(host_bench_discover(&bench, &discovery), 0);
		assert_int_equal(ferry_host_discovery_count(discovery), rows[i].count);
		assert_int_equal(ferry_host_discovery_left_out(discovery), 0);
		assert_int_equal(ferry_host_discovery_generation(discovery), 5);
		for (uint32_t k = 0; k < rows[i].count; k++) {
			char url[128];

			(void)snprintf(url, sizeof(url), "nvme-tcp://192.0.2.1:%u/" FAKE_NQN,
				k + 1);
			assert_int_equal(ferry_host_discovery_record(discovery, k, &record), 0);
			assert_string_equal(record.url, url);
		}
		assert_int_equal(ferry_host_discovery_record(discovery, rows[i].count, &record),
			-ERANGE);
		assert_int_equal(bench.controller.log_reads, rows[i].reads);
		assert_int_equal(bench.controller.log_bytes_max, rows[i].bytes_max);
		ferry_host_discovery_free(discovery);

		/* As a discovery controller has it: its name, no keep alive, no I/O queue, an end. */
		assert_string_equal(bench.controller.connect_data.subnqn, NVME_NQN_DISCOVERY);
		assert_int_equal(bench.controller.kato_ms, 0);
		assert_int_equal(bench.controller.io_connects, 0);
		assert_int_equal(nvme_cc_shn(bench.controller.cc), NVME_CC_SHN_NORMAL);
		host_bench_end(&bench);
	}
}

static void test_discover_shows_what_fits_when_the_program_is_older(void **state)
{
	struct ferry_host_record record = {.struct_bytes = sizeof(record.struct_bytes) + 1};
	struct ferry_host_discovery *discovery;
	struct host_bench bench;

	(void)state;
	bench_init(&bench, 1);
	assert_int_equal(host_bench_discover(&bench, &discovery), 0);
	assert_int_equal(ferry_host_discovery_record(discovery, 0, &record), 0);
	assert_int_equal(record.transport, NVME_TRTYPE_TCP);
	assert_int_equal(record.address_family, 0);
	record.struct_bytes = 0;
	assert_int_equal(ferry_host_discovery_record(discovery, 0, &record), -EINVAL);
	ferry_host_discovery_free(discovery);
	ferry_host_discovery_free(NULL);
	host_bench_end(&bench);
}

static void test_discover_reads_again_when_the_log_changes(void **state)
{
	static const struct {
		unsigned changes, restarts;
		int error;
		unsigned reads;
	} rows[] = {
		{1, 0, 0, 5},
		{7, 0, 0, 17},
		{8, 0, -EAGAIN, 17},
		{0, 3, 0, 9},
		{0, 8, -EAGAIN, 16},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct ferry_host_discovery *discovery = NULL;
		struct host_bench bench;

		bench_init(&bench, 2);
		bench.controller.log_changes = rows[i].changes;
		bench.controller.log_restarts = rows[i].restarts;
		assert_int_equal(host_bench_discover(&bench, &discovery), rows[i].error);
		assert_int_equal(bench.controller.log_reads, rows[i].reads);
		if (rows[i].error == 0) {
			assert_int_equal(ferry_host_discovery_generation(discovery),
				5 + rows[i].changes);
			assert_int_equal(ferry_host_discovery_count(discovery), 2);
		} else {
			assert_null(discovery);
			expect_words(bench.error, "changed each time");
		}
		ferry_host_discovery_free(discovery);
		host_bench_end(&bench);
	}
}

static void test_discover_leaves_out_records_when_they_are_none(void **state)
{
	struct ferry_host_discovery *discovery;
	struct host_bench bench;

	(void)state;
	/* More than there are: the rest reads as zeros. */
	bench_init(&bench, FAKE_LOG_RECORDS + 1);
	bench.controller.identify.mdts = 0;
	assert_int_equal(host_bench_discover(&bench, &discovery), 0);
	assert_int_equal(ferry_host_discovery_count(discovery) +
			ferry_host_discovery_left_out(discovery),
		FAKE_LOG_RECORDS + 1);
	assert_int_not_equal(ferry_host_discovery_left_out(discovery), 0);
	ferry_host_discovery_free(discovery);
	host_bench_end(&bench);
}

static void lie(struct fake_controller *controller)
{
	struct nvme_discovery_log header = {.numrec = le64_of(UINT64_MAX)};

	memcpy(controller->log, &header, sizeof(header));
}

static void be_of_unknown_format(struct fake_controller *controller)
{
	struct nvme_discovery_log header = {.recfmt = le16_of(2)};

	memcpy(controller->log, &header, sizeof(header));
}

static void refuse_log(struct fake_controller *controller)
{
	controller->failing_opcode = NVME_ADMIN_GET_LOG_PAGE;
	controller->failing_status = NVME_STATUS_INVALID_LOG_PAGE;
}

static void refuse_host(struct fake_controller *controller)
{
	controller->connect_status = NVME_STATUS_CONNECT_INVALID_HOST;
}

static void name_another(struct fake_controller *controller)
{
	controller->identify.cntlid = le16_of(FAKE_CNTLID + 1);
}

static void hold_log(struct fake_controller *controller)
{
	controller->is_silent_to_log = true;
}

static void reset_at_log(struct fake_controller *controller)
{
	controller->resets_at_log = true;
}

static void test_discover_says_why_when_there_is_no_log(void **state)
{
	static const struct {
		void (*spoil)(struct fake_controller *controller);
		int error;
		const char *words;
	} rows[] = {
		{lie, -EMSGSIZE, "18446744073709551615 records"},
		{be_of_unknown_format, -EPROTO, "format 2"},
		{refuse_log, -EIO, "refuses to show its discovery log: Invalid Log Page"},
		{refuse_host, -EACCES, "--allow-host"},
		{name_another, -EPROTO, "CNTLID"},
		{hold_log, -ETIMEDOUT, "in time"},
		{reset_at_log, -ECONNRESET, "reset"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct ferry_host_discovery *discovery = NULL;
		struct host_bench bench;

		bench_init(&bench, 3);
		rows[i].spoil(&bench.controller);
		assert_int_equal(host_bench_discover(&bench, &discovery), rows[i].error);
		expect_words(bench.error, "nvme-tcp://127.0.0.1:8009: ");
		expect_words(bench.error, rows[i].words);
		assert_null(discovery);
		host_bench_end(&bench);
	}
}

static void test_discover_refuses_a_url_when_it_is_no_address(void **state)
{
	static const char subsystem[] = FAKE_URL;
	static const char *const urls[] = {subsystem, "127.0.0.1", "tcp://127.0.0.1",
		"nvme-tcp://127.0.0.1:x", ""};
	struct ferry_host_discovery *discovery = NULL;
	char error[FERRY_HOST_ERROR_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
		assert_int_equal(ferry_host_discover(urls[i], NULL, &discovery, error), -EINVAL);
		expect_words(error, ": ");
		assert_int_equal(ferry_host_discover(urls[i], NULL, &discovery, NULL), -EINVAL);
		assert_null(discovery);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_discover_tells_every_record_when_the_log_is_read),
		cmocka_unit_test(test_discover_shows_what_fits_when_the_program_is_older),
		cmocka_unit_test(test_discover_reads_again_when_the_log_changes),
		cmocka_unit_test(test_discover_leaves_out_records_when_they_are_none),
		cmocka_unit_test(test_discover_says_why_when_there_is_no_log),
		cmocka_unit_test(test_discover_refuses_a_url_when_it_is_no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
