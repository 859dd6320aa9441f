/*
 * A client for transcripts, of the server that FERRY_CALLS names:
 *
 *     client_program [--plain] COMMAND [NUMBER]
 *
 *     call NUMBER    makes the call without memory; prints its error or its value
 *     read NUMBER    reads so many bytes; prints the value, and what has come or which bytes differ
 *     write NUMBER   writes so many bytes, which count
 *     name           opens "/a/name"
 *     map            maps a page; prints the string that is there
 *     fork           forks; child and parent make call 20, one after the other
 *     exec           makes call 20, becomes itself, makes it again
 *     null           reads to no memory
 *     cancel         makes call 99, and cancels it when the server raises a signal
 *
 * A signal that the server raises is printed. All of its calls have NetBSD's numbers.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ferry/sysproxy.h"

#define GUARD_BYTES 64
#define GUARD       0xa5

enum {
	CALL_READ = 3,
	CALL_WRITE = 4,
	CALL_OPEN = 5,
	CALL_GETPID = 20,
	CALL_CANCELLED = 99,
	CALL_MMAP = 197,
};

struct program {
	char **arguments;
	struct ferry_sysproxy_options options;
	struct ferry_sysproxy *client;
	struct ferry_sysproxy_call *cancelled; /* at a signal */
};

static void print_signal(void *context, int signal)
{
	struct program *program = context;

	printf("signal %d\n", signal);
	if (program->cancelled != NULL)
		ferry_sysproxy_cancel(program->client, program->cancelled);
}

/* Make a call and print what came of it. @return whether it has succeeded. */
static int make(struct program *program, struct ferry_sysproxy_call *call)
{
	int error = ferry_sysproxy_call(program->client, call);

	if (error != 0)
		printf("lost %d\n", -error);
	else if (call->error != 0)
		printf("error %d\n", call->error);
	else
		printf("value %lld\n", (long long)call->values[0]);
	return error == 0 && call->error == 0;
}

static int make_simple(struct program *program, uint32_t number)
{
	struct ferry_sysproxy_call call = {.number = number};

	return make(program, &call);
}

/* A call with a descriptor, memory and its length. */
static int make_with_memory(struct program *program, uint32_t number, void *memory, size_t bytes)
{
	struct ferry_sysproxy_range range = {memory, bytes,
		number == CALL_READ ? FERRY_SYSPROXY_OUT : FERRY_SYSPROXY_IN};
	const uint64_t arguments[] = {3, (uintptr_t)memory, bytes};
	struct ferry_sysproxy_call call = {
		.number = number,
		.argument_count = 3,
		.arguments = arguments,
		.range_count = 1,
		.ranges = &range,
	};

	return make(program, &call);
}

static uint8_t *counting(size_t bytes)
{
	uint8_t *memory = malloc(bytes + 1);

	for (size_t i = 0; memory != NULL && i < bytes; i++)
		memory[i] = (uint8_t)i;
	return memory;
}

/* Whatever the server sends, what lies around the memory of the call stays as it is. */
static void run_read(struct program *program, size_t bytes)
{
	uint8_t *memory = malloc(bytes + 2 * GUARD_BYTES), *wanted = counting(bytes);
	size_t wrong = 0, guards = 0;

	if (memory == NULL || wanted == NULL)
		abort();
	memset(memory, GUARD, bytes + 2 * GUARD_BYTES);
	(void)make_with_memory(program, CALL_READ, memory + GUARD_BYTES, bytes);
	for (size_t i = 0; i < bytes; i++)
		wrong += memory[GUARD_BYTES + i] != wanted[i];
	for (size_t i = 0; i < GUARD_BYTES; i++)
		guards += memory[i] != GUARD || memory[GUARD_BYTES + bytes + i] != GUARD;
	printf("%zu differ\n", wrong);
	if (guards != 0)
		printf("%zu beside it, too\n", guards);
	free(wanted);
	free(memory);
}

static void run_write(struct program *program, size_t bytes)
{
	uint8_t *memory = counting(bytes);

	(void)make_with_memory(program, CALL_WRITE, memory, bytes);
	free(memory);
}

static void run_name(struct program *program)
{
	char name[] = "/a/name";
	struct ferry_sysproxy_range range = {name, sizeof(name), FERRY_SYSPROXY_IN};
	const uint64_t arguments[] = {(uintptr_t)name, 0};
	struct ferry_sysproxy_call call = {
		.number = CALL_OPEN,
		.argument_count = 2,
		.arguments = arguments,
		.range_count = 1,
		.ranges = &range,
	};

	(void)make(program, &call);
}

static void run_map(struct program *program)
{
	const uint64_t arguments[] = {0, 4096, 3, 2, 3};
	struct ferry_sysproxy_call call = {
		.number = CALL_MMAP,
		.argument_count = 5,
		.arguments = arguments,
	};
	int error = ferry_sysproxy_call(program->client, &call);

	if (error != 0 || call.error != 0)
		printf("error %d\n", error != 0 ? -error : call.error);
	else
		printf("%.16s\n", (const char *)(uintptr_t)call.values[0]);
}

static void run_fork(struct program *program)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = ferry_sysproxy_fork(program->client);
	if (pid < 0) {
		printf("errno %d\n", errno);
		return;
	}
	if (pid == 0) {
		printf("child\n");
		(void)make_simple(program, CALL_GETPID);
		return;
	}
	if (waitpid(pid, &status, 0) != pid)
		abort();
	printf("parent of status %d\n", WEXITSTATUS(status));
	(void)make_simple(program, CALL_GETPID);
}

static void run_exec(struct program *program)
{
	char plain[] = "--plain", call[] = "call", number[] = "20";
	char *arguments[] = {program->arguments[0], plain, call, number, NULL};
	char *extended[] = {program->arguments[0], call, number, NULL};

	(void)make_simple(program, CALL_GETPID);
	fflush(stdout);
	(void)ferry_sysproxy_exec(program->client, program->arguments[0],
		program->options.is_plain ? arguments : extended, environ);
	printf("no exec\n");
}

static void run_cancel(struct program *program)
{
	struct ferry_sysproxy_call call = {.number = CALL_CANCELLED};

	program->cancelled = &call;
	(void)make(program, &call);
	program->cancelled = NULL;
}

static int run(struct program *program, const char *command, size_t number)
{
	if (strcmp(command, "call") == 0)
		(void)make_simple(program, (uint32_t)number);
	else if (strcmp(command, "read") == 0)
		run_read(program, number);
	else if (strcmp(command, "write") == 0)
		run_write(program, number);
	else if (strcmp(command, "name") == 0)
		run_name(program);
	else if (strcmp(command, "map") == 0)
		run_map(program);
	else if (strcmp(command, "fork") == 0)
		run_fork(program);
	else if (strcmp(command, "exec") == 0)
		run_exec(program);
	else if (strcmp(command, "null") == 0)
		(void)make_with_memory(program, CALL_READ, NULL, 16);
	else if (strcmp(command, "cancel") == 0)
		run_cancel(program);
	else
		return 2;
	return 0;
}

int main(int argc, char **argv)
{
	int is_plain = argc > 1 && strcmp(argv[1], "--plain") == 0, status, error;
	struct program program = {.arguments = argv};
	char problem[FERRY_SYSPROXY_ERROR_MAX];

	if (argc < 2 + is_plain)
		return 2;
	program.options = (struct ferry_sysproxy_options){
		.struct_bytes = sizeof(program.options),
		.name = "program",
		.is_plain = (uint8_t)is_plain,
		.signal = print_signal,
		.signal_context = &program,
	};
	error = ferry_sysproxy_open(NULL, &program.options, &program.client, problem);
	if (error != 0) {
		printf("not connected %d\n", -error);
		return 1;
	}
	status = run(&program, argv[1 + is_plain],
		argc > 2 + is_plain ? strtoul(argv[2 + is_plain], NULL, 0) : 0);
	ferry_sysproxy_close(program.client);
	return status;
}
