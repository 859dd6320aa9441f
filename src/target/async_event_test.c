#include "target/async_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/discovery.h"
#include "nvme/feature.h"
#include "nvme/identify_namespace.h"
#include "nvme/property.h"
#include "store/memory_store.h"
#include "store/store.h"
#include "test/target/fake_host.h"

#define NAMESPACE_COUNT  3
#define NAMESPACE_EVENT  0x00040002 /* log 04h, information 0, type 2 */
#define DISCOVERY_EVENT  0x0070f002
#define NAMESPACE_NOTICE UINT32_C(0x100)
#define DISCOVERY_NOTICE UINT32_C(0x80000000)

struct fixture {
	struct fake_world world;
	struct store *stores[NAMESPACE_COUNT];
	struct fake_connection *admin; /* on loop 1: changes come from loop 0 */
};

static void set_up(struct fixture *fixture)
{
	static const struct store_options options = {0};

	memset(fixture, 0, sizeof(*fixture));
	fake_world_init(&fixture->world, NULL);
	for (size_t i = 0; i < NAMESPACE_COUNT; i++) {
		assert_int_equal(memory_store_new(1 << 20, &options, &fixture->stores[i]), 0);
		assert_int_equal(subsystem_add_namespace(fixture->world.subsystem,
					 fixture->stores[i]),
			i + 1);
	}
	target_publish(fixture->world.target);
	fixture->admin = fake_admin(&fixture->world, 1, NULL);
}

static void tear_down(struct fixture *fixture)
{
	fake_connection_free(fixture->admin);
	fake_world_deinit(&fixture->world);
	for (size_t i = 0; i < NAMESPACE_COUNT; i++)
		store_free(fixture->stores[i]);
}

static void enable(struct fake_connection *admin, uint32_t notices)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_SET_FEATURES, 0);

	nvme_command_set_feature(&command, NVME_FEATURE_EVENT_CONFIGURATION, notices);
	assert_int_equal(fake_command(admin, &command, NULL), 0);
}

static struct fake_command *ask(struct fake_connection *admin)
{
	struct nvme_command event = fake_command_of(NVME_ADMIN_ASYNC_EVENT, 0);

	return fake_send(admin, &event, NULL, 0);
}

static void turn(struct fixture *fixture)
{
	for (unsigned i = 0; i < 4; i++)
		fake_world_turn(&fixture->world);
}

static void change(struct fixture *fixture, size_t index)
{
	target_note_store(fixture->world.target, fixture->stores[index]);
	turn(fixture);
}

/* Read log 04h. @return the number of namespaces it lists, the first of them in @ret_first. */
static size_t read_changed(struct fixture *fixture, bool is_retained, uint32_t *ret_first)
{
	const struct nvme_get_log_page fields = {
		.lid = NVME_LOG_PAGE_CHANGED_NAMESPACES,
		.length_bytes = sizeof(struct nvme_nsid_list),
		.is_event_retained = is_retained,
	};
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_LOG_PAGE, NVME_NSID_BROADCAST);
	struct nvme_nsid_list page = {0};
	struct fake_exchange exchange = {.ret_data = &page, .data_bytes = sizeof(page)};
	size_t count = 0;

	nvme_command_set_get_log_page(&command, &fields);
	assert_int_equal(fake_execute(fixture->admin, &command, &exchange), 0);
	while (count < NVME_NSID_LIST_MAX && le32_get(page.nsid[count]) != 0)
		count++;
	*ret_first = le32_get(page.nsid[0]);
	return count;
}

static void expect_event(struct fake_command *command, uint32_t dw0)
{
	assert_int_equal(fake_wait(command), 0);
	assert_int_equal(command->result, dw0);
	fake_command_free(command);
}

static void test_async_event_tells_when_a_namespace_has_changed(void **state)
{
	struct fixture fixture;
	struct fake_command *event;
	uint32_t first;

	(void)state;
	set_up(&fixture);
	enable(fixture.admin, NAMESPACE_NOTICE);
	event = ask(fixture.admin);
	turn(&fixture);
	assert_false(event->is_done);
	change(&fixture, 1);
	expect_event(event, NAMESPACE_EVENT);
	assert_int_equal(read_changed(&fixture, true, &first), 1);
	assert_int_equal(first, 2);
	assert_int_equal(read_changed(&fixture, false, &first), 1);
	assert_int_equal(first, 2);
	assert_int_equal(read_changed(&fixture, false, &first), 0);
	tear_down(&fixture);
}

static void test_async_event_is_told_once_when_more_changes_before_the_log_is_read(void **state)
{
	struct fixture fixture;
	struct fake_command *first_event, *second_event;
	uint32_t first;

	(void)state;
	set_up(&fixture);
	enable(fixture.admin, NAMESPACE_NOTICE);
	first_event = ask(fixture.admin);
	second_event = ask(fixture.admin);
	change(&fixture, 2);
	expect_event(first_event, NAMESPACE_EVENT);
	change(&fixture, 2);
	change(&fixture, 0);
	assert_false(second_event->is_done);
	/* A page that is read to be kept lets nothing more be told; the list shows all. */
	assert_int_equal(read_changed(&fixture, true, &first), 2);
	turn(&fixture);
	assert_false(second_event->is_done);
	assert_int_equal(read_changed(&fixture, false, &first), 2);
	assert_int_equal(first, 1);
	turn(&fixture);
	assert_false(second_event->is_done);
	change(&fixture, 1);
	expect_event(second_event, NAMESPACE_EVENT);
	tear_down(&fixture);
}

static void read_page(struct fake_connection *admin, uint8_t lid, bool is_retained)
{
	const struct nvme_get_log_page fields = {.lid = lid,
		.length_bytes = 4,
		.is_event_retained = is_retained};
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_LOG_PAGE, NVME_NSID_BROADCAST);
	struct fake_exchange exchange = {.data_bytes = 4};

	nvme_command_set_get_log_page(&command, &fields);
	assert_int_equal(fake_execute(admin, &command, &exchange), 0);
}

/* Base 2.0, 5.2 and 5.16: only that clears the event, for each page that there is. */
static void test_async_event_is_told_again_when_its_page_was_read_without_rae(void **state)
{
	static const uint8_t lids[] = {NVME_LOG_PAGE_SUPPORTED, NVME_LOG_PAGE_ERROR,
		NVME_LOG_PAGE_SMART, NVME_LOG_PAGE_FIRMWARE_SLOT, NVME_LOG_PAGE_CHANGED_NAMESPACES,
		NVME_LOG_PAGE_EFFECTS, NVME_LOG_PAGE_FEATURE_EFFECTS, NVME_LOG_PAGE_MI_EFFECTS};
	struct fake_command *event;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	enable(fixture.admin, NAMESPACE_NOTICE);
	event = ask(fixture.admin);
	change(&fixture, 0);
	expect_event(event, NAMESPACE_EVENT);
	event = ask(fixture.admin);
	for (size_t i = 0; i < 2 * ARRAY_LENGTH(lids); i++) {
		bool is_retained = i % 2 == 0;
		bool is_clearing = !is_retained && lids[i / 2] == NVME_LOG_PAGE_CHANGED_NAMESPACES;

		read_page(fixture.admin, lids[i / 2], is_retained);
		change(&fixture, 1);
		assert_int_equal(event->is_done, is_clearing);
		if (is_clearing) {
			expect_event(event, NAMESPACE_EVENT);
			event = ask(fixture.admin);
		}
	}
	fake_connection_close(fixture.admin);
	assert_int_equal(fake_wait(event), NVME_STATUS_ABORTED_SQ_DELETION);
	fake_command_free(event);
	tear_down(&fixture);
}

static void test_async_event_waits_when_no_request_is_held(void **state)
{
	struct fixture fixture;
	uint32_t first;

	(void)state;
	set_up(&fixture);
	enable(fixture.admin, NAMESPACE_NOTICE);
	change(&fixture, 0);
	expect_event(ask(fixture.admin), NAMESPACE_EVENT);
	assert_int_equal(read_changed(&fixture, false, &first), 1);
	tear_down(&fixture);
}

static void test_async_event_is_not_told_when_it_is_not_wanted(void **state)
{
	struct fixture fixture;
	struct fake_command *event;
	uint32_t first;

	(void)state;
	set_up(&fixture);
	event = ask(fixture.admin);
	change(&fixture, 0);
	assert_false(event->is_done);
	/* What the log shows is told as soon as it is wanted. */
	enable(fixture.admin, NAMESPACE_NOTICE);
	expect_event(event, NAMESPACE_EVENT);
	assert_int_equal(read_changed(&fixture, false, &first), 1);
	tear_down(&fixture);
}

static void test_async_event_forgets_when_the_controller_is_reset(void **state)
{
	struct fixture fixture;
	struct fake_command *event;
	uint32_t first;

	(void)state;
	set_up(&fixture);
	enable(fixture.admin, NAMESPACE_NOTICE);
	change(&fixture, 0);
	event = ask(fixture.admin);
	expect_event(event, NAMESPACE_EVENT);
	event = ask(fixture.admin);
	assert_int_equal(fake_property_set(fixture.admin, NVME_PROPERTY_CC, 0, 0), 0);
	assert_int_equal(fake_wait(event), NVME_STATUS_ABORTED_SQ_DELETION);
	fake_command_free(event);
	assert_int_equal(fake_property_set(fixture.admin, NVME_PROPERTY_CC, 0,
				 nvme_cc_of_enabled(NVME_CC_CSS_NVM)),
		0);
	assert_int_equal(read_changed(&fixture, false, &first), 0);
	enable(fixture.admin, NAMESPACE_NOTICE);
	event = ask(fixture.admin);
	change(&fixture, 2);
	expect_event(event, NAMESPACE_EVENT);
	tear_down(&fixture);
}

static void test_async_event_comes_to_every_host_when_they_share_a_namespace(void **state)
{
	struct fake_connection *other;
	struct fixture fixture;
	struct fake_command *events[2];

	(void)state;
	set_up(&fixture);
	other = fake_admin(&fixture.world, 0, NULL);
	enable(fixture.admin, NAMESPACE_NOTICE);
	enable(other, NAMESPACE_NOTICE);
	events[0] = ask(fixture.admin);
	events[1] = ask(other);
	change(&fixture, 0);
	expect_event(events[0], NAMESPACE_EVENT);
	expect_event(events[1], NAMESPACE_EVENT);
	fake_connection_free(other);
	tear_down(&fixture);
}

static struct fake_connection *discover(struct fixture *fixture)
{
	static const struct fake_guest guest = {.nqn = NVME_NQN_DISCOVERY, .kato_ms = 30000};

	return fake_admin_of(&fixture->world, 1, &guest, NULL);
}

/* Read the header of log 70h. @return GENCTR. */
static uint64_t read_generation(struct fake_connection *discovery)
{
	struct nvme_command command = fake_command_of(NVME_ADMIN_GET_LOG_PAGE, 0);
	struct nvme_get_log_page fields = {.lid = NVME_LOG_PAGE_DISCOVERY, .length_bytes = 1024};
	struct nvme_discovery_log page = {0};
	struct fake_exchange exchange = {.ret_data = &page, .data_bytes = sizeof(page)};

	nvme_command_set_get_log_page(&command, &fields);
	assert_int_equal(fake_execute(discovery, &command, &exchange), 0);
	return le64_get(page.genctr);
}

static void add_address(struct fixture *fixture, bool is_ipv6, uint16_t port)
{
	const struct target_address address = {.is_ipv6 = is_ipv6, .port = port};

	assert_int_equal(target_add_address(fixture->world.target, &address), 0);
	turn(fixture);
}

static void test_async_event_tells_when_the_discovery_log_has_changed(void **state)
{
	struct fake_command *event, *unwanted;
	struct fake_connection *discovery;
	uint64_t generations[2];
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	discovery = discover(&fixture);
	enable(discovery, DISCOVERY_NOTICE);
	event = ask(discovery);
	unwanted = ask(fixture.admin);
	for (size_t i = 0; i < ARRAY_LENGTH(generations); i++) {
		generations[i] = read_generation(discovery);
		add_address(&fixture, false, (uint16_t)(4420 + i));
		expect_event(event, DISCOVERY_EVENT);
		event = ask(discovery);
	}
	assert_int_equal(generations[1], generations[0] + 1);
	assert_false(unwanted->is_done);
	fake_connection_close(discovery);
	assert_int_equal(fake_wait(event), NVME_STATUS_ABORTED_SQ_DELETION);
	fake_command_free(event);
	fake_connection_close(fixture.admin);
	assert_int_equal(fake_wait(unwanted), NVME_STATUS_ABORTED_SQ_DELETION);
	fake_command_free(unwanted);
	fake_connection_free(discovery);
	tear_down(&fixture);
}

static void test_async_event_of_discovery_is_told_again_when_its_log_was_read_without_rae(
	void **state)
{
	static const struct {
		uint8_t lid;
		bool is_retained, is_told;
	} rows[] = {
		{NVME_LOG_PAGE_DISCOVERY, true, false},
		{NVME_LOG_PAGE_ERROR, true, false},
		{NVME_LOG_PAGE_ERROR, false, false},
		{NVME_LOG_PAGE_DISCOVERY, false, true},
	};
	struct fake_connection *discovery;
	struct fake_command *event;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	discovery = discover(&fixture);
	enable(discovery, DISCOVERY_NOTICE);
	(void)read_generation(discovery);
	event = ask(discovery);
	add_address(&fixture, false, 4420);
	expect_event(event, DISCOVERY_EVENT);
	event = ask(discovery);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		read_page(discovery, rows[i].lid, rows[i].is_retained);
		add_address(&fixture, false, (uint16_t)(4421 + i));
		assert_int_equal(event->is_done, rows[i].is_told);
	}
	expect_event(event, DISCOVERY_EVENT);
	fake_connection_free(discovery);
	tear_down(&fixture);
}

static void test_async_event_is_not_told_when_the_discovery_log_is_the_same_to_the_host(
	void **state)
{
	struct fake_connection *discovery;
	struct fake_command *event;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	discovery = discover(&fixture);
	enable(discovery, DISCOVERY_NOTICE);
	event = ask(discovery);
	(void)read_generation(discovery);
	/* It has come by IPv4. */
	add_address(&fixture, true, 4420);
	assert_false(event->is_done);
	add_address(&fixture, false, 4420);
	expect_event(event, DISCOVERY_EVENT);
	fake_connection_free(discovery);
	tear_down(&fixture);
}

static void test_async_event_tells_when_the_discovery_log_changed_before_it_was_wanted(void **state)
{
	struct fake_connection *discovery;
	struct fake_command *event;
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	discovery = discover(&fixture);
	add_address(&fixture, false, 4420);
	event = ask(discovery);
	/* Nothing was read that could have changed. */
	enable(discovery, DISCOVERY_NOTICE);
	assert_false(event->is_done);
	enable(discovery, 0);
	(void)read_generation(discovery);
	add_address(&fixture, false, 4421);
	assert_false(event->is_done);
	enable(discovery, DISCOVERY_NOTICE);
	expect_event(event, DISCOVERY_EVENT);
	fake_connection_free(discovery);
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_async_event_tells_when_a_namespace_has_changed),
		cmocka_unit_test(
			test_async_event_is_told_once_when_more_changes_before_the_log_is_read),
		cmocka_unit_test(test_async_event_is_told_again_when_its_page_was_read_without_rae),
		cmocka_unit_test(test_async_event_waits_when_no_request_is_held),
		cmocka_unit_test(test_async_event_is_not_told_when_it_is_not_wanted),
		cmocka_unit_test(test_async_event_forgets_when_the_controller_is_reset),
		cmocka_unit_test(test_async_event_comes_to_every_host_when_they_share_a_namespace),
		cmocka_unit_test(test_async_event_tells_when_the_discovery_log_has_changed),
		cmocka_unit_test(
			test_async_event_of_discovery_is_told_again_when_its_log_was_read_without_rae),
		cmocka_unit_test(
			test_async_event_is_not_told_when_the_discovery_log_is_the_same_to_the_host),
		cmocka_unit_test(
			test_async_event_tells_when_the_discovery_log_changed_before_it_was_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
