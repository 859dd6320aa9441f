/*
 * What tests of real processes begin with: a server process with a kernel in it, and client processes,
 * which are children of the test that run one function. Children check with assert(): one that finds
 * something wrong aborts, and its parent sees that. All end with the test.
 */
#ifndef FERRY_TEST_SYSPROXY_PROCESS_BENCH_H
#define FERRY_TEST_SYSPROXY_PROCESS_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ferry/sysproxy.h"
#include "test/sysproxy/fake_kernel.h"

#define PROCESS_BENCH_OPTIONS_MAX 4

struct process_bench {
	/* From the command line */
	const char *kernel_server, *kernel_tree; /* programs */
	bool is_long;

	const char *program; /* of the two, the one that runs */
	char folder[64];
	char url[128];                 /* to be started at: a socket in the folder */
	char server_url[128];          /* where it can be reached, NULL-terminated */
	pid_t server;                  /* 0: does not run */
	struct ferry_sysproxy *client; /* the test's own, see process_bench_open() */
	const char *options[PROCESS_BENCH_OPTIONS_MAX + 1];
};

/** Take the command line: KERNEL_SERVER KERNEL_TREE [long]. */
void process_bench_arguments(struct process_bench *bench, int argc, char **argv);

/* For cmocka, with a bench as initial state */
int process_bench_setup(void **state);

/** Close the test's client, stop the server and see that nothing was left of its clients. */
int process_bench_teardown(void **state);

/** Start bench->program (NULL: the kernel server) with bench->options at @url (NULL: bench->url). */
void process_bench_start(struct process_bench *bench, const char *url);

/** The same, and connect bench->client to it, with the extension. */
void process_bench_open(struct process_bench *bench, const char *url);

/** End the server by SIGTERM. Its status is expected to be 0. */
void process_bench_stop(struct process_bench *bench);

/** End the server by SIGKILL. */
void process_bench_kill(struct process_bench *bench);

/* What the server process has */
unsigned process_bench_descriptors(const struct process_bench *bench);
unsigned process_bench_threads(const struct process_bench *bench);
size_t process_bench_resident_bytes(const struct process_bench *bench);

/** Wait until the server has @descriptors descriptors and at most @threads threads. */
void process_bench_await(const struct process_bench *bench, unsigned descriptors, unsigned threads);

/** Wait, by calls of bench->client, until the kernel has so many. */
void process_bench_await_processes(const struct process_bench *bench, unsigned count);
void process_bench_await_lwps(const struct process_bench *bench, unsigned count);
void process_bench_await_blocked(const struct process_bench *bench, unsigned count);

/* Children */

/** Run @run in a child process; it ends with the status that is returned. @return its id. */
pid_t child_start(int (*run)(void *context), void *context);

/** @return the wait status with which it has ended. */
int child_await(pid_t pid);

/** Run @run in a child process to its end, which is expected to be with status 0. */
void child_run(int (*run)(void *context), void *context);

/* Messages of a byte between processes that are related */
struct child_line {
	int fds[2];
};
void child_line_open(struct child_line *line);
void child_line_close(struct child_line *line);
void child_line_tell(const struct child_line *line);
void child_line_await(const struct child_line *line, unsigned count);

/* Calls */

/** @return a client; @is_plain: of plain 0.4. */
struct ferry_sysproxy *simple_open(const char *url, bool is_plain);

/** Make a call. @param values NULL, or room for its two. @return as ferry_sysproxy_call(); if that is 0
 *  the error of the call, which is positive. */
int simple_try(struct ferry_sysproxy *client, uint32_t number, uint64_t first, uint64_t second,
	int64_t values[2]);

/** Make a call that is expected to succeed. @return its first value. */
int64_t simple_call(struct ferry_sysproxy *client, uint32_t number, uint64_t first,
	uint64_t second);

/** Make calls of several kinds, whose results are expected to be right. */
void simple_exercise(struct ferry_sysproxy *client, unsigned count);

/** Open a file of the example kernel. @return its descriptor. */
int simple_open_file(struct ferry_sysproxy *client, const char *path, uint64_t flags);

/** Read or write @bytes bytes of one. @param number SYS_read or SYS_write
 *  @return what the kernel said: bytes, or -errno. */
int simple_move(struct ferry_sysproxy *client, uint32_t number, int fd, char *data, size_t bytes);

#endif
