/*
 * Jobs that wait at a gate show how many threads there are.
 */
#include "sysproxy/worker.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define JOBS 50

/* Jobs that wait until they are let go. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_open;
	unsigned waiting, done;
	unsigned order[JOBS];
};

struct gate_job {
	struct worker_job job;
	struct gate *gate;
	unsigned index;
	bool are_signals_blocked;
};

static void run(struct worker_job *job)
{
	struct gate_job *mine = container_of(job, struct gate_job, job);
	struct gate *gate = mine->gate;
	sigset_t mask;

	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
	mine->are_signals_blocked = sigismember(&mask, SIGTERM) == 1;
	(void)pthread_mutex_lock(&gate->lock);
	gate->waiting++;
	(void)pthread_cond_broadcast(&gate->changed);
	while (!gate->is_open)
		(void)pthread_cond_wait(&gate->changed, &gate->lock);
	gate->order[gate->done++] = mine->index;
	(void)pthread_cond_broadcast(&gate->changed);
	(void)pthread_mutex_unlock(&gate->lock);
}

static void await(struct gate *gate, const unsigned *count, unsigned wanted)
{
	(void)pthread_mutex_lock(&gate->lock);
	while (*count != wanted)
		(void)pthread_cond_wait(&gate->changed, &gate->lock);
	(void)pthread_mutex_unlock(&gate->lock);
}

static void open_gate(struct gate *gate)
{
	(void)pthread_mutex_lock(&gate->lock);
	gate->is_open = true;
	(void)pthread_cond_broadcast(&gate->changed);
	(void)pthread_mutex_unlock(&gate->lock);
}

static void gate_init(struct gate *gate, struct gate_job jobs[JOBS])
{
	*gate = (struct gate){0};
	assert_int_equal(pthread_mutex_init(&gate->lock, NULL), 0);
	assert_int_equal(pthread_cond_init(&gate->changed, NULL), 0);
	for (unsigned i = 0; i < JOBS; i++)
		jobs[i] = (struct gate_job){.job.run = run, .gate = gate, .index = i};
}

static void gate_deinit(struct gate *gate)
{
	assert_int_equal(pthread_cond_destroy(&gate->changed), 0);
	assert_int_equal(pthread_mutex_destroy(&gate->lock), 0);
}

static void test_worker_does_all_jobs_at_once_when_they_block(void **state)
{
	const struct worker_options options = {.threads_max = JOBS, .idle_max = 4};
	struct gate_job jobs[JOBS];
	struct worker_pool *pool;
	struct gate gate;

	(void)state;
	gate_init(&gate, jobs);
	assert_int_equal(worker_pool_new(&options, &pool), 0);
	for (unsigned i = 0; i < JOBS; i++)
		assert_int_equal(worker_submit(pool, &jobs[i].job), 0);
	await(&gate, &gate.waiting, JOBS);
	open_gate(&gate);
	await(&gate, &gate.done, JOBS);
	worker_pool_free(pool);
	for (unsigned i = 0; i < JOBS; i++)
		assert_true(jobs[i].are_signals_blocked);
	gate_deinit(&gate);
}

static void test_worker_refuses_a_job_when_all_threads_are_busy(void **state)
{
	const struct worker_options options = {.threads_max = 3, .idle_max = 3};
	struct gate_job jobs[JOBS];
	struct worker_pool *pool;
	struct gate gate;

	(void)state;
	gate_init(&gate, jobs);
	assert_int_equal(worker_pool_new(&options, &pool), 0);
	assert_true(worker_reserve_thread(pool));
	assert_int_equal(worker_submit(pool, &jobs[0].job), 0);
	assert_int_equal(worker_submit(pool, &jobs[1].job), 0);
	assert_int_equal(worker_submit(pool, &jobs[2].job), -EAGAIN);
	assert_false(worker_reserve_thread(pool));
	worker_release_thread(pool);
	assert_int_equal(worker_submit(pool, &jobs[2].job), 0);
	assert_false(worker_reserve_thread(pool));
	await(&gate, &gate.waiting, 3);
	open_gate(&gate);
	worker_pool_free(pool);
	assert_int_equal(gate.done, 3);
	gate_deinit(&gate);
}

static void test_worker_does_jobs_in_order_when_it_is_queueing(void **state)
{
	const struct worker_options options = {
		.threads_max = 1,
		.idle_max = 1,
		.is_queueing = true,
	};
	struct gate_job jobs[JOBS];
	struct worker_pool *pool;
	struct gate gate;

	(void)state;
	gate_init(&gate, jobs);
	assert_int_equal(worker_pool_new(&options, &pool), 0);
	for (unsigned i = 0; i < JOBS; i++)
		assert_int_equal(worker_submit(pool, &jobs[i].job), 0);
	open_gate(&gate);
	/* Freeing does what is waiting. */
	worker_pool_free(pool);
	assert_int_equal(gate.done, JOBS);
	for (unsigned i = 0; i < JOBS; i++)
		assert_int_equal(gate.order[i], i);
	gate_deinit(&gate);
}

static void test_worker_reuses_threads_when_they_are_idle(void **state)
{
	const struct worker_options options = {.threads_max = 1, .idle_max = 1};
	struct gate_job jobs[JOBS];
	struct worker_pool *pool;
	struct gate gate;
	unsigned done = 0;

	(void)state;
	gate_init(&gate, jobs);
	gate.is_open = true;
	assert_int_equal(worker_pool_new(&options, &pool), 0);
	while (done < JOBS) {
		/* Refused only while the one before has not quite ended. */
		if (worker_submit(pool, &jobs[done].job) == 0)
			await(&gate, &gate.done, ++done);
	}
	worker_pool_free(pool);
	gate_deinit(&gate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worker_does_all_jobs_at_once_when_they_block),
		cmocka_unit_test(test_worker_refuses_a_job_when_all_threads_are_busy),
		cmocka_unit_test(test_worker_does_jobs_in_order_when_it_is_queueing),
		cmocka_unit_test(test_worker_reuses_threads_when_they_are_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
