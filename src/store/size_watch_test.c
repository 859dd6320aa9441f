#include "store/size_watch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "loop/loop.h"
#include "store/store.h"

#define SIZE_BYTES (1u << 20)

struct fixture {
	struct loop *loop;
	struct store *stores[2]; /* memory, and a file */
	struct size_watch *watch;
	unsigned change_count;
	struct store *changed;
	char path[64];
};

static void changed(void *context, struct store *store)
{
	struct fixture *fixture = context;

	fixture->change_count++;
	fixture->changed = store;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	const struct size_watch_handler handler = {changed, fixture};
	char problem[256];
	int fd;

	if (fixture == NULL)
		return -1;
	*state = fixture;
	(void)snprintf(fixture->path, sizeof(fixture->path), "/tmp/ferry-size-test.XXXXXX");
	fd = mkstemp(fixture->path);
	if (fd < 0 || ftruncate(fd, SIZE_BYTES) != 0 || close(fd) != 0)
		return -1;
	if (store_open("ram:1M", &fixture->stores[0], problem, sizeof(problem)) != 0 ||
		store_open(fixture->path, &fixture->stores[1], problem, sizeof(problem)) != 0 ||
		loop_new(NULL, &fixture->loop) != 0)
		return -1;
	return size_watch_new(fixture->loop, fixture->stores, 2, &handler, &fixture->watch);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	size_watch_free(fixture->watch);
	loop_free(fixture->loop);
	for (size_t i = 0; i < ARRAY_LENGTH(fixture->stores); i++)
		store_free(fixture->stores[i]);
	(void)unlink(fixture->path);
	free(fixture);
	return 0;
}

static void await_changes(struct fixture *fixture, unsigned count)
{
	while (fixture->change_count < count)
		assert_int_equal(loop_turn(fixture->loop, -1), 0);
	assert_int_equal(fixture->change_count, count);
	assert_ptr_equal(fixture->changed, fixture->stores[1]);
}

/* Without a descriptor, by one that is closed, by one that stays open; larger and smaller. */
static void test_size_watch_tells_when_a_file_grows_or_shrinks(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = fixture->stores[1];
	CLEANUP(cleanup_close) int fd = open(fixture->path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(truncate(fixture->path, 2 * SIZE_BYTES), 0);
	await_changes(fixture, 1);
	assert_int_equal(atomic_load(&store->size_bytes), 2 * SIZE_BYTES);
	assert_int_equal(ftruncate(fd, SIZE_BYTES / 2), 0);
	await_changes(fixture, 2);
	assert_int_equal(atomic_load(&store->size_bytes), SIZE_BYTES / 2);
	/* What is no whole block is not there. */
	assert_int_equal(truncate(fixture->path, SIZE_BYTES + 1000), 0);
	await_changes(fixture, 3);
	assert_int_equal(atomic_load(&store->size_bytes), SIZE_BYTES + 512);
	assert_int_equal(truncate(fixture->path, 0), 0);
	await_changes(fixture, 4);
	assert_int_equal(atomic_load(&store->size_bytes), 0);
}

/* A change that hides behind a write. */
static void test_size_watch_tells_when_the_file_is_also_written(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP(cleanup_close) int fd = open(fixture->path, O_RDWR | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	assert_int_equal(loop_turn(fixture->loop, -1), 0);
	assert_int_equal(fixture->change_count, 0);
	assert_int_equal(pwrite(fd, "x", 1, SIZE_BYTES + 511), 1);
	await_changes(fixture, 1);
}

static void test_size_watch_is_not_told_twice_when_the_size_was_looked_at(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(truncate(fixture->path, 2 * SIZE_BYTES), 0);
	assert_true(store_measure(fixture->stores[1]));
	assert_false(store_measure(fixture->stores[1]));
	assert_false(store_measure(fixture->stores[0]));
	assert_int_equal(loop_turn(fixture->loop, -1), 0);
	assert_int_equal(fixture->change_count, 0);
}

#define SIZE_WATCH_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SIZE_WATCH_TEST(test_size_watch_tells_when_a_file_grows_or_shrinks),
		SIZE_WATCH_TEST(test_size_watch_tells_when_the_file_is_also_written),
		SIZE_WATCH_TEST(test_size_watch_is_not_told_twice_when_the_size_was_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
