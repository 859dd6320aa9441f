/*
 * A row for each answer that a client may give, and for those it may not.
 */
#include "sysproxy/copy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_copy_has_the_frame_of_its_type_when_it_is_sent(void **state)
{
	const struct {
		uint16_t type;
		size_t frame_bytes, data_bytes;
		bool is_answered;
	} rows[] = {
		{WIRE_COPYIN, 40, 0, true},
		{WIRE_COPYINSTR, 40, 0, true},
		{WIRE_COPYOUT, 40, 7, false},
		{WIRE_ANONMMAP, 32, 0, true},
		{WIRE_CALL_COPYIN, 48, 0, true},
		{WIRE_CALL_COPYINSTR, 48, 0, true},
		{WIRE_CALL_COPYOUT, 48, 7, true},
		{WIRE_CALL_ANONMMAP, 48, 0, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct copy copy = {
			.type = rows[i].type,
			.call = 0x1111,
			.address = 0x2222,
			.bytes = 7,
		};
		uint8_t bytes[COPY_FRAME_MAX];
		struct wire_frame frame;

		assert_int_equal(copy_frame(&copy, 99, bytes), rows[i].frame_bytes);
		frame = wire_frame_of((const struct wire_header *)bytes);
		assert_int_equal(frame.bytes, rows[i].frame_bytes + rows[i].data_bytes);
		assert_int_equal(frame.number, 99);
		assert_int_equal(frame.class, WIRE_REQUEST);
		assert_int_equal(frame.type, rows[i].type);
		assert_int_equal(frame.aux, 0);
		assert_int_equal(wire_check_from_server(&frame, true), 0);
		assert_int_equal(copy_data_bytes(&copy), rows[i].data_bytes);
		assert_int_equal(copy_is_answered(&copy), rows[i].is_answered);
	}
}

static void test_copy_has_its_numbers_in_place_when_it_is_sent(void **state)
{
	const struct copy plain = {.type = WIRE_COPYIN, .address = 0x2222, .bytes = 7};
	const struct copy extended = {
		.type = WIRE_CALL_COPYIN,
		.call = 0x1111,
		.address = 0x2222,
		.bytes = 7,
	};
	uint8_t bytes[COPY_FRAME_MAX];

	(void)state;
	(void)copy_frame(&plain, 1, bytes);
	assert_int_equal(le64_load(bytes + 24), 7);
	assert_int_equal(le64_load(bytes + 32), 0x2222);
	(void)copy_frame(&extended, 1, bytes);
	assert_int_equal(le64_load(bytes + 24), 0x1111);
	assert_int_equal(le64_load(bytes + 32), 0x2222);
	assert_int_equal(le64_load(bytes + 40), 7);
}

/* An answer, and what becomes of it. */
struct row {
	uint16_t type;
	uint32_t head_error;
	uint64_t address;
	size_t payload_bytes;
	bool is_taken;
	int error;
	size_t ret_bytes;
};

static void expect(const struct row *row)
{
	struct copy copy = {.type = row->type, .bytes = 7, .error = 1};
	struct wire_call_copy_reply head = {
		.error = le32_of(row->head_error),
		.address = le64_of(row->address),
	};

	assert_int_equal(copy_takes(&copy, row->payload_bytes), row->is_taken);
	if (!row->is_taken)
		return;
	memcpy(copy.head, &head, sizeof(head));
	if (row->type == WIRE_ANONMMAP)
		memcpy(copy.head, &head.address, sizeof(head.address));
	copy_answered(&copy, row->payload_bytes);
	assert_int_equal(copy.error, row->error);
	if (row->error == 0) {
		assert_int_equal(copy.ret_bytes, row->ret_bytes);
		assert_int_equal(copy.ret_address, row->address);
	}
}

static void test_copy_takes_no_more_than_it_asked_for_when_it_is_answered(void **state)
{
	const struct row rows[] = {
		{WIRE_COPYIN, 0, 0, 7, true, 0, 7},
		{WIRE_COPYIN, 0, 0, 6, true, -EFAULT, 0},
		{WIRE_COPYIN, 0, 0, 0, true, -EFAULT, 0},
		{WIRE_COPYIN, 0, 0, 8, false, 0, 0},
		{WIRE_COPYIN, 0, 0, UINT64_MAX, false, 0, 0},
		{WIRE_COPYINSTR, 0, 0, 7, true, 0, 7},
		{WIRE_COPYINSTR, 0, 0, 1, true, 0, 1},
		{WIRE_COPYINSTR, 0, 0, 0, true, -EFAULT, 0},
		{WIRE_COPYINSTR, 0, 0, 8, false, 0, 0},
		{WIRE_ANONMMAP, 0, 0x4000, 8, true, 0, 0},
		{WIRE_ANONMMAP, 0, 0, 8, true, -ENOMEM, 0},
		{WIRE_ANONMMAP, 0, 0x4000, 7, false, 0, 0},
		{WIRE_ANONMMAP, 0, 0x4000, 9, false, 0, 0},
		{WIRE_CALL_COPYIN, 0, 0, 16 + 7, true, 0, 7},
		{WIRE_CALL_COPYIN, 0, 0, 16 + 6, true, -EFAULT, 0},
		{WIRE_CALL_COPYIN, 0, 0, 16, true, -EFAULT, 0},
		{WIRE_CALL_COPYIN, 0, 0, 16 + 8, false, 0, 0},
		{WIRE_CALL_COPYIN, 0, 0, 15, false, 0, 0},
		{WIRE_CALL_COPYIN, EFAULT, 0, 16, true, -EFAULT, 0},
		{WIRE_CALL_COPYIN, EPERM, 0, 16 + 7, true, -EFAULT, 0},
		{WIRE_CALL_COPYIN, UINT32_MAX, 0, 16, true, -EFAULT, 0},
		{WIRE_CALL_COPYINSTR, 0, 0, 16 + 3, true, 0, 3},
		{WIRE_CALL_COPYINSTR, 0, 0, 16, true, -EFAULT, 0},
		{WIRE_CALL_COPYOUT, 0, 0, 16, true, 0, 0},
		{WIRE_CALL_COPYOUT, EFAULT, 0, 16, true, -EFAULT, 0},
		{WIRE_CALL_COPYOUT, 0, 0, 17, false, 0, 0},
		{WIRE_CALL_ANONMMAP, 0, 0x4000, 16, true, 0, 0},
		{WIRE_CALL_ANONMMAP, 0, 0, 16, true, -ENOMEM, 0},
		{WIRE_CALL_ANONMMAP, ENOMEM, 0, 16, true, -ENOMEM, 0},
		{WIRE_CALL_ANONMMAP, EFAULT, 0, 16, true, -EFAULT, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy_has_the_frame_of_its_type_when_it_is_sent),
		cmocka_unit_test(test_copy_has_its_numbers_in_place_when_it_is_sent),
		cmocka_unit_test(test_copy_takes_no_more_than_it_asked_for_when_it_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
