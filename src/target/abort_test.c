#include "target/abort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/io_command.h"
#include "store/memory_store.h"
#include "store/store.h"
#include "test/store/faulty_store.h"
#include "test/target/fake_host.h"

#define IO_QID      3
#define NOT_ABORTED 1

struct fixture {
	struct fake_world world;
	struct faulty_store *faulty;
	bool is_held;                       /* of every request to the store */
	struct fake_connection *admin, *io; /* on two loops */
};

static struct fault decide(void *context, const struct store_request *request)
{
	const struct fixture *fixture = context;

	(void)request;
	return (struct fault){.is_held = fixture->is_held};
}

static void set_up(struct fixture *fixture)
{
	static const struct store_options options = {0};
	struct store *store;
	uint16_t cntlid;

	memset(fixture, 0, sizeof(*fixture));
	fake_world_init(&fixture->world, NULL);
	assert_int_equal(memory_store_new(1 << 20, &options, &store), 0);
	fixture->faulty = faulty_store_new(store, decide, fixture);
	assert_int_equal(subsystem_add_namespace(fixture->world.subsystem,
				 faulty_store_store(fixture->faulty)),
		1);
	target_publish(fixture->world.target);
	fixture->admin = fake_admin(&fixture->world, 0, &cntlid);
	fixture->io = fake_io(&fixture->world, 1, cntlid, IO_QID);
}

static void tear_down(struct fixture *fixture)
{
	fake_connection_free(fixture->io);
	fake_connection_free(fixture->admin);
	fake_world_deinit(&fixture->world);
	store_free(faulty_store_store(fixture->faulty));
}

static void turn(struct fixture *fixture)
{
	for (unsigned i = 0; i < 6; i++)
		fake_world_turn(&fixture->world);
}

/* A command without data. */
static struct fake_command *send(struct fake_connection *connection, uint8_t opcode, uint32_t nsid,
	uint16_t cid)
{
	struct nvme_command command = fake_command_of(opcode, nsid);

	command.cid = le16_of(cid);
	return fake_send(connection, &command, NULL, 0);
}

static struct fake_command *send_abort(struct fixture *fixture, uint16_t qid, uint16_t cid)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_ABORT, 0);

	command.cid = le16_of(0x7777);
	command.cdw10 = le32_of((uint32_t)cid << 16 | qid);
	return fake_send(fixture->admin, &command, NULL, 0);
}

static void expect(struct fake_command *command, uint16_t status, uint64_t result)
{
	assert_int_equal(fake_wait(command), status);
	assert_int_equal(command->result, result);
	fake_command_free(command);
}

/* A write whose data is still on its way. */
static struct fake_command *send_without_data(struct fixture *fixture, uint16_t cid)
{
	static const uint8_t block[512] = {1};
	struct nvme_command command = fake_command_of(NVME_IO_WRITE, 1);

	command.cid = le16_of(cid);
	nvme_command_set_range(&command, 0, 1, 0);
	command.sgl = nvme_sgl_transport(sizeof(block));
	fixture->io->is_data_held = true;
	return fake_send_raw(fixture->io, &command, block, 0);
}

static void test_abort_keeps_a_write_from_the_store_when_its_data_is_on_its_way(void **state)
{
	struct fake_command *write, *abort;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	write = send_without_data(&fixture, 9);
	abort = send_abort(&fixture, IO_QID, 9);
	turn(&fixture);
	/* The data that was asked for still comes. */
	assert_false(write->is_done);
	assert_false(abort->is_done);
	fake_data_arrives(write);
	expect(write, NVME_STATUS_ABORT_REQUESTED, 0);
	expect(abort, 0, 0);
	assert_int_equal(faulty_store_submitted_count(fixture.faulty, STORE_WRITE), 0);
	tear_down(&fixture);
}

static void test_abort_ends_when_the_connection_of_the_command_is_lost(void **state)
{
	struct fake_command *write, *abort;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	write = send_without_data(&fixture, 9);
	abort = send_abort(&fixture, IO_QID, 9);
	turn(&fixture);
	fake_connection_close(fixture.io);
	fake_abandon(write);
	fake_command_free(write);
	expect(abort, 0, 0);
	tear_down(&fixture);
}

static void test_abort_waits_for_the_store_when_the_command_is_there(void **state)
{
	struct fake_command *flush, *other, *abort, *again;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	fixture.is_held = true;
	flush = send(fixture.io, NVME_IO_FLUSH, 1, 5);
	other = send(fixture.io, NVME_IO_FLUSH, 1, 6);
	abort = send_abort(&fixture, IO_QID, 5);
	turn(&fixture);
	assert_false(abort->is_done);
	again = send_abort(&fixture, IO_QID, 5);
	expect(again, 0, NOT_ABORTED);
	faulty_store_release(fixture.faulty);
	expect(flush, NVME_STATUS_ABORT_REQUESTED, 0);
	expect(other, 0, 0);
	expect(abort, 0, 0);
	tear_down(&fixture);
}

static void test_abort_says_not_aborted_when_there_is_no_such_command(void **state)
{
	static const struct {
		uint16_t qid, cid;
	} rows[] = {
		{IO_QID, 5}, /* has ended */
		{IO_QID, 99},
		{0, 99},
		{0, 0x7777}, /* itself */
		{1, 5},
		{128, 5},
		{129, 5},
		{0xffff, 5},
	};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	expect(send(fixture.io, NVME_IO_FLUSH, 1, 5), 0, 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		expect(send_abort(&fixture, rows[i].qid, rows[i].cid), 0, NOT_ABORTED);
	tear_down(&fixture);
}

static void test_abort_ends_an_event_request_when_it_is_held(void **state)
{
	struct fake_command *events[2];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (uint16_t i = 0; i < 2; i++)
		events[i] = send(fixture.admin, NVME_ADMIN_ASYNC_EVENT, 0, i);
	expect(send_abort(&fixture, 0, 1), 0, 0);
	expect(events[1], NVME_STATUS_ABORT_REQUESTED, 0);
	assert_false(events[0]->is_done);
	expect(send_abort(&fixture, 0, 0), 0, 0);
	expect(events[0], NVME_STATUS_ABORT_REQUESTED, 0);
	tear_down(&fixture);
}

static void test_abort_is_refused_when_there_are_too_many(void **state)
{
	struct fake_command *writes[ABORT_COMMANDS_MAX], *aborts[ABORT_COMMANDS_MAX];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (uint16_t i = 0; i < ABORT_COMMANDS_MAX; i++) {
		writes[i] = send_without_data(&fixture, i);
		aborts[i] = send_abort(&fixture, IO_QID, i);
	}
	turn(&fixture);
	expect(send_abort(&fixture, IO_QID, 0), NVME_STATUS_ABORT_LIMIT_EXCEEDED, 0);
	for (uint16_t i = 0; i < ABORT_COMMANDS_MAX; i++) {
		fake_data_arrives(writes[i]);
		expect(writes[i], NVME_STATUS_ABORT_REQUESTED, 0);
		expect(aborts[i], 0, 0);
	}
	expect(send_abort(&fixture, IO_QID, 0), 0, NOT_ABORTED);
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_abort_keeps_a_write_from_the_store_when_its_data_is_on_its_way),
		cmocka_unit_test(test_abort_ends_when_the_connection_of_the_command_is_lost),
		cmocka_unit_test(test_abort_waits_for_the_store_when_the_command_is_there),
		cmocka_unit_test(test_abort_says_not_aborted_when_there_is_no_such_command),
		cmocka_unit_test(test_abort_ends_an_event_request_when_it_is_held),
		cmocka_unit_test(test_abort_is_refused_when_there_are_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
