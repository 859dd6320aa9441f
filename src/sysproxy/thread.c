/*
 * A thread begins with the mask of the one that makes it, which therefore blocks all for that moment.
 */
#include "sysproxy/thread.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

static int set_stack(pthread_attr_t *attributes, size_t stack_bytes)
{
	long least = sysconf(_SC_THREAD_STACK_MIN);

	if (stack_bytes == 0)
		return 0;
	if (stack_bytes < THREAD_STACK_MIN)
		stack_bytes = THREAD_STACK_MIN;
	if (least > 0 && stack_bytes < (size_t)least)
		stack_bytes = (size_t)least;
	return -pthread_attr_setstacksize(attributes, stack_bytes);
}

int thread_start(size_t stack_bytes, void *(*run)(void *argument), void *argument,
	pthread_t *ret_thread)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int error = -pthread_attr_init(&attributes);

	if (error != 0)
		return error;
	error = set_stack(&attributes, stack_bytes);
	if (error == 0) {
		(void)sigfillset(&all);
		(void)pthread_sigmask(SIG_SETMASK, &all, &before);
		error = -pthread_create(ret_thread, &attributes, run, argument);
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	(void)pthread_attr_destroy(&attributes);
	return error;
}
