/*
 * What is declared of a call's memory.
 */
#include "call/ranges.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/call/edge.h"

#define LIMIT 1024u

enum { IN = CALL_RANGE_IN, OUT = CALL_RANGE_OUT, BOTH = CALL_RANGE_IN | CALL_RANGE_OUT };

struct probe {
	struct call_range items[LIMIT];
	struct call_ranges ranges;
	uint64_t arguments[CALL_ARGUMENTS_MAX];
};

/* Declare the call @name of the arguments in @probe. */
static int declare(struct probe *probe, const char *name)
{
	if (probe->ranges.limit == 0)
		probe->ranges.limit = LIMIT;
	probe->ranges.items = probe->items;
	return call_ranges(call_find_name(name), probe->arguments, &probe->ranges);
}

static void assert_range(const struct probe *probe, unsigned index, const void *address,
	uint64_t bytes, unsigned flags)
{
	assert_true(index < probe->ranges.count);
	assert_int_equal(probe->items[index].address, (uintptr_t)address);
	assert_int_equal(probe->items[index].bytes, bytes);
	assert_int_equal(probe->items[index].flags, flags);
}

static char memory[8192];

static void test_range_is_counted_when_it_is_simple(void **state)
{
	const uint64_t at = (uintptr_t)memory;
	const struct {
		const char *call;
		uint64_t arguments[CALL_ARGUMENTS_MAX];
		uint64_t bytes; /* 0: nothing is declared */
		unsigned flags;
	} rows[] = {
		{"read", {0, at, 100}, 100, OUT},
		{"read", {0, at, 0}, 0, 0},
		{"read", {0, 0, 100}, 0, 0},
		{"read", {0, at, UINT64_MAX}, CALL_BYTES_MAX, OUT},
		{"write", {0, at, 7}, 7, IN},
		{"fstat", {0, at}, sizeof(struct stat), OUT},
		{"sendto", {0, at, 9, 0, 0, 16}, 9, IN},
		{"ppoll", {at, 2, 0, 8, 8}, 16, BOTH},
		{"pselect6", {100, 0, at, 0, 0, 8}, 16, BOTH},
		{"ioctl", {0, FIONREAD, at}, 4, OUT},
		{"ioctl", {0, FIOCLEX, at}, 0, 0},
		{"ioctl", {0, TIOCSTI, at}, 0, 0},
		{"fcntl", {0, F_SETFL, at}, 0, 0},
		{"fcntl", {0, F_OFD_GETLK, at}, sizeof(struct flock), BOTH},
		{"setsockopt", {0, SOL_SOCKET, SO_KEEPALIVE, at, 4}, 4, IN},
		{"setsockopt", {0, SOL_SOCKET, SO_ATTACH_FILTER, at, 16}, 0, 0},
		{"readv", {0, at, 1025}, 0, 0},
		{"sync", {at, at, at}, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct probe probe = {0};

		memcpy(probe.arguments, rows[i].arguments, sizeof(probe.arguments));
		assert_int_equal(declare(&probe, rows[i].call), 0);
		assert_int_equal(probe.ranges.count, rows[i].bytes == 0 ? 0 : 1);
		if (rows[i].bytes != 0)
			assert_range(&probe, 0, memory, rows[i].bytes, rows[i].flags);
	}
}

static void test_string_is_declared_when_it_ends_where_memory_does(void **state)
{
	struct probe probe = {0};
	struct edge edge;

	(void)state;
	edge_init(&edge);
	probe.arguments[1] = edge_put(&edge, "/etc/hosts", 11);
	assert_int_equal(declare(&probe, "openat"), 0);
	assert_int_equal(probe.ranges.count, 1);
	assert_range(&probe, 0, edge.end - 11, 11, IN);
	edge_deinit(&edge);
}

static void test_call_is_refused_when_what_is_looked_at_is_not_there(void **state)
{
	struct edge edge;

	(void)state;
	edge_init(&edge);
	memset(edge.page, 'x', edge.page_bytes);

	const uint64_t end = (uintptr_t)edge.end, here = (uintptr_t)edge.page;
	const struct {
		const char *call;
		uint64_t arguments[CALL_ARGUMENTS_MAX];
	} rows[] = {
		{"openat", {0, end}},
		{"openat", {0, end - 1}},
		{"openat", {0, UINT64_MAX}},
		{"openat", {0, 1}},
		{"fgetxattr", {0, end - 255, here, 1}},
		{"writev", {0, end, 1}},
		{"writev", {0, end - 8, 1}},
		{"sendmsg", {0, end - sizeof(struct msghdr) + 1}},
		{"recvmsg", {0, 8}},
		{"sendmmsg", {0, end, 1}},
		{"getsockname", {0, here, end}},
		{"getsockopt", {0, SOL_SOCKET, SO_TYPE, here, end - 3}},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct probe probe = {0};

		memcpy(probe.arguments, rows[i].arguments, sizeof(probe.arguments));
		assert_int_equal(declare(&probe, rows[i].call), -EFAULT);
	}
	edge_deinit(&edge);
}

static void test_string_is_cut_when_it_has_no_end(void **state)
{
	struct probe probe = {0};
	static char text[2 * PATH_MAX];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	probe.arguments[1] = (uintptr_t)text;
	assert_int_equal(declare(&probe, "openat"), 0);
	assert_range(&probe, 0, text, PATH_MAX, IN);
}

static void test_size_is_looked_at_when_it_is_in_memory(void **state)
{
	static const struct {
		int32_t size;
		uint64_t bytes; /* of the address */
	} rows[] = {{16, 16}, {0, 0}, {-1, 0}, {INT32_MIN, 0}, {128, 128}, {1000, 128}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct probe probe = {0};
		int32_t size = rows[i].size;
		unsigned first = rows[i].bytes != 0;

		probe.arguments[1] = (uintptr_t)memory;
		probe.arguments[2] = (uintptr_t)&size;
		assert_int_equal(declare(&probe, "accept4"), 0);
		assert_int_equal(probe.ranges.count, first + 1);
		if (first != 0)
			assert_range(&probe, 0, memory, rows[i].bytes, OUT);
		assert_range(&probe, first, &size, 4, BOTH);
	}
}

static void test_size_is_left_alone_when_there_is_no_room(void **state)
{
	struct probe probe = {.arguments = {0, 0, 8}};

	(void)state;
	assert_int_equal(declare(&probe, "accept"), 0);
	assert_int_equal(probe.ranges.count, 0);
}

static void test_vector_is_declared_with_its_elements(void **state)
{
	struct probe probe = {0};
	struct iovec iov[] = {{memory, 10}, {memory + 10, 6}, {memory + 100, 0}, {NULL, 5},
		{memory + 200, SIZE_MAX}, {memory + 300, 1}};

	(void)state;
	probe.arguments[1] = (uintptr_t)iov;
	probe.arguments[2] = ARRAY_LENGTH(iov);
	assert_int_equal(declare(&probe, "readv"), 0);
	assert_int_equal(probe.ranges.count, 3);
	assert_range(&probe, 0, iov, sizeof(iov), IN);
	/* Two that meet are one; beyond what a call can move there is nothing. */
	assert_range(&probe, 1, memory, 16, OUT);
	assert_range(&probe, 2, memory + 200, CALL_BYTES_MAX - 16 - 5, OUT);
}

static void test_vector_fits_when_it_is_as_long_as_linux_takes(void **state)
{
	struct probe probe = {0};
	struct iovec iov[CALL_VECTORS_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(iov); i++)
		iov[i] = (struct iovec){memory + 2 * i, i < 2 ? 2 : 1};
	probe.arguments[1] = (uintptr_t)iov;
	probe.arguments[2] = ARRAY_LENGTH(iov);
	assert_int_equal(declare(&probe, "writev"), 0);
	assert_int_equal(probe.ranges.count, LIMIT - 1);
	assert_range(&probe, LIMIT - 2, memory + 2046, 1, IN);
}

static void test_vector_is_refused_when_it_has_more_parts_than_ranges(void **state)
{
	struct probe probe = {.ranges = {.limit = 3}};
	struct iovec iov[] = {{memory, 1}, {memory + 2, 1}, {memory + 4, 1}};

	(void)state;
	probe.arguments[1] = (uintptr_t)iov;
	probe.arguments[2] = ARRAY_LENGTH(iov);
	assert_int_equal(declare(&probe, "writev"), -ENOBUFS);
}

static void test_message_is_declared_with_its_parts(void **state)
{
	static const struct {
		const char *call;
		unsigned header, parts;
	} rows[] = {{"sendmsg", IN, IN}, {"recvmsg", BOTH, OUT}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct probe probe = {0};
		struct iovec iov = {memory + 1000, 50};
		struct msghdr message = {.msg_name = memory,
			.msg_namelen = 16,
			.msg_control = memory + 100,
			.msg_controllen = 1u << 20,
			.msg_iov = &iov,
			.msg_iovlen = 1};

		probe.arguments[1] = (uintptr_t)&message;
		assert_int_equal(declare(&probe, rows[i].call), 0);
		assert_int_equal(probe.ranges.count, 5);
		assert_range(&probe, 0, &message, sizeof(message), rows[i].header);
		assert_range(&probe, 1, memory, 16, rows[i].parts);
		assert_range(&probe, 2, memory + 100, CALL_CONTROL_MAX, rows[i].parts);
		assert_range(&probe, 3, &iov, sizeof(iov), IN);
		assert_range(&probe, 4, memory + 1000, 50, rows[i].parts);
	}
}

static void test_message_has_no_name_when_its_length_is_negative(void **state)
{
	static const struct {
		uint32_t namelen;
		uint64_t bytes;
	} rows[] = {{128, 128}, {129, 128}, {INT32_MAX, 128}, {UINT32_MAX, 0}, {0, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct probe probe = {0};
		struct msghdr message = {.msg_name = memory, .msg_namelen = rows[i].namelen};

		probe.arguments[1] = (uintptr_t)&message;
		assert_int_equal(declare(&probe, "sendmsg"), 0);
		assert_int_equal(probe.ranges.count, rows[i].bytes == 0 ? 1 : 2);
		if (rows[i].bytes != 0)
			assert_range(&probe, 1, memory, rows[i].bytes, IN);
	}
}

/* @count messages of one byte each, none beside the other. */
static void fill_messages(struct mmsghdr *messages, struct iovec *iov, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		/* Apart from each other, too: neighbours would be one range. */
		iov[2 * i] = (struct iovec){memory + 2 * i, 1};
		messages[i] =
			(struct mmsghdr){.msg_hdr = {.msg_iov = &iov[2 * i], .msg_iovlen = 1}};
	}
}

static void test_messages_are_as_many_as_fit_when_there_are_too_many(void **state)
{
	static const struct {
		unsigned limit, count, expected;
	} rows[] = {{1024, 3, 3}, {7, 3, 3}, {6, 3, 2}, {5, 3, 2}, {4, 3, 1}, {3, 3, 1}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct probe probe = {.ranges = {.limit = rows[i].limit}};
		struct iovec iov[6];
		struct mmsghdr messages[3];

		fill_messages(messages, iov, 3);
		probe.arguments[1] = (uintptr_t)messages;
		probe.arguments[2] = rows[i].count;
		assert_int_equal(declare(&probe, "sendmmsg"), 0);
		assert_int_equal(probe.arguments[2], rows[i].expected);
		assert_int_equal(probe.ranges.count, 1 + 2 * rows[i].expected);
		assert_range(&probe, 0, messages, rows[i].expected * sizeof(messages[0]), BOTH);
	}
}

static void test_messages_are_refused_when_not_one_fits(void **state)
{
	struct probe probe = {.ranges = {.limit = 2}};
	struct iovec iov[2];
	struct mmsghdr message;

	(void)state;
	fill_messages(&message, iov, 1);
	probe.arguments[1] = (uintptr_t)&message;
	probe.arguments[2] = 1;
	assert_int_equal(declare(&probe, "recvmmsg"), -ENOBUFS);
}

static void test_messages_end_when_memory_does(void **state)
{
	struct probe probe = {0};
	struct iovec iov[2];
	struct mmsghdr message;
	struct edge edge;

	(void)state;
	edge_init(&edge);
	fill_messages(&message, iov, 1);
	probe.arguments[1] = edge_put(&edge, &message, sizeof(message));
	probe.arguments[2] = 5;
	assert_int_equal(declare(&probe, "sendmmsg"), 0);
	assert_int_equal(probe.arguments[2], 1);
	assert_range(&probe, 0, edge.end - sizeof(message), sizeof(message), BOTH);
	edge_deinit(&edge);
}

/* Whatever the arguments are, nothing crashes, and nothing beyond the limits is declared. */
static void test_ranges_are_bounded_when_the_arguments_are_anything(void **state)
{
	size_t count;
	const struct call_row *rows = call_rows(&count);
	struct edge edge;

	(void)state;
	edge_init(&edge);
	memset(edge.page, 0xff, edge.page_bytes);

	const uint64_t values[] = {0, 1, 64, 1024, INT_MAX, UINT64_MAX, (uintptr_t)edge.page,
		(uintptr_t)edge.end, (uintptr_t)edge.end - 1, (uintptr_t)edge.end - 64};

	for (size_t i = 0; i < count * ARRAY_LENGTH(values) * ARRAY_LENGTH(values); i++) {
		struct probe probe = {.ranges = {.limit = 16}};
		size_t pair = i / count;

		for (unsigned j = 0; j < CALL_ARGUMENTS_MAX; j++)
			probe.arguments[j] =
				values[(j % 2 == 0 ? pair / ARRAY_LENGTH(values) : pair) %
					ARRAY_LENGTH(values)];
		int error = declare(&probe, rows[i % count].name);

		assert_true(error == 0 || error == -EFAULT || error == -ENOBUFS);
		assert_true(probe.ranges.count <= 16);
		for (unsigned j = 0; j < probe.ranges.count; j++)
			assert_in_range(probe.items[j].bytes, 1, CALL_BYTES_MAX);
	}
	edge_deinit(&edge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range_is_counted_when_it_is_simple),
		cmocka_unit_test(test_string_is_declared_when_it_ends_where_memory_does),
		cmocka_unit_test(test_call_is_refused_when_what_is_looked_at_is_not_there),
		cmocka_unit_test(test_string_is_cut_when_it_has_no_end),
		cmocka_unit_test(test_size_is_looked_at_when_it_is_in_memory),
		cmocka_unit_test(test_size_is_left_alone_when_there_is_no_room),
		cmocka_unit_test(test_vector_is_declared_with_its_elements),
		cmocka_unit_test(test_vector_fits_when_it_is_as_long_as_linux_takes),
		cmocka_unit_test(test_vector_is_refused_when_it_has_more_parts_than_ranges),
		cmocka_unit_test(test_message_is_declared_with_its_parts),
		cmocka_unit_test(test_message_has_no_name_when_its_length_is_negative),
		cmocka_unit_test(test_messages_are_as_many_as_fit_when_there_are_too_many),
		cmocka_unit_test(test_messages_are_refused_when_not_one_fits),
		cmocka_unit_test(test_messages_end_when_memory_does),
		cmocka_unit_test(test_ranges_are_bounded_when_the_arguments_are_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
