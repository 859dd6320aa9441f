#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/completion.h"
#include "nvme/property.h"
#include "store/memory_store.h"
#include "store/store.h"
#include "test/store/faulty_store.h"
#include "test/target/fake_host.h"

#define REFUSED (NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR)
#define ENABLED nvme_cc_of_enabled(NVME_CC_CSS_NVM)

/* A store whose flushes are held, or fail. */
struct flush_fault {
	bool is_held;
	int error;
};

static struct fault decide(void *context, const struct store_request *request)
{
	const struct flush_fault *fault = context;

	if (request->opcode != STORE_FLUSH)
		return (struct fault){0};
	return (struct fault){.is_held = fault->is_held, .error = fault->error};
}

static struct faulty_store *add_faulty(struct fake_world *world, struct flush_fault *fault)
{
	static const struct store_options options = {0};
	struct faulty_store *faulty;
	struct store *store;

	assert_int_equal(memory_store_new(1 << 20, &options, &store), 0);
	faulty = faulty_store_new(store, decide, fault);
	assert_int_equal(subsystem_add_namespace(world->subsystem, faulty_store_store(faulty)), 1);
	return faulty;
}

static void test_property_gives_the_value_when_it_is_got(void **state)
{
	static const struct {
		uint32_t offset;
		uint8_t attrib;
		uint16_t status;
		uint64_t value;
	} rows[] = {
		/* MQES 1023, CQR, TO 7.5 s, NVM and I/O command sets, ready with media */
		{NVME_PROPERTY_CAP, 1, 0, UINT64_C(0x080008200f0103ff)},
		{NVME_PROPERTY_VS, 0, 0, 0x00020000},
		{NVME_PROPERTY_CC, 0, 0, 0x00460001},
		{NVME_PROPERTY_CSTS, 0, 0, 1},
		{NVME_PROPERTY_CRTO, 0, 0, 15},
		{NVME_PROPERTY_CAP, 0, REFUSED, 0},
		{NVME_PROPERTY_VS, 1, REFUSED, 0},
		{NVME_PROPERTY_CC, 2, REFUSED, 0},
		{NVME_PROPERTY_NSSR, 0, REFUSED, 0},
		{0x04, 0, REFUSED, 0},
		{0x10, 1, REFUSED, 0},
		{0xfffffffc, 0, REFUSED, 0},
	};
	struct fake_connection *admin;
	struct fake_world world;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint64_t value;

		assert_int_equal(fake_property_get(admin, rows[i].offset, rows[i].attrib, &value),
			rows[i].status);
		assert_int_equal(value, rows[i].value);
	}
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void test_property_is_refused_when_it_cannot_be_set(void **state)
{
	static const struct {
		uint32_t offset;
		uint8_t attrib;
		uint64_t value;
	} rows[] = {
		{NVME_PROPERTY_CAP, 1, 0}, {NVME_PROPERTY_VS, 0, 0},
		{NVME_PROPERTY_CSTS, 0, NVME_CSTS_NSSRO}, {NVME_PROPERTY_NSSR, 0, NVME_NSSR_RESET},
		{NVME_PROPERTY_CC, 1, 0x460001}, {NVME_PROPERTY_CC, 0, 0x460011}, /* CSS 1 */
		{NVME_PROPERTY_CC, 0, 0x460071},  /* CSS 7: no I/O command set */
		{NVME_PROPERTY_CC, 0, 0x460081},  /* pages of 8 KiB */
		{NVME_PROPERTY_CC, 0, 0x460801},  /* weighted arbitration */
		{NVME_PROPERTY_CC, 0, 0x1460001}, /* CRIME */
	};
	struct fake_connection *admin;
	struct fake_connect connect;
	struct fake_world world;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_connection_open(&world, 0, NULL);
	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	assert_int_equal(fake_connect(admin, &connect, NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(fake_property_set(admin, rows[i].offset, rows[i].attrib,
					 rows[i].value),
			REFUSED);
		assert_int_equal(fake_csts(admin), 0);
	}
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void test_property_enables_when_linux_sets_cc(void **state)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_KEEP_ALIVE, 0);
	struct fake_connection *admin;
	struct fake_connect connect;
	struct fake_world world;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_connection_open(&world, 0, NULL);
	fake_connect_init(&connect, 0, NVME_CNTLID_DYNAMIC);
	assert_int_equal(fake_connect(admin, &connect, NULL), 0);
	assert_int_equal(fake_command(admin, &command, NULL),
		NVME_STATUS_COMMAND_SEQUENCE_ERROR | NVME_STATUS_DNR);
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0, 0x460060), 0);
	assert_int_equal(fake_csts(admin), 0);
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0, 0x460061), 0);
	assert_int_equal(fake_csts(admin), NVME_CSTS_RDY);
	assert_int_equal(fake_command(admin, &command, NULL), 0);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

/* EN 1 to 0: RDY follows when the I/O queues have gone; the admin queue stays. */
static void test_property_resets_in_place_when_en_is_cleared(void **state)
{
	struct nvme_command event = fake_command_of(NVME_ADMIN_ASYNC_EVENT, 0);
	struct fake_connection *admin, *io;
	struct fake_command *held;
	struct fake_world world;
	uint16_t cntlid;

	(void)state;
	fake_world_init(&world, NULL);
	target_publish(world.target);
	admin = fake_admin(&world, 0, &cntlid);
	io = fake_io(&world, 1, cntlid, 1);
	io->is_holding = true;
	held = fake_send(admin, &event, NULL, 0);
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0, ENABLED & ~NVME_CC_EN), 0);
	assert_int_equal(fake_wait(held), NVME_STATUS_ABORTED_SQ_DELETION);
	fake_command_free(held);
	for (unsigned i = 0; i < 4; i++)
		fake_world_turn(&world);
	assert_int_equal(io->end_count, 1);
	assert_int_equal(fake_csts(admin), NVME_CSTS_RDY);
	fake_connection_free(io);
	fake_world_turn(&world);
	fake_world_turn(&world);
	assert_int_equal(fake_csts(admin), 0);
	assert_int_equal(admin->end_count, 0);
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0, ENABLED), 0);
	assert_int_equal(fake_csts(admin), NVME_CSTS_RDY);
	io = fake_io(&world, 0, cntlid, 1);
	fake_connection_free(io);
	fake_connection_free(admin);
	fake_world_deinit(&world);
}

static void test_property_completes_shutdown_when_the_stores_are_flushed(void **state)
{
	struct flush_fault fault = {.is_held = true};
	struct fake_connection *admin;
	struct faulty_store *faulty;
	struct fake_world world;
	uint32_t shn = nvme_cc_with_shn(ENABLED, NVME_CC_SHN_NORMAL);

	(void)state;
	fake_world_init(&world, NULL);
	faulty = add_faulty(&world, &fault);
	target_publish(world.target);
	admin = fake_admin(&world, 0, NULL);
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0, shn), 0);
	assert_int_equal(nvme_csts_shst(fake_csts(admin)), NVME_CSTS_SHST_IN_PROGRESS);
	faulty_store_release(faulty);
	assert_int_equal(nvme_csts_shst(fake_csts(admin)), NVME_CSTS_SHST_COMPLETE);
	assert_int_equal(faulty_store_submitted_count(faulty, STORE_FLUSH), 1);
	/* A reset and a second shutdown before the first flush is done. */
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0, 0), 0);
	assert_int_equal(fake_csts(admin), 0);
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0, shn), 0);
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0, 0), 0);
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0, shn), 0);
	faulty_store_release(faulty);
	assert_int_equal(nvme_csts_shst(fake_csts(admin)), NVME_CSTS_SHST_IN_PROGRESS);
	faulty_store_release(faulty);
	assert_int_equal(nvme_csts_shst(fake_csts(admin)), NVME_CSTS_SHST_COMPLETE);
	fake_connection_free(admin);
	fake_world_deinit(&world);
	store_free(faulty_store_store(faulty));
}

static void test_property_never_completes_shutdown_when_the_flush_fails(void **state)
{
	struct flush_fault fault = {.error = 5 /* EIO */};
	struct fake_connection *admin;
	struct faulty_store *faulty;
	struct fake_world world;

	(void)state;
	fake_world_init(&world, NULL);
	faulty = add_faulty(&world, &fault);
	target_publish(world.target);
	admin = fake_admin(&world, 0, NULL);
	assert_int_equal(fake_property_set(admin, NVME_PROPERTY_CC, 0,
				 nvme_cc_with_shn(ENABLED, NVME_CC_SHN_NORMAL)),
		0);
	assert_int_equal(nvme_csts_shst(fake_csts(admin)), NVME_CSTS_SHST_IN_PROGRESS);
	assert_true(fake_csts(admin) & NVME_CSTS_CFS);
	fake_connection_free(admin);
	fake_world_deinit(&world);
	store_free(faulty_store_store(faulty));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_property_gives_the_value_when_it_is_got),
		cmocka_unit_test(test_property_is_refused_when_it_cannot_be_set),
		cmocka_unit_test(test_property_enables_when_linux_sets_cc),
		cmocka_unit_test(test_property_resets_in_place_when_en_is_cleared),
		cmocka_unit_test(test_property_completes_shutdown_when_the_stores_are_flushed),
		cmocka_unit_test(test_property_never_completes_shutdown_when_the_flush_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
