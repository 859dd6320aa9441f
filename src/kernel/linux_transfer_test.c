/*
 * Bytes in one part and in several, in one buffer and in many, of files and of streams.
 */
#include "kernel/linux_transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/kernel/linux_bench.h"

#define LARGE (3 * LINUX_PART_MAX + 12345)

static uint8_t *pattern(size_t bytes)
{
	uint8_t *made = malloc(bytes);

	assert_non_null(made);
	for (size_t i = 0; i < bytes; i++)
		made[i] = (uint8_t)(i ^ (i >> 8) ^ (i >> 16));
	return made;
}

static int open_file(struct linux_bench *bench)
{
	char path[128];
	int fd;

	linux_bench_path(bench, "file", path);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	return fd;
}

static void test_linux_transfer_moves_all_bytes_when_a_file_has_them(void **state)
{
	static const size_t lengths[] = {0, 1, 4095, 4096, 65536, LINUX_PART_MAX - 1,
		LINUX_PART_MAX, LINUX_PART_MAX + 1, 2 * LINUX_PART_MAX, LARGE};
	CLEANUP(cleanup_free) uint8_t *from = pattern(LARGE), *to = malloc(LARGE + 1);
	int fd = open_file(*state);

	for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
		int64_t length = (int64_t)lengths[i];

		memset(to, 0xee, LARGE + 1);
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(LINUX_CALL(*state, SYS_write, (uint64_t)fd, AT(from), lengths[i]),
			length);
		assert_int_equal(lseek(fd, 0, SEEK_CUR), length);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(LINUX_CALL(*state, SYS_read, (uint64_t)fd, AT(to), LARGE + 1),
			length);
		assert_memory_equal(to, from, lengths[i]);
		assert_int_equal(to[lengths[i]], 0xee);
		memset(to, 0xee, LARGE + 1);
		assert_int_equal(LINUX_CALL(*state, SYS_pwrite64, (uint64_t)fd, AT(from),
					 lengths[i], 7),
			length);
		assert_int_equal(LINUX_CALL(*state, SYS_pread64, (uint64_t)fd, AT(to), LARGE + 1,
					 7),
			length);
		assert_memory_equal(to, from, lengths[i]);
	}
	(void)close(fd);
}

static void test_linux_transfer_scatters_and_gathers_when_there_are_many_buffers(void **state)
{
	CLEANUP(cleanup_free) uint8_t *from = pattern(LARGE), *to = malloc(LARGE);
	struct iovec vector[] = {{NULL, 1}, {NULL, 0}, {NULL, LINUX_PART_MAX - 1}, {NULL, 3},
		{NULL, LARGE - LINUX_PART_MAX - 3}};
	int fd = open_file(*state);
	size_t at = 0;

	memset(to, 0, LARGE);
	for (size_t i = 0; i < ARRAY_LENGTH(vector); at += vector[i++].iov_len)
		vector[i].iov_base = from + at;
	assert_int_equal(LINUX_CALL(*state, SYS_writev, (uint64_t)fd, AT(vector),
				 ARRAY_LENGTH(vector)),
		LARGE);
	for (size_t i = 0; i < ARRAY_LENGTH(vector); i++)
		vector[i].iov_base = to + ((uint8_t *)vector[i].iov_base - from);
	assert_int_equal(LINUX_CALL(*state, SYS_preadv, (uint64_t)fd, AT(vector),
				 ARRAY_LENGTH(vector), 0, 0),
		LARGE);
	assert_memory_equal(to, from, LARGE);
	/* Short: what lies behind stays as it was. */
	memset(to, 0xee, 16);
	vector[0] = (struct iovec){to, 4};
	vector[1] = (struct iovec){to + 8, 4};
	assert_int_equal(LINUX_CALL(*state, SYS_preadv2, (uint64_t)fd, AT(vector), 2, LARGE - 6, 0),
		6);
	assert_memory_equal(to, from + LARGE - 6, 4);
	assert_memory_equal(to + 4, "\xee\xee\xee\xee", 4);
	assert_memory_equal(to + 8, from + LARGE - 2, 2);
	assert_memory_equal(to + 10, "\xee\xee", 2);
	assert_int_equal(LINUX_CALL(*state, SYS_readv, (uint64_t)fd, AT(vector), 0), 0);
	assert_int_equal(LINUX_CALL(*state, SYS_readv, (uint64_t)fd, AT(vector), 1025), -EINVAL);
	vector[0].iov_len = SIZE_MAX;
	assert_int_equal(linux_bench_declare(*state, SYS_readv,
				 (const uint64_t[6]){(uint64_t)fd, AT(vector), 1},
				 &(const struct ferry_sysproxy_range){vector, sizeof(vector),
					 FERRY_SYSPROXY_IN},
				 1),
		-EINVAL);
	(void)close(fd);
}

/* A buffer that is not declared ends the vector where Linux would end it. */
static void test_linux_transfer_is_short_when_a_nested_buffer_is_bad(void **state)
{
	struct iovec vector[] = {{NULL, 4}, {NULL, 4}};
	struct ferry_sysproxy_range ranges[] = {{vector, sizeof(vector), FERRY_SYSPROXY_IN},
		{"abcd", 4, FERRY_SYSPROXY_IN}};
	static const char other[] = "other";
	int fd = open_file(*state);
	uint64_t arguments[6] = {(uint64_t)fd, AT(vector), 2};
	int64_t value;

	vector[0].iov_base = ranges[1].address;
	vector[1].iov_base = (void *)(uintptr_t)other;
	value = linux_bench_declare(*state, SYS_writev, arguments, ranges, 2);
	/* File systems differ. */
	assert_true(value == 4 || value == -EFAULT);
	vector[0].iov_base = vector[1].iov_base;
	assert_int_equal(linux_bench_declare(*state, SYS_writev, arguments, ranges, 2), -EFAULT);
	(void)close(fd);
}

/* In pages of the program's own, which is what a file system may want. */
static void test_linux_transfer_is_aligned_when_the_clients_buffers_are(void **state)
{
	CLEANUP(cleanup_free) uint8_t *from = aligned_alloc(4096, 16384);
	CLEANUP(cleanup_free) uint8_t *to = aligned_alloc(4096, 16384);
	struct iovec vector[2];
	char path[128];
	int fd;

	assert_non_null(from);
	assert_non_null(to);
	linux_bench_path(*state, "file", path);
	fd = open(path, O_CREAT | O_RDWR | O_DIRECT, 0600);
	if (fd < 0)
		skip();
	assert_int_equal(unlink(path), 0);
	for (size_t i = 0; i < 16384; i++)
		from[i] = (uint8_t)(i ^ (i >> 8));
	memset(to, 0, 16384);
	assert_int_equal(LINUX_CALL(*state, SYS_pwrite64, (uint64_t)fd, AT(from), 8192, 0), 8192);
	vector[0] = (struct iovec){from + 8192, 4096};
	vector[1] = (struct iovec){from + 12288, 4096};
	assert_int_equal(LINUX_CALL(*state, SYS_pwritev, (uint64_t)fd, AT(vector), 2, 8192, 0),
		8192);
	assert_int_equal(LINUX_CALL(*state, SYS_read, (uint64_t)fd, AT(to), 4096), 4096);
	vector[0] = (struct iovec){to + 4096, 4096};
	vector[1] = (struct iovec){to + 8192, 8192};
	assert_int_equal(LINUX_CALL(*state, SYS_preadv, (uint64_t)fd, AT(vector), 2, 4096, 0),
		12288);
	assert_memory_equal(to, from, 16384);
	/* At its end, and where no buffer would do. */
	assert_int_equal(LINUX_CALL(*state, SYS_pread64, (uint64_t)fd, AT(to), 4096, 16384), 0);
	assert_int_equal(LINUX_CALL(*state, SYS_pread64, (uint64_t)fd, AT(to), 8192, 12288), 4096);
	assert_int_equal(LINUX_CALL(*state, SYS_pread64, (uint64_t)fd, AT(to), 4096, 1),
		pread(fd, to, 4096, 1) >= 0 ? 4096 : -EINVAL);
	assert_true(LINUX_CALL(*state, SYS_pwrite64, (uint64_t)fd, 0, 1, 1) < 0);
	(void)close(fd);
}

struct reader {
	int fd;
	size_t bytes;
	uint8_t *to;
};

static void *read_all(void *argument)
{
	struct reader *reader = argument;

	for (size_t done = 0; done < reader->bytes;) {
		ssize_t got = read(reader->fd, reader->to + done, reader->bytes - done);

		assert_true(got > 0);
		done += (size_t)got;
	}
	return NULL;
}

static void test_linux_transfer_writes_all_when_a_stream_is_slow(void **state)
{
	CLEANUP(cleanup_free) uint8_t *from = pattern(LARGE), *to = malloc(LARGE);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct reader reader = {fds[1], LARGE, to};
		uint64_t arguments[6] = {(uint64_t)fds[0], AT(from), LARGE};
		pthread_t thread;

		memset(to, 0, LARGE);
		assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
		assert_int_equal(linux_bench_call(*state, i == 0 ? SYS_write : SYS_sendto,
					 arguments),
			LARGE);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_memory_equal(to, from, LARGE);
	}
	/* What there is is given at once, however much was wanted. */
	assert_int_equal(write(fds[1], "abc", 3), 3);
	assert_int_equal(LINUX_CALL(*state, SYS_read, (uint64_t)fds[0], AT(to), LARGE), 3);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(LINUX_CALL(*state, SYS_read, (uint64_t)fds[0], AT(to), LARGE), -EAGAIN);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int main(void)
{
#define BENCH_TEST(test_) \
	cmocka_unit_test_setup_teardown(test_, linux_bench_setup, linux_bench_teardown)
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_linux_transfer_moves_all_bytes_when_a_file_has_them),
		BENCH_TEST(test_linux_transfer_scatters_and_gathers_when_there_are_many_buffers),
		BENCH_TEST(test_linux_transfer_is_short_when_a_nested_buffer_is_bad),
		BENCH_TEST(test_linux_transfer_is_aligned_when_the_clients_buffers_are),
		BENCH_TEST(test_linux_transfer_writes_all_when_a_stream_is_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
