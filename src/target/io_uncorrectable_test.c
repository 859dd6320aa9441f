#include "target/io.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/log_page.h"
#include "target/bad_blocks.h"
#include "test/target/io_fixture.h"

#define UNREADABLE (NVME_STATUS_UNRECOVERED_READ_ERROR | DNR)
#define FAULT      (NVME_STATUS_WRITE_FAULT | DNR)

static void mark(struct fixture *fixture, uint32_t nsid, uint64_t slba, uint32_t count)
{
	struct nvme_command command = blocks(NVME_IO_WRITE_UNCORRECTABLE, nsid, slba, count);

	assert_int_equal(fake_command(fixture->io, &command, NULL), 0);
}

/* Send @opcode with data as it wants it: letters 'x', or one range from @slba on.
 * @return the status. */
static uint16_t touch(struct fixture *fixture, uint8_t opcode, uint32_t nsid, uint64_t slba,
	uint32_t count)
{
	static uint8_t data[64 * 512];
	const struct nvme_dsm_range range = {.slba = le64_of(slba), .block_count = le32_of(count)};
	const struct nvme_copy_range source = {.nlb = le16_of((uint16_t)(count - 1))};
	struct nvme_command command = blocks(opcode, nsid, slba, count);
	struct fake_exchange exchange = {.data = data, .data_bytes = (size_t)count * 512};

	memset(data, 'x', sizeof(data));
	switch (opcode) {
	case NVME_IO_READ:
		exchange.data = NULL;
		break;
	case NVME_IO_VERIFY:
	case NVME_IO_WRITE_ZEROES:
		return fake_command(fixture->io, &command, NULL);
	case NVME_IO_DATASET_MANAGEMENT:
		nvme_command_set_dsm(&command, 1, NVME_DSM_AD);
		exchange = (struct fake_exchange){.data = &range, .data_bytes = sizeof(range)};
		break;
	case NVME_IO_COPY: /* from block 0 on */
		command.cdw12 = le32_of(0);
		exchange = (struct fake_exchange){.data = &source, .data_bytes = sizeof(source)};
		break;
	}
	return fake_execute(fixture->io, &command, &exchange);
}

static void test_write_uncorrectable_gives_the_status_when_fields_vary(void **state)
{
	static const struct {
		uint32_t nsid;
		uint64_t slba;
		uint32_t count, sgl_bytes;
		uint8_t flags;
		uint16_t status;
	} rows[] = {
		{MEMORY, 0, 1, 0, 0x40, 0},
		{MEMORY, 0, BLOCKS, 0, 0x40, 0},
		{MEMORY, BLOCKS - 1, 1, 0, 0x40, 0},
		{BIG_BLOCKS, 0, 1024, 0, 0x40, 0},
		{MEMORY, BLOCKS, 1, 0, 0x40, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, BLOCKS - 1, 2, 0, 0x40, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, UINT64_MAX, 1, 0, 0x40, NVME_STATUS_LBA_OUT_OF_RANGE | DNR},
		{MEMORY, 0, 1, 512, 0x40, NVME_STATUS_INVALID_DATA_SGL_LENGTH | DNR},
		{MEMORY, 0, 1, 0, 0x41, NVME_STATUS_INVALID_FIELD | DNR},
		{READ_ONLY, 0, 1, 0, 0x40, NVME_STATUS_NAMESPACE_WRITE_PROTECTED | DNR},
		{NAMESPACE_COUNT + 1, 0, 1, 0, 0x40, NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
		{UINT32_MAX, 0, 1, 0, 0x40, NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | DNR},
	};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command command = blocks(NVME_IO_WRITE_UNCORRECTABLE, rows[i].nsid,
			rows[i].slba, rows[i].count);
		struct fake_command *sent;

		command.flags = rows[i].flags;
		command.sgl = nvme_sgl_transport(rows[i].sgl_bytes);
		sent = fake_send_raw(fixture.io, &command, NULL, 0);
		assert_int_equal(fake_wait(sent), rows[i].status);
		fake_command_free(sent);
	}
	tear_down(&fixture);
}

/* Blocks 100 to 109 are marked, of a store that lends and of one that does not. */
static void test_io_cannot_read_when_a_block_is_marked(void **state)
{
	static const struct {
		uint8_t opcode;
		uint64_t slba;
		uint32_t count;
		uint16_t status;
	} rows[] = {
		{NVME_IO_READ, 99, 1, 0},
		{NVME_IO_READ, 99, 2, UNREADABLE},
		{NVME_IO_READ, 104, 1, UNREADABLE},
		{NVME_IO_READ, 90, 64, UNREADABLE},
		{NVME_IO_READ, 109, 1, UNREADABLE},
		{NVME_IO_READ, 110, 1, 0},
		{NVME_IO_COMPARE, 99, 1, 0},
		{NVME_IO_COMPARE, 99, 2, UNREADABLE},
		{NVME_IO_COMPARE, 110, 1, 0},
		{NVME_IO_VERIFY, 99, 1, 0},
		{NVME_IO_VERIFY, 99, 2, UNREADABLE},
		{NVME_IO_VERIFY, 0, 2048, UNREADABLE},
		{NVME_IO_VERIFY, 110, 1, 0},
		{NVME_IO_COPY, 200, 64, 0},
		{NVME_IO_COPY, 2000, 100, 0},
		{NVME_IO_COPY, 2000, 101, UNREADABLE},
	};
	static const uint32_t nsids[] = {MEMORY, FAULTY};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows) * ARRAY_LENGTH(nsids); i++) {
		size_t row = i / ARRAY_LENGTH(nsids);
		uint32_t nsid = nsids[i % ARRAY_LENGTH(nsids)];

		write_letters(&fixture, nsid, 90, 64 * 512, 'x');
		mark(&fixture, nsid, 100, 10);
		assert_int_equal(touch(&fixture, rows[row].opcode, nsid, rows[row].slba,
					 rows[row].count),
			rows[row].status);
	}
	/* A namespace has its own. */
	assert_int_equal(touch(&fixture, NVME_IO_READ, READ_ONLY, 100, 1), 0);
	tear_down(&fixture);
}

static void test_io_reads_again_when_marked_blocks_are_written(void **state)
{
	static const struct {
		uint8_t opcode;
		int letter;
	} rows[] = {
		{NVME_IO_WRITE, 'x'},
		{NVME_IO_WRITE_ZEROES, 0},
		{NVME_IO_DATASET_MANAGEMENT, 0},
		{NVME_IO_COPY, 'a'},
	};
	static const uint32_t nsids[] = {MEMORY, FAULTY};
	static uint8_t data[4 * 512];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(rows) * ARRAY_LENGTH(nsids); i++) {
		size_t row = i / ARRAY_LENGTH(nsids);
		uint32_t nsid = nsids[i % ARRAY_LENGTH(nsids)];

		write_letters(&fixture, nsid, 0, 4 * 512, 'a');
		write_letters(&fixture, nsid, 100, 16 * 512, 'b');
		mark(&fixture, nsid, 100, 16);
		assert_int_equal(touch(&fixture, rows[row].opcode, nsid, 104, 4), 0);
		read_back(&fixture, nsid, 104, sizeof(data), data);
		assert_int_equal(count_others(data, sizeof(data), rows[row].letter), 0);
		/* The others are still bad. */
		assert_int_equal(touch(&fixture, NVME_IO_READ, nsid, 103, 1), UNREADABLE);
		assert_int_equal(touch(&fixture, NVME_IO_READ, nsid, 108, 1), UNREADABLE);
		assert_int_equal(touch(&fixture, NVME_IO_WRITE, nsid, 100, 16), 0);
		assert_int_equal(touch(&fixture, NVME_IO_READ, nsid, 100, 16), 0);
	}
	tear_down(&fixture);
}

static void test_io_leaves_blocks_marked_when_they_are_not_written(void **state)
{
	static const uint8_t opcodes[] = {NVME_IO_WRITE, NVME_IO_WRITE_ZEROES,
		NVME_IO_DATASET_MANAGEMENT, NVME_IO_COPY};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	mark(&fixture, FAULTY, 100, 4);
	fixture.fault.error = EIO;
	for (size_t i = 0; i < ARRAY_LENGTH(opcodes); i++)
		assert_int_not_equal(touch(&fixture, opcodes[i], FAULTY, 100, 4), 0);
	fixture.fault.error = 0;
	assert_int_equal(touch(&fixture, NVME_IO_READ, FAULTY, 100, 4), UNREADABLE);
	/* Deallocation that changes nothing does not change this either. */
	fixture.stores[FAULTY - 1]->can_discard = false;
	assert_int_equal(touch(&fixture, NVME_IO_DATASET_MANAGEMENT, FAULTY, 100, 4), 0);
	assert_int_equal(touch(&fixture, NVME_IO_READ, FAULTY, 100, 4), UNREADABLE);
	tear_down(&fixture);
}

/* What overlaps in time takes effect in one order or the other. */
static void test_write_wins_when_blocks_are_marked_while_it_is_in_the_store(void **state)
{
	struct nvme_command write = blocks(NVME_IO_WRITE, FAULTY, 100, 1);
	struct fake_command *sent;
	uint8_t data[512];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	memset(data, 'w', sizeof(data));
	fixture.fault.is_held = true;
	sent = fake_send(fixture.io, &write, data, sizeof(data));
	mark(&fixture, FAULTY, 100, 1);
	/* The mark is acknowledged: nobody reads what was there before. */
	assert_int_equal(touch(&fixture, NVME_IO_VERIFY, FAULTY, 100, 1), UNREADABLE);
	fixture.fault.is_held = false;
	faulty_store_release(fixture.faulty);
	assert_int_equal(fake_wait(sent), 0);
	fake_command_free(sent);
	read_back(&fixture, FAULTY, 100, sizeof(data), data);
	assert_int_equal(count_others(data, sizeof(data), 'w'), 0);
	tear_down(&fixture);
}

/* Else what was written to block 100 before it was marked would come back. */
static void test_deallocation_leaves_a_mark_when_it_came_after_its_range_was_done(void **state)
{
	const struct nvme_dsm_range ranges[] = {
		{.slba = le64_of(100), .block_count = le32_of(1)},
		{.slba = le64_of(200), .block_count = le32_of(1)},
	};
	struct nvme_command command = fake_command_of(NVME_IO_DATASET_MANAGEMENT, FAULTY);
	struct fake_command *sent;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	mark(&fixture, FAULTY, 200, 1);
	fixture.fault_after = 1;
	fixture.fault.is_held = true;
	nvme_command_set_dsm(&command, 2, NVME_DSM_AD);
	sent = fake_send(fixture.io, &command, ranges, sizeof(ranges));
	assert_int_equal(faulty_store_waiting_count(fixture.faulty), 1);
	fixture.fault.is_held = false;
	assert_int_equal(touch(&fixture, NVME_IO_WRITE, FAULTY, 100, 1), 0);
	mark(&fixture, FAULTY, 100, 1);
	faulty_store_release(fixture.faulty);
	assert_int_equal(fake_wait(sent), 0);
	assert_int_equal(touch(&fixture, NVME_IO_READ, FAULTY, 100, 1), UNREADABLE);
	assert_int_equal(touch(&fixture, NVME_IO_READ, FAULTY, 200, 1), 0);
	fake_command_free(sent);
	tear_down(&fixture);
}

static void test_read_succeeds_when_blocks_are_marked_while_it_is_in_the_store(void **state)
{
	struct nvme_command read = blocks(NVME_IO_READ, FAULTY, 100, 1);
	struct fake_command *sent;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	write_letters(&fixture, FAULTY, 100, 512, 'r');
	fixture.fault.is_held = true;
	sent = fake_send(fixture.io, &read, NULL, 512);
	mark(&fixture, FAULTY, 100, 1);
	fixture.fault.is_held = false;
	faulty_store_release(fixture.faulty);
	assert_int_equal(fake_wait(sent), 0);
	assert_int_equal(count_others(sent->data, 512, 'r'), 0);
	fake_command_free(sent);
	assert_int_equal(touch(&fixture, NVME_IO_READ, FAULTY, 100, 1), UNREADABLE);
	tear_down(&fixture);
}

static void test_copy_tells_the_range_when_a_block_of_it_is_marked(void **state)
{
	const struct nvme_copy_range sources[] = {
		{.slba = le64_of(10), .nlb = le16_of(1)},
		{.slba = le64_of(20), .nlb = le16_of(299)},
		{.slba = le64_of(500), .nlb = le16_of(0)},
	};
	struct nvme_command command = fake_command_of(NVME_IO_COPY, MEMORY);
	struct fake_exchange exchange = {.data = sources, .data_bytes = sizeof(sources)};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	nvme_command_set_slba(&command, 1000);
	command.cdw12 = le32_of(2);
	mark(&fixture, MEMORY, 1000, 1000);
	mark(&fixture, MEMORY, 318, 1);
	assert_int_equal(fake_execute(fixture.io, &command, &exchange), UNREADABLE);
	assert_int_equal(exchange.result, 1);
	/* The range before has been copied whole. */
	assert_int_equal(touch(&fixture, NVME_IO_READ, MEMORY, 1000, 2), 0);
	assert_int_equal(touch(&fixture, NVME_IO_READ, MEMORY, 1301, 1), UNREADABLE);
	tear_down(&fixture);
}

static void read_log(struct fixture *fixture, uint8_t lid, void *ret_page, size_t bytes)
{
	const struct nvme_get_log_page fields = {.lid = lid, .length_bytes = bytes};
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_LOG_PAGE, NVME_NSID_BROADCAST);
	struct fake_exchange exchange = {.ret_data = ret_page, .data_bytes = bytes};

	nvme_command_set_get_log_page(&command, &fields);
	assert_int_equal(fake_execute(fixture->admin, &command, &exchange), 0);
}

static void test_log_pages_have_the_block_when_a_marked_one_is_read(void **state)
{
	static const struct {
		uint8_t opcode;
		uint64_t slba, block;
	} rows[] = {
		{NVME_IO_READ, 95, 100}, {NVME_IO_COMPARE, 101, 101}, {NVME_IO_VERIFY, 72, 100},
		{NVME_IO_COPY, 500, 20}, /* of the source */
	};
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	mark(&fixture, MEMORY, 100, 10);
	mark(&fixture, MEMORY, 20, 1);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_log_error errors[1];
		struct nvme_log_smart smart;

		assert_int_equal(touch(&fixture, rows[i].opcode, MEMORY, rows[i].slba, 32),
			UNREADABLE);
		assert_non_null(strstr(fixture.world.log_line, "marked bad"));
		read_log(&fixture, NVME_LOG_PAGE_ERROR, errors, sizeof(errors));
		assert_int_equal(le64_get(errors[0].lba), rows[i].block);
		assert_int_equal(le16_get(errors[0].status), UNREADABLE << 1);
		assert_int_equal(le32_get(errors[0].nsid), MEMORY);
		read_log(&fixture, NVME_LOG_PAGE_SMART, &smart, sizeof(smart));
		assert_int_equal(smart.media_errors[0], i + 1);
		assert_int_equal(smart.host_reads[0], 0);
	}
	tear_down(&fixture);
}

static void test_write_uncorrectable_is_refused_when_too_many_ranges_are_marked(void **state)
{
	struct nvme_command command = blocks(NVME_IO_WRITE_UNCORRECTABLE, MEMORY, BLOCKS - 1, 1);
	uint64_t first = 2 * BAD_BLOCKS_MARKED_MAX, middle;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	mark(&fixture, MEMORY, first, BLOCKS / 2);
	for (uint64_t i = 1; i < BAD_BLOCKS_MARKED_MAX; i++)
		mark(&fixture, MEMORY, 2 * i - 2, 1);
	assert_int_equal(fake_command(fixture.io, &command, NULL), FAULT);
	assert_non_null(strstr(fixture.world.log_line, "cannot be marked bad"));
	assert_int_equal(touch(&fixture, NVME_IO_READ, MEMORY, BLOCKS - 1, 1), 0);
	/* Writes into the middle of one make more, for a while. */
	for (uint64_t i = 1; i <= BAD_BLOCKS_RANGES_MAX - BAD_BLOCKS_MARKED_MAX; i++)
		assert_int_equal(touch(&fixture, NVME_IO_WRITE, MEMORY, first + 2 * i, 1), 0);
	middle = first + 3 * BAD_BLOCKS_MARKED_MAX / 2 * 2;
	assert_int_equal(touch(&fixture, NVME_IO_WRITE, MEMORY, middle, 1), FAULT);
	assert_non_null(strstr(fixture.world.log_line, "stay marked bad"));
	assert_int_equal(touch(&fixture, NVME_IO_READ, MEMORY, middle, 1), UNREADABLE);
	tear_down(&fixture);
}

static void test_blocks_are_not_marked_when_they_come_back_after_the_store_was_shorter(void **state)
{
	struct store *store;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	store = fixture.stores[FAULTY - 1];
	mark(&fixture, FAULTY, BLOCKS / 2 - 1, 2);
	atomic_store(&store->size_bytes, STORE_BYTES / 2);
	target_note_store(fixture.world.target, store);
	atomic_store(&store->size_bytes, STORE_BYTES);
	target_note_store(fixture.world.target, store);
	assert_int_equal(touch(&fixture, NVME_IO_READ, FAULTY, BLOCKS / 2 - 1, 1), UNREADABLE);
	assert_int_equal(touch(&fixture, NVME_IO_READ, FAULTY, BLOCKS / 2, 1), 0);
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_uncorrectable_gives_the_status_when_fields_vary),
		cmocka_unit_test(test_io_cannot_read_when_a_block_is_marked),
		cmocka_unit_test(test_io_reads_again_when_marked_blocks_are_written),
		cmocka_unit_test(test_io_leaves_blocks_marked_when_they_are_not_written),
		cmocka_unit_test(test_write_wins_when_blocks_are_marked_while_it_is_in_the_store),
		cmocka_unit_test(
			test_deallocation_leaves_a_mark_when_it_came_after_its_range_was_done),
		cmocka_unit_test(
			test_read_succeeds_when_blocks_are_marked_while_it_is_in_the_store),
		cmocka_unit_test(test_copy_tells_the_range_when_a_block_of_it_is_marked),
		cmocka_unit_test(test_log_pages_have_the_block_when_a_marked_one_is_read),
		cmocka_unit_test(
			test_write_uncorrectable_is_refused_when_too_many_ranges_are_marked),
		cmocka_unit_test(
			test_blocks_are_not_marked_when_they_come_back_after_the_store_was_shorter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
