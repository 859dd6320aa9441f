/*
 * A process is what ferry_raise() needs; an lwp is linux_lwp.h's. Nothing here takes a lock.
 */
#include "kernel/linux_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel/limits.h"
#include "kernel/linux_call.h"
#include "loop/address.h"

#define POLLED_MAX  1024 /* descriptors that are looked at together */
#define REFUSED_MAX 256  /* bytes of a line for the owner */

static void tell(const struct linux_kernel *kernel, enum log_level level, const char *line)
{
	if (kernel->options.log != NULL)
		kernel->options.log(kernel->options.context, level, line);
}

static void count(atomic_uint_fast64_t *counter)
{
	(void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

int linux_kernel_unknown(struct linux_kernel *kernel, uint32_t number)
{
	uint32_t place = number < LINUX_NUMBERS_MAX ? number : LINUX_NUMBERS_MAX;
	uint64_t bit = UINT64_C(1) << place % 64;
	char line[64];

	if ((atomic_fetch_or(&kernel->unknown[place / 64], bit) & bit) == 0) {
		(void)snprintf(line, sizeof(line), "system call %u is not carried", number);
		tell(kernel, LOG_LEVEL_INFO, line);
	}
	return -ENOSYS;
}

/* @return the text of an address, or what kind it is. */
static const char *text_of(const struct sockaddr *address, socklen_t bytes,
	char text[ADDRESS_TEXT_MAX])
{
	struct sockaddr_storage storage = {0};

	if (address == NULL || bytes < sizeof(sa_family_t) || bytes > sizeof(storage))
		return "a socket of this kind";
	if (address->sa_family == AF_UNIX)
		return "a unix socket without a path";
	if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
		return "an address of this kind";
	memcpy(&storage, address, bytes);
	address_to_text(&storage, text);
	return text;
}

void linux_kernel_refuse(struct linux_kernel *kernel, const char *call,
	const struct sockaddr *address, socklen_t bytes)
{
	char line[REFUSED_MAX], text[ADDRESS_TEXT_MAX];

	count(&kernel->refusals);
	(void)snprintf(line, sizeof(line), "%s: %s is not lent", call,
		text_of(address, bytes, text));
	tell(kernel, LOG_LEVEL_WARNING, line);
}

/* Operations */

struct linux_process {
	struct ferry_process *process;
};

static int process_new(void *kernel, struct ferry_process *process, const char *name,
	void **ret_data)
{
	struct linux_process *data = calloc(1, sizeof(*data));

	(void)kernel, (void)name;
	if (data == NULL)
		return -ENOMEM;
	data->process = process;
	*ret_data = data;
	return 0;
}

static void process_exit(void *kernel, void *process)
{
	(void)kernel;
	free(process);
}

static uint64_t process_id(void *kernel, void *process)
{
	(void)kernel, (void)process;
	return (uint64_t)getpid();
}

/* Descriptors are found by poll(), which tells of those that are not open, many at once. */
static void process_exec(void *data, void *process, const char *name)
{
	const struct linux_kernel *kernel = data;
	struct pollfd polls[POLLED_MAX];

	(void)process, (void)name;
	for (int first = 0; first < kernel->window; first += POLLED_MAX) {
		unsigned count = (unsigned)(kernel->window - first);

		if (count > POLLED_MAX)
			count = POLLED_MAX;
		for (unsigned i = 0; i < count; i++)
			polls[i] = (struct pollfd){.fd = first + (int)i};
		if (poll(polls, count, 0) < 0)
			for (unsigned i = 0; i < count; i++)
				polls[i].revents = 0;
		for (unsigned i = 0; i < count; i++) {
			int fd = first + (int)i;

			if ((polls[i].revents & POLLNVAL) == 0 &&
				(fcntl(fd, F_GETFD) & (FD_CLOEXEC | INT32_MIN)) == FD_CLOEXEC)
				(void)close(fd);
		}
	}
}

static int lwp_new(void *kernel, void *process, struct ferry_lwp *handle, void **ret_data)
{
	const struct linux_process *of = process;
	struct linux_lwp *lwp;
	int error = linux_lwp_new(kernel, of->process, handle, &lwp);

	if (error == 0)
		*ret_data = lwp;
	return error;
}

static void lwp_release(void *kernel, void *lwp)
{
	(void)kernel;
	linux_lwp_free(lwp);
}

static int call(void *data, void *lwp, struct ferry_lwp *handle,
	const struct ferry_kernel_call *call, int64_t ret_values[2])
{
	struct linux_kernel *kernel = data;
	int error = linux_call_make(lwp, call, &ret_values[0]);

	(void)handle;
	count(&kernel->calls);
	if (error != 0)
		count(&kernel->failures);
	return error;
}

static void cancel(void *kernel, void *lwp)
{
	(void)kernel;
	linux_lwp_cancel(lwp);
}

int linux_kernel_new(const struct linux_kernel_options *options, struct linux_kernel **ret_kernel)
{
	struct linux_kernel *kernel;
	int error = linux_lwp_prepare();

	if (error != 0)
		return error;
	kernel = calloc(1, sizeof(*kernel));
	if (kernel == NULL)
		return -ENOMEM;
	kernel->options = *options;
	kernel->window = options->window > 0 ? options->window : kernel_window();
	*ret_kernel = kernel;
	return 0;
}

void linux_kernel_free(struct linux_kernel *kernel)
{
	free(kernel);
}

struct ferry_kernel linux_kernel_of(struct linux_kernel *kernel)
{
	static const struct ferry_kernel_operations operations = {
		.struct_bytes = sizeof(operations),
		.process_new = process_new,
		.process_exec = process_exec,
		.process_exit = process_exit,
		.process_id = process_id,
		.lwp_new = lwp_new,
		.lwp_release = lwp_release,
		.call = call,
		.cancel = cancel,
	};

	return (struct ferry_kernel){&operations, kernel};
}

void linux_kernel_counts(const struct linux_kernel *kernel, struct linux_counts *ret_counts)
{
	*ret_counts = (struct linux_counts){
		.calls = atomic_load_explicit(&kernel->calls, memory_order_relaxed),
		.failures = atomic_load_explicit(&kernel->failures, memory_order_relaxed),
		.refusals = atomic_load_explicit(&kernel->refusals, memory_order_relaxed),
	};
}
