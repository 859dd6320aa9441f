/*
 * Arguments by hand, where the call table knows what they are.
 */
#include "cmd/hand_fit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define TEXTS_MAX 6

struct fitted {
	const struct call_row *row;
	struct hand_argument arguments[CALL_ARGUMENTS_MAX];
};

/* Fit @texts, which end with NULL. @return what the last one that was looked at gave. */
static int fit(struct fitted *fitted, const char *name, const char *const texts[TEXTS_MAX])
{
	const char *problem = NULL;
	unsigned count = 0;
	int error = 0;

	*fitted = (struct fitted){.row = call_find_name(name)};
	assert_non_null(fitted->row);
	for (; count < TEXTS_MAX && texts[count] != NULL && error == 0; count++)
		error = hand_fit_text(fitted->row, fitted->arguments, count, texts[count],
			&problem);
	if (error == 0)
		error = hand_fit_rest(fitted->row, fitted->arguments, count, &problem);
	else
		assert_non_null(problem);
	return error;
}

static void forget(struct fitted *fitted)
{
	for (unsigned i = 0; i < CALL_ARGUMENTS_MAX; i++)
		hand_argument_deinit(&fitted->arguments[i]);
}

static void test_number_is_passed_when_it_is_named_or_left_out(void **state)
{
	static const struct {
		const char *call, *texts[TEXTS_MAX];
		unsigned index;
		uint64_t value;
	} rows[] = {
		{"openat", {"AT_FDCWD", "x", "O_RDWR|O_CREAT"}, 2, O_RDWR | O_CREAT},
		{"openat", {"AT_FDCWD", "x", "O_RDONLY"}, 0, (uint64_t)AT_FDCWD},
		{"openat", {"3", "x", "O_WRONLY|0x40"}, 2, O_WRONLY | 0x40},
		{"openat", {"3", "x"}, 2, 0},
		{"openat", {"3", "x", "0x41", "0644"}, 3, 0644},
		{"socket", {"AF_INET6", "SOCK_DGRAM|SOCK_CLOEXEC"}, 1, SOCK_DGRAM | SOCK_CLOEXEC},
		{"lseek", {"3", "-5", "SEEK_END"}, 1, (uint64_t)-5},
		{"lseek", {"3", "-5", "SEEK_END"}, 2, SEEK_END},
		{"fcntl", {"3", "F_SETFL", "O_NONBLOCK"}, 1, F_SETFL},
		{"fcntl", {"3", "F_SETFL", "O_NONBLOCK"}, 2, O_NONBLOCK},
		{"fcntl", {"3", "F_SETFD", "FD_CLOEXEC"}, 2, FD_CLOEXEC},
		{"fcntl", {"3", "F_DUPFD", "10"}, 2, 10},
		{"fcntl", {"3", "F_GETFL"}, 2, 0},
		{"ioctl", {"3", "FIONREAD"}, 1, FIONREAD},
		{"setsockopt", {"3", "IPPROTO_TCP", "TCP_NODELAY", "1"}, 2, TCP_NODELAY},
		{"setsockopt", {"3", "IPPROTO_TCP", "TCP_NODELAY", "1"}, 4, 4},
		{"setsockopt", {"3", "IPPROTO_TCP", "TCP_CONGESTION", "cubic"}, 4, 5},
		{"write", {"1", "hello"}, 2, 5},
		{"write", {"1", "hello", "3"}, 2, 3},
		{"read", {"1", "[100]"}, 2, 100},
		{"sendto", {"1", "hello"}, 2, 5},
		{"sendto", {"1", "hello"}, 5, 0},
		{"bind", {"1", "127.0.0.1:80"}, 2, sizeof(struct sockaddr_in)},
		{"bind", {"1", "[::1]:80"}, 2, sizeof(struct sockaddr_in6)},
		{"bind", {"1", "/a"}, 2, offsetof(struct sockaddr_un, sun_path) + 3},
		{"ppoll", {"[16]"}, 1, 2},
		{"accept", {"1"}, 1, 0},
		{"accept", {"1"}, 2, 0},
		{"utimensat", {"1", "x"}, 2, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct fitted fitted;

		assert_int_equal(fit(&fitted, rows[i].call, rows[i].texts), 0);
		assert_int_equal(fitted.arguments[rows[i].index].kind, HAND_ARGUMENT_NUMBER);
		assert_int_equal(fitted.arguments[rows[i].index].value, rows[i].value);
		forget(&fitted);
	}
}

static void test_memory_has_the_number_when_a_pointer_is_wanted(void **state)
{
	static const struct {
		const char *call, *texts[TEXTS_MAX];
		unsigned index;
		uint64_t value;
		size_t bytes;
		bool is_both;
	} rows[] = {
		{"setsockopt", {"3", "SOL_SOCKET", "SO_KEEPALIVE", "1"}, 3, 1, 4, false},
		{"setsockopt", {"3", "SOL_SOCKET", "SO_KEEPALIVE", "0"}, 3, 0, 4, false},
		{"ioctl", {"3", "FIONBIO", "1"}, 2, 1, 4, false},
		{"sendfile", {"3", "4", "100", "9"}, 2, 100, 8, true},
		{"accept", {"3", "[16]", "16"}, 2, 16, 4, true},
		{"accept", {"3", "[28]"}, 2, 28, 4, true},
		{"getsockopt", {"3", "SOL_SOCKET", "SO_TYPE"}, 4, 4, 4, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct hand_argument *argument;
		struct fitted fitted;
		uint64_t value = 0;

		assert_int_equal(fit(&fitted, rows[i].call, rows[i].texts), 0);
		argument = &fitted.arguments[rows[i].index];
		assert_int_equal(argument->kind, HAND_ARGUMENT_BYTES);
		assert_int_equal(argument->bytes, rows[i].bytes);
		memcpy(&value, argument->memory, rows[i].bytes);
		assert_int_equal(value, rows[i].value);
		assert_int_equal(argument->is_both, rows[i].is_both);
		forget(&fitted);
	}
}

static void test_room_is_made_when_a_structure_is_left_out(void **state)
{
	static const struct {
		const char *call, *texts[TEXTS_MAX];
		unsigned index;
		size_t bytes; /* 0: none */
	} rows[] = {
		{"fstat", {"3"}, 1, sizeof(struct stat)},
		{"pipe2", {NULL}, 0, 8},
		{"ioctl", {"3", "FIONREAD"}, 2, 4},
		{"getsockopt", {"3", "SOL_SOCKET", "SO_ERROR"}, 3, 4},
		{"timerfd_settime", {"3", "0", "[32]"}, 3, 0},
		{"read", {"3"}, 1, 0},
		{"accept4", {"3"}, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct hand_argument *argument;
		struct fitted fitted;

		assert_int_equal(fit(&fitted, rows[i].call, rows[i].texts), 0);
		argument = &fitted.arguments[rows[i].index];
		assert_int_equal(argument->kind,
			rows[i].bytes != 0 ? HAND_ARGUMENT_ROOM : HAND_ARGUMENT_NUMBER);
		assert_int_equal(argument->bytes, rows[i].bytes);
		forget(&fitted);
	}
}

static void test_address_is_a_structure_when_it_is_text(void **state)
{
	static const struct {
		const char *text;
		int family;
	} rows[] = {{"10.0.0.1:80", AF_INET}, {"[fe80::1]:80", AF_INET6}, {"/run/s", AF_UNIX}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const char *const texts[TEXTS_MAX] = {"3", rows[i].text};
		struct sockaddr_storage storage = {0};
		struct fitted fitted;

		assert_int_equal(fit(&fitted, "connect", texts), 0);
		assert_true(fitted.arguments[1].bytes <= sizeof(storage));
		memcpy(&storage, fitted.arguments[1].memory, fitted.arguments[1].bytes);
		assert_int_equal(storage.ss_family, rows[i].family);
		if (rows[i].family == AF_INET)
			assert_int_equal(((struct sockaddr_in *)&storage)->sin_port, htons(80));
		if (rows[i].family == AF_INET6)
			assert_int_equal(((struct sockaddr_in6 *)&storage)->sin6_port, htons(80));
		if (rows[i].family == AF_UNIX)
			assert_string_equal(((struct sockaddr_un *)&storage)->sun_path, "/run/s");
		forget(&fitted);
	}
}

static void test_text_is_refused_when_the_argument_is_of_another_kind(void **state)
{
	static const struct {
		const char *call, *texts[TEXTS_MAX];
	} rows[] = {
		{"openat", {"here"}},
		{"close", {"AT_FDCWD"}},
		{"openat", {"3", "x", "O_NONSENSE"}},
		{"openat", {"3", "x", "O_RDWR|"}},
		{"openat", {"3", "x", "O_RDWR O_CREAT"}},
		{"openat", {"3", "x", "12x"}},
		{"openat", {"3", "x", "O_RDWR", "rw-r--r--"}},
		{"openat",
			{"3", "x",
				"O_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
				"AAAAAAA"}},
		{"ioctl", {"3", "TIOCSTI"}},
		{"getsockopt", {"3", "IPPROTO_TCP", "SO_ERROR"}},
		{"bind", {"3", "localhost"}},
		{"bind", {"3", "localhost:80"}},
		{"bind", {"3", "127.0.0.1:65536"}},
		{"bind", {"3", "127.0.0.1:"}},
		{"bind", {"3", "::1:80"}},
		{"bind", {"3", "[::1:80"}},
		{"bind", {"3", "[]:80"}},
		{"bind",
			{"3",
				"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
				"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}},
		{"read", {"3", "[x]"}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct fitted fitted;

		assert_int_equal(fit(&fitted, rows[i].call, rows[i].texts), -EINVAL);
		forget(&fitted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number_is_passed_when_it_is_named_or_left_out),
		cmocka_unit_test(test_memory_has_the_number_when_a_pointer_is_wanted),
		cmocka_unit_test(test_room_is_made_when_a_structure_is_left_out),
		cmocka_unit_test(test_address_is_a_structure_when_it_is_text),
		cmocka_unit_test(test_text_is_refused_when_the_argument_is_of_another_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
