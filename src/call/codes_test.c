/*
 * The sets of codes: each code is coherent and there once, and found from a call's arguments.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "call/codes.h"

static const enum call_set sets[] = {CALL_SET_IOCTL, CALL_SET_FCNTL, CALL_SET_OPTION,
	CALL_SET_CONTROL};

static bool is_memory(const struct call_code *code)
{
	return code->class == CALL_IN || code->class == CALL_OUT || code->class == CALL_IN_OUT;
}

static void test_code_is_coherent_when_it_is_in_a_set(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(sets); i++) {
		size_t count;
		const struct call_code *codes = call_codes(sets[i], &count);
		bool is_option = sets[i] == CALL_SET_OPTION || sets[i] == CALL_SET_CONTROL;

		assert_true(count > 0);
		for (size_t j = 0; j < count; j++) {
			assert_true(is_memory(&codes[j]) ||
				(!is_option &&
					(codes[j].class == CALL_SCALAR ||
						codes[j].class == CALL_FD)));
			assert_int_equal(is_memory(&codes[j]), codes[j].unit_bytes != 0);
			assert_true(codes[j].unit_bytes <= CALL_VALUE_MAX);
			assert_ptr_equal(call_code_find(sets[i], codes[j].level, codes[j].code),
				&codes[j]);
		}
	}
}

/* New requests of ioctl() say themselves how many bytes they are about. */
static void test_bytes_are_those_of_the_request_when_it_tells_them(void **state)
{
	/* Linux writes an int, whatever their numbers say. */
	static const uint32_t liars[] = {FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_GETVERSION,
		BLKBSZGET};
	size_t count, checked = 0;
	const struct call_code *codes = call_codes(CALL_SET_IOCTL, &count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		bool is_liar = _IOC_DIR(codes[i].code) == _IOC_NONE || !is_memory(&codes[i]);

		for (size_t j = 0; j < ARRAY_LENGTH(liars); j++)
			is_liar = is_liar || codes[i].code == liars[j];
		if (is_liar)
			continue;
		assert_int_equal(codes[i].unit_bytes, _IOC_SIZE(codes[i].code));
		checked++;
	}
	assert_true(checked >= 2);
}

static void test_code_is_selected_when_the_call_may_use_it(void **state)
{
	static const struct {
		const char *call;
		uint64_t arguments[CALL_ARGUMENTS_MAX];
		const char *expected; /* NULL: refused */
	} rows[] = {
		{"ioctl", {3, FIONREAD}, "FIONREAD"},
		{"ioctl", {3, FIONREAD | (1ull << 32)}, "FIONREAD"},
		{"ioctl", {3, FIOASYNC}, NULL},
		{"ioctl", {3, TIOCSTI}, NULL},
		{"ioctl", {3, SIOCGIFCONF}, NULL},
		{"ioctl", {3, 0}, NULL},
		{"fcntl", {3, F_GETLK}, "F_GETLK"},
		{"fcntl", {3, F_DUPFD}, "F_DUPFD"},
		{"fcntl", {3, F_SETOWN}, NULL},
		{"fcntl", {3, F_SETSIG}, NULL},
		{"fcntl", {3, F_NOTIFY}, NULL},
		{"fcntl", {3, F_SETLEASE}, NULL},
		{"getsockopt", {3, SOL_SOCKET, SO_ERROR}, "SO_ERROR"},
		{"setsockopt", {3, SOL_SOCKET, SO_ERROR}, NULL},
		{"setsockopt", {3, IPPROTO_TCP, TCP_NODELAY}, "TCP_NODELAY"},
		{"getsockopt", {3, IPPROTO_TCP, TCP_NODELAY}, "TCP_NODELAY"},
		{"setsockopt", {3, IPPROTO_IP, IP_ADD_MEMBERSHIP}, "IP_ADD_MEMBERSHIP"},
		{"getsockopt", {3, IPPROTO_IP, IP_ADD_MEMBERSHIP}, NULL},
		{"setsockopt", {3, SOL_SOCKET, SO_ATTACH_FILTER}, NULL},
		{"setsockopt", {3, SOL_SOCKET, SO_BINDTODEVICE}, NULL},
		{"setsockopt", {3, SOL_SOCKET, SO_ZEROCOPY}, NULL},
		{"setsockopt", {3, IPPROTO_IP, IP_OPTIONS}, NULL},
		{"setsockopt", {3, IPPROTO_TCP, TCP_ULP}, NULL},
		{"setsockopt", {3, 12345, 1}, NULL},
		{"getpid", {0}, NULL},
		{"read", {0}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct call_code *code =
			call_select(call_find_name(rows[i].call), rows[i].arguments);

		if (rows[i].expected == NULL)
			assert_null(code);
		else
			assert_string_equal(code->name, rows[i].expected);
	}
}

static void test_refusal_is_that_of_linux_when_a_code_is_unknown(void **state)
{
	(void)state;
	assert_int_equal(call_code_refusal(CALL_SET_IOCTL), -ENOTTY);
	assert_int_equal(call_code_refusal(CALL_SET_FCNTL), -EINVAL);
	assert_int_equal(call_code_refusal(CALL_SET_OPTION), -ENOPROTOOPT);
	assert_int_equal(call_code_refusal(CALL_SET_CONTROL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_code_is_coherent_when_it_is_in_a_set),
		cmocka_unit_test(test_bytes_are_those_of_the_request_when_it_tells_them),
		cmocka_unit_test(test_code_is_selected_when_the_call_may_use_it),
		cmocka_unit_test(test_refusal_is_that_of_linux_when_a_code_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
