#include "nvme/discovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/log_page.h"
#include "nvme/property.h"
#include "nvme/status.h"
#include "test/target/fake_host.h"

#define NQN_PRIVATE "nqn.2024-01.org.example:private"
#define HOST_MEMBER "nqn.2024-01.org.example:member"
#define RECORDS_MAX 16

static const struct target_queue_peer from_ipv4 = {
	.name = "192.0.2.7:50123",
	.local_host = "192.0.2.1",
};
static const struct target_queue_peer from_ipv6 = {
	.name = "[2001:db8::7]:50123",
	.local_host = "2001:db8::1",
	.is_local_ipv6 = true,
};
static const struct target_queue_peer from_nowhere = {.name = "memory", .local_host = ""};

static void set_up_with(struct fake_world *world, const struct target_limits *limits)
{
	static const struct target_address addresses[] = {
		{false, "", 4420, false},
		{true, "", 4421, false},
		{false, "198.51.100.1", 8009, false},
	};
	struct subsystem *subsystem;

	fake_world_init(world, limits);
	assert_int_equal(target_add_subsystem(world->target, NQN_PRIVATE, &subsystem), 0);
	assert_int_equal(subsystem_allow_host(subsystem, HOST_MEMBER), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++)
		assert_int_equal(target_add_address(world->target, &addresses[i]), 0);
	target_publish(world->target);
}

static void set_up(struct fake_world *world)
{
	set_up_with(world, NULL);
}

static struct fake_connection *discover(struct fake_world *world, const char *host_nqn,
	const struct target_queue_peer *peer)
{
	const struct fake_guest guest = {NVME_NQN_DISCOVERY, host_nqn, peer, 0};

	return fake_admin_of(world, 0, &guest, NULL);
}

static uint16_t read_log(struct fake_connection *connection, uint64_t offset, size_t bytes,
	void *ret_data)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_LOG_PAGE, 0);
	struct nvme_get_log_page fields = {.lid = 0x70, .offset = offset, .length_bytes = bytes};
	struct fake_exchange exchange = {.ret_data = ret_data, .data_bytes = bytes};

	nvme_command_set_get_log_page(&command, &fields);
	return fake_execute(connection, &command, &exchange);
}

/* As Linux's nvme-cli reads it: 20 bytes, the records, 20 bytes again. */
static uint64_t read_records(struct fake_connection *connection,
	struct nvme_discovery_record ret_records[RECORDS_MAX])
{
	uint8_t head[20], again[20];
	uint64_t count;

	assert_int_equal(read_log(connection, 0, sizeof(head), head), 0);
	count = le64_load(head + 8);
	assert_true(count <= RECORDS_MAX);
	if (count > 0)
		assert_int_equal(read_log(connection, 1024, (size_t)count * sizeof(*ret_records),
					 ret_records),
			0);
	assert_int_equal(read_log(connection, 0, sizeof(again), again), 0);
	assert_memory_equal(head, again, sizeof(head));
	assert_int_not_equal(le64_load(head), 0);
	return count;
}

static void test_discovery_lists_what_the_host_may_have_when_it_asks(void **state)
{
	static const struct {
		const char *host_nqn;
		const struct target_queue_peer *peer;
		const char *records; /* subnqn, address and port of each */
	} rows[] = {
		{FAKE_HOST_NQN, &from_ipv4,
			NVME_NQN_DISCOVERY " 192.0.2.1 4420\n" NVME_NQN_DISCOVERY
					   " 198.51.100.1 8009\n" FAKE_NQN
					   " 192.0.2.1 4420\n" FAKE_NQN " 198.51.100.1 8009\n"},
		{HOST_MEMBER, &from_ipv4,
			NVME_NQN_DISCOVERY
			" 192.0.2.1 4420\n" NVME_NQN_DISCOVERY " 198.51.100.1 8009\n" FAKE_NQN
			" 192.0.2.1 4420\n" FAKE_NQN " 198.51.100.1 8009\n" NQN_PRIVATE
			" 192.0.2.1 4420\n" NQN_PRIVATE " 198.51.100.1 8009\n"},
		{FAKE_HOST_NQN, &from_ipv6,
			NVME_NQN_DISCOVERY " 2001:db8::1 4421\n" NVME_NQN_DISCOVERY
					   " 198.51.100.1 8009\n" FAKE_NQN
					   " 2001:db8::1 4421\n" FAKE_NQN " 198.51.100.1 8009\n"},
		{FAKE_HOST_NQN, &from_nowhere,
			NVME_NQN_DISCOVERY " 198.51.100.1 8009\n" FAKE_NQN " 198.51.100.1 8009\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_discovery_record records[RECORDS_MAX];
		struct fake_connection *connection;
		struct fake_world world;
		char listed[2048] = "";
		uint64_t count;

		set_up(&world);
		connection = discover(&world, rows[i].host_nqn, rows[i].peer);
		count = read_records(connection, records);
		for (uint64_t at = 0; at < count; at++) {
			size_t used = strlen(listed);

			(void)snprintf(listed + used, sizeof(listed) - used, "%s %s %s\n",
				records[at].subnqn, records[at].traddr, records[at].trsvcid);
		}
		assert_string_equal(listed, rows[i].records);
		fake_connection_free(connection);
		fake_world_deinit(&world);
	}
}

static void test_discovery_fills_a_record_when_it_is_of_either_kind(void **state)
{
	struct nvme_discovery_record records[RECORDS_MAX];
	struct fake_connection *connection;
	struct fake_world world;

	(void)state;
	set_up(&world);
	connection = discover(&world, FAKE_HOST_NQN, &from_ipv6);
	assert_int_equal(read_records(connection, records), 4);
	assert_int_equal(records[0].trtype, NVME_TRTYPE_TCP);
	assert_int_equal(records[0].adrfam, NVME_ADRFAM_IPV6);
	assert_int_equal(records[0].subtype, NVME_SUBTYPE_CURRENT);
	assert_int_equal(le16_get(records[0].eflags), NVME_EFLAGS_PERSISTENT);
	assert_int_equal(records[1].adrfam, NVME_ADRFAM_IPV4);
	assert_int_equal(records[2].subtype, NVME_SUBTYPE_NVM);
	assert_int_equal(le16_get(records[2].eflags), 0);
	assert_int_equal(le16_get(records[2].cntlid), NVME_CNTLID_DYNAMIC);
	assert_int_equal(le16_get(records[2].asqsz), 4096);
	assert_int_equal(records[2].treq, NVME_TREQ_NOT_REQUIRED | NVME_TREQ_SQFC);
	assert_int_equal(le16_get(records[2].portid), 2);
	assert_int_equal(records[2].sectype, NVME_SECTYPE_NONE);
	fake_connection_free(connection);
	fake_world_deinit(&world);
}

static void test_discovery_tells_when_flow_control_cannot_be_disabled(void **state)
{
	struct target_limits limits = target_limits_default();
	struct nvme_discovery_record records[RECORDS_MAX];
	struct fake_connection *connection;
	struct fake_world world;

	(void)state;
	limits.is_flow_control_kept = true;
	set_up_with(&world, &limits);
	connection = discover(&world, FAKE_HOST_NQN, &from_ipv6);
	assert_int_equal(read_records(connection, records), 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(records[i].treq, NVME_TREQ_NOT_REQUIRED);
	fake_connection_free(connection);
	fake_world_deinit(&world);
}

static void test_discovery_is_the_same_when_read_in_pieces(void **state)
{
	static uint8_t whole[5 * 1024 + 4], piece[1500];
	struct fake_connection *connection;
	struct fake_world world;

	(void)state;
	set_up(&world);
	connection = discover(&world, FAKE_HOST_NQN, &from_ipv4);
	assert_int_equal(read_log(connection, 0, sizeof(whole), whole), 0);
	assert_int_equal(le32_load(whole + sizeof(whole) - 4), 0);
	for (uint64_t offset = 0; offset + sizeof(piece) <= sizeof(whole); offset += 244) {
		assert_int_equal(read_log(connection, offset, sizeof(piece), piece), 0);
		assert_memory_equal(piece, whole + offset, sizeof(piece));
	}
	assert_int_equal(read_log(connection, 5 * 1024, 4, piece), 0);
	assert_int_equal(read_log(connection, 5 * 1024 + 4, 4, piece),
		NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR);
	fake_connection_free(connection);
	fake_world_deinit(&world);
}

static uint64_t read_generation(struct fake_connection *connection)
{
	uint8_t head[16];

	assert_int_equal(read_log(connection, 0, sizeof(head), head), 0);
	return le64_load(head);
}

static void test_discovery_is_as_it_was_when_something_changes_between_two_pieces(void **state)
{
	static const struct target_address added = {false, "198.51.100.2", 4420, false};
	static uint8_t before[5 * 1024], after[5 * 1024], piece[1024];
	struct fake_connection *connection;
	struct fake_world world;

	(void)state;
	set_up(&world);
	connection = discover(&world, FAKE_HOST_NQN, &from_ipv4);
	assert_int_equal(read_log(connection, 0, sizeof(before), before), 0);
	assert_int_equal(target_add_address(world.target, &added), 0);
	for (uint64_t offset = 1024; offset < sizeof(before); offset += sizeof(piece)) {
		assert_int_equal(read_log(connection, offset, sizeof(piece), piece), 0);
		assert_memory_equal(piece, before + offset, sizeof(piece));
	}
	assert_int_equal(read_log(connection, 5 * 1024 + 4, 4, piece),
		NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR);
	/* From the beginning it is another page, of another generation. */
	assert_int_equal(read_log(connection, 0, sizeof(after), after), 0);
	assert_int_equal(le64_load(after), le64_load(before) + 1);
	assert_int_equal(le64_load(before + 8), 4);
	assert_int_equal(le64_load(after + 8), 6);
	assert_int_equal(read_log(connection, 7 * 1024, 4, piece), 0);
	fake_connection_free(connection);
	fake_world_deinit(&world);
}

static void test_discovery_tells_when_it_is_read_from_the_middle_first(void **state)
{
	struct nvme_discovery_record record = {0};
	struct fake_connection *connection;
	struct fake_world world;

	(void)state;
	set_up(&world);
	connection = discover(&world, FAKE_HOST_NQN, &from_ipv4);
	assert_int_equal(read_log(connection, 1024, sizeof(record), &record), 0);
	assert_string_equal(record.subnqn, NVME_NQN_DISCOVERY);
	fake_connection_free(connection);
	fake_world_deinit(&world);
}

static void test_discovery_generation_stays_when_nothing_changes_for_the_host(void **state)
{
	static const struct target_address added[] = {
		{true, "", 4430, false},
		{false, "198.51.100.1", 8009, false},
	};
	struct fake_connection *ipv4, *ipv6;
	uint64_t before[2], after[2];
	struct fake_world world;

	(void)state;
	set_up(&world);
	ipv4 = discover(&world, FAKE_HOST_NQN, &from_ipv4);
	ipv6 = discover(&world, FAKE_HOST_NQN, &from_ipv6);
	before[0] = read_generation(ipv4);
	before[1] = read_generation(ipv6);
	for (size_t i = 0; i < ARRAY_LENGTH(added); i++)
		assert_int_equal(target_add_address(world.target, &added[i]), 0);
	after[0] = read_generation(ipv4);
	after[1] = read_generation(ipv6);
	assert_int_equal(after[0], before[0]);
	assert_true(after[1] > before[1]);
	assert_int_equal(read_generation(ipv6), after[1]);
	fake_connection_free(ipv6);
	fake_connection_free(ipv4);
	fake_world_deinit(&world);
}

/* None is offered: Base 2.0, 5.16.1.1, would say so in the page of supported pages. */
static void test_discovery_is_the_same_when_a_specific_parameter_is_given(void **state)
{
	static uint8_t plain[5 * 1024], page[5 * 1024];
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_LOG_PAGE, 0);
	struct nvme_get_log_page fields = {.lid = 0x70, .length_bytes = sizeof(page)};
	struct fake_exchange exchange = {.ret_data = page, .data_bytes = sizeof(page)};
	struct fake_connection *connection;
	struct fake_world world;

	(void)state;
	set_up(&world);
	connection = discover(&world, FAKE_HOST_NQN, &from_ipv4);
	assert_int_equal(read_log(connection, 0, sizeof(plain), plain), 0);
	assert_int_equal(((struct nvme_discovery_log *)plain)->dlpf, 0);
	for (fields.lsp = 1; fields.lsp < 8; fields.lsp++) {
		nvme_command_set_get_log_page(&command, &fields);
		assert_int_equal(fake_execute(connection, &command, &exchange), 0);
		assert_memory_equal(page, plain, sizeof(page));
	}
	fake_connection_free(connection);
	fake_world_deinit(&world);
}

static void test_discovery_controller_refuses_when_a_command_is_not_for_it(void **state)
{
	static const uint8_t opcodes[] = {NVME_ADMIN_ABORT, NVME_ADMIN_FORMAT_NVM, 0x01};
	struct nvme_command keep_alive = fake_command_of(NVME_ADMIN_KEEP_ALIVE, 0);
	struct fake_connection *connection;
	struct fake_world world;

	(void)state;
	set_up(&world);
	connection = discover(&world, FAKE_HOST_NQN, &from_ipv4);
	for (size_t i = 0; i < ARRAY_LENGTH(opcodes); i++) {
		struct nvme_command command = fake_command_of(opcodes[i], 0);

		assert_int_equal(fake_command(connection, &command, NULL),
			NVME_STATUS_INVALID_OPCODE | NVME_STATUS_DNR);
	}
	assert_int_equal(fake_command(connection, &keep_alive, NULL), 0);
	fake_connection_free(connection);
	fake_world_deinit(&world);
}

#define KATO_MS 3000
#define IDLE_MS 120000 /* without KATO: Base 2.0, 3.1.2.3 */

/* A look at whether anything came is taken once in a period: the end comes within two. */
static void test_discovery_controller_ends_when_its_host_is_silent(void **state)
{
	static const struct {
		uint32_t kato_ms;
		uint64_t alive_ms; /* so long it certainly is */
		const char *reason;
	} rows[] = {
		{0, IDLE_MS, "nobody asks for discovery any more"},
		{KATO_MS, KATO_MS, "keep alive timeout"},
		{2 * IDLE_MS, 2 * IDLE_MS, "keep alive timeout"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct fake_guest guest = {NVME_NQN_DISCOVERY, NULL, NULL, rows[i].kato_ms};
		struct nvme_command event = fake_command_of(NVME_ADMIN_ASYNC_EVENT, 0);
		struct fake_connection *connection;
		struct fake_command *held;
		struct fake_world world;

		set_up(&world);
		connection = fake_admin_of(&world, 0, &guest, NULL);
		/* That an event is waited for is no sign of life. */
		held = fake_send(connection, &event, NULL, 0);
		fake_world_pass(&world, rows[i].alive_ms - 200);
		assert_int_equal(connection->end_count, 0);
		fake_world_pass(&world, rows[i].alive_ms + 400);
		assert_int_equal(connection->end_count, 1);
		assert_string_equal(connection->end_reason, rows[i].reason);
		assert_int_equal(fake_wait(held), NVME_STATUS_ABORTED_SQ_DELETION);
		fake_command_free(held);
		fake_connection_free(connection);
		fake_world_deinit(&world);
	}
}

static void test_discovery_controller_lives_when_its_host_asks_now_and_then(void **state)
{
	static const uint32_t katos_ms[] = {0, KATO_MS};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(katos_ms); i++) {
		const struct fake_guest guest = {NVME_NQN_DISCOVERY, NULL, NULL, katos_ms[i]};
		struct nvme_command keep_alive = fake_command_of(NVME_ADMIN_KEEP_ALIVE, 0);
		struct fake_connection *connection;
		struct fake_world world;

		set_up(&world);
		connection = fake_admin_of(&world, 0, &guest, NULL);
		for (unsigned j = 0; j < 5; j++) {
			fake_world_pass(&world, (katos_ms[i] != 0 ? KATO_MS : IDLE_MS) - 1000);
			if (j % 2 == 0)
				assert_int_equal(fake_command(connection, &keep_alive, NULL), 0);
			else
				(void)read_generation(connection);
		}
		assert_int_equal(connection->end_count, 0);
		fake_connection_free(connection);
		fake_world_deinit(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_discovery_lists_what_the_host_may_have_when_it_asks),
		cmocka_unit_test(test_discovery_fills_a_record_when_it_is_of_either_kind),
		cmocka_unit_test(test_discovery_tells_when_flow_control_cannot_be_disabled),
		cmocka_unit_test(test_discovery_is_the_same_when_read_in_pieces),
		cmocka_unit_test(
			test_discovery_is_as_it_was_when_something_changes_between_two_pieces),
		cmocka_unit_test(test_discovery_tells_when_it_is_read_from_the_middle_first),
		cmocka_unit_test(test_discovery_generation_stays_when_nothing_changes_for_the_host),
		cmocka_unit_test(test_discovery_is_the_same_when_a_specific_parameter_is_given),
		cmocka_unit_test(test_discovery_controller_refuses_when_a_command_is_not_for_it),
		cmocka_unit_test(test_discovery_controller_ends_when_its_host_is_silent),
		cmocka_unit_test(test_discovery_controller_lives_when_its_host_asks_now_and_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
