#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/completion.h"
#include "nvme/feature.h"
#include "nvme/io_command.h"
#include "store/memory_store.h"
#include "store/store.h"
#include "test/store/faulty_store.h"
#include "test/target/fake_host.h"

#define KATO_MS 3000

static struct fault hold(void *context, const struct store_request *request)
{
	(void)context;
	return (struct fault){.is_held = request->opcode != STORE_FLUSH};
}

static struct faulty_store *add_held(struct fake_world *world)
{
	static const struct store_options options = {0};
	struct faulty_store *faulty;
	struct store *store;

	assert_int_equal(memory_store_new(1 << 20, &options, &store), 0);
	faulty = faulty_store_new(store, hold, NULL);
	assert_int_equal(subsystem_add_namespace(world->subsystem, faulty_store_store(faulty)), 1);
	return faulty;
}

static struct fake_connection *kept_alive(struct fake_world *world, uint64_t *ret_cntlid)
{
	struct fake_connection *admin = fake_connection_open(world, 0, NULL);
	struct fake_connect connect;

	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	connect.command.kato = le32_of(KATO_MS);
	assert_int_equal(fake_connect(admin, &connect, ret_cntlid), 0);
	assert_int_equal(fake_property_set(admin, 0x14, 0, 0x460001), 0);
	return admin;
}

static uint64_t next_cntlid(struct fake_world *world)
{
	struct fake_connection *admin = fake_connection_open(world, 0, NULL);
	struct fake_connect connect;
	uint64_t cntlid;

	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	assert_int_equal(fake_connect(admin, &connect, &cntlid), 0);
	fake_connection_free(admin);
	return cntlid;
}

static void test_controller_ends_when_nothing_is_heard_for_kato(void **state)
{
	struct fake_connection *admin, *io;
	struct fake_world world;
	uint64_t cntlid;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = kept_alive(&world, &cntlid);
	io = fake_io(&world, 1, (uint16_t)cntlid, 1);
	/* Twice KATO at most, since traffic is looked at once per KATO. */
	fake_world_pass(&world, 2 * KATO_MS + 200);
	assert_int_equal(admin->end_count, 1);
	assert_string_equal(admin->end_reason, "keep alive timeout");
	assert_int_equal(io->end_count, 1);
	assert_true(fake_connection_is_closed(admin) && fake_connection_is_closed(io));
	fake_world_settle(&world);
	fake_connection_free(io);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void test_controller_lives_when_any_queue_has_traffic(void **state)
{
	struct nvme_command keep_alive = fake_command_of(NVME_ADMIN_KEEP_ALIVE, 0);
	struct nvme_command flush = fake_command_of(NVME_IO_FLUSH, NVME_NSID_BROADCAST);
	struct fake_connection *admin, *io;
	struct fake_world world;
	uint64_t cntlid;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = kept_alive(&world, &cntlid);
	io = fake_io(&world, 1, (uint16_t)cntlid, 1);
	for (unsigned i = 0; i < 20; i++) {
		fake_world_pass(&world, KATO_MS - 500);
		assert_int_equal(fake_command(i < 10 ? io : admin, i < 10 ? &flush : &keep_alive,
					 NULL),
			0);
	}
	assert_int_equal(admin->end_count + io->end_count, 0);
	fake_connection_free(io);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void test_controller_is_never_ended_when_kato_is_zero(void **state)
{
	struct fake_connection *admin;
	struct fake_world world;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, NULL);
	fake_world_pass(&world, 600000);
	assert_int_equal(admin->end_count, 0);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void set_keep_alive(struct fake_connection *admin, uint32_t kato_ms)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_SET_FEATURES, 0);

	nvme_command_set_feature(&command, NVME_FEATURE_KEEP_ALIVE, kato_ms);
	assert_int_equal(fake_command(admin, &command, NULL), 0);
}

/* From then on the transport alone can notice. */
static void test_controller_tells_its_transport_when_keep_alive_is_turned_off(void **state)
{
	struct fake_connection *admin;
	struct fake_world world;
	uint64_t cntlid;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = kept_alive(&world, &cntlid);
	assert_true(admin->parameters.is_kept_alive);
	set_keep_alive(admin, 2 * KATO_MS);
	assert_int_equal(admin->keep_alive_off_count, 0);
	set_keep_alive(admin, 0);
	set_keep_alive(admin, 0);
	assert_int_equal(admin->keep_alive_off_count, 1);
	fake_world_pass(&world, 10 * KATO_MS);
	assert_int_equal(admin->end_count, 0);
	set_keep_alive(admin, KATO_MS);
	fake_world_pass(&world, 2 * KATO_MS + 200);
	assert_int_equal(admin->end_count, 1);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

/* The id stays taken until all that the queues had in the store is done. */
static void test_controller_keeps_its_id_when_io_is_in_the_store(void **state)
{
	struct nvme_command read = fake_command_of(NVME_IO_READ, 1);
	struct fake_connection *admin, *io;
	struct faulty_store *faulty;
	struct fake_command *sent;
	struct fake_world world;
	uint16_t cntlid;

	(void)state;
	fake_world_init(&world, NULL);
	faulty = add_held(&world);
	target_publish(world.target);
	admin = fake_admin(&world, 0, &cntlid);
	io = fake_io(&world, 1, cntlid, 1);
	nvme_command_set_range(&read, 0, 1, 0);
	sent = fake_send(io, &read, NULL, 512);
	fake_connection_close(admin);
	for (unsigned i = 0; i < 10; i++)
		fake_world_turn(&world);
	assert_int_equal(io->end_count, 1);
	assert_false(fake_connection_is_closed(io));
	assert_false(target_is_idle(world.target));
	assert_int_equal(next_cntlid(&world), cntlid + 1);
	assert_false(sent->is_done);
	faulty_store_release(faulty);
	assert_int_equal(fake_wait(sent), 0);
	fake_command_free(sent);
	fake_world_settle(&world);
	fake_connection_free(io);
	fake_connection_free(admin);
	fake_world_deinit(&world);
	store_free(faulty_store_store(faulty));
}

static void test_controller_gives_ids_anew_when_all_have_been_given(void **state)
{
	struct fake_connection *admin;
	struct fake_world world;
	uint16_t cntlid;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, &cntlid);
	assert_int_equal(cntlid, 1);
	for (unsigned i = 2; i <= NVME_CNTLID_MAX; i++)
		assert_int_equal(next_cntlid(&world), i);
	/* 1 is taken. */
	assert_int_equal(next_cntlid(&world), 2);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void test_controller_is_refused_when_there_are_too_many(void **state)
{
	static struct fake_connection *admins[TARGET_CONTROLLERS_MAX];
	struct target_limits limits = target_limits_default();
	struct fake_connection *over;
	struct fake_connect connect;
	struct fake_world world;

	(void)state;
	limits.host_controllers_max = TARGET_CONTROLLERS_MAX;
	fake_world_init(&world, &limits);
	target_publish(world.target);
	for (unsigned i = 0; i < TARGET_CONTROLLERS_MAX; i++)
		admins[i] = fake_admin(&world, i % 2, NULL);
	over = fake_connection_open(&world, 0, NULL);
	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	assert_int_equal(fake_connect(over, &connect, NULL), NVME_STATUS_CONNECT_CONTROLLER_BUSY);
	fake_connection_free(admins[17]);
	assert_int_equal(fake_connect(over, &connect, NULL), 0);
	fake_connection_free(over);
	for (unsigned i = 0; i < TARGET_CONTROLLERS_MAX; i++) {
		if (i != 17)
			fake_connection_free(admins[i]);
	}
	fake_world_deinit(&world);
}

static void test_controller_ends_when_the_target_shuts_down(void **state)
{
	struct fake_connection *admins[2], *io, *late;
	struct fake_connect connect;
	struct fake_world world;
	uint16_t cntlid;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admins[0] = fake_admin(&world, 0, &cntlid);
	admins[1] = fake_admin(&world, 1, NULL);
	io = fake_io(&world, 1, cntlid, 3);
	late = fake_connection_open(&world, 0, NULL);
	target_shut_down(world.target);
	target_shut_down(world.target);
	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	assert_int_equal(fake_connect(late, &connect, NULL), NVME_STATUS_CONNECT_CONTROLLER_BUSY);
	fake_connection_free(late);
	fake_world_settle(&world);
	assert_int_equal(admins[0]->end_count, 1);
	assert_int_equal(admins[1]->end_count, 1);
	assert_int_equal(io->end_count, 1);
	fake_connection_free(io);
	fake_connection_free(admins[1]);
	fake_connection_free(admins[0]);
	fake_world_deinit(&world);
}

static void test_controller_holds_event_requests_when_there_is_room(void **state)
{
	struct nvme_command event = fake_command_of(NVME_ADMIN_ASYNC_EVENT, 0);
	struct fake_command *held[4], *over;
	struct fake_connection *admin;
	struct fake_world world;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, NULL);
	for (unsigned i = 0; i < ARRAY_LENGTH(held); i++)
		held[i] = fake_send(admin, &event, NULL, 0);
	over = fake_send(admin, &event, NULL, 0);
	assert_int_equal(fake_wait(over), NVME_STATUS_AER_LIMIT_EXCEEDED);
	fake_command_free(over);
	assert_false(held[0]->is_done);
	fake_connection_close(admin);
	for (unsigned i = 0; i < ARRAY_LENGTH(held); i++) {
		assert_int_equal(fake_wait(held[i]), NVME_STATUS_ABORTED_SQ_DELETION);
		fake_command_free(held[i]);
	}
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

/* Loss of an I/O queue ends that queue alone, and its id is free again. */
static void test_controller_lives_when_an_io_queue_is_lost(void **state)
{
	struct nvme_disconnect_command disconnect = {
		.opcode = NVME_ADMIN_FABRICS,
		.flags = NVME_FLAGS_PSDT_SGL,
		.fctype = NVME_FABRICS_DISCONNECT,
	};
	struct nvme_command command = nvme_command_of_fabrics(&disconnect);
	struct fake_connection *admin, *io;
	struct fake_world world;
	uint16_t cntlid;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, &cntlid);
	io = fake_io(&world, 1, cntlid, 1);
	fake_connection_free(io);
	for (unsigned i = 0; i < 4; i++)
		fake_world_turn(&world);
	io = fake_io(&world, 1, cntlid, 1);
	assert_int_equal(fake_command(admin, &command, NULL),
		NVME_STATUS_INVALID_QUEUE_TYPE | NVME_STATUS_DNR);
	assert_int_equal(fake_command(io, &command, NULL), 0);
	assert_int_equal(io->end_count, 1);
	assert_true(fake_connection_is_closed(io));
	fake_connection_free(io);
	for (unsigned i = 0; i < 4; i++)
		fake_world_turn(&world);
	io = fake_io(&world, 0, cntlid, 1);
	assert_int_equal(admin->end_count, 0);
	fake_connection_free(io);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controller_ends_when_nothing_is_heard_for_kato),
		cmocka_unit_test(test_controller_lives_when_any_queue_has_traffic),
		cmocka_unit_test(test_controller_is_never_ended_when_kato_is_zero),
		cmocka_unit_test(test_controller_tells_its_transport_when_keep_alive_is_turned_off),
		cmocka_unit_test(test_controller_keeps_its_id_when_io_is_in_the_store),
		cmocka_unit_test(test_controller_gives_ids_anew_when_all_have_been_given),
		cmocka_unit_test(test_controller_is_refused_when_there_are_too_many),
		cmocka_unit_test(test_controller_ends_when_the_target_shuts_down),
		cmocka_unit_test(test_controller_holds_event_requests_when_there_is_room),
		cmocka_unit_test(test_controller_lives_when_an_io_queue_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
