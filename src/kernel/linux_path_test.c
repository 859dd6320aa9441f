#include "kernel/linux_path.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/kernel/sandboxed.h"

struct bench {
	void *tree; /* struct fixture */
	struct linux_policy policy;
	struct linux_root root;
	char base[64];
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct tree *tree;

	assert_non_null(bench);
	assert_int_equal(set_up_tree(&bench->tree), 0);
	tree = &((struct fixture *)bench->tree)->tree;
	(void)snprintf(bench->base, sizeof(bench->base), "%s", tree->base);
	lend_tree(&bench->policy, tree, false);
	assert_int_equal(linux_root_open(&bench->policy, &bench->root), 0);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	linux_root_close(&bench->root);
	linux_policy_deinit(&bench->policy);
	assert_int_equal(tear_down_tree(&bench->tree), 0);
	free(bench);
	return 0;
}

/* The name of what a path has come to, without the base. */
static void check_path(const struct bench *bench, const struct linux_path *path,
	const char *expected)
{
	char found[PATH_MAX];
	char link[64];
	const char *rest;
	ssize_t length;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", path->descriptor);
	length = readlink(link, found, sizeof(found) - 1);
	assert_true(length > 0);
	found[length] = '\0';
	assert_memory_equal(path->text, link, strlen(link));
	rest = path->text + strlen(link);
	(void)snprintf(found + length, sizeof(found) - (size_t)length, "%s", rest);
	assert_memory_equal(found, bench->base, strlen(bench->base));
	assert_string_equal(found + strlen(bench->base), expected);
}

static void test_path_is_found_beneath_what_is_lent_only(void **state)
{
	static const struct {
		const char *path; /* from the base */
		enum linux_path_kind kind;
		int error;
		const char *expected;
	} rows[] = {
		{"/rw/file", LINUX_PATH_OBJECT, 0, "/rw/file"},
		{"/ro/file", LINUX_PATH_OBJECT, 0, "/ro/file"},
		{"/rw", LINUX_PATH_OBJECT, 0, "/rw"},
		{"//rw/.//file", LINUX_PATH_OBJECT, 0, "/rw/file"},
		{"/rw/../ro/file", LINUX_PATH_OBJECT, 0, "/ro/file"},
		{"/rw/proc/../file", LINUX_PATH_OBJECT, 0, "/rw/file"},
		{"/rw/within", LINUX_PATH_OBJECT, 0, "/rw/file"},
		{"/rw/across", LINUX_PATH_OBJECT, 0, "/ro/file"},
		{"/rw/proc/", LINUX_PATH_OBJECT, 0, "/rw/proc/"},
		{"/rw/within", LINUX_PATH_NAME, 0, "/rw/within"},
		{"/rw/out", LINUX_PATH_NAME, 0, "/rw/out"},
		{"/rw/new", LINUX_PATH_NAME, 0, "/rw/new"},
		{"/rw/new/", LINUX_PATH_NAME, 0, "/rw/new/"},
		{"/rw/new", LINUX_PATH_MAKE, 0, "/rw/new"},
		{"/rw/within", LINUX_PATH_MAKE, 0, "/rw/file"},
		{"/rw", LINUX_PATH_NAME, 0, "/rw/."},
		{"/rw/proc/..", LINUX_PATH_NAME, 0, "/rw/."},
		{"/rw/new", LINUX_PATH_OBJECT, -ENOENT, NULL},
		{"/rw/new/file", LINUX_PATH_MAKE, -ENOENT, NULL},
		{"/rw/file/", LINUX_PATH_OBJECT, -ENOTDIR, NULL},
		{"/rw/file/..", LINUX_PATH_OBJECT, -ENOTDIR, NULL},
		{"/rw/file/x", LINUX_PATH_NAME, -ENOTDIR, NULL},
		{"/hidden", LINUX_PATH_OBJECT, -ENOENT, NULL},
		{"/hidden/secret", LINUX_PATH_OBJECT, -ENOENT, NULL},
		{"/hidden/new", LINUX_PATH_MAKE, -ENOENT, NULL},
		{"/rw/../hidden/secret", LINUX_PATH_OBJECT, -ENOENT, NULL},
		{"/rw/out", LINUX_PATH_OBJECT, -ENOENT, NULL},
		{"/rw/out", LINUX_PATH_MAKE, -ENOENT, NULL},
		{"/rw/absolute", LINUX_PATH_OBJECT, -ENOENT, NULL},
		{"/rw/out/", LINUX_PATH_NAME, -ENOENT, NULL},
		{"/rw/../../../../../../etc/passwd", LINUX_PATH_OBJECT, -ENOENT, NULL},
		{"", LINUX_PATH_OBJECT, -EACCES, NULL},
		{"/", LINUX_PATH_OBJECT, -EACCES, NULL},
		{"/..", LINUX_PATH_OBJECT, -EACCES, NULL},
		{"/../..", LINUX_PATH_NAME, -EACCES, NULL},
		{"/rw/..", LINUX_PATH_NAME, -EACCES, NULL},
	};
	const struct bench *bench = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char path[256];
		struct linux_path found;
		int error;

		(void)snprintf(path, sizeof(path), "%s%s", bench->base, rows[i].path);
		error = linux_path_open(&bench->root, AT_FDCWD, path, rows[i].kind, &found);
		if (error != rows[i].error)
			fail_msg("row %zu: %s: %d", i, path, error);
		if (error < 0)
			continue;
		check_path(bench, &found, rows[i].expected);
		assert_int_equal(found.is_read_only, strncmp(rows[i].expected, "/ro", 3) == 0);
		linux_path_close(&found);
	}
}

static void test_path_is_found_from_a_directory_when_it_is_relative(void **state)
{
	const struct bench *bench = *state;
	int directory = open(in(bench->base, "rw"), O_PATH | O_DIRECTORY);
	int file = open(in(bench->base, "rw/file"), O_RDONLY);
	int outside = open(in(bench->base, "hidden"), O_PATH | O_DIRECTORY);
	struct linux_path found;

	assert_true(directory >= 0 && file >= 0 && outside >= 0);
	assert_int_equal(linux_path_open(&bench->root, directory, "file", LINUX_PATH_OBJECT,
				 &found),
		0);
	check_path(bench, &found, "/rw/file");
	linux_path_close(&found);
	assert_int_equal(linux_path_open(&bench->root, directory, "../ro/file", LINUX_PATH_OBJECT,
				 &found),
		0);
	check_path(bench, &found, "/ro/file");
	linux_path_close(&found);
	assert_int_equal(linux_path_open(&bench->root, directory, "../hidden/secret",
				 LINUX_PATH_OBJECT, &found),
		-ENOENT);
	assert_int_equal(linux_path_open(&bench->root, outside, "secret", LINUX_PATH_OBJECT,
				 &found),
		-ENOENT);
	assert_int_equal(linux_path_open(&bench->root, file, "x", LINUX_PATH_OBJECT, &found),
		-ENOTDIR);
	assert_int_equal(linux_path_open(&bench->root, 9999, "x", LINUX_PATH_OBJECT, &found),
		-EBADF);
	assert_int_equal(linux_path_open(&bench->root, directory, "", LINUX_PATH_OBJECT, &found),
		-ENOENT);
	(void)close(directory);
	(void)close(file);
	(void)close(outside);
}

static void test_path_is_refused_when_it_goes_round_or_is_too_long(void **state)
{
	const struct bench *bench = *state;
	struct linux_path found;
	char path[PATH_MAX + 10];
	size_t length;

	assert_int_equal(symlink("new", in(bench->base, "rw/new")), 0);
	assert_int_equal(linux_path_open(&bench->root, AT_FDCWD, in(bench->base, "rw/new"),
				 LINUX_PATH_OBJECT, &found),
		-ELOOP);
	length = (size_t)snprintf(path, sizeof(path), "%s/rw/", bench->base);
	memset(path + length, 'a', NAME_MAX + 1);
	path[length + NAME_MAX + 1] = '\0';
	assert_int_equal(linux_path_open(&bench->root, AT_FDCWD, path, LINUX_PATH_NAME, &found),
		-ENAMETOOLONG);
	path[length + NAME_MAX] = '\0';
	assert_int_equal(linux_path_open(&bench->root, AT_FDCWD, path, LINUX_PATH_NAME, &found), 0);
	assert_int_equal(strlen(found.text),
		strlen("/proc/self/fd/") + NAME_MAX + 1 +
			(size_t)snprintf(NULL, 0, "%d", found.descriptor));
	linux_path_close(&found);
	memset(path, '/', PATH_MAX);
	path[PATH_MAX] = '\0';
	assert_int_equal(linux_path_open(&bench->root, AT_FDCWD, path, LINUX_PATH_OBJECT, &found),
		-ENAMETOOLONG);
}

static void test_path_says_what_is_lent_to_read_when_asked_of_a_descriptor(void **state)
{
	const struct bench *bench = *state;
	int written = open(in(bench->base, "rw/file"), O_RDONLY);
	int read_only = open(in(bench->base, "ro/file"), O_RDONLY);
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_false(linux_path_is_read_only(&bench->root, written));
	assert_true(linux_path_is_read_only(&bench->root, read_only));
	assert_false(linux_path_is_read_only(&bench->root, ends[0]));
	assert_false(linux_path_is_read_only(&bench->root, 9999));
	(void)close(written);
	(void)close(read_only);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void test_path_refuses_devices_and_the_kernel(void **state)
{
	struct linux_policy policy;
	struct linux_root root;
	struct linux_path found;
	char problem[256];

	(void)state;
	linux_policy_init(&policy);
	assert_int_equal(linux_policy_lend(&policy, "path=/", problem, sizeof(problem)), 0);
	assert_int_equal(linux_root_open(&policy, &root), 0);
	assert_int_equal(linux_path_open(&root, AT_FDCWD, "/tmp", LINUX_PATH_OBJECT, &found), 0);
	linux_path_close(&found);
	assert_int_equal(linux_path_open(&root, AT_FDCWD, "/dev/null", LINUX_PATH_OBJECT, &found),
		-EACCES);
	assert_int_equal(linux_path_open(&root, AT_FDCWD, "/proc/1", LINUX_PATH_OBJECT, &found),
		-EACCES);
	assert_int_equal(linux_path_open(&root, AT_FDCWD, "/proc/self/root", LINUX_PATH_NAME,
				 &found),
		-EACCES);
	assert_int_equal(linux_path_open(&root, AT_FDCWD, "/proc/self/fd/0", LINUX_PATH_OBJECT,
				 &found),
		-EACCES);
	linux_root_close(&root);
	linux_policy_deinit(&policy);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_path_is_found_beneath_what_is_lent_only),
		TEST(test_path_is_found_from_a_directory_when_it_is_relative),
		TEST(test_path_is_refused_when_it_goes_round_or_is_too_long),
		TEST(test_path_says_what_is_lent_to_read_when_asked_of_a_descriptor),
		cmocka_unit_test(test_path_refuses_devices_and_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
