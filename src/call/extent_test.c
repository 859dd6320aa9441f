/*
 * How many bytes an argument is about.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "call/extent.h"

static void test_extent_is_what_the_arguments_say_when_they_are_legal(void **state)
{
	static const struct {
		const char *call;
		uint64_t arguments[CALL_ARGUMENTS_MAX];
		unsigned index;
		enum call_class class;
		uint64_t bytes;
	} rows[] = {
		{"read", {0, 1, 100}, 1, CALL_OUT, 100},
		{"read", {0, 1, 0}, 1, CALL_OUT, 0},
		{"read", {0, 1, UINT64_MAX}, 1, CALL_OUT, CALL_BYTES_MAX},
		{"read", {0, 1, 100}, 0, CALL_FD, 0},
		{"write", {0, 1, 1ull << 40}, 1, CALL_IN, CALL_BYTES_MAX},
		{"openat", {0, 1}, 1, CALL_PATH, PATH_MAX},
		{"fstat", {0, 1}, 1, CALL_OUT, sizeof(struct stat)},
		{"fgetxattr", {0, 1, 2, 10}, 1, CALL_STRING, 256},
		{"fgetxattr", {0, 1, 2, 1u << 20}, 2, CALL_OUT, CALL_VALUE_MAX},
		{"fsetxattr", {0, 1, 2, CALL_VALUE_MAX}, 2, CALL_IN, CALL_VALUE_MAX},
		{"readlinkat", {0, 1, 2, UINT64_MAX}, 2, CALL_OUT, 0},
		{"readlinkat", {0, 1, 2, 1ull << 32 | 7}, 2, CALL_OUT, 7},
		{"readlinkat", {0, 1, 2, 1u << 20}, 2, CALL_OUT, PATH_MAX},
		{"ppoll", {1, 3}, 0, CALL_IN_OUT, 3 * sizeof(struct pollfd)},
		{"pselect6", {1, 2}, 1, CALL_IN_OUT, 8},
		{"pselect6", {64, 2}, 1, CALL_IN_OUT, 8},
		{"pselect6", {65, 2}, 1, CALL_IN_OUT, 16},
		{"pselect6", {0, 2}, 1, CALL_IN_OUT, 0},
		{"pselect6", {UINT64_MAX, 2}, 1, CALL_IN_OUT, 0},
		{"pselect6", {INT_MAX, 2}, 1, CALL_IN_OUT, CALL_POLLED_MAX / 8},
		{"pselect6", {1, 2, 0, 0, 0, 1}, 5, CALL_SIGNALS, 0},
		{"readv", {0, 1, 1024}, 1, CALL_VECTOR_OUT, 1024 * sizeof(struct iovec)},
		{"sendmsg", {0, 1}, 1, CALL_MESSAGE_IN, sizeof(struct msghdr)},
		{"recvmmsg", {0, 1, 5000}, 1, CALL_MESSAGES_OUT, 1024 * sizeof(struct mmsghdr)},
		{"bind", {0, 1, 128}, 1, CALL_IN, 128},
		{"bind", {0, 1, UINT64_MAX}, 1, CALL_IN, 0},
		{"accept", {0, 1, 2}, 1, CALL_OUT, CALL_ADDRESS_MAX},
		{"accept", {0, 1, 2}, 2, CALL_SIZE, 4},
		{"ioctl", {0, FIONREAD, 1}, 2, CALL_OUT, 4},
		{"ioctl", {0, FIOCLEX, 1}, 2, CALL_SCALAR, 0},
		{"fcntl", {0, F_GETLK, 1}, 2, CALL_IN_OUT, sizeof(struct flock)},
		{"fcntl", {0, F_SETFL, 1}, 2, CALL_SCALAR, 0},
		{"setsockopt", {0, SOL_SOCKET, SO_REUSEADDR, 1, 4}, 3, CALL_IN, 4},
		{"setsockopt", {0, SOL_SOCKET, SO_REUSEADDR, 1, 100}, 3, CALL_IN, 4},
		{"setsockopt", {0, SOL_SOCKET, SO_REUSEADDR, 1, 1u << 20}, 3, CALL_IN, 4},
		{"setsockopt", {0, SOL_SOCKET, SO_REUSEADDR, 1, 1}, 3, CALL_IN, 1},
		{"setsockopt", {0, SOL_SOCKET, SO_REUSEADDR, 1, UINT64_MAX}, 3, CALL_IN, 0},
		{"getsockopt", {0, SOL_SOCKET, SO_REUSEADDR, 1, 4}, 3, CALL_OUT, 4},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct call_row *row = call_find_name(rows[i].call);
		struct call_extent extent;

		assert_int_equal(call_extent(row, rows[i].arguments, rows[i].index, &extent), 0);
		assert_int_equal(extent.class, rows[i].class);
		assert_int_equal(extent.bytes, rows[i].bytes);
	}
}

static void test_extent_is_sized_when_the_length_lies_in_memory(void **state)
{
	static const struct {
		const char *call;
		unsigned index, size_index;
	} rows[] = {{"accept4", 1, 2}, {"recvfrom", 4, 5}, {"getsockopt", 3, 4},
		{"getsockname", 1, 2}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const uint64_t arguments[CALL_ARGUMENTS_MAX] = {0, SOL_SOCKET, SO_TYPE};
		struct call_extent extent;

		assert_int_equal(call_extent(call_find_name(rows[i].call), arguments, rows[i].index,
					 &extent),
			0);
		assert_true(extent.is_sized);
		assert_int_equal(extent.size_index, rows[i].size_index);
	}
}

static void test_extent_is_refused_when_a_limit_or_a_set_says_so(void **state)
{
	static const struct {
		const char *call;
		uint64_t arguments[CALL_ARGUMENTS_MAX];
		unsigned index;
		int error;
	} rows[] = {
		{"readv", {0, 1, 1025}, 1, -EINVAL},
		{"writev", {0, 1, UINT64_MAX}, 1, -EINVAL},
		{"bind", {0, 1, 129}, 1, -EINVAL},
		{"ppoll", {1, CALL_POLLED_MAX + 1}, 0, -EINVAL},
		{"fsetxattr", {0, 1, 2, CALL_VALUE_MAX + 1}, 2, -E2BIG},
		{"openat2", {0, 1, 2, 4097}, 2, -E2BIG},
		{"ioctl", {0, TIOCSTI, 1}, 2, -ENOTTY},
		{"fcntl", {0, F_SETOWN, 1}, 2, -EINVAL},
		{"setsockopt", {0, SOL_SOCKET, SO_ERROR, 1, 4}, 3, -ENOPROTOOPT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct call_row *row = call_find_name(rows[i].call);
		struct call_extent extent = {.bytes = 77};

		assert_int_equal(call_extent(row, rows[i].arguments, rows[i].index, &extent),
			rows[i].error);
		assert_int_equal(extent.bytes, 77);
	}
}

/* No argument of any call, whatever the numbers are, is about more than its limit. */
static void test_extent_is_bounded_when_the_arguments_are_anything(void **state)
{
	static const uint64_t values[] = {0, 1, 1024, INT_MAX, UINT_MAX, 1ull << 32, INT64_MAX,
		UINT64_MAX};
	size_t count;
	const struct call_row *rows = call_rows(&count);

	(void)state;
	for (size_t i = 0; i < count * ARRAY_LENGTH(values); i++) {
		const struct call_row *row = &rows[i % count];
		uint64_t value = values[i / count];
		const uint64_t arguments[CALL_ARGUMENTS_MAX] = {value, value, value, value, value,
			value};

		for (unsigned j = 0; j < row->argument_count; j++) {
			struct call_extent extent;

			if (call_extent(row, arguments, j, &extent) == 0)
				assert_true(extent.bytes <= CALL_BYTES_MAX);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extent_is_what_the_arguments_say_when_they_are_legal),
		cmocka_unit_test(test_extent_is_sized_when_the_length_lies_in_memory),
		cmocka_unit_test(test_extent_is_refused_when_a_limit_or_a_set_says_so),
		cmocka_unit_test(test_extent_is_bounded_when_the_arguments_are_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
