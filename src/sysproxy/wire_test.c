/*
 * Every rule of the frames, at its boundary and beyond.
 */
#include "sysproxy/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/writer.h"

#define MALFORMED WIRE_ERROR_MALFORMED
#define HEADER    WIRE_HEADER_BYTES

struct frame_row {
	uint64_t bytes;
	uint16_t class;
	uint16_t type;
	bool is_extended;
	int expected;
};

static void test_wire_judges_a_frame_of_a_client_when_its_header_is_read(void **state)
{
	static const struct frame_row rows[] = {
		{0, WIRE_REQUEST, WIRE_HANDSHAKE, false, -EPROTO},
		{HEADER - 1, WIRE_REQUEST, WIRE_PREFORK, false, -EPROTO},
		{1ull << 63, WIRE_REQUEST, WIRE_SYSCALL, false, -EPROTO},
		{UINT64_MAX, WIRE_REQUEST, WIRE_CALL, true, -EPROTO},
		{WIRE_FRAME_MAX + 1, WIRE_REQUEST, WIRE_CALL, true, -EPROTO},
		{HEADER, WIRE_REQUEST, WIRE_HANDSHAKE, false, 0},
		{HEADER + WIRE_NAME_MAX, WIRE_REQUEST, WIRE_HANDSHAKE, false, 0},
		{HEADER + WIRE_NAME_MAX + 1, WIRE_REQUEST, WIRE_HANDSHAKE, false, MALFORMED},
		{HEADER, WIRE_REQUEST, WIRE_SYSCALL, false, 0},
		{HEADER + 128, WIRE_REQUEST, WIRE_SYSCALL, false, 0},
		{HEADER + 129, WIRE_REQUEST, WIRE_SYSCALL, false, MALFORMED},
		{HEADER, WIRE_REQUEST, WIRE_PREFORK, false, 0},
		{HEADER + 1, WIRE_REQUEST, WIRE_PREFORK, false, MALFORMED},
		{HEADER + 16, WIRE_REQUEST, WIRE_COPYIN, false, MALFORMED},
		{HEADER, WIRE_REQUEST, WIRE_RAISE, false, MALFORMED},
		{HEADER, WIRE_REQUEST, 9, false, MALFORMED},
		{HEADER, WIRE_REQUEST, 63, true, MALFORMED},
		{HEADER, WIRE_REQUEST, WIRE_LANE + 1, true, MALFORMED},
		{HEADER, WIRE_REQUEST, UINT16_MAX, true, MALFORMED},
		{HEADER + 40, WIRE_REQUEST, WIRE_HELLO, true, 0},
		{HEADER + 39, WIRE_REQUEST, WIRE_HELLO, true, MALFORMED},
		{HEADER + 40, WIRE_REQUEST, WIRE_HELLO, false, MALFORMED},
		{HEADER + 8, WIRE_REQUEST, WIRE_CALL, true, 0},
		{HEADER + 8, WIRE_REQUEST, WIRE_CALL, false, MALFORMED},
		{HEADER + 7, WIRE_REQUEST, WIRE_CALL, true, MALFORMED},
		{WIRE_CALL_MAX, WIRE_REQUEST, WIRE_CALL, true, 0},
		{HEADER + 16, WIRE_REQUEST, WIRE_CANCEL, true, 0},
		{HEADER + 15, WIRE_REQUEST, WIRE_CANCEL, true, MALFORMED},
		{HEADER + 24, WIRE_REQUEST, WIRE_LANE, true, 0},
		{HEADER + 25, WIRE_REQUEST, WIRE_LANE, true, MALFORMED},
		{HEADER, WIRE_RESPONSE, WIRE_COPYIN, false, 0},
		{HEADER + WIRE_COPY_MAX, WIRE_RESPONSE, WIRE_COPYIN, false, 0},
		{HEADER + WIRE_COPY_MAX + 1, WIRE_RESPONSE, WIRE_COPYIN, false, MALFORMED},
		{HEADER + 8, WIRE_RESPONSE, WIRE_ANONMMAP, false, 0},
		{HEADER + 7, WIRE_RESPONSE, WIRE_ANONMMAP, false, MALFORMED},
		{HEADER, WIRE_RESPONSE, WIRE_COPYOUT, false, MALFORMED},
		{HEADER + 16, WIRE_RESPONSE, WIRE_CALL_COPYOUT, true, 0},
		{HEADER + 17, WIRE_RESPONSE, WIRE_CALL_COPYOUT, true, MALFORMED},
		{HEADER + 16 + WIRE_COPY_MAX, WIRE_RESPONSE, WIRE_CALL_COPYIN, true, 0},
		{HEADER, WIRE_ERROR, 0, false, MALFORMED},
		{HEADER, 3, 0, false, MALFORMED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct wire_frame frame = {.bytes = rows[i].bytes,
			.class = rows[i].class,
			.type = rows[i].type};

		if (wire_check_from_client(&frame, rows[i].is_extended) != rows[i].expected)
			fail_msg("row %zu", i);
	}
}

static void test_wire_judges_a_frame_of_a_server_when_its_header_is_read(void **state)
{
	static const struct frame_row rows[] = {
		{HEADER - 1, WIRE_ERROR, 0, false, -EPROTO},
		{HEADER, WIRE_ERROR, 0, false, 0},
		{HEADER + 1, WIRE_ERROR, 0, false, -EPROTO},
		{HEADER + 16, WIRE_REQUEST, WIRE_COPYIN, false, 0},
		{HEADER + 17, WIRE_REQUEST, WIRE_COPYIN, false, -EPROTO},
		{HEADER + 16 + WIRE_COPY_MAX, WIRE_REQUEST, WIRE_COPYOUT, false, 0},
		{HEADER + 17 + WIRE_COPY_MAX, WIRE_REQUEST, WIRE_COPYOUT, false, -EPROTO},
		{HEADER, WIRE_REQUEST, WIRE_RAISE, false, 0},
		{HEADER, WIRE_REQUEST, WIRE_SYSCALL, false, -EPROTO},
		{HEADER, WIRE_REQUEST, WIRE_PREFORK, false, -EPROTO},
		{HEADER + 24, WIRE_REQUEST, WIRE_CALL_COPYIN, true, 0},
		{HEADER + 24, WIRE_REQUEST, WIRE_CALL_COPYIN, false, -EPROTO},
		{HEADER + 24, WIRE_RESPONSE, WIRE_SYSCALL, false, 0},
		{HEADER + 23, WIRE_RESPONSE, WIRE_SYSCALL, false, -EPROTO},
		{HEADER + 4, WIRE_RESPONSE, WIRE_HANDSHAKE, false, 0},
		{HEADER + 32, WIRE_RESPONSE, WIRE_HANDSHAKE, true, 0},
		{HEADER + 24, WIRE_RESPONSE, WIRE_CALL, true, 0},
		{WIRE_REPLY_MAX, WIRE_RESPONSE, WIRE_CALL, true, 0},
		{WIRE_FRAME_MAX + 1, WIRE_RESPONSE, WIRE_CALL, true, -EPROTO},
		{HEADER, WIRE_RESPONSE, WIRE_LANE + 1, true, -EPROTO},
		{HEADER, 3, 0, true, -EPROTO},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct wire_frame frame = {.bytes = rows[i].bytes,
			.class = rows[i].class,
			.type = rows[i].type};

		if (wire_check_from_server(&frame, rows[i].is_extended) != rows[i].expected)
			fail_msg("row %zu", i);
	}
}

static void test_wire_header_is_what_was_put_when_it_is_read_back(void **state)
{
	struct wire_frame frame = {.number = 0x0102030405060708,
		.class = 2,
		.type = 71,
		.aux = 0xfffefdfc};
	struct wire_header header;
	struct wire_frame back;

	(void)state;
	wire_header_put(&header, &frame, 100);
	back = wire_frame_of(&header);
	assert_int_equal(back.bytes, 124);
	assert_int_equal(back.number, frame.number);
	assert_int_equal(back.class, frame.class);
	assert_int_equal(back.type, frame.type);
	assert_int_equal(back.aux, frame.aux);
	assert_int_equal(((uint8_t *)&header)[8], 0x08);
}

/* A range and what it carries. */
struct range_row {
	uint64_t address, bytes;
	uint32_t flags, carried_bytes;
};

#define CALL_BYTES_MAX 4096

static size_t make_call(uint8_t *to, unsigned argument_count, const struct range_row *ranges,
	unsigned range_count)
{
	struct writer writer = writer_over(to, CALL_BYTES_MAX);

	writer_le16(&writer, (uint16_t)argument_count);
	writer_le16(&writer, (uint16_t)range_count);
	writer_le32(&writer, 0);
	for (unsigned i = 0; i < argument_count; i++)
		writer_le64(&writer, i);
	for (unsigned i = 0; i < range_count; i++) {
		writer_le64(&writer, ranges[i].address);
		writer_le64(&writer, ranges[i].bytes);
		writer_le32(&writer, ranges[i].flags);
		writer_le32(&writer, ranges[i].carried_bytes);
	}
	for (unsigned i = 0; i < range_count; i++) {
		if (ranges[i].carried_bytes <= 64)
			writer_zeros(&writer, ranges[i].carried_bytes);
	}
	assert_true(writer_is_ok(&writer));
	return writer.used_bytes;
}

static void test_wire_takes_a_call_apart_when_it_is_well_formed(void **state)
{
	const struct range_row ranges[] = {
		{0x1000, 16, WIRE_RANGE_IN, 16},
		{0x2000, 1u << 30, WIRE_RANGE_IN | WIRE_RANGE_OUT, 3},
		{UINT64_MAX, 0, WIRE_RANGE_OUT, 0},
	};
	uint8_t payload[CALL_BYTES_MAX];
	size_t bytes = make_call(payload, 6, ranges, 3);
	struct wire_call_view view;

	(void)state;
	assert_int_equal(wire_call_parse(payload, bytes, &view), 0);
	assert_int_equal(view.argument_count, 6);
	assert_int_equal(view.range_count, 3);
	assert_int_equal(view.carried_bytes, 19);
	assert_ptr_equal(view.carried + 19, payload + bytes);
	assert_int_equal(le64_load(view.arguments + 40), 5);
	/* Cut anywhere, or with a byte too many, it is not. */
	for (size_t cut = 0; cut < bytes; cut++)
		assert_int_equal(wire_call_parse(payload, cut, &view), -EPROTO);
	assert_int_equal(wire_call_parse(payload, bytes + 1, &view), -EPROTO);
}

static void test_wire_refuses_a_call_when_a_range_is_not_possible(void **state)
{
	static const struct range_row rows[] = {
		{0, 1, 0, 0},                      /* no flag */
		{0, 1, 4, 0},                      /* unknown flag */
		{UINT64_MAX, 1, WIRE_RANGE_IN, 0}, /* wraps around */
		{1, UINT64_MAX, WIRE_RANGE_IN, 0}, /* wraps around */
		{0, 3, WIRE_RANGE_IN, 4},          /* carries more than it is */
		{0, 4, WIRE_RANGE_OUT, 4},         /* carries what is not to be read */
		{0, 1u << 31, WIRE_RANGE_IN, WIRE_CARRIED_MAX + 1}, /* carries too much */
	};
	uint8_t payload[CALL_BYTES_MAX];
	struct wire_call_view view;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		size_t bytes = make_call(payload, 1, &rows[i], 1);

		if (wire_call_parse(payload, bytes, &view) != -EPROTO)
			fail_msg("row %zu", i);
	}
}

static void test_wire_refuses_a_call_when_a_count_is_too_high(void **state)
{
	static const uint8_t too_many[8] = {[2] = 1, [3] = 4}; /* 1025 ranges */
	static const uint8_t reserved[8] = {[4] = 1};
	uint8_t payload[CALL_BYTES_MAX] = {0};
	struct wire_call_view view;

	(void)state;
	assert_int_equal(wire_call_parse(payload, make_call(payload, 16, NULL, 0), &view), 0);
	assert_int_equal(wire_call_parse(payload, make_call(payload, 17, NULL, 0), &view), -EPROTO);
	memcpy(payload, too_many, sizeof(too_many));
	assert_int_equal(wire_call_parse(payload, sizeof(payload), &view), -EPROTO);
	memcpy(payload, reserved, sizeof(reserved));
	assert_int_equal(wire_call_parse(payload, sizeof(reserved), &view), -EPROTO);
}

static size_t make_reply(uint8_t *to, uint32_t piece_count, const uint32_t *piece_bytes)
{
	struct writer writer = writer_over(to, CALL_BYTES_MAX);
	size_t data_bytes = 0;

	writer_le32(&writer, 5);
	writer_le32(&writer, piece_count);
	writer_le64(&writer, 7);
	writer_le64(&writer, 8);
	for (uint32_t i = 0; i < piece_count; i++) {
		writer_le32(&writer, i);
		writer_le32(&writer, piece_bytes[i]);
		writer_le64(&writer, 0);
		data_bytes += piece_bytes[i];
	}
	if (data_bytes <= 64)
		writer_zeros(&writer, data_bytes);
	assert_true(writer_is_ok(&writer));
	return writer.used_bytes;
}

static void test_wire_takes_a_reply_apart_when_it_is_well_formed(void **state)
{
	uint8_t payload[CALL_BYTES_MAX];
	size_t bytes = make_reply(payload, 2, (const uint32_t[]){10, 0});
	struct wire_reply_view view;

	(void)state;
	assert_int_equal(wire_reply_parse(payload, bytes, &view), 0);
	assert_int_equal(view.error, 5);
	assert_int_equal(view.values[1], 8);
	assert_int_equal(view.piece_count, 2);
	assert_int_equal(view.data_bytes, 10);
	for (size_t cut = 0; cut < bytes; cut++)
		assert_int_equal(wire_reply_parse(payload, cut, &view), -EPROTO);
	assert_int_equal(wire_reply_parse(payload, bytes + 1, &view), -EPROTO);
}

static void test_wire_refuses_a_reply_when_its_pieces_are_not_possible(void **state)
{
	static const uint8_t too_many[4] = {1, 4};     /* 1025 pieces */
	static const uint8_t no_int[4] = {[3] = 0x80}; /* the error */
	uint8_t payload[CALL_BYTES_MAX] = {0};
	struct wire_reply_view view;
	size_t bytes = make_reply(payload, 2, (const uint32_t[]){UINT32_MAX, 1});

	(void)state;
	assert_int_equal(wire_reply_parse(payload, bytes, &view), -EPROTO);
	bytes = make_reply(payload, 0, NULL);
	memcpy(payload + 4, too_many, sizeof(too_many));
	assert_int_equal(wire_reply_parse(payload, sizeof(payload), &view), -EPROTO);
	bytes = make_reply(payload, 0, NULL);
	memcpy(payload, no_int, sizeof(no_int));
	assert_int_equal(wire_reply_parse(payload, bytes, &view), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wire_judges_a_frame_of_a_client_when_its_header_is_read),
		cmocka_unit_test(test_wire_judges_a_frame_of_a_server_when_its_header_is_read),
		cmocka_unit_test(test_wire_header_is_what_was_put_when_it_is_read_back),
		cmocka_unit_test(test_wire_takes_a_call_apart_when_it_is_well_formed),
		cmocka_unit_test(test_wire_refuses_a_call_when_a_range_is_not_possible),
		cmocka_unit_test(test_wire_refuses_a_call_when_a_count_is_too_high),
		cmocka_unit_test(test_wire_takes_a_reply_apart_when_it_is_well_formed),
		cmocka_unit_test(test_wire_refuses_a_reply_when_its_pieces_are_not_possible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
