#include "base/cleanup.h"
#include "base/uuid.h"
#include "nvme/nqn.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define UUID_TEXT "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"

static void test_nqn_is_judged_when_its_form_varies(void **state)
{
	static const struct {
		const char *nqn;
		bool is_acceptable, is_standard;
	} rows[] = {
		{NVME_NQN_DISCOVERY, true, true},
		{"nqn.2014-08.com.example:nvme.host.sys.xyz", true, true},
		{"nqn.2014-08.com.example:\xc3\xa9t\xc3\xa9", true, true},
		{"nqn.2014-12.a1.x--y:z", true, true},
		{NVME_NQN_UUID_PREFIX UUID_TEXT, true, true},
		{"nqn.2014-08.org.nvmexpress:other", true, true},
		{"nqn.2014-08.com.example:a b", true, false},
		{NVME_NQN_UUID_PREFIX, true, false},
		{NVME_NQN_UUID_PREFIX UUID_TEXT "0", true, false},
		{NVME_NQN_UUID_PREFIX "f81d4fae-7dec-11d0-a765-00a0c91e6bfg", true, false},
		{"nqn.2014-00.com.example:x", true, false},
		{"nqn.2014-13.com.example:x", true, false},
		{"nqn.2014-8.com.example:x", true, false},
		{"nqn.14-08.com.example:x", true, false},
		{"nqn.2014-08", true, false},
		{"nqn.2014-08.", true, false},
		{"nqn.2014-08.:x", true, false},
		{"nqn.2014-08.com.example", true, false},
		{"nqn.2014-08.com.example:", true, false},
		{"nqn.2014-08.com..example:x", true, false},
		{"nqn.2014-08.-com.example:x", true, false},
		{"nqn.2014-08.com-.example:x", true, false},
		{"nqn.2014-08.com.example.:x", true, false},
		{"nqn.2014-08.com_example:x", true, false},
		{"NQN.2014-08.com.example:x", true, false},
		{"nqn.psk-test-host", true, false},
		{"disk", true, false},
		{"n", true, false},
		{"", false, false},
		{"a\tb", false, false},
		{"a\x7f", false, false},
		{"a\n", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(nvme_nqn_is_acceptable(rows[i].nqn), rows[i].is_acceptable);
		assert_int_equal(nvme_nqn_is_standard(rows[i].nqn), rows[i].is_standard);
	}
}

static void test_nqn_is_judged_when_it_is_not_ascii(void **state)
{
	static const struct {
		const char *nqn;
		bool is_acceptable;
	} rows[] = {
		{"\xc2\xa0", true},          /* the first that is no control character */
		{"\xdf\xbf", true},          /* U+07FF */
		{"\xe0\xa0\x80", true},      /* U+0800 */
		{"\xef\xbf\xbd", true},      /* U+FFFD */
		{"\xf0\x90\x80\x80", true},  /* U+10000 */
		{"\xf4\x8f\xbf\xbf", true},  /* U+10FFFF */
		{"\xc2\x9b", false},         /* a control character */
		{"\x80", false},             /* no beginning */
		{"\xc3", false},             /* no end */
		{"\xc3(", false},            /* no continuation */
		{"\xe2\x82", false},         /* no end */
		{"\xf0\x90\x80", false},     /* no end */
		{"\xc1\x81", false},         /* overlong */
		{"\xe0\x80\x80", false},     /* overlong */
		{"\xf0\x80\x80\x80", false}, /* overlong */
		{"\xed\xa0\x80", false},     /* a surrogate */
		{"\xf4\x90\x80\x80", false}, /* past U+10FFFF */
		{"\xf8\x88\x80\x80\x80", false},
		{"\xff", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		assert_int_equal(nvme_nqn_is_acceptable(rows[i].nqn), rows[i].is_acceptable);
}

static void test_nqn_is_taken_from_a_field_when_it_is_terminated_and_short_enough(void **state)
{
	static const struct {
		size_t length;
		int result;
	} rows[] = {
		{0, -EINVAL},
		{1, 0},
		{NVME_NQN_LENGTH_MAX, 0},
		{NVME_NQN_LENGTH_MAX + 1, -EINVAL},
		{NVME_NQN_FIELD_BYTES - 1, -EINVAL},
		{NVME_NQN_FIELD_BYTES, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char field[NVME_NQN_FIELD_BYTES] = {0};
		char again[NVME_NQN_FIELD_BYTES];
		char nqn[NVME_NQN_TEXT_MAX] = "as before";

		memset(field, 'x', rows[i].length);
		assert_int_equal(nvme_nqn_from_field(field, nqn), rows[i].result);
		if (rows[i].result != 0) {
			assert_string_equal(nqn, "as before");
			continue;
		}
		assert_int_equal(strlen(nqn), rows[i].length);
		memset(again, 0xff, sizeof(again));
		nvme_nqn_to_field(again, nqn);
		assert_memory_equal(again, field, sizeof(field));
	}
}

static void test_nqn_ends_at_the_nul_when_the_field_has_more(void **state)
{
	char field[NVME_NQN_FIELD_BYTES] = "nqn.x";
	char nqn[NVME_NQN_TEXT_MAX];

	(void)state;
	memset(field + 6, 0xff, sizeof(field) - 6);
	assert_int_equal(nvme_nqn_from_field(field, nqn), 0);
	assert_string_equal(nqn, "nqn.x");
}

static void test_nqn_is_standard_when_made_from_a_uuid(void **state)
{
	uint8_t uuid[UUID_BYTES];
	char nqn[NVME_NQN_TEXT_MAX];

	(void)state;
	assert_int_equal(uuid_from_text(UUID_TEXT, uuid), 0);
	nvme_nqn_from_uuid(uuid, nqn);
	assert_string_equal(nqn, "nqn.2014-08.org.nvmexpress:uuid:" UUID_TEXT);
	assert_true(nvme_nqn_is_standard(nqn));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nqn_is_judged_when_its_form_varies),
		cmocka_unit_test(test_nqn_is_judged_when_it_is_not_ascii),
		cmocka_unit_test(
			test_nqn_is_taken_from_a_field_when_it_is_terminated_and_short_enough),
		cmocka_unit_test(test_nqn_ends_at_the_nul_when_the_field_has_more),
		cmocka_unit_test(test_nqn_is_standard_when_made_from_a_uuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
