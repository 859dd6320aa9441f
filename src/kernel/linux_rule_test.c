/*
 * What no client may do: reach what is the worker's, or what was not lent.
 */
#include "kernel/linux_rule.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/kernel/linux_bench.h"

#define WINDOW LINUX_BENCH_WINDOW
#define HIDDEN (WINDOW + 1) /* open, and not the client's */

static void test_linux_rule_hides_a_descriptor_when_it_is_the_workers(void **state)
{
	char byte;
	struct epoll_event event = {0};
	struct pollfd polls[] = {{.fd = 0}, {.fd = HIDDEN}};
	int own = fcntl(0, F_DUPFD_CLOEXEC, HIDDEN);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	const struct {
		uint32_t number;
		int expected;
		uint64_t arguments[6];
	} rows[] = {
		{SYS_read, -EBADF, {HIDDEN, AT(&byte), 1}},
		{SYS_close, -EBADF, {HIDDEN}},
		{SYS_dup, -EBADF, {HIDDEN}},
		{SYS_dup2, -EBADF, {0, HIDDEN}},
		{SYS_dup2, -EBADF, {HIDDEN, 100}},
		{SYS_dup3, -EBADF, {0, WINDOW, O_CLOEXEC}},
		{SYS_fcntl, -EBADF, {HIDDEN, F_GETFD}},
		{SYS_fcntl, -EINVAL, {0, F_DUPFD, WINDOW}},
		{SYS_fcntl, -EINVAL, {0, F_DUPFD_CLOEXEC, INT32_MAX}},
		{SYS_fcntl, -EPERM, {0, F_SETFL, O_ASYNC}},
		{SYS_openat, -EBADF, {HIDDEN, AT("x"), O_RDONLY}},
		{SYS_poll, -EBADF, {AT(polls), 2, 0}},
		{SYS_epoll_ctl, -EBADF, {(uint64_t)epoll, EPOLL_CTL_ADD, HIDDEN, AT(&event)}},
		{SYS_sendfile, -EBADF, {HIDDEN, 0, 0, 1}},
		{SYS_sendfile, -EBADF, {0, HIDDEN, 0, 1}},
		{SYS_close_range, -EINVAL, {300, 310, CLOSE_RANGE_UNSHARE}},
		{SYS_close_range, -EINVAL, {310, 300, 0}},
		{SYS_close_range, 0, {HIDDEN, UINT32_MAX, 0}},
		{SYS_close_range, 0, {300, UINT32_MAX, 0}},
	};

	assert_int_equal(own, HIDDEN);
	assert_int_equal(dup2(0, WINDOW - 1), WINDOW - 1);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		assert_int_equal(linux_bench_call(*state, rows[i].number, rows[i].arguments),
			rows[i].expected);
	assert_true(fcntl(own, F_GETFD) >= 0);
	assert_int_equal(fcntl(WINDOW - 1, F_GETFD), -1);
	(void)close(own);
	(void)close(epoll);
}

static void test_linux_rule_gives_no_descriptor_when_those_below_the_window_are_taken(void **state)
{
	int fds[2];

	while (LINUX_CALL(*state, SYS_dup, 0) >= 0)
		;
	assert_int_equal(LINUX_CALL(*state, SYS_dup, 0), -EMFILE);
	assert_int_equal(LINUX_CALL(*state, SYS_pipe2, AT(fds), 0), -EMFILE);
	assert_int_equal(LINUX_CALL(*state, SYS_fcntl, 0, F_DUPFD, 17), -EMFILE);
	(void)close(WINDOW - 1);
	/* One of two is none. */
	assert_int_equal(LINUX_CALL(*state, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, AT(fds)),
		-EMFILE);
	assert_int_equal(LINUX_CALL(*state, SYS_dup, 0), WINDOW - 1);
	for (int fd = WINDOW; fd < WINDOW + 10; fd++)
		assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(LINUX_CALL(*state, SYS_close_range, 200, WINDOW - 1, 0), 0);
}

static void test_linux_rule_refuses_a_socket_when_no_network_is_lent(void **state)
{
	static const struct sockaddr_un abstract = {AF_UNIX, "\0name"};
	struct linux_bench *bench = *state;
	int fds[2], fd;

	assert_int_equal(LINUX_CALL(bench, SYS_socket, AF_INET, SOCK_STREAM, 0), -EACCES);
	assert_int_equal(linux_bench_log_count(bench, "socket: "), 1);
	assert_int_equal(LINUX_CALL(bench, SYS_socket, AF_NETLINK, SOCK_RAW, 0), -EAFNOSUPPORT);
	assert_int_equal(LINUX_CALL(bench, SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, AT(fds)), 0);
	fd = (int)LINUX_CALL(bench, SYS_socket, AF_UNIX, SOCK_DGRAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(LINUX_CALL(bench, SYS_bind, (uint64_t)fd, AT(&abstract), sizeof(abstract)),
		-EPERM);
	assert_int_equal(LINUX_CALL(bench, SYS_bind, (uint64_t)fd, AT(&abstract), 2), -EPERM);
	assert_int_equal(LINUX_CALL(bench, SYS_connect, (uint64_t)fd, AT(&abstract),
				 sizeof(abstract)),
		-EPERM);
	assert_int_equal(LINUX_CALL(bench, SYS_sendto, (uint64_t)fd, AT("x"), 1, 0, AT(&abstract),
				 sizeof(abstract)),
		-EPERM);
	(void)close(fd);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* Sockets that were there before the policy was, as one that a client was passed would be. */
static void test_linux_rule_refuses_an_address_when_it_is_not_lent(void **state)
{
	struct sockaddr_in there = {.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct linux_bench *bench = *state;
	struct iovec vector = {"x", 1};
	struct mmsghdr messages[2] = {{.msg_hdr = {.msg_name = &there,
					       .msg_namelen = sizeof(there),
					       .msg_iov = &vector,
					       .msg_iovlen = 1}}};
	int stream = socket(AF_INET, SOCK_STREAM, 0), datagram = socket(AF_INET, SOCK_DGRAM, 0);
	struct linux_counts counts;

	messages[1] = messages[0];
	assert_int_equal(LINUX_CALL(bench, SYS_connect, (uint64_t)stream, AT(&there),
				 sizeof(there)),
		-EACCES);
	assert_int_equal(linux_bench_log_count(bench, "connect: 127.0.0.1:9 is not lent"), 1);
	assert_int_equal(LINUX_CALL(bench, SYS_bind, (uint64_t)stream, AT(&there), sizeof(there)),
		-EACCES);
	assert_int_equal(LINUX_CALL(bench, SYS_listen, (uint64_t)stream, 1), -EACCES);
	assert_int_equal(LINUX_CALL(bench, SYS_sendto, (uint64_t)datagram, AT("x"), 1, 0,
				 AT(&there), sizeof(there)),
		-EACCES);
	assert_int_equal(LINUX_CALL(bench, SYS_sendmsg, (uint64_t)datagram,
				 AT(&messages[0].msg_hdr), 0),
		-EACCES);
	assert_int_equal(LINUX_CALL(bench, SYS_sendmmsg, (uint64_t)datagram, AT(messages), 2, 0),
		-EACCES);
	assert_int_equal(LINUX_CALL(bench, SYS_listen, (uint64_t)datagram, 1), -EACCES);
	assert_int_equal(LINUX_CALL(bench, SYS_listen, 399, 1), -EBADF);
	linux_kernel_counts(bench->kernel, &counts);
	assert_int_equal(counts.refusals, 7);
	(void)close(stream);
	(void)close(datagram);
}

int main(void)
{
#define BENCH_TEST(test_, setup_) \
	cmocka_unit_test_setup_teardown(test_, setup_, linux_bench_teardown)
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_linux_rule_hides_a_descriptor_when_it_is_the_workers,
			linux_bench_setup),
		BENCH_TEST(
			test_linux_rule_gives_no_descriptor_when_those_below_the_window_are_taken,
			linux_bench_setup),
		BENCH_TEST(test_linux_rule_refuses_a_socket_when_no_network_is_lent,
			linux_bench_setup_poor),
		BENCH_TEST(test_linux_rule_refuses_an_address_when_it_is_not_lent,
			linux_bench_setup_poor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
