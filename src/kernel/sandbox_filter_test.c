/*
 * The filter alone: each call in a process of its own, without any other wall.
 */
#include "kernel/sandbox_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "call/codes.h"
#include "call/table.h"

#define KILLED 1000 /* in the place of an errno */
#define MADE   0    /* it reached Linux, whatever that said */

/* @param filter NULL: none. @return what became of a call: the errno with which the filter refused it, or KILLED. As Linux too
 * may say ENOSYS and EPERM, rows have arguments with which it does not. */
static int try_call(const struct sock_fprog *filter, long number, const uint64_t arguments[6])
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		long value;

		if (filter != NULL &&
			(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
				sandbox_filter_load(filter) != 0))
			_exit(255);
		value = syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
			arguments[4], arguments[5]);
		_exit(value < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? KILLED : -WTERMSIG(status);
	return WEXITSTATUS(status);
}

static int set_up(void **state)
{
	struct sock_fprog *filter = calloc(1, sizeof(*filter));

	assert_non_null(filter);
	assert_int_equal(sandbox_filter_make(true, filter), 0);
	*state = filter;
	return 0;
}

static int tear_down(void **state)
{
	struct sock_fprog *filter = *state;

	free(filter->filter);
	free(filter);
	return 0;
}

static void check_all(const struct sock_fprog *filter, const int *calls, size_t count, int expected)
{
	static const uint64_t bad[6] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
		UINT64_MAX};

	for (size_t i = 0; i < count; i++) {
		int result = try_call(filter, calls[i], bad);

		if (result != expected)
			fail_msg("call %d: %d, not %d", calls[i], result, expected);
	}
}

static void test_filter_kills_who_tries_to_break_out(void **state)
{
	static const int calls[] = {SYS_ptrace, SYS_process_vm_writev, SYS_execve, SYS_execveat,
		SYS_unshare, SYS_setns, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot,
		SYS_move_mount, SYS_open_tree, SYS_fsopen, SYS_bpf, SYS_keyctl, SYS_add_key,
		SYS_request_key, SYS_perf_event_open, SYS_userfaultfd, SYS_pidfd_getfd,
		SYS_open_by_handle_at, SYS_init_module, SYS_kexec_load, SYS_kcmp, SYS_reboot};

	check_all(*state, calls, ARRAY_LENGTH(calls), KILLED);
}

static void test_filter_has_no_other_calls(void **state)
{
	static const int calls[] = {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
		SYS_clone3, SYS_shmget, SYS_msgget, SYS_semget, SYS_mq_open, SYS_personality,
		SYS_seccomp, SYS_landlock_restrict_self, SYS_memfd_create, SYS_acct, SYS_quotactl,
		SYS_swapoff, SYS_sethostname, SYS_settimeofday, SYS_inotify_init1,
		SYS_fanotify_init, 1023};

	check_all(*state, calls, ARRAY_LENGTH(calls), ENOSYS);
}

static void test_filter_forbids_signals_and_users(void **state)
{
	static const int calls[] = {SYS_process_vm_readv, SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo,
		SYS_rt_tgsigqueueinfo, SYS_pidfd_open, SYS_pidfd_send_signal, SYS_setuid,
		SYS_setresuid, SYS_setgroups};

	check_all(*state, calls, ARRAY_LENGTH(calls), EPERM);
}

static void test_filter_judges_arguments(void **state)
{
	static const struct {
		long number;
		uint64_t arguments[6];
		int expected;
	} rows[] = {
		{SYS_socket, {AF_INET, SOCK_STREAM}, MADE},
		{SYS_socket, {AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC}, MADE},
		{SYS_socket, {AF_UNIX, SOCK_SEQPACKET}, MADE},
		{SYS_socket, {AF_INET | UINT64_C(1) << 32, SOCK_STREAM}, MADE},
		{SYS_socket, {AF_INET, SOCK_RAW, IPPROTO_RAW}, ENOSYS},
		{SYS_socket, {AF_NETLINK, SOCK_DGRAM}, ENOSYS},
		{SYS_socket, {AF_PACKET, SOCK_DGRAM}, ENOSYS},
		{SYS_socket, {AF_VSOCK, SOCK_STREAM}, ENOSYS},
		{SYS_socket, {AF_ALG, SOCK_SEQPACKET}, ENOSYS},
		{SYS_socketpair, {AF_INET, SOCK_STREAM, 0, 0}, ENOSYS},
		{SYS_ioctl, {UINT64_MAX, FIONREAD, 0}, EBADF},
		{SYS_ioctl, {UINT64_MAX, FIONREAD | UINT64_C(1) << 40, 0}, EBADF},
		{SYS_ioctl, {UINT64_MAX, TIOCSTI, 0}, ENOSYS},
		{SYS_ioctl, {UINT64_MAX, FIOASYNC, 0}, ENOSYS},
		{SYS_ioctl, {UINT64_MAX, 0, 0}, ENOSYS},
		{SYS_fcntl, {UINT64_MAX, F_GETFD, 0}, EBADF},
		{SYS_fcntl, {UINT64_MAX, F_DUPFD_CLOEXEC, 0}, EBADF},
		{SYS_fcntl, {UINT64_MAX, F_SETOWN, 0}, ENOSYS},
		{SYS_fcntl, {UINT64_MAX, F_SETSIG, 0}, ENOSYS},
		{SYS_fcntl, {UINT64_MAX, F_NOTIFY, 0}, ENOSYS},
		{SYS_setsockopt, {UINT64_MAX, IPPROTO_TCP, TCP_NODELAY, 0, 0}, EBADF},
		{SYS_setsockopt, {UINT64_MAX, SOL_SOCKET, SO_ATTACH_FILTER, 0, 0}, ENOSYS},
		{SYS_setsockopt, {UINT64_MAX, SOL_SOCKET, SO_BINDTODEVICE, 0, 0}, ENOSYS},
		{SYS_setsockopt, {UINT64_MAX, IPPROTO_TCP, TCP_ULP, 0, 0}, ENOSYS},
		{SYS_setsockopt, {UINT64_MAX, SOL_SOCKET, SO_TYPE, 0, 0}, ENOSYS},
		{SYS_getsockopt, {UINT64_MAX, SOL_SOCKET, SO_TYPE, 0, 0}, EBADF},
		{SYS_getsockopt, {UINT64_MAX, IPPROTO_IP, 64, 0, 0}, ENOSYS},
		{SYS_clone, {CLONE_NEWUSER | SIGCHLD}, ENOSYS},
		{SYS_clone, {CLONE_NEWNS | SIGCHLD}, ENOSYS},
		{SYS_clone, {CLONE_PARENT | SIGCHLD}, ENOSYS},
		{SYS_clone, {CLONE_VM | SIGCHLD}, ENOSYS},
		{SYS_clone, {CLONE_PTRACE | SIGCHLD}, ENOSYS},
		{SYS_clone, {SIGUSR1}, ENOSYS},
		{SYS_clone, {SIGCHLD}, MADE},
		{SYS_mmap,
			{0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX,
				0},
			MADE},
		{SYS_mmap,
			{0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX,
				0},
			ENOSYS},
		{SYS_mprotect, {0, 0, PROT_READ}, MADE},
		{SYS_mprotect, {0, 0, PROT_EXEC}, ENOSYS},
		{SYS_prctl, {PR_SET_DUMPABLE, 1}, ENOSYS},
		{SYS_prctl, {PR_SET_SECCOMP, 1}, ENOSYS},
		{SYS_prctl, {PR_SET_PTRACER, 1}, ENOSYS},
		{SYS_prlimit64, {0, RLIMIT_NOFILE, 0, 0}, MADE},
		{SYS_prlimit64, {0, RLIMIT_NOFILE, 1, 0}, ENOSYS},
		{SYS_prlimit64, {1, RLIMIT_NOFILE, 0, 0}, ENOSYS},
		{SYS_tgkill, {INT32_MAX, INT32_MAX, SIGKILL}, ENOSYS},
		{SYS_tgkill, {INT32_MAX, INT32_MAX, 0}, ENOSYS},
		{SYS_tgkill, {INT32_MAX, INT32_MAX, 34}, ESRCH},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		int result = try_call(*state, rows[i].number, rows[i].arguments);

		if (result != rows[i].expected)
			fail_msg("row %zu, call %ld: %d", i, rows[i].number, result);
	}
}

static void test_filter_has_no_internet_when_none_is_lent(void **state)
{
	static const uint64_t internet[6] = {AF_INET, SOCK_STREAM};
	static const uint64_t internet6[6] = {AF_INET6, SOCK_DGRAM};
	static const uint64_t local[6] = {AF_UNIX, SOCK_STREAM};
	struct sock_fprog filter;

	(void)state;
	assert_int_equal(sandbox_filter_make(false, &filter), 0);
	assert_int_equal(try_call(&filter, SYS_socket, internet), ENOSYS);
	assert_int_equal(try_call(&filter, SYS_socket, internet6), ENOSYS);
	assert_int_equal(try_call(&filter, SYS_socket, local), MADE);
	free(filter.filter);
}

/* With arguments that Linux refuses at once; what needs a code has one of its set. */
static void test_filter_lets_every_call_of_the_table_through(void **state)
{
	size_t count;
	const struct call_row *rows = call_rows(&count);

	for (size_t i = 0; i < count; i++) {
		uint64_t arguments[6] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
			UINT64_MAX};
		int result;

		/* These wait, or take what they are given. */
		if (rows[i].number == SYS_socket || rows[i].number == SYS_socketpair ||
			rows[i].number == SYS_ioctl || rows[i].number == SYS_fcntl ||
			rows[i].number == SYS_setsockopt || rows[i].number == SYS_getsockopt)
			continue;
#ifdef SYS_pause
		if (rows[i].number == SYS_pause)
			continue;
#endif
		result = try_call(*state, rows[i].number, arguments);
		/* A row may be younger than the kernel. */
		if (result == KILLED ||
			(result == ENOSYS && try_call(NULL, rows[i].number, arguments) != ENOSYS))
			fail_msg("%s: %d", rows[i].name, result);
	}
}

#if defined(__x86_64__)
/* The way into the kernel of 32-bit programs. */
static void test_filter_kills_when_a_call_is_of_another_architecture(void **state)
{
	static const uint64_t none[6];
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		long value = 20; /* getpid() there */

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || sandbox_filter_load(*state) != 0)
			_exit(255);
		__asm__ volatile("int $0x80" : "+a"(value) : : "memory", "r8", "r9", "r10", "r11");
		_exit(value < 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	/* A kernel without 32-bit calls kills by SIGSEGV. */
	assert_true(WIFSIGNALED(status));
	assert_true(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);
	/* x32 */
	assert_int_equal(try_call(*state, 0x40000000 + SYS_getpid, none), KILLED);
}
#endif

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_filter_kills_who_tries_to_break_out),
		TEST(test_filter_has_no_other_calls),
		TEST(test_filter_forbids_signals_and_users),
		TEST(test_filter_judges_arguments),
		TEST(test_filter_has_no_internet_when_none_is_lent),
		TEST(test_filter_lets_every_call_of_the_table_through),
#if defined(__x86_64__)
		TEST(test_filter_kills_when_a_call_is_of_another_architecture),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
