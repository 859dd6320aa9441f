/*
 * Calls of every class of argument, through a client and a server, beside the same calls made directly.
 */
#include "kernel/linux_call.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/kernel/linux_bench.h"

static void test_linux_call_gives_a_value_when_there_is_no_memory(void **state)
{
	struct linux_bench *bench = *state;

	assert_int_equal(LINUX_CALL(bench, SYS_getpid), getpid());
	assert_int_equal(LINUX_CALL(bench, SYS_getuid), getuid());
	assert_int_equal(LINUX_CALL(bench, SYS_umask, 022), 022);
}

static void test_linux_call_writes_and_reads_a_file_when_it_is_made(void **state)
{
	struct linux_bench *bench = *state;
	char path[128], other[128], bytes[64] = "";
	int fd;

	linux_bench_path(bench, "file", path);
	linux_bench_path(bench, "other", other);
	fd = (int)LINUX_CALL(bench, SYS_openat, (uint64_t)AT_FDCWD, AT(path), O_CREAT | O_RDWR,
		0600);
	assert_true(fd >= 0);
	assert_int_equal(LINUX_CALL(bench, SYS_write, (uint64_t)fd, AT("0123456789"), 10), 10);
	assert_int_equal(LINUX_CALL(bench, SYS_pread64, (uint64_t)fd, AT(bytes), 60, 4), 6);
	assert_memory_equal(bytes, "456789\0", 7);
	assert_int_equal(LINUX_CALL(bench, SYS_lseek, (uint64_t)fd, (uint64_t)-3, SEEK_END), 7);
	assert_int_equal(LINUX_CALL(bench, SYS_read, (uint64_t)fd, AT(bytes), 64), 3);
	assert_int_equal(LINUX_CALL(bench, SYS_read, (uint64_t)fd, AT(bytes), 64), 0);
	assert_memory_equal(bytes, "789789\0", 7);
	assert_int_equal(LINUX_CALL(bench, SYS_renameat2, (uint64_t)AT_FDCWD, AT(path),
				 (uint64_t)AT_FDCWD, AT(other), 0),
		0);
	assert_int_equal(LINUX_CALL(bench, SYS_unlinkat, (uint64_t)AT_FDCWD, AT(path), 0), -ENOENT);
	assert_int_equal(LINUX_CALL(bench, SYS_unlinkat, (uint64_t)AT_FDCWD, AT(other), 0), 0);
	assert_int_equal(LINUX_CALL(bench, SYS_close, (uint64_t)fd), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* Structures that Linux fills: the bytes that come are those that it gives here. */
static void test_linux_call_gives_the_same_structure_when_it_is_made_directly(void **state)
{
	static const struct {
		uint32_t number;
		uint64_t arguments[4]; /* UINT64_MAX: the structure */
		size_t bytes;
	} rows[] = {
		{SYS_newfstatat, {(uint64_t)AT_FDCWD, (uintptr_t) "/", UINT64_MAX, 0},
			sizeof(struct stat)},
		{SYS_fstat, {0, UINT64_MAX}, sizeof(struct stat)},
		{SYS_uname, {UINT64_MAX}, sizeof(struct utsname)},
		{SYS_getcwd, {UINT64_MAX, 256}, 256},
		{SYS_getcwd, {UINT64_MAX, 0}, 0},
		{SYS_getcwd, {UINT64_MAX, 1}, 1},
		{SYS_readlinkat, {(uint64_t)AT_FDCWD, (uintptr_t) "/proc/self/exe", UINT64_MAX, 8},
			8},
		{SYS_getgroups, {256, UINT64_MAX}, 1024},
		{SYS_fstat, {UINT32_MAX, UINT64_MAX}, sizeof(struct stat)},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint8_t far[1024], near[1024];
		uint64_t far_arguments[6] = {0}, near_arguments[6] = {0};
		long near_value;

		memset(far, 0xa5, sizeof(far));
		memset(near, 0xa5, sizeof(near));
		for (unsigned a = 0; a < 4; a++) {
			bool is_structure = rows[i].arguments[a] == UINT64_MAX;

			far_arguments[a] = is_structure ? AT(far) : rows[i].arguments[a];
			near_arguments[a] = is_structure ? AT(near) : rows[i].arguments[a];
		}
		near_value = syscall(rows[i].number, near_arguments[0], near_arguments[1],
			near_arguments[2], near_arguments[3]);
		near_value = near_value >= 0 ? near_value : -errno;
		assert_int_equal(linux_bench_call(*state, rows[i].number, far_arguments),
			near_value);
		assert_memory_equal(far, near, sizeof(far));
	}
}

static void test_linux_call_is_refused_when_memory_is_bad(void **state)
{
	static char long_path[PATH_MAX + 1], name[300];
	static const struct {
		uint32_t number;
		int expected;
		uint64_t arguments[6];
	} rows[] = {
		{SYS_read, -EFAULT, {0, 8, 1}},
		{SYS_read, -EBADF, {UINT32_MAX, (uintptr_t)name, 1}},
		{SYS_write, -EFAULT, {1, 8, 1}},
		{SYS_openat, -EFAULT, {(uint64_t)AT_FDCWD, 0, O_RDONLY}},
		{SYS_openat, -ENAMETOOLONG, {(uint64_t)AT_FDCWD, (uintptr_t)long_path, O_RDONLY}},
		{SYS_fgetxattr, -ERANGE, {0, (uintptr_t)name, 0, 0}},
		{SYS_uname, -EFAULT, {0}},
		{SYS_ioctl, -ENOTTY, {0, 0x12345678, 0}},
		{SYS_fcntl, -EINVAL, {0, 12345, 0}},
		{SYS_setsockopt, -ENOPROTOOPT, {0, 1, 12345, 0, 0}},
		{SYS_fcntl, -EBADF, {UINT32_MAX, 12345, 0}},
	};

	memset(long_path, 'a', sizeof(long_path) - 1);
	memset(name, 'n', sizeof(name) - 1);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		assert_int_equal(linux_bench_call(*state, rows[i].number, rows[i].arguments),
			rows[i].expected);
}

/* A client that declares nothing, or less, and counts what there cannot be. */
static void test_linux_call_is_refused_when_the_client_is_hostile(void **state)
{
	static uint8_t bytes[64];
	static const struct ferry_sysproxy_range both = {bytes, sizeof(bytes),
		FERRY_SYSPROXY_IN | FERRY_SYSPROXY_OUT};
	const uint64_t at = AT(bytes), huge = UINT64_C(1) << 63;
	const struct {
		uint32_t number;
		int expected;
		unsigned range_count;
		uint64_t arguments[6];
	} rows[] = {
		{SYS_write, -EFAULT, 0, {1, at, 8}},
		{SYS_write, -EFAULT, 1, {1, at + 60, 8}},
		{SYS_write, -EFAULT, 1, {1, at, huge}},
		{SYS_uname, -EFAULT, 0, {at}},
		{SYS_uname, -EFAULT, 1, {at}},
		{SYS_getdents64, -ENOTDIR, 1, {1, at, 0x80000000}},
		{SYS_getgroups, -EINVAL, 1, {UINT32_MAX, at}},
		{SYS_getgroups, -EINVAL, 1, {0x80000000, at}},
		{SYS_writev, 0, 1, {1, at, huge}}, /* its lower 32 bits, as Linux */
		{SYS_writev, -EINVAL, 1, {1, at, UINT64_MAX}},
		{SYS_writev, -EFAULT, 0, {1, at, 4}},
		{SYS_poll, -EINVAL, 1, {at, UINT32_MAX, 0}},
		{SYS_openat, -EFAULT, 0, {(uint64_t)AT_FDCWD, at}},
		{SYS_sendmsg, -EFAULT, 0, {1, at, 0}},
		{SYS_sendmmsg, -EFAULT, 0, {1, at, 3, 0}},
		{SYS_getxattr, -EFAULT, 0, {at, at, at, huge}},
		{SYS_getsockname, -EFAULT, 1, {1, at, at + 62}},
		{SYS_setsockopt, -EINVAL, 1, {1, SOL_SOCKET, SO_REUSEADDR, at, UINT32_MAX}},
	};
	int sockets[2], saved = dup(1);

	/* Where nothing that got through would do harm. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	assert_true(dup2(sockets[0], 1) == 1);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		int64_t value = linux_bench_declare(*state, rows[i].number, rows[i].arguments,
			&both, rows[i].range_count);

		if (value != rows[i].expected) {
			assert_true(dup2(saved, 1) == 1);
			fail_msg("row %zu: %ld", i, (long)value);
		}
	}
	assert_true(dup2(saved, 1) == 1);
	assert_int_equal(recv(sockets[1], bytes, 1, MSG_DONTWAIT), -1);
	(void)close(saved);
	(void)close(sockets[0]);
	(void)close(sockets[1]);
}

static void test_linux_call_waits_for_descriptors_when_they_are_asked_of(void **state)
{
	struct linux_bench *bench = *state;
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = UINT64_C(0x123456789abcdef0)};
	struct epoll_event events[4];
	struct timespec time = {0, 1000};
	struct pollfd polls[2];
	int fds[2], epoll;
	fd_set set;

	assert_int_equal(LINUX_CALL(bench, SYS_pipe2, AT(fds), O_CLOEXEC), 0);
	epoll = (int)LINUX_CALL(bench, SYS_epoll_create1, 0);
	assert_true(epoll >= 0);
	assert_int_equal(LINUX_CALL(bench, SYS_epoll_ctl, (uint64_t)epoll, EPOLL_CTL_ADD,
				 (uint64_t)fds[0], AT(&event)),
		0);
	assert_int_equal(LINUX_CALL(bench, SYS_epoll_pwait, (uint64_t)epoll, AT(events), 4, 0, 0,
				 8),
		0);
	polls[0] = (struct pollfd){.fd = fds[0], .events = POLLIN};
	polls[1] = (struct pollfd){.fd = 399, .events = POLLIN};
	assert_int_equal(LINUX_CALL(bench, SYS_ppoll, AT(polls), 1, AT(&time), 0, 8), 0);
	assert_int_equal(time.tv_nsec, 0);
	assert_int_equal(LINUX_CALL(bench, SYS_write, (uint64_t)fds[1], AT("x"), 1), 1);
	assert_int_equal(LINUX_CALL(bench, SYS_ppoll, AT(polls), 2, 0, 0, 8), 2);
	assert_int_equal(polls[0].revents, POLLIN);
	assert_int_equal(polls[1].revents, POLLNVAL);
	assert_int_equal(LINUX_CALL(bench, SYS_epoll_pwait, (uint64_t)epoll, AT(events), 4, 0, 0,
				 8),
		1);
	assert_true(events[0].data.u64 == event.data.u64);
	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	FD_SET(63, &set);
	assert_int_equal(LINUX_CALL(bench, SYS_pselect6, 1024, AT(&set), 0, 0, 0, 0), -EBADF);
	FD_CLR(63, &set);
	assert_int_equal(LINUX_CALL(bench, SYS_pselect6, (uint64_t)fds[0] + 1, AT(&set), 0, 0, 0,
				 0),
		1);
	assert_true(FD_ISSET(fds[0], &set));
	assert_int_equal(LINUX_CALL(bench, SYS_close, (uint64_t)epoll), 0);
	assert_int_equal(LINUX_CALL(bench, SYS_close, (uint64_t)fds[0]), 0);
	assert_int_equal(LINUX_CALL(bench, SYS_close, (uint64_t)fds[1]), 0);
}

static void test_linux_call_depends_on_a_code_when_it_has_one(void **state)
{
	struct linux_bench *bench = *state;
	struct itimerspec when = {.it_value.tv_sec = 1000}, was;
	int fds[2], value = 0, timer;
	socklen_t bytes = sizeof(value);

	assert_int_equal(LINUX_CALL(bench, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, AT(fds)), 0);
	assert_int_equal(LINUX_CALL(bench, SYS_write, (uint64_t)fds[1], AT("abc"), 3), 3);
	assert_int_equal(LINUX_CALL(bench, SYS_ioctl, (uint64_t)fds[0], FIONREAD, AT(&value)), 0);
	assert_int_equal(value, 3);
	assert_int_equal(LINUX_CALL(bench, SYS_getsockopt, (uint64_t)fds[0], SOL_SOCKET, SO_TYPE,
				 AT(&value), AT(&bytes)),
		0);
	assert_int_equal(value, SOCK_STREAM);
	assert_int_equal(bytes, sizeof(value));
	bytes = (socklen_t)-1;
	assert_int_equal(LINUX_CALL(bench, SYS_getsockopt, (uint64_t)fds[0], SOL_SOCKET, SO_TYPE,
				 AT(&value), AT(&bytes)),
		-EINVAL);
	assert_int_equal(LINUX_CALL(bench, SYS_fcntl, (uint64_t)fds[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(LINUX_CALL(bench, SYS_fcntl, (uint64_t)fds[0], F_GETFL) & O_NONBLOCK,
		O_NONBLOCK);
	timer = (int)LINUX_CALL(bench, SYS_timerfd_create, CLOCK_MONOTONIC, 0);
	assert_int_equal(LINUX_CALL(bench, SYS_timerfd_settime, (uint64_t)timer, 0, AT(&when),
				 AT(&was)),
		0);
	assert_int_equal(was.it_value.tv_sec, 0);
	assert_int_equal(LINUX_CALL(bench, SYS_timerfd_gettime, (uint64_t)timer, AT(&was)), 0);
	assert_in_range(was.it_value.tv_sec, 1, 1000);
	(void)close(timer);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int main(void)
{
#define BENCH_TEST(test_) \
	cmocka_unit_test_setup_teardown(test_, linux_bench_setup, linux_bench_teardown)
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_linux_call_gives_a_value_when_there_is_no_memory),
		BENCH_TEST(test_linux_call_writes_and_reads_a_file_when_it_is_made),
		BENCH_TEST(test_linux_call_gives_the_same_structure_when_it_is_made_directly),
		BENCH_TEST(test_linux_call_is_refused_when_memory_is_bad),
		BENCH_TEST(test_linux_call_is_refused_when_the_client_is_hostile),
		BENCH_TEST(test_linux_call_waits_for_descriptors_when_they_are_asked_of),
		BENCH_TEST(test_linux_call_depends_on_a_code_when_it_has_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
