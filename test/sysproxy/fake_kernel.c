/*
 * Processes, lwps, the lock and what tests wait for; the calls are fake_calls.c.
 */
#include "test/sysproxy/fake_kernel.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test/sysproxy/fake_kernel_private.h"

#define AWAIT_S 60

/* The lock */

static void lock(struct fake_kernel *kernel)
{
	assert(pthread_mutex_lock(&kernel->lock) == 0);
	assert(!kernel->is_held);
	kernel->is_held = true;
	kernel->holder = pthread_self();
}

void fake_kernel_expect_held(const struct fake_kernel *kernel)
{
	assert(kernel->is_held && pthread_equal(kernel->holder, pthread_self()));
}

static void unlock(struct fake_kernel *kernel)
{
	fake_kernel_expect_held(kernel);
	kernel->is_held = false;
	assert(pthread_mutex_unlock(&kernel->lock) == 0);
}

static void await_change(struct fake_kernel *kernel)
{
	struct timespec until;

	fake_kernel_expect_held(kernel);
	kernel->is_held = false;
	assert(clock_gettime(CLOCK_REALTIME, &until) == 0);
	until.tv_sec += AWAIT_S;
	assert(pthread_cond_timedwait(&kernel->changed, &kernel->lock, &until) == 0);
	kernel->is_held = true;
	kernel->holder = pthread_self();
}

void fake_kernel_sleep_on(struct fake_kernel *kernel, pthread_cond_t *wake)
{
	fake_kernel_expect_held(kernel);
	kernel->is_held = false;
	assert(pthread_cond_wait(wake, &kernel->lock) == 0);
	kernel->is_held = true;
	kernel->holder = pthread_self();
}

void fake_kernel_sleep(struct fake_kernel *kernel)
{
	fake_kernel_sleep_on(kernel, &kernel->changed);
}

void fake_kernel_tell(struct fake_kernel *kernel)
{
	assert(pthread_cond_broadcast(&kernel->changed) == 0);
}

static void fake_schedule(void *context)
{
	lock(context);
}

static void fake_unschedule(void *context)
{
	unlock(context);
}

static void fake_block(void *context)
{
	struct fake_kernel *kernel = context;

	kernel->counts.blocks++;
	unlock(kernel);
}

static void fake_unblock(void *context)
{
	lock(context);
}

/* Processes */

static int begin_process(struct fake_kernel *kernel, struct ferry_process *handle,
	uint64_t parent_id, void **ret_data)
{
	struct fake_process *process;

	fake_kernel_expect_held(kernel);
	while (kernel->is_holding) {
		kernel->is_waiting = true;
		fake_kernel_tell(kernel);
		fake_kernel_sleep(kernel);
	}
	kernel->is_waiting = false;
	if (kernel->refusal != 0)
		return kernel->refusal;
	process = calloc(1, sizeof(*process));
	assert(process != NULL);
	process->handle = handle;
	process->id = ++kernel->last_id;
	process->parent_id = parent_id;
	list_append(&kernel->processes, &process->link);
	kernel->process_count++;
	*ret_data = process;
	fake_kernel_tell(kernel);
	return 0;
}

void fake_kernel_note(struct fake_kernel *kernel, const char *text)
{
	size_t bytes = strnlen(text, FAKE_TEXT_MAX - 1);

	memcpy(kernel->text, text, bytes);
	kernel->text[bytes] = '\0';
}

static int fake_process_new(void *context, struct ferry_process *process, const char *name,
	void **ret_data)
{
	struct fake_kernel *kernel = context;

	kernel->counts.processes_new++;
	fake_kernel_note(kernel, name);
	return begin_process(kernel, process, 1, ret_data);
}

static int fake_process_fork(void *context, void *data, struct ferry_process *child,
	void **ret_data)
{
	struct fake_kernel *kernel = context;
	const struct fake_process *parent = data;

	kernel->counts.processes_forked++;
	return begin_process(kernel, child, parent->id, ret_data);
}

static void fake_process_exec(void *context, void *data, const char *name)
{
	struct fake_kernel *kernel = context;
	const struct fake_process *process = data;

	fake_kernel_expect_held(kernel);
	assert(process->lwp_count == 0);
	kernel->counts.processes_exec++;
	fake_kernel_note(kernel, name);
}

static void fake_process_exit(void *context, void *data)
{
	struct fake_kernel *kernel = context;
	struct fake_process *process = data;

	fake_kernel_expect_held(kernel);
	assert(process->lwp_count == 0);
	kernel->counts.processes_exited++;
	kernel->process_count--;
	list_remove(&process->link);
	free(process);
	fake_kernel_tell(kernel);
}

static uint64_t fake_process_id(void *context, void *data)
{
	fake_kernel_expect_held(context);
	return ((const struct fake_process *)data)->id;
}

/* Lwps */

static int fake_lwp_new(void *context, void *data, struct ferry_lwp *handle, void **ret_data)
{
	struct fake_kernel *kernel = context;
	struct fake_lwp *lwp = calloc(1, sizeof(*lwp));

	fake_kernel_expect_held(kernel);
	assert(lwp != NULL);
	lwp->process = data;
	lwp->handle = handle;
	list_init(&lwp->link);
	assert(pthread_cond_init(&lwp->wake, NULL) == 0);
	lwp->process->lwp_count++;
	kernel->lwp_count++;
	kernel->counts.lwps_new++;
	*ret_data = lwp;
	fake_kernel_tell(kernel);
	return 0;
}

static void fake_lwp_switch(void *context, void *data)
{
	struct fake_kernel *kernel = context;

	fake_kernel_expect_held(kernel);
	assert(pthread_setspecific(kernel->current, data) == 0);
}

static void *fake_lwp_current(void *context)
{
	struct fake_kernel *kernel = context;

	fake_kernel_expect_held(kernel);
	return pthread_getspecific(kernel->current);
}

static void fake_lwp_release(void *context, void *data)
{
	struct fake_kernel *kernel = context;
	struct fake_lwp *lwp = data;

	assert(fake_lwp_current(kernel) == lwp && !lwp->is_calling);
	lwp->process->lwp_count--;
	kernel->lwp_count--;
	kernel->counts.lwps_released++;
	assert(pthread_cond_destroy(&lwp->wake) == 0);
	free(lwp);
	fake_kernel_tell(kernel);
}

static void fake_cancel(void *context, void *data)
{
	struct fake_kernel *kernel = context;
	struct fake_lwp *lwp = data;

	lock(kernel);
	kernel->counts.cancels++;
	if (lwp->is_calling)
		lwp->cancel_count++;
	assert(pthread_cond_signal(&lwp->wake) == 0);
	fake_kernel_tell(kernel);
	unlock(kernel);
}

/* Calls */

static int fake_call(void *context, void *data, struct ferry_lwp *handle,
	const struct ferry_kernel_call *call, int64_t ret_values[2])
{
	struct fake_kernel *kernel = context;
	struct fake_lwp *lwp = data;
	int error;

	assert(fake_lwp_current(kernel) == lwp && lwp->handle == handle && !lwp->is_calling);
	kernel->counts.calls++;
	lwp->is_calling = true;
	lwp->cancel_count = 0;
	error = fake_kernel_answer(kernel, lwp, call, ret_values);
	fake_kernel_expect_held(kernel);
	lwp->is_calling = false;
	return error;
}

/* For tests */

struct fake_kernel *fake_kernel_new(void)
{
	struct fake_kernel *kernel = calloc(1, sizeof(*kernel));

	assert(kernel != NULL);
	assert(pthread_mutex_init(&kernel->lock, NULL) == 0);
	assert(pthread_cond_init(&kernel->changed, NULL) == 0);
	assert(pthread_key_create(&kernel->current, NULL) == 0);
	list_init(&kernel->processes);
	list_init(&kernel->blocked);
	kernel->last_id = 1;
	return kernel;
}

void fake_kernel_free(struct fake_kernel *kernel)
{
	assert(kernel->process_count == 0 && kernel->lwp_count == 0);
	assert(kernel->blocked_count == 0 && list_is_empty(&kernel->processes));
	assert(pthread_key_delete(kernel->current) == 0);
	assert(pthread_cond_destroy(&kernel->changed) == 0);
	assert(pthread_mutex_destroy(&kernel->lock) == 0);
	free(kernel);
}

struct ferry_kernel fake_kernel_face(struct fake_kernel *kernel)
{
	static const struct ferry_kernel_operations operations = {
		.struct_bytes = sizeof(operations),
		.process_new = fake_process_new,
		.process_fork = fake_process_fork,
		.process_exec = fake_process_exec,
		.process_exit = fake_process_exit,
		.process_id = fake_process_id,
		.lwp_new = fake_lwp_new,
		.lwp_switch = fake_lwp_switch,
		.lwp_release = fake_lwp_release,
		.lwp_current = fake_lwp_current,
		.call = fake_call,
		.cancel = fake_cancel,
		.schedule = fake_schedule,
		.unschedule = fake_unschedule,
		.block = fake_block,
		.unblock = fake_unblock,
	};

	return (struct ferry_kernel){.operations = &operations, .data = kernel};
}

void fake_kernel_refuse(struct fake_kernel *kernel, int error)
{
	lock(kernel);
	kernel->refusal = error;
	unlock(kernel);
}

void fake_kernel_hold(struct fake_kernel *kernel, bool is_holding)
{
	lock(kernel);
	kernel->is_holding = is_holding;
	fake_kernel_tell(kernel);
	unlock(kernel);
}

void fake_kernel_release(struct fake_kernel *kernel)
{
	lock(kernel);
	kernel->release_count++;
	fake_kernel_tell(kernel);
	unlock(kernel);
}

static void await_count(struct fake_kernel *kernel, const unsigned *is, unsigned wanted)
{
	lock(kernel);
	while (*is != wanted)
		await_change(kernel);
	unlock(kernel);
}

void fake_kernel_await_blocked(struct fake_kernel *kernel, unsigned count)
{
	await_count(kernel, &kernel->blocked_count, count);
}

void fake_kernel_await_processes(struct fake_kernel *kernel, unsigned count)
{
	await_count(kernel, &kernel->process_count, count);
}

void fake_kernel_await_lwps(struct fake_kernel *kernel, unsigned count)
{
	await_count(kernel, &kernel->lwp_count, count);
}

void fake_kernel_await_held(struct fake_kernel *kernel)
{
	lock(kernel);
	while (!kernel->is_waiting)
		await_change(kernel);
	unlock(kernel);
}

struct fake_counts fake_kernel_counts(struct fake_kernel *kernel)
{
	struct fake_counts counts;

	lock(kernel);
	counts = kernel->counts;
	unlock(kernel);
	return counts;
}

void fake_kernel_text(struct fake_kernel *kernel, char ret_text[FAKE_TEXT_MAX])
{
	lock(kernel);
	memcpy(ret_text, kernel->text, FAKE_TEXT_MAX);
	unlock(kernel);
}

bool fake_kernel_raise_for(struct fake_kernel *kernel, uint64_t id, int signal)
{
	struct list *link;

	list_for_each (link, &kernel->processes) {
		struct fake_process *process = container_of(link, struct fake_process, link);

		if (process->id != id)
			continue;
		ferry_raise(process->handle, signal);
		return true;
	}
	return false;
}

void fake_kernel_raise(struct fake_kernel *kernel, uint64_t id, int signal)
{
	lock(kernel);
	(void)fake_kernel_raise_for(kernel, id, signal);
	unlock(kernel);
}

void fake_kernel_tally(struct fake_kernel *kernel, uint8_t *tally, uint64_t count)
{
	lock(kernel);
	kernel->tally = tally;
	kernel->tally_count = count;
	unlock(kernel);
}
