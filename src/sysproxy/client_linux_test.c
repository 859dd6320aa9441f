/*
 * Linux's calls by their arguments alone, made in a kernel for tests that reaches into the client's
 * memory as Linux would.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "ferry/kernel.h"
#include "ferry/linux.h"
#include "test/call/edge.h"

#define MESSAGES 200 /* of two ranges each: more than lie on a stack */

struct mirror {
	char folder[64], url[128];
	struct ferry_sysproxy_server *server;
	struct ferry_sysproxy *client;
	/* The call that came last. */
	_Atomic unsigned calls;
	uint32_t argument_count;
	char path[4096];
	_Atomic bool is_blocked, is_cancelled;
};

static int mirror_openat(struct mirror *mirror, struct ferry_lwp *lwp, const uint64_t *arguments,
	int64_t *ret_value)
{
	*ret_value = 5;
	return ferry_copyinstr(lwp, arguments[1], mirror->path, sizeof(mirror->path), NULL);
}

static int mirror_read(struct ferry_lwp *lwp, const uint64_t *arguments, int64_t *ret_value)
{
	*ret_value = arguments[2] < 7 ? (int64_t)arguments[2] : 7;
	return ferry_copyout(lwp, "content", arguments[1], (size_t)*ret_value);
}

/* The bytes of all elements, as a number. */
static int sum_vector(struct ferry_lwp *lwp, const struct iovec *vector, size_t count, int64_t *sum)
{
	for (size_t i = 0; i < count; i++) {
		struct iovec element;
		uint8_t byte;

		if (ferry_copyin(lwp, (uintptr_t)(vector + i), &element, sizeof(element)) != 0 ||
			ferry_copyin(lwp, (uintptr_t)element.iov_base, &byte, 1) != 0)
			return -EFAULT;
		*sum += byte;
	}
	return 0;
}

static int mirror_sendmmsg(struct ferry_lwp *lwp, const uint64_t *arguments, int64_t *ret_value)
{
	const struct mmsghdr *messages = (const struct mmsghdr *)(uintptr_t)arguments[1];
	int error = 0;

	for (uint64_t i = 0; i < arguments[2] && error == 0; i++) {
		struct mmsghdr message;

		error = ferry_copyin(lwp, (uintptr_t)(messages + i), &message, sizeof(message));
		if (error == 0)
			error = sum_vector(lwp, message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen,
				ret_value);
	}
	return error;
}

static int mirror_flock(struct mirror *mirror)
{
	mirror->is_blocked = true;
	while (!mirror->is_cancelled)
		(void)sched_yield();
	return -EINTR;
}

static int mirror_call(void *kernel, void *data, struct ferry_lwp *lwp,
	const struct ferry_kernel_call *call, int64_t ret_values[2])
{
	struct mirror *mirror = kernel;

	(void)data;
	mirror->calls++;
	mirror->argument_count = call->argument_count;
	switch (call->number) {
	case SYS_openat:
		return mirror_openat(mirror, lwp, call->arguments, &ret_values[0]);
	case SYS_read:
		return mirror_read(lwp, call->arguments, &ret_values[0]);
	case SYS_writev:
		return sum_vector(lwp, (const struct iovec *)(uintptr_t)call->arguments[1],
			call->arguments[2], &ret_values[0]);
	case SYS_sendmmsg:
		return mirror_sendmmsg(lwp, call->arguments, &ret_values[0]);
	case SYS_flock:
		return mirror_flock(mirror);
	case SYS_getpid:
		ret_values[0] = 1234;
		return 0;
	default:
		return -ENOSYS;
	}
}

static void mirror_cancel(void *kernel, void *lwp)
{
	(void)lwp;
	((struct mirror *)kernel)->is_cancelled = true;
}

static struct ferry_sysproxy *connect_mirror(const struct mirror *mirror, uint8_t is_plain)
{
	const struct ferry_sysproxy_options options = {.struct_bytes = sizeof(options),
		.is_plain = is_plain};
	struct ferry_sysproxy *client;
	char error[FERRY_SYSPROXY_ERROR_MAX];

	if (ferry_sysproxy_open(mirror->url, &options, &client, error) != 0)
		fail_msg("%s", error);
	return client;
}

static int setup(void **state)
{
	static const struct ferry_kernel_operations operations = {.struct_bytes =
									  sizeof(operations),
		.call = mirror_call,
		.cancel = mirror_cancel};
	struct mirror *mirror = calloc(1, sizeof(*mirror));
	const struct ferry_kernel kernel = {&operations, mirror};
	char error[FERRY_SYSPROXY_ERROR_MAX];

	assert_non_null(mirror);
	(void)snprintf(mirror->folder, sizeof(mirror->folder), "/tmp/ferry-linux-XXXXXX");
	assert_non_null(mkdtemp(mirror->folder));
	(void)snprintf(mirror->url, sizeof(mirror->url), "unix://%s/s", mirror->folder);
	if (ferry_sysproxy_server_open(mirror->url, &kernel, NULL, &mirror->server, error) != 0)
		fail_msg("%s", error);
	mirror->client = connect_mirror(mirror, 0);
	*state = mirror;
	return 0;
}

static int teardown(void **state)
{
	struct mirror *mirror = *state;

	ferry_sysproxy_close(mirror->client);
	ferry_sysproxy_server_close(mirror->server);
	(void)rmdir(mirror->folder);
	free(mirror);
	return 0;
}

/* @return what Linux would. */
static int64_t make(const struct mirror *mirror, uint32_t number,
	const uint64_t arguments[FERRY_LINUX_ARGUMENTS])
{
	int64_t value = 0;

	assert_int_equal(ferry_linux_call(mirror->client, number, arguments, &value), 0);
	return value;
}

static void test_call_moves_its_memory_when_only_arguments_are_given(void **state)
{
	struct mirror *mirror = *state;
	char path[] = "/etc/hosts", room[16] = "";
	const uint64_t open_arguments[6] = {0, (uintptr_t)path, 0, 0};
	const uint64_t read_arguments[6] = {5, (uintptr_t)room, sizeof(room)};
	const uint64_t none[6] = {0};

	assert_int_equal(make(mirror, SYS_openat, open_arguments), 5);
	assert_string_equal(mirror->path, path);
	assert_int_equal(mirror->argument_count, 4);
	assert_int_equal(make(mirror, SYS_read, read_arguments), 7);
	assert_string_equal(room, "content");
	assert_int_equal(make(mirror, SYS_getpid, none), 1234);
	assert_int_equal(mirror->argument_count, 0);
}

static void test_call_moves_all_elements_when_there_are_many(void **state)
{
	struct mirror *mirror = *state;
	static uint8_t bytes[2 * MESSAGES];
	static struct iovec iov[2 * MESSAGES];
	static struct mmsghdr messages[MESSAGES];
	const uint64_t vector[6] = {3, (uintptr_t)iov, 2 * MESSAGES};
	const uint64_t several[6] = {3, (uintptr_t)messages, MESSAGES};

	memset(bytes, 3, sizeof(bytes));
	for (size_t i = 0; i < ARRAY_LENGTH(iov); i++)
		iov[i] = (struct iovec){bytes + ARRAY_LENGTH(iov) - 1 - i, 1};
	for (size_t i = 0; i < MESSAGES; i++)
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[2 * i], .msg_iovlen = 2};
	assert_int_equal(make(mirror, SYS_writev, vector), 3 * 2 * MESSAGES);
	assert_int_equal(make(mirror, SYS_sendmmsg, several), 3 * 2 * MESSAGES);
}

static void test_call_is_efault_when_a_pointer_is_bad(void **state)
{
	struct mirror *mirror = *state;
	struct edge edge;

	edge_init(&edge);

	const struct {
		uint32_t number;
		uint64_t arguments[FERRY_LINUX_ARGUMENTS];
	} rows[] = {
		{SYS_openat, {0, (uintptr_t)edge.end}},
		{SYS_read, {0, (uintptr_t)edge.end - 1, 2}},
		{SYS_read, {0, 8, 1}},
		{SYS_writev, {0, (uintptr_t)edge.end - 8, 1}},
		{SYS_sendmmsg, {0, 16, 1}},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		assert_int_equal(make(mirror, rows[i].number, rows[i].arguments), -EFAULT);
	assert_int_equal(mirror->calls, 0);
	edge_deinit(&edge);
}

static void test_call_is_answered_by_the_kernel_when_the_table_has_it_not(void **state)
{
	struct mirror *mirror = *state;
	const uint64_t arguments[FERRY_LINUX_ARGUMENTS] = {1, 2, 3, 4, 5, 6};

	assert_int_equal(make(mirror, SYS_mount, arguments), -ENOSYS);
	assert_int_equal(mirror->argument_count, 6);
}

static void test_call_is_not_made_when_the_server_is_plain(void **state)
{
	struct mirror *mirror = *state;
	const uint64_t arguments[FERRY_LINUX_ARGUMENTS] = {0};
	struct ferry_sysproxy *plain = connect_mirror(mirror, 1);
	int64_t value = 77;

	assert_int_equal(ferry_linux_call(plain, SYS_getpid, arguments, &value), -EOPNOTSUPP);
	assert_int_equal(value, 77);
	assert_int_equal(mirror->calls, 0);
	ferry_sysproxy_close(plain);
}

static void ignore(int signal)
{
	(void)signal;
}

static void *interrupt(void *context)
{
	const struct mirror *mirror = ((void **)context)[0];
	pthread_t caller = *(pthread_t *)((void **)context)[1];

	while (!mirror->is_blocked)
		(void)sched_yield();
	(void)pthread_kill(caller, SIGUSR1);
	return NULL;
}

static void test_call_is_interrupted_when_it_may_block(void **state)
{
	struct mirror *mirror = *state;
	const struct sigaction action = {.sa_handler = ignore};
	const uint64_t arguments[FERRY_LINUX_ARGUMENTS] = {3, 2};
	pthread_t self = pthread_self(), thread;
	void *context[] = {mirror, &self};

	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, interrupt, context), 0);
	assert_int_equal(make(mirror, SYS_flock, arguments), -EINTR);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_call_moves_its_memory_when_only_arguments_are_given, setup, teardown),
		cmocka_unit_test_setup_teardown(test_call_moves_all_elements_when_there_are_many,
			setup, teardown),
		cmocka_unit_test_setup_teardown(test_call_is_efault_when_a_pointer_is_bad, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_call_is_answered_by_the_kernel_when_the_table_has_it_not, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_call_is_not_made_when_the_server_is_plain,
			setup, teardown),
		cmocka_unit_test_setup_teardown(test_call_is_interrupted_when_it_may_block, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
