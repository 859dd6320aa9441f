#include "nvme/property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_property_cap_has_its_parts_when_composed(void **state)
{
	uint64_t cap = nvme_cap_of(128, 15001, NVME_CAP_CSS_NVM | NVME_CAP_CRMS_MEDIA);

	(void)state;
	assert_true(cap == UINT64_C(0x080000201f01007f));
	assert_int_equal(nvme_cap_queue_entries(cap), 128);
	assert_int_equal(nvme_cap_timeout_ms(cap), 15500);
	assert_int_equal(nvme_cap_page_shift(cap), 12);
	assert_int_equal(nvme_cap_queue_entries(UINT64_MAX), 65536);
	assert_int_equal(nvme_cap_timeout_ms(UINT64_MAX), 127500);
	assert_int_equal(nvme_cap_page_shift(UINT64_MAX), 27);
}

static void test_property_cc_has_its_parts_when_composed(void **state)
{
	uint32_t cc = nvme_cc_of_enabled(NVME_CC_CSS_ALL);

	(void)state;
	assert_int_equal(cc, 0x00460061);
	assert_true(nvme_cc_is_enabled(cc));
	assert_int_equal(nvme_cc_css(cc), NVME_CC_CSS_ALL);
	assert_int_equal(nvme_cc_mps(cc), 0);
	assert_int_equal(nvme_cc_ams(cc), 0);
	assert_int_equal(nvme_cc_iosqes(cc), 6);
	assert_int_equal(nvme_cc_iocqes(cc), 4);
	assert_int_equal(nvme_cc_shn(cc), NVME_CC_SHN_NONE);
	assert_int_equal(nvme_cc_mps(0x780), 15);
	assert_int_equal(nvme_cc_ams(0x3800), 7);

	cc = nvme_cc_with_shn(nvme_cc_with_shn(cc, NVME_CC_SHN_ABRUPT), NVME_CC_SHN_NORMAL);
	assert_int_equal(cc, 0x00464061);
	assert_int_equal(nvme_cc_shn(cc), NVME_CC_SHN_NORMAL);
}

static void test_property_csts_has_its_shutdown_status_when_set(void **state)
{
	uint32_t csts = nvme_csts_with_shst(NVME_CSTS_RDY, NVME_CSTS_SHST_IN_PROGRESS);

	(void)state;
	assert_int_equal(csts, 5);
	csts = nvme_csts_with_shst(csts, NVME_CSTS_SHST_COMPLETE);
	assert_int_equal(csts, 9);
	assert_int_equal(nvme_csts_shst(csts), NVME_CSTS_SHST_COMPLETE);
}

static void test_property_is_as_the_figure_says_when_constant(void **state)
{
	(void)state;
	assert_int_equal(NVME_VERSION_2_0, 0x00020000);
	assert_int_equal(NVME_VERSION_2_1, 0x00020100);
	assert_int_equal(NVME_VERSION_1_4, 0x00010400);
	assert_int_equal(nvme_crto_of(1000, 499), 0x00010002);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_property_cap_has_its_parts_when_composed),
		cmocka_unit_test(test_property_cc_has_its_parts_when_composed),
		cmocka_unit_test(test_property_csts_has_its_shutdown_status_when_set),
		cmocka_unit_test(test_property_is_as_the_figure_says_when_constant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
