/*
 * Calls with paths by a client of a kernel that has no view, only a root for paths.
 */
#include "kernel/linux_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "kernel/linux_kernel_private.h"
#include "test/kernel/linux_bench.h"
#include "test/kernel/sandboxed.h"

struct virtual
{
	void *tree;
	void *bench;
	struct linux_policy policy;
	struct linux_root root;
	char rw[80];
	char ro[80];
	char base[64];
};

static int set_up(void **state)
{
	struct virtual *virtual = calloc(1, sizeof(*virtual));
	const struct tree *tree;

	assert_non_null(virtual);
	assert_int_equal(set_up_tree(&virtual->tree), 0);
	tree = &((struct fixture *)virtual->tree)->tree;
	memcpy(virtual->rw, tree->rw, sizeof(virtual->rw));
	memcpy(virtual->ro, tree->ro, sizeof(virtual->ro));
	memcpy(virtual->base, tree->base, sizeof(virtual->base));
	lend_tree(&virtual->policy, tree, false);
	assert_int_equal(linux_root_open(&virtual->policy, &virtual->root), 0);
	assert_int_equal(linux_bench_setup(&virtual->bench), 0);
	((struct linux_bench *)virtual->bench)->kernel->options.root = &virtual->root;
	*state = virtual;
	return 0;
}

static int tear_down(void **state)
{
	struct virtual *virtual = *state;

	(void)remove(in(virtual->rw, "socket"));
	assert_int_equal(linux_bench_teardown(&virtual->bench), 0);
	linux_root_close(&virtual->root);
	linux_policy_deinit(&virtual->policy);
	assert_int_equal(tear_down_tree(&virtual->tree), 0);
	free(virtual);
	return 0;
}

#define CALL(number_, ...) LINUX_CALL(virtual->bench, number_, __VA_ARGS__)
#define HERE               ((uint64_t)(int64_t)AT_FDCWD)
#define RW(name_)          AT(in(virtual->rw, name_))
#define RO(name_)          AT(in(virtual->ro, name_))
#define OTHER(name_)       AT(in(virtual->base, name_))

static void test_paths_open_what_is_lent_only(void **state)
{
	struct virtual *virtual = *state;
	int64_t fd = CALL(SYS_openat, HERE, RW("file"), O_RDWR);
	char bytes[5] = "";

	assert_true(fd >= 0);
	assert_int_equal(CALL(SYS_read, (uint64_t)fd, AT(bytes), 4), 4);
	assert_string_equal(bytes, "text");
	assert_int_equal(CALL(SYS_close, (uint64_t)fd), 0);
	fd = CALL(SYS_openat, HERE, RW("within"), O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(CALL(SYS_close, (uint64_t)fd), 0);
	assert_int_equal(CALL(SYS_openat, HERE, RW("within"), O_RDONLY | O_NOFOLLOW), -ELOOP);
	assert_int_equal(CALL(SYS_openat, HERE, RW("out"), O_RDONLY), -ENOENT);
	assert_int_equal(CALL(SYS_openat, HERE, RW("absolute"), O_RDONLY), -ENOENT);
	assert_int_equal(CALL(SYS_openat, HERE, RW("out"), O_WRONLY | O_CREAT, 0666), -ENOENT);
	assert_int_equal(CALL(SYS_openat, HERE, OTHER("hidden/secret"), O_RDONLY), -ENOENT);
	assert_int_equal(CALL(SYS_openat, HERE, AT("/etc/passwd"), O_RDONLY), -ENOENT);
	assert_int_equal(CALL(SYS_openat, HERE, AT("/"), O_RDONLY), -EACCES);
	assert_int_equal(CALL(SYS_openat, HERE, AT("/proc/self/root"), O_PATH), -ENOENT);
	assert_int_equal(CALL(SYS_openat2, HERE, RW("file"), AT(&(uint64_t[3]){0}), 24), -ENOSYS);
	fd = CALL(SYS_openat, HERE, RW("new"), O_WRONLY | O_CREAT | O_EXCL, 0640);
	assert_true(fd >= 0);
	assert_int_equal(CALL(SYS_close, (uint64_t)fd), 0);
	assert_int_equal(CALL(SYS_openat, HERE, RW("new"), O_WRONLY | O_CREAT | O_EXCL, 0640),
		-EEXIST);
	assert_int_equal(CALL(SYS_unlinkat, HERE, RW("new"), 0), 0);
#ifdef SYS_creat
	fd = CALL(SYS_creat, RW("new"), 0440);
	assert_true(fd >= 0);
	assert_int_equal(CALL(SYS_write, (uint64_t)fd, AT("x"), 1), 1);
	assert_int_equal(CALL(SYS_close, (uint64_t)fd), 0);
#endif
}

static void test_paths_do_all_in_what_is_lent(void **state)
{
	struct virtual *virtual = *state;
	struct stat status;
	char text[PATH_MAX];
	int64_t fd;

	assert_int_equal(CALL(SYS_newfstatat, HERE, RW("within"), AT(&status), 0), 0);
	assert_true(S_ISREG(status.st_mode));
	assert_int_equal(CALL(SYS_newfstatat, HERE, RW("within"), AT(&status), AT_SYMLINK_NOFOLLOW),
		0);
	assert_true(S_ISLNK(status.st_mode));
	assert_int_equal(CALL(SYS_readlinkat, HERE, RW("within"), AT(text), sizeof(text)), 4);
	assert_memory_equal(text, "file", 4);
	assert_int_equal(CALL(SYS_fchmodat, HERE, RW("file"), 0600), 0);
	assert_int_equal(CALL(SYS_truncate, RW("file"), 2), 0);
	assert_int_equal(stat(in(virtual->rw, "file"), &status), 0);
	assert_int_equal(status.st_size, 2);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(CALL(SYS_utimensat, HERE, RW("file"), 0, 0), 0);
	assert_int_equal(CALL(SYS_linkat, HERE, RW("file"), HERE, RW("hard"), 0), 0);
	assert_int_equal(CALL(SYS_renameat2, HERE, RW("hard"), HERE, RW("moved"), 0), 0);
	assert_int_equal(CALL(SYS_unlinkat, HERE, RW("moved"), 0), 0);
	assert_int_equal(CALL(SYS_mkdirat, HERE, RW("new"), 0700), 0);
	assert_int_equal(CALL(SYS_unlinkat, HERE, RW("new/"), AT_REMOVEDIR), 0);
	assert_int_equal(CALL(SYS_symlinkat, AT("/etc"), HERE, RW("new")), 0);
	assert_int_equal(CALL(SYS_faccessat, HERE, RW("new"), F_OK), -ENOENT);
	fd = CALL(SYS_openat, HERE, RW("proc"), O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	assert_int_equal(CALL(SYS_newfstatat, (uint64_t)fd, AT("../file"), AT(&status), 0), 0);
	assert_int_equal(CALL(SYS_newfstatat, (uint64_t)fd, AT(""), AT(&status), AT_EMPTY_PATH), 0);
	assert_int_equal(CALL(SYS_newfstatat, (uint64_t)fd, AT("../../hidden/secret"), AT(&status),
				 0),
		-ENOENT);
	assert_int_equal(CALL(SYS_close, (uint64_t)fd), 0);
}

static void test_paths_change_nothing_that_is_lent_to_read(void **state)
{
	struct virtual *virtual = *state;
	int64_t fd = CALL(SYS_openat, HERE, RO("file"), O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(CALL(SYS_fchmod, (uint64_t)fd, 0600), -EROFS);
	assert_int_equal(CALL(SYS_fchown, (uint64_t)fd, getuid(), getgid()), -EROFS);
	assert_int_equal(CALL(SYS_utimensat, (uint64_t)fd, 0, 0, 0), -EROFS);
	assert_int_equal(CALL(SYS_fchownat, (uint64_t)fd, AT(""), getuid(), getgid(),
				 AT_EMPTY_PATH),
		-EROFS);
	assert_int_equal(CALL(SYS_fsetxattr, (uint64_t)fd, AT("user.a"), AT("b"), 1, 0), -EROFS);
	assert_int_equal(CALL(SYS_close, (uint64_t)fd), 0);
	assert_int_equal(CALL(SYS_openat, HERE, RO("file"), O_WRONLY), -EROFS);
	assert_int_equal(CALL(SYS_openat, HERE, RO("file"), O_RDONLY | O_TRUNC), -EROFS);
	assert_int_equal(CALL(SYS_openat, HERE, RO("new"), O_RDONLY | O_CREAT, 0666), -EROFS);
	assert_int_equal(CALL(SYS_openat, HERE, AT(virtual->ro), O_RDWR | O_TMPFILE, 0666), -EROFS);
	assert_int_equal(CALL(SYS_openat, HERE, RW("across"), O_RDWR), -EROFS);
	assert_int_equal(CALL(SYS_fchmodat, HERE, RW("across"), 0600), -EROFS);
	assert_int_equal(CALL(SYS_truncate, RO("file"), 0), -EROFS);
	assert_int_equal(CALL(SYS_unlinkat, HERE, RO("file"), 0), -EROFS);
	assert_int_equal(CALL(SYS_mkdirat, HERE, RO("new"), 0700), -EROFS);
	assert_int_equal(CALL(SYS_symlinkat, AT("file"), HERE, RO("new")), -EROFS);
	assert_int_equal(CALL(SYS_setxattr, RO("file"), AT("user.a"), AT("b"), 1, 0), -EROFS);
	assert_int_equal(CALL(SYS_faccessat, HERE, RO("file"), W_OK), -EROFS);
	assert_int_equal(CALL(SYS_faccessat, HERE, RO("file"), R_OK), 0);
	assert_true(CALL(SYS_renameat2, HERE, RO("file"), HERE, RW("new"), 0) < 0);
	assert_true(CALL(SYS_linkat, HERE, RO("file"), HERE, RW("new"), 0) < 0);
	assert_true(CALL(SYS_renameat2, HERE, RW("file"), HERE, RO("new"), 0) < 0);
	assert_int_equal(access(in(virtual->ro, "file"), F_OK), 0);
	assert_int_equal(access(in(virtual->rw, "new"), F_OK), -1);
}

static void test_paths_of_sockets_are_in_what_is_lent(void **state)
{
	struct virtual *virtual = *state;
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int64_t listener = CALL(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
	int64_t socket = CALL(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
	struct stat status;

	assert_true(listener >= 0 && socket >= 0);
	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/hidden/socket", virtual->base);
	assert_int_equal(CALL(SYS_bind, (uint64_t)listener, AT(&name), sizeof(name)), -ENOENT);
	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", virtual->ro);
	assert_int_equal(CALL(SYS_bind, (uint64_t)listener, AT(&name), sizeof(name)), -EROFS);
	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", virtual->rw);
	assert_int_equal(CALL(SYS_bind, (uint64_t)listener, AT(&name), sizeof(name)), 0);
	assert_int_equal(stat(name.sun_path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(CALL(SYS_listen, (uint64_t)listener, 1), 0);
	assert_int_equal(CALL(SYS_connect, (uint64_t)socket, AT(&name), sizeof(name)), 0);
	assert_int_equal(CALL(SYS_close, (uint64_t)socket), 0);
	assert_int_equal(CALL(SYS_close, (uint64_t)listener), 0);
}

static void test_paths_go_from_the_working_directory(void **state)
{
	struct virtual *virtual = *state;
	char *before = getcwd(NULL, 0);
	struct stat status;

	assert_non_null(before);
	assert_int_equal(CALL(SYS_chdir, AT("/")), -EACCES);
	assert_int_equal(CALL(SYS_chdir, OTHER("hidden")), -ENOENT);
	assert_int_equal(CALL(SYS_chdir, RW("proc")), 0);
	assert_int_equal(CALL(SYS_newfstatat, HERE, AT("../file"), AT(&status), 0), 0);
	assert_int_equal(CALL(SYS_newfstatat, HERE, AT("../../ro/file"), AT(&status), 0), 0);
	assert_int_equal(CALL(SYS_newfstatat, HERE, AT("../../hidden"), AT(&status), 0), -ENOENT);
	assert_int_equal(chdir(before), 0);
	free(before);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_paths_open_what_is_lent_only),
		TEST(test_paths_do_all_in_what_is_lent),
		TEST(test_paths_change_nothing_that_is_lent_to_read),
		TEST(test_paths_of_sockets_are_in_what_is_lent),
		TEST(test_paths_go_from_the_working_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
