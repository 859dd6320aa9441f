#include "store/device_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define PATH_BYTES 256

/* A sysfs of its own: a disk 8:0 with a partition 8:1, and a disk 8:16 that tells nothing. */
struct fixture {
	char folder[PATH_BYTES / 2];
};

static const char *const folders[] = {"disk", "disk/queue", "disk/part", "silent", "silent/queue"};
static const struct {
	const char *target, *name;
} links[] = {{"disk", "8:0"}, {"disk/part", "8:1"}, {"silent", "8:16"}};
static const char *const files[] = {"write_zeroes_max_bytes", "discard_granularity"};

static void write_text(const struct fixture *fixture, const char *name, const char *text)
{
	char path[PATH_BYTES];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/disk/queue/%s", fixture->folder, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char path[PATH_BYTES];

	if (fixture == NULL)
		return -1;
	*state = fixture;
	(void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/ferry-limits-test.XXXXXX");
	if (mkdtemp(fixture->folder) == NULL)
		return -1;
	for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, folders[i]);
		if (mkdir(path, 0700) != 0)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(links); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, links[i].name);
		if (symlink(links[i].target, path) != 0)
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char path[PATH_BYTES];

	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/disk/queue/%s", fixture->folder, files[i]);
		(void)unlink(path);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(links); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, links[i].name);
		(void)unlink(path);
	}
	for (size_t i = ARRAY_LENGTH(folders); i-- > 0;) {
		(void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, folders[i]);
		(void)rmdir(path);
	}
	(void)rmdir(fixture->folder);
	free(fixture);
	return 0;
}

static void test_device_limits_are_those_of_the_disk_when_asked_of_a_partition_too(void **state)
{
	static const struct {
		const char *zero, *discard;
		struct device_limits expected;
	} rows[] = {
		{"4294966784\n", "4096\n", {4294966784, 4096}},
		{"0\n", "512\n", {0, 512}},
		{"2199023255040\n", "0\n", {2199023255040, 0}},
		{"\n", "", {0, 0}},
	};
	const struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		write_text(fixture, files[0], rows[i].zero);
		write_text(fixture, files[1], rows[i].discard);
		for (unsigned part = 0; part < 2; part++) {
			struct device_limits limits =
				device_limits_read(fixture->folder, makedev(8, part));

			assert_int_equal(limits.zero_bytes_max, rows[i].expected.zero_bytes_max);
			assert_int_equal(limits.discard_bytes, rows[i].expected.discard_bytes);
		}
	}
}

static void test_device_limits_are_zero_when_nothing_is_told(void **state)
{
	static const unsigned minors[] = {16, 99};
	const struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(minors); i++) {
		struct device_limits limits =
			device_limits_read(fixture->folder, makedev(8, minors[i]));

		assert_int_equal(limits.zero_bytes_max, 0);
		assert_int_equal(limits.discard_bytes, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_device_limits_are_those_of_the_disk_when_asked_of_a_partition_too,
			setup, teardown),
		cmocka_unit_test_setup_teardown(test_device_limits_are_zero_when_nothing_is_told,
			setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
