#include "store/file_store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/store/store_probe.h"

#define SIZE_BYTES    (1u << 20)
#define BLOCK_BYTES   4096
#define PROBLEM_MAX   256
#define PATH_BYTES    128
#define REQUEST_COUNT 64 /* more than there are descriptions for flushes */

struct fixture {
	char folder[PATH_BYTES / 2];
	char path[PATH_BYTES]; /* of a file in it, SIZE_BYTES long */
	int device;            /* a loop device over the file; 0: none */
	struct loop *loop;
	struct store *store;
	uint8_t block[BLOCK_BYTES];
};

static struct store *open_store(const char *path, const char *options)
{
	char text[2 * PATH_BYTES + 64];
	char problem[PROBLEM_MAX] = "";
	struct store *store = NULL;

	(void)snprintf(text, sizeof(text), "%s%s", path, options);
	if (store_open(text, &store, problem, sizeof(problem)) != 0)
		assert_string_equal(problem, "");
	return store;
}

static int setup_in(const char *parent, void **state, enum loop_files files)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int fd;

	if (fixture == NULL)
		return -1;
	*state = fixture;
	memset(fixture->block, 'x', sizeof(fixture->block));
	(void)snprintf(fixture->folder, sizeof(fixture->folder), "%s/ferry-store-test.XXXXXX",
		parent);
	if (mkdtemp(fixture->folder) == NULL)
		return -1;
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/disk.img", fixture->folder);
	fd = open(fixture->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, SIZE_BYTES) != 0 || close(fd) != 0)
		return -1;
	fixture->store = open_store(fixture->path, "");
	return loop_new(&(struct loop_options){.files = files}, &fixture->loop);
}

static int setup_auto(void **state)
{
	return setup_in("/tmp", state, LOOP_FILES_AUTO);
}

static int setup_threads(void **state)
{
	return setup_in("/tmp", state, LOOP_FILES_THREADS);
}

/* A tmpfs makes holes, but has no FALLOC_FL_ZERO_RANGE: zeros are written. */
static int setup_tmpfs(void **state)
{
	return setup_in("/dev/shm", state, LOOP_FILES_AUTO);
}

/* @return a loop device over the file at @path, its name in @ret_name, or -1. */
static int open_device(const char *path, char ret_name[PATH_BYTES])
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	int file = open(path, O_RDWR | O_CLOEXEC);
	int device = -1;

	(void)snprintf(ret_name, PATH_BYTES, "/dev/loop%d", number);
	if (number >= 0)
		device = open(ret_name, O_RDWR | O_CLOEXEC);
	if (device >= 0 && ioctl(device, LOOP_SET_FD, file) != 0) {
		(void)close(device);
		device = -1;
	}
	(void)close(file);
	if (control >= 0)
		(void)close(control);
	return device;
}

/* The store is a block device, if there is one to be had, that lies in the file. */
static int setup_device(void **state)
{
	struct fixture *fixture;
	char name[PATH_BYTES];

	if (setup_in("/tmp", state, LOOP_FILES_AUTO) != 0)
		return -1;
	fixture = *state;
	store_free(fixture->store);
	fixture->store = NULL;
	fixture->device = open_device(fixture->path, name);
	if (fixture->device > 0)
		fixture->store = open_store(name, "");
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	store_free(fixture->store);
	if (fixture->device > 0) {
		(void)ioctl(fixture->device, LOOP_CLR_FD);
		(void)close(fixture->device);
	}
	loop_free(fixture->loop);
	(void)unlink(fixture->path);
	(void)rmdir(fixture->folder);
	free(fixture);
	return 0;
}

/* One block at @offset, from or to fixture->block. @return its errno. */
static int run(struct fixture *fixture, enum store_opcode opcode, bool is_durable, uint64_t offset)
{
	return store_probe_run(fixture->store, fixture->loop,
		(struct store_request){
			.opcode = opcode,
			.is_durable = is_durable,
			.offset = offset,
			.bytes = BLOCK_BYTES,
			.data = fixture->block,
		});
}

static off_t file_bytes(const struct fixture *fixture)
{
	struct stat status;

	assert_int_equal(stat(fixture->path, &status), 0);
	return status.st_size;
}

static void test_file_store_reads_back_what_was_written_when_durable_or_not(void **state)
{
	struct fixture *fixture = *state;
	static const uint64_t offsets[] = {0, 3 * 512, SIZE_BYTES - BLOCK_BYTES};

	for (size_t i = 0; i < 2 * ARRAY_LENGTH(offsets); i++) {
		uint64_t offset = offsets[i / 2];
		uint8_t written[BLOCK_BYTES];

		memset(written, 'a' + (int)i, sizeof(written));
		memcpy(fixture->block, written, sizeof(written));
		assert_int_equal(run(fixture, STORE_WRITE, i % 2 == 1, offset), 0);
		assert_int_equal(run(fixture, STORE_FLUSH, false, 0), 0);
		memset(fixture->block, 0, sizeof(fixture->block));
		assert_int_equal(run(fixture, STORE_READ, false, offset), 0);
		assert_memory_equal(fixture->block, written, sizeof(written));
	}
	assert_int_equal(file_bytes(fixture), SIZE_BYTES);
}

/* Zero or discard, on a file of letters. */
struct erasure {
	enum store_opcode opcode;
	bool is_durable, may_unmap;
	uint32_t offset, bytes;
	bool is_hole; /* after it */
};

static void fill_with_letters(const struct fixture *fixture)
{
	uint8_t *letters = malloc(SIZE_BYTES);
	int fd = open(fixture->path, O_WRONLY | O_CLOEXEC);

	assert_non_null(letters);
	memset(letters, 'x', SIZE_BYTES);
	assert_int_equal(pwrite(fd, letters, SIZE_BYTES, 0), SIZE_BYTES);
	assert_int_equal(fsync(fd), 0);
	(void)close(fd);
	free(letters);
}

static void check_erased(const struct fixture *fixture, const struct erasure *erasure)
{
	uint8_t *blocks = malloc(SIZE_BYTES);
	uint32_t wrong_count = 0;
	struct stat status;
	int fd = open(fixture->path, O_RDONLY | O_CLOEXEC);

	assert_non_null(blocks);
	assert_int_equal(pread(fd, blocks, SIZE_BYTES, 0), SIZE_BYTES);
	for (uint32_t i = 0; i < SIZE_BYTES; i++)
		wrong_count += blocks[i] != (i - erasure->offset < erasure->bytes ? 0 : 'x');
	assert_int_equal(wrong_count, 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, SIZE_BYTES);
	if (erasure->is_hole)
		assert_true(status.st_blocks * 512 <= (off_t)(SIZE_BYTES - erasure->bytes + 65536));
	else
		assert_true(status.st_blocks * 512 >= SIZE_BYTES);
	(void)close(fd);
	free(blocks);
}

static void test_file_store_erases_the_range_alone_when_zeroed_or_discarded(void **state)
{
	static const struct erasure rows[] = {
		{STORE_ZERO, false, false, 3 * 512, 5 * 512, false},
		{STORE_ZERO, true, false, 0, SIZE_BYTES, false},
		{STORE_ZERO, false, true, 65536, 512 << 10, true},
		{STORE_ZERO, true, true, 512, SIZE_BYTES - 512, true},
		{STORE_DISCARD, false, false, 0, SIZE_BYTES, true},
		{STORE_DISCARD, false, false, 7 * 512, 512, false},
	};
	struct fixture *fixture = *state;

	if (fixture->store == NULL || !fixture->store->can_discard) {
		print_message("this needs a file system that makes holes, or a loop device\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		fill_with_letters(fixture);
		assert_int_equal(store_probe_run(fixture->store, fixture->loop,
					 (struct store_request){
						 .opcode = rows[i].opcode,
						 .is_durable = rows[i].is_durable,
						 .may_unmap = rows[i].may_unmap,
						 .offset = rows[i].offset,
						 .bytes = rows[i].bytes,
					 }),
			0);
		/* Out of a device's own cache. */
		assert_int_equal(run(fixture, STORE_FLUSH, false, 0), 0);
		check_erased(fixture, &rows[i]);
	}
}

static void test_file_store_completes_all_when_many_are_in_flight(void **state)
{
	struct fixture *fixture = *state;
	struct store_probe probes[REQUEST_COUNT];

	/* Twice: what the first took has been given back. */
	for (unsigned i = 0; i < 2 * REQUEST_COUNT; i++) {
		struct store_probe *probe = &probes[i % REQUEST_COUNT];

		if (i >= REQUEST_COUNT)
			assert_int_equal(store_probe_wait(probe, fixture->loop), 0);
		store_probe_submit(probe, fixture->store, fixture->loop,
			(struct store_request){
				.opcode = i % 3 == 0 ? STORE_FLUSH : STORE_WRITE,
				.is_durable = i % 3 == 1,
				.offset = (uint64_t)i * BLOCK_BYTES,
				.bytes = BLOCK_BYTES,
				.data = fixture->block,
			});
	}
	for (unsigned i = 0; i < REQUEST_COUNT; i++)
		assert_int_equal(store_probe_wait(&probes[i], fixture->loop), 0);
}

static void test_file_store_refuses_writes_and_flushes_nothing_when_read_only(void **state)
{
	struct fixture *fixture = *state;

	store_free(fixture->store);
	fixture->store = open_store(fixture->path, ",ro");
	assert_int_equal(run(fixture, STORE_WRITE, false, 0), EROFS);
	assert_int_equal(run(fixture, STORE_WRITE, true, 0), EROFS);
	assert_int_equal(run(fixture, STORE_ZERO, false, 0), EROFS);
	assert_int_equal(run(fixture, STORE_DISCARD, false, 0), EROFS);
	assert_false(fixture->store->can_discard);
	assert_int_equal(run(fixture, STORE_FLUSH, false, 0), 0);
	assert_int_equal(run(fixture, STORE_READ, false, 0), 0);
	assert_int_equal(fixture->block[0], 0);
}

static void test_file_store_fails_and_does_not_grow_the_file_when_it_was_cut_off(void **state)
{
	struct fixture *fixture = *state;
	const off_t left_bytes = 2 * BLOCK_BYTES + 512;

	assert_int_equal(truncate(fixture->path, left_bytes), 0);
	for (int is_durable = 0; is_durable < 2; is_durable++) {
		assert_int_equal(run(fixture, STORE_WRITE, is_durable, BLOCK_BYTES), 0);
		assert_int_equal(run(fixture, STORE_WRITE, is_durable, 2 * BLOCK_BYTES), ENODATA);
		assert_int_equal(run(fixture, STORE_WRITE, is_durable, 9 * BLOCK_BYTES), ENODATA);
		assert_int_equal(run(fixture, STORE_ZERO, is_durable, 2 * BLOCK_BYTES), ENODATA);
		assert_int_equal(run(fixture, STORE_DISCARD, is_durable, 2 * BLOCK_BYTES), 0);
	}
	assert_int_equal(run(fixture, STORE_READ, false, BLOCK_BYTES), 0);
	assert_int_equal(run(fixture, STORE_READ, false, 2 * BLOCK_BYTES), ENODATA);
	assert_int_equal(run(fixture, STORE_READ, false, 9 * BLOCK_BYTES), ENODATA);
	assert_int_equal(file_bytes(fixture), left_bytes);
	/* Nothing was lost that had been written. */
	assert_int_equal(run(fixture, STORE_FLUSH, false, 0), 0);
}

static void test_file_store_latches_the_first_failure_when_told_of_it(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(file_store_latch(fixture->store, 0), 0);
	assert_int_equal(run(fixture, STORE_FLUSH, false, 0), 0);
	assert_int_equal(file_store_latch(fixture->store, ENOSPC), ENOSPC);
	assert_int_equal(file_store_latch(fixture->store, EIO), ENOSPC);
	assert_int_equal(file_store_latch(fixture->store, 0), ENOSPC);
	assert_int_equal(run(fixture, STORE_FLUSH, false, 0), ENOSPC);
	assert_int_equal(run(fixture, STORE_WRITE, true, 0), ENOSPC);
	assert_int_equal(run(fixture, STORE_ZERO, true, 0), ENOSPC);
	assert_int_equal(run(fixture, STORE_ZERO, false, 0), 0);
	assert_int_equal(run(fixture, STORE_WRITE, false, 0), 0);
	assert_int_equal(run(fixture, STORE_READ, false, 0), 0);
	store_free(fixture->store);
	fixture->store = open_store(fixture->path, "");
	assert_int_equal(run(fixture, STORE_FLUSH, false, 0), 0);
}

static void test_file_store_fails_a_flush_when_another_failed_meanwhile(void **state)
{
	struct fixture *fixture = *state;
	struct store_probe probe;

	store_probe_submit(&probe, fixture->store, fixture->loop,
		(struct store_request){.opcode = STORE_FLUSH});
	assert_false(probe.is_done);
	assert_int_equal(file_store_latch(fixture->store, EIO), EIO);
	assert_int_equal(store_probe_wait(&probe, fixture->loop), EIO);
}

static void test_file_store_latches_nothing_when_a_write_finds_no_room(void **state)
{
	struct fixture *fixture = *state;
	struct rlimit before, limit;
	int plain, flush, durable, flush_after;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = (struct rlimit){.rlim_cur = SIZE_BYTES / 2, .rlim_max = before.rlim_max};
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	plain = run(fixture, STORE_WRITE, false, SIZE_BYTES / 2);
	flush = run(fixture, STORE_FLUSH, false, 0);
	durable = run(fixture, STORE_WRITE, true, SIZE_BYTES / 2);
	flush_after = run(fixture, STORE_FLUSH, false, 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(plain, EFBIG);
	assert_int_equal(flush, 0);
	assert_int_equal(durable, EFBIG);
	assert_int_equal(flush_after, 0);
}

static void test_file_store_reports_no_space_when_the_file_system_is_full(void **state)
{
	struct fixture *fixture = *state;
	struct store *before = fixture->store;
	char folder[PATH_BYTES], path[2 * PATH_BYTES];
	int error = 0, fd;

	/* In a mount namespace of its own, which ends with the process. */
	(void)snprintf(folder, sizeof(folder), "%s/full", fixture->folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("tmpfs", folder, "tmpfs", 0, "size=64k") != 0) {
		print_message("this needs the right to mount a tmpfs\n");
		(void)rmdir(folder);
		skip();
	}
	(void)snprintf(path, sizeof(path), "%s/disk.img", folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_return_code(fd, errno);
	assert_int_equal(ftruncate(fd, SIZE_BYTES), 0);
	(void)close(fd);
	fixture->store = open_store(path, "");
	for (uint64_t offset = 0; offset < SIZE_BYTES && error == 0; offset += BLOCK_BYTES)
		error = run(fixture, STORE_WRITE, false, offset);
	assert_int_equal(error, ENOSPC);
	assert_int_equal(run(fixture, STORE_FLUSH, false, 0), 0);
	assert_int_equal(run(fixture, STORE_READ, false, 0), 0);
	store_free(fixture->store);
	fixture->store = before;
	assert_int_equal(umount2(folder, MNT_DETACH), 0);
	(void)rmdir(folder);
}

static void test_file_store_keeps_its_uuid_when_opened_again(void **state)
{
	struct fixture *fixture = *state;
	uint8_t uuid[sizeof(fixture->store->uuid)];

	memcpy(uuid, fixture->store->uuid, sizeof(uuid));
	store_free(fixture->store);
	fixture->store = open_store(fixture->path, ",ro,lba=4096");
	assert_memory_equal(fixture->store->uuid, uuid, sizeof(uuid));
	store_free(fixture->store);
	fixture->store = open_store(fixture->path, ",uuid=00112233-4455-6677-8899-aabbccddeeff");
	assert_memory_not_equal(fixture->store->uuid, uuid, sizeof(uuid));
	assert_int_equal(fixture->store->uuid[15], 0xff);
}

#define FILE_STORE_TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)

#define FILE_STORE_TESTS(setup)                                                                    \
	FILE_STORE_TEST(test_file_store_reads_back_what_was_written_when_durable_or_not, setup),   \
		FILE_STORE_TEST(test_file_store_erases_the_range_alone_when_zeroed_or_discarded,   \
			setup),                                                                    \
		FILE_STORE_TEST(test_file_store_completes_all_when_many_are_in_flight, setup),     \
		FILE_STORE_TEST(test_file_store_refuses_writes_and_flushes_nothing_when_read_only, \
			setup),                                                                    \
		FILE_STORE_TEST(                                                                   \
			test_file_store_fails_and_does_not_grow_the_file_when_it_was_cut_off,      \
			setup),                                                                    \
		FILE_STORE_TEST(test_file_store_latches_the_first_failure_when_told_of_it, setup), \
		FILE_STORE_TEST(test_file_store_fails_a_flush_when_another_failed_meanwhile,       \
			setup),                                                                    \
		FILE_STORE_TEST(test_file_store_latches_nothing_when_a_write_finds_no_room,        \
			setup),                                                                    \
		FILE_STORE_TEST(test_file_store_reports_no_space_when_the_file_system_is_full,     \
			setup),                                                                    \
		FILE_STORE_TEST(test_file_store_keeps_its_uuid_when_opened_again, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_STORE_TESTS(setup_auto),
		FILE_STORE_TESTS(setup_threads),
		FILE_STORE_TEST(test_file_store_erases_the_range_alone_when_zeroed_or_discarded,
			setup_tmpfs),
		FILE_STORE_TEST(test_file_store_erases_the_range_alone_when_zeroed_or_discarded,
			setup_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
