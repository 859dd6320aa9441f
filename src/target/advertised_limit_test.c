/*
 * As advertised_test.c: fields of Identify that say how much or how, for a controller and for its
 * namespaces, against what happens at and behind the limit.
 */
#include "nvme/identify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/feature.h"
#include "nvme/identify_namespace.h"
#include "nvme/log_page.h"
#include "nvme/property.h"
#include "test/target/io_fixture.h"

#define REFUSED (NVME_STATUS_INVALID_FIELD | DNR)

static void identify(struct fixture *fixture, uint8_t cns, uint32_t nsid, void *ret_page)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_IDENTIFY, nsid);
	struct fake_exchange exchange = {.ret_data = ret_page, .data_bytes = NVME_IDENTIFY_BYTES};

	nvme_command_set_identify(&command, cns, 0, NVME_COMMAND_SET_NVM);
	assert_int_equal(fake_execute(fixture->admin, &command, &exchange), 0);
}

static uint16_t set_feature(struct fixture *fixture, uint8_t fid, uint32_t nsid, uint32_t value)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_SET_FEATURES, nsid);

	nvme_command_set_feature(&command, fid, value);
	return fake_command(fixture->admin, &command, NULL);
}

static uint16_t read_blocks(struct fixture *fixture, uint32_t nsid, uint32_t count)
{
	size_t bytes = (size_t)count * fixture->stores[nsid - 1]->block_bytes;
	struct nvme_command command = blocks(NVME_IO_READ, nsid, 0, count);
	struct fake_exchange exchange = {.data_bytes = bytes};

	return fake_execute(fixture->io, &command, &exchange);
}

/* The controller */

static void test_controller_moves_as_much_data_as_mdts_says_when_asked(void **state)
{
	struct nvme_identify_nvm_controller limits;
	struct nvme_identify_controller page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	identify(&fixture, NVME_CNS_CONTROLLER, 0, &page);
	identify(&fixture, NVME_CNS_IOCS_CONTROLLER, 0, &limits);
	for (uint32_t nsid = 1; nsid <= NAMESPACE_COUNT; nsid++) {
		uint32_t most =
			(TARGET_MDTS_UNIT << page.mdts) / fixture.stores[nsid - 1]->block_bytes;
		uint32_t verified =
			(TARGET_MDTS_UNIT << limits.vsl) / fixture.stores[nsid - 1]->block_bytes;
		struct nvme_command verify = blocks(NVME_IO_VERIFY, nsid, 0, verified);

		assert_int_equal(read_blocks(&fixture, nsid, most), 0);
		assert_int_equal(read_blocks(&fixture, nsid, most + 1), REFUSED);
		assert_int_equal(fake_command(fixture.io, &verify, NULL), 0);
		verify = blocks(NVME_IO_VERIFY, nsid, 0, verified + 1);
		assert_int_equal(fake_command(fixture.io, &verify, NULL), REFUSED);
	}
	tear_down(&fixture);
}

static void test_controller_holds_as_many_events_as_aerl_says_when_asked(void **state)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_ASYNC_EVENT, 0);
	struct fake_command *held[256];
	struct nvme_identify_controller page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	identify(&fixture, NVME_CNS_CONTROLLER, 0, &page);
	for (unsigned i = 0; i <= page.aerl; i++) {
		held[i] = fake_send(fixture.admin, &command, NULL, 0);
		assert_false(held[i]->is_done);
	}
	assert_int_equal(fake_command(fixture.admin, &command, NULL),
		NVME_STATUS_AER_LIMIT_EXCEEDED);
	fake_connection_close(fixture.admin);
	for (unsigned i = 0; i <= page.aerl; i++) {
		assert_int_equal(fake_wait(held[i]), NVME_STATUS_ABORTED_SQ_DELETION);
		fake_command_free(held[i]);
	}
	tear_down(&fixture);
}

static void test_error_log_ends_where_elpe_says_when_read(void **state)
{
	struct nvme_get_log_page fields = {.lid = NVME_LOG_PAGE_ERROR, .length_bytes = 4};
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_LOG_PAGE, 0);
	struct fake_exchange exchange = {.data_bytes = 4};
	struct nvme_identify_controller page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	identify(&fixture, NVME_CNS_CONTROLLER, 0, &page);
	fields.offset = (page.elpe + 1u) * sizeof(struct nvme_log_error);
	nvme_command_set_get_log_page(&command, &fields);
	assert_int_equal(fake_execute(fixture.admin, &command, &exchange), 0);
	fields.offset += 4;
	nvme_command_set_get_log_page(&command, &fields);
	assert_int_equal(fake_execute(fixture.admin, &command, &exchange), REFUSED);
	tear_down(&fixture);
}

static void test_connect_takes_as_many_entries_as_maxcmd_says_when_asked(void **state)
{
	struct nvme_identify_controller page;
	struct fixture fixture;
	uint64_t cap;

	(void)state;
	set_up(&fixture);
	identify(&fixture, NVME_CNS_CONTROLLER, 0, &page);
	assert_int_equal(fake_property_get(fixture.admin, NVME_PROPERTY_CAP, 1, &cap), 0);
	assert_int_equal((cap & 0xffff) + 1, le16_get(page.maxcmd));
	for (unsigned over = 0; over < 2; over++) {
		struct fake_connection *io = fake_connection_open(&fixture.world, 0, NULL);
		struct fake_connect connect;

		fake_connect_init(&connect, 2, le16_get(page.cntlid));
		connect.command.sqsize = le16_of((uint16_t)(le16_get(page.maxcmd) - 1u + over));
		assert_int_equal(fake_connect(io, &connect, NULL),
			over ? NVME_STATUS_CONNECT_INVALID_PARAMETERS | DNR : 0);
		fake_connection_free(io);
		fake_world_turn(&fixture.world);
	}
	tear_down(&fixture);
}

static void test_controller_has_the_power_states_that_npss_says_when_set(void **state)
{
	struct nvme_identify_controller page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	identify(&fixture, NVME_CNS_CONTROLLER, 0, &page);
	for (uint32_t power = 0; power < 32; power++)
		assert_int_equal(set_feature(&fixture, NVME_FEATURE_POWER_MANAGEMENT, 0, power),
			power <= page.npss ? 0 : REFUSED);
	tear_down(&fixture);
}

/* How commands may be */

static void test_controller_takes_a_kind_of_sgl_when_sgls_has_it(void **state)
{
	static const uint8_t data[512];
	struct nvme_identify_controller page;
	struct fixture fixture;
	uint32_t sgls;

	(void)state;
	set_up(&fixture);
	identify(&fixture, NVME_CNS_CONTROLLER, 0, &page);
	sgls = le32_get(page.sgls);
	for (unsigned type = 0; type < 512; type++) {
		bool is_write = type >= 256;
		struct nvme_command command =
			blocks(is_write ? NVME_IO_WRITE : NVME_IO_READ, MEMORY, 0, 1);
		bool is_taken = is_write
			? (uint8_t)type == NVME_SGL_IN_CAPSULE && (sgls & NVME_SGLS_OFFSET) != 0
			: type == NVME_SGL_TRANSPORT && (sgls & NVME_SGLS_TRANSPORT) != 0;
		struct fake_command *sent;

		command.sgl = nvme_sgl_transport(sizeof(data));
		command.sgl.type = (uint8_t)type;
		sent = fake_send_raw(fixture.io, &command, is_write ? data : NULL,
			is_write ? sizeof(data) : 0);
		assert_int_equal(fake_wait(sent) == 0, is_taken);
		assert_true(sent->status == 0 || nvme_status_is_dnr(sent->status));
		fake_command_free(sent);
	}
	assert_int_equal(sgls & NVME_SGLS_MASK, NVME_SGLS_BYTE_ALIGNED);
	assert_int_equal(sgls & ~(NVME_SGLS_MASK | NVME_SGLS_OFFSET | NVME_SGLS_TRANSPORT), 0);
	tear_down(&fixture);
}

static void test_controller_takes_fused_commands_when_fuses_has_them(void **state)
{
	static const uint8_t data[512];
	static const struct {
		uint8_t first, second;
		uint16_t bit; /* 0: no bit allows it */
	} rows[] = {
		{NVME_IO_COMPARE, NVME_IO_WRITE, NVME_FUSES_COMPARE_AND_WRITE},
		{NVME_IO_WRITE, NVME_IO_WRITE, 0},
		{NVME_IO_WRITE, NVME_IO_COMPARE, 0},
	};
	struct nvme_identify_controller page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	identify(&fixture, NVME_CNS_CONTROLLER, 0, &page);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		bool is_taken = (le16_get(page.fuses) & rows[i].bit) != 0;
		struct nvme_command first = blocks(rows[i].first, MEMORY, 0, 1);
		struct nvme_command second = blocks(rows[i].second, MEMORY, 0, 1);
		struct fake_command *sent[2];

		first.flags |= NVME_FLAGS_FUSE_FIRST;
		second.flags |= NVME_FLAGS_FUSE_SECOND;
		sent[0] = fake_send(fixture.io, &first, data, sizeof(data));
		sent[1] = fake_send(fixture.io, &second, data, sizeof(data));
		for (unsigned j = 0; j < 2; j++) {
			assert_int_equal(fake_wait(sent[j]) == 0, is_taken);
			fake_command_free(sent[j]);
		}
	}
	assert_int_equal(le16_get(page.fuses) & ~NVME_FUSES_COMPARE_AND_WRITE, 0);
	tear_down(&fixture);
}

static void test_copy_takes_a_format_when_ocfs_has_it(void **state)
{
	const struct nvme_copy_range range = {.slba = le64_of(100)};
	struct nvme_identify_controller page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	identify(&fixture, NVME_CNS_CONTROLLER, 0, &page);
	for (uint32_t format = 0; format < 16; format++) {
		struct nvme_command command = fake_command_of(NVME_IO_COPY, MEMORY);
		struct fake_exchange exchange = {.data = &range, .data_bytes = sizeof(range)};

		command.cdw12 = le32_of(format << NVME_COPY_FORMAT_SHIFT);
		assert_int_equal(fake_execute(fixture.io, &command, &exchange),
			(le16_get(page.ocfs) >> format & 1) != 0 ? 0 : REFUSED);
	}
	tear_down(&fixture);
}

static void test_flush_of_all_works_when_vwc_says_so(void **state)
{
	struct nvme_command command = fake_command_of(NVME_IO_FLUSH, NVME_NSID_BROADCAST);
	struct nvme_identify_controller page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	identify(&fixture, NVME_CNS_CONTROLLER, 0, &page);
	assert_int_equal(fake_command(fixture.io, &command, NULL) == 0,
		(page.vwc & NVME_VWC_FLUSH_ALL_MASK) == NVME_VWC_FLUSH_ALL);
	for (uint32_t value = 0; value < 2; value++)
		assert_int_equal(set_feature(&fixture, NVME_FEATURE_VOLATILE_WRITE_CACHE, 0,
					 value) == 0,
			(page.vwc & NVME_VWC_PRESENT) != 0);
	assert_int_equal(page.vwc & ~(NVME_VWC_PRESENT | NVME_VWC_FLUSH_ALL_MASK), 0);
	tear_down(&fixture);
}

static void test_controller_has_the_attributes_that_it_tells_when_used(void **state)
{
	struct nvme_command host_id = fake_command_of(NVME_ADMIN_GET_FEATURES, 0);
	struct fake_exchange exchange = {.data_bytes = NVME_HOST_ID_BYTES};
	struct nvme_disconnect_command disconnect = {
		.opcode = NVME_IO_FABRICS,
		.flags = NVME_FLAGS_PSDT_SGL,
		.fctype = NVME_FABRICS_DISCONNECT,
	};
	struct nvme_command command;
	struct nvme_identify_controller page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	identify(&fixture, NVME_CNS_CONTROLLER, 0, &page);
	nvme_command_set_get_feature(&host_id, NVME_FEATURE_HOST_ID, NVME_FEATURE_CURRENT);
	host_id.cdw11 = le32_of(NVME_HOST_ID_EXHID);
	assert_int_equal(fake_execute(fixture.admin, &host_id, &exchange) == 0,
		(le32_get(page.ctratt) & NVME_CTRATT_HOSTID_128) != 0);
	/* Traffic of any queue keeps the controller alive; without it it ends. */
	assert_true((le32_get(page.ctratt) & NVME_CTRATT_TBKAS) != 0);
	assert_int_equal(set_feature(&fixture, NVME_FEATURE_KEEP_ALIVE, 0, 1000), 0);
	for (unsigned i = 0; i < 20; i++) {
		fake_world_pass(&fixture.world, 500);
		assert_int_equal(read_blocks(&fixture, MEMORY, 1), 0);
	}
	assert_int_equal(fixture.admin->end_count, 0);
	memcpy(&command, &disconnect, sizeof(command));
	command.sgl = nvme_sgl_transport(0);
	assert_int_equal(fake_command(fixture.io, &command, NULL) == 0,
		(le16_get(page.ofcs) & NVME_OFCS_DISCONNECT) != 0);
	assert_int_equal(le16_get(page.ofcs) & ~NVME_OFCS_DISCONNECT, 0);
	fake_world_pass(&fixture.world, 3000);
	assert_int_equal(fixture.admin->end_count, 1);
	tear_down(&fixture);
}

/* Namespaces */

static void deallocate(struct fixture *fixture, uint32_t nsid, uint8_t opcode)
{
	const struct nvme_dsm_range range = {.block_count = le32_of(1)};
	struct nvme_command command = blocks(opcode, nsid, 0, 1);
	struct fake_exchange exchange = {0};

	command.cdw12 = le32_of(NVME_IO_DEAC);
	if (opcode == NVME_IO_DATASET_MANAGEMENT) {
		nvme_command_set_dsm(&command, 1, NVME_DSM_AD);
		exchange = (struct fake_exchange){.data = &range, .data_bytes = sizeof(range)};
	}
	assert_int_equal(fake_execute(fixture->io, &command, &exchange), 0);
}

static void test_deallocated_blocks_read_zeros_when_dlfeat_says_so(void **state)
{
	static const uint32_t nsids[] = {MEMORY, BIG_BLOCKS, FAULTY};
	struct nvme_identify_namespace page;
	struct fixture fixture;
	uint8_t data[4096];

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(nsids); i++) {
		uint32_t block_bytes = fixture.stores[nsids[i] - 1]->block_bytes;

		identify(&fixture, NVME_CNS_NAMESPACE, nsids[i], &page);
		assert_int_equal(page.dlfeat & NVME_DLFEAT_READ_MASK, NVME_DLFEAT_READ_ZEROES);
		write_letters(&fixture, nsids[i], 0, block_bytes, 'x');
		deallocate(&fixture, nsids[i], NVME_IO_DATASET_MANAGEMENT);
		read_back(&fixture, nsids[i], 0, block_bytes, data);
		assert_int_equal(count_others(data, block_bytes, 0), 0);
		write_letters(&fixture, nsids[i], 0, block_bytes, 'x');
		deallocate(&fixture, nsids[i], NVME_IO_WRITE_ZEROES);
		read_back(&fixture, nsids[i], 0, block_bytes, data);
		assert_int_equal(count_others(data, block_bytes, 0), 0);
	}
	/* What does not come to the store as may_unmap is not promised. */
	assert_int_equal(fixture.was.may_unmap, (page.dlfeat & NVME_DLFEAT_WRITE_ZEROES) != 0);
	tear_down(&fixture);
}

static void test_namespace_has_the_attributes_that_it_tells_when_used(void **state)
{
	struct nvme_identify_independent_namespace independent;
	struct nvme_identify_namespace page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (uint32_t nsid = 1; nsid <= NAMESPACE_COUNT; nsid++) {
		struct nvme_command zero = blocks(NVME_IO_WRITE_ZEROES, nsid, 0, 1);

		identify(&fixture, NVME_CNS_NAMESPACE, nsid, &page);
		identify(&fixture, NVME_CNS_INDEPENDENT_NAMESPACE, nsid, &independent);
		assert_int_equal(set_feature(&fixture, NVME_FEATURE_ERROR_RECOVERY, nsid,
					 NVME_ERROR_RECOVERY_DULBE) == 0,
			(page.nsfeat & NVME_NSFEAT_DEALLOCATED) != 0);
		assert_int_equal(page.nsfeat & ~(NVME_NSFEAT_OPTPERF | NVME_NSFEAT_DEALLOCATED), 0);
		assert_int_equal(fake_command(fixture.io, &zero, NULL) ==
				(NVME_STATUS_NAMESPACE_WRITE_PROTECTED | DNR),
			(page.nsattr & NVME_NSATTR_WRITE_PROTECTED) != 0);
		assert_int_equal(page.nsattr, independent.nsattr);
		assert_int_equal(page.nmic, independent.nmic);
		assert_int_equal(page.rescap, independent.rescap);
		/* One format, without metadata or protection information. */
		assert_int_equal(page.nlbaf, 0);
		assert_int_equal(page.flbas, 0);
		assert_int_equal(page.mc | page.dpc | page.dps, 0);
		assert_int_equal(1u << page.lbaf[0].lbads, fixture.stores[nsid - 1]->block_bytes);
		assert_int_equal(le16_get(page.lbaf[0].ms), 0);
		assert_int_equal(page.rescap, 0);
	}
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controller_moves_as_much_data_as_mdts_says_when_asked),
		cmocka_unit_test(test_controller_holds_as_many_events_as_aerl_says_when_asked),
		cmocka_unit_test(test_error_log_ends_where_elpe_says_when_read),
		cmocka_unit_test(test_connect_takes_as_many_entries_as_maxcmd_says_when_asked),
		cmocka_unit_test(test_controller_has_the_power_states_that_npss_says_when_set),
		cmocka_unit_test(test_controller_takes_a_kind_of_sgl_when_sgls_has_it),
		cmocka_unit_test(test_controller_takes_fused_commands_when_fuses_has_them),
		cmocka_unit_test(test_copy_takes_a_format_when_ocfs_has_it),
		cmocka_unit_test(test_flush_of_all_works_when_vwc_says_so),
		cmocka_unit_test(test_controller_has_the_attributes_that_it_tells_when_used),
		cmocka_unit_test(test_deallocated_blocks_read_zeros_when_dlfeat_says_so),
		cmocka_unit_test(test_namespace_has_the_attributes_that_it_tells_when_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
