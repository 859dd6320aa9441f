#include "test/store/faulty_store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "store/memory_store.h"
#include "test/store/store_probe.h"

#define DELAY_MS 5000

struct fixture {
	struct simulated_clock clock;
	struct loop *loop;
	struct faulty_store *faulty;
	struct fault fault; /* of every write */
	uint8_t block[512];
};

static struct fault decide(void *context, const struct store_request *request)
{
	const struct fixture *fixture = context;

	return request->opcode == STORE_WRITE ? fixture->fault : (struct fault){0};
}

static void fixture_init(struct fixture *fixture)
{
	struct store *inner;

	*fixture = (struct fixture){0};
	memset(fixture->block, 'x', sizeof(fixture->block));
	simulated_clock_init(&fixture->clock, 1);
	assert_int_equal(loop_new(&(struct loop_options){.clock = &fixture->clock.clock},
				 &fixture->loop),
		0);
	assert_int_equal(memory_store_new(4096, &(struct store_options){0}, &inner), 0);
	fixture->faulty = faulty_store_new(inner, decide, fixture);
}

static void fixture_deinit(struct fixture *fixture)
{
	store_free(faulty_store_store(fixture->faulty));
	loop_free(fixture->loop);
}

static void submit_write(struct fixture *fixture, struct store_probe *probe)
{
	store_probe_submit(probe, faulty_store_store(fixture->faulty), fixture->loop,
		(struct store_request){.opcode = STORE_WRITE,
			.bytes = 512,
			.data = fixture->block});
}

/* @return the first byte of the wrapped store. */
static uint8_t first_byte(struct fixture *fixture)
{
	uint8_t block[512] = {0};
	const struct store_request request = {.opcode = STORE_READ, .bytes = 512, .data = block};

	assert_int_equal(store_probe_run(faulty_store_store(fixture->faulty), fixture->loop,
				 request),
		0);
	return block[0];
}

static void test_faulty_store_passes_on_when_there_is_no_fault(void **state)
{
	struct fixture fixture;
	struct store_probe probe;

	(void)state;
	fixture_init(&fixture);
	submit_write(&fixture, &probe);
	assert_int_equal(store_probe_wait(&probe, fixture.loop), 0);
	assert_int_equal(first_byte(&fixture), 'x');
	assert_int_equal(faulty_store_submitted_count(fixture.faulty, STORE_WRITE), 1);
	fixture_deinit(&fixture);
}

static void test_faulty_store_leaves_the_inner_alone_when_failing(void **state)
{
	struct fixture fixture;
	struct store_probe probe;

	(void)state;
	fixture_init(&fixture);
	fixture.fault.error = EIO;
	submit_write(&fixture, &probe);
	assert_int_equal(store_probe_wait(&probe, fixture.loop), EIO);
	assert_int_equal(first_byte(&fixture), 0);
	fixture_deinit(&fixture);
}

static void test_faulty_store_waits_when_delayed(void **state)
{
	struct fixture fixture;
	struct store_probe probe;
	uint64_t start_ns;

	(void)state;
	fixture_init(&fixture);
	fixture.fault = (struct fault){.error = ENOSPC, .delay_ms = DELAY_MS};
	start_ns = loop_now_ns(fixture.loop);
	submit_write(&fixture, &probe);
	assert_int_equal(faulty_store_waiting_count(fixture.faulty), 1);
	assert_int_equal(store_probe_wait(&probe, fixture.loop), ENOSPC);
	assert_true(loop_now_ns(fixture.loop) - start_ns >= (uint64_t)DELAY_MS * CLOCK_MS_NS);
	assert_int_equal(faulty_store_waiting_count(fixture.faulty), 0);
	fixture_deinit(&fixture);
}

static void test_faulty_store_goes_on_when_released(void **state)
{
	struct fixture fixture;
	struct store_probe probes[2];

	(void)state;
	fixture_init(&fixture);
	fixture.fault.is_held = true;
	for (int i = 0; i < 2; i++)
		submit_write(&fixture, &probes[i]);
	assert_int_equal(faulty_store_waiting_count(fixture.faulty), 2);
	assert_int_equal(first_byte(&fixture), 0);
	assert_false(probes[0].is_done);
	faulty_store_release(fixture.faulty);
	for (int i = 0; i < 2; i++)
		assert_int_equal(store_probe_wait(&probes[i], fixture.loop), 0);
	assert_int_equal(first_byte(&fixture), 'x');
	fixture_deinit(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faulty_store_passes_on_when_there_is_no_fault),
		cmocka_unit_test(test_faulty_store_leaves_the_inner_alone_when_failing),
		cmocka_unit_test(test_faulty_store_waits_when_delayed),
		cmocka_unit_test(test_faulty_store_goes_on_when_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
