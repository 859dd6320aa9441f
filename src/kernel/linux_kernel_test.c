/*
 * The kernel as a whole: calls that wait and are cancelled, signals, exec, unknown calls, counts.
 */
#include "kernel/linux_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/kernel/linux_bench.h"

#define PATIENCE_S 60
#define HIDDEN     (LINUX_BENCH_WINDOW + 1)

/* A call in a thread of its own. */
struct waiting {
	struct linux_bench *bench;
	struct ferry_sysproxy_call call;
	uint64_t arguments[FERRY_LINUX_ARGUMENTS];
	struct ferry_sysproxy_range range;
	atomic_bool has_ended;
};

static void *make(void *argument)
{
	struct waiting *waiting = argument;

	assert_int_equal(ferry_sysproxy_call(waiting->bench->client, &waiting->call), 0);
	atomic_store(&waiting->has_ended, true);
	return NULL;
}

static void test_linux_kernel_ends_a_call_when_it_is_cancelled(void **state)
{
	uint8_t byte;
	int fds[2];
	struct waiting waits[3] = {0};
	static const uint32_t numbers[] = {SYS_read, SYS_flock, SYS_poll};
	pthread_t threads[3];
	time_t start = time(NULL);
	int file, other;
	char path[128];

	linux_bench_path(*state, "lock", path);
	file = open(path, O_CREAT | O_RDWR, 0600);
	other = open(path, O_RDWR);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(flock(file, LOCK_EX), 0);
	assert_int_equal(pipe(fds), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct waiting *waiting = &waits[i];

		waiting->bench = *state;
		waiting->range = (struct ferry_sysproxy_range){&byte, 1, FERRY_SYSPROXY_OUT};
		waiting->call = (struct ferry_sysproxy_call){.number = numbers[i],
			.argument_count = FERRY_LINUX_ARGUMENTS,
			.arguments = waiting->arguments,
			.range_count = i == 0,
			.ranges = &waiting->range};
	}
	memcpy(waits[0].arguments, (uint64_t[]){(uint64_t)fds[0], AT(&byte), 1}, 24);
	memcpy(waits[1].arguments, (uint64_t[]){(uint64_t)other, LOCK_EX}, 16);
	memcpy(waits[2].arguments, (uint64_t[]){0, 0, UINT64_MAX}, 24);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make, &waits[i]), 0);
	/* One that waits holds up no other. */
	assert_int_equal(LINUX_CALL(*state, SYS_getpid), getpid());
	for (unsigned i = 0; i < 3; i++) {
		while (!atomic_load(&waits[i].has_ended)) {
			assert_true(time(NULL) - start < PATIENCE_S);
			ferry_sysproxy_cancel(((struct linux_bench *)*state)->client,
				&waits[i].call);
			(void)sched_yield();
		}
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(waits[i].call.error, EINTR);
	}
	(void)close(fds[0]);
	(void)close(fds[1]);
	(void)close(file);
	(void)close(other);
}

static void test_linux_kernel_raises_a_signal_when_a_call_has_caused_it(void **state)
{
	struct linux_bench *bench = *state;
	const struct sigaction ignored = {.sa_handler = SIG_IGN};
	struct sigaction before;
	struct rlimit limit, small;
	char path[128];
	int fds[2], ends[2], file;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(pipe(ends), 0);
	(void)close(fds[1]);
	(void)close(ends[0]);
	assert_int_equal(LINUX_CALL(bench, SYS_sendto, (uint64_t)fds[0], AT("x"), 1, MSG_NOSIGNAL),
		-EPIPE);
	assert_int_equal(bench->signals[SIGPIPE], 0);
	assert_int_equal(LINUX_CALL(bench, SYS_sendto, (uint64_t)fds[0], AT("x"), 1, 0), -EPIPE);
	assert_int_equal(bench->signals[SIGPIPE], 1);
	assert_int_equal(LINUX_CALL(bench, SYS_write, (uint64_t)ends[1], AT("x"), 1), -EPIPE);
	assert_int_equal(bench->signals[SIGPIPE], 2);
	linux_bench_path(bench, "file", path);
	file = open(path, O_CREAT | O_RDWR, 0600);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sigaction(SIGXFSZ, &ignored, &before), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = (struct rlimit){4096, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(LINUX_CALL(bench, SYS_pwrite64, (uint64_t)file, AT("x"), 1, 4096), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(sigaction(SIGXFSZ, &before, NULL), 0);
	assert_int_equal(bench->signals[SIGXFSZ], 1);
	(void)close(file);
	(void)close(fds[0]);
	(void)close(ends[1]);
}

/* In a process of its own, of which most descriptors go. */
static int exec_here(void)
{
	struct linux_kernel_options options = {.window = 3000};
	int kept = dup2(0, 100), gone = fcntl(0, F_DUPFD_CLOEXEC, 101);
	int far = fcntl(0, F_DUPFD_CLOEXEC, 2999), own = fcntl(0, F_DUPFD_CLOEXEC, 3000);
	struct linux_kernel *kernel;
	struct ferry_kernel face;

	if (linux_kernel_new(&options, &kernel) != 0)
		return 1;
	face = linux_kernel_of(kernel);
	face.operations->process_exec(face.data, NULL, "other");
	linux_kernel_free(kernel);
	return fcntl(kept, F_GETFD) == 0 && fcntl(gone, F_GETFD) == -1 &&
			fcntl(far, F_GETFD) == -1 && fcntl(own, F_GETFD) == FD_CLOEXEC
		? 0
		: 2;
}

static void test_linux_kernel_closes_descriptors_when_its_process_execs(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		_exit(exec_here());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_linux_kernel_says_once_when_a_call_is_not_carried(void **state)
{
	struct linux_bench *bench = *state;
	struct linux_counts counts;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(LINUX_CALL(bench, SYS_ptrace), -ENOSYS);
		assert_int_equal(LINUX_CALL(bench, 100000 + i), -ENOSYS);
	}
	assert_int_equal(LINUX_CALL(bench, SYS_getpid), getpid());
	assert_int_equal(linux_bench_log_count(bench, "is not carried"), 2);
	linux_kernel_counts(bench->kernel, &counts);
	assert_int_equal(counts.calls, 7);
	assert_int_equal(counts.failures, 6);
	assert_int_equal(counts.refusals, 0);
}

static void test_linux_kernel_knows_no_call_when_the_client_is_not_of_this_machine(void **state)
{
	struct linux_bench *bench = *state;
	struct ferry_sysproxy_options options = {.struct_bytes = sizeof(options), .is_plain = 1};
	struct ferry_sysproxy_call call = {.number = SYS_getpid};
	struct ferry_sysproxy *client;
	char error[FERRY_SYSPROXY_ERROR_MAX];

	assert_int_equal(ferry_sysproxy_open(ferry_sysproxy_server_url(bench->server), &options,
				 &client, error),
		0);
	assert_int_equal(ferry_sysproxy_call(client, &call), 0);
	assert_int_equal(call.error, ENOSYS);
	ferry_sysproxy_close(client);
}

static void test_linux_kernel_prints_calls_when_it_is_asked_to(void **state)
{
	static const struct sockaddr_un name = {AF_UNIX, "/nonexistent/socket"};
	struct linux_bench *bench = *state;
	struct iovec vector = {(void *)(uintptr_t)8, 4};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	struct sockaddr_un peer;
	socklen_t bytes = 2;
	const struct ferry_sysproxy_range ranges[] = {{&vector, sizeof(vector), FERRY_SYSPROXY_IN},
		{&message, sizeof(message), FERRY_SYSPROXY_IN}};
	int fds[2];

	assert_int_equal(LINUX_CALL(bench, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, AT(fds)), 0);
	assert_int_equal(LINUX_CALL(bench, SYS_getpeername, (uint64_t)fds[0], AT(&peer),
				 AT(&bytes)),
		0);
	assert_int_equal(LINUX_CALL(bench, SYS_connect, 99, AT(&name), sizeof(name)), -EBADF);
	assert_int_equal(LINUX_CALL(bench, SYS_write, (uint64_t)fds[0], AT("hello"), 5), 5);
	assert_int_equal(LINUX_CALL(bench, SYS_close, HIDDEN), -EBADF);
	/* What a hostile client says is printed without being followed. */
	assert_int_equal(linux_bench_declare(bench, SYS_uname, (const uint64_t[6]){8}, NULL, 0),
		-EFAULT);
	assert_int_equal(linux_bench_declare(bench, SYS_sendmsg,
				 (const uint64_t[6]){(uint64_t)fds[0], AT(&message), 0}, ranges, 2),
		-EFAULT);
	assert_int_equal(linux_bench_declare(bench, SYS_fgetxattr,
				 (const uint64_t[6]){HIDDEN, 8, 8, 8}, NULL, 0),
		-EBADF);
	assert_int_equal(linux_bench_log_count(bench, "close(401) = -1 EBADF"), 1);
	assert_int_equal(linux_bench_log_count(bench, ", \"hello\", 5) = 5\n"), 1);
	assert_int_equal(linux_bench_log_count(bench, "connect(99, {sa_family=AF_UNIX, "), 1);
	assert_int_equal(linux_bench_log_count(bench, "sendmsg("), 1);
	assert_int_equal(linux_bench_log_count(bench, "uname("), 1);
	assert_int_equal(linux_bench_log_count(bench, "fgetxattr(401, "), 1);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int main(void)
{
#define BENCH_TEST(test_) \
	cmocka_unit_test_setup_teardown(test_, linux_bench_setup, linux_bench_teardown)
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_linux_kernel_ends_a_call_when_it_is_cancelled),
		BENCH_TEST(test_linux_kernel_raises_a_signal_when_a_call_has_caused_it),
		cmocka_unit_test_setup_teardown(test_linux_kernel_prints_calls_when_it_is_asked_to,
			linux_bench_setup_traced, linux_bench_teardown),
		cmocka_unit_test(test_linux_kernel_closes_descriptors_when_its_process_execs),
		BENCH_TEST(test_linux_kernel_says_once_when_a_call_is_not_carried),
		BENCH_TEST(test_linux_kernel_knows_no_call_when_the_client_is_not_of_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
