#include "host/discovery.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "nvme/nqn.h"

#define NQN "nqn.2024-01.org.example:disk"

static struct nvme_discovery_record record_of(uint8_t adrfam, const char *traddr,
	const char *trsvcid, const char *nqn, char pad)
{
	struct nvme_discovery_record record = {
		.trtype = NVME_TRTYPE_TCP,
		.adrfam = adrfam,
		.subtype = NVME_SUBTYPE_NVM,
		.treq = NVME_TREQ_SQFC,
		.portid = le16_of(3),
		.cntlid = le16_of(NVME_CNTLID_DYNAMIC),
		.asqsz = le16_of(32),
		.eflags = le16_of(1),
	};

	text_to_field(record.traddr, sizeof(record.traddr), traddr, pad);
	text_to_field(record.trsvcid, sizeof(record.trsvcid), trsvcid, pad);
	text_to_field(record.subnqn, sizeof(record.subnqn), nqn, '\0');
	return record;
}

static void test_record_has_a_url_when_there_is_one(void **state)
{
	static const struct {
		uint8_t adrfam;
		const char *traddr, *trsvcid, *nqn;
		char pad;
		const char *url;
	} rows[] = {
		{1, "192.0.2.1", "4420", NQN, '\0', "nvme-tcp://192.0.2.1:4420/" NQN},
		{1, "192.0.2.1", "4420", NQN, ' ', "nvme-tcp://192.0.2.1:4420/" NQN},
		{2, "2001:db8::1", "1", NQN, ' ', "nvme-tcp://[2001:db8::1]:1/" NQN},
		{1, "192.0.2.1", "65535", NQN "/7", '\0', "nvme-tcp://192.0.2.1:65535/" NQN "/7/1"},
		{1, "192.0.2.1", "4420", NQN "/x", '\0', "nvme-tcp://192.0.2.1:4420/" NQN "/x"},
		{1, "2001:db8::1", "4420", NQN, '\0', ""},
		{2, "192.0.2.1", "4420", NQN, '\0', ""},
		{1, "host.example", "4420", NQN, '\0', ""},
		{1, "192.0.2.1 ; x", "4420", NQN, '\0', ""},
		{1, "", "4420", NQN, '\0', ""},
		{1, "192.0.2.1", "", NQN, '\0', ""},
		{1, "192.0.2.1", "0", NQN, '\0', ""},
		{1, "192.0.2.1", "65536", NQN, '\0', ""},
		{1, "192.0.2.1", "4420x", NQN, '\0', ""},
		{3, "192.0.2.1", "4420", NQN, '\0', ""},
		{255, "192.0.2.1", "4420", NQN, '\0', ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_discovery_record from = record_of(rows[i].adrfam, rows[i].traddr,
			rows[i].trsvcid, rows[i].nqn, rows[i].pad);
		struct ferry_host_record record;

		assert_int_equal(discovery_record_of(&from, &record), 0);
		assert_string_equal(record.url, rows[i].url);
		assert_string_equal(record.address, rows[i].traddr);
		assert_string_equal(record.service, rows[i].trsvcid);
		assert_string_equal(record.nqn, rows[i].nqn);
	}
}

static void test_record_tells_its_numbers_when_it_is_taken(void **state)
{
	struct nvme_discovery_record from = record_of(1, "192.0.2.1", "8009", NQN, '\0');
	struct ferry_host_record record;

	(void)state;
	from.sectype = NVME_SECTYPE_TLS_1_3;
	assert_int_equal(discovery_record_of(&from, &record), 0);
	assert_int_equal(record.transport, 3);
	assert_int_equal(record.address_family, 1);
	assert_int_equal(record.subsystem_type, 2);
	assert_int_equal(record.requirements, NVME_TREQ_SQFC);
	assert_int_equal(record.security, 2);
	assert_int_equal(record.port_id, 3);
	assert_int_equal(record.cntlid, 0xffff);
	assert_int_equal(record.admin_entries, 32);
	assert_int_equal(record.flags, 1);
	from.subtype = NVME_SUBTYPE_REFERRAL;
	assert_int_equal(discovery_record_of(&from, &record), 0);
	assert_string_equal(record.url, "nvme-tcp://192.0.2.1:8009");
	from.trtype = NVME_TRTYPE_RDMA;
	assert_int_equal(discovery_record_of(&from, &record), 0);
	assert_string_equal(record.url, "");
	assert_int_equal(record.security, 0);
}

static void test_record_is_printable_when_its_fields_are_full_or_odd(void **state)
{
	struct nvme_discovery_record from = record_of(1, "192.0.2.1", "4420", NQN, '\0');
	struct ferry_host_record record;

	(void)state;
	memset(from.traddr, 0x1b, sizeof(from.traddr));
	memset(from.trsvcid, '9', sizeof(from.trsvcid));
	memset(from.subnqn, 0, sizeof(from.subnqn));
	memset(from.subnqn, 'n', NVME_NQN_LENGTH_MAX);
	assert_int_equal(discovery_record_of(&from, &record), 0);
	assert_int_equal(strlen(record.address), sizeof(from.traddr));
	assert_int_equal(strspn(record.address, "?"), sizeof(from.traddr));
	assert_int_equal(strlen(record.service), sizeof(from.trsvcid));
	assert_int_equal(strlen(record.nqn), NVME_NQN_LENGTH_MAX);
	assert_string_equal(record.url, "");
	/* The longest URL of all. */
	from = record_of(2, "1111:1111:1111:1111:1111:1111:111.111.111.111", "65535", "", '\0');
	memset(from.subnqn, 'n', NVME_NQN_LENGTH_MAX);
	memcpy(from.subnqn + NVME_NQN_LENGTH_MAX - 2, "/2", 2);
	assert_int_equal(discovery_record_of(&from, &record), 0);
	assert_true(strlen(record.url) > NVME_NQN_LENGTH_MAX);
}

static void test_record_is_refused_when_it_names_nothing(void **state)
{
	static const struct {
		uint8_t subtype;
		const char *nqn;
		int error;
	} rows[] = {
		{0, NQN, -EINVAL},
		{1, NQN, 0},
		{3, NQN, 0},
		{4, NQN, -EINVAL},
		{255, NQN, -EINVAL},
		{2, "", -EINVAL},
		{2, "nqn\x1b[2J", -EINVAL},
		{2, "nqn\xff", -EINVAL},
		{2, "nqn.\xc3\xa9", 0},
	};
	struct ferry_host_record record;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_discovery_record from = record_of(1, "::", "1", rows[i].nqn, '\0');

		from.subtype = rows[i].subtype;
		record.flags = 0xabcd;
		assert_int_equal(discovery_record_of(&from, &record), rows[i].error);
		assert_true(rows[i].error == 0 || record.flags == 0xabcd);
	}
	for (size_t bytes = NVME_NQN_LENGTH_MAX; bytes <= NVME_NQN_FIELD_BYTES; bytes++) {
		struct nvme_discovery_record from = record_of(1, "::", "1", "", '\0');

		memset(from.subnqn, 'n', bytes);
		assert_int_equal(discovery_record_of(&from, &record),
			bytes == NVME_NQN_LENGTH_MAX ? 0 : -EINVAL);
	}
}

/* A log, given piece by piece. */

static void give_header(struct discovery *discovery, uint64_t generation, uint64_t count,
	int expected)
{
	struct nvme_discovery_log header = {
		.genctr = le64_of(generation),
		.numrec = le64_of(count),
	};
	struct nvme_get_log_page fields;

	discovery_next(discovery, &fields);
	assert_int_equal(fields.lid, 0x70);
	assert_int_equal(fields.offset, 0);
	assert_int_equal(fields.length_bytes, sizeof(header));
	assert_int_equal(discovery_take(discovery, (const uint8_t *)&header), expected);
}

static void give_records(struct discovery *discovery, uint32_t first, uint32_t count)
{
	static struct nvme_discovery_record records[DISCOVERY_PIECE_MAX / 1024];
	struct nvme_get_log_page fields;

	for (uint32_t i = 0; i < count; i++) {
		records[i] = record_of(1, "192.0.2.1", "4420", NQN, '\0');
		records[i].portid = le16_of((uint16_t)(first + i));
		/* Some are none. */
		if ((first + i) % 5 == 4)
			records[i].subtype = 9;
	}
	discovery_next(discovery, &fields);
	assert_int_equal(fields.offset, 1024 + first * 1024);
	assert_int_equal(fields.length_bytes, count * 1024);
	assert_int_equal(discovery_take(discovery, (const uint8_t *)records), 0);
}

static void test_discovery_reads_in_pieces_when_the_log_is_long(void **state)
{
	static const struct {
		uint32_t piece_bytes, count;
	} rows[] = {{4096, 4}, {4096, 5}, {1024, 3}, {5000, 9}, {1u << 20, 33}, {16384, 16}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint32_t most = rows[i].piece_bytes < DISCOVERY_PIECE_MAX
			? rows[i].piece_bytes / 1024
			: DISCOVERY_PIECE_MAX / 1024;
		uint32_t count = rows[i].count, at = 0;
		struct discovery discovery;

		discovery_init(&discovery, rows[i].piece_bytes);
		give_header(&discovery, 7, count, 0);
		for (uint32_t piece; at < count; at += piece) {
			piece = count - at < most ? count - at : most;
			assert_int_equal(discovery.state, DISCOVERY_RECORDS);
			give_records(&discovery, at, piece);
		}
		assert_int_equal(discovery.state, DISCOVERY_AGAIN);
		give_header(&discovery, 7, count, 0);
		assert_int_equal(discovery.state, DISCOVERY_COMPLETE);
		assert_int_equal(discovery.left_out_count, count / 5);
		assert_int_equal(discovery.record_count, count - count / 5);
		assert_int_equal(discovery.records[discovery.record_count - 1].port_id,
			count % 5 != 0 ? count - 1 : count - 2);
		discovery_deinit(&discovery);
	}
}

static void test_discovery_is_complete_when_the_log_is_empty(void **state)
{
	struct discovery discovery;

	(void)state;
	discovery_init(&discovery, 4096);
	give_header(&discovery, 0, 0, 0);
	assert_int_equal(discovery.state, DISCOVERY_COMPLETE);
	assert_int_equal(discovery.record_count, 0);
	discovery_deinit(&discovery);
}

static void test_discovery_starts_over_when_the_log_changes(void **state)
{
	struct discovery discovery;

	(void)state;
	discovery_init(&discovery, 4096);
	give_header(&discovery, 1, 4, 0);
	give_records(&discovery, 0, 4);
	/* The header tells it, be it by its generation or by its count. */
	give_header(&discovery, 2, 4, 0);
	give_records(&discovery, 0, 4);
	give_header(&discovery, 2, 2, 0);
	assert_int_equal(discovery_restart(&discovery), 0);
	give_header(&discovery, 3, 1, 0);
	give_records(&discovery, 0, 1);
	give_header(&discovery, 3, 1, 0);
	assert_int_equal(discovery.state, DISCOVERY_COMPLETE);
	assert_int_equal(discovery.record_count, 1);
	assert_int_equal(discovery.generation, 3);
	discovery_deinit(&discovery);
}

static void test_discovery_gives_up_when_the_log_never_stands_still(void **state)
{
	struct discovery discovery;

	(void)state;
	discovery_init(&discovery, 4096);
	give_header(&discovery, 0, 1, 0);
	for (unsigned i = 1; i < DISCOVERY_TRIES_MAX; i++) {
		give_records(&discovery, 0, 1);
		give_header(&discovery, i, 1, 0);
	}
	give_records(&discovery, 0, 1);
	give_header(&discovery, 99, 1, -EAGAIN);
	assert_non_null(strstr(discovery.problem, "8 times"));
	discovery_deinit(&discovery);

	discovery_init(&discovery, 4096);
	for (unsigned i = 1; i < DISCOVERY_TRIES_MAX; i++)
		assert_int_equal(discovery_restart(&discovery), 0);
	assert_int_equal(discovery_restart(&discovery), -EAGAIN);
	discovery_deinit(&discovery);
}

static void test_discovery_refuses_a_header_when_it_lies(void **state)
{
	static const struct {
		uint64_t count;
		uint16_t recfmt;
		int error;
		const char *words;
	} rows[] = {
		{FERRY_HOST_RECORDS_MAX, 0, 0, ""},
		{FERRY_HOST_RECORDS_MAX + 1, 0, -EMSGSIZE, "4097 records"},
		{UINT64_MAX, 0, -EMSGSIZE, "18446744073709551615 records"},
		{UINT64_C(1) << 32, 0, -EMSGSIZE, "more than 4096"},
		{1, 1, -EPROTO, "format 1"},
		{0, 0xffff, -EPROTO, "format 65535"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_discovery_log header = {
			.numrec = le64_of(rows[i].count),
			.recfmt = le16_of(rows[i].recfmt),
		};
		struct discovery discovery;

		discovery_init(&discovery, 4096);
		assert_int_equal(discovery_take(&discovery, (const uint8_t *)&header),
			rows[i].error);
		assert_non_null(strstr(discovery.problem, rows[i].words));
		discovery_deinit(&discovery);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_has_a_url_when_there_is_one),
		cmocka_unit_test(test_record_tells_its_numbers_when_it_is_taken),
		cmocka_unit_test(test_record_is_printable_when_its_fields_are_full_or_odd),
		cmocka_unit_test(test_record_is_refused_when_it_names_nothing),
		cmocka_unit_test(test_discovery_reads_in_pieces_when_the_log_is_long),
		cmocka_unit_test(test_discovery_is_complete_when_the_log_is_empty),
		cmocka_unit_test(test_discovery_starts_over_when_the_log_changes),
		cmocka_unit_test(test_discovery_gives_up_when_the_log_never_stands_still),
		cmocka_unit_test(test_discovery_refuses_a_header_when_it_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
