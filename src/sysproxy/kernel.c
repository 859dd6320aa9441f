/*
 * Each operation that is there, with schedule() and unschedule() around it.
 */
#include "sysproxy/kernel.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

int kernel_init(struct kernel *kernel, const struct ferry_kernel *from)
{
	const struct ferry_kernel_operations *operations = from->operations;

	*kernel = (struct kernel){.data = from->data};
	if (operations == NULL || operations->struct_bytes == 0)
		return -EINVAL;
	memcpy(&kernel->operations, operations,
		operations->struct_bytes < sizeof(kernel->operations) ? operations->struct_bytes
								      : sizeof(kernel->operations));
	return kernel->operations.call != NULL ? 0 : -EINVAL;
}

static void schedule(const struct kernel *kernel)
{
	if (kernel->operations.schedule != NULL)
		kernel->operations.schedule(kernel->data);
}

static void unschedule(const struct kernel *kernel)
{
	if (kernel->operations.unschedule != NULL)
		kernel->operations.unschedule(kernel->data);
}

int kernel_process_new(const struct kernel *kernel, struct ferry_process *process, const char *name,
	void **ret_data)
{
	int error;

	*ret_data = NULL;
	if (kernel->operations.process_new == NULL)
		return 0;
	schedule(kernel);
	error = kernel->operations.process_new(kernel->data, process, name, ret_data);
	unschedule(kernel);
	return error;
}

int kernel_process_fork(const struct kernel *kernel, void *parent, struct ferry_process *child,
	void **ret_data)
{
	int error;

	*ret_data = NULL;
	if (kernel->operations.process_fork == NULL)
		return -ENOSYS;
	schedule(kernel);
	error = kernel->operations.process_fork(kernel->data, parent, child, ret_data);
	unschedule(kernel);
	return error;
}

void kernel_process_exec(const struct kernel *kernel, void *process, const char *name)
{
	if (kernel->operations.process_exec == NULL)
		return;
	schedule(kernel);
	kernel->operations.process_exec(kernel->data, process, name);
	unschedule(kernel);
}

void kernel_process_exit(const struct kernel *kernel, void *process)
{
	if (kernel->operations.process_exit == NULL)
		return;
	schedule(kernel);
	kernel->operations.process_exit(kernel->data, process);
	unschedule(kernel);
}

uint64_t kernel_process_id(const struct kernel *kernel, void *process, uint64_t own_id)
{
	uint64_t id;

	if (kernel->operations.process_id == NULL)
		return own_id;
	schedule(kernel);
	id = kernel->operations.process_id(kernel->data, process);
	unschedule(kernel);
	return id;
}

int kernel_lwp_new(const struct kernel *kernel, void *process, struct ferry_lwp *lwp,
	void **ret_data)
{
	int error = 0;

	*ret_data = process;
	schedule(kernel);
	if (kernel->operations.lwp_new != NULL)
		error = kernel->operations.lwp_new(kernel->data, process, lwp, ret_data);
	if (error == 0 && kernel->operations.lwp_switch != NULL)
		kernel->operations.lwp_switch(kernel->data, *ret_data);
	unschedule(kernel);
	return error;
}

void kernel_lwp_release(const struct kernel *kernel, void *lwp)
{
	schedule(kernel);
	if (kernel->operations.lwp_release != NULL)
		kernel->operations.lwp_release(kernel->data, lwp);
	if (kernel->operations.lwp_switch != NULL)
		kernel->operations.lwp_switch(kernel->data, NULL);
	unschedule(kernel);
}

int kernel_call(const struct kernel *kernel, void *lwp, struct ferry_lwp *handle,
	const struct ferry_kernel_call *call, int64_t ret_values[2])
{
	int error;

	schedule(kernel);
	if (kernel->operations.lwp_current != NULL)
		assert(kernel->operations.lwp_current(kernel->data) == lwp);
	error = kernel->operations.call(kernel->data, lwp, handle, call, ret_values);
	unschedule(kernel);
	return error;
}

void kernel_cancel(const struct kernel *kernel, void *lwp)
{
	if (kernel->operations.cancel != NULL)
		kernel->operations.cancel(kernel->data, lwp);
}

void kernel_block(const struct kernel *kernel)
{
	if (kernel->operations.block != NULL)
		kernel->operations.block(kernel->data);
}

void kernel_unblock(const struct kernel *kernel)
{
	if (kernel->operations.unblock != NULL)
		kernel->operations.unblock(kernel->data);
}
