#include "base/cleanup.h"
#include "nvme/completion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_status_text_is_the_specifications_when_the_code_has_a_name(void **state)
{
	static const struct {
		nvme_status status;
		const char *text;
	} rows[] = {
		{NVME_STATUS_SUCCESS, "Successful Completion"},
		{NVME_STATUS_INVALID_OPCODE, "Invalid Command Opcode"},
		{NVME_STATUS_LBA_OUT_OF_RANGE, "LBA Out of Range"},
		{NVME_STATUS_LBA_OUT_OF_RANGE | NVME_STATUS_DNR, "LBA Out of Range"},
		{NVME_STATUS_INTERRUPTED | 1U << NVME_STATUS_CRD_SHIFT | NVME_STATUS_MORE,
			"Command Interrupted"},
		{NVME_STATUS_CONNECT_INVALID_HOST, "Connect Invalid Host"},
		{NVME_STATUS_COMPARE_FAILURE, "Compare Failure"},
		{NVME_STATUS_ABORTED_BY_HOST, "Command Aborted By Host"},
		{NVME_STATUS_COMMAND_SIZE_LIMIT_EXCEEDED,
			"Connect Restart Discovery or Command Size Limit Exceeded"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		assert_string_equal(nvme_status_text(rows[i].status), rows[i].text);
}

static void test_status_text_is_general_when_the_code_has_no_name(void **state)
{
	static const struct {
		nvme_status status;
		const char *text;
	} rows[] = {
		{0x017, "Reserved"},
		{0x085, "Reserved"},
		{0x400, "Reserved"},
		{0x0c0, "Vendor Specific"},
		{0x1ff, "Vendor Specific"},
		{0x700, "Vendor Specific"},
		{0x7ff | NVME_STATUS_DNR, "Vendor Specific"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		assert_string_equal(nvme_status_text(rows[i].status), rows[i].text);
}

static void test_status_text_differs_when_the_named_codes_differ(void **state)
{
	(void)state;
	for (nvme_status one = 0; one < 0x7ff; one++) {
		const char *text = nvme_status_text(one);

		if (strcmp(text, "Reserved") == 0 || strcmp(text, "Vendor Specific") == 0)
			continue;
		for (nvme_status other = one + 1; other <= 0x7ff; other++)
			assert_string_not_equal(nvme_status_text(other), text);
	}
}

static void test_status_parts_are_those_of_the_figure_when_all_are_set(void **state)
{
	nvme_status status = NVME_STATUS_ANA_TRANSITION | 2U << NVME_STATUS_CRD_SHIFT |
		NVME_STATUS_MORE | NVME_STATUS_DNR;

	(void)state;
	assert_int_equal(nvme_status_sc(status), 0x03);
	assert_int_equal(nvme_status_sct(status), NVME_STATUS_TYPE_PATH);
	assert_int_equal(nvme_status_code(status), NVME_STATUS_ANA_TRANSITION);
	assert_int_equal(nvme_status_crd(status), 2);
	assert_true(nvme_status_is_dnr(status));
	assert_false(nvme_status_is_dnr(NVME_STATUS_ANA_TRANSITION));
}

static void test_completion_is_laid_out_when_made_of_its_parts(void **state)
{
	static const uint8_t bytes[16] = {
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* result */
		0x02, 0x01, 0, 0,                               /* SQHD, SQID */
		0xcd, 0xab, 0x00, 0x81, /* CID; DNR and SC 80h, the phase tag 0 */
	};
	struct nvme_completion completion =
		nvme_completion_of(0xabcd, NVME_STATUS_LBA_OUT_OF_RANGE | NVME_STATUS_DNR, 0x0102);

	(void)state;
	nvme_completion_set_result(&completion, UINT64_C(0x1122334455667788));
	assert_memory_equal(&completion, bytes, sizeof(bytes));
	assert_int_equal(nvme_completion_result(&completion), UINT64_C(0x1122334455667788));
	assert_int_equal(nvme_completion_status(&completion),
		NVME_STATUS_LBA_OUT_OF_RANGE | NVME_STATUS_DNR);
}

static void test_completion_status_is_unchanged_when_the_phase_tag_is_set(void **state)
{
	struct nvme_completion completion = nvme_completion_of(1, NVME_STATUS_SUCCESS, 0);

	(void)state;
	nvme_completion_set_status(&completion, NVME_STATUS_ABORTED_BY_HOST);
	completion.status.bytes[0] |= 1;
	assert_int_equal(nvme_completion_status(&completion), NVME_STATUS_ABORTED_BY_HOST);
}

static void test_completion_names_the_field_when_connect_is_refused(void **state)
{
	(void)state;
	assert_int_equal(nvme_connect_result_invalid(true, 256), 0x10100);
	assert_int_equal(nvme_connect_result_invalid(false, 44), 44);
	assert_int_equal(nvme_connect_result_cntlid(NVME_CONNECT_AUTHREQ_ATR | 7), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_text_is_the_specifications_when_the_code_has_a_name),
		cmocka_unit_test(test_status_text_is_general_when_the_code_has_no_name),
		cmocka_unit_test(test_status_text_differs_when_the_named_codes_differ),
		cmocka_unit_test(test_status_parts_are_those_of_the_figure_when_all_are_set),
		cmocka_unit_test(test_completion_is_laid_out_when_made_of_its_parts),
		cmocka_unit_test(test_completion_status_is_unchanged_when_the_phase_tag_is_set),
		cmocka_unit_test(test_completion_names_the_field_when_connect_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
