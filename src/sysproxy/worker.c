/*
 * While a job waits there is a thread for it: one that sleeps or one that is just being made, unless
 * the pool is queueing. Hence job_count <= idle_count decides whether a new thread is needed.
 */
#include "sysproxy/worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "sysproxy/thread.h"

struct worker {
	struct list link;
	struct worker_pool *pool;
	pthread_t thread;
};

struct worker_pool {
	struct worker_options options;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t has_job;
	struct list jobs; /* of struct worker_job */
	unsigned job_count;
	unsigned idle_count;     /* threads that sleep, or were woken and have not taken a job */
	unsigned thread_count;   /* in workers */
	unsigned reserved_count; /* threads of others */
	struct list workers;     /* of struct worker */
	struct list ended;       /* of struct worker, to be joined */
	bool is_ending;
};

/* Sleep until there is a job. @return it, or NULL: this thread is to end. */
static struct worker_job *worker_take(struct worker_pool *pool)
{
	struct list *link;

	while ((link = list_take_first(&pool->jobs)) == NULL) {
		if (pool->is_ending || pool->idle_count >= pool->options.idle_max)
			return NULL;
		pool->idle_count++;
		(void)pthread_cond_wait(&pool->has_job, &pool->lock);
		pool->idle_count--;
	}
	pool->job_count--;
	return container_of(link, struct worker_job, link);
}

static void *worker_run(void *argument)
{
	struct worker *worker = argument;
	struct worker_pool *pool = worker->pool;
	struct worker_job *job;

	(void)pthread_mutex_lock(&pool->lock);
	while ((job = worker_take(pool)) != NULL) {
		(void)pthread_mutex_unlock(&pool->lock);
		job->run(job);
		(void)pthread_mutex_lock(&pool->lock);
	}
	list_remove(&worker->link);
	list_append(&pool->ended, &worker->link);
	pool->thread_count--;
	(void)pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* With the lock held. */
static void join_ended(struct worker_pool *pool)
{
	struct list *link;

	while ((link = list_take_first(&pool->ended)) != NULL) {
		struct worker *worker = container_of(link, struct worker, link);

		/* It has nothing left to do but to unlock. */
		(void)pthread_mutex_unlock(&pool->lock);
		(void)pthread_join(worker->thread, NULL);
		free(worker);
		(void)pthread_mutex_lock(&pool->lock);
	}
}

/* With the lock held, so that the thread finds itself in the list. */
static int add_thread(struct worker_pool *pool)
{
	struct worker *worker;
	int error;

	if (pool->thread_count + pool->reserved_count >= pool->options.threads_max)
		return -EAGAIN;
	worker = calloc(1, sizeof(*worker));
	if (worker == NULL)
		return -EAGAIN;
	worker->pool = pool;
	error = thread_start(pool->options.stack_bytes, worker_run, worker, &worker->thread);
	if (error != 0) {
		free(worker);
		return -EAGAIN;
	}
	list_append(&pool->workers, &worker->link);
	pool->thread_count++;
	return 0;
}

int worker_pool_new(const struct worker_options *options, struct worker_pool **ret_pool)
{
	struct worker_pool *pool = calloc(1, sizeof(*pool));
	int error = 0;

	if (pool == NULL)
		return -ENOMEM;
	pool->options = *options;
	list_init(&pool->jobs);
	list_init(&pool->workers);
	list_init(&pool->ended);
	(void)pthread_mutex_init(&pool->lock, NULL);
	(void)pthread_cond_init(&pool->has_job, NULL);
	if (options->is_queueing) {
		assert(options->idle_max > 0);
		(void)pthread_mutex_lock(&pool->lock);
		error = add_thread(pool);
		(void)pthread_mutex_unlock(&pool->lock);
	}
	if (error != 0) {
		worker_pool_free(pool);
		return error;
	}
	*ret_pool = pool;
	return 0;
}

void worker_pool_free(struct worker_pool *pool)
{
	if (pool == NULL)
		return;
	(void)pthread_mutex_lock(&pool->lock);
	assert(pool->reserved_count == 0);
	pool->is_ending = true;
	(void)pthread_cond_broadcast(&pool->has_job);
	while (!list_is_empty(&pool->workers) || !list_is_empty(&pool->ended)) {
		struct list *first =
			list_is_empty(&pool->ended) ? pool->workers.next : pool->ended.next;
		struct worker *worker = container_of(first, struct worker, link);

		(void)pthread_mutex_unlock(&pool->lock);
		(void)pthread_join(worker->thread, NULL);
		(void)pthread_mutex_lock(&pool->lock);
		list_remove(&worker->link);
		free(worker);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	(void)pthread_cond_destroy(&pool->has_job);
	(void)pthread_mutex_destroy(&pool->lock);
	free(pool);
}

int worker_submit(struct worker_pool *pool, struct worker_job *job)
{
	int error = 0;

	(void)pthread_mutex_lock(&pool->lock);
	join_ended(pool);
	if (pool->job_count >= pool->idle_count)
		error = add_thread(pool);
	if (error == 0 || pool->options.is_queueing) {
		error = 0;
		list_append(&pool->jobs, &job->link);
		pool->job_count++;
		(void)pthread_cond_signal(&pool->has_job);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return error;
}

bool worker_reserve_thread(struct worker_pool *pool)
{
	bool is_left;

	(void)pthread_mutex_lock(&pool->lock);
	is_left = pool->thread_count + pool->reserved_count < pool->options.threads_max;
	if (is_left)
		pool->reserved_count++;
	(void)pthread_mutex_unlock(&pool->lock);
	return is_left;
}

void worker_release_thread(struct worker_pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	assert(pool->reserved_count > 0);
	pool->reserved_count--;
	(void)pthread_mutex_unlock(&pool->lock);
}
