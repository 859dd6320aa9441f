/*
 * The client counts the signals that it is sent in place of raising them.
 */
#include "test/kernel/linux_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void note_line(void *context, enum log_level level, const char *line)
{
	struct linux_bench *bench = context;
	size_t used;

	(void)level;
	(void)pthread_mutex_lock(&bench->log_lock);
	used = strlen(bench->log);
	(void)snprintf(bench->log + used, sizeof(bench->log) - used, "%s\n", line);
	(void)pthread_mutex_unlock(&bench->log_lock);
}

static void note_call(void *context, const char *line)
{
	note_line(context, LOG_LEVEL_DEBUG, line);
}

static void note_signal(void *context, int signal)
{
	struct linux_bench *bench = context;

	assert_in_range(signal, 1, 64);
	bench->signals[signal]++;
}

static struct linux_bench *begin(const struct linux_policy *policy, bool is_traced)
{
	struct linux_bench *bench = calloc(1, sizeof(*bench));
	struct linux_kernel_options options = {.policy = policy,
		.window = LINUX_BENCH_WINDOW,
		.log = note_line,
		.trace = is_traced ? note_call : NULL,
		.context = bench};
	struct ferry_sysproxy_options client_options = {.struct_bytes = sizeof(client_options),
		.signal = note_signal,
		.signal_context = bench};
	char error[FERRY_SYSPROXY_ERROR_MAX], url[128];
	struct ferry_kernel face;

	assert_non_null(bench);
	assert_int_equal(pthread_mutex_init(&bench->log_lock, NULL), 0);
	(void)snprintf(bench->folder, sizeof(bench->folder), "/tmp/ferry-linux-XXXXXX");
	assert_non_null(mkdtemp(bench->folder));
	(void)snprintf(url, sizeof(url), "unix://%s/socket", bench->folder);
	assert_int_equal(linux_kernel_new(&options, &bench->kernel), 0);
	face = linux_kernel_of(bench->kernel);
	if (ferry_sysproxy_server_open(url, &face, NULL, &bench->server, error) != 0 ||
		ferry_sysproxy_open(url, &client_options, &bench->client, error) != 0)
		fail_msg("%s", error);
	return bench;
}

int linux_bench_setup(void **state)
{
	*state = begin(NULL, false);
	return 0;
}

int linux_bench_setup_traced(void **state)
{
	*state = begin(NULL, true);
	return 0;
}

int linux_bench_setup_poor(void **state)
{
	static const struct linux_policy nothing = {0};

	*state = begin(&nothing, false);
	return 0;
}

int linux_bench_teardown(void **state)
{
	struct linux_bench *bench = *state;

	ferry_sysproxy_close(bench->client);
	ferry_sysproxy_server_close(bench->server);
	linux_kernel_free(bench->kernel);
	assert_int_equal(rmdir(bench->folder), 0);
	assert_int_equal(pthread_mutex_destroy(&bench->log_lock), 0);
	free(bench);
	return 0;
}

int64_t linux_bench_call(struct linux_bench *bench, uint32_t number,
	const uint64_t arguments[FERRY_LINUX_ARGUMENTS])
{
	int64_t value = 0;
	int error = ferry_linux_call(bench->client, number, arguments, &value);

	if (error != 0)
		fail_msg("call %u was not answered: %s", number, strerror(-error));
	return value;
}

int64_t linux_bench_declare(struct linux_bench *bench, uint32_t number,
	const uint64_t arguments[FERRY_LINUX_ARGUMENTS], const struct ferry_sysproxy_range *ranges,
	unsigned range_count)
{
	struct ferry_sysproxy_call call = {.number = number,
		.argument_count = FERRY_LINUX_ARGUMENTS,
		.arguments = arguments,
		.range_count = range_count,
		.ranges = ranges};
	int error = ferry_sysproxy_call(bench->client, &call);

	if (error != 0)
		fail_msg("call %u was not answered: %s", number, strerror(-error));
	return call.error != 0 ? -call.error : call.values[0];
}

unsigned linux_bench_log_count(struct linux_bench *bench, const char *text)
{
	unsigned count = 0;

	(void)pthread_mutex_lock(&bench->log_lock);
	for (const char *at = strstr(bench->log, text); at != NULL; at = strstr(at + 1, text))
		count++;
	(void)pthread_mutex_unlock(&bench->log_lock);
	return count;
}

void linux_bench_path(const struct linux_bench *bench, const char *name, char ret_path[128])
{
	(void)snprintf(ret_path, 128, "%s/%s", bench->folder, name);
}
