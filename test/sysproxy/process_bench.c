/*
 * Processes are started without threads of the test's own in between: the test program is a single
 * thread, so that its children can be anything.
 */
#include "test/sysproxy/process_bench.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 120

void process_bench_arguments(struct process_bench *bench, int argc, char **argv)
{
	assert(argc >= 3);
	*bench = (struct process_bench){
		.kernel_server = argv[1],
		.kernel_tree = argv[2],
		.is_long = argc > 3 && strcmp(argv[3], "long") == 0,
	};
}

int process_bench_setup(void **state)
{
	struct process_bench *bench = *state;

	bench->program = NULL;
	bench->client = NULL;
	bench->server = 0;
	memset(bench->options, 0, sizeof(bench->options));
	(void)snprintf(bench->folder, sizeof(bench->folder), "/tmp/ferry-processes-XXXXXX");
	assert(mkdtemp(bench->folder) != NULL);
	(void)snprintf(bench->url, sizeof(bench->url), "unix://%s/socket", bench->folder);
	return 0;
}

int process_bench_teardown(void **state)
{
	struct process_bench *bench = *state;

	ferry_sysproxy_close(bench->client);
	process_bench_stop(bench);
	assert(rmdir(bench->folder) == 0);
	return 0;
}

/* The server */

static void run_program(const struct process_bench *bench, const char *url, int output)
{
	const char *arguments[PROCESS_BENCH_OPTIONS_MAX + 3] = {bench->program, url};

	memcpy(arguments + 2, bench->options, sizeof(bench->options));
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	assert(dup2(output, STDOUT_FILENO) == STDOUT_FILENO);
	(void)execv(bench->program, (char *const *)(uintptr_t)arguments);
	_exit(127);
}

/* Its first line says where it can be reached. */
static void read_ready(struct process_bench *bench, int input)
{
	FILE *stream = fdopen(input, "r");
	char line[sizeof(bench->server_url)] = "";

	assert(stream != NULL && fgets(line, sizeof(line), stream) != NULL);
	assert(strncmp(line, "ready ", 6) == 0);
	line[strcspn(line, "\n")] = '\0';
	(void)snprintf(bench->server_url, sizeof(bench->server_url), "%s", line + 6);
	assert(fclose(stream) == 0);
}

void process_bench_start(struct process_bench *bench, const char *url)
{
	int fds[2];

	if (bench->program == NULL)
		bench->program = bench->kernel_server;
	assert(bench->server == 0 && pipe2(fds, O_CLOEXEC) == 0);
	bench->server = fork();
	assert(bench->server >= 0);
	if (bench->server == 0)
		run_program(bench, url != NULL ? url : bench->url, fds[1]);
	assert(close(fds[1]) == 0);
	read_ready(bench, fds[0]);
}

void process_bench_open(struct process_bench *bench, const char *url)
{
	process_bench_start(bench, url);
	bench->client = simple_open(bench->server_url, false);
}

void process_bench_stop(struct process_bench *bench)
{
	if (bench->server == 0)
		return;
	assert(kill(bench->server, SIGTERM) == 0);
	assert(child_await(bench->server) == 0);
	bench->server = 0;
}

void process_bench_kill(struct process_bench *bench)
{
	assert(kill(bench->server, SIGKILL) == 0);
	assert(WIFSIGNALED(child_await(bench->server)));
	bench->server = 0;
}

static unsigned count_entries(const struct process_bench *bench, const char *what)
{
	char path[64];
	unsigned count = 0;
	DIR *folder;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)bench->server, what);
	folder = opendir(path);
	assert(folder != NULL);
	while (readdir(folder) != NULL)
		count++;
	assert(closedir(folder) == 0);
	return count - 2; /* . and .. */
}

unsigned process_bench_descriptors(const struct process_bench *bench)
{
	return count_entries(bench, "fd");
}

unsigned process_bench_threads(const struct process_bench *bench)
{
	return count_entries(bench, "task");
}

size_t process_bench_resident_bytes(const struct process_bench *bench)
{
	unsigned long size, resident;
	char path[64];
	FILE *stream;

	(void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)bench->server);
	stream = fopen(path, "r");
	assert(stream != NULL && fscanf(stream, "%lu %lu", &size, &resident) == 2);
	assert(fclose(stream) == 0);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Conditions */

static void wait_a_little(time_t start)
{
	assert(time(NULL) - start < PATIENCE_S);
	(void)sched_yield();
}

void process_bench_await(const struct process_bench *bench, unsigned descriptors, unsigned threads)
{
	time_t start = time(NULL);

	while (process_bench_descriptors(bench) != descriptors ||
		process_bench_threads(bench) > threads)
		wait_a_little(start);
}

static void await_value(const struct process_bench *bench, uint32_t number, unsigned which,
	unsigned count)
{
	time_t start = time(NULL);
	int64_t values[2];

	for (;;) {
		assert(simple_try(bench->client, number, 0, 0, values) == 0);
		if (values[which] == count)
			return;
		wait_a_little(start);
	}
}

void process_bench_await_processes(const struct process_bench *bench, unsigned count)
{
	await_value(bench, FAKE_CENSUS, 0, count);
}

void process_bench_await_lwps(const struct process_bench *bench, unsigned count)
{
	await_value(bench, FAKE_CENSUS, 1, count);
}

void process_bench_await_blocked(const struct process_bench *bench, unsigned count)
{
	await_value(bench, FAKE_BLOCKED, 0, count);
}

/* Children */

pid_t child_start(int (*run)(void *context), void *context)
{
	pid_t pid = fork();

	assert(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run(context));
	}
	return pid;
}

int child_await(pid_t pid)
{
	int status;
	pid_t ended;

	do
		ended = waitpid(pid, &status, 0);
	while (ended < 0 && errno == EINTR);
	assert(ended == pid);
	return status;
}

void child_run(int (*run)(void *context), void *context)
{
	assert(child_await(child_start(run, context)) == 0);
}

void child_line_open(struct child_line *line)
{
	assert(pipe2(line->fds, O_CLOEXEC) == 0);
}

void child_line_close(struct child_line *line)
{
	assert(close(line->fds[0]) == 0 && close(line->fds[1]) == 0);
}

void child_line_tell(const struct child_line *line)
{
	assert(write(line->fds[1], "", 1) == 1);
}

void child_line_await(const struct child_line *line, unsigned count)
{
	char byte;

	while (count-- > 0)
		assert(read(line->fds[0], &byte, 1) == 1);
}

/* Calls */

struct ferry_sysproxy *simple_open(const char *url, bool is_plain)
{
	struct ferry_sysproxy_options options = {.struct_bytes = sizeof(options),
		.is_plain = is_plain};
	struct ferry_sysproxy *client;
	char error[FERRY_SYSPROXY_ERROR_MAX] = "";

	if (ferry_sysproxy_open(url, &options, &client, error) != 0) {
		(void)fprintf(stderr, "%s\n", error);
		abort();
	}
	return client;
}

int simple_try(struct ferry_sysproxy *client, uint32_t number, uint64_t first, uint64_t second,
	int64_t values[2])
{
	const uint64_t arguments[2] = {first, second};
	struct ferry_sysproxy_call call = {.number = number,
		.arguments = arguments,
		.argument_count = 2};
	int error = ferry_sysproxy_call(client, &call);

	if (error == 0 && values != NULL)
		memcpy(values, call.values, sizeof(call.values));
	return error != 0 ? error : call.error;
}

int64_t simple_call(struct ferry_sysproxy *client, uint32_t number, uint64_t first, uint64_t second)
{
	int64_t values[2] = {0};
	int error = simple_try(client, number, first, second, values);

	if (error != 0) {
		(void)fprintf(stderr, "call %u: %s\n", number,
			strerror(error < 0 ? -error : error));
		abort();
	}
	return values[0];
}

static void exercise_memory(struct ferry_sysproxy *client, uint64_t seed)
{
	uint8_t memory[3000];
	const uint64_t arguments[3] = {(uintptr_t)memory, sizeof(memory), seed};
	struct ferry_sysproxy_range range = {memory, sizeof(memory), FERRY_SYSPROXY_OUT};
	struct ferry_sysproxy_call call = {.number = FAKE_COPYOUT,
		.arguments = arguments,
		.argument_count = 3,
		.ranges = &range,
		.range_count = 1};
	uint64_t sum = 0;

	assert(ferry_sysproxy_call(client, &call) == 0 && call.error == 0);
	for (size_t i = 0; i < sizeof(memory); i++) {
		assert(memory[i] == (uint8_t)(seed + i));
		sum += memory[i];
	}
	range.flags = FERRY_SYSPROXY_IN;
	call.number = FAKE_COPYIN;
	assert(ferry_sysproxy_call(client, &call) == 0 && call.error == 0);
	assert((uint64_t)call.values[0] == sum);
}

void simple_exercise(struct ferry_sysproxy *client, unsigned count)
{
	int64_t id = simple_call(client, FAKE_GETPID, 0, 0);

	for (unsigned i = 0; i < count; i++) {
		assert(simple_call(client, FAKE_NULL, i, 0) == i);
		assert(simple_call(client, FAKE_GETPID, 0, 0) == id);
		exercise_memory(client, i);
	}
}

int simple_open_file(struct ferry_sysproxy *client, const char *path, uint64_t flags)
{
	const uint64_t arguments[2] = {(uintptr_t)path, flags};
	struct ferry_sysproxy_range range = {(void *)(uintptr_t)path, strlen(path) + 1,
		FERRY_SYSPROXY_IN};
	struct ferry_sysproxy_call call = {.number = SYS_open,
		.arguments = arguments,
		.argument_count = 2,
		.ranges = &range,
		.range_count = 1};

	assert(ferry_sysproxy_call(client, &call) == 0 && call.error == 0);
	return (int)call.values[0];
}

int simple_move(struct ferry_sysproxy *client, uint32_t number, int fd, char *data, size_t bytes)
{
	const uint64_t arguments[3] = {(uint64_t)fd, (uintptr_t)data, bytes};
	struct ferry_sysproxy_range range = {data, bytes,
		number == SYS_read ? FERRY_SYSPROXY_OUT : FERRY_SYSPROXY_IN};
	struct ferry_sysproxy_call call = {.number = number,
		.arguments = arguments,
		.argument_count = 3,
		.ranges = &range,
		.range_count = 1};

	assert(ferry_sysproxy_call(client, &call) == 0);
	return call.error != 0 ? -call.error : (int)call.values[0];
}
