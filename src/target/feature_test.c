#include "nvme/feature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/property.h"
#include "nvme/status.h"
#include "store/memory_store.h"
#include "store/store.h"
#include "test/target/fake_host.h"

#define NO_NAMESPACE (NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | NVME_STATUS_DNR)
#define REFUSED      (NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR)

static uint16_t set_feature(struct fake_connection *connection, uint8_t fid, uint32_t value,
	uint64_t *ret_result)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_SET_FEATURES, 0);

	nvme_command_set_feature(&command, fid, value);
	return fake_command(connection, &command, ret_result);
}

static uint16_t get_feature(struct fake_connection *connection, uint8_t fid, uint8_t select,
	uint64_t *ret_result)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_FEATURES, 0);

	nvme_command_set_get_feature(&command, fid, (enum nvme_feature_select)select);
	return fake_command(connection, &command, ret_result);
}

static void test_feature_is_kept_when_it_is_set(void **state)
{
	static const struct {
		uint8_t fid;
		uint32_t value;
		uint16_t status;
		uint32_t result;
		uint32_t kept, by_default;
	} rows[] = {
		{NVME_FEATURE_ARBITRATION, 0x01020303, 0, 0, 0x01020303, 7},
		{NVME_FEATURE_POWER_MANAGEMENT, 0x20, 0, 0, 0x20, 0},
		{NVME_FEATURE_POWER_MANAGEMENT, 1, REFUSED, 0, 0x20, 0},
		{NVME_FEATURE_TEMPERATURE_THRESHOLD, 0x0170, 0, 0, 0x0170, 0xffff},
		{NVME_FEATURE_TEMPERATURE_THRESHOLD, 0x100100, 0, 0, 0x0170, 0xffff},
		{NVME_FEATURE_TEMPERATURE_THRESHOLD, 0x0f0171, 0, 0, 0x0171, 0xffff},
		{NVME_FEATURE_TEMPERATURE_THRESHOLD, 0x010172, REFUSED, 0, 0x0171, 0xffff},
		{NVME_FEATURE_TEMPERATURE_THRESHOLD, 0x200172, REFUSED, 0, 0x0171, 0xffff},
		{NVME_FEATURE_WRITE_ATOMICITY, 1, 0, 0, 1, 0},
		{NVME_FEATURE_WRITE_ATOMICITY, 2, 0, 0, 0, 0},
		{NVME_FEATURE_VOLATILE_WRITE_CACHE, 0, 0, 0, 0, 1},
		{NVME_FEATURE_QUEUES, 0x00030003, 0, 0x00030003, 0x00030003, 0x007f007f},
		{NVME_FEATURE_QUEUES, 0x00010005, 0, 0x00010001, 0x00010001, 0x007f007f},
		{NVME_FEATURE_QUEUES, 0x00050001, 0, 0x00010001, 0x00010001, 0x007f007f},
		{NVME_FEATURE_QUEUES, 0x01000100, 0, 0x007f007f, 0x007f007f, 0x007f007f},
		{NVME_FEATURE_QUEUES, 0x0000ffff, REFUSED, 0, 0x007f007f, 0x007f007f},
		{NVME_FEATURE_QUEUES, 0xffff0000, REFUSED, 0, 0x007f007f, 0x007f007f},
		{NVME_FEATURE_EVENT_CONFIGURATION, 0x1f, 0, 0, 0x1f, 0},
		{NVME_FEATURE_EVENT_CONFIGURATION, 0x100, 0, 0, 0x100, 0},
		{NVME_FEATURE_EVENT_CONFIGURATION, 0x80000100, REFUSED, 0, 0x100, 0},
		{NVME_FEATURE_EVENT_CONFIGURATION, 0x200, REFUSED, 0, 0x100, 0},
		{NVME_FEATURE_KEEP_ALIVE, 15000, 0, 0, 15000, 0},
		{NVME_FEATURE_KEEP_ALIVE, 0, 0, 0, 0, 0},
	};
	struct fake_connection *admin;
	struct fake_world world;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint64_t result;

		assert_int_equal(set_feature(admin, rows[i].fid, rows[i].value, &result),
			rows[i].status);
		assert_int_equal(result, rows[i].result);
		assert_int_equal(get_feature(admin, rows[i].fid, NVME_FEATURE_CURRENT, &result), 0);
		assert_int_equal(result, rows[i].kept);
		for (unsigned select = NVME_FEATURE_DEFAULT; select <= NVME_FEATURE_SAVED;
			select++) {
			assert_int_equal(get_feature(admin, rows[i].fid, (uint8_t)select, &result),
				0);
			assert_int_equal(result, rows[i].by_default);
		}
		assert_int_equal(get_feature(admin, rows[i].fid, NVME_FEATURE_CAPABILITIES,
					 &result),
			0);
		assert_int_equal(result, NVME_FEATURE_CAN_CHANGE);
		assert_int_equal(get_feature(admin, rows[i].fid, 4, NULL), REFUSED);
	}
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void test_feature_is_refused_when_it_cannot_be_so(void **state)
{
	static const struct {
		uint32_t cdw10;
		uint32_t nsid;
		uint16_t status;
	} rows[] = {
		{0x80000006, 0, NVME_STATUS_FEATURE_NOT_SAVEABLE | NVME_STATUS_DNR},
		{0x06, 1, NVME_STATUS_FEATURE_NOT_NAMESPACE_SPECIFIC | NVME_STATUS_DNR},
		{0x06, NVME_NSID_BROADCAST, 0},
		{0x81, 0, NVME_STATUS_COMMAND_SEQUENCE_ERROR | NVME_STATUS_DNR},
		{0x08, 0, REFUSED},
		{0xff, 0, REFUSED},
	};
	struct fake_connection *admin;
	struct fake_world world;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command command =
			fake_command_of(NVME_ADMIN_SET_FEATURES, rows[i].nsid);

		command.cdw10 = le32_of(rows[i].cdw10);
		assert_int_equal(fake_command(admin, &command, NULL), rows[i].status);
	}
	assert_int_equal(get_feature(admin, 0x08, 0, NULL), REFUSED);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void set_up_namespaces(struct fake_world *world, struct store *stores[2])
{
	static const struct store_options options = {0};

	fake_world_init(world, NULL);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(memory_store_new(1 << 20, &options, &stores[i]), 0);
		assert_int_equal(subsystem_add_namespace(world->subsystem, stores[i]), i + 1);
	}
	target_publish(world->target);
}

static void test_feature_belongs_to_a_namespace_when_it_is_error_recovery(void **state)
{
	static const struct {
		uint8_t opcode;
		uint32_t nsid, value;
		uint16_t status;
		uint32_t result;
	} rows[] = {
		{NVME_ADMIN_SET_FEATURES, 1, 5, 0, 0},
		{NVME_ADMIN_GET_FEATURES, 1, 0, 0, 5},
		{NVME_ADMIN_GET_FEATURES, 2, 0, 0, 0},
		{NVME_ADMIN_SET_FEATURES, NVME_NSID_BROADCAST, 6, 0, 0},
		{NVME_ADMIN_GET_FEATURES, 1, 0, 0, 6},
		{NVME_ADMIN_GET_FEATURES, 2, 0, 0, 6},
		{NVME_ADMIN_SET_FEATURES, 2, 0x10000, REFUSED, 0},
		{NVME_ADMIN_SET_FEATURES, 3, 1, NO_NAMESPACE, 0},
		{NVME_ADMIN_SET_FEATURES, 0, 1, NO_NAMESPACE, 0},
		{NVME_ADMIN_GET_FEATURES, 0, 0, NO_NAMESPACE, 0},
		{NVME_ADMIN_GET_FEATURES, 3, 0, NO_NAMESPACE, 0},
		{NVME_ADMIN_GET_FEATURES, NVME_NSID_BROADCAST, 0, NO_NAMESPACE, 0},
	};
	struct fake_connection *admin;
	struct store *stores[2];
	struct fake_world world;

	(void)state;
	set_up_namespaces(&world, stores);
	admin = fake_admin(&world, 0, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command command = fake_command_of(rows[i].opcode, rows[i].nsid);
		uint64_t result;

		nvme_command_set_feature(&command, NVME_FEATURE_ERROR_RECOVERY, rows[i].value);
		assert_int_equal(fake_command(admin, &command, &result), rows[i].status);
		assert_int_equal(result, rows[i].result);
	}
	fake_connection_free(admin);
	fake_world_deinit(&world);
	for (size_t i = 0; i < 2; i++)
		store_free(stores[i]);
}

/* Set or get the data of a feature. @return the status. */
static uint16_t move_feature(struct fake_connection *admin, uint8_t fid,
	enum nvme_feature_select select, struct fake_exchange *exchange)
{
	struct nvme_command command =
		fake_command_of(exchange->data != NULL ? NVME_ADMIN_SET_FEATURES
						       : NVME_ADMIN_GET_FEATURES,
			0);

	nvme_command_set_get_feature(&command, fid, select);
	return fake_execute(admin, &command, exchange);
}

static void test_feature_runs_on_when_it_is_the_timestamp(void **state)
{
	struct nvme_timestamp stamp = {.milliseconds = {0x10, 0x20, 0, 0, 0, 1}}, now;
	struct fake_exchange set = {.data = &stamp, .data_bytes = sizeof(stamp)};
	struct fake_exchange get = {.ret_data = &now, .data_bytes = sizeof(now)};
	struct fake_connection *admin;
	struct fake_world world;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, NULL);
	assert_int_equal(move_feature(admin, NVME_FEATURE_TIMESTAMP, 0, &get), 0);
	assert_int_equal(now.attributes, 0);
	assert_int_equal(move_feature(admin, NVME_FEATURE_TIMESTAMP, 0, &set), 0);
	fake_world_pass(&world, 0x100);
	assert_int_equal(move_feature(admin, NVME_FEATURE_TIMESTAMP, 0, &get), 0);
	assert_int_equal(now.attributes, NVME_TIMESTAMP_SET);
	assert_in_range(now.milliseconds[1], 0x21, 0x22);
	assert_int_equal(now.milliseconds[5], 1);
	assert_int_equal(move_feature(admin, NVME_FEATURE_TIMESTAMP, NVME_FEATURE_DEFAULT, &get),
		0);
	assert_int_equal(now.milliseconds[5], 0);
	/* A reset makes it 0. */
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0, 0), 0);
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0,
				 nvme_cc_of_enabled(NVME_CC_CSS_NVM)),
		0);
	assert_int_equal(move_feature(admin, NVME_FEATURE_TIMESTAMP, 0, &get), 0);
	assert_int_equal(now.attributes, 0);
	assert_int_equal(now.milliseconds[5], 0);
	get.data_bytes = 4;
	assert_int_equal(move_feature(admin, NVME_FEATURE_TIMESTAMP, 0, &get),
		NVME_STATUS_INVALID_DATA_SGL_LENGTH | NVME_STATUS_DNR);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void test_feature_is_kept_when_the_host_tells_its_behavior(void **state)
{
	struct nvme_host_behavior behavior = {.acre = 1}, kept;
	struct fake_exchange set = {.data = &behavior, .data_bytes = sizeof(behavior)};
	struct fake_exchange get = {.ret_data = &kept, .data_bytes = sizeof(kept)};
	struct fake_connection *admin;
	struct fake_world world;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, NULL);
	assert_int_equal(move_feature(admin, NVME_FEATURE_HOST_BEHAVIOR, 0, &set), 0);
	assert_int_equal(move_feature(admin, NVME_FEATURE_HOST_BEHAVIOR, 0, &get), 0);
	assert_memory_equal(&kept, &behavior, sizeof(kept));
	behavior.acre = 2;
	assert_int_equal(move_feature(admin, NVME_FEATURE_HOST_BEHAVIOR, 0, &set), REFUSED);
	assert_int_equal(move_feature(admin, NVME_FEATURE_HOST_BEHAVIOR, 0, &get), 0);
	assert_int_equal(kept.acre, 1);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void test_feature_gives_the_host_id_when_16_bytes_are_asked(void **state)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_FEATURES, 0);
	struct fake_exchange exchange = {.data_bytes = 16};
	struct fake_connection *admin;
	struct fake_world world;
	uint8_t id[16], expected[16];

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, NULL);
	nvme_command_set_get_feature(&command, NVME_FEATURE_HOST_ID, NVME_FEATURE_CURRENT);
	assert_int_equal(fake_execute(admin, &command, &exchange), REFUSED);
	command.cdw11 = le32_of(NVME_HOST_ID_EXHID);
	exchange.ret_data = id;
	assert_int_equal(fake_execute(admin, &command, &exchange), 0);
	memset(expected, 0x11, sizeof(expected));
	assert_memory_equal(id, expected, sizeof(id));
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

/* There is no list of UUIDs (CTRATT bit 9). */
static void test_feature_is_the_same_when_a_uuid_index_is_given(void **state)
{
	static const uint32_t indexes[] = {0, 1, 127};
	struct fake_connection *admin;
	struct fake_world world;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(indexes); i++) {
		struct nvme_command set = fake_command_of(NVME_ADMIN_SET_FEATURES, 0);
		struct nvme_command get = fake_command_of(NVME_ADMIN_GET_FEATURES, 0);
		uint64_t value;

		nvme_command_set_feature(&set, NVME_FEATURE_EVENT_CONFIGURATION, (uint32_t)i + 1);
		set.cdw14 = le32_of(indexes[i]);
		assert_int_equal(fake_command(admin, &set, NULL), 0);
		nvme_command_set_get_feature(&get, NVME_FEATURE_EVENT_CONFIGURATION,
			NVME_FEATURE_CURRENT);
		for (size_t j = 0; j < ARRAY_LENGTH(indexes); j++) {
			get.cdw14 = le32_of(indexes[j]);
			assert_int_equal(fake_command(admin, &get, &value), 0);
			assert_int_equal(value, i + 1);
		}
		/* Nor does one make a feature of what is the vendor's. */
		nvme_command_set_feature(&set, 0xc0, 0);
		assert_int_equal(fake_command(admin, &set, NULL), REFUSED);
	}
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void test_feature_limits_queues_when_they_are_granted(void **state)
{
	struct fake_connection *admin, *io;
	struct fake_connect connect;
	struct fake_world world;
	uint16_t cntlid;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, &cntlid);
	assert_int_equal(set_feature(admin, NVME_FEATURE_QUEUES, nvme_queues_of(2), NULL), 0);
	io = fake_connection_open(&world, 0, NULL);
	fake_connect_init(&connect, 3, cntlid);
	assert_int_equal(fake_connect(io, &connect, NULL),
		NVME_STATUS_CONNECT_INVALID_PARAMETERS | NVME_STATUS_DNR);
	fake_connect_init(&connect, 2, cntlid);
	assert_int_equal(fake_connect(io, &connect, NULL), 0);
	/* Base 2.0, 5.27.1.5: not once there is an I/O queue. */
	assert_int_equal(set_feature(admin, NVME_FEATURE_QUEUES, nvme_queues_of(4), NULL),
		NVME_STATUS_COMMAND_SEQUENCE_ERROR | NVME_STATUS_DNR);
	fake_connection_free(io);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void test_feature_expires_the_controller_when_kato_is_set_later(void **state)
{
	struct fake_connection *admin;
	struct fake_world world;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, NULL);
	assert_int_equal(set_feature(admin, NVME_FEATURE_KEEP_ALIVE, 1500, NULL), 0);
	/* Rounded up to KAS: looked at after 2 s and after 4 s. */
	fake_world_pass(&world, 3500);
	assert_int_equal(admin->end_count, 0);
	fake_world_pass(&world, 1000);
	assert_int_equal(admin->end_count, 1);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void test_feature_is_for_persistence_when_a_discovery_controller_is_asked(void **state)
{
	static const struct {
		uint8_t fid;
		uint16_t status;
	} rows[] = {
		{NVME_FEATURE_TIMESTAMP, REFUSED},
		{NVME_FEATURE_EVENT_CONFIGURATION, 0},
		{NVME_FEATURE_KEEP_ALIVE, 0},
		{NVME_FEATURE_QUEUES, REFUSED},
		{NVME_FEATURE_VOLATILE_WRITE_CACHE, REFUSED},
	};
	struct fake_connection *discovery;
	struct fake_connect connect;
	struct fake_world world;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	discovery = fake_connection_open(&world, 1, NULL);
	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	nvme_nqn_to_field(connect.data.subnqn, NVME_NQN_DISCOVERY);
	assert_int_equal(fake_connect(discovery, &connect, NULL), 0);
	assert_int_equal(fake_property_set(discovery, NVME_PROPERTY_CC, 0, 0x460001), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		assert_int_equal(get_feature(discovery, rows[i].fid, 0, NULL), rows[i].status);
	fake_connection_free(discovery);
	fake_world_deinit(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_feature_is_kept_when_it_is_set),
		cmocka_unit_test(test_feature_is_refused_when_it_cannot_be_so),
		cmocka_unit_test(test_feature_belongs_to_a_namespace_when_it_is_error_recovery),
		cmocka_unit_test(test_feature_runs_on_when_it_is_the_timestamp),
		cmocka_unit_test(test_feature_is_kept_when_the_host_tells_its_behavior),
		cmocka_unit_test(test_feature_gives_the_host_id_when_16_bytes_are_asked),
		cmocka_unit_test(test_feature_is_the_same_when_a_uuid_index_is_given),
		cmocka_unit_test(test_feature_limits_queues_when_they_are_granted),
		cmocka_unit_test(test_feature_expires_the_controller_when_kato_is_set_later),
		cmocka_unit_test(
			test_feature_is_for_persistence_when_a_discovery_controller_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
