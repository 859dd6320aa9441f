#include "nvme/log_page.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/feature.h"
#include "nvme/io_command.h"
#include "nvme/status.h"
#include "store/memory_store.h"
#include "store/store.h"
#include "test/store/faulty_store.h"
#include "test/target/fake_host.h"

#define REFUSED (NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR)

struct fixture {
	struct fake_world world;
	struct faulty_store *faulty;
	int error; /* of every request */
	struct fake_connection *admin, *io;
};

static struct fault decide(void *context, const struct store_request *request)
{
	const struct fixture *fixture = context;

	(void)request;
	return (struct fault){.error = fixture->error};
}

static void set_up(struct fixture *fixture)
{
	static const struct store_options options = {0};
	struct store *store;
	uint16_t cntlid;

	memset(fixture, 0, sizeof(*fixture));
	fake_world_init(&fixture->world, NULL);
	assert_int_equal(memory_store_new(2 << 20, &options, &store), 0);
	fixture->faulty = faulty_store_new(store, decide, fixture);
	assert_int_equal(subsystem_add_namespace(fixture->world.subsystem,
				 faulty_store_store(fixture->faulty)),
		1);
	target_publish(fixture->world.target);
	fixture->admin = fake_admin(&fixture->world, 0, &cntlid);
	fixture->io = fake_io(&fixture->world, 1, cntlid, 5);
}

static void tear_down(struct fixture *fixture)
{
	fake_connection_free(fixture->io);
	fake_connection_free(fixture->admin);
	fake_world_deinit(&fixture->world);
	store_free(faulty_store_store(fixture->faulty));
}

static uint16_t get_log(struct fixture *fixture, const struct nvme_get_log_page *fields,
	uint32_t nsid, void *ret_data)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_LOG_PAGE, nsid);
	struct fake_exchange exchange = {
		.ret_data = ret_data,
		.data_bytes = (size_t)(uint32_t)fields->length_bytes,
	};

	nvme_command_set_get_log_page(&command, fields);
	return fake_execute(fixture->admin, &command, &exchange);
}

static uint16_t move_blocks(struct fixture *fixture, uint8_t opcode, uint64_t slba, uint32_t count)
{
	struct nvme_command command = fake_command_of(opcode, 1);
	uint8_t *data = calloc(count, 512);
	struct fake_exchange exchange = {
		.data = opcode == NVME_IO_WRITE ? data : NULL,
		.data_bytes = (size_t)count * 512,
	};
	uint16_t status;

	assert_non_null(data);
	nvme_command_set_range(&command, slba, count, 0);
	status = fake_execute(fixture->io, &command, &exchange);
	free(data);
	return status;
}

static void test_log_page_gives_the_status_when_fields_vary(void **state)
{
	static const struct {
		struct nvme_get_log_page fields;
		uint32_t nsid;
		uint16_t status;
	} rows[] = {
		{{.lid = 0x00, .length_bytes = 1024}, 0, 0},
		{{.lid = 0x12, .length_bytes = 1024}, 0, 0},
		{{.lid = 0x12, .length_bytes = 4, .offset = 1028}, 0, REFUSED},
		{{.lid = 0x13, .length_bytes = 4096}, 0, 0},
		{{.lid = 0x02, .length_bytes = 512}, NVME_NSID_BROADCAST, 0},
		/* What a page has no use for is ignored. */
		{{.lid = 0x02, .length_bytes = 512, .lsp = 0x7f, .lsi = 7}, 0, 0},
		{{.lid = 0x02, .length_bytes = 512}, 0, 0},
		{{.lid = 0x02, .length_bytes = 512}, 1, REFUSED},
		{{.lid = 0x02, .length_bytes = 4}, 0, 0},
		{{.lid = 0x02, .length_bytes = 8192}, 0, 0},
		{{.lid = 0x02, .length_bytes = 4, .offset = 512}, 0, 0},
		{{.lid = 0x02, .length_bytes = 4, .offset = 516}, 0, REFUSED},
		{{.lid = 0x02, .length_bytes = 4, .offset = UINT64_MAX - 3}, 0, REFUSED},
		{{.lid = 0x02, .length_bytes = 4, .offset = 2}, 0, REFUSED},
		{{.lid = 0x02, .length_bytes = 4, .is_offset_index = true}, 0, REFUSED},
		{{.lid = 0x02, .length_bytes = 1 << 20}, 0, 0},
		{{.lid = 0x02, .length_bytes = (1 << 20) + 4}, 0, REFUSED},
		{{.lid = 0x02, .length_bytes = UINT64_C(1) << 34}, 0, REFUSED},
		{{.lid = 0x01, .length_bytes = 64}, 0, 0},
		{{.lid = 0x03, .length_bytes = 512}, 0, 0},
		{{.lid = 0x04, .length_bytes = 4096}, 0, 0},
		{{.lid = 0x05, .length_bytes = 4096}, 0, 0},
		{{.lid = 0x05, .length_bytes = 4096, .csi = 2}, 0, REFUSED},
		{{.lid = 0x70, .length_bytes = 1024}, 0,
			NVME_STATUS_INVALID_LOG_PAGE | NVME_STATUS_DNR},
		{{.lid = 0x0c, .length_bytes = 16}, 0,
			NVME_STATUS_INVALID_LOG_PAGE | NVME_STATUS_DNR},
		{{.lid = 0xff, .length_bytes = 4}, 0,
			NVME_STATUS_INVALID_LOG_PAGE | NVME_STATUS_DNR},
	};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		assert_int_equal(get_log(&fixture, &rows[i].fields, rows[i].nsid, NULL),
			rows[i].status);
	tear_down(&fixture);
}

/* Linux reads the effects log; what it says is what there is. */
static void test_log_page_tells_effects_when_commands_are_there(void **state)
{
	static const struct nvme_get_log_page fields = {.lid = 0x05, .length_bytes = 4096};
	struct nvme_log_effects page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(get_log(&fixture, &fields, NVME_NSID_BROADCAST, &page), 0);
	assert_int_equal(le32_get(page.admin[NVME_ADMIN_IDENTIFY]),
		NVME_EFFECTS_SUPPORTED | NVME_EFFECTS_SCOPE_CONTROLLER);
	assert_int_equal(le32_get(page.admin[NVME_ADMIN_FORMAT_NVM]), 0);
	assert_int_equal(le32_get(page.io[NVME_IO_WRITE]),
		NVME_EFFECTS_SUPPORTED | NVME_EFFECTS_LBA_CONTENT);
	assert_int_equal(le32_get(page.io[NVME_IO_READ]), NVME_EFFECTS_SUPPORTED);
	assert_int_equal(le32_get(page.io[NVME_IO_COPY]),
		NVME_EFFECTS_SUPPORTED | NVME_EFFECTS_LBA_CONTENT);
	assert_int_equal(le32_get(page.io[NVME_IO_WRITE_UNCORRECTABLE]),
		NVME_EFFECTS_SUPPORTED | NVME_EFFECTS_LBA_CONTENT);
	assert_int_equal(le32_get(page.io[NVME_IO_RESERVATION_REGISTER]), 0);
	tear_down(&fixture);
}

static void test_log_page_lists_pages_when_they_can_be_read(void **state)
{
	static const struct nvme_get_log_page supported = {.lid = 0x00, .length_bytes = 1024};
	struct nvme_log_supported page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(get_log(&fixture, &supported, 0, &page), 0);
	for (unsigned i = 0; i < 256; i++) {
		struct nvme_get_log_page fields = {.lid = (uint8_t)i, .length_bytes = 4};
		bool is_listed = (le32_get(page.lid[i]) & NVME_LID_SUPPORTED) != 0;

		assert_int_equal(get_log(&fixture, &fields, 0, NULL) == 0, is_listed);
	}
	tear_down(&fixture);
}

static void test_log_page_lists_features_when_they_can_be_got(void **state)
{
	static const struct nvme_get_log_page effects = {.lid = 0x12, .length_bytes = 1024};
	struct nvme_log_feature_effects page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(get_log(&fixture, &effects, 0, &page), 0);
	for (unsigned i = 0; i < 256; i++) {
		struct nvme_command command = fake_command_of(NVME_ADMIN_GET_FEATURES, 0);
		uint32_t bits = le32_get(page.fid[i]);
		uint64_t capabilities;
		uint16_t status;

		nvme_command_set_get_feature(&command, (uint8_t)i, NVME_FEATURE_CAPABILITIES);
		status = fake_command(fixture.admin, &command, &capabilities);
		assert_int_equal(status, (bits & NVME_EFFECTS_SUPPORTED) != 0 ? 0 : REFUSED);
		assert_int_equal((capabilities & NVME_FEATURE_CAN_NAMESPACE) != 0,
			(bits & NVME_EFFECTS_SCOPE_NAMESPACE) != 0);
	}
	tear_down(&fixture);
}

static void test_log_page_is_the_same_when_read_in_pieces(void **state)
{
	static const uint8_t lids[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x12};
	static uint8_t whole[8192], piece[64];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(move_blocks(&fixture, NVME_IO_READ, 99999, 1),
		NVME_STATUS_LBA_OUT_OF_RANGE | NVME_STATUS_DNR);
	for (size_t i = 0; i < ARRAY_LENGTH(lids); i++) {
		struct nvme_get_log_page fields = {.lid = lids[i], .length_bytes = sizeof(whole)};

		assert_int_equal(get_log(&fixture, &fields, 0, whole), 0);
		fields.length_bytes = sizeof(piece);
		for (fields.offset = 0; fields.offset < 512; fields.offset += 28) {
			assert_int_equal(get_log(&fixture, &fields, 0, piece), 0);
			for (size_t at = 0; at < sizeof(piece) && fields.offset + at < 512; at++)
				assert_int_equal(piece[at], whole[fields.offset + at]);
		}
		assert_int_equal(whole[sizeof(whole) - 1], 0);
	}
	tear_down(&fixture);
}

/* There is no list of UUIDs (CTRATT bit 9), and no page has a use for LSP or LSI. */
static void test_log_page_is_the_same_when_it_is_asked_for_something_specific(void **state)
{
	static const struct nvme_get_log_page supported = {.lid = 0x00, .length_bytes = 1024};
	static uint8_t plain[4096], page[4096];
	struct nvme_log_supported lids;
	struct fixture fixture;
	unsigned page_count = 0;

	(void)state;
	set_up(&fixture);
	assert_int_equal(move_blocks(&fixture, NVME_IO_READ, 99999, 1),
		NVME_STATUS_LBA_OUT_OF_RANGE | NVME_STATUS_DNR);
	assert_int_equal(get_log(&fixture, &supported, 0, &lids), 0);
	for (unsigned lid = 0; lid < 256; lid++) {
		struct nvme_get_log_page fields = {.lid = (uint8_t)lid, .length_bytes = 4096};
		struct nvme_command command = fake_command_of(NVME_ADMIN_GET_LOG_PAGE, 0);
		struct fake_exchange exchange = {.ret_data = page, .data_bytes = sizeof(page)};
		bool is_there = (le32_get(lids.lid[lid]) & NVME_LID_SUPPORTED) != 0;

		page_count += is_there;
		if (is_there)
			assert_int_equal(get_log(&fixture, &fields, 0, plain), 0);
		fields.lsp = 0x55;
		fields.lsi = 3;
		nvme_command_set_get_log_page(&command, &fields);
		for (uint32_t uuid_index = 0; uuid_index < 128; uuid_index += 127) {
			command.cdw14 = le32_of(uuid_index);
			assert_int_equal(fake_execute(fixture.admin, &command, &exchange),
				is_there ? 0 : NVME_STATUS_INVALID_LOG_PAGE | NVME_STATUS_DNR);
			if (is_there)
				assert_memory_equal(page, plain, sizeof(page));
		}
	}
	assert_int_equal(page_count, 8);
	tear_down(&fixture);
}

static void test_log_page_counts_units_when_commands_succeed(void **state)
{
	static const struct nvme_get_log_page fields = {.lid = 0x02, .length_bytes = 512};
	struct nvme_log_smart page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(get_log(&fixture, &fields, 0, &page), 0);
	assert_int_equal(page.data_units_read[0], 0);
	assert_int_equal(page.power_cycles[0], 1);
	/* Exactly a thousand units is one, one block more is two. */
	assert_int_equal(move_blocks(&fixture, NVME_IO_READ, 0, 1000), 0);
	assert_int_equal(get_log(&fixture, &fields, 0, &page), 0);
	assert_int_equal(page.data_units_read[0], 1);
	assert_int_equal(move_blocks(&fixture, NVME_IO_READ, 0, 1), 0);
	assert_int_equal(move_blocks(&fixture, NVME_IO_WRITE, 0, 3), 0);
	fixture.error = EIO;
	assert_int_not_equal(move_blocks(&fixture, NVME_IO_READ, 0, 1), 0);
	assert_int_not_equal(move_blocks(&fixture, NVME_IO_WRITE, 0, 1), 0);
	fake_world_pass(&fixture.world, (2 * 3600 + 1) * 1000);
	assert_int_equal(get_log(&fixture, &fields, 0, &page), 0);
	assert_int_equal(page.data_units_read[0], 2);
	assert_int_equal(page.host_reads[0], 2);
	assert_int_equal(page.data_units_written[0], 1);
	assert_int_equal(page.host_writes[0], 1);
	assert_int_equal(page.media_errors[0], 2);
	assert_int_equal(page.error_log_entries[0], 2);
	assert_int_equal(page.power_on_hours[0], 2);
	assert_int_equal(page.critical_warning, 0);
	/* What a queue counted stays when it has gone. */
	fake_connection_close(fixture.io);
	assert_int_equal(get_log(&fixture, &fields, 0, &page), 0);
	assert_int_equal(page.host_reads[0], 2);
	atomic_store(&faulty_store_store(fixture.faulty)->failed_flush, EIO);
	assert_int_equal(get_log(&fixture, &fields, 0, &page), 0);
	assert_int_equal(page.critical_warning, NVME_SMART_DEGRADED);
	tear_down(&fixture);
}

static void test_log_page_has_the_newest_error_first_when_commands_fail(void **state)
{
	static const struct nvme_get_log_page fields = {.lid = 0x01, .length_bytes = 4096};
	struct nvme_log_error entries[64];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(move_blocks(&fixture, NVME_IO_READ, 77777, 1),
		NVME_STATUS_LBA_OUT_OF_RANGE | NVME_STATUS_DNR);
	fixture.error = EIO;
	assert_int_equal(move_blocks(&fixture, NVME_IO_WRITE, 8, 1), NVME_STATUS_WRITE_FAULT);
	assert_int_equal(get_log(&fixture, &fields, 0, entries), 0);
	assert_int_equal(le64_get(entries[0].error_count), 2);
	assert_int_equal(le16_get(entries[0].sqid), 5);
	assert_int_equal(le16_get(entries[0].status), NVME_STATUS_WRITE_FAULT << 1);
	assert_int_equal(le64_get(entries[0].lba), 8);
	assert_int_equal(le32_get(entries[0].nsid), 1);
	assert_int_equal(le64_get(entries[1].error_count), 1);
	assert_int_equal(le64_get(entries[1].lba), 77777);
	assert_int_equal(le64_get(entries[2].error_count), 0);
	for (unsigned i = 0; i < 70; i++)
		(void)move_blocks(&fixture, NVME_IO_READ, i, 1);
	assert_int_equal(get_log(&fixture, &fields, 0, entries), 0);
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(le64_get(entries[i].error_count), 72 - i);
		assert_int_equal(le64_get(entries[i].lba), 69 - i);
	}
	tear_down(&fixture);
}

static void test_log_page_names_the_firmware_when_asked_for_slots(void **state)
{
	static const struct nvme_get_log_page fields = {.lid = 0x03, .length_bytes = 512};
	struct nvme_log_firmware_slot page;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(get_log(&fixture, &fields, 0, &page), 0);
	assert_int_equal(page.afi, 1);
	assert_memory_equal(page.frs[0], FERRY_VERSION, strlen(FERRY_VERSION));
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_page_gives_the_status_when_fields_vary),
		cmocka_unit_test(test_log_page_tells_effects_when_commands_are_there),
		cmocka_unit_test(test_log_page_lists_pages_when_they_can_be_read),
		cmocka_unit_test(test_log_page_lists_features_when_they_can_be_got),
		cmocka_unit_test(test_log_page_is_the_same_when_read_in_pieces),
		cmocka_unit_test(test_log_page_is_the_same_when_it_is_asked_for_something_specific),
		cmocka_unit_test(test_log_page_counts_units_when_commands_succeed),
		cmocka_unit_test(test_log_page_has_the_newest_error_first_when_commands_fail),
		cmocka_unit_test(test_log_page_names_the_firmware_when_asked_for_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
