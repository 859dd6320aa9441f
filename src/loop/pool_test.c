#include "loop/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define POOL_BYTES    (4 * POOL_BUFFER_MAX)
#define SHARE_BYTES   (POOL_BYTES / POOL_SHARES)
#define PROBE_COUNT   200
#define RANDOM_ROUNDS 20000

struct probe {
	struct pool_request request;
	int *granted_count;
	int granted_at; /* the count at which it was granted */
};

static int setup(void **state)
{
	return pool_new(POOL_BYTES, (struct pool **)state);
}

static int teardown(void **state)
{
	pool_free(*state);
	return 0;
}

static void probe_granted(struct pool_request *request)
{
	struct probe *probe = container_of(request, struct probe, request);

	assert_non_null(request->buffer);
	probe->granted_at = ++*probe->granted_count;
}

static bool take(struct pool *pool, struct probe *probe, struct pool_share *share, size_t bytes)
{
	probe->granted_at = 0;
	probe->request.granted = probe_granted;
	probe->request.share = share;
	probe->request.bytes = bytes;
	return pool_take(pool, &probe->request);
}

static void test_pool_rounds_up_when_size_is_no_power_of_two(void **state)
{
	static const struct {
		size_t bytes, held_bytes;
	} cases[] = {{1, 4096}, {4096, 4096}, {4097, 8192}, {8192, 8192}, {100000, 131072},
		{(1u << 20) + 1, 2u << 20}, {2u << 20, 2u << 20}};
	struct probe probe = {0};
	struct pool_share share = {0};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		assert_true(take(*state, &probe, &share, cases[i].bytes));
		assert_int_equal(pool_held_bytes(*state), cases[i].held_bytes);
		assert_int_equal(share.held_bytes, cases[i].held_bytes);
		assert_int_equal((uintptr_t)probe.request.buffer % POOL_BUFFER_MIN, 0);
		memset(probe.request.buffer, 1, cases[i].bytes);
		pool_give(*state, &probe.request);
		assert_int_equal(pool_held_bytes(*state), 0);
		assert_int_equal(share.held_bytes, 0);
		/* Neither granted nor waiting. */
		pool_give(*state, &probe.request);
	}
}

static void test_pool_grants_the_last_buffer_given_when_asked_for_the_same_size(void **state)
{
	struct probe probes[3] = {0};
	struct pool_share share = {0};
	uint8_t *second;

	for (int i = 0; i < 3; i++)
		assert_true(take(*state, &probes[i], &share, 4096));
	second = probes[1].request.buffer;
	pool_give(*state, &probes[0].request);
	pool_give(*state, &probes[1].request);
	assert_true(take(*state, &probes[0], &share, 4096));
	assert_ptr_equal(probes[0].request.buffer, second);
	pool_give(*state, &probes[0].request);
	pool_give(*state, &probes[2].request);
}

static void test_pool_merges_small_buffers_when_a_large_one_is_wanted(void **state)
{
	enum { COUNT = POOL_BYTES / POOL_BUFFER_MIN };
	static struct probe probes[COUNT];
	static struct pool_share shares[COUNT];
	struct probe large[4] = {0};
	struct pool_share large_shares[4] = {0};

	for (int i = 0; i < COUNT; i++)
		assert_true(take(*state, &probes[i], &shares[i], POOL_BUFFER_MIN));
	assert_int_equal(pool_held_bytes(*state), POOL_BYTES);
	for (int i = 0; i < COUNT; i++)
		pool_give(*state, &probes[i].request);
	for (int i = 0; i < 4; i++)
		assert_true(take(*state, &large[i], &large_shares[i], POOL_BUFFER_MAX));
	for (int i = 0; i < 4; i++)
		pool_give(*state, &large[i].request);
}

static void test_pool_limits_a_share_when_half_of_it_is_taken(void **state)
{
	struct probe greedy[20] = {0}, other = {0};
	struct pool_share greedy_share = {0}, other_share = {0};
	int granted_count = 0;
	int held_count = 0;

	for (int i = 0; i < 20; i++)
		greedy[i].granted_count = &granted_count;
	while (take(*state, &greedy[held_count], &greedy_share, SHARE_BYTES))
		held_count++;
	assert_int_equal(held_count, POOL_SHARES / 2);
	/* The greedy one waits and does not hold up another. */
	assert_true(take(*state, &other, &other_share, SHARE_BYTES));
	pool_give(*state, &other.request);
	assert_int_equal(granted_count, 0);
	pool_give(*state, &greedy[0].request);
	assert_int_equal(greedy[held_count].granted_at, 1);
	for (int i = 1; i <= held_count; i++)
		pool_give(*state, &greedy[i].request);
}

/* Take all of the pool in buffers of the largest size, each by a share of its own. */
static void take_all(struct pool *pool, struct probe probes[4], struct pool_share shares[4])
{
	for (int i = 0; i < 4; i++)
		assert_true(take(pool, &probes[i], &shares[i], POOL_BUFFER_MAX));
}

static void test_pool_grants_in_turn_when_shares_wait(void **state)
{
	struct probe all[4] = {0}, waiting[4] = {0};
	struct pool_share shares[4] = {0}, waiting_shares[2] = {0};
	int granted_count = 0;

	take_all(*state, all, shares);
	/* Two of the first share, then two of the second. */
	for (int i = 0; i < 4; i++) {
		waiting[i].granted_count = &granted_count;
		assert_false(take(*state, &waiting[i], &waiting_shares[i / 2], POOL_BUFFER_MIN));
	}
	pool_give(*state, &all[0].request);
	assert_int_equal(granted_count, 4);
	assert_int_equal(waiting[0].granted_at, 1);
	assert_int_equal(waiting[2].granted_at, 2);
	assert_int_equal(waiting[1].granted_at, 3);
	assert_int_equal(waiting[3].granted_at, 4);
	for (int i = 0; i < 4; i++)
		pool_give(*state, &waiting[i].request);
	for (int i = 1; i < 4; i++)
		pool_give(*state, &all[i].request);
}

static void test_pool_holds_up_small_requests_when_a_large_one_lacks_bytes(void **state)
{
	struct probe all[4] = {0}, large = {0}, small[2] = {0};
	struct pool_share shares[4] = {0}, large_share = {0}, small_shares[2] = {0};
	int granted_count = 0;

	large.granted_count = &granted_count;
	small[1].granted_count = &granted_count;
	take_all(*state, all, shares);
	pool_give(*state, &all[3].request);
	assert_true(take(*state, &small[0], &small_shares[0], POOL_BUFFER_MIN));
	assert_false(take(*state, &large, &large_share, POOL_BUFFER_MAX));
	assert_false(take(*state, &small[1], &small_shares[1], POOL_BUFFER_MIN));
	pool_give(*state, &all[2].request);
	assert_int_equal(large.granted_at, 1);
	assert_int_equal(small[1].granted_at, 2);
	pool_give(*state, &large.request);
	for (int i = 0; i < 2; i++) {
		pool_give(*state, &small[i].request);
		pool_give(*state, &all[i].request);
	}
}

static void test_pool_goes_on_when_the_request_that_holds_up_others_is_withdrawn(void **state)
{
	struct probe all[4] = {0}, large = {0}, small[2] = {0};
	struct pool_share shares[4] = {0}, large_share = {0}, small_shares[2] = {0};
	int granted_count = 0;

	large.granted_count = &granted_count;
	small[1].granted_count = &granted_count;
	take_all(*state, all, shares);
	pool_give(*state, &all[3].request);
	assert_true(take(*state, &small[0], &small_shares[0], POOL_BUFFER_MIN));
	assert_false(take(*state, &large, &large_share, POOL_BUFFER_MAX));
	assert_false(take(*state, &small[1], &small_shares[1], POOL_BUFFER_MIN));
	pool_give(*state, &large.request);
	assert_int_equal(large.granted_at, 0);
	assert_int_equal(small[1].granted_at, 1);
	for (int i = 0; i < 2; i++)
		pool_give(*state, &small[i].request);
	for (int i = 0; i < 3; i++)
		pool_give(*state, &all[i].request);
}

struct chain_link {
	struct pool_request request;
	struct pool *pool;
	int *granted_count;
};

static void chain_granted(struct pool_request *request)
{
	struct chain_link *link = container_of(request, struct chain_link, request);

	++*link->granted_count;
	pool_give(link->pool, request);
}

static void test_pool_serves_all_when_each_gives_back_at_once(void **state)
{
	enum { LINK_COUNT = 1000 };
	static struct chain_link links[LINK_COUNT];
	struct probe all[4] = {0};
	struct pool_share shares[4] = {0}, share = {0};
	int granted_count = 0;

	take_all(*state, all, shares);
	for (int i = 0; i < LINK_COUNT; i++) {
		links[i] = (struct chain_link){.pool = *state, .granted_count = &granted_count};
		links[i].request = (struct pool_request){.granted = chain_granted,
			.share = &share,
			.bytes = POOL_BUFFER_MAX};
		assert_false(pool_take(*state, &links[i].request));
	}
	pool_give(*state, &all[0].request);
	assert_int_equal(granted_count, LINK_COUNT);
	for (int i = 1; i < 4; i++)
		pool_give(*state, &all[i].request);
}

static bool is_resident(uint8_t *page)
{
	unsigned char resident;

	assert_int_equal(mincore(page, POOL_BUFFER_MIN, &resident), 0);
	return (resident & 1) != 0;
}

static void test_pool_gives_only_free_memory_back_when_trimmed(void **state)
{
	struct probe held[2] = {0}, given[3] = {0};
	struct pool_share share = {0};
	uint8_t *pages[3];

	assert_int_equal(pool_trim_mark(*state), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(take(*state, &held[i], &share, 4096));
		memset(held[i].request.buffer, 'x', 4096);
	}
	for (int i = 0; i < 3; i++) {
		assert_true(take(*state, &given[i], &share, i == 0 ? 4096 : 1u << 20));
		pages[i] = given[i].request.buffer;
		memset(pages[i], 'y', 4096);
		assert_true(is_resident(pages[i]));
	}
	pool_give(*state, &held[0].request);
	for (int i = 0; i < 3; i++)
		pool_give(*state, &given[i].request);
	assert_int_not_equal(pool_trim_mark(*state), 0);
	pool_trim(*state);
	assert_int_equal(pool_trim_mark(*state), 0);
	for (int i = 0; i < 3; i++)
		assert_false(is_resident(pages[i]));
	assert_int_equal(held[1].request.buffer[4095], 'x');
	pool_give(*state, &held[1].request);
}

/* No two buffers overlap: each is filled with its owner's number. */
static void check_number(const struct probe *probe, size_t number)
{
	const struct pool_request *request = &probe->request;

	assert_int_equal(request->buffer[0], number);
	assert_int_equal(request->buffer[request->bytes - 1], number);
	assert_int_equal(request->buffer[request->bytes / 2], number);
}

static void test_pool_keeps_buffers_apart_when_driven_at_random(void **state)
{
	static struct probe probes[PROBE_COUNT];
	struct pool_share shares[PROBE_COUNT] = {0};
	struct random random;
	int granted_count = 0;

	random_init(&random, 1);
	memset(probes, 0, sizeof(probes));
	for (int round = 0; round < RANDOM_ROUNDS; round++) {
		size_t number = random_below(&random, PROBE_COUNT);
		struct probe *probe = &probes[number];

		probe->granted_count = &granted_count;
		if (probe->request.buffer != NULL && probe->granted_at == 0)
			check_number(probe, number);
		if (probe->request.share != NULL) {
			pool_give(*state, &probe->request);
			probe->request.share = NULL;
		} else if (take(*state, probe, &shares[number],
				   (size_t)1 << random_below(&random, 19))) {
			memset(probe->request.buffer, (int)number, probe->request.bytes);
		}
		if (round % 1000 == 0)
			pool_trim(*state);
	}
	for (int i = 0; i < PROBE_COUNT; i++)
		pool_give(*state, &probes[i].request);
	assert_int_equal(pool_held_bytes(*state), 0);
}

#define POOL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOL_TEST(test_pool_rounds_up_when_size_is_no_power_of_two),
		POOL_TEST(test_pool_grants_the_last_buffer_given_when_asked_for_the_same_size),
		POOL_TEST(test_pool_merges_small_buffers_when_a_large_one_is_wanted),
		POOL_TEST(test_pool_limits_a_share_when_half_of_it_is_taken),
		POOL_TEST(test_pool_grants_in_turn_when_shares_wait),
		POOL_TEST(test_pool_holds_up_small_requests_when_a_large_one_lacks_bytes),
		POOL_TEST(test_pool_goes_on_when_the_request_that_holds_up_others_is_withdrawn),
		POOL_TEST(test_pool_serves_all_when_each_gives_back_at_once),
		POOL_TEST(test_pool_gives_only_free_memory_back_when_trimmed),
		POOL_TEST(test_pool_keeps_buffers_apart_when_driven_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
