/*
 * io_uring that worked and is refused from some time on: nothing is lost, nothing is done wrong.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "loop/file.h"
#include "loop/loop.h"
#include "test/seccomp/refusal.h"

#define BLOCK_BYTES   4096
#define BLOCK_COUNT   700 /* more than a ring holds */
#define SYNC_COUNT    8
#define EXIT_SKIPPED  77
#define STARTED_COUNT 3 /* turns after which operations are in the kernel */

struct probe {
	struct file_operation operation;
	unsigned *done_count;
};

struct world {
	struct loop *loop;
	int fd;
	unsigned done_count;
	struct probe probes[BLOCK_COUNT + SYNC_COUNT];
	uint8_t blocks[BLOCK_COUNT][BLOCK_BYTES];
};

/* In a child of cmocka's process: a failure ends it. */
static void require(bool is_met, const char *what)
{
	if (is_met)
		return;
	fprintf(stderr, "not so: %s\n", what);
	_exit(EXIT_FAILURE);
}

static void probe_done(struct file_operation *operation)
{
	(*container_of(operation, struct probe, operation)->done_count)++;
}

static void submit(struct world *world, unsigned index, struct file_operation operation)
{
	struct probe *probe = &world->probes[index];

	operation.done = probe_done;
	operation.fd = world->fd;
	probe->operation = operation;
	probe->done_count = &world->done_count;
	file_submit(world->loop, &probe->operation);
}

static void submit_blocks(struct world *world, enum file_opcode opcode)
{
	for (unsigned i = 0; i < BLOCK_COUNT; i++)
		submit(world, i,
			(struct file_operation){
				.opcode = opcode,
				.buffer = world->blocks[i],
				.bytes = BLOCK_BYTES,
				.offset = (uint64_t)i * BLOCK_BYTES,
				.flags = opcode == FILE_WRITE && i % 64 == 0 ? FILE_DURABLE : 0,
			});
}

static void submit_syncs(struct world *world)
{
	for (unsigned i = 0; i < SYNC_COUNT; i++)
		submit(world, BLOCK_COUNT + i, (struct file_operation){.opcode = FILE_SYNC});
}

static void wait_for(struct world *world, unsigned count)
{
	while (world->done_count < count)
		require(loop_turn(world->loop, -1) == 0, "the loop turns");
	require(world->done_count == count, "each is done once");
	world->done_count = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct file_operation *operation = &world->probes[i].operation;

		require(operation->result == (int64_t)operation->bytes, "all is done");
	}
}

static bool has_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	unsigned count = 0;

	require(tasks != NULL, "tasks are listed");
	while (readdir(tasks) != NULL)
		count++;
	(void)closedir(tasks);
	return count > 2 + 1; /* ".", ".." and the main thread */
}

static void refuse(int error)
{
	if (refuse_io_uring(error) < 0)
		_exit(EXIT_SKIPPED);
}

static void make_world(struct world *world)
{
	char path[] = "/tmp/ferry-refusal-test.XXXXXX";

	world->fd = mkostemp(path, O_CLOEXEC);
	require(world->fd >= 0 && unlink(path) == 0, "there is a file");
	require(loop_new(&(struct loop_options){.is_spinning_off = true}, &world->loop) == 0,
		"there is a loop");
	submit_blocks(world, FILE_WRITE);
	wait_for(world, BLOCK_COUNT);
}

/* @param is_late some operations have been begun when it happens */
static void run_refused(int error, bool is_late)
{
	struct world *world = calloc(1, sizeof(*world));

	require(world != NULL, "there is memory");
	make_world(world);
	for (unsigned i = 0; i < BLOCK_COUNT; i++)
		memset(world->blocks[i], (int)(i % 251 + 1), BLOCK_BYTES);
	if (!is_late)
		refuse(error);
	submit_syncs(world);
	submit_blocks(world, FILE_WRITE);
	for (unsigned i = 0; is_late && i < STARTED_COUNT; i++)
		require(loop_turn(world->loop, 0) == 0, "the loop turns");
	if (is_late)
		refuse(error);
	wait_for(world, BLOCK_COUNT + SYNC_COUNT);
	require(has_threads(), "threads carry on");

	memset(world->blocks, 0, sizeof(world->blocks));
	submit_blocks(world, FILE_READ);
	wait_for(world, BLOCK_COUNT);
	for (unsigned i = 0; i < BLOCK_COUNT; i++)
		require(world->blocks[i][0] == i % 251 + 1 &&
				world->blocks[i][BLOCK_BYTES - 1] == i % 251 + 1,
			"what was written is read");
	loop_free(world->loop);
	(void)close(world->fd);
	free(world);
}

/* A filter stays: each run has a process of its own. @return its exit status. */
static int run_apart(int error, bool is_late)
{
	pid_t child = fork();
	int status = -1;

	assert_true(child >= 0);
	if (child == 0) {
		run_refused(error, is_late);
		_exit(EXIT_SUCCESS);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_file_completes_all_when_io_uring_is_refused_later(void **state)
{
	static const int errors[] = {EPERM, ENOSYS, ENOMEM};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LENGTH(errors); i++) {
		int status = run_apart(errors[i / 2], i % 2 == 1);

		if (status == EXIT_SKIPPED)
			skip();
		assert_int_equal(status, EXIT_SUCCESS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_completes_all_when_io_uring_is_refused_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
