#include "kernel/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/sanitizer.h"
#include "kernel/linux_path.h"
#include "test/kernel/sandboxed.h"

static const struct entry root_entry = {.name = "root"};
static const struct entry dropped_entry = {.name = "root, then nobody", .to_nobody = true};
static const struct entry nobody_entry = {.name = "nobody", .as_nobody = true};
static const struct entry plain_entry = {.name = "nobody without Landlock",
	.as_nobody = true,
	.without_landlock = true};
static const struct entry virtual_entry = {.name = "nobody without namespaces",
	.as_nobody = true,
	.without_namespaces = true};

/* Those who see only what is lent; the first ones are root's. */
static const struct entry *const viewing[] = {&root_entry, &dropped_entry, &nobody_entry,
	&plain_entry};
static const struct entry *const all[] = {&root_entry, &dropped_entry, &nobody_entry, &plain_entry,
	&virtual_entry};

/* Run @body in each; those that need root only as root. Skip where no namespaces are to be had. */
static void run_in_views(struct fixture *fixture, worker_body *body)
{
	size_t first = is_root() ? 0 : 2;

	for (size_t i = first; i < ARRAY_LENGTH(viewing); i++) {
		run_well(fixture, viewing[i], body);
		if (fixture->report->view != SANDBOX_VIRTUAL)
			continue;
		print_message("skipped: %s: the kernel refuses namespaces\n", viewing[i]->name);
		skip();
	}
}

static void run_everywhere(struct fixture *fixture, worker_body *body)
{
	for (size_t i = is_root() ? 0 : 2; i < ARRAY_LENGTH(all); i++)
		run_well(fixture, all[i], body);
}

static void see_only_what_is_lent(struct fixture *fixture)
{
	const struct tree *tree = &fixture->tree;
	struct stat status;

	if (told->view == SANDBOX_VIRTUAL)
		return;
	CHECK(stat(in(tree->rw, "file"), &status) == 0);
	CHECK(stat(in(tree->ro, "file"), &status) == 0);
	CHECK(stat(in(tree->rw, "within"), &status) == 0);
	CHECK(stat(in(tree->rw, "across"), &status) == 0);
	CHECK_ERROR(stat(in(tree->base, "hidden"), &status), ENOENT);
	CHECK_ERROR(stat(in(tree->rw, "out"), &status), ENOENT);
	CHECK_ERROR(stat(in(tree->rw, "absolute"), &status), ENOENT);
	CHECK_ERROR(stat("/etc", &status), ENOENT);
	CHECK_ERROR(stat("/proc", &status), ENOENT);
	CHECK_ERROR(stat("/proc/self/root", &status), ENOENT);
	CHECK_ERROR(stat("/dev/null", &status), ENOENT);
	CHECK_ERROR(stat("../../../../../../../../etc", &status), ENOENT);
	CHECK_ERROR(mkdir("/new", 0777), EROFS);
	CHECK_ERROR(mkdir(in(tree->base, "new"), 0777), EROFS);
	CHECK(chdir(tree->rw) == 0);
	CHECK_ERROR(stat("../hidden", &status), ENOENT);
	CHECK(stat("../ro/file", &status) == 0);
	CHECK(chdir("..") == 0 && chdir("..") == 0 && chdir("..") == 0 && chdir("..") == 0);
	CHECK_ERROR(stat("etc", &status), ENOENT);
}

static void test_sandbox_shows_only_what_is_lent(void **state)
{
	run_in_views(*state, see_only_what_is_lent);
}

static void change_only_what_may_be(struct fixture *fixture)
{
	const struct tree *tree = &fixture->tree;
	char file[NAME_MAX_];
	int fd;

	if (told->view == SANDBOX_VIRTUAL)
		return;
	(void)snprintf(file, sizeof(file), "%s/file", tree->ro);
	CHECK_ERROR(open(file, O_WRONLY), EROFS);
	CHECK_ERROR(open(file, O_RDONLY | O_TRUNC), EROFS);
	CHECK_ERROR(open(in(tree->ro, "new"), O_CREAT | O_WRONLY, 0666), EROFS);
	CHECK_ERROR(truncate(file, 0), EROFS);
	CHECK_ERROR(chmod(file, 0600), EROFS);
	CHECK_ERROR(chown(file, getuid(), getgid()), EROFS);
	CHECK_ERROR(utimensat(AT_FDCWD, file, NULL, 0), EROFS);
	CHECK_ERROR(setxattr(file, "user.a", "b", 1, 0), EROFS);
	CHECK_ERROR(unlink(file), EROFS);
	CHECK_ERROR(mkdir(in(tree->ro, "new"), 0777), EROFS);
	CHECK_ERROR(open(in(tree->rw, "across"), O_WRONLY), EROFS);
	fd = open(file, O_RDONLY);
	CHECK(fd >= 0);
	CHECK_ERROR(fchmod(fd, 0600), EROFS);
	CHECK_ERROR(futimens(fd, NULL), EROFS);
	CHECK_ERROR(fsetxattr(fd, "user.a", "b", 1, 0), EROFS);
	CHECK_ERROR(rename(file, in(tree->rw, "new")), EXDEV);
	CHECK_ERROR(link(file, in(tree->rw, "new")), EXDEV);
	CHECK_ERROR(rename(in(tree->rw, "file"), in(tree->ro, "new")), EXDEV);

	fd = open(in(tree->rw, "new"), O_CREAT | O_RDWR, 0666);
	CHECK(fd >= 0);
	CHECK(write(fd, "text", 4) == 4);
	CHECK(ftruncate(fd, 2) == 0);
	CHECK(fchmod(fd, 0640) == 0);
	CHECK(link(in(tree->rw, "new"), in(tree->rw, "hard")) == 0);
	CHECK(rename(in(tree->rw, "new"), in(tree->rw, "proc/moved")) == 0);
	CHECK(unlink(in(tree->rw, "proc/moved")) == 0);
	CHECK(unlink(in(tree->rw, "hard")) == 0);
	CHECK(mkdir(in(tree->rw, "new"), 0777) == 0);
	CHECK(rmdir(in(tree->rw, "new")) == 0);
}

static void test_sandbox_changes_nothing_when_it_is_lent_to_read(void **state)
{
	run_in_views(*state, change_only_what_may_be);
}

static void change_around_what_is_nested(struct fixture *fixture)
{
	const char *rw = fixture->tree.rw;

	if (told->view == SANDBOX_VIRTUAL)
		return;
	CHECK_ERROR(mkdir(in(rw, "proc/new"), 0777), EROFS);
	CHECK_ERROR(chmod(in(rw, "proc"), 0700), EROFS);
	CHECK_ERROR(rename(in(rw, "proc"), in(rw, "moved")), EBUSY);
	CHECK_ERROR(rmdir(in(rw, "proc")), EBUSY);
	CHECK(open(in(rw, "file"), O_RDWR) >= 0);
}

static void test_sandbox_keeps_what_is_lent_within_what_is_lent_otherwise(void **state)
{
	static const struct entry nested = {.name = "nested", .as_nobody = true, .is_nested = true};
	static const struct entry nested_root = {.name = "nested, root", .is_nested = true};

	run_well(*state, &nested, change_around_what_is_nested);
	if (is_root())
		run_well(*state, &nested_root, change_around_what_is_nested);
}

static void see_the_whole_without_the_kernel(struct fixture *fixture)
{
	const struct tree *tree = &fixture->tree;
	struct stat status;

	if (told->view == SANDBOX_VIRTUAL)
		return;
	CHECK(stat("/etc/passwd", &status) == 0);
	CHECK(stat(in(tree->base, "hidden"), &status) == 0);
	CHECK(stat("/proc", &status) == 0);
	CHECK_ERROR(stat("/proc/self", &status), ENOENT);
	CHECK_ERROR(stat("/sys/kernel", &status), ENOENT);
	CHECK(open("/dev/null", O_RDWR) < 0);
	CHECK_ERROR(mkdir(in(tree->base, "new"), 0777), EROFS);
	CHECK_ERROR(mkdir(in(tree->ro, "new"), 0777), EROFS);
	CHECK(mkdir(in(tree->rw, "new"), 0777) == 0);
	CHECK(rmdir(in(tree->rw, "new")) == 0);
}

static void test_sandbox_covers_the_kernel_when_everything_is_lent(void **state)
{
	static const struct entry whole = {.name = "whole", .as_nobody = true, .is_whole = true};
	static const struct entry whole_root = {.name = "whole, root", .is_whole = true};

	run_well(*state, &whole, see_the_whole_without_the_kernel);
	if (is_root())
		run_well(*state, &whole_root, see_the_whole_without_the_kernel);
}

static void see_no_kernel(struct fixture *fixture)
{
	const char *rw = fixture->tree.rw;
	struct stat status;

	CHECK(stat(in(rw, "proc"), &status) == 0);
	CHECK_ERROR(stat(in(rw, "proc/self"), &status), ENOENT);
	CHECK_ERROR(stat(in(rw, "proc/sys"), &status), ENOENT);
	CHECK_ERROR(mkdir(in(rw, "proc/new"), 0777), EROFS);
	CHECK_ERROR(umount2(in(rw, "proc"), MNT_DETACH), EPERM);
}

static void see_no_kernel_but_stay(struct fixture *fixture)
{
	const char *rw = fixture->tree.rw;
	struct stat status;

	CHECK(stat(in(rw, "proc"), &status) == 0);
	CHECK_ERROR(stat(in(rw, "proc/self"), &status), ENOENT);
	CHECK_ERROR(stat(in(rw, "proc/sys"), &status), ENOENT);
	CHECK_ERROR(open(in(rw, "proc/new"), O_CREAT | O_WRONLY, 0666), EROFS);
}

static void test_sandbox_covers_what_is_mounted_within(void **state)
{
	static const struct entry *const entries[] = {&root_entry, &dropped_entry, &nobody_entry};
	struct fixture *fixture = *state;
	pid_t child;
	int status;

	if (!is_root() || IS_THREAD_SANITIZED) {
		print_message("skipped: %s\n",
			IS_THREAD_SANITIZED ? "the sanitizer has a handler of SIGSYS"
					    : "only root can mount something to be covered");
		skip();
	}
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		CHECK(unshare(CLONE_NEWNS) == 0);
		CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
		CHECK(mount("proc", in(fixture->tree.rw, "proc"), "proc", 0, NULL) == 0);
		for (size_t i = 0; i < ARRAY_LENGTH(entries); i++) {
			if (run_worker(fixture, entries[i], see_no_kernel_but_stay) != 0)
				_exit(EXIT_TOLD);
			if (run_worker(fixture, entries[i], see_no_kernel) != 128 + SIGSYS)
				_exit(EXIT_WALLS);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("status 0x%x: %s", (unsigned)status, fixture->report->text);
}

static void have_no_rights(struct fixture *fixture)
{
	struct rlimit limit;

	(void)fixture;
	CHECK(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max <= 1000);
	CHECK(getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_max <= SANDBOX_TASKS);
	CHECK(syscall(SYS_prctl, PR_SET_NAME, "worker", 0, 0, 0) == 0);
	CHECK_ERROR(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), ENOSYS);
	CHECK_ERROR(setuid(0), EPERM);
	CHECK_ERROR(setgid(0), EPERM);
}

static void test_sandbox_leaves_no_rights(void **state)
{
	if (IS_THREAD_SANITIZED) {
		print_message(
			"skipped: setuid(2) is a signal to all threads, of which it complains\n");
		skip();
	}
	run_everywhere(*state, have_no_rights);
}

/* In the place of a worker's filter: whether the spawner has any capability. */
static void test_sandbox_drops_capabilities_when_entered(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = is_root() ? 0 : 2; i < ARRAY_LENGTH(all); i++) {
		struct linux_policy policy;
		pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (child == 0) {
			struct __user_cap_header_struct header = {
				.version = _LINUX_CAPABILITY_VERSION_3};
			struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
			struct sandbox_options options = {.has_user = all[i]->to_nobody,
				.uid = NOBODY,
				.gid = NOBODY,
				.is_without_namespaces = all[i]->without_namespaces};
			struct sandbox_walls walls;

			if (all[i]->as_nobody && is_root())
				CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0);
			lend_tree(&policy, &fixture->tree, false);
			CHECK(sandbox_enter(&policy, &options, &walls, told->text,
				      sizeof(told->text)) == 0);
			CHECK(syscall(SYS_capget, &header, data) == 0);
			CHECK(data[0].effective == 0 && data[1].effective == 0);
			CHECK(data[0].permitted == 0 && data[1].permitted == 0);
			CHECK(data[0].inheritable == 0 && data[1].inheritable == 0);
			CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
			CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
			CHECK(!all[i]->to_nobody || (getuid() == NOBODY && getgid() == NOBODY));
			CHECK_ERROR(mount("none", "/", "tmpfs", 0, NULL), EPERM);
			CHECK_ERROR(chroot("/"), EPERM);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("%s: 0x%x %s", all[i]->name, (unsigned)status, told->text);
	}
}

/* Whether it is process 1 of its namespace that a worker would signal, or whom no one has forked. */
static void signal_nobody(struct fixture *fixture)
{
	(void)fixture;
	CHECK_ERROR(kill(getppid(), SIGTERM), EPERM);
	CHECK_ERROR(kill(0, SIGKILL), EPERM);
	CHECK_ERROR(kill(-1, SIGKILL), EPERM);
	CHECK_ERROR(syscall(SYS_tkill, getppid(), SIGTERM), EPERM);
	CHECK_ERROR(syscall(SYS_tgkill, getppid(), getppid(), SIGTERM), ENOSYS);
	CHECK_ERROR(syscall(SYS_rt_sigqueueinfo, getppid(), SIGTERM, NULL), EPERM);
	CHECK_ERROR(syscall(SYS_pidfd_open, getppid(), 0), EPERM);
	if (told->landlock >= 6)
		CHECK_ERROR(syscall(SYS_tgkill, getppid(), getppid(), SIGRTMIN), EPERM);
}

static void test_sandbox_lets_a_worker_signal_nobody(void **state)
{
	run_everywhere(*state, signal_nobody);
}

static void *do_nothing(void *argument)
{
	return argument;
}

static void be_interrupted(int signal)
{
	(void)signal;
}

static void work_as_workers_do(struct fixture *fixture)
{
	const struct sigaction action = {.sa_handler = be_interrupted};
	pthread_t thread;
	void *memory;
	pid_t child;
	int status;

	(void)fixture;
	CHECK(sigaction(SIGRTMIN, &action, NULL) == 0);
	CHECK(pthread_create(&thread, NULL, do_nothing, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(pthread_kill(pthread_self(), SIGRTMIN) == 0);
	memory = malloc(10u << 20);
	CHECK(memory != NULL);
	free(memory);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		CHECK(pthread_create(&thread, NULL, do_nothing, NULL) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
		CHECK(pthread_kill(pthread_self(), SIGRTMIN) == 0);
		_exit(7);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void test_sandbox_lets_workers_have_threads_and_children(void **state)
{
	run_everywhere(*state, work_as_workers_do);
}

static void fork_without_end(struct fixture *fixture)
{
	(void)fixture;
	told->number = 0;
	while (told->number < 10 * (long)TASKS && fork() >= 0)
		__atomic_add_fetch(&told->number, 1, __ATOMIC_RELAXED);
}

static void test_sandbox_bounds_a_fork_bomb(void **state)
{
	struct fixture *fixture = *state;

	/* RLIMIT_NPROC counts all of a user's, but in a user namespace only those within. */
	run_well(fixture, &nobody_entry, fork_without_end);
	if (fixture->report->view != SANDBOX_USER)
		skip();
	assert_in_range(fixture->report->number, 1, 10 * (long)TASKS - 1);
}

static void test_sandbox_falls_back_when_namespaces_are_refused(void **state)
{
	static const struct entry refused = {.name = "refused",
		.as_nobody = true,
		.is_refused = true};
	struct fixture *fixture = *state;

	run_well(fixture, &refused, work_as_workers_do);
	assert_int_equal(fixture->report->view, SANDBOX_VIRTUAL);
	run_well(fixture, &refused, signal_nobody);
}

static void reach_by_landlock(struct fixture *fixture)
{
	const struct tree *tree = &fixture->tree;

	if (told->landlock == 0)
		return;
	CHECK_ERROR(open("/etc/passwd", O_RDONLY), EACCES);
	CHECK_ERROR(open(in(tree->base, "hidden/secret"), O_RDONLY), EACCES);
	CHECK_ERROR(open(in(tree->ro, "file"), O_WRONLY), EACCES);
	CHECK(open(in(tree->ro, "file"), O_RDONLY) >= 0);
	CHECK(open(in(tree->rw, "file"), O_RDWR) >= 0);
	CHECK_ERROR(open(in(tree->rw, "out"), O_RDONLY), EACCES);
	CHECK_ERROR(open("/dev/null", O_RDWR), EACCES);
}

static void test_sandbox_keeps_from_files_by_landlock_when_there_is_no_view(void **state)
{
	struct fixture *fixture = *state;

	run_well(fixture, &virtual_entry, reach_by_landlock);
	if (fixture->report->landlock == 0) {
		print_message("skipped: there is no Landlock\n");
		skip();
	}
}

static void look_up_paths(struct fixture *fixture)
{
	const struct tree *tree = &fixture->tree;
	struct linux_policy policy;
	struct linux_path path;
	struct linux_root root;
	int fd;

	lend_tree(&policy, tree, false);
	CHECK(linux_root_open(&policy, &root) == 0);
	CHECK(chdir(tree->rw) == 0);
	CHECK(linux_path_open(&root, AT_FDCWD, "within", LINUX_PATH_OBJECT, &path) == 0);
	fd = open(path.text, O_RDWR);
	CHECK(fd >= 0);
	linux_path_close(&path);
	CHECK(linux_path_open(&root, AT_FDCWD, "new", LINUX_PATH_NAME, &path) == 0);
	CHECK(mkdir(path.text, 0777) == 0);
	CHECK(rmdir(path.text) == 0);
	linux_path_close(&path);
	CHECK(!linux_path_is_read_only(&root, fd));
	CHECK(linux_path_open(&root, AT_FDCWD, "../ro/file", LINUX_PATH_OBJECT, &path) == 0);
	CHECK(path.is_read_only && linux_path_is_read_only(&root, path.descriptor));
	CHECK(linux_path_open(&root, AT_FDCWD, "../hidden", LINUX_PATH_OBJECT, &path) == -ENOENT);
}

static void test_sandbox_lets_a_worker_look_up_paths_when_there_is_no_view(void **state)
{
	static const struct entry bare = {.name = "nobody with a filter alone",
		.as_nobody = true,
		.without_namespaces = true,
		.without_landlock = true};

	run_well(*state, &virtual_entry, look_up_paths);
	run_well(*state, &bare, look_up_paths);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_tree, tear_down_tree)
		TEST(test_sandbox_shows_only_what_is_lent),
		TEST(test_sandbox_changes_nothing_when_it_is_lent_to_read),
		TEST(test_sandbox_keeps_what_is_lent_within_what_is_lent_otherwise),
		TEST(test_sandbox_covers_the_kernel_when_everything_is_lent),
		TEST(test_sandbox_covers_what_is_mounted_within),
		TEST(test_sandbox_leaves_no_rights),
		TEST(test_sandbox_drops_capabilities_when_entered),
		TEST(test_sandbox_lets_a_worker_signal_nobody),
		TEST(test_sandbox_lets_workers_have_threads_and_children),
		TEST(test_sandbox_bounds_a_fork_bomb),
		TEST(test_sandbox_falls_back_when_namespaces_are_refused),
		TEST(test_sandbox_keeps_from_files_by_landlock_when_there_is_no_view),
		TEST(test_sandbox_lets_a_worker_look_up_paths_when_there_is_no_view),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
