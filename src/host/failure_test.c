#include "host/failure.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

static void test_failure_has_an_errno_and_words_when_a_command_failed(void **state)
{
	static const struct {
		nvme_status status;
		int error;
		const char *text;
	} rows[] = {
		{NVME_STATUS_LBA_OUT_OF_RANGE, -ERANGE, "LBA Out of Range (status 0/80h)"},
		{NVME_STATUS_LBA_OUT_OF_RANGE | NVME_STATUS_DNR | NVME_STATUS_MORE, -ERANGE,
			"LBA Out of Range (status 0/80h)"},
		{NVME_STATUS_RESERVATION_CONFLICT, -EBADE, "(status 0/83h)"},
		{NVME_STATUS_UNRECOVERED_READ_ERROR, -EIO, "(status 2/81h)"},
		{0x7ff, -EIO, "(status 7/ffh)"},
	};
	char text[FAILURE_TEXT_MAX];

	(void)state;
	assert_int_equal(failure_errno(NVME_STATUS_SUCCESS), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(failure_errno(rows[i].status), rows[i].error);
		failure_text(rows[i].status, text);
		assert_non_null(strstr(text, rows[i].text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failure_has_an_errno_and_words_when_a_command_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
