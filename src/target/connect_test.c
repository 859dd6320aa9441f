#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/completion.h"
#include "nvme/property.h"
#include "test/target/fake_host.h"

#define DNR              NVME_STATUS_DNR
#define INVALID          (NVME_STATUS_CONNECT_INVALID_PARAMETERS | DNR)
#define NQN_OTHER        "nqn.2024-01.org.example:other"
#define NQN_CLOSED       "nqn.2024-01.org.example:closed"
#define HOST_NQN_OTHER   "nqn.2024-01.org.example:another-host"
#define CNTLID_NONE      0x1234
#define IPO_DATA(offset) (0x10000u | (offset))

static void set_up(struct fake_world *world)
{
	struct subsystem *subsystem;

	fake_world_init(world, NULL);
	assert_int_equal(target_add_subsystem(world->target, NQN_OTHER, &subsystem), 0);
	subsystem_allow_any_host(subsystem);
	assert_int_equal(target_add_subsystem(world->target, NQN_CLOSED, &subsystem), 0);
	assert_int_equal(subsystem_allow_host(subsystem, HOST_NQN_OTHER), 0);
	target_publish(world->target);
}

/* What is altered in a Connect that would succeed. */

static void alter_nothing(struct fake_connect *connect)
{
	(void)connect;
}

static void alter_recfmt(struct fake_connect *connect)
{
	connect->command.recfmt = le16_of(1);
}

static void alter_subnqn_unknown(struct fake_connect *connect)
{
	nvme_nqn_to_field(connect->data.subnqn, "nqn.2024-01.org.example:nothing");
}

static void alter_subnqn_endless(struct fake_connect *connect)
{
	memset(connect->data.subnqn, 'a', sizeof(connect->data.subnqn));
}

static void alter_subnqn_empty(struct fake_connect *connect)
{
	memset(connect->data.subnqn, 0, sizeof(connect->data.subnqn));
}

static void alter_hostnqn_endless(struct fake_connect *connect)
{
	memset(connect->data.hostnqn, 'a', sizeof(connect->data.hostnqn));
}

static void alter_hostnqn_empty(struct fake_connect *connect)
{
	memset(connect->data.hostnqn, 0, sizeof(connect->data.hostnqn));
}

static void alter_hostnqn(struct fake_connect *connect)
{
	nvme_nqn_to_field(connect->data.hostnqn, HOST_NQN_OTHER);
}

static void alter_hostid_zero(struct fake_connect *connect)
{
	memset(connect->data.hostid, 0, sizeof(connect->data.hostid));
}

static void alter_hostid(struct fake_connect *connect)
{
	connect->data.hostid[15] ^= 1;
}

static void alter_subnqn_closed(struct fake_connect *connect)
{
	nvme_nqn_to_field(connect->data.subnqn, NQN_CLOSED);
}

static void alter_subnqn_discovery(struct fake_connect *connect)
{
	nvme_nqn_to_field(connect->data.subnqn, NVME_NQN_DISCOVERY);
}

static void alter_subnqn_other(struct fake_connect *connect)
{
	nvme_nqn_to_field(connect->data.subnqn, NQN_OTHER);
}

static void alter_cntlid(struct fake_connect *connect)
{
	connect->data.cntlid = le16_of(CNTLID_NONE);
}

static void alter_cntlid_static(struct fake_connect *connect)
{
	connect->data.cntlid = le16_of(NVME_CNTLID_STATIC);
}

static void alter_sqsize_zero(struct fake_connect *connect)
{
	connect->command.sqsize = le16_of(0);
}

static void alter_sqsize_admin_most(struct fake_connect *connect)
{
	connect->command.sqsize = le16_of(4095);
}

static void alter_sqsize_admin_over(struct fake_connect *connect)
{
	connect->command.sqsize = le16_of(4096);
}

static void alter_sqsize_io_most(struct fake_connect *connect)
{
	connect->command.sqsize = le16_of(1023);
}

static void alter_sqsize_io_over(struct fake_connect *connect)
{
	connect->command.sqsize = le16_of(1024);
}

static void alter_qid_most(struct fake_connect *connect)
{
	connect->command.qid = le16_of(128);
}

static void alter_qid_over(struct fake_connect *connect)
{
	connect->command.qid = le16_of(129);
}

static void alter_qid_used(struct fake_connect *connect)
{
	connect->command.qid = le16_of(2);
}

static void alter_flags(struct fake_connect *connect)
{
	connect->command.flags = NVME_FLAGS_PSDT_PRP;
}

struct connect_row {
	void (*alter)(struct fake_connect *connect);
	uint16_t status;
	uint32_t result; /* of a failure */
};

static void test_connect_gives_the_status_when_an_admin_queue_asks(void **state)
{
	static const struct connect_row rows[] = {
		{alter_nothing, 0, 0},
		{alter_sqsize_admin_most, 0, 0},
		{alter_subnqn_discovery, 0, 0},
		{alter_subnqn_other, 0, 0},
		{alter_flags, NVME_STATUS_INVALID_FIELD | DNR, 0},
		{alter_recfmt, NVME_STATUS_CONNECT_INCOMPATIBLE_FORMAT | DNR, 0},
		{alter_subnqn_unknown, INVALID, IPO_DATA(256)},
		{alter_subnqn_endless, INVALID, IPO_DATA(256)},
		{alter_subnqn_empty, INVALID, IPO_DATA(256)},
		{alter_hostnqn_endless, INVALID, IPO_DATA(512)},
		{alter_hostnqn_empty, INVALID, IPO_DATA(512)},
		{alter_hostid_zero, INVALID, IPO_DATA(0)},
		{alter_subnqn_closed, NVME_STATUS_CONNECT_INVALID_HOST | DNR, IPO_DATA(512)},
		{alter_cntlid, INVALID, IPO_DATA(16)},
		{alter_cntlid_static, INVALID, IPO_DATA(16)},
		{alter_sqsize_zero, INVALID, 44},
		{alter_sqsize_admin_over, INVALID, 44},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct fake_connect connect;
		struct fake_connection *connection;
		struct fake_world world;
		uint64_t result;

		set_up(&world);
		connection = fake_connection_open(&world, 0, NULL);
		fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
		rows[i].alter(&connect);
		assert_int_equal(fake_connect(connection, &connect, &result), rows[i].status);
		assert_int_equal(result, rows[i].status == 0 ? 1 : rows[i].result);
		assert_int_equal(connection->is_connected, rows[i].status == 0);
		assert_true(world.log_line_count > 0);
		fake_connection_free(connection);
		fake_world_deinit(&world);
	}
}

static void test_connect_gives_the_status_when_an_io_queue_asks(void **state)
{
	static const struct connect_row rows[] = {
		{alter_nothing, 0, 0},
		{alter_sqsize_io_most, 0, 0},
		{alter_qid_most, 0, 0},
		{alter_recfmt, NVME_STATUS_CONNECT_INCOMPATIBLE_FORMAT | DNR, 0},
		{alter_subnqn_discovery, NVME_STATUS_INVALID_QUEUE_TYPE | DNR, 0},
		{alter_subnqn_other, INVALID, IPO_DATA(16)},
		{alter_cntlid, INVALID, IPO_DATA(16)},
		{alter_hostid, INVALID, IPO_DATA(0)},
		{alter_hostnqn, INVALID, IPO_DATA(512)},
		{alter_sqsize_zero, INVALID, 44},
		{alter_sqsize_io_over, INVALID, 44},
		{alter_qid_over, INVALID, 42},
		{alter_qid_used, NVME_STATUS_COMMAND_SEQUENCE_ERROR | DNR, 0},
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LENGTH(rows); i++) {
		const struct connect_row *row = &rows[i / 2];
		struct fake_connection *admin, *other, *connection;
		struct fake_connect connect;
		struct fake_world world;
		uint16_t cntlid;
		uint64_t result;

		set_up(&world);
		admin = fake_admin(&world, 0, &cntlid);
		other = fake_io(&world, 0, cntlid, 2);
		/* On the controller's loop, and on another. */
		connection = fake_connection_open(&world, i % 2, NULL);
		fake_connect_init(&connect, 1, cntlid);
		row->alter(&connect);
		assert_int_equal(fake_connect(connection, &connect, &result), row->status);
		assert_int_equal(result, row->status == 0 ? cntlid : row->result);
		fake_connection_free(connection);
		fake_connection_free(other);
		fake_connection_free(admin);
		fake_world_deinit(&world);
	}
}

static void test_connect_tells_the_transport_when_it_succeeds(void **state)
{
	struct fake_connection *admin, *io;
	struct fake_connect connect;
	struct fake_world world;
	uint64_t cntlid;

	(void)state;
	set_up(&world);
	admin = fake_connection_open(&world, 0, NULL);
	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	connect.command.kato = le32_of(5000);
	assert_int_equal(fake_connect(admin, &connect, &cntlid), 0);
	assert_int_equal(admin->parameters.qid, 0);
	assert_int_equal(admin->parameters.entries, 32);
	assert_false(admin->parameters.is_flow_control_off);
	assert_true(admin->parameters.is_kept_alive);
	assert_int_equal(admin->parameters.capsule_bytes, 8192);
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0,
				 nvme_cc_of_enabled(NVME_CC_CSS_NVM)),
		0);
	io = fake_connection_open(&world, 1, NULL);
	fake_connect_init(&connect, 7, (uint16_t)cntlid);
	connect.command.cattr = NVME_CATTR_DISABLE_SQFC;
	connect.command.sqsize = le16_of(127);
	assert_int_equal(fake_connect(io, &connect, NULL), 0);
	assert_int_equal(io->parameters.qid, 7);
	assert_int_equal(io->parameters.entries, 128);
	assert_true(io->parameters.is_flow_control_off);
	assert_true(io->parameters.is_kept_alive);
	assert_int_equal(io->parameters.capsule_bytes, 16384);
	assert_non_null(strstr(target_queue_name(io->queue), FAKE_HOST_NQN));
	assert_non_null(strstr(target_queue_name(io->queue), "queue 7 (192.0.2.7:50123)"));
	fake_connection_free(io);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

/* A wish, not a demand: Connect succeeds, and discovery said so before. */
static void test_connect_keeps_flow_control_when_the_target_insists(void **state)
{
	struct target_limits limits = target_limits_default();
	struct fake_connection *admin;
	struct fake_connect connect;
	struct fake_world world;

	(void)state;
	limits.is_flow_control_kept = true;
	fake_world_init(&world, &limits);
	subsystem_allow_any_host(world.subsystem);
	target_publish(world.target);
	admin = fake_connection_open(&world, 0, NULL);
	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	connect.command.cattr = NVME_CATTR_DISABLE_SQFC;
	assert_int_equal(fake_connect(admin, &connect, NULL), 0);
	assert_false(admin->parameters.is_flow_control_off);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void test_connect_is_demanded_when_anything_else_comes_first(void **state)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_KEEP_ALIVE, 0);
	struct fake_connection *connection;
	struct fake_connect connect;
	struct fake_world world;

	(void)state;
	set_up(&world);
	connection = fake_connection_open(&world, 0, NULL);
	assert_int_equal(fake_command(connection, &command, NULL),
		NVME_STATUS_COMMAND_SEQUENCE_ERROR | DNR);
	assert_int_equal(fake_property_get(connection, NVME_PROPERTY_CAP, 1, NULL),
		NVME_STATUS_COMMAND_SEQUENCE_ERROR | DNR);
	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	alter_subnqn_unknown(&connect);
	assert_int_equal(fake_connect(connection, &connect, NULL), INVALID);
	/* It may try again, and only once with success. */
	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	assert_int_equal(fake_connect(connection, &connect, NULL), 0);
	assert_int_equal(fake_connect(connection, &connect, NULL),
		NVME_STATUS_COMMAND_SEQUENCE_ERROR | DNR);
	fake_connection_free(connection);
	fake_world_deinit(&world);
}

static void test_connect_refuses_data_when_the_sgl_is_wrong(void **state)
{
	static const struct {
		struct nvme_sgl sgl;
		uint32_t capsule_bytes;
		uint16_t status;
	} rows[] = {
		{{.length = {{0, 4}}, .type = NVME_SGL_IN_CAPSULE}, 1024, 0},
		{{.length = {{0, 4}}, .type = NVME_SGL_TRANSPORT}, 0, 0},
		{{.length = {{0, 4}}, .type = NVME_SGL_IN_CAPSULE}, 1020,
			NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{{.length = {{0, 2}}, .type = NVME_SGL_IN_CAPSULE}, 512,
			NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{{.length = {{0, 8}}, .type = NVME_SGL_IN_CAPSULE}, 2048,
			NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{{.length = {{0, 8}}, .type = NVME_SGL_TRANSPORT}, 0,
			NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{{.length = {{0, 4}}, .type = NVME_SGL_TRANSPORT}, 1024,
			NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{{.length = {{0, 4}}, .type = 0x00}, 1024, NVME_STATUS_INVALID_SGL_TYPE | DNR},
		{{.length = {{0, 4}}, .type = 0x40}, 0, NVME_STATUS_INVALID_SGL_TYPE | DNR},
		{{.address = {{4}}, .length = {{0, 4}}, .type = NVME_SGL_IN_CAPSULE}, 1024,
			NVME_STATUS_INVALID_SGL_OFFSET | DNR},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command command;
		struct fake_connection *connection;
		struct fake_command *sent;
		struct fake_connect connect;
		struct fake_world world;

		set_up(&world);
		connection = fake_connection_open(&world, 0, NULL);
		fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
		command = nvme_command_of_fabrics(&connect.command);
		command.sgl = rows[i].sgl;
		sent = fake_send_raw(connection, &command, &connect.data, rows[i].capsule_bytes);
		assert_int_equal(fake_wait(sent), rows[i].status);
		fake_command_free(sent);
		fake_connection_free(connection);
		fake_world_deinit(&world);
	}
}

static void test_connect_fails_when_the_transport_has_no_memory(void **state)
{
	(void)state;
	for (unsigned is_io = 0; is_io < 2; is_io++) {
		struct fake_connection *admin, *connection;
		struct fake_connect connect;
		struct fake_world world;
		uint16_t cntlid;

		set_up(&world);
		admin = fake_admin(&world, 0, &cntlid);
		connection = fake_connection_open(&world, 1, NULL);
		connection->is_memory_short = true;
		fake_connect_init(&connect, (uint16_t)is_io, is_io ? cntlid : NVME_CNTLID_DYNAMIC);
		assert_int_equal(fake_connect(connection, &connect, NULL),
			NVME_STATUS_INTERNAL_ERROR);
		assert_true(fake_connection_is_closed(connection));
		fake_connection_free(connection);
		/* The queue id, or the controller, is free again. */
		fake_world_turn(&world);
		fake_world_turn(&world);
		fake_connection_free(fake_io(&world, 1, cntlid, 1));
		fake_connection_free(admin);
		fake_world_deinit(&world);
	}
}

static void test_connect_is_refused_when_the_controller_is_not_ready(void **state)
{
	struct fake_connection *admin, *io;
	struct fake_connect connect;
	struct fake_world world;
	uint16_t cntlid;
	uint64_t result;

	(void)state;
	set_up(&world);
	admin = fake_admin(&world, 0, &cntlid);
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0, 0), 0);
	io = fake_connection_open(&world, 1, NULL);
	fake_connect_init(&connect, 1, cntlid);
	assert_int_equal(fake_connect(io, &connect, NULL),
		NVME_STATUS_COMMAND_SEQUENCE_ERROR | DNR);
	/* Enabled, but without the sizes of entries. */
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0, NVME_CC_EN), 0);
	assert_int_equal(fake_connect(io, &connect, NULL),
		NVME_STATUS_COMMAND_SEQUENCE_ERROR | DNR);
	/* Dying, but not yet gone: it has the other queue. */
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0,
				 nvme_cc_of_enabled(NVME_CC_CSS_NVM)),
		0);
	struct fake_connection *other = fake_io(&world, 0, cntlid, 2);

	other->is_holding = true;
	fake_connection_free(admin);
	assert_int_equal(fake_connect(io, &connect, &result), INVALID);
	assert_int_equal(result, IPO_DATA(16));
	fake_connection_free(other);
	fake_connection_free(io);
	fake_world_deinit(&world);
}

static void test_connect_is_aborted_when_the_connection_ends_meanwhile(void **state)
{
	struct fake_connection *admin, *io;
	struct fake_command *sent;
	struct nvme_command command;
	struct fake_connect connect;
	struct fake_world world;
	uint16_t cntlid;

	(void)state;
	set_up(&world);
	admin = fake_admin(&world, 0, &cntlid);
	io = fake_connection_open(&world, 1, NULL);
	fake_connect_init(&connect, 1, cntlid);
	command = nvme_command_of_fabrics(&connect.command);
	sent = fake_send(io, &command, &connect.data, sizeof(connect.data));
	assert_false(sent->is_done);
	fake_connection_close(io);
	assert_int_equal(fake_wait(sent), NVME_STATUS_ABORTED_SQ_DELETION);
	fake_command_free(sent);
	fake_connection_free(io);
	fake_world_turn(&world);
	fake_world_turn(&world);
	fake_connection_free(fake_io(&world, 0, cntlid, 1));
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect_gives_the_status_when_an_admin_queue_asks),
		cmocka_unit_test(test_connect_gives_the_status_when_an_io_queue_asks),
		cmocka_unit_test(test_connect_tells_the_transport_when_it_succeeds),
		cmocka_unit_test(test_connect_keeps_flow_control_when_the_target_insists),
		cmocka_unit_test(test_connect_is_demanded_when_anything_else_comes_first),
		cmocka_unit_test(test_connect_refuses_data_when_the_sgl_is_wrong),
		cmocka_unit_test(test_connect_fails_when_the_transport_has_no_memory),
		cmocka_unit_test(test_connect_is_refused_when_the_controller_is_not_ready),
		cmocka_unit_test(test_connect_is_aborted_when_the_connection_ends_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
