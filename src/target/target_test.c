/*
 * The target as a whole: how it is put together, and that it holds when hosts come and go at random
 * on loops of several threads.
 */
#include "target/target.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "loop/loop.h"
#include "nvme/io_command.h"
#include "nvme/property.h"
#include "store/store.h"
#include "test/target/fake_host.h"

#define THREAD_COUNT     2
#define CONNECTION_COUNT 12 /* of a thread */
#define ACTION_COUNT     40000
#define CNTLID_SLOTS     8
#define STORE_BYTES      (1 << 20)
#define PROBLEM_MAX      256

static void test_target_takes_no_subsystem_when_the_name_does_not_do(void **state)
{
	static const struct {
		const char *nqn;
		int error;
	} rows[] = {
		{"nqn.2024-01.org.example:a", 0},
		{"nqn.2024-01.org.example:a", -EEXIST},
		{"nqn.2014-08.org.nvmexpress.discovery", -EEXIST},
		{"nqn.2024-01.org.example:b", 0},
		{"", -EINVAL},
		{"disk", -EINVAL},
	};
	struct target *target;
	struct subsystem *subsystem;

	(void)state;
	assert_int_equal(target_new(NULL, NULL, &target), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(target_add_subsystem(target, rows[i].nqn, &subsystem),
			rows[i].error);
		if (rows[i].error == 0)
			assert_string_equal(subsystem_nqn(subsystem), rows[i].nqn);
	}
	target_free(target);
	target_free(NULL);
}

static void test_target_is_full_when_it_has_the_most(void **state)
{
	static const struct target_address address = {false, "192.0.2.1", 4420, false};
	struct subsystem *subsystem;
	struct target *target;
	struct store *store;
	char nqn[64], problem[PROBLEM_MAX];

	(void)state;
	assert_int_equal(store_open("null:1M", &store, problem, sizeof(problem)), 0);
	assert_int_equal(target_new(NULL, NULL, &target), 0);
	for (unsigned i = 0; i < TARGET_SUBSYSTEMS_MAX; i++) {
		(void)snprintf(nqn, sizeof(nqn), "nqn.2024-01.org.example:%u", i);
		assert_int_equal(target_add_subsystem(target, nqn, &subsystem), 0);
	}
	assert_int_equal(target_add_subsystem(target, "nqn.2024-01.org.example:x", &subsystem),
		-ENOSPC);
	for (int i = 1; i <= TARGET_NAMESPACES_MAX; i++)
		assert_int_equal(subsystem_add_namespace(subsystem, store), i);
	assert_int_equal(subsystem_add_namespace(subsystem, store), -ENOSPC);
	for (unsigned i = 0; i < TARGET_ADDRESSES_MAX; i++)
		assert_int_equal(target_add_address(target, &address), 0);
	assert_int_equal(target_add_address(target, &address), -ENOSPC);
	target_free(target);
	store_free(store);
}

/* Hosts of one thread; every host is the same one, so that any may connect to any controller. */
struct crowd {
	struct target *target;
	struct loop *loop;
	_Atomic uint16_t *cntlids; /* of controllers that may still be there, of all threads */
	uint32_t nsid;             /* this thread's own: threads do not race for blocks */
	struct random random;
	struct fake_connection *connections[CONNECTION_COUNT];
	unsigned connect_count, io_count; /* that succeeded */
};

static void turn(struct crowd *crowd, int timeout_ms)
{
	assert_int_equal(loop_turn(crowd->loop, timeout_ms), 0);
}

static void forget_when_done(struct fake_command *command)
{
	if (command->is_done)
		fake_command_free(command);
	else
		command->is_freed_when_done = true;
}

static void crowd_connect(struct crowd *crowd, unsigned index)
{
	struct fake_connection *connection =
		fake_connection_open_on(crowd->target, crowd->loop, NULL);
	_Atomic uint16_t *slot = &crowd->cntlids[random_below(&crowd->random, CNTLID_SLOTS)];
	bool is_admin = index < CONNECTION_COUNT / 3;
	struct fake_connect connect;
	struct nvme_command command;
	struct fake_command *sent;

	crowd->connections[index] = connection;
	fake_connect_init(&connect, is_admin ? 0 : (uint16_t)(1 + random_below(&crowd->random, 4)),
		is_admin ? NVME_CNTLID_DYNAMIC : atomic_load(slot));
	command = nvme_command_of_fabrics(&connect.command);
	sent = fake_send(connection, &command, &connect.data, sizeof(connect.data));
	if (is_admin && sent->is_done && sent->status == 0) {
		atomic_store(slot, (uint16_t)sent->result);
		crowd->connect_count++;
	}
	forget_when_done(sent);
}

static void crowd_admin(struct crowd *crowd, struct fake_connection *connection)
{
	struct nvme_property_command set = {
		.opcode = NVME_ADMIN_FABRICS,
		.flags = NVME_FLAGS_PSDT_SGL,
		.fctype = NVME_FABRICS_PROPERTY_SET,
		.ofst = le32_of(NVME_PROPERTY_CC),
	};
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_LOG_PAGE, 0);

	switch (random_below(&crowd->random, 8)) {
	case 0: /* a reset in place */
		command = nvme_command_of_fabrics(&set);
		forget_when_done(fake_send(connection, &command, NULL, 0));
		break;
	case 1:
		command.cdw10 = le32_of(127u << 16 | 2);
		forget_when_done(fake_send(connection, &command, NULL, 512));
		break;
	case 2:
		command.opcode = NVME_ADMIN_ASYNC_EVENT;
		forget_when_done(fake_send(connection, &command, NULL, 0));
		break;
	default:
		set.value = le64_of(nvme_cc_of_enabled(NVME_CC_CSS_NVM));
		command = nvme_command_of_fabrics(&set);
		forget_when_done(fake_send(connection, &command, NULL, 0));
		break;
	}
}

static void crowd_io(struct crowd *crowd, struct fake_connection *connection)
{
	static const uint8_t opcodes[] = {NVME_IO_READ, NVME_IO_WRITE, NVME_IO_FLUSH};
	uint8_t opcode = opcodes[random_below(&crowd->random, ARRAY_LENGTH(opcodes))];
	uint8_t data[1024] = {0};
	/* One namespace of the thread's is memory, one a file. */
	struct nvme_command command = fake_command_of(opcode,
		crowd->nsid + THREAD_COUNT * (uint32_t)random_below(&crowd->random, 2));

	nvme_command_set_range(&command, random_below(&crowd->random, 2047), 2, 0);
	if (opcode == NVME_IO_FLUSH)
		forget_when_done(fake_send(connection, &command, NULL, 0));
	else
		forget_when_done(fake_send(connection, &command,
			opcode == NVME_IO_WRITE ? data : NULL, sizeof(data)));
	crowd->io_count++;
}

static void crowd_act(struct crowd *crowd)
{
	unsigned index = (unsigned)random_below(&crowd->random, CONNECTION_COUNT);
	struct fake_connection *connection = crowd->connections[index];

	if (connection == NULL) {
		crowd_connect(crowd, index);
	} else if (fake_connection_is_closed(connection)) {
		crowd->connections[index] = NULL;
		free(connection);
	} else if (random_below(&crowd->random, 40) == 0) {
		fake_connection_close(connection);
	} else if (connection->is_connected && !connection->is_ended) {
		if (connection->parameters.qid == 0)
			crowd_admin(crowd, connection);
		else
			crowd_io(crowd, connection);
	}
}

static bool crowd_is_gone(struct crowd *crowd)
{
	bool is_gone = true;

	for (unsigned i = 0; i < CONNECTION_COUNT; i++) {
		struct fake_connection *connection = crowd->connections[i];

		if (connection == NULL)
			continue;
		if (fake_connection_is_closed(connection)) {
			crowd->connections[i] = NULL;
			free(connection);
		}
		is_gone = false;
	}
	return is_gone;
}

static void *run_crowd(void *context)
{
	struct crowd *crowd = context;

	for (unsigned i = 0; i < ACTION_COUNT; i++) {
		crowd_act(crowd);
		if (random_below(&crowd->random, 3) == 0)
			turn(crowd, 0);
	}
	for (unsigned i = 0; i < CONNECTION_COUNT; i++) {
		/* Those with a controller are told by the target. */
		if (crowd->connections[i] != NULL && i % 2 == 0)
			fake_connection_close(crowd->connections[i]);
	}
	target_shut_down(crowd->target);
	while (!crowd_is_gone(crowd) || !target_is_idle(crowd->target)) {
		turn(crowd, 1);
		for (unsigned i = 0; i < CONNECTION_COUNT; i++) {
			/* A queue that never connected nobody tells. */
			if (crowd->connections[i] != NULL && !crowd->connections[i]->is_connected)
				fake_connection_close(crowd->connections[i]);
		}
	}
	return NULL;
}

/* For each thread a namespace in memory, then for each one in a file. */
static void open_stores(struct subsystem *subsystem, const char *folder,
	struct store *ret_stores[2 * THREAD_COUNT])
{
	char problem[PROBLEM_MAX];

	for (unsigned i = 0; i < 2 * THREAD_COUNT; i++) {
		char text[64] = "ram:1M";

		if (i >= THREAD_COUNT) {
			int fd;

			(void)snprintf(text, sizeof(text), "%s/%u", folder, i);
			fd = open(text, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
			assert_true(fd >= 0);
			assert_int_equal(ftruncate(fd, STORE_BYTES), 0);
			(void)close(fd);
		}
		assert_int_equal(store_open(text, &ret_stores[i], problem, sizeof(problem)), 0);
		assert_int_equal(subsystem_add_namespace(subsystem, ret_stores[i]), (int)i + 1);
		if (i >= THREAD_COUNT)
			(void)unlink(text);
	}
}

static void test_target_is_idle_in_the_end_when_hosts_come_and_go_on_two_loops(void **state)
{
	static const struct loop_options options = {.is_spinning_off = true};
	char folder[] = "/tmp/ferry-target-test.XXXXXX";
	_Atomic uint16_t cntlids[CNTLID_SLOTS] = {0};
	struct store *stores[2 * THREAD_COUNT];
	struct crowd crowds[THREAD_COUNT] = {0};
	pthread_t threads[THREAD_COUNT];
	struct subsystem *subsystem;
	struct target *target;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(target_new(NULL, NULL, &target), 0);
	assert_int_equal(target_add_subsystem(target, FAKE_NQN, &subsystem), 0);
	subsystem_allow_any_host(subsystem);
	open_stores(subsystem, folder, stores);
	target_publish(target);
	for (unsigned i = 0; i < THREAD_COUNT; i++) {
		struct crowd *crowd = &crowds[i];

		crowd->target = target;
		crowd->cntlids = cntlids;
		crowd->nsid = i + 1;
		random_init(&crowd->random, 20240101 + i);
		assert_int_equal(loop_new(&options, &crowd->loop), 0);
	}
	for (unsigned i = 0; i < THREAD_COUNT; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_crowd, &crowds[i]), 0);
	for (unsigned i = 0; i < THREAD_COUNT; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(target_is_idle(target));
	for (unsigned i = 0; i < THREAD_COUNT; i++) {
		assert_true(crowds[i].connect_count > 0 && crowds[i].io_count > 0);
		loop_free(crowds[i].loop);
	}
	target_free(target);
	for (unsigned i = 0; i < 2 * THREAD_COUNT; i++)
		store_free(stores[i]);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_target_takes_no_subsystem_when_the_name_does_not_do),
		cmocka_unit_test(test_target_is_full_when_it_has_the_most),
		cmocka_unit_test(
			test_target_is_idle_in_the_end_when_hosts_come_and_go_on_two_loops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
