#include "target/discovery_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/nqn.h"
#include "test/target/fake_host.h"

#define PORTS_MAX 6

static const struct target_queue_peer at_4420 = {"peer", "192.0.2.1", false, 4420};
static const struct target_queue_peer at_4421 = {"peer", "192.0.2.1", false, 4421};
static const struct target_queue_peer at_8009 = {"peer", "192.0.2.1", false, 8009};
static const struct target_queue_peer at_ipv6 = {"peer", "2001:db8::1", true, 4420};
static const struct target_queue_peer at_link = {"peer", "fe80::1%eth0", true, 4420};
static const struct target_queue_peer at_unknown = {"peer", "", false, 0};

static struct discovery_view *view_of(struct fake_world *world,
	const struct target_queue_peer *peer)
{
	const struct fake_guest guest = {NVME_NQN_DISCOVERY, NULL, peer, 0};
	struct fake_connection *connection = fake_admin_of(world, 0, &guest, NULL);
	struct discovery_view *view = discovery_view_new(connection->queue);

	assert_non_null(view);
	fake_connection_free(connection);
	return view;
}

/* "PORTID HOST PORT KIND," for each: d leads to discovery alone, n to subsystems, s is told as the way
 * to discovery; "=" if all such ways tell the same. */
static void describe(const struct discovery_view *view, char *ret_text, size_t bytes)
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < view->port_count; i++) {
		const struct discovery_port *port = &view->ports[i];

		used += (size_t)snprintf(ret_text + used, bytes - used, "%u %s %u %s%s,", port->id,
			port->address.host, port->address.port,
			port->address.is_for_discovery ? "d" : "n", port->is_self ? "s" : "");
		assert_true(used < bytes);
	}
	(void)snprintf(ret_text + used, bytes - used, "%s", view->is_same_by_all_ways ? "=" : "");
}

static void test_discovery_view_shows_the_ways_there_are_when_the_host_came_by_one(void **state)
{
	static const struct {
		struct target_address addresses[PORTS_MAX];
		size_t address_count;
		const struct target_queue_peer *peer;
		const char *expected;
	} rows[] = {
		{{{0}}, 0, &at_4420, "="},
		/* discovery's own port is told in place of the others */
		{{{false, "", 4420, false}, {false, "", 8009, true}}, 2, &at_4420,
			"1 192.0.2.1 4420 n,2 192.0.2.1 8009 ds,="},
		{{{false, "", 4420, false}, {false, "", 8009, true}}, 2, &at_8009,
			"1 192.0.2.1 4420 n,2 192.0.2.1 8009 ds,="},
		/* else the one by which the host has come, else the first */
		{{{false, "", 4420, false}, {false, "", 4421, false}}, 2, &at_4421,
			"1 192.0.2.1 4420 n,2 192.0.2.1 4421 ns,="},
		{{{false, "", 4422, false}, {false, "", 4423, false}}, 2, &at_4421,
			"1 192.0.2.1 4422 ns,2 192.0.2.1 4423 n,="},
		/* one for each host address; wildcards of the host's family only */
		{{{false, "", 4420, false}, {true, "", 4420, false}, {true, "", 8009, true}}, 3,
			&at_ipv6, "2 2001:db8::1 4420 n,3 2001:db8::1 8009 ds,="},
		{{{false, "192.0.2.1", 4420, false}, {true, "2001:db8::1", 4420, false},
			 {true, "2001:db8::1", 8009, true}},
			3, &at_4420,
			"1 192.0.2.1 4420 ns,2 2001:db8::1 4420 n,3 2001:db8::1 8009 ds,="},
		/* another way would tell a wildcard's other address */
		{{{false, "", 4420, false}, {false, "198.51.100.1", 4420, false}}, 2, &at_4420,
			"1 192.0.2.1 4420 ns,2 198.51.100.1 4420 ns,"},
		/* a link-local address is for hosts on a link, and its zone is ours alone */
		{{{true, "fe80::1%eth0", 4420, false}, {true, "2001:db8::1", 4420, false}}, 2,
			&at_ipv6, "2 2001:db8::1 4420 ns,="},
		{{{true, "fe80::1%eth0", 4420, false}, {true, "2001:db8::1", 4420, false}}, 2,
			&at_link, "1 fe80::1 4420 ns,2 2001:db8::1 4420 ns,"},
		{{{true, "", 4420, false}}, 1, &at_link, "1 fe80::1 4420 ns,="},
		/* no zone, and no link-local address */
		{{{true, "fe00::1", 4420, false}, {true, "fe", 4421, false}}, 2, &at_4420,
			"1 fe00::1 4420 ns,2 fe 4421 ns,="},
		/* what is told twice is one way */
		{{{false, "a.example", 4420, false}, {false, "a.example", 4420, false}}, 2,
			&at_4420, "1 a.example 4420 ns,="},
		{{{false, "", 4420, false}}, 1, &at_unknown, "="},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP(cleanup_free) struct discovery_view *view = NULL;
		struct fake_world world;
		char text[512];

		fake_world_init(&world, NULL);
		for (size_t j = 0; j < rows[i].address_count; j++)
			assert_int_equal(target_add_address(world.target, &rows[i].addresses[j]),
				0);
		target_publish(world.target);
		view = view_of(&world, rows[i].peer);
		describe(view, text, sizeof(text));
		assert_string_equal(text, rows[i].expected);
		assert_true(discovery_view_lists(view, 0));
		fake_world_deinit(&world);
	}
}

static void test_discovery_view_differs_when_what_it_tells_does(void **state)
{
	static const struct {
		const struct target_queue_peer *peer;
		struct target_address added;
		bool is_same;
	} rows[] = {
		{&at_4420, {false, "192.0.2.1", 4420, false}, true},
		{&at_4420, {true, "", 4420, false}, true},
		{&at_4420, {true, "2001:db8::1", 4420, false}, false},
		{&at_4420, {false, "192.0.2.1", 8009, true}, false},
		/* Another way to discovery is told of. */
		{&at_4421, {false, "192.0.2.1", 4421, false}, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP(cleanup_free) struct discovery_view *before = NULL, *after = NULL;
		static const struct target_address first = {false, "192.0.2.1", 4420, false};
		struct fake_world world;

		fake_world_init(&world, NULL);
		assert_int_equal(target_add_address(world.target, &first), 0);
		target_publish(world.target);
		before = view_of(&world, rows[i].peer);
		assert_int_equal(target_add_address(world.target, &rows[i].added), 0);
		after = view_of(&world, rows[i].peer);
		assert_int_equal(after->generation, before->generation + 1);
		assert_int_equal(discovery_view_is_same(before, after), rows[i].is_same);
		assert_true(discovery_view_is_same(after, after));
		fake_world_deinit(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_discovery_view_shows_the_ways_there_are_when_the_host_came_by_one),
		cmocka_unit_test(test_discovery_view_differs_when_what_it_tells_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
