/*
 * What several hosts and subsystems share of one target, and what they do not.
 */
#include "target/subsystem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/completion.h"
#include "nvme/discovery.h"
#include "nvme/feature.h"
#include "nvme/identify_namespace.h"
#include "nvme/io_command.h"
#include "nvme/log_page.h"
#include "store/memory_store.h"
#include "store/store.h"
#include "test/target/fake_host.h"

#define HOST_OTHER      "nqn.2024-01.org.example:another-host"
#define NQN_OTHER       "nqn.2024-01.org.example:other"
#define NAMESPACE_EVENT 0x00040002 /* log 04h, information 0, type 2 */

static void settle(struct fake_world *world)
{
	for (unsigned i = 0; i < 8; i++)
		fake_world_turn(world);
}

/* Connect as @guest says, without more. @return the status. */
static uint16_t try_admin(struct fake_world *world, const struct fake_guest *guest)
{
	struct fake_connection *connection = fake_connection_open(world, 0, NULL);
	struct fake_connect connect;
	uint16_t status;

	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	nvme_nqn_to_field(connect.data.subnqn, guest->nqn);
	nvme_nqn_to_field(connect.data.hostnqn, guest->host_nqn);
	status = fake_connect(connection, &connect, NULL);
	fake_connection_free(connection);
	settle(world);
	return status;
}

static uint16_t try_io(struct fake_world *world, const char *host_nqn, uint16_t cntlid,
	uint16_t qid)
{
	struct fake_connection *connection = fake_connection_open(world, 1, NULL);
	struct fake_connect connect;
	uint16_t status;

	fake_connect_init(&connect, qid, cntlid);
	nvme_nqn_to_field(connect.data.hostnqn, host_nqn);
	status = fake_connect(connection, &connect, NULL);
	fake_connection_free(connection);
	settle(world);
	return status;
}

static void test_subsystem_refuses_a_controller_when_its_host_has_too_many(void **state)
{
	static const struct fake_guest again = {FAKE_NQN, FAKE_HOST_NQN, NULL, 0};
	static const struct fake_guest other_host = {FAKE_NQN, HOST_OTHER, NULL, 0};
	static const struct fake_guest elsewhere = {NQN_OTHER, FAKE_HOST_NQN, NULL, 0};
	struct target_limits limits = target_limits_default();
	struct fake_connection *admins[2];
	struct subsystem *other;
	struct fake_world world;

	(void)state;
	limits.host_controllers_max = ARRAY_LENGTH(admins);
	fake_world_init(&world, &limits);
	assert_int_equal(target_add_subsystem(world.target, NQN_OTHER, &other), 0);
	subsystem_allow_any_host(other);
	target_publish(world.target);
	for (unsigned i = 0; i < ARRAY_LENGTH(admins); i++)
		admins[i] = fake_admin(&world, i, NULL);
	assert_int_equal(try_admin(&world, &again), NVME_STATUS_CONNECT_CONTROLLER_BUSY);
	assert_string_equal(world.log_line,
		"192.0.2.7:50123: refused " FAKE_HOST_NQN " as queue 0 of " FAKE_NQN
		": the host has as many controllers as it may have (00000000h)");
	assert_int_equal(try_admin(&world, &other_host), 0);
	assert_int_equal(try_admin(&world, &elsewhere), 0);
	fake_connection_free(admins[0]);
	settle(&world);
	assert_int_equal(try_admin(&world, &again), 0);
	fake_connection_free(admins[1]);
	fake_world_deinit(&world);
}

static void test_subsystem_refuses_an_io_queue_when_its_host_has_too_many(void **state)
{
	static const struct fake_guest other_host = {.host_nqn = HOST_OTHER};
	struct target_limits limits = target_limits_default();
	struct fake_connection *admins[3], *queues[2];
	struct fake_world world;
	uint16_t cntlids[3];

	(void)state;
	limits.host_queues_max = ARRAY_LENGTH(queues);
	fake_world_init(&world, &limits);
	target_publish(world.target);
	admins[0] = fake_admin(&world, 0, &cntlids[0]);
	admins[1] = fake_admin(&world, 1, &cntlids[1]);
	admins[2] = fake_admin_of(&world, 0, &other_host, &cntlids[2]);
	/* Of two controllers in all. */
	for (unsigned i = 0; i < ARRAY_LENGTH(queues); i++)
		queues[i] = fake_io(&world, i, cntlids[i], 1);
	assert_int_equal(try_io(&world, FAKE_HOST_NQN, cntlids[0], 2),
		NVME_STATUS_CONNECT_CONTROLLER_BUSY);
	assert_non_null(strstr(world.log_line,
		"refused " FAKE_HOST_NQN " as queue 2 of controller 1 of " FAKE_NQN
		": the host has as many I/O queues as it may have"));
	assert_int_equal(try_io(&world, HOST_OTHER, cntlids[2], 1), 0);
	/* One that is lost makes room, on either controller. */
	fake_connection_free(queues[1]);
	settle(&world);
	assert_int_equal(try_io(&world, FAKE_HOST_NQN, cntlids[0], 2), 0);
	assert_int_equal(try_io(&world, FAKE_HOST_NQN, cntlids[1], 1), 0);
	fake_connection_free(queues[0]);
	for (unsigned i = 0; i < ARRAY_LENGTH(admins); i++)
		fake_connection_free(admins[i]);
	fake_world_deinit(&world);
}

/* Two hosts, each with a subsystem of its own: the first has one namespace, the second two. */
struct pair {
	struct fake_world world;
	struct store *stores[3];
	struct fake_connection *admins[2];
	uint16_t cntlids[2];
};

static const struct fake_guest guests[2] = {
	{"nqn.2024-01.org.example:disk-a", "nqn.2024-01.org.example:host-a", NULL, 0},
	{"nqn.2024-01.org.example:disk-b", "nqn.2024-01.org.example:host-b", NULL, 0},
};

static void pair_init(struct pair *pair)
{
	static const struct store_options options = {0};
	struct subsystem *subsystems[2];

	fake_world_init(&pair->world, NULL);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(target_add_subsystem(pair->world.target, guests[i].nqn,
					 &subsystems[i]),
			0);
		assert_int_equal(subsystem_allow_host(subsystems[i], guests[i].host_nqn), 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(memory_store_new(1 << 20, &options, &pair->stores[i]), 0);
		assert_true(subsystem_add_namespace(subsystems[i > 0], pair->stores[i]) > 0);
	}
	target_publish(pair->world.target);
	for (unsigned i = 0; i < 2; i++)
		pair->admins[i] = fake_admin_of(&pair->world, i, &guests[i], &pair->cntlids[i]);
}

static void pair_deinit(struct pair *pair)
{
	for (unsigned i = 0; i < 2; i++)
		fake_connection_free(pair->admins[i]);
	fake_world_deinit(&pair->world);
	for (unsigned i = 0; i < 3; i++)
		store_free(pair->stores[i]);
}

static void read_log(struct fake_connection *admin, uint8_t lid, void *ret_page, size_t bytes)
{
	const struct nvme_get_log_page fields = {.lid = lid, .length_bytes = bytes};
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_LOG_PAGE, NVME_NSID_BROADCAST);
	struct fake_exchange exchange = {.ret_data = ret_page, .data_bytes = bytes};

	nvme_command_set_get_log_page(&command, &fields);
	assert_int_equal(fake_execute(admin, &command, &exchange), 0);
}

static uint32_t first_changed(struct fake_connection *admin)
{
	struct nvme_nsid_list page;

	read_log(admin, NVME_LOG_PAGE_CHANGED_NAMESPACES, &page, sizeof(page));
	return le32_get(page.nsid[0]);
}

static void test_subsystem_tells_its_hosts_alone_when_its_namespace_changes(void **state)
{
	struct nvme_command configure = fake_command_of(NVME_ADMIN_SET_FEATURES, 0);
	struct nvme_command event = fake_command_of(NVME_ADMIN_ASYNC_EVENT, 0);
	struct fake_command *events[2];
	struct pair pair;

	(void)state;
	pair_init(&pair);
	nvme_command_set_feature(&configure, NVME_FEATURE_EVENT_CONFIGURATION,
		NVME_OAES_NAMESPACE_ATTRIBUTE);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(fake_command(pair.admins[i], &configure, NULL), 0);
		events[i] = fake_send(pair.admins[i], &event, NULL, 0);
	}
	target_note_store(pair.world.target, pair.stores[2]);
	assert_int_equal(fake_wait(events[1]), 0);
	assert_int_equal(events[1]->result, NAMESPACE_EVENT);
	settle(&pair.world);
	assert_false(events[0]->is_done);
	assert_int_equal(first_changed(pair.admins[0]), 0);
	assert_int_equal(first_changed(pair.admins[1]), 2);
	fake_connection_close(pair.admins[0]);
	assert_int_equal(fake_wait(events[0]), NVME_STATUS_ABORTED_SQ_DELETION);
	for (unsigned i = 0; i < 2; i++)
		fake_command_free(events[i]);
	pair_deinit(&pair);
}

static void test_subsystem_logs_for_its_hosts_alone_when_a_command_fails(void **state)
{
	struct nvme_command unknown = fake_command_of(0xc0, 0);
	struct nvme_log_error entry;
	struct nvme_log_smart smart;
	struct pair pair;

	(void)state;
	pair_init(&pair);
	assert_int_not_equal(fake_command(pair.admins[1], &unknown, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		read_log(pair.admins[i], NVME_LOG_PAGE_ERROR, &entry, sizeof(entry));
		assert_int_equal(le64_get(entry.error_count), i);
		read_log(pair.admins[i], NVME_LOG_PAGE_SMART, &smart, sizeof(smart));
		assert_int_equal(smart.error_log_entries[0], i);
	}
	pair_deinit(&pair);
}

static void test_subsystem_counts_its_own_io_when_others_have_some(void **state)
{
	struct nvme_command read = fake_command_of(NVME_IO_READ, 2);
	struct nvme_log_smart smart;
	struct fake_connection *io;
	struct fake_connect connect;
	struct pair pair;
	uint8_t block[512];
	struct fake_exchange exchange = {.ret_data = block, .data_bytes = sizeof(block)};

	(void)state;
	pair_init(&pair);
	io = fake_connection_open(&pair.world, 0, NULL);
	fake_connect_init(&connect, 1, pair.cntlids[1]);
	nvme_nqn_to_field(connect.data.subnqn, guests[1].nqn);
	nvme_nqn_to_field(connect.data.hostnqn, guests[1].host_nqn);
	assert_int_equal(fake_connect(io, &connect, NULL), 0);
	nvme_command_set_range(&read, 0, 1, 0);
	assert_int_equal(fake_execute(io, &read, &exchange), 0);
	for (unsigned i = 0; i < 2; i++) {
		read_log(pair.admins[i], NVME_LOG_PAGE_SMART, &smart, sizeof(smart));
		assert_int_equal(smart.host_reads[0], i);
	}
	fake_connection_free(io);
	pair_deinit(&pair);
}

static void test_subsystem_has_its_own_namespaces_when_there_are_others(void **state)
{
	struct nvme_command identify = fake_command_of(NVME_ADMIN_IDENTIFY, 0);
	struct nvme_nsid_list page = {0};
	struct fake_exchange exchange = {.ret_data = &page, .data_bytes = sizeof(page)};
	struct pair pair;

	(void)state;
	pair_init(&pair);
	identify.cdw10 = le32_of(NVME_CNS_ACTIVE_NAMESPACES);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(fake_execute(pair.admins[i], &identify, &exchange), 0);
		assert_int_equal(le32_get(page.nsid[0]), 1);
		assert_int_equal(le32_get(page.nsid[1]), i == 0 ? 0 : 2);
		assert_int_equal(le32_get(page.nsid[2]), 0);
	}
	pair_deinit(&pair);
}

static void test_subsystem_is_not_told_of_when_the_host_may_not_have_it(void **state)
{
	static const struct target_address address = {false, "192.0.2.1", 4420, false};
	struct {
		struct nvme_discovery_log header;
		struct nvme_discovery_record records[4];
	} page;
	struct pair pair;

	(void)state;
	pair_init(&pair);
	assert_int_equal(target_add_address(pair.world.target, &address), 0);
	for (unsigned i = 0; i < 2; i++) {
		const struct fake_guest discovering = {NVME_NQN_DISCOVERY, guests[i].host_nqn, NULL,
			0};
		const struct fake_guest intruding = {guests[1 - i].nqn, guests[i].host_nqn, NULL,
			0};
		struct fake_connection *discovery =
			fake_admin_of(&pair.world, 0, &discovering, NULL);

		read_log(discovery, NVME_LOG_PAGE_DISCOVERY, &page, sizeof(page));
		/* Itself, the one that is open to any host, and the host's own. */
		assert_int_equal(le64_get(page.header.numrec), 3);
		assert_string_equal(page.records[1].subnqn, FAKE_NQN);
		assert_string_equal(page.records[2].subnqn, guests[i].nqn);
		fake_connection_free(discovery);
		assert_int_equal(try_admin(&pair.world, &intruding),
			NVME_STATUS_CONNECT_INVALID_HOST | NVME_STATUS_DNR);
	}
	pair_deinit(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_subsystem_refuses_a_controller_when_its_host_has_too_many),
		cmocka_unit_test(test_subsystem_refuses_an_io_queue_when_its_host_has_too_many),
		cmocka_unit_test(test_subsystem_tells_its_hosts_alone_when_its_namespace_changes),
		cmocka_unit_test(test_subsystem_logs_for_its_hosts_alone_when_a_command_fails),
		cmocka_unit_test(test_subsystem_counts_its_own_io_when_others_have_some),
		cmocka_unit_test(test_subsystem_has_its_own_namespaces_when_there_are_others),
		cmocka_unit_test(test_subsystem_is_not_told_of_when_the_host_may_not_have_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
