#include "base/cleanup.h"
#include "nvme/feature.h"
#include "nvme/identify_namespace.h"
#include "nvme/io_command.h"
#include "nvme/log_page.h"
#include "nvme/reservation.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_command_range_is_kept_when_set(void **state)
{
	static const struct {
		uint64_t slba;
		uint32_t block_count, flags, cdw12;
	} rows[] = {
		{0, 1, 0, 0},
		{UINT64_C(0x123456789abcdef0), 65536, NVME_IO_FUA, 0x4000ffff},
		{UINT64_MAX, 256, NVME_IO_LR | NVME_IO_DEAC, 0x820000ff},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command command = {0};

		nvme_command_set_range(&command, rows[i].slba, rows[i].block_count, rows[i].flags);
		assert_int_equal(le32_get(command.cdw10), rows[i].slba & 0xffffffff);
		assert_int_equal(le32_get(command.cdw11), rows[i].slba >> 32);
		assert_int_equal(le32_get(command.cdw12), rows[i].cdw12);
		assert_true(nvme_command_slba(&command) == rows[i].slba);
		assert_int_equal(nvme_command_block_count(&command), rows[i].block_count);
	}
}

static void test_command_fields_are_kept_when_they_are_of_other_io_commands(void **state)
{
	struct nvme_command command = {0};

	(void)state;
	nvme_command_set_dsm(&command, 256, NVME_DSM_AD);
	assert_int_equal(le32_get(command.cdw10), 255);
	assert_int_equal(le32_get(command.cdw11), 4);
	assert_int_equal(nvme_command_dsm_range_count(&command), 256);

	command.cdw12 = le32_of(0x00000103);
	assert_int_equal(nvme_command_copy_range_count(&command), 4);
	assert_int_equal(nvme_command_copy_format(&command), 1);

	command.cdw10 = le32_of(0xc000050a);
	assert_int_equal(nvme_command_reservation_action(&command), 2);
	assert_int_equal(nvme_command_reservation_type(&command),
		NVME_RESERVATION_WRITE_EXCLUSIVE_ALL_REGISTRANTS);
	assert_int_equal(nvme_command_reservation_cptpl(&command), NVME_RESERVATION_PTPL_SET);
	command.cdw10 = le32_of(UINT32_MAX);
	assert_true(nvme_command_reservation_report_bytes(&command) == UINT64_C(1) << 34);

	nvme_command_set_abort(&command, 3, 0xfffe);
	assert_int_equal(nvme_command_abort_sqid(&command), 3);
	assert_int_equal(nvme_command_abort_cid(&command), 0xfffe);
}

static void test_command_is_the_same_when_laid_out_as_connect_and_back(void **state)
{
	struct nvme_connect_command connect = {
		.opcode = NVME_ADMIN_FABRICS,
		.flags = NVME_FLAGS_PSDT_SGL,
		.cid = le16_of(0x1234),
		.fctype = NVME_FABRICS_CONNECT,
		.sgl = nvme_sgl_in_capsule(0, sizeof(struct nvme_connect_data)),
		.qid = le16_of(2),
		.sqsize = le16_of(127),
		.cattr = NVME_CATTR_DISABLE_SQFC,
		.kato = le32_of(120000),
	};
	struct nvme_command command = nvme_command_of_fabrics(&connect);
	struct nvme_connect_command again = nvme_command_as_connect(&command);

	(void)state;
	assert_int_equal(command.opcode, 0x7f);
	assert_int_equal(nvme_command_fctype(&command), NVME_FABRICS_CONNECT);
	assert_int_equal(le16_get(command.cid), 0x1234);
	assert_int_equal(le32_get(command.sgl.length), 1024);
	assert_int_equal(command.sgl.type, 0x01);
	assert_int_equal(le32_get(command.cdw10), 0x00020000);
	assert_int_equal(le32_get(command.cdw11), 0x0004007f);
	assert_int_equal(le32_get(command.cdw12), 120000);
	assert_memory_equal(&again, &connect, sizeof(connect));
}

static void test_command_fields_are_found_when_it_is_another_fabrics_command(void **state)
{
	struct nvme_command command = {
		.cdw10 = le32_of(0xe9010101),
		.cdw11 = le32_of(0x14),
		.cdw12 = le32_of(0x460001),
		.cdw13 = le32_of(0x80000000),
	};
	struct nvme_property_command property = nvme_command_as_property(&command);
	struct nvme_auth_command auth = nvme_command_as_auth(&command);
	struct nvme_disconnect_command disconnect = nvme_command_as_disconnect(&command);

	(void)state;
	assert_int_equal(property.attrib & NVME_ATTRIB_SIZE_MASK, NVME_ATTRIB_SIZE_8);
	assert_int_equal(le32_get(property.ofst), 0x14);
	assert_true(le64_get(property.value) == UINT64_C(0x8000000000460001));
	assert_int_equal(auth.spsp0, NVME_AUTH_SPSP0);
	assert_int_equal(auth.spsp1, NVME_AUTH_SPSP1);
	assert_int_equal(auth.secp, NVME_AUTH_SECP);
	assert_int_equal(le32_get(auth.length), 0x14);
	assert_int_equal(le16_get(disconnect.recfmt), 0x0101);
}

static void test_command_transfer_is_by_the_opcode_when_it_is_no_fabrics_command(void **state)
{
	static const struct {
		uint8_t opcode, fctype;
		enum nvme_transfer transfer;
	} rows[] = {
		{NVME_IO_READ, 0, NVME_TRANSFER_CONTROLLER_TO_HOST},
		{NVME_IO_WRITE, 2, NVME_TRANSFER_HOST_TO_CONTROLLER},
		{NVME_IO_FLUSH, 1, NVME_TRANSFER_NONE},
		{NVME_IO_COPY, 0, NVME_TRANSFER_HOST_TO_CONTROLLER},
		{NVME_ADMIN_IDENTIFY, 0, NVME_TRANSFER_CONTROLLER_TO_HOST},
		{NVME_ADMIN_KEEP_ALIVE, 0, NVME_TRANSFER_NONE},
		{NVME_ADMIN_FABRICS, NVME_FABRICS_CONNECT, NVME_TRANSFER_HOST_TO_CONTROLLER},
		{NVME_ADMIN_FABRICS, NVME_FABRICS_PROPERTY_GET, NVME_TRANSFER_NONE},
		{NVME_ADMIN_FABRICS, NVME_FABRICS_AUTH_RECEIVE, NVME_TRANSFER_CONTROLLER_TO_HOST},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command command = {
			.opcode = rows[i].opcode,
			.nsid = le32_of(rows[i].fctype),
		};

		assert_int_equal(nvme_command_transfer(&command), rows[i].transfer);
	}
}

static void test_command_log_page_is_kept_when_set(void **state)
{
	static const struct nvme_get_log_page rows[] = {
		{.lid = NVME_LOG_PAGE_SMART, .length_bytes = 512},
		{.lid = NVME_LOG_PAGE_DISCOVERY,
			.lsp = 0x7f,
			.is_event_retained = true,
			.length_bytes = UINT64_C(1) << 34,
			.offset = UINT64_C(0x123456789c)},
		{.lid = NVME_LOG_PAGE_EFFECTS,
			.length_bytes = 4,
			.is_offset_index = true,
			.offset = 7,
			.lsi = 0xfedc,
			.csi = NVME_COMMAND_SET_ZONED},
		{.lid = NVME_LOG_PAGE_ERROR, .length_bytes = 262148},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command command = {0};
		struct nvme_get_log_page fields;

		nvme_command_set_get_log_page(&command, &rows[i]);
		fields = nvme_command_get_log_page(&command);
		assert_int_equal(fields.lid, rows[i].lid);
		assert_int_equal(fields.lsp, rows[i].lsp);
		assert_int_equal(fields.is_event_retained, rows[i].is_event_retained);
		assert_true(fields.length_bytes == rows[i].length_bytes);
		assert_true(fields.offset == rows[i].offset);
		assert_int_equal(fields.is_offset_index, rows[i].is_offset_index);
		assert_int_equal(fields.lsi, rows[i].lsi);
		assert_int_equal(fields.csi, rows[i].csi);
	}
}

static void test_command_fields_are_kept_when_they_are_of_admin_commands(void **state)
{
	struct nvme_command command = {0};

	(void)state;
	nvme_command_set_identify(&command, NVME_CNS_CONTROLLERS, 0x1234, NVME_COMMAND_SET_ZONED);
	assert_int_equal(nvme_command_cns(&command), NVME_CNS_CONTROLLERS);
	assert_int_equal(nvme_command_identify_cntid(&command), 0x1234);
	assert_int_equal(nvme_command_identify_csi(&command), NVME_COMMAND_SET_ZONED);

	nvme_command_set_get_feature(&command, NVME_FEATURE_HOST_ID, NVME_FEATURE_CAPABILITIES);
	assert_int_equal(nvme_command_fid(&command), NVME_FEATURE_HOST_ID);
	assert_int_equal(nvme_command_feature_select(&command), NVME_FEATURE_CAPABILITIES);
	assert_false(nvme_command_feature_is_saved(&command));

	nvme_command_set_feature(&command, NVME_FEATURE_QUEUES, nvme_queues_of(4));
	assert_int_equal(nvme_command_fid(&command), NVME_FEATURE_QUEUES);
	assert_int_equal(le32_get(command.cdw11), 0x00030003);
	assert_int_equal(nvme_queues_submission(0x00ff0001), 2);
	assert_int_equal(nvme_queues_completion(0x00ff0001), 256);
}

static void test_event_has_its_parts_when_composed(void **state)
{
	uint32_t dw0 = nvme_event_of(NVME_EVENT_NOTICE, NVME_EVENT_NOTICE_DISCOVERY,
		NVME_LOG_PAGE_DISCOVERY);

	(void)state;
	assert_int_equal(dw0, 0x0070f002);
	assert_int_equal(nvme_event_type_of(dw0), NVME_EVENT_NOTICE);
	assert_int_equal(nvme_event_information_of(dw0), NVME_EVENT_NOTICE_DISCOVERY);
	assert_int_equal(nvme_event_lid_of(dw0), NVME_LOG_PAGE_DISCOVERY);
}

static void test_identify_finds_the_format_when_there_are_many(void **state)
{
	struct nvme_identify_namespace namespace = {.flbas = 0x31};

	(void)state;
	assert_int_equal(nvme_identify_namespace_format(&namespace), 1);
	namespace.nlbaf = 63;
	assert_int_equal(nvme_identify_namespace_format(&namespace), 17);
	namespace.flbas = 0x7f;
	assert_int_equal(nvme_identify_namespace_format(&namespace), 63);

	assert_int_equal(nvme_identifier_bytes(0), 0);
	assert_int_equal(nvme_identifier_bytes(NVME_NIDT_EUI64), 8);
	assert_int_equal(nvme_identifier_bytes(NVME_NIDT_CSI), 1);
	assert_int_equal(nvme_identifier_bytes(5), 0);
	assert_int_equal(nvme_identifier_bytes(255), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_range_is_kept_when_set),
		cmocka_unit_test(test_command_fields_are_kept_when_they_are_of_other_io_commands),
		cmocka_unit_test(test_command_is_the_same_when_laid_out_as_connect_and_back),
		cmocka_unit_test(test_command_fields_are_found_when_it_is_another_fabrics_command),
		cmocka_unit_test(
			test_command_transfer_is_by_the_opcode_when_it_is_no_fabrics_command),
		cmocka_unit_test(test_command_log_page_is_kept_when_set),
		cmocka_unit_test(test_command_fields_are_kept_when_they_are_of_admin_commands),
		cmocka_unit_test(test_event_has_its_parts_when_composed),
		cmocka_unit_test(test_identify_finds_the_format_when_there_are_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
