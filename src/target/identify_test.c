#include "nvme/identify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/identify_namespace.h"
#include "nvme/property.h"
#include "nvme/status.h"
#include "store/memory_store.h"
#include "store/store.h"
#include "target/io.h"
#include "test/target/fake_host.h"

#define REFUSED      (NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR)
#define NO_NAMESPACE (NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | NVME_STATUS_DNR)

struct fixture {
	struct fake_world world;
	struct store *stores[2];
	struct fake_connection *admin, *discovery;
	uint16_t cntlid;
};

static void set_up(struct fixture *fixture)
{
	static const struct store_options options[] = {{0},
		{.block_bytes = 4096, .is_read_only = true}};
	struct fake_connect connect;

	fake_world_init(&fixture->world, NULL);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(memory_store_new(1 << 20, &options[i], &fixture->stores[i]), 0);
		assert_int_equal(subsystem_add_namespace(fixture->world.subsystem,
					 fixture->stores[i]),
			(int)i + 1);
	}
	target_publish(fixture->world.target);
	fixture->admin = fake_admin(&fixture->world, 0, &fixture->cntlid);
	fixture->discovery = fake_connection_open(&fixture->world, 1, NULL);
	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	nvme_nqn_to_field(connect.data.subnqn, NVME_NQN_DISCOVERY);
	assert_int_equal(fake_connect(fixture->discovery, &connect, NULL), 0);
	assert_int_equal(fake_property_set(fixture->discovery, NVME_PROPERTY_CC, 0, 0x460001), 0);
}

static void tear_down(struct fixture *fixture)
{
	fake_connection_free(fixture->discovery);
	fake_connection_free(fixture->admin);
	fake_world_deinit(&fixture->world);
	for (unsigned i = 0; i < 2; i++)
		store_free(fixture->stores[i]);
}

static uint16_t identify(struct fake_connection *connection, uint8_t cns, uint32_t nsid,
	uint8_t csi, void *ret_page)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_IDENTIFY, nsid);
	struct fake_exchange exchange = {
		.ret_data = ret_page,
		.data_bytes = NVME_IDENTIFY_BYTES,
	};

	nvme_command_set_identify(&command, cns, 0, csi);
	return fake_execute(connection, &command, &exchange);
}

/* What Linux's host demands before it takes a controller. */
static void test_identify_satisfies_linux_when_it_asks_for_an_io_controller(void **state)
{
	struct nvme_identify_controller page, again;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(identify(fixture.admin, NVME_CNS_CONTROLLER, 0, 0, &page), 0);
	assert_int_equal(le16_get(page.cntlid), fixture.cntlid);
	assert_int_equal(le32_get(page.ver), NVME_VERSION_2_0);
	assert_int_equal(page.cntrltype, NVME_CONTROLLER_IO);
	assert_int_equal(le16_get(page.kas), 10);
	assert_int_equal(le16_get(page.maxcmd), 1024);
	assert_int_equal(le32_get(page.ioccsz), (64 + 16384) / 16);
	assert_int_equal(le32_get(page.iorcsz), 1);
	assert_int_equal(le16_get(page.icdoff), 0);
	assert_int_equal(le32_get(page.sgls), 0x300001);
	assert_int_equal(page.sqes, 0x66);
	assert_int_equal(page.cqes, 0x44);
	assert_int_equal(page.mdts, 8);
	assert_int_equal(le16_get(page.awun), 0);
	assert_int_equal(le16_get(page.awupf), 0);
	assert_int_equal(le16_get(page.acwu), 0);
	assert_int_equal(le32_get(page.nn), 2);
	assert_int_equal(le32_get(page.mnan), 2);
	assert_true(page.cmic & NVME_CMIC_MULTI_CONTROLLER);
	assert_int_equal(page.vwc, 7);
	assert_int_equal(page.lpa, NVME_LPA_EFFECTS | NVME_LPA_EXTENDED | NVME_LPA_SUPPORTED_PAGES);
	assert_int_equal(page.aerl, 3);
	assert_int_equal(page.acl, 3);
	assert_int_equal(le32_get(page.ctratt), 0x41);
	assert_int_equal(le32_get(page.oaes), NVME_OAES_NAMESPACE_ATTRIBUTE);
	assert_int_equal(le16_get(page.oacs), 0);
	assert_int_equal(le16_get(page.oncs),
		io_oncs() | NVME_ONCS_FEATURE_SELECT | NVME_ONCS_TIMESTAMP);
	assert_int_equal(le16_get(page.ocfs), NVME_OCFS_FORMAT_0);
	assert_int_equal(io_fuses(), NVME_FUSES_COMPARE_AND_WRITE);
	assert_int_equal(le16_get(page.fuses), io_fuses());
	assert_int_equal(le16_get(page.acwu), FUSED_BLOCKS_MAX - 1);
	assert_int_equal(le16_get(page.ofcs), NVME_OFCS_DISCONNECT);
	assert_string_equal(page.subnqn, FAKE_NQN);
	assert_memory_equal(page.mn, "Ferry                                   ", 40);
	assert_null(memchr(page.sn, 0, sizeof(page.sn)));
	assert_null(memchr(page.fr, 0, sizeof(page.fr)));
	assert_int_equal(identify(fixture.admin, NVME_CNS_CONTROLLER, 0, 0, &again), 0);
	assert_memory_equal(page.sn, again.sn, sizeof(page.sn));
	assert_int_equal(identify(fixture.discovery, NVME_CNS_CONTROLLER, 0, 0, &again), 0);
	assert_memory_not_equal(page.sn, again.sn, sizeof(page.sn));
	tear_down(&fixture);
}

static void test_identify_says_discovery_when_a_discovery_controller_is_asked(void **state)
{
	struct nvme_identify_controller page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(identify(fixture.discovery, NVME_CNS_CONTROLLER, 0, 0, &page), 0);
	assert_int_equal(page.cntrltype, NVME_CONTROLLER_DISCOVERY);
	assert_string_equal(page.subnqn, NVME_NQN_DISCOVERY);
	assert_int_equal(le32_get(page.nn), 0);
	assert_int_equal(page.lpa, NVME_LPA_EXTENDED);
	assert_true(le32_get(page.sgls) & NVME_SGLS_MASK);
	assert_int_equal(le32_get(page.oaes), NVME_OAES_DISCOVERY_LOG);
	assert_int_equal(identify(fixture.discovery, NVME_CNS_ACTIVE_NAMESPACES, 0, 0, &page),
		REFUSED);
	tear_down(&fixture);
}

static void test_identify_describes_the_namespace_when_it_is_active(void **state)
{
	struct nvme_identify_namespace page;
	struct nvme_identify_independent_namespace independent;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(identify(fixture.admin, NVME_CNS_NAMESPACE, 1, 0, &page), 0);
	assert_int_equal(le64_get(page.nsze), 2048);
	assert_int_equal(le64_get(page.ncap), 2048);
	assert_int_equal(le64_get(page.nuse), 2048);
	assert_int_equal(page.nlbaf, 0);
	assert_int_equal(page.flbas, 0);
	assert_int_equal(page.lbaf[0].lbads, 9);
	assert_int_equal(page.nmic, NVME_NMIC_SHARED);
	assert_int_equal(page.nsattr, 0);
	assert_int_equal(le16_get(page.npwg), 7);
	assert_int_equal(page.dlfeat, 9);
	assert_int_equal(le16_get(page.mssrl), 2048);
	assert_int_equal(le32_get(page.mcl), 32768);
	assert_int_equal(page.msrc, 255);
	assert_int_equal(identify(fixture.admin, NVME_CNS_NAMESPACE, 2, 0, &page), 0);
	assert_int_equal(le64_get(page.nsze), 256);
	assert_int_equal(page.lbaf[0].lbads, 12);
	assert_int_equal(le16_get(page.npwg), 0);
	assert_int_equal(page.dlfeat, 0);
	assert_int_equal(le16_get(page.mssrl), 256);
	assert_int_equal(le32_get(page.mcl), 4096);
	assert_int_equal(page.nsattr, NVME_NSATTR_WRITE_PROTECTED);
	assert_int_equal(identify(fixture.admin, NVME_CNS_INDEPENDENT_NAMESPACE, 2, 0,
				 &independent),
		0);
	assert_int_equal(independent.nstat, NVME_NSTAT_READY);
	assert_int_equal(independent.nmic, NVME_NMIC_SHARED);
	assert_int_equal(independent.nsattr, NVME_NSATTR_WRITE_PROTECTED);
	tear_down(&fixture);
}

static void test_identify_tells_what_the_store_can_when_stores_vary(void **state)
{
	static const struct {
		bool can_discard;
		uint32_t preferred_bytes, discard_bytes;
		uint8_t dlfeat;
		uint16_t npwg, npdg; /* NPWA and NOWS, NPDA are the same */
	} rows[] = {
		{true, 512, 512, NVME_DLFEAT_READ_ZEROES | NVME_DLFEAT_WRITE_ZEROES, 0, 0},
		{true, 4096, 65536, NVME_DLFEAT_READ_ZEROES | NVME_DLFEAT_WRITE_ZEROES, 7, 127},
		{false, 4096, 512, NVME_DLFEAT_READ_UNKNOWN, 7, 0},
		{false, 2 << 20, 64 << 20, NVME_DLFEAT_READ_UNKNOWN, 4095, 65535},
	};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_identify_namespace page;

		fixture.stores[0]->can_discard = rows[i].can_discard;
		fixture.stores[0]->preferred_bytes = rows[i].preferred_bytes;
		fixture.stores[0]->discard_bytes = rows[i].discard_bytes;
		assert_int_equal(identify(fixture.admin, NVME_CNS_NAMESPACE, 1, 0, &page), 0);
		assert_int_equal(page.dlfeat, rows[i].dlfeat);
		assert_int_equal(page.nsfeat, NVME_NSFEAT_OPTPERF);
		assert_int_equal(le16_get(page.npwg), rows[i].npwg);
		assert_int_equal(le16_get(page.npwa), rows[i].npwg);
		assert_int_equal(le16_get(page.nows), rows[i].npwg);
		assert_int_equal(le16_get(page.npdg), rows[i].npdg);
		assert_int_equal(le16_get(page.npda), rows[i].npdg);
		/* One block is atomic, as it must be; nothing more is promised. */
		assert_int_equal(le16_get(page.nawun), 0);
		assert_int_equal(le16_get(page.nawupf), 0);
	}
	tear_down(&fixture);
}

static void test_identify_gives_identifiers_when_asked_for_descriptors(void **state)
{
	uint8_t page[NVME_IDENTIFY_BYTES];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(identify(fixture.admin, NVME_CNS_NAMESPACE_DESCRIPTORS, 1, 0, page), 0);
	assert_int_equal(page[0], NVME_NIDT_UUID);
	assert_int_equal(page[1], 16);
	assert_memory_equal(page + 4, fixture.stores[0]->uuid, 16);
	assert_int_equal(page[20], NVME_NIDT_CSI);
	assert_int_equal(page[21], 1);
	assert_int_equal(page[24], 0);
	assert_int_equal(page[25], 0);
	assert_int_equal(page[4095], 0);
	tear_down(&fixture);
}

static void test_identify_lists_namespaces_when_they_follow_the_given_one(void **state)
{
	static const struct {
		uint32_t after;
		uint32_t nsids[2];
	} rows[] = {{0, {1, 2}}, {1, {2, 0}}, {2, {0, 0}}, {0xfffffffd, {0, 0}}};
	struct nvme_nsid_list page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < 2 * ARRAY_LENGTH(rows); i++) {
		uint8_t cns = i % 2 ? NVME_CNS_ACTIVE_NAMESPACES : NVME_CNS_IOCS_ACTIVE_NAMESPACES;

		assert_int_equal(identify(fixture.admin, cns, rows[i / 2].after, 0, &page), 0);
		assert_int_equal(le32_get(page.nsid[0]), rows[i / 2].nsids[0]);
		assert_int_equal(le32_get(page.nsid[1]), rows[i / 2].nsids[1]);
		assert_int_equal(le32_get(page.nsid[2]), 0);
	}
	tear_down(&fixture);
}

/* There is no list of UUIDs (CTRATT bit 9); no page has a use for CNTID. */
static void test_identify_is_the_same_when_it_is_asked_for_something_specific(void **state)
{
	static const uint8_t cnses[] = {NVME_CNS_NAMESPACE, NVME_CNS_CONTROLLER,
		NVME_CNS_ACTIVE_NAMESPACES, NVME_CNS_NAMESPACE_DESCRIPTORS, NVME_CNS_IOCS_NAMESPACE,
		NVME_CNS_IOCS_CONTROLLER, NVME_CNS_IOCS_ACTIVE_NAMESPACES,
		NVME_CNS_INDEPENDENT_NAMESPACE, NVME_CNS_IO_COMMAND_SETS};
	uint8_t plain[NVME_IDENTIFY_BYTES], page[NVME_IDENTIFY_BYTES];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(cnses); i++) {
		struct nvme_command command = fake_command_of(NVME_ADMIN_IDENTIFY, 1);
		struct fake_exchange exchange = {.ret_data = page, .data_bytes = sizeof(page)};

		assert_int_equal(identify(fixture.admin, cnses[i], 1, 0, plain), 0);
		nvme_command_set_identify(&command, cnses[i], 0xffff, 0);
		command.cdw14 = le32_of(127);
		assert_int_equal(fake_execute(fixture.admin, &command, &exchange), 0);
		assert_memory_equal(page, plain, sizeof(page));
	}
	tear_down(&fixture);
}

static void test_identify_gives_the_status_when_fields_vary(void **state)
{
	static const struct {
		uint8_t cns;
		uint32_t nsid;
		uint8_t csi;
		uint16_t status;
	} rows[] = {
		{NVME_CNS_NAMESPACE, 0, 0, NO_NAMESPACE},
		{NVME_CNS_NAMESPACE, 3, 0, NO_NAMESPACE},
		{NVME_CNS_NAMESPACE, NVME_NSID_BROADCAST, 0, NO_NAMESPACE},
		{NVME_CNS_ACTIVE_NAMESPACES, 0xfffffffe, 0, NO_NAMESPACE},
		{NVME_CNS_ACTIVE_NAMESPACES, 0xffffffff, 0, NO_NAMESPACE},
		{NVME_CNS_NAMESPACE_DESCRIPTORS, 3, 0, NO_NAMESPACE},
		{NVME_CNS_IOCS_NAMESPACE, 1, 0, 0},
		{NVME_CNS_IOCS_NAMESPACE, 1, 2, REFUSED},
		{NVME_CNS_IOCS_NAMESPACE, 9, 0, NO_NAMESPACE},
		{NVME_CNS_IOCS_CONTROLLER, 0, 0, 0},
		{NVME_CNS_IOCS_CONTROLLER, 0, 2, REFUSED},
		{NVME_CNS_IOCS_ACTIVE_NAMESPACES, 0, 2, REFUSED},
		{NVME_CNS_INDEPENDENT_NAMESPACE, 3, 0, NO_NAMESPACE},
		{NVME_CNS_IO_COMMAND_SETS, 0, 0, 0},
		{NVME_CNS_NVM_SETS, 0, 0, REFUSED},
		{0xff, 0, 0, REFUSED},
	};
	uint8_t page[NVME_IDENTIFY_BYTES];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		assert_int_equal(identify(fixture.admin, rows[i].cns, rows[i].nsid, rows[i].csi,
					 page),
			rows[i].status);
	assert_int_equal(identify(fixture.admin, NVME_CNS_IO_COMMAND_SETS, 0, 0, page), 0);
	assert_int_equal(page[0], 1);
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identify_satisfies_linux_when_it_asks_for_an_io_controller),
		cmocka_unit_test(test_identify_says_discovery_when_a_discovery_controller_is_asked),
		cmocka_unit_test(test_identify_describes_the_namespace_when_it_is_active),
		cmocka_unit_test(test_identify_tells_what_the_store_can_when_stores_vary),
		cmocka_unit_test(test_identify_gives_identifiers_when_asked_for_descriptors),
		cmocka_unit_test(test_identify_lists_namespaces_when_they_follow_the_given_one),
		cmocka_unit_test(test_identify_is_the_same_when_it_is_asked_for_something_specific),
		cmocka_unit_test(test_identify_gives_the_status_when_fields_vary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
