/*
 * What tests of the Linux kernel begin with: the kernel behind a server in this process, and a client of it.
 * Client and kernel share their descriptors, so what one makes the other can look at.
 */
#ifndef FERRY_TEST_KERNEL_LINUX_BENCH_H
#define FERRY_TEST_KERNEL_LINUX_BENCH_H

#include <pthread.h>
#include <stdint.h>

#include "ferry/linux.h"
#include "ferry/sysproxy.h"
#include "kernel/linux_kernel.h"
#include "kernel/linux_policy.h"

#define LINUX_BENCH_WINDOW 400 /* the descriptors of a test are below */

struct linux_bench {
	struct linux_policy policy;
	struct linux_kernel *kernel;
	struct ferry_sysproxy_server *server;
	struct ferry_sysproxy *client;
	char folder[64]; /* empty at the end */
	char log[4096];  /* lines */
	pthread_mutex_t log_lock;
	unsigned signals[65]; /* that the client was sent, by number */
};

/** Begin, without a policy. For cmocka. */
int linux_bench_setup(void **state);

/** Begin without a policy, and with calls in the log. For cmocka. */
int linux_bench_setup_traced(void **state);

/** Begin with a policy that lends nothing. For cmocka. */
int linux_bench_setup_poor(void **state);

int linux_bench_teardown(void **state);

/** Make a call as a program would. @return as Linux: the value, or -errno */
int64_t linux_bench_call(struct linux_bench *bench, uint32_t number,
	const uint64_t arguments[FERRY_LINUX_ARGUMENTS]);

#define LINUX_CALL(bench_, number_, ...) \
	linux_bench_call(bench_, number_, (const uint64_t[FERRY_LINUX_ARGUMENTS]){__VA_ARGS__})
#define AT(pointer_) ((uint64_t)(uintptr_t)(pointer_))

/** Make a call that declares just @ranges. As above. */
int64_t linux_bench_declare(struct linux_bench *bench, uint32_t number,
	const uint64_t arguments[FERRY_LINUX_ARGUMENTS], const struct ferry_sysproxy_range *ranges,
	unsigned range_count);

/** @return how often the log has @text. */
unsigned linux_bench_log_count(struct linux_bench *bench, const char *text);

/** @param ret_path "/tmp/.../name" in the folder of the bench */
void linux_bench_path(const struct linux_bench *bench, const char *name, char ret_path[128]);

#endif
