#include "loop/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "loop/loop.h"

#define BLOCK_BYTES     4096
#define OPERATION_COUNT 2000 /* more than a ring holds */

struct fixture {
	struct simulated_clock clock;
	struct loop *loop;
	int fd;
	unsigned done_count;
};

struct probe {
	struct file_operation operation;
	struct fixture *fixture;
	unsigned submit_count; /* left to be made by done() */
};

static int setup(void **state, const struct loop_options *options)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char path[] = "/tmp/ferry-file-test.XXXXXX";
	struct loop_options own = *options;

	if (fixture == NULL)
		return -1;
	simulated_clock_init(&fixture->clock, 1);
	if (own.clock != NULL)
		own.clock = &fixture->clock.clock;
	fixture->fd = mkostemp(path, O_CLOEXEC);
	(void)unlink(path);
	*state = fixture;
	return fixture->fd < 0 ? -1 : loop_new(&own, &fixture->loop);
}

static int setup_auto(void **state)
{
	return setup(state, &(struct loop_options){.is_spinning_off = true});
}

static int setup_threads(void **state)
{
	return setup(state, &(struct loop_options){.files = LOOP_FILES_THREADS});
}

static int setup_simulated(void **state)
{
	return setup(state, &(struct loop_options){.clock = clock_monotonic()});
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	loop_free(fixture->loop);
	(void)close(fixture->fd);
	free(fixture);
	return 0;
}

static void probe_done(struct file_operation *operation)
{
	struct probe *probe = container_of(operation, struct probe, operation);

	probe->fixture->done_count++;
	if (probe->submit_count > 0) {
		probe->submit_count--;
		file_submit(probe->fixture->loop, operation);
	}
}

static void wait_until_done(struct fixture *fixture, unsigned count)
{
	while (fixture->done_count < count)
		assert_int_equal(loop_turn(fixture->loop, -1), 0);
	assert_int_equal(fixture->done_count, count);
	fixture->done_count = 0;
}

static void probe_submit(struct probe *probe, struct fixture *fixture)
{
	probe->fixture = fixture;
	probe->operation.done = probe_done;
	file_submit(fixture->loop, &probe->operation);
}

/* Submit one operation alone. @return its result. */
static int64_t execute(struct fixture *fixture, struct file_operation operation)
{
	struct probe probe = {.operation = operation};

	probe_submit(&probe, fixture);
	assert_int_equal(fixture->done_count, 0);
	wait_until_done(fixture, 1);
	return probe.operation.result;
}

static void test_file_reads_back_what_was_written_when_durable_or_not(void **state)
{
	struct fixture *fixture = *state;
	char written[BLOCK_BYTES], read_back[BLOCK_BYTES];

	for (unsigned i = 0; i < 2; i++) {
		struct file_operation operation = {
			.opcode = FILE_WRITE,
			.fd = fixture->fd,
			.buffer = written,
			.bytes = sizeof(written),
			.offset = i * 100000,
			.flags = i == 0 ? 0 : FILE_DURABLE,
		};

		memset(written, 'a' + (int)i, sizeof(written));
		assert_int_equal(execute(fixture, operation), sizeof(written));
		operation.opcode = FILE_READ;
		operation.buffer = read_back;
		assert_int_equal(execute(fixture, operation), sizeof(read_back));
		assert_memory_equal(written, read_back, sizeof(written));
	}
}

static void test_file_returns_short_count_when_reading_past_the_end(void **state)
{
	struct fixture *fixture = *state;
	char buffer[BLOCK_BYTES] = {0};
	struct file_operation operation = {.opcode = FILE_READ,
		.fd = fixture->fd,
		.buffer = buffer,
		.bytes = sizeof(buffer)};

	assert_int_equal(ftruncate(fixture->fd, 1000), 0);
	assert_int_equal(execute(fixture, operation), 1000);
	operation.offset = 999;
	assert_int_equal(execute(fixture, operation), 1);
	operation.offset = 1000;
	assert_int_equal(execute(fixture, operation), 0);
	operation.bytes = 0;
	assert_int_equal(execute(fixture, operation), 0);
}

static void test_file_returns_errno_when_the_kernel_refuses(void **state)
{
	CLEANUP(cleanup_close) int read_only_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct fixture *fixture = *state;
	char buffer[BLOCK_BYTES] = {0};
	const struct {
		struct file_operation operation;
		int error;
	} cases[] = {
		{{.opcode = FILE_READ, .fd = -1, .buffer = buffer, .bytes = 1}, EBADF},
		{{.opcode = FILE_WRITE, .fd = -1, .buffer = buffer, .bytes = 1}, EBADF},
		{{.opcode = FILE_WRITE, .fd = read_only_fd, .buffer = buffer, .bytes = 1}, EBADF},
		{{.opcode = FILE_READ,
			 .fd = fixture->fd,
			 .buffer = buffer,
			 .bytes = 1,
			 .offset = 1ull << 63},
			EINVAL},
		{{.opcode = FILE_SYNC, .fd = -1}, EBADF},
		{{.opcode = FILE_ALLOCATE, .fd = read_only_fd, .length_bytes = 1}, EBADF},
		{{.opcode = FILE_ALLOCATE, .fd = fixture->fd, .length_bytes = 0}, EINVAL},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		assert_int_equal(execute(fixture, cases[i].operation), -cases[i].error);
}

static void test_file_wakes_the_loop_when_a_sync_completes(void **state)
{
	struct fixture *fixture = *state;
	const struct file_operation operation = {.opcode = FILE_SYNC, .fd = fixture->fd};

	for (int i = 0; i < 100; i++)
		assert_int_equal(execute(fixture, operation), 0);
}

static void test_file_grows_when_allocated(void **state)
{
	struct fixture *fixture = *state;
	const struct file_operation operation = {.opcode = FILE_ALLOCATE,
		.fd = fixture->fd,
		.offset = BLOCK_BYTES,
		.length_bytes = BLOCK_BYTES};
	int64_t result = execute(fixture, operation);

	/* Some file systems cannot. */
	if (result == -EOPNOTSUPP)
		skip();
	assert_int_equal(result, 0);
	assert_int_equal(lseek(fixture->fd, 0, SEEK_END), 2 * BLOCK_BYTES);
}

static void test_file_completes_all_when_more_are_submitted_than_fit(void **state)
{
	struct fixture *fixture = *state;
	struct probe *probes = calloc(OPERATION_COUNT, sizeof(*probes));
	uint32_t *blocks = calloc(OPERATION_COUNT, BLOCK_BYTES);
	const size_t words = BLOCK_BYTES / sizeof(blocks[0]);

	assert_non_null(probes);
	assert_non_null(blocks);
	for (uint32_t i = 0; i < OPERATION_COUNT; i++) {
		blocks[i * words] = i;
		probes[i].operation = (struct file_operation){.opcode = FILE_WRITE,
			.fd = fixture->fd,
			.buffer = &blocks[i * words],
			.bytes = BLOCK_BYTES,
			.offset = (uint64_t)i * BLOCK_BYTES};
		probe_submit(&probes[i], fixture);
	}
	wait_until_done(fixture, OPERATION_COUNT);
	for (uint32_t i = 0; i < OPERATION_COUNT; i++) {
		uint32_t number;

		assert_int_equal(probes[i].operation.result, BLOCK_BYTES);
		assert_int_equal(pread(fixture->fd, &number, sizeof(number),
					 (off_t)i * BLOCK_BYTES),
			sizeof(number));
		assert_int_equal(number, i);
	}
	free(blocks);
	free(probes);
}

static void test_file_goes_on_when_done_submits_again(void **state)
{
	struct fixture *fixture = *state;
	char buffer[BLOCK_BYTES] = {0};
	struct probe probe = {
		.operation = {.opcode = FILE_WRITE,
			.fd = fixture->fd,
			.buffer = buffer,
			.bytes = sizeof(buffer)},
		.submit_count = 500,
	};

	probe_submit(&probe, fixture);
	wait_until_done(fixture, 501);
}

struct submitter {
	struct loop_task task;
	struct probe probe;
	struct fixture *fixture;
};

static void submit_when_run(struct loop_task *task)
{
	struct submitter *submitter = container_of(task, struct submitter, task);

	probe_submit(&submitter->probe, submitter->fixture);
}

static void test_file_completes_when_submitted_by_a_task_of_the_turn(void **state)
{
	struct fixture *fixture = *state;
	struct submitter submitter = {.fixture = fixture};

	submitter.probe.operation = (struct file_operation){.opcode = FILE_SYNC, .fd = fixture->fd};
	loop_task_init(&submitter.task, submit_when_run);
	for (int i = 0; i < 2; i++) {
		if (i == 0)
			loop_again(fixture->loop, &submitter.task);
		else
			loop_defer(fixture->loop, &submitter.task);
		wait_until_done(fixture, 1);
	}
}

#define FILE_TESTS(setup)                                                                          \
	cmocka_unit_test_setup_teardown(test_file_reads_back_what_was_written_when_durable_or_not, \
		setup, teardown),                                                                  \
		cmocka_unit_test_setup_teardown(                                                   \
			test_file_returns_short_count_when_reading_past_the_end, setup, teardown), \
		cmocka_unit_test_setup_teardown(test_file_returns_errno_when_the_kernel_refuses,   \
			setup, teardown),                                                          \
		cmocka_unit_test_setup_teardown(test_file_wakes_the_loop_when_a_sync_completes,    \
			setup, teardown),                                                          \
		cmocka_unit_test_setup_teardown(test_file_grows_when_allocated, setup, teardown),  \
		cmocka_unit_test_setup_teardown(                                                   \
			test_file_completes_all_when_more_are_submitted_than_fit, setup,           \
			teardown),                                                                 \
		cmocka_unit_test_setup_teardown(test_file_goes_on_when_done_submits_again, setup,  \
			teardown),                                                                 \
		cmocka_unit_test_setup_teardown(                                                   \
			test_file_completes_when_submitted_by_a_task_of_the_turn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TESTS(setup_auto),
		FILE_TESTS(setup_threads),
		FILE_TESTS(setup_simulated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
