#include "tcp/pdu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/crc32c.h"

#define CAPSULE_MAX 8192u
#define DATA_MAX    65536u

enum {
	HOST_SENDS = 1 << 0, /* the receiver is the controller */
	DIGESTS_HEADER = 1 << 1,
	DIGESTS_DATA = 1 << 2,
	DIGESTS = DIGESTS_HEADER | DIGESTS_DATA,
};

static struct pdu_rules rules_of(unsigned set, uint8_t pda)
{
	return (struct pdu_rules){
		.is_controller = (set & HOST_SENDS) != 0,
		.has_header_digest = (set & DIGESTS_HEADER) != 0,
		.has_data_digest = (set & DIGESTS_DATA) != 0,
		.alignment_pda = pda,
		.capsule_data_max = CAPSULE_MAX,
		.data_max = DATA_MAX,
	};
}

/* A common header under some rules, and what is wrong with it. */
struct common_row {
	const char *name;
	unsigned set;
	uint8_t pda;
	uint8_t type, flags, hlen, pdo;
	uint32_t plen;
	enum pdu_fes fes;
	uint32_t fei;
};

#define FINE 0, 0

static const struct common_row common_rows[] = {
	{"ICReq", HOST_SENDS, 0, 0, 0, 128, 0, 128, FINE},
	{"ICReq, digests on", HOST_SENDS | DIGESTS, 0, 0, 0, 128, 0, 128, FINE},
	{"ICReq to a host", 0, 0, 0, 0, 128, 0, 128, 1, 0},
	{"ICReq too short by hlen", HOST_SENDS, 0, 0, 0, 127, 0, 128, 1, 2},
	{"ICReq too long by hlen", HOST_SENDS, 0, 0, 0, 129, 0, 128, 1, 2},
	{"ICReq too short by plen", HOST_SENDS, 0, 0, 0, 128, 0, 127, 1, 4},
	{"ICReq too long by plen", HOST_SENDS, 0, 0, 0, 128, 0, 129, 1, 4},
	{"ICReq enormous", HOST_SENDS, 0, 0, 0, 128, 0, UINT32_MAX, 1, 4},
	{"ICResp", 0, 0, 1, 0, 128, 0, 128, FINE},
	{"ICResp, digests on", DIGESTS, 0, 1, 0, 128, 0, 128, FINE},
	{"ICResp to a controller", HOST_SENDS, 0, 1, 0, 128, 0, 128, 1, 0},
	{"ICResp too long by plen", 0, 0, 1, 0, 128, 0, 132, 1, 4},

	{"H2CTermReq", HOST_SENDS, 0, 2, 0, 24, 0, 24, FINE},
	{"H2CTermReq that quotes most", HOST_SENDS, 0, 2, 0, 24, 0, 152, FINE},
	{"H2CTermReq, digests on", HOST_SENDS | DIGESTS, 0, 2, 0, 24, 0, 96, FINE},
	{"H2CTermReq that quotes too much", HOST_SENDS, 0, 2, 0, 24, 0, 153, 1, 4},
	{"H2CTermReq enormous", HOST_SENDS, 0, 2, 0, 24, 0, UINT32_MAX, 1, 4},
	{"H2CTermReq too short", HOST_SENDS, 0, 2, 0, 24, 0, 23, 1, 4},
	{"H2CTermReq of plen 0", HOST_SENDS, 0, 2, 0, 24, 0, 0, 1, 4},
	{"H2CTermReq of another hlen", HOST_SENDS, 0, 2, 0, 25, 0, 25, 1, 2},
	{"H2CTermReq to a host", 0, 0, 2, 0, 24, 0, 24, 1, 0},
	{"C2HTermReq", 0, 0, 3, 0, 24, 0, 152, FINE},
	{"C2HTermReq that quotes too much", 0, 0, 3, 0, 24, 0, 153, 1, 4},
	{"C2HTermReq to a controller", HOST_SENDS, 0, 3, 0, 24, 0, 24, 1, 0},

	{"command", HOST_SENDS, 0, 4, 0, 72, 0, 72, FINE},
	{"command to a host", 0, 0, 4, 0, 72, 0, 72, 1, 0},
	{"command, pdo is reserved without data", HOST_SENDS, 0, 4, 0, 72, 72, 72, FINE},
	{"command, data", HOST_SENDS, 0, 4, 0, 72, 72, 73, FINE},
	{"command, most data", HOST_SENDS, 0, 4, 0, 72, 72, 72 + CAPSULE_MAX, FINE},
	{"command, too much data", HOST_SENDS, 0, 4, 0, 72, 72, 73 + CAPSULE_MAX, 1, 4},
	{"command, enormous", HOST_SENDS, 0, 4, 0, 72, 72, UINT32_MAX, 1, 4},
	{"command too short", HOST_SENDS, 0, 4, 0, 72, 0, 71, 1, 4},
	{"command of plen 0", HOST_SENDS, 0, 4, 0, 72, 0, 0, 1, 4},
	{"command of hlen 0", HOST_SENDS, 0, 4, 0, 0, 0, 72, 1, 2},
	{"command of hlen 255", HOST_SENDS, 0, 4, 0, 255, 0, 255, 1, 2},
	{"command, data before its place", HOST_SENDS, 0, 4, 0, 72, 71, 80, 1, 3},
	{"command, data, pdo 0", HOST_SENDS, 0, 4, 0, 72, 0, 80, 1, 3},
	{"command, data padded by 4", HOST_SENDS, 0, 4, 0, 72, 76, 80, FINE},
	{"command, data not aligned", HOST_SENDS, 0, 4, 0, 72, 74, 80, 1, 3},
	{"command, padded by 124", HOST_SENDS, 0, 4, 0, 72, 196, 200, FINE},
	{"command, padded by 128", HOST_SENDS, 0, 4, 0, 72, 200, 204, 1, 3},
	{"command, pda 31", HOST_SENDS, 31, 4, 0, 72, 128, 129, FINE},
	{"command, pda 31, not aligned", HOST_SENDS, 31, 4, 0, 72, 124, 129, 1, 3},
	{"command, only padding", HOST_SENDS, 0, 4, 0, 72, 76, 76, 1, 4},
	{"command, pdo past plen", HOST_SENDS, 0, 4, 0, 72, 80, 76, 1, 4},
	{"command, HDGSTF unwanted", HOST_SENDS, 0, 4, 1, 72, 0, 72, 1, 1},
	{"command, DDGSTF unwanted", HOST_SENDS, 0, 4, 2, 72, 72, 80, 1, 1},
	{"command, HDGSTF missing", HOST_SENDS | DIGESTS_HEADER, 0, 4, 0, 72, 0, 76, 1, 1},
	{"command, header digest", HOST_SENDS | DIGESTS_HEADER, 0, 4, 1, 72, 0, 76, FINE},
	{"command, no room for it", HOST_SENDS | DIGESTS_HEADER, 0, 4, 1, 72, 0, 72, 1, 4},
	{"command, data over it", HOST_SENDS | DIGESTS_HEADER, 0, 4, 1, 72, 72, 84, 1, 3},
	{"command, data behind it", HOST_SENDS | DIGESTS_HEADER, 0, 4, 1, 72, 76, 84, FINE},
	{"command, both digests", HOST_SENDS | DIGESTS, 0, 4, 3, 72, 76, 81, FINE},
	{"command, DDGSTF missing", HOST_SENDS | DIGESTS, 0, 4, 1, 72, 76, 84, 1, 1},
	{"command, DDGSTF without data", HOST_SENDS | DIGESTS, 0, 4, 3, 72, 0, 76, 1, 1},
	{"command, only a data digest", HOST_SENDS | DIGESTS, 0, 4, 3, 72, 76, 80, 1, 4},
	{"command, most data, digests", HOST_SENDS | DIGESTS, 0, 4, 3, 72, 76, 80 + CAPSULE_MAX,
		FINE},
	{"command, one more", HOST_SENDS | DIGESTS, 0, 4, 3, 72, 76, 81 + CAPSULE_MAX, 1, 4},
	{"command, hlen wrong behind right flags", HOST_SENDS | DIGESTS, 0, 4, 3, 255, 76, 100, 1,
		2},

	{"response", 0, 0, 5, 0, 24, 0, 24, FINE},
	{"response, header digest", DIGESTS, 0, 5, 1, 24, 0, 28, FINE},
	{"response, DDGSTF", DIGESTS, 0, 5, 3, 24, 0, 28, 1, 1},
	{"response, data", 0, 0, 5, 0, 24, 24, 28, 1, 4},
	{"response to a controller", HOST_SENDS, 0, 5, 0, 24, 0, 24, 1, 0},

	{"H2CData", HOST_SENDS, 0, 6, 4, 24, 24, 25, FINE},
	{"H2CData, most", HOST_SENDS, 0, 6, 4, 24, 24, 24 + DATA_MAX, FINE},
	{"H2CData, too much", HOST_SENDS, 0, 6, 4, 24, 24, 25 + DATA_MAX, 5, 0},
	{"H2CData, enormous", HOST_SENDS, 0, 6, 4, 24, 24, UINT32_MAX, 5, 0},
	{"H2CData, digests", HOST_SENDS | DIGESTS, 0, 6, 3, 24, 28, 33, FINE},
	{"H2CData, digests, most", HOST_SENDS | DIGESTS, 0, 6, 3, 24, 28, 32 + DATA_MAX, FINE},
	{"H2CData, digests, too much", HOST_SENDS | DIGESTS, 0, 6, 3, 24, 28, 33 + DATA_MAX, 5, 0},
	{"H2CData to a host", 0, 0, 6, 4, 24, 24, 25, 1, 0},
	{"C2HData", 0, 0, 7, 12, 24, 24, 4096 + 24, FINE},
	{"C2HData, pda 31", 0, 31, 7, 12, 24, 128, 4096 + 128, FINE},
	{"C2HData, pda 1, not aligned", 0, 1, 7, 12, 24, 28, 4096 + 28, 1, 3},
	{"C2HData, too much", 0, 0, 7, 4, 24, 24, 25 + DATA_MAX, 5, 0},
	{"C2HData to a controller", HOST_SENDS, 0, 7, 4, 24, 24, 28, 1, 0},

	{"type 8", HOST_SENDS, 0, 8, 0, 24, 0, 24, 1, 0},
	{"type 8 to a host", 0, 0, 8, 0, 24, 0, 24, 1, 0},
	{"R2T", 0, 0, 9, 0, 24, 0, 24, FINE},
	{"R2T, header digest", DIGESTS, 0, 9, 1, 24, 0, 28, FINE},
	{"R2T, HDGSTF missing", DIGESTS, 0, 9, 0, 24, 0, 28, 1, 1},
	{"R2T, data", 0, 0, 9, 0, 24, 24, 28, 1, 4},
	{"R2T of hlen 72", 0, 0, 9, 0, 72, 0, 24, 1, 2},
	{"R2T to a controller", HOST_SENDS, 0, 9, 0, 24, 0, 24, 1, 0},
	{"type 10", 0, 0, 10, 0, 24, 0, 24, 1, 0},
	{"type 255", HOST_SENDS, 0, 255, 0, 24, 0, 24, 1, 0},
};

static void expect_fault(const char *name, struct pdu_fault fault, unsigned fes, uint32_t fei)
{
	if (fault.fes != fes || fault.fei != fei)
		fail_msg("%s: FES %u FEI %u instead of FES %u FEI %u", name, fault.fes, fault.fei,
			fes, fei);
}

static void test_pdu_reports_the_lowest_offset_when_the_common_header_is_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(common_rows); i++) {
		const struct common_row *row = &common_rows[i];
		struct pdu_rules rules = rules_of(row->set, row->pda);
		struct pdu_common common = {
			.type = row->type,
			.flags = row->flags,
			.hlen = row->hlen,
			.pdo = row->pdo,
			.plen = le32_of(row->plen),
		};

		expect_fault(row->name, pdu_check_common(&rules, &common), row->fes, row->fei);
	}
}

/* A whole header, right but for one byte or two, and what is wrong with it. */
struct field_row {
	const char *name;
	uint8_t type, hlen, pdo;
	uint32_t plen;
	uint32_t offset;
	uint32_t value; /* stored there in 32 bits */
	enum pdu_fes fes;
	uint32_t fei;
};

static const struct field_row field_rows[] = {
	{"ICReq", PDU_IC_REQUEST, 128, 0, 128, 8, 0, FINE},
	{"ICReq, PFV 1", PDU_IC_REQUEST, 128, 0, 128, 8, 1, 6, 8},
	{"ICReq, PFV 256", PDU_IC_REQUEST, 128, 0, 128, 8, 256, 6, 8},
	{"ICReq, HPDA 31", PDU_IC_REQUEST, 128, 0, 128, 8, 31 << 16, FINE},
	{"ICReq, HPDA 32", PDU_IC_REQUEST, 128, 0, 128, 8, 32 << 16, 1, 10},
	{"ICReq, any digest", PDU_IC_REQUEST, 128, 0, 128, 8, UINT32_C(0xff) << 24, FINE},
	{"ICReq, any MAXR2T", PDU_IC_REQUEST, 128, 0, 128, 12, UINT32_MAX, FINE},
	{"ICResp, MAXH2CDATA 4096", PDU_IC_RESPONSE, 128, 0, 128, 12, 4096, FINE},
	{"ICResp, MAXH2CDATA 0", PDU_IC_RESPONSE, 128, 0, 128, 12, 0, 1, 12},
	{"ICResp, MAXH2CDATA 4092", PDU_IC_RESPONSE, 128, 0, 128, 12, 4092, 1, 12},
	{"ICResp, MAXH2CDATA 4098", PDU_IC_RESPONSE, 128, 0, 128, 12, 4098, 1, 12},
	{"ICResp, PFV 1", PDU_IC_RESPONSE, 128, 0, 128, 8, 1, 6, 8},
	{"ICResp, CPDA 32", PDU_IC_RESPONSE, 128, 0, 128, 8, 32 << 16, 1, 10},
	{"H2CData, DATAL right", PDU_H2C_DATA, 24, 24, 124, 16, 100, FINE},
	{"H2CData, DATAL less", PDU_H2C_DATA, 24, 24, 124, 16, 99, 1, 16},
	{"H2CData, DATAL more", PDU_H2C_DATA, 24, 24, 124, 16, 101, 1, 16},
	{"H2CData, DATAL enormous", PDU_H2C_DATA, 24, 24, 124, 16, UINT32_MAX, 1, 16},
	{"H2CData, padded, DATAL of all", PDU_H2C_DATA, 24, 28, 124, 16, 100, 1, 16},
	{"H2CData without data", PDU_H2C_DATA, 24, 0, 24, 16, 0, 1, 4},
	{"C2HData, DATAL right", PDU_C2H_DATA, 24, 24, 124, 16, 100, FINE},
	{"C2HData, DATAL less", PDU_C2H_DATA, 24, 24, 124, 16, 99, 1, 16},
	{"C2HData without data", PDU_C2H_DATA, 24, 0, 24, 16, 0, 1, 4},
	{"R2T, anything", PDU_R2T, 24, 0, 24, 16, 0, FINE},
	{"response, anything", PDU_RESPONSE, 24, 0, 24, 16, UINT32_MAX, FINE},
	{"command, anything", PDU_COMMAND, 72, 0, 72, 16, UINT32_MAX, FINE},
	{"H2CTermReq, anything", PDU_H2C_TERMINATE, 24, 0, 40, 8, UINT32_MAX, FINE},
	{"C2HTermReq, anything", PDU_C2H_TERMINATE, 24, 0, 40, 8, UINT32_MAX, FINE},
};

static void test_pdu_reports_the_field_when_it_has_no_legal_value(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(field_rows); i++) {
		const struct field_row *row = &field_rows[i];
		/* Each type is one that either the controller or the host receives. */
		bool is_controller = row->type == PDU_COMMAND || row->type == PDU_H2C_DATA ||
			row->type == PDU_IC_REQUEST || row->type == PDU_H2C_TERMINATE;
		struct pdu_rules rules = rules_of(is_controller ? HOST_SENDS : 0, 0);
		uint8_t header[PDU_HEADER_MAX] = {row->type, 0, row->hlen, row->pdo};
		le32 plen = le32_of(row->plen), value = le32_of(row->value);
		struct pdu_common common;
		struct pdu pdu;

		memcpy(header + offsetof(struct pdu_common, plen), &plen, sizeof(plen));
		if (row->type == PDU_IC_RESPONSE && row->offset != 12)
			header[13] = 0x10; /* a legal MAXH2CDATA */
		memcpy(header + row->offset, &value, sizeof(value));
		memcpy(&common, header, sizeof(common));
		expect_fault(row->name, pdu_check_common(&rules, &common), FINE);
		expect_fault(row->name, pdu_check(&rules, header, &pdu), row->fes, row->fei);
	}
}

static void test_pdu_describes_a_data_pdu_when_it_has_padding_and_digests(void **state)
{
	const struct pdu_rules rules = rules_of(HOST_SENDS | DIGESTS, 3);
	struct pdu_data data = {.datal = le32_of(100)};
	uint8_t header[sizeof(data) + PDU_DIGEST_BYTES];
	struct pdu pdu;
	le32 digest;

	(void)state;
	pdu_set_common(&data.common, PDU_H2C_DATA, sizeof(data), 32, 32 + 100 + 4);
	data.common.flags = PDU_FLAG_HEADER_DIGEST | PDU_FLAG_DATA_DIGEST | PDU_FLAG_LAST;
	memcpy(header, &data, sizeof(data));
	digest = le32_of(crc32c(0, header, sizeof(data)));
	memcpy(header + sizeof(data), &digest, sizeof(digest));

	expect_fault("common", pdu_check_common(&rules, &data.common), FINE);
	assert_int_equal(pdu_header_bytes(&rules, &data.common), 28);
	expect_fault("whole", pdu_check(&rules, header, &pdu), FINE);
	assert_int_equal(pdu.type, PDU_H2C_DATA);
	assert_int_equal(pdu.flags, data.common.flags);
	assert_ptr_equal(pdu.header, header);
	assert_int_equal(pdu.header_bytes, 24);
	assert_int_equal(pdu.padding_bytes, 4);
	assert_int_equal(pdu.data_bytes, 100);
	assert_true(pdu.has_data_digest);
}

static void test_pdu_describes_no_digest_when_a_capsule_has_no_data(void **state)
{
	const struct pdu_rules rules = rules_of(HOST_SENDS | DIGESTS_DATA, 0);
	struct pdu_command command = {0};
	uint8_t header[sizeof(command)];
	struct pdu pdu;

	(void)state;
	/* A data offset without data means nothing. */
	pdu_set_common(&command.common, PDU_COMMAND, sizeof(command), 76, sizeof(command));
	memcpy(header, &command, sizeof(command));
	expect_fault("whole", pdu_check(&rules, header, &pdu), FINE);
	assert_int_equal(pdu.padding_bytes, 0);
	assert_int_equal(pdu.data_bytes, 0);
	assert_false(pdu.has_data_digest);
}

static void test_pdu_reports_the_digest_before_any_field_when_the_header_digest_is_wrong(
	void **state)
{
	const struct pdu_rules rules = rules_of(HOST_SENDS | DIGESTS_HEADER, 0);
	struct pdu_data data = {.datal = le32_of(99)}; /* wrong too */
	uint8_t header[sizeof(data) + PDU_DIGEST_BYTES];
	struct pdu pdu;
	uint32_t right;

	(void)state;
	pdu_set_common(&data.common, PDU_H2C_DATA, sizeof(data), 28, 128);
	data.common.flags = PDU_FLAG_HEADER_DIGEST;
	memcpy(header, &data, sizeof(data));
	right = crc32c(0, header, sizeof(data));
	for (unsigned bit = 0; bit < 32; bit += 31) {
		le32 wrong = le32_of(right ^ 1u << bit);

		memcpy(header + sizeof(data), &wrong, sizeof(wrong));
		expect_fault("digest", pdu_check(&rules, header, &pdu), PDU_FES_HEADER_DIGEST,
			right ^ 1u << bit);
	}
}

static void test_pdu_quotes_at_most_128_bytes_when_it_makes_a_term_req(void **state)
{
	static const uint8_t expected[24] = {0x03, 0, 24, 0, 24 + 8, 0, 0, 0, 0x01, 0, 0x78, 0x56,
		0x34, 0x12};
	const struct pdu_fault fault = {PDU_FES_HEADER_FIELD, 0x12345678};
	uint8_t header[200], pdu[PDU_TERMINATE_BYTES_MAX];

	(void)state;
	memset(header, 0xa5, sizeof(header));
	assert_int_equal(pdu_make_terminate(true, fault, header, 8, pdu), 32);
	assert_memory_equal(pdu, expected, sizeof(expected));
	assert_memory_equal(pdu + 24, header, 8);
	assert_int_equal(pdu_make_terminate(false, fault, header, 200, pdu), 152);
	assert_int_equal(pdu[0], PDU_H2C_TERMINATE);
	assert_int_equal(pdu[4], 152);
	assert_memory_equal(pdu + 24, header, 128);
}

static void test_pdu_names_each_fatal_error_when_asked(void **state)
{
	(void)state;
	for (unsigned fes = 0; fes < 16; fes++) {
		bool is_known = fes >= PDU_FES_HEADER_FIELD && fes <= PDU_FES_UNSUPPORTED;

		assert_int_equal(strcmp(pdu_fes_text(fes), "unknown fatal error") != 0, is_known);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_pdu_reports_the_lowest_offset_when_the_common_header_is_wrong),
		cmocka_unit_test(test_pdu_reports_the_field_when_it_has_no_legal_value),
		cmocka_unit_test(test_pdu_describes_a_data_pdu_when_it_has_padding_and_digests),
		cmocka_unit_test(test_pdu_describes_no_digest_when_a_capsule_has_no_data),
		cmocka_unit_test(
			test_pdu_reports_the_digest_before_any_field_when_the_header_digest_is_wrong),
		cmocka_unit_test(test_pdu_quotes_at_most_128_bytes_when_it_makes_a_term_req),
		cmocka_unit_test(test_pdu_names_each_fatal_error_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
