/*
 * Calls are made as the process that receives them; those that block wait for a condition.
 */
#include "test/kernel/worker_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/limits.h"
#include "test/kernel/worker_bench.h"

struct worker_kernel {
	struct worker_process *worker;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t cancelled;
	unsigned blocked_count;
	struct channel_counts counts;
};

struct worker_lwp {
	bool is_cancelled;
};

static int lwp_new(void *kernel, void *process, struct ferry_lwp *handle, void **ret_data)
{
	(void)kernel;
	(void)process;
	(void)handle;
	*ret_data = calloc(1, sizeof(struct worker_lwp));
	return *ret_data != NULL ? 0 : -ENOMEM;
}

static void lwp_release(void *kernel, void *lwp)
{
	(void)kernel;
	free(lwp);
}

static void cancel(void *data, void *data_lwp)
{
	struct worker_kernel *kernel = data;
	struct worker_lwp *lwp = data_lwp;

	(void)pthread_mutex_lock(&kernel->lock);
	lwp->is_cancelled = true;
	(void)pthread_cond_broadcast(&kernel->cancelled);
	(void)pthread_mutex_unlock(&kernel->lock);
}

static int call_block(struct worker_kernel *kernel, struct worker_lwp *lwp)
{
	(void)pthread_mutex_lock(&kernel->lock);
	kernel->blocked_count++;
	while (!lwp->is_cancelled)
		(void)pthread_cond_wait(&kernel->cancelled, &kernel->lock);
	lwp->is_cancelled = false;
	kernel->blocked_count--;
	(void)pthread_mutex_unlock(&kernel->lock);
	return -EINTR;
}

static int call_blocked(struct worker_kernel *kernel, int64_t ret_values[2])
{
	(void)pthread_mutex_lock(&kernel->lock);
	ret_values[0] = kernel->blocked_count;
	(void)pthread_mutex_unlock(&kernel->lock);
	return 0;
}

static int call_pipe(int64_t ret_values[2])
{
	int ends[2];

	if (pipe(ends) != 0)
		return -errno;
	ret_values[0] = ends[0];
	ret_values[1] = ends[1];
	return 0;
}

static int call_write(const uint64_t *arguments)
{
	uint8_t byte = (uint8_t)arguments[1];

	return write((int)arguments[0], &byte, 1) == 1 ? 0 : -errno;
}

static int call_read(const uint64_t *arguments, int64_t ret_values[2])
{
	uint8_t byte;
	ssize_t bytes = read((int)arguments[0], &byte, 1);

	if (bytes <= 0)
		return bytes < 0 ? -errno : -ENODATA;
	ret_values[0] = byte;
	return 0;
}

static int call_descriptors(int64_t ret_values[2])
{
	int window = kernel_window();

	for (int fd = 0; fd < 2 * window; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			ret_values[fd >= window]++;
	}
	return 0;
}

static int make_call(struct worker_kernel *kernel, struct worker_lwp *lwp,
	const struct ferry_kernel_call *call, int64_t ret_values[2])
{
	const uint64_t *arguments = call->arguments;

	switch ((enum worker_call)call->number) {
	case WORKER_NULL:
		ret_values[0] = (int64_t)arguments[0];
		ret_values[1] = (int64_t)arguments[1];
		return 0;
	case WORKER_PIPE:
		return call_pipe(ret_values);
	case WORKER_WRITE:
		return call_write(arguments);
	case WORKER_READ:
		return call_read(arguments, ret_values);
	case WORKER_UMASK:
		ret_values[0] = umask((mode_t)arguments[0]);
		return 0;
	case WORKER_PROCESS:
		ret_values[0] = getpid();
		ret_values[1] = getppid();
		return 0;
	case WORKER_DESCRIPTORS:
		return call_descriptors(ret_values);
	case WORKER_CHILDREN:
		ret_values[0] = waitpid(-1, NULL, WNOHANG) == 0 || errno != ECHILD;
		return 0;
	case WORKER_BLOCK:
		return call_block(kernel, lwp);
	case WORKER_BLOCKED:
		return call_blocked(kernel, ret_values);
	case WORKER_LOG:
		worker_process_log(kernel->worker, LOG_LEVEL_WARNING, "logged");
		return 0;
	case WORKER_TRACE:
		worker_process_trace(kernel->worker, "traced");
		return 0;
	case WORKER_CRASH:
		abort();
	}
	return -ENOSYS;
}

static int count_call(void *data, void *lwp, struct ferry_lwp *handle,
	const struct ferry_kernel_call *call, int64_t ret_values[2])
{
	struct worker_kernel *kernel = data;
	int error = make_call(kernel, lwp, call, ret_values);

	(void)handle;
	(void)pthread_mutex_lock(&kernel->lock);
	kernel->counts.calls++;
	kernel->counts.failures += error != 0;
	(void)pthread_mutex_unlock(&kernel->lock);
	return error;
}

static const struct ferry_kernel_operations operations = {
	.struct_bytes = sizeof(operations),
	.lwp_new = lwp_new,
	.lwp_release = lwp_release,
	.call = count_call,
	.cancel = cancel,
};

static int kernel_new(void *context, struct worker_process *worker, struct ferry_kernel *ret_kernel)
{
	struct worker_kernel *kernel = calloc(1, sizeof(*kernel));

	(void)context;
	if (kernel == NULL)
		return -ENOMEM;
	kernel->worker = worker;
	(void)pthread_mutex_init(&kernel->lock, NULL);
	(void)pthread_cond_init(&kernel->cancelled, NULL);
	*ret_kernel = (struct ferry_kernel){&operations, kernel};
	return 0;
}

static void kernel_counts(void *context, const struct ferry_kernel *face,
	struct channel_counts *ret_counts)
{
	const struct worker_kernel *kernel = face->data;

	(void)context;
	*ret_counts = kernel->counts;
}

const struct worker_process_duties worker_kernel_duties = {
	.kernel_new = kernel_new,
	.kernel_counts = kernel_counts,
};
