/*
 * Fences: between loops that are turned by turns, as an object, and between threads.
 */
#include "target/fence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "store/memory_store.h"
#include "target/subsystem.h"
#include "target/target_private.h"
#include "test/target/io_fixture.h"

#define SLBA 20

/* A second queue, on the loop of the admin queue. */
struct scene {
	struct fixture fixture;
	struct fake_connection *other;
};

static void set_up_scene(struct scene *scene)
{
	set_up(&scene->fixture);
	scene->other = fake_io(&scene->fixture.world, 0, scene->fixture.cntlid, 2);
}

static void tear_down_scene(struct scene *scene)
{
	fake_connection_free(scene->other);
	tear_down(&scene->fixture);
}

static void turn(struct scene *scene)
{
	for (unsigned i = 0; i < 20; i++)
		fake_world_turn(&scene->fixture.world);
}

/* A command of one block, or one that makes @slba alone its range. */
static struct fake_command *change(struct fake_connection *connection, uint8_t opcode,
	uint64_t slba)
{
	struct nvme_command command = blocks(opcode, FAULTY, slba, 1);
	struct nvme_dsm_range dsm = {.block_count = le32_of(1), .slba = le64_of(slba)};
	struct nvme_copy_range copy = {.slba = le64_of(3)};
	uint8_t data[512];

	memset(data, 'p', sizeof(data));
	switch (opcode) {
	case NVME_IO_WRITE:
		return fake_send(connection, &command, data, sizeof(data));
	case NVME_IO_WRITE_ZEROES:
		return fake_send(connection, &command, NULL, 0);
	case NVME_IO_READ:
		return fake_send(connection, &command, NULL, sizeof(data));
	case NVME_IO_DATASET_MANAGEMENT:
		nvme_command_set_dsm(&command, 1, NVME_DSM_AD);
		return fake_send(connection, &command, &dsm, sizeof(dsm));
	case NVME_IO_COPY:
		command.cdw12 = le32_of(0);
		return fake_send(connection, &command, &copy, sizeof(copy));
	}
	fail();
	return NULL;
}

struct pair {
	struct fake_command *first, *second;
};

static struct pair send_pair(struct fake_connection *connection, int from, int to)
{
	struct nvme_command compare = blocks(NVME_IO_COMPARE, FAULTY, SLBA, 1);
	struct nvme_command write = blocks(NVME_IO_WRITE, FAULTY, SLBA, 1);
	uint8_t data[512];
	struct pair pair;

	compare.flags |= NVME_FLAGS_FUSE_FIRST;
	compare.cid = le16_of(100);
	memset(data, from, sizeof(data));
	pair.first = fake_send(connection, &compare, data, sizeof(data));
	write.flags |= NVME_FLAGS_FUSE_SECOND;
	memset(data, to, sizeof(data));
	pair.second = fake_send(connection, &write, data, sizeof(data));
	return pair;
}

static void end_command(struct fake_command *command, uint16_t status)
{
	assert_int_equal(fake_wait(command), status);
	fake_command_free(command);
}

static void end_pair(struct pair *pair, uint16_t first_status, uint16_t second_status)
{
	end_command(pair->first, first_status);
	end_command(pair->second, second_status);
}

static void release(struct fixture *fixture)
{
	fixture->fault.is_held = false;
	faulty_store_release(fixture->faulty);
}

static const uint8_t changers[] = {NVME_IO_WRITE, NVME_IO_WRITE_ZEROES, NVME_IO_DATASET_MANAGEMENT,
	NVME_IO_COPY};

static void test_fence_waits_when_what_overlaps_is_in_the_store(void **state)
{
	struct scene scene;

	(void)state;
	set_up_scene(&scene);
	for (unsigned i = 0; i < 2 * ARRAY_LENGTH(changers); i++) {
		struct fixture *fixture = &scene.fixture;
		bool is_overlapping = i / ARRAY_LENGTH(changers) == 0;
		struct fake_command *before;
		unsigned reads;
		struct pair pair;

		write_letters(fixture, FAULTY, SLBA, 512, 'a');
		fixture->fault.is_held = true;
		before = change(scene.other, changers[i % ARRAY_LENGTH(changers)],
			is_overlapping ? SLBA : SLBA + 1);
		fixture->fault.is_held = false;
		reads = faulty_store_submitted_count(fixture->faulty, STORE_READ);
		pair = send_pair(fixture->io, 'a', 'b');
		turn(&scene);
		assert_false(before->is_done);
		assert_int_equal(pair.second->is_done, !is_overlapping);
		if (is_overlapping)
			assert_int_equal(faulty_store_submitted_count(fixture->faulty, STORE_READ),
				reads);
		release(fixture);
		end_command(before, 0);
		if (is_overlapping)
			end_pair(&pair, NVME_STATUS_COMPARE_FAILURE | DNR,
				NVME_STATUS_ABORTED_FAILED_FUSED);
		else
			end_pair(&pair, 0, 0);
	}
	tear_down_scene(&scene);
}

static void test_fence_holds_what_overlaps_when_a_pair_runs(void **state)
{
	struct scene scene;

	(void)state;
	set_up_scene(&scene);
	for (unsigned i = 0; i < 2 * ARRAY_LENGTH(changers); i++) {
		struct fixture *fixture = &scene.fixture;
		struct fake_connection *connection =
			i < ARRAY_LENGTH(changers) ? fixture->io : scene.other;
		uint8_t opcode = changers[i % ARRAY_LENGTH(changers)];
		struct fake_command *held, *beside, *read;
		uint8_t data[512];
		struct pair pair;

		write_letters(fixture, FAULTY, SLBA, 512, 'a');
		fixture->fault.is_held = true;
		pair = send_pair(fixture->io, 'a', 'b');
		turn(&scene);
		assert_int_equal(faulty_store_waiting_count(fixture->faulty), 1);
		fixture->fault.is_held = false;
		held = change(connection, opcode, SLBA);
		beside = change(scene.other, opcode, SLBA + 1);
		read = change(scene.other, NVME_IO_READ, SLBA);
		turn(&scene);
		assert_false(held->is_done);
		end_command(beside, 0);
		end_command(read, 0);
		release(fixture);
		end_pair(&pair, 0, 0);
		end_command(held, 0);
		read_back(fixture, FAULTY, SLBA, 512, data);
		assert_int_equal(count_others(data, 512, 'b'), 512);
	}
	tear_down_scene(&scene);
}

static void test_fence_holds_a_mark_when_a_pair_runs(void **state)
{
	struct nvme_command mark = blocks(NVME_IO_WRITE_UNCORRECTABLE, FAULTY, SLBA, 1);
	struct fake_command *held;
	struct scene scene;
	struct pair pair;

	(void)state;
	set_up_scene(&scene);
	scene.fixture.fault.is_held = true;
	pair = send_pair(scene.fixture.io, 0, 'b');
	turn(&scene);
	held = fake_send(scene.other, &mark, NULL, 0);
	turn(&scene);
	assert_false(held->is_done);
	release(&scene.fixture);
	end_pair(&pair, 0, 0);
	end_command(held, 0);
	end_command(change(scene.other, NVME_IO_READ, SLBA),
		NVME_STATUS_UNRECOVERED_READ_ERROR | DNR);
	tear_down_scene(&scene);
}

static void test_fence_holds_no_hint_when_a_pair_runs(void **state)
{
	struct nvme_dsm_range range = {.block_count = le32_of(1), .slba = le64_of(SLBA)};
	struct nvme_command hint = fake_command_of(NVME_IO_DATASET_MANAGEMENT, FAULTY);
	struct scene scene;
	struct pair pair;

	(void)state;
	set_up_scene(&scene);
	scene.fixture.fault.is_held = true;
	pair = send_pair(scene.fixture.io, 0, 'b');
	turn(&scene);
	nvme_command_set_dsm(&hint, 1, NVME_DSM_IDR);
	end_command(fake_send(scene.other, &hint, &range, sizeof(range)), 0);
	release(&scene.fixture);
	end_pair(&pair, 0, 0);
	tear_down_scene(&scene);
}

static void test_fence_lets_a_command_go_when_it_was_aborted_behind_it(void **state)
{
	struct nvme_command abort = fake_command_of(NVME_ADMIN_ABORT, 0);
	struct fake_command *held, *aborter;
	struct scene scene;
	uint8_t data[512];
	struct pair pair;

	(void)state;
	set_up_scene(&scene);
	scene.fixture.fault.is_held = true;
	pair = send_pair(scene.fixture.io, 0, 'b');
	turn(&scene);
	held = change(scene.other, NVME_IO_WRITE, SLBA);
	nvme_command_set_abort(&abort, 2, 0);
	aborter = fake_send(scene.fixture.admin, &abort, NULL, 0);
	turn(&scene);
	assert_false(held->is_done);
	release(&scene.fixture);
	end_pair(&pair, 0, 0);
	end_command(held, NVME_STATUS_ABORT_REQUESTED);
	end_command(aborter, 0);
	read_back(&scene.fixture, FAULTY, SLBA, 512, data);
	assert_int_equal(count_others(data, 512, 'b'), 0);
	tear_down_scene(&scene);
}

static void test_fence_is_not_used_when_the_pair_is_aborted_before_its_turn(void **state)
{
	struct nvme_command abort = fake_command_of(NVME_ADMIN_ABORT, 0);
	struct fake_command *before, *aborter;
	struct scene scene;
	struct pair pair;

	(void)state;
	set_up_scene(&scene);
	scene.fixture.fault.is_held = true;
	before = change(scene.other, NVME_IO_WRITE, SLBA);
	pair = send_pair(scene.fixture.io, 'p', 'b');
	nvme_command_set_abort(&abort, 1, 100);
	aborter = fake_send(scene.fixture.admin, &abort, NULL, 0);
	turn(&scene);
	assert_false(pair.first->is_done);
	release(&scene.fixture);
	end_command(before, 0);
	end_pair(&pair, NVME_STATUS_ABORT_REQUESTED, NVME_STATUS_ABORTED_FAILED_FUSED);
	end_command(aborter, 0);
	assert_int_equal(faulty_store_submitted_count(scene.fixture.faulty, STORE_READ), 0);
	tear_down_scene(&scene);
}

static void test_fence_takes_turns_when_several_pairs_want_it(void **state)
{
	struct pair pairs[4];
	struct scene scene;

	(void)state;
	set_up_scene(&scene);
	scene.fixture.fault.is_held = true;
	for (unsigned i = 0; i < 4; i++)
		pairs[i] = send_pair(i % 2 == 0 ? scene.fixture.io : scene.other,
			i == 0 ? 0 : 'a' + (int)i - 1, 'a' + (int)i);
	turn(&scene);
	assert_int_equal(faulty_store_waiting_count(scene.fixture.faulty), 1);
	release(&scene.fixture);
	for (unsigned i = 0; i < 4; i++)
		end_pair(&pairs[i], 0, 0);
	tear_down_scene(&scene);
}

static void test_fence_is_lowered_when_all_queues_go_before(void **state)
{
	struct fake_command *before, *held;
	struct scene scene;
	struct pair pairs[2];

	(void)state;
	set_up_scene(&scene);
	scene.fixture.fault.is_held = true;
	before = change(scene.other, NVME_IO_WRITE, SLBA);
	for (unsigned i = 0; i < 2; i++)
		pairs[i] = send_pair(scene.fixture.io, 'p', 'p');
	turn(&scene);
	held = change(scene.other, NVME_IO_WRITE, SLBA);
	fake_connection_close(scene.fixture.io);
	fake_connection_close(scene.other);
	target_shut_down(scene.fixture.world.target);
	turn(&scene);
	assert_false(held->is_done);
	assert_false(target_is_idle(scene.fixture.world.target));
	release(&scene.fixture);
	fake_world_settle(&scene.fixture.world);
	end_command(before, 0);
	end_pair(&pairs[0], 0, 0);
	end_pair(&pairs[1], 0, 0);
	end_command(held, 0);
	tear_down_scene(&scene);
}

/* The object */

struct alone {
	struct fence_turn turn;
	bool is_raised;
};

static void raised(struct fence_turn *turn)
{
	container_of(turn, struct alone, turn)->is_raised = true;
}

static void test_fence_is_one_when_namespaces_share_a_store(void **state)
{
	static const struct store_options options = {0};
	struct subsystem *subsystems[2];
	struct store *stores[2];
	struct target *target;

	(void)state;
	assert_int_equal(target_new(NULL, NULL, &target), 0);
	for (unsigned i = 0; i < 2; i++) {
		char nqn[] = FAKE_NQN "0";

		nqn[sizeof(nqn) - 2] = (char)('0' + i);
		assert_int_equal(memory_store_new(1 << 20, &options, &stores[i]), 0);
		assert_int_equal(target_add_subsystem(target, nqn, &subsystems[i]), 0);
		assert_int_equal(subsystem_add_namespace(subsystems[i], stores[0]), 1);
	}
	assert_int_equal(subsystem_add_namespace(subsystems[1], stores[1]), 2);
	assert_ptr_equal(subsystems[0]->namespaces[0].fence, subsystems[1]->namespaces[0].fence);
	assert_ptr_not_equal(subsystems[1]->namespaces[0].fence,
		subsystems[1]->namespaces[1].fence);
	target_free(target);
	store_free(stores[0]);
	store_free(stores[1]);
}

static void test_fence_stands_on_a_loop_when_that_comes_while_it_is_up(void **state)
{
	static const struct store_options options = {0};
	struct fence_part *part;
	struct fake_world world;
	struct fences *fences;
	struct fence *fence;
	struct store *store;
	struct alone alone;

	(void)state;
	fake_world_init(&world, NULL);
	assert_int_equal(memory_store_new(1 << 20, &options, &store), 0);
	assert_int_equal(subsystem_add_namespace(world.subsystem, store), 1);
	target_publish(world.target);
	fences = &world.target->fences;
	fence = fences->fences[0];
	assert_non_null(fences_site(fences, world.loops[0]));
	alone = (struct alone){.turn = {world.loops[0], SLBA, 1, raised, {NULL, NULL}}};
	fence_raise(fence, &alone.turn);
	assert_false(alone.is_raised);
	part = fence_site_part(fences_site(fences, world.loops[1]), fence);
	assert_true(part->is_up && part->slba == SLBA && part->block_count == 1);
	fake_world_turn(&world);
	fake_world_turn(&world);
	assert_true(alone.is_raised);
	fence_lower(fence);
	assert_false(target_is_idle(world.target));
	fake_world_settle(&world);
	assert_false(part->is_up);
	fake_world_deinit(&world);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fence_waits_when_what_overlaps_is_in_the_store),
		cmocka_unit_test(test_fence_holds_what_overlaps_when_a_pair_runs),
		cmocka_unit_test(test_fence_holds_a_mark_when_a_pair_runs),
		cmocka_unit_test(test_fence_holds_no_hint_when_a_pair_runs),
		cmocka_unit_test(test_fence_lets_a_command_go_when_it_was_aborted_behind_it),
		cmocka_unit_test(test_fence_is_not_used_when_the_pair_is_aborted_before_its_turn),
		cmocka_unit_test(test_fence_takes_turns_when_several_pairs_want_it),
		cmocka_unit_test(test_fence_is_lowered_when_all_queues_go_before),
		cmocka_unit_test(test_fence_is_one_when_namespaces_share_a_store),
		cmocka_unit_test(test_fence_stands_on_a_loop_when_that_comes_while_it_is_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
