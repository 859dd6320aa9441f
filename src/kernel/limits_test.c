#include "kernel/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void test_kernel_window_is_at_the_top_when_the_limit_allows(void **state)
{
	const struct {
		rlim_t limit;
		int window;
	} rows[] = {
		{65536 + 2048, 65536},
		{8192, 8192 - 2048},
		{4096, 2048},
		{1024, 512},
		{64, 32},
	};
	struct rlimit before, limit;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		limit = (struct rlimit){rows[i].limit, before.rlim_max};
		if (rows[i].limit > before.rlim_max)
			continue;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(kernel_window(), rows[i].window);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_kernel_window_take_moves_a_descriptor_when_there_is_room(void **state)
{
	const struct rlimit small = {16, 0};
	struct rlimit before, limit;
	struct stat status, moved_status;
	int fd, moved, filled = 0;

	(void)state;
	/* Whoever runs the test may have left it some. */
	assert_int_equal(close_range(3, ~0u, 0), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = (struct rlimit){small.rlim_cur, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (;;) {
		fd = open("/dev/null", O_RDONLY);
		assert_true(fd >= 0 && fd < 8);
		assert_int_equal(fstat(fd, &status), 0);
		moved = kernel_window_take(fd);
		/* It is taken in either case. */
		assert_int_equal(fcntl(fd, F_GETFD), -1);
		if (moved < 0)
			break;
		assert_int_equal(moved, 8 + filled++);
		assert_int_equal(fcntl(moved, F_GETFD), FD_CLOEXEC);
		assert_int_equal(fstat(moved, &moved_status), 0);
		assert_int_equal(moved_status.st_rdev, status.st_rdev);
	}
	assert_int_equal(moved, -EMFILE);
	assert_int_equal(filled, 8);
	while (filled-- > 0)
		assert_int_equal(close(8 + filled), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(kernel_window_take(-1), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_window_is_at_the_top_when_the_limit_allows),
		cmocka_unit_test(test_kernel_window_take_moves_a_descriptor_when_there_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
