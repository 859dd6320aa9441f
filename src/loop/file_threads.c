/*
 * File operations by threads, where io_uring is refused. The threads take from one list; what they
 * have done comes back as a message of the loop.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop/file_private.h"

struct file_threads {
	struct loop *loop;
	pthread_t threads[FILE_THREAD_COUNT];
	unsigned thread_count; /* 0 until the first operation */
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	struct list wanted;
	bool is_ending;
};

int file_threads_new(struct loop *loop, struct file_threads **ret_threads)
{
	struct file_threads *threads = calloc(1, sizeof(*threads));

	if (threads == NULL)
		return -ENOMEM;
	threads->loop = loop;
	(void)pthread_mutex_init(&threads->mutex, NULL);
	(void)pthread_cond_init(&threads->changed, NULL);
	list_init(&threads->wanted);
	*ret_threads = threads;
	return 0;
}

void file_threads_free(struct file_threads *threads)
{
	if (threads == NULL)
		return;
	(void)pthread_mutex_lock(&threads->mutex);
	threads->is_ending = true;
	(void)pthread_cond_broadcast(&threads->changed);
	(void)pthread_mutex_unlock(&threads->mutex);
	for (unsigned i = 0; i < threads->thread_count; i++)
		(void)pthread_join(threads->threads[i], NULL);
	assert(list_is_empty(&threads->wanted));
	(void)pthread_cond_destroy(&threads->changed);
	(void)pthread_mutex_destroy(&threads->mutex);
	free(threads);
}

static void deliver_done(struct loop_message *message)
{
	struct file_operation *operation = container_of(message, struct file_operation, message);

	operation->done(operation);
}

/* @return the next operation, NULL at the end. */
static struct file_operation *take_operation(struct file_threads *threads)
{
	struct list *link;

	(void)pthread_mutex_lock(&threads->mutex);
	while ((link = list_take_first(&threads->wanted)) == NULL && !threads->is_ending)
		(void)pthread_cond_wait(&threads->changed, &threads->mutex);
	(void)pthread_mutex_unlock(&threads->mutex);
	return link == NULL ? NULL : container_of(link, struct file_operation, link);
}

static void *serve(void *context)
{
	struct file_threads *threads = context;
	struct file_operation *operation;

	while ((operation = take_operation(threads)) != NULL) {
		file_execute(operation);
		loop_post(threads->loop, &operation->message);
	}
	return NULL;
}

/* @return 0 if at least one thread runs, or -errno. */
static int start_threads(struct file_threads *threads)
{
	sigset_t all, before;
	char name[16];
	int error = 0;

	/* Signals are for the threads of the program. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	while (threads->thread_count < FILE_THREAD_COUNT) {
		pthread_t *thread = &threads->threads[threads->thread_count];

		error = pthread_create(thread, NULL, serve, threads);
		if (error != 0)
			break;
		(void)snprintf(name, sizeof(name), "io %u", threads->thread_count);
		(void)pthread_setname_np(*thread, name);
		threads->thread_count++;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return threads->thread_count > 0 ? 0 : -error;
}

void file_threads_start(struct file_threads *threads, struct file_operation *operation)
{
	int error = threads->thread_count > 0 ? 0 : start_threads(threads);

	operation->message.deliver = deliver_done;
	if (error != 0) {
		operation->result = error;
		loop_post(threads->loop, &operation->message);
		return;
	}
	(void)pthread_mutex_lock(&threads->mutex);
	list_append(&threads->wanted, &operation->link);
	(void)pthread_cond_signal(&threads->changed);
	(void)pthread_mutex_unlock(&threads->mutex);
}
