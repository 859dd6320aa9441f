#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cmd/serve_sizes.h"
#include "store/size_watch.h"
#include "store/store.h"

#define WAIT_S 20

/* A store over a file of a file system that hangs when it is watched for the second time. */
struct hanging_store {
	struct store store;
	char path[32];
	int fd;
	unsigned watch_count; /* the thread's, once it runs */
	_Atomic uint64_t size_bytes;
	sem_t is_waiting, may_go_on;
	sem_t has_changed;
};

static void wait_for(sem_t *semaphore)
{
	struct timespec due;

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &due), 0);
	due.tv_sec += WAIT_S;
	assert_int_equal(sem_timedwait(semaphore, &due), 0);
}

static int watch(const struct store *store, int inotify_fd, uint32_t mask)
{
	struct hanging_store *hanging = container_of((uintptr_t)store, struct hanging_store, store);

	if (++hanging->watch_count == 2) {
		assert_int_equal(sem_post(&hanging->is_waiting), 0);
		wait_for(&hanging->may_go_on);
	}
	return inotify_add_watch(inotify_fd, hanging->path, mask);
}

static int measure(const struct store *store, uint64_t *ret_bytes)
{
	struct hanging_store *hanging = container_of((uintptr_t)store, struct hanging_store, store);

	*ret_bytes = atomic_load(&hanging->size_bytes);
	return 0;
}

static const struct store_operations operations = {.watch = watch, .measure = measure};

static void changed(void *context, struct store *store)
{
	struct hanging_store *hanging = context;

	assert_ptr_equal(store, &hanging->store);
	assert_int_equal(sem_post(&hanging->has_changed), 0);
}

static struct hanging_store *hanging_store_new(void)
{
	struct hanging_store *hanging = calloc(1, sizeof(*hanging));

	assert_non_null(hanging);
	hanging->store.operations = &operations;
	hanging->store.block_bytes = 512;
	(void)snprintf(hanging->path, sizeof(hanging->path), "/tmp/ferry-test-XXXXXX");
	hanging->fd = mkstemp(hanging->path);
	assert_true(hanging->fd >= 0);
	assert_int_equal(sem_init(&hanging->is_waiting, 0, 0), 0);
	assert_int_equal(sem_init(&hanging->may_go_on, 0, 0), 0);
	assert_int_equal(sem_init(&hanging->has_changed, 0, 0), 0);
	return hanging;
}

static void hanging_store_free(struct hanging_store *hanging)
{
	assert_int_equal(unlink(hanging->path), 0);
	assert_int_equal(close(hanging->fd), 0);
	assert_int_equal(sem_destroy(&hanging->is_waiting), 0);
	assert_int_equal(sem_destroy(&hanging->may_go_on), 0);
	assert_int_equal(sem_destroy(&hanging->has_changed), 0);
	free(hanging);
}

static void change(struct hanging_store *hanging, uint64_t bytes)
{
	atomic_store(&hanging->size_bytes, bytes);
	assert_int_equal(write(hanging->fd, "x", 1), 1);
}

static void test_serve_sizes_holds_nobody_up_when_a_file_system_hangs(void **state)
{
	struct hanging_store *hanging = hanging_store_new();
	const struct size_watch_handler handler = {changed, hanging};
	struct store *stores[] = {&hanging->store};
	struct serve_sizes sizes;

	(void)state;
	assert_int_equal(serve_sizes_start(&sizes, stores, 1, &handler), 0);
	change(hanging, 1024);
	wait_for(&hanging->has_changed);
	assert_true(atomic_load(&hanging->store.size_bytes) == 1024);
	wait_for(&hanging->is_waiting);
	assert_false(serve_sizes_stop(&sizes));
	/* It has not forgotten: what changed meanwhile is looked at before it stops. */
	atomic_store(&hanging->size_bytes, 2048);
	assert_int_equal(sem_post(&hanging->may_go_on), 0);
	assert_true(serve_sizes_stop(&sizes));
	assert_true(atomic_load(&hanging->store.size_bytes) == 2048);
	hanging_store_free(hanging);
}

static void test_serve_sizes_stops_when_nothing_happens(void **state)
{
	struct hanging_store *hanging = hanging_store_new();
	const struct size_watch_handler handler = {changed, hanging};
	struct store *stores[] = {&hanging->store};
	struct serve_sizes sizes;

	(void)state;
	assert_int_equal(serve_sizes_start(&sizes, stores, 1, &handler), 0);
	assert_true(serve_sizes_stop(&sizes));
	assert_true(serve_sizes_stop(&sizes));
	hanging_store_free(hanging);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serve_sizes_holds_nobody_up_when_a_file_system_hangs),
		cmocka_unit_test(test_serve_sizes_stops_when_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
