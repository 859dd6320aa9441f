/*
 * Hosts on loops of several threads, all of which want the same blocks: of a memory store, where two
 * that are at a block at once are a data race to a thread sanitizer, and of a file, where a compare
 * and its write are turns of the loop apart.
 *
 * First the counter: Compare and Write makes n + 1 of n, until all together have done so often enough;
 * then it must be what they say they did. Then the baton, which one thread's plain Writes give a
 * higher and higher number, while pairs of the other thread mark and unmark the number before: one
 * that compared before such a Write and wrote after it would bring the old number back.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "loop/loop.h"
#include "nvme/io_command.h"
#include "nvme/property.h"
#include "nvme/status.h"
#include "store/memory_store.h"
#include "store/store.h"
#include "test/store/store_probe.h"
#include "test/target/fake_host.h"

#define THREAD_COUNT    2
#define QUEUE_COUNT     3 /* of a thread */
#define INCREMENT_COUNT 600
#define BATON_COUNT     60
#define BURST_COUNT     8   /* plain Writes of the baton at once */
#define LOOKS_MAX       500 /* at the baton */
#define COUNTER_SLBA    8
#define BATON_SLBA      9
#define OWN_SLBA        16 /* and so on: plain Writes of one queue alone */
#define MARK            (UINT64_C(1) << 63)

/* What all threads share. */
struct race {
	struct target *target;
	_Atomic uint64_t counter; /* at most what the block holds */
	_Atomic uint64_t baton;   /* the number last written */
	_Atomic unsigned running_count;
};

struct runner {
	struct race *race;
	struct loop *loop;
	bool is_baton_bearer;
	struct fake_connection *admin;
	struct fake_connection *queues[QUEUE_COUNT];
	uint64_t increment_count, mark_count;
};

struct pair {
	struct fake_command *first, *second;
};

static void turn(struct runner *runner)
{
	assert_int_equal(loop_turn(runner->loop, 1), 0);
}

static uint16_t wait(struct runner *runner, struct fake_command *command)
{
	uint16_t status;

	while (!command->is_done)
		turn(runner);
	status = command->status;
	fake_command_free(command);
	return status;
}

static struct fake_command *send_block(struct fake_connection *connection, uint8_t opcode,
	uint8_t fuse, uint64_t slba, uint64_t value)
{
	struct nvme_command command = fake_command_of(opcode, 1);
	uint8_t data[512] = {0};
	le64 number = le64_of(value);

	/* At both ends, so that a block that is of two writes shows. */
	memcpy(data, &number, sizeof(number));
	memcpy(data + sizeof(data) - sizeof(number), &number, sizeof(number));
	nvme_command_set_range(&command, slba, 1, 0);
	command.flags |= fuse;
	return fake_send(connection, &command, data, sizeof(data));
}

static struct pair send_pair(struct fake_connection *connection, uint64_t slba, uint64_t from,
	uint64_t to)
{
	struct pair pair;

	pair.first = send_block(connection, NVME_IO_COMPARE, NVME_FLAGS_FUSE_FIRST, slba, from);
	pair.second = send_block(connection, NVME_IO_WRITE, NVME_FLAGS_FUSE_SECOND, slba, to);
	return pair;
}

/* @return whether the block was as expected. */
static bool wait_pair(struct runner *runner, struct pair *pair)
{
	uint16_t first = wait(runner, pair->first), second = wait(runner, pair->second);

	if (first == 0) {
		assert_int_equal(second, 0);
		return true;
	}
	assert_int_equal(first, NVME_STATUS_COMPARE_FAILURE | NVME_STATUS_DNR);
	assert_int_equal(second, NVME_STATUS_ABORTED_FAILED_FUSED);
	return false;
}

/* One by one of each queue at once, with plain Writes between. */
static void run_counter(struct runner *runner)
{
	struct race *race = runner->race;
	uint64_t seen;

	while ((seen = atomic_load(&race->counter)) < INCREMENT_COUNT) {
		struct fake_command *beside[QUEUE_COUNT];
		struct pair pairs[QUEUE_COUNT];

		for (unsigned i = 0; i < QUEUE_COUNT; i++) {
			uint64_t own = OWN_SLBA + i + (runner->is_baton_bearer ? QUEUE_COUNT : 0);

			pairs[i] = send_pair(runner->queues[i], COUNTER_SLBA, seen, seen + 1);
			beside[i] = send_block(runner->queues[i], NVME_IO_WRITE, 0, own, seen);
		}
		for (unsigned i = 0; i < QUEUE_COUNT; i++) {
			assert_int_equal(wait(runner, beside[i]), 0);
			if (!wait_pair(runner, &pairs[i]))
				continue;
			runner->increment_count++;
			atomic_store(&race->counter, seen + 1);
		}
	}
}

/* @return whether the baton was @from and is @to now. */
static bool pass(struct runner *runner, unsigned queue, uint64_t from, uint64_t to)
{
	struct pair pair = send_pair(runner->queues[queue], BATON_SLBA, from, to);

	return wait_pair(runner, &pair);
}

/* @return whether the baton has been found to be @number, marked or not, if need be after many looks:
 * it is marked and unmarked all the time. */
static bool holds(struct runner *runner, uint64_t number)
{
	for (unsigned i = 0; i < LOOKS_MAX; i++) {
		uint64_t guess = i % 2 == 0 ? number : number | MARK;

		if (pass(runner, i % QUEUE_COUNT, guess, guess))
			return true;
	}
	return false;
}

static void bear_baton(struct runner *runner)
{
	for (uint64_t i = 1; i <= BATON_COUNT; i++) {
		struct fake_command *burst[BURST_COUNT];

		for (unsigned j = 0; j < BURST_COUNT; j++)
			burst[j] = send_block(runner->queues[j % QUEUE_COUNT], NVME_IO_WRITE, 0,
				BATON_SLBA, i);
		for (unsigned j = 0; j < BURST_COUNT; j++)
			assert_int_equal(wait(runner, burst[j]), 0);
		assert_true(holds(runner, i));
		atomic_store(&runner->race->baton, i);
	}
}

static void mark_baton(struct runner *runner)
{
	uint64_t seen;

	do {
		seen = atomic_load(&runner->race->baton);
		for (unsigned i = 0; i < QUEUE_COUNT; i++) {
			runner->mark_count += pass(runner, i, seen, seen | MARK);
			(void)pass(runner, i, seen | MARK, seen);
		}
	} while (seen < BATON_COUNT);
}

static struct fake_connection *connect_queue(struct runner *runner, uint16_t qid, uint16_t *cntlid)
{
	struct fake_connection *connection =
		fake_connection_open_on(runner->race->target, runner->loop, NULL);
	struct fake_connect connect;
	struct nvme_command command;
	struct fake_command *sent;

	fake_connect_init(&connect, qid, *cntlid);
	command = nvme_command_of_fabrics(&connect.command);
	sent = fake_send(connection, &command, &connect.data, sizeof(connect.data));
	while (!sent->is_done)
		turn(runner);
	*cntlid = (uint16_t)sent->result;
	assert_int_equal(sent->status, 0);
	fake_command_free(sent);
	return connection;
}

static void connect_all(struct runner *runner)
{
	struct nvme_property_command enable = {
		.opcode = NVME_ADMIN_FABRICS,
		.flags = NVME_FLAGS_PSDT_SGL,
		.fctype = NVME_FABRICS_PROPERTY_SET,
		.ofst = le32_of(NVME_PROPERTY_CC),
		.value = le64_of(nvme_cc_of_enabled(NVME_CC_CSS_NVM)),
	};
	struct nvme_command command = nvme_command_of_fabrics(&enable);
	uint16_t cntlid = NVME_CNTLID_DYNAMIC;

	runner->admin = connect_queue(runner, 0, &cntlid);
	assert_int_equal(wait(runner, fake_send(runner->admin, &command, NULL, 0)), 0);
	for (unsigned i = 0; i < QUEUE_COUNT; i++) {
		uint16_t same = cntlid;

		runner->queues[i] = connect_queue(runner, (uint16_t)(i + 1), &same);
	}
}

static void *run(void *context)
{
	struct runner *runner = context;

	connect_all(runner);
	run_counter(runner);
	if (runner->is_baton_bearer)
		bear_baton(runner);
	else
		mark_baton(runner);
	for (unsigned i = 0; i < QUEUE_COUNT; i++)
		fake_connection_close(runner->queues[i]);
	fake_connection_close(runner->admin);
	atomic_fetch_sub(&runner->race->running_count, 1);
	while (atomic_load(&runner->race->running_count) > 0 ||
		!target_is_idle(runner->race->target))
		turn(runner);
	for (unsigned i = 0; i < QUEUE_COUNT; i++)
		free(runner->queues[i]);
	free(runner->admin);
	return NULL;
}

static uint64_t number_at(struct loop *loop, struct store *store, uint64_t slba)
{
	uint8_t block[512];
	struct store_request read = {
		.opcode = STORE_READ,
		.offset = slba * sizeof(block),
		.bytes = sizeof(block),
		.data = block,
	};

	assert_int_equal(store_probe_run(store, loop, read), 0);
	assert_memory_equal(block, block + sizeof(block) - sizeof(le64), sizeof(le64));
	return le64_load(block);
}

/* What must be true of @store after a race. */
static void check(struct store *store, const struct runner runners[THREAD_COUNT])
{
	uint64_t sum = 0, baton, counter;
	struct loop *loop;

	for (unsigned i = 0; i < THREAD_COUNT; i++)
		sum += runners[i].increment_count;
	assert_int_equal(loop_new(NULL, &loop), 0);
	counter = number_at(loop, store, COUNTER_SLBA);
	baton = number_at(loop, store, BATON_SLBA);
	loop_free(loop);
	assert_true(sum >= INCREMENT_COUNT && counter == sum);
	assert_true((baton & ~MARK) == BATON_COUNT);
	assert_true(runners[1].mark_count > 0);
}

static void race_on(struct store *store)
{
	static const struct loop_options options = {.is_spinning_off = true};
	struct race race = {.running_count = THREAD_COUNT};
	struct runner runners[THREAD_COUNT] = {0};
	pthread_t threads[THREAD_COUNT];
	struct subsystem *subsystem;

	assert_int_equal(target_new(NULL, NULL, &race.target), 0);
	assert_int_equal(target_add_subsystem(race.target, FAKE_NQN, &subsystem), 0);
	subsystem_allow_any_host(subsystem);
	assert_int_equal(subsystem_add_namespace(subsystem, store), 1);
	target_publish(race.target);
	for (unsigned i = 0; i < THREAD_COUNT; i++) {
		runners[i].race = &race;
		runners[i].is_baton_bearer = i == 0;
		assert_int_equal(loop_new(&options, &runners[i].loop), 0);
	}
	for (unsigned i = 0; i < THREAD_COUNT; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run, &runners[i]), 0);
	for (unsigned i = 0; i < THREAD_COUNT; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (unsigned i = 0; i < THREAD_COUNT; i++)
		loop_free(runners[i].loop);
	target_free(race.target);
	check(store, runners);
	store_free(store);
}

static void test_fence_loses_no_update_when_loops_race_for_memory(void **state)
{
	static const struct store_options options = {0};
	struct store *store;

	(void)state;
	assert_int_equal(memory_store_new(1 << 20, &options, &store), 0);
	race_on(store);
}

static void test_fence_loses_no_update_when_loops_race_for_a_file(void **state)
{
	char path[] = "/tmp/ferry-fence-test.XXXXXX", problem[256];
	int fd = mkstemp(path);
	struct store *store;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	(void)close(fd);
	assert_int_equal(store_open(path, &store, problem, sizeof(problem)), 0);
	(void)unlink(path);
	race_on(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fence_loses_no_update_when_loops_race_for_memory),
		cmocka_unit_test(test_fence_loses_no_update_when_loops_race_for_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
