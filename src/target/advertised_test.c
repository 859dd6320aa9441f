/*
 * What a controller says of itself, bit by bit, against what it does: what is advertised works, what
 * is not is refused. Bits without a row here must be 0.
 */
#include "nvme/identify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/discovery.h"
#include "nvme/feature.h"
#include "nvme/identify_namespace.h"
#include "nvme/log_page.h"
#include "nvme/property.h"
#include "test/target/io_fixture.h"

#define REFUSED    (NVME_STATUS_INVALID_FIELD | DNR)
#define NO_OPCODE  (NVME_STATUS_INVALID_OPCODE | DNR)
#define ROW_VALUES 5

/* A bit, and the opcodes, log pages, features or CNS values that there are if it is set. */
struct row {
	uint32_t bit;
	uint8_t values[ROW_VALUES]; /* 0 after the last */
};

static struct fake_connection *open_discovery(struct fixture *fixture)
{
	struct fake_connection *connection = fake_connection_open(&fixture->world, 1, NULL);
	struct fake_connect connect;

	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	nvme_nqn_to_field(connect.data.subnqn, NVME_NQN_DISCOVERY);
	assert_int_equal(fake_connect(connection, &connect, NULL), 0);
	assert_int_equal(fake_property_set(connection, NVME_PROPERTY_CC, 0, 0x460001), 0);
	return connection;
}

/* @return the status of a command whose SGL has @sgl_bytes, whatever it ought to have. */
static uint16_t send(struct fake_connection *connection, const struct nvme_command *command,
	uint32_t sgl_bytes)
{
	struct nvme_command copy = *command;
	struct fake_command *sent;
	uint16_t status;

	copy.sgl = nvme_sgl_transport(sgl_bytes);
	sent = fake_send_raw(connection, &copy, NULL, 0);
	status = fake_wait(sent);
	fake_command_free(sent);
	return status;
}

static uint16_t identify(struct fake_connection *connection, uint8_t cns, uint32_t nsid,
	void *ret_page)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_IDENTIFY, nsid);
	struct fake_exchange exchange = {.ret_data = ret_page, .data_bytes = NVME_IDENTIFY_BYTES};

	nvme_command_set_identify(&command, cns, 0, NVME_COMMAND_SET_NVM);
	return fake_execute(connection, &command, &exchange);
}

static uint16_t get_log(struct fake_connection *connection, const struct nvme_get_log_page *fields,
	uint32_t nsid, void *ret_page)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_LOG_PAGE, nsid);
	struct fake_exchange exchange = {.ret_data = ret_page,
		.data_bytes = (size_t)fields->length_bytes};

	nvme_command_set_get_log_page(&command, fields);
	return fake_execute(connection, &command, &exchange);
}

static bool has_log(struct fake_connection *connection, uint8_t lid)
{
	const struct nvme_get_log_page fields = {.lid = lid, .length_bytes = 4};

	return get_log(connection, &fields, 0, NULL) == 0;
}

/* What a command that moves one byte is refused for tells whether there is such a command; none does
 * anything. */
static bool has_command(struct fake_connection *connection, uint8_t opcode)
{
	struct nvme_command command = fake_command_of(opcode, MEMORY);
	uint16_t status = send(connection, &command, 1);

	assert_int_not_equal(status, 0);
	return status != NO_OPCODE;
}

static uint16_t ask_feature(struct fake_connection *connection, uint8_t fid,
	enum nvme_feature_select select, uint64_t *ret_result)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_FEATURES, 0);

	nvme_command_set_get_feature(&command, fid, select);
	return fake_command(connection, &command, ret_result);
}

static bool has_feature(struct fake_connection *connection, uint8_t fid)
{
	return ask_feature(connection, fid, NVME_FEATURE_CAPABILITIES, NULL) == 0;
}

static bool has_identify(struct fake_connection *connection, uint8_t cns)
{
	uint8_t page[NVME_IDENTIFY_BYTES];

	return identify(connection, cns, MEMORY, page) == 0;
}

/* Compare each row's bit of @bits with whether all of its values are there. @return the bits that
 * have a row. */
static uint32_t compare(const struct row *rows, size_t count, uint32_t bits,
	struct fake_connection *connection,
	bool (*has)(struct fake_connection *connection, uint8_t value))
{
	uint32_t known = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < ROW_VALUES && (j == 0 || rows[i].values[j] != 0); j++)
			assert_int_equal(has(connection, rows[i].values[j]),
				(bits & rows[i].bit) != 0);
		known |= rows[i].bit;
	}
	return known;
}

/* Commands */

static void test_effects_log_lists_a_command_when_it_is_accepted(void **state)
{
	static const struct nvme_get_log_page fields = {.lid = NVME_LOG_PAGE_EFFECTS,
		.length_bytes = sizeof(struct nvme_log_effects)};
	struct nvme_log_effects page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(get_log(fixture.admin, &fields, 0, &page), 0);
	for (unsigned i = 0; i < 256; i++) {
		uint32_t admin = le32_get(page.admin[i]), io = le32_get(page.io[i]);

		/* Fabrics commands have no place in it. */
		if (i == NVME_ADMIN_FABRICS) {
			assert_int_equal(admin | io, 0);
			continue;
		}
		assert_int_equal(has_command(fixture.admin, (uint8_t)i),
			(admin & NVME_EFFECTS_SUPPORTED) != 0);
		assert_int_equal(has_command(fixture.io, (uint8_t)i),
			(io & NVME_EFFECTS_SUPPORTED) != 0);
		/* What is not supported has no effects. */
		assert_true((admin & NVME_EFFECTS_SUPPORTED) != 0 || admin == 0);
		assert_true((io & NVME_EFFECTS_SUPPORTED) != 0 || io == 0);
	}
	tear_down(&fixture);
}

/* Base 2.0, 3.1.2.3.2 */
static void test_discovery_controller_accepts_a_command_when_it_is_one_of_its_own(void **state)
{
	static const uint8_t opcodes[] = {NVME_ADMIN_GET_LOG_PAGE, NVME_ADMIN_IDENTIFY,
		NVME_ADMIN_SET_FEATURES, NVME_ADMIN_GET_FEATURES, NVME_ADMIN_ASYNC_EVENT,
		NVME_ADMIN_KEEP_ALIVE};
	static const uint8_t features[] = {NVME_FEATURE_EVENT_CONFIGURATION,
		NVME_FEATURE_KEEP_ALIVE};
	static const uint8_t lids[] = {NVME_LOG_PAGE_ERROR, NVME_LOG_PAGE_DISCOVERY};
	struct fake_connection *discovery;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	discovery = open_discovery(&fixture);
	for (unsigned i = 0; i < 256; i++) {
		uint8_t value = (uint8_t)i;

		if (i != NVME_ADMIN_FABRICS)
			assert_int_equal(has_command(discovery, value),
				memchr(opcodes, value, sizeof(opcodes)) != NULL);
		assert_int_equal(has_feature(discovery, value),
			memchr(features, value, sizeof(features)) != NULL);
		assert_int_equal(has_log(discovery, value),
			memchr(lids, value, sizeof(lids)) != NULL);
		assert_int_equal(has_identify(discovery, value), i == NVME_CNS_CONTROLLER);
	}
	fake_connection_free(discovery);
	tear_down(&fixture);
}

static void test_identify_has_the_bit_of_a_command_when_there_is_the_command(void **state)
{
	static const struct row oncs[] = {
		{NVME_ONCS_COMPARE, {NVME_IO_COMPARE}},
		{NVME_ONCS_WRITE_UNCORRECTABLE, {NVME_IO_WRITE_UNCORRECTABLE}},
		{NVME_ONCS_DATASET_MANAGEMENT, {NVME_IO_DATASET_MANAGEMENT}},
		{NVME_ONCS_WRITE_ZEROES, {NVME_IO_WRITE_ZEROES}},
		{NVME_ONCS_RESERVATIONS,
			{NVME_IO_RESERVATION_REGISTER, NVME_IO_RESERVATION_REPORT,
				NVME_IO_RESERVATION_ACQUIRE, NVME_IO_RESERVATION_RELEASE}},
		{NVME_ONCS_VERIFY, {NVME_IO_VERIFY}},
		{NVME_ONCS_COPY, {NVME_IO_COPY}},
	};
	static const struct row oncs_features[] = {
		{NVME_ONCS_TIMESTAMP, {NVME_FEATURE_TIMESTAMP}},
		{NVME_ONCS_RESERVATIONS,
			{NVME_FEATURE_RESERVATION_MASK, NVME_FEATURE_RESERVATION_PERSISTENCE}},
	};
	static const struct row oacs[] = {
		{NVME_OACS_SECURITY, {NVME_ADMIN_SECURITY_SEND, NVME_ADMIN_SECURITY_RECEIVE}},
		{NVME_OACS_FORMAT, {NVME_ADMIN_FORMAT_NVM}},
		{NVME_OACS_FIRMWARE, {NVME_ADMIN_FIRMWARE_COMMIT, NVME_ADMIN_FIRMWARE_DOWNLOAD}},
		{NVME_OACS_NAMESPACE_MANAGEMENT,
			{NVME_ADMIN_NAMESPACE_MANAGEMENT, NVME_ADMIN_NAMESPACE_ATTACHMENT}},
		{NVME_OACS_SELF_TEST, {NVME_ADMIN_SELF_TEST}},
		{NVME_OACS_DIRECTIVES, {NVME_ADMIN_DIRECTIVE_SEND, NVME_ADMIN_DIRECTIVE_RECEIVE}},
		{1U << 6, {NVME_ADMIN_MI_SEND, NVME_ADMIN_MI_RECEIVE}},
		{1U << 7, {NVME_ADMIN_VIRTUALIZATION_MANAGEMENT}},
		{1U << 8, {NVME_ADMIN_DOORBELL_BUFFER_CONFIG}},
		{1U << 9, {NVME_ADMIN_GET_LBA_STATUS}},
		{1U << 10, {NVME_ADMIN_LOCKDOWN}},
	};
	struct nvme_identify_controller page;
	struct fixture fixture;
	uint32_t known;

	(void)state;
	set_up(&fixture);
	assert_int_equal(identify(fixture.admin, NVME_CNS_CONTROLLER, 0, &page), 0);
	known = compare(oncs, ARRAY_LENGTH(oncs), le16_get(page.oncs), fixture.io, has_command);
	known |= compare(oncs_features, ARRAY_LENGTH(oncs_features), le16_get(page.oncs),
		fixture.admin, has_feature);
	/* Save and Select: the kinds of value can be asked for, nothing can be saved. */
	for (unsigned select = 0; select < 8; select++)
		assert_int_equal(ask_feature(fixture.admin, NVME_FEATURE_ARBITRATION, select, NULL),
			select <= NVME_FEATURE_CAPABILITIES ? 0 : REFUSED);
	known |= NVME_ONCS_FEATURE_SELECT;
	assert_int_equal(le16_get(page.oncs) & NVME_ONCS_FEATURE_SELECT, NVME_ONCS_FEATURE_SELECT);
	assert_int_equal(le16_get(page.oncs) & ~known, 0);
	known = compare(oacs, ARRAY_LENGTH(oacs), le16_get(page.oacs), fixture.admin, has_command);
	assert_int_equal(le16_get(page.oacs) & ~known, 0);
	assert_int_equal(le32_get(page.sanicap) != 0,
		has_command(fixture.admin, NVME_ADMIN_SANITIZE));
	tear_down(&fixture);
}

/* Other pages of Identify, log pages, features */

static void test_identify_has_the_bit_of_a_page_or_feature_when_there_is_one(void **state)
{
	static const struct row lpa[] = {
		{NVME_LPA_EFFECTS, {NVME_LOG_PAGE_EFFECTS}},
		{NVME_LPA_TELEMETRY,
			{NVME_LOG_PAGE_TELEMETRY_HOST, NVME_LOG_PAGE_TELEMETRY_CONTROLLER}},
		{NVME_LPA_PERSISTENT_EVENT, {NVME_LOG_PAGE_PERSISTENT_EVENT}},
		{NVME_LPA_SUPPORTED_PAGES,
			{NVME_LOG_PAGE_SUPPORTED, NVME_LOG_PAGE_FEATURE_EFFECTS,
				NVME_LOG_PAGE_MI_EFFECTS}},
	};
	static const struct row ctratt[] = {
		{NVME_CTRATT_NVM_SETS, {NVME_CNS_NVM_SETS}},
		{NVME_CTRATT_ENDURANCE_GROUPS, {NVME_CNS_ENDURANCE_GROUPS}},
		{NVME_CTRATT_NAMESPACE_GRANULE, {NVME_CNS_NAMESPACE_GRANULARITY}},
		{NVME_CTRATT_UUID_LIST, {NVME_CNS_UUIDS}},
	};
	static const struct row cmic[] = {{NVME_CMIC_ANA, {NVME_LOG_PAGE_ANA}}};
	const struct nvme_get_log_page smart = {.lid = NVME_LOG_PAGE_SMART, .length_bytes = 512};
	struct fake_connection *connections[2];
	struct nvme_identify_controller page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	connections[0] = fixture.admin;
	connections[1] = open_discovery(&fixture);
	for (unsigned i = 0; i < 2; i++) {
		struct fake_connection *admin = connections[i];
		const struct nvme_get_log_page extended = {.lid = NVME_LOG_PAGE_ERROR,
			.length_bytes = UINT64_C(4) << 16,
			.offset = 64};
		uint32_t known;

		assert_int_equal(identify(admin, NVME_CNS_CONTROLLER, 0, &page), 0);
		known = compare(lpa, ARRAY_LENGTH(lpa), page.lpa, admin, has_log);
		assert_int_equal(get_log(admin, &smart, MEMORY, NULL) == 0,
			(page.lpa & NVME_LPA_SMART_PER_NAMESPACE) != 0);
		assert_int_equal(get_log(admin, &extended, 0, NULL) == 0,
			(page.lpa & NVME_LPA_EXTENDED) != 0);
		known |= NVME_LPA_SMART_PER_NAMESPACE | NVME_LPA_EXTENDED;
		assert_int_equal(page.lpa & ~known, 0);
		known = compare(ctratt, ARRAY_LENGTH(ctratt), le32_get(page.ctratt), admin,
			has_identify);
		known |= NVME_CTRATT_HOSTID_128 | NVME_CTRATT_TBKAS;
		assert_int_equal(le32_get(page.ctratt) & ~known, 0);
		known = compare(cmic, ARRAY_LENGTH(cmic), page.cmic, admin, has_log);
		known |= NVME_CMIC_MULTI_PORT | NVME_CMIC_MULTI_CONTROLLER;
		assert_int_equal(page.cmic & ~known, 0);
		/* Fields that say that there is a feature. */
		assert_int_equal(page.apsta != 0,
			has_feature(admin, NVME_FEATURE_POWER_TRANSITION));
		assert_int_equal(le32_get(page.hmpre) != 0,
			has_feature(admin, NVME_FEATURE_HOST_MEMORY_BUFFER));
		assert_int_equal(le16_get(page.hctma) != 0,
			has_feature(admin, NVME_FEATURE_THERMAL_MANAGEMENT));
		assert_int_equal(page.nwpc != 0, has_feature(admin, NVME_FEATURE_WRITE_PROTECTION));
		assert_int_equal(page.vwc != 0,
			has_feature(admin, NVME_FEATURE_VOLATILE_WRITE_CACHE));
		assert_int_equal(le16_get(page.kas) != 0,
			has_feature(admin, NVME_FEATURE_KEEP_ALIVE));
	}
	fake_connection_free(connections[1]);
	tear_down(&fixture);
}

static void test_identify_answers_a_cns_when_it_must(void **state)
{
	static const uint8_t cnses[] = {NVME_CNS_NAMESPACE, NVME_CNS_CONTROLLER,
		NVME_CNS_ACTIVE_NAMESPACES, NVME_CNS_NAMESPACE_DESCRIPTORS, NVME_CNS_IOCS_NAMESPACE,
		NVME_CNS_IOCS_CONTROLLER, NVME_CNS_IOCS_ACTIVE_NAMESPACES,
		NVME_CNS_INDEPENDENT_NAMESPACE, NVME_CNS_IO_COMMAND_SETS};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(has_identify(fixture.admin, (uint8_t)i),
			memchr(cnses, (int)i, sizeof(cnses)) != NULL);
	tear_down(&fixture);
}

static void test_feature_effects_log_lists_a_feature_when_it_can_be_set(void **state)
{
	static const struct nvme_get_log_page fields = {.lid = NVME_LOG_PAGE_FEATURE_EFFECTS,
		.length_bytes = sizeof(struct nvme_log_feature_effects)};
	struct nvme_log_feature_effects page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(get_log(fixture.admin, &fields, 0, &page), 0);
	for (unsigned i = 0; i < 256; i++) {
		bool is_listed = (le32_get(page.fid[i]) & NVME_EFFECTS_SUPPORTED) != 0;
		struct nvme_command command = fake_command_of(NVME_ADMIN_SET_FEATURES, 0);
		uint64_t can;
		uint16_t status;

		assert_int_equal(has_feature(fixture.admin, (uint8_t)i), is_listed);
		nvme_command_set_feature(&command, (uint8_t)i, 0);
		if (!is_listed) {
			assert_int_equal(send(fixture.admin, &command, 0), REFUSED);
			assert_int_equal(le32_get(page.fid[i]), 0);
			continue;
		}
		assert_int_equal(ask_feature(fixture.admin, (uint8_t)i, NVME_FEATURE_CAPABILITIES,
					 &can),
			0);
		/* Refused for the one byte, but what cannot be changed earlier. */
		command.nsid = le32_of((can & NVME_FEATURE_CAN_NAMESPACE) != 0 ? MEMORY : 0);
		status = send(fixture.admin, &command, 1);
		assert_int_equal(status == (NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR),
			(can & NVME_FEATURE_CAN_CHANGE) != 0);
		assert_int_not_equal(status, 0);
		command.cdw10 = le32_of(i | NVME_FEATURE_SAVE);
		assert_int_equal(send(fixture.admin, &command, 1) ==
				(NVME_STATUS_FEATURE_NOT_SAVEABLE | DNR),
			(can & NVME_FEATURE_CAN_SAVE) == 0);
		/* A namespace is named, or it is refused for that. */
		command.cdw10 = le32_of(i);
		command.nsid = le32_of((can & NVME_FEATURE_CAN_NAMESPACE) != 0 ? 0 : MEMORY);
		assert_int_equal(send(fixture.admin, &command, 1),
			((can & NVME_FEATURE_CAN_NAMESPACE) != 0
					? NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT
					: NVME_STATUS_FEATURE_NOT_NAMESPACE_SPECIFIC) |
				DNR);
	}
	tear_down(&fixture);
}

static void test_identify_has_the_bit_of_an_event_when_it_can_be_enabled(void **state)
{
	struct fake_connection *connections[2];
	struct nvme_identify_controller page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	connections[0] = fixture.admin;
	connections[1] = open_discovery(&fixture);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(identify(connections[i], NVME_CNS_CONTROLLER, 0, &page), 0);
		for (unsigned bit = 8; bit < 32; bit++) {
			struct nvme_command command = fake_command_of(NVME_ADMIN_SET_FEATURES, 0);
			bool is_there = (le32_get(page.oaes) >> bit & 1) != 0;
			uint64_t value;

			nvme_command_set_feature(&command, NVME_FEATURE_EVENT_CONFIGURATION,
				UINT32_C(1) << bit);
			assert_int_equal(fake_command(connections[i], &command, NULL),
				is_there ? 0 : REFUSED);
			assert_int_equal(ask_feature(connections[i],
						 NVME_FEATURE_EVENT_CONFIGURATION,
						 NVME_FEATURE_CURRENT, &value),
				0);
			assert_int_equal(value >> bit & 1, is_there);
		}
		assert_int_equal(le32_get(page.oaes) & 0xff, 0);
	}
	fake_connection_free(connections[1]);
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_effects_log_lists_a_command_when_it_is_accepted),
		cmocka_unit_test(
			test_discovery_controller_accepts_a_command_when_it_is_one_of_its_own),
		cmocka_unit_test(test_identify_has_the_bit_of_a_command_when_there_is_the_command),
		cmocka_unit_test(test_identify_has_the_bit_of_a_page_or_feature_when_there_is_one),
		cmocka_unit_test(test_identify_answers_a_cns_when_it_must),
		cmocka_unit_test(test_feature_effects_log_lists_a_feature_when_it_can_be_set),
		cmocka_unit_test(test_identify_has_the_bit_of_an_event_when_it_can_be_enabled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
