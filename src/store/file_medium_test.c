#include "store/file_medium.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define PROBLEM_MAX 256
#define PATH_BYTES  128
#define NOBODY      65534

struct fixture {
	char folder[PATH_BYTES / 2];
	char path[PATH_BYTES]; /* of a file in it */
	char text[PROBLEM_MAX];
	struct store_problem problem;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (fixture == NULL)
		return -1;
	(void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/ferry-medium-test.XXXXXX");
	fixture->problem = (struct store_problem){fixture->text, sizeof(fixture->text)};
	*state = fixture;
	if (mkdtemp(fixture->folder) == NULL || chmod(fixture->folder, 0755) != 0)
		return -1;
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/disk.img", fixture->folder);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	(void)unlink(fixture->path);
	(void)rmdir(fixture->folder);
	free(fixture);
	return 0;
}

static void make_file(struct fixture *fixture, off_t bytes, mode_t mode)
{
	CLEANUP(cleanup_close)
	int fd = open(fixture->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_return_code(fd, errno);
	assert_int_equal(ftruncate(fd, bytes), 0);
	assert_int_equal(fchmod(fd, mode), 0);
}

static void assert_refused(struct fixture *fixture, const char *path, struct store_options options,
	int error, const char *problem)
{
	struct file_medium medium;

	assert_int_equal(file_medium_open(path, &options, &fixture->problem, &medium), -error);
	if (strstr(fixture->text, problem) == NULL)
		assert_string_equal(fixture->text, problem);
}

/* Whoever runs the test, root sees no permissions. */
static uid_t become_nobody(void)
{
	uid_t before = geteuid();

	if (before == 0)
		assert_int_equal(seteuid(NOBODY), 0);
	return before;
}

static void become(uid_t user)
{
	if (geteuid() != user)
		assert_int_equal(seteuid(user), 0);
}

static void test_file_medium_is_measured_when_a_regular_file(void **state)
{
	struct fixture *fixture = *state;
	const struct store_options options = {.block_bytes = 4096};
	struct file_medium medium;

	make_file(fixture, 5 * 4096, 0600);
	assert_int_equal(file_medium_open(fixture->path, &options, &fixture->problem, &medium), 0);
	assert_true(medium.is_regular);
	assert_int_equal(medium.size_bytes, 5 * 4096);
	assert_int_equal(medium.block_bytes, 4096);
	assert_true(medium.preferred_bytes >= medium.block_bytes);
	assert_int_equal(medium.preferred_bytes & (medium.preferred_bytes - 1), 0);
	assert_int_equal(fcntl(medium.fd, F_GETFD), FD_CLOEXEC);
	(void)close(medium.fd);
}

static void test_file_medium_has_one_name_when_reached_by_a_link(void **state)
{
	struct fixture *fixture = *state;
	const struct store_options options = {0};
	char link_path[PATH_BYTES];
	struct file_medium medium;

	make_file(fixture, 4096, 0600);
	(void)snprintf(link_path, sizeof(link_path), "%s/link", fixture->folder);
	assert_int_equal(symlink("disk.img", link_path), 0);
	assert_int_equal(file_medium_open(link_path, &options, &fixture->problem, &medium), 0);
	assert_string_equal(medium.name, fixture->path);
	(void)close(medium.fd);
	(void)unlink(link_path);
}

static void test_file_medium_is_refused_when_its_size_does_not_do(void **state)
{
	struct fixture *fixture = *state;
	const struct {
		off_t bytes;
		uint32_t block_bytes;
		const char *problem;
	} rows[] = {
		{0, 0, ": is empty: make it larger with truncate -s SIZE"},
		{1, 0, "its 1 bytes are not a multiple of the block size, 512 bytes"},
		{1000, 0, "make it larger with truncate -s %512"},
		{4608, 4096, "make it larger with truncate -s %4096"},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		make_file(fixture, rows[i].bytes, 0600);
		assert_refused(fixture, fixture->path,
			(struct store_options){.block_bytes = rows[i].block_bytes}, EINVAL,
			rows[i].problem);
	}
}

static void test_file_medium_is_refused_when_neither_file_nor_block_device(void **state)
{
	struct fixture *fixture = *state;

	assert_refused(fixture, "/", (struct store_options){0}, EISDIR, "/: is a directory");
	assert_refused(fixture, "/dev/full", (struct store_options){0}, ENOTBLK,
		"/dev/full: is neither a regular file nor a block device");
	assert_int_equal(mkfifo(fixture->path, 0600), 0);
	/* And does not wait for a writer. */
	assert_refused(fixture, fixture->path, (struct store_options){.is_read_only = true},
		ENOTBLK, "disk.img: is neither");
}

static void test_file_medium_asks_for_ro_when_it_can_only_be_read(void **state)
{
	struct fixture *fixture = *state;
	struct file_medium medium;
	uid_t user;
	int error;

	make_file(fixture, 4096, 0444);
	user = become_nobody();
	assert_refused(fixture, fixture->path, (struct store_options){0}, EROFS,
		": is read-only; add ',ro' to serve it read-only");
	error = file_medium_open(fixture->path, &(struct store_options){.is_read_only = true},
		&fixture->problem, &medium);
	become(user);
	assert_int_equal(error, 0);
	(void)close(medium.fd);
}

static void test_file_medium_is_refused_when_it_cannot_even_be_read(void **state)
{
	struct fixture *fixture = *state;
	uid_t user;

	make_file(fixture, 4096, 0);
	user = become_nobody();
	assert_refused(fixture, fixture->path, (struct store_options){0}, EACCES,
		"Permission denied");
	become(user);
}

static void test_file_medium_is_locked_when_open_elsewhere(void **state)
{
	struct fixture *fixture = *state;
	static const struct {
		bool is_first_read_only, is_second_read_only;
		int error;
	} rows[] = {
		{false, false, EBUSY},
		{false, true, EBUSY},
		{true, false, EBUSY},
		{true, true, 0},
	};

	make_file(fixture, 4096, 0600);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct store_options first = {.is_read_only = rows[i].is_first_read_only};
		const struct store_options second = {.is_read_only = rows[i].is_second_read_only};
		struct file_medium medium, other = {.fd = -1};

		assert_int_equal(file_medium_open(fixture->path, &first, &fixture->problem,
					 &medium),
			0);
		assert_int_equal(file_medium_open(fixture->path, &second, &fixture->problem,
					 &other),
			-rows[i].error);
		if (rows[i].error != 0)
			assert_non_null(strstr(fixture->text, ": is being served"));
		else
			(void)close(other.fd);
		(void)close(medium.fd);
	}
}

struct holder {
	pid_t waiting; /* the thread that wants the lock */
	int fd;
};

static bool is_asleep(pid_t thread)
{
	char path[64], state = '?';
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
	(void)fclose(file);
	return state == 'S';
}

static void *let_go_when_awaited(void *argument)
{
	const struct holder *holder = argument;

	while (!is_asleep(holder->waiting))
		(void)sched_yield();
	(void)close(holder->fd);
	return NULL;
}

static void test_file_medium_is_opened_when_its_holder_lets_go_late(void **state)
{
	static const struct store_options options = {0};
	struct fixture *fixture = *state;
	struct file_medium medium, other;
	struct holder holder = {.waiting = gettid()};
	pthread_t thread;

	make_file(fixture, 4096, 0600);
	assert_int_equal(file_medium_open(fixture->path, &options, &fixture->problem, &medium), 0);
	holder.fd = medium.fd;
	assert_int_equal(pthread_create(&thread, NULL, let_go_when_awaited, &holder), 0);
	assert_int_equal(file_medium_open(fixture->path, &options, &fixture->problem, &other), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	(void)close(other.fd);
}

/* Make the file a block device, which ends with its last descriptor.
 * @return a descriptor, -1: not allowed. */
static int attach(const struct fixture *fixture, unsigned sector_bytes, unsigned flags,
	char ret_path[PATH_BYTES])
{
	CLEANUP(cleanup_close) int file = open(fixture->path, O_RDWR | O_CLOEXEC);
	CLEANUP(cleanup_close) int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config config = {
		.fd = (unsigned)file,
		.block_size = sector_bytes,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR | flags,
	};

	/* Another may take the free device first. */
	for (int attempt = 0; attempt < 10 && control >= 0; attempt++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		int fd;

		(void)snprintf(ret_path, PATH_BYTES, "/dev/loop%d", number);
		fd = open(ret_path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			return fd;
		if (fd >= 0)
			(void)close(fd);
	}
	print_message("this needs the right to make loop devices\n");
	return -1;
}

static void test_file_medium_is_measured_when_a_block_device(void **state)
{
	static const struct {
		unsigned sector_bytes, flags;
		struct store_options options;
		const char *problem; /* NULL: it opens */
		uint32_t block_bytes;
	} rows[] = {
		{512, 0, {0}, NULL, 512},
		{512, 0, {.block_bytes = 4096}, NULL, 4096},
		{4096, 0, {0}, NULL, 4096},
		{4096, 0, {.block_bytes = 512}, "has blocks of 4096 bytes, no smaller ones", 0},
		{512, LO_FLAGS_READ_ONLY, {0}, "is read-only; add ',ro'", 0},
		{512, LO_FLAGS_READ_ONLY, {.is_read_only = true}, NULL, 512},
		{1024, 0, {0}, "has blocks of 1024 bytes, which is neither", 0},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP(cleanup_close) int device = -1;
		struct file_medium medium = {.fd = -1};
		char path[PATH_BYTES];
		int error;

		make_file(fixture, 16 * 4096, 0600);
		device = attach(fixture, rows[i].sector_bytes, rows[i].flags, path);
		if (device < 0)
			skip();
		error = file_medium_open(path, &rows[i].options, &fixture->problem, &medium);
		if (rows[i].problem != NULL) {
			assert_true(error == -EINVAL || error == -EROFS);
			assert_non_null(strstr(fixture->text, rows[i].problem));
			continue;
		}
		assert_int_equal(error, 0);
		assert_false(medium.is_regular);
		assert_int_equal(medium.size_bytes, 16 * 4096);
		assert_int_equal(medium.block_bytes, rows[i].block_bytes);
		assert_true(medium.preferred_bytes >= medium.block_bytes);
		assert_true(medium.discard_bytes >= medium.block_bytes);
		assert_int_equal(medium.discard_bytes & (medium.discard_bytes - 1), 0);
		assert_false(medium.can_discard && rows[i].options.is_read_only);
		(void)close(medium.fd);
	}
}

static void test_file_medium_is_in_use_when_a_block_device_is_held(void **state)
{
	struct fixture *fixture = *state;
	struct file_medium medium = {.fd = -1};
	char path[PATH_BYTES];
	int device, holder, error;

	make_file(fixture, 4096, 0600);
	device = attach(fixture, 512, 0, path);
	if (device < 0)
		skip();
	/* As a mount holds it. */
	holder = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	assert_return_code(holder, errno);
	assert_refused(fixture, path, (struct store_options){0}, EBUSY, ": is in use (mounted?)");
	(void)close(holder);
	error = file_medium_open(path, &(struct store_options){0}, &fixture->problem, &medium);
	(void)close(device);
	(void)close(medium.fd);
	assert_int_equal(error, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_file_medium_is_measured_when_a_regular_file,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_file_medium_has_one_name_when_reached_by_a_link, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_file_medium_is_refused_when_its_size_does_not_do, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_file_medium_is_refused_when_neither_file_nor_block_device, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_file_medium_asks_for_ro_when_it_can_only_be_read, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_file_medium_is_refused_when_it_cannot_even_be_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_medium_is_measured_when_a_block_device,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_file_medium_is_in_use_when_a_block_device_is_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_medium_is_locked_when_open_elsewhere,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_file_medium_is_opened_when_its_holder_lets_go_late, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
