/*
 * What cancels a call and what begins and ends it meet at the lock; the kernel is never called with it
 * but to cancel.
 */
#include "sysproxy/lwp.h"

#include <assert.h>
#include <errno.h>

void lwp_init(struct ferry_lwp *lwp, const struct kernel *kernel, void *process_data,
	bool is_native, struct lwp_carrier *carrier)
{
	*lwp = (struct ferry_lwp){
		.kernel = kernel,
		.process_data = process_data,
		.is_native = is_native,
		.carrier = carrier,
	};
	memory_init(&lwp->memory);
	(void)pthread_mutex_init(&lwp->lock, NULL);
}

void lwp_deinit(struct ferry_lwp *lwp)
{
	assert(!lwp->is_made && !lwp->is_calling);
	memory_deinit(&lwp->memory);
	(void)pthread_mutex_destroy(&lwp->lock);
}

/* @return whether call @number may begin. */
static bool lwp_enter(struct ferry_lwp *lwp, uint64_t number)
{
	bool is_wanted;

	(void)pthread_mutex_lock(&lwp->lock);
	is_wanted = !lwp->is_doomed && !(lwp->has_unwanted && lwp->unwanted == number);
	lwp->has_unwanted = false;
	lwp->is_calling = is_wanted;
	lwp->number = number;
	(void)pthread_mutex_unlock(&lwp->lock);
	return is_wanted;
}

static void lwp_leave(struct ferry_lwp *lwp)
{
	(void)pthread_mutex_lock(&lwp->lock);
	lwp->is_calling = false;
	lwp->is_interrupted = false;
	(void)pthread_mutex_unlock(&lwp->lock);
}

int lwp_call(struct ferry_lwp *lwp, uint64_t number, const struct ferry_kernel_call *call,
	int64_t ret_values[2])
{
	int error = 0;

	if (!lwp->is_made) {
		error = kernel_lwp_new(lwp->kernel, lwp->process_data, lwp, &lwp->data);
		lwp->is_made = error == 0;
	}
	if (error != 0)
		return error;
	/* Not within the kernel's schedule(): cancel() may take what that takes. */
	if (!lwp_enter(lwp, number))
		return -EINTR;
	error = kernel_call(lwp->kernel, lwp->data, lwp, call, ret_values);
	lwp_leave(lwp);
	return error;
}

void lwp_release(struct ferry_lwp *lwp)
{
	if (!lwp->is_made)
		return;
	kernel_lwp_release(lwp->kernel, lwp->data);
	lwp->is_made = false;
}

/* With the lock held. @return whether a call is in progress. */
static bool interrupt(struct ferry_lwp *lwp)
{
	if (!lwp->is_calling)
		return false;
	lwp->is_interrupted = true;
	kernel_cancel(lwp->kernel, lwp->data);
	return true;
}

bool lwp_cancel(struct ferry_lwp *lwp, uint64_t number)
{
	bool is_due = false;

	(void)pthread_mutex_lock(&lwp->lock);
	if (lwp->is_calling && lwp->number == number) {
		is_due = interrupt(lwp);
	} else {
		lwp->has_unwanted = true;
		lwp->unwanted = number;
	}
	(void)pthread_mutex_unlock(&lwp->lock);
	return is_due;
}

bool lwp_doom(struct ferry_lwp *lwp)
{
	bool is_due;

	(void)pthread_mutex_lock(&lwp->lock);
	lwp->is_doomed = true;
	is_due = interrupt(lwp);
	(void)pthread_mutex_unlock(&lwp->lock);
	return is_due;
}

bool lwp_cancel_again(struct ferry_lwp *lwp)
{
	bool is_due = false;

	(void)pthread_mutex_lock(&lwp->lock);
	if (lwp->is_interrupted)
		is_due = interrupt(lwp);
	(void)pthread_mutex_unlock(&lwp->lock);
	return is_due;
}

bool lwp_is_calling(struct ferry_lwp *lwp)
{
	bool is_calling;

	(void)pthread_mutex_lock(&lwp->lock);
	is_calling = lwp->is_calling;
	(void)pthread_mutex_unlock(&lwp->lock);
	return is_calling;
}
