/*
 * What the policy says is asked before the call, of copies of the arguments that nobody can change any
 * more. Where Linux would look something up after that by its descriptor, another number is used for it.
 */
#include "kernel/linux_rule.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* @return what the policy has said; the owner hears of what it does not lend. */
static int judged(const struct linux_call *call, int error, const void *address, socklen_t bytes)
{
	if (error == -EACCES || error == -EPERM)
		linux_kernel_refuse(call->kernel, call->row->name, address, bytes);
	return error;
}

static int check_socket(const struct linux_call *call)
{
	return judged(call,
		linux_policy_socket(call->kernel->options.policy, (int)call->local[0],
			(int)call->local[1], (int)call->local[2]),
		NULL, 0);
}

/* An address as it was brought; what has not, or is none, is Linux's to refuse. */
static const void *address_of(const struct linux_call *call, unsigned index, socklen_t *ret_bytes)
{
	const void *address = (const void *)(uintptr_t)call->local[index];

	*ret_bytes = (socklen_t)call->extents[index].bytes;
	return address == LINUX_NOWHERE || *ret_bytes == 0 ? NULL : address;
}

int linux_rule_send(const struct linux_call *call, const void *address, socklen_t bytes)
{
	const struct linux_policy *policy = call->kernel->options.policy;

	if (address == NULL)
		return 0;
	/* Only sendto() has its path looked up (linux_paths.h). */
	if (call->kernel->options.root != NULL && call->row->number != SYS_sendto &&
		bytes >= sizeof(sa_family_t) &&
		((const struct sockaddr *)address)->sa_family == AF_UNIX)
		return judged(call, -EACCES, address, bytes);
	if (policy == NULL)
		return 0;
	return judged(call, linux_policy_connect(policy, address, bytes, false), address, bytes);
}

static int check_connect(const struct linux_call *call)
{
	socklen_t bytes;
	const void *address = address_of(call, 1, &bytes);

	if (address == NULL)
		return 0;
	return judged(call,
		linux_policy_connect(call->kernel->options.policy, address, bytes, true), address,
		bytes);
}

static int check_bind(const struct linux_call *call)
{
	socklen_t bytes;
	const void *address = address_of(call, 1, &bytes);

	if (address == NULL)
		return 0;
	return judged(call, linux_policy_bind(call->kernel->options.policy, address, bytes),
		address, bytes);
}

static int check_policy(const struct linux_call *call)
{
	socklen_t bytes;
	const void *address;

	switch (call->row->number) {
	case SYS_socket:
	case SYS_socketpair:
		return check_socket(call);
	case SYS_connect:
		return check_connect(call);
	case SYS_bind:
		return check_bind(call);
	case SYS_sendto:
		address = address_of(call, 4, &bytes);
		return linux_rule_send(call, address, bytes);
	default:
		return 0;
	}
}

static int check_fcntl(const struct linux_call *call)
{
	switch ((int)call->local[1]) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		/* As Linux says of numbers beyond its limit. */
		return linux_call_is_hidden(call, (int)call->local[2]) ? -EINVAL : 0;
	case F_SETFL:
		/* Signals would go to the worker. */
		return (call->local[2] & O_ASYNC) != 0 ? -EPERM : 0;
	default:
		return 0;
	}
}

static int check_close_range(struct linux_call *call)
{
	unsigned window = (unsigned)call->kernel->window;

	/* A thread with a table of its own would have a copy of the worker's. */
	if (((unsigned)call->local[2] & CLOSE_RANGE_UNSHARE) != 0)
		return -EINVAL;
	if ((unsigned)call->local[0] > (unsigned)call->local[1])
		return 0; /* Linux says so */
	if ((unsigned)call->local[0] >= window) {
		/* Nothing is there: an empty range that Linux takes. */
		call->local[0] = call->local[1] = UINT32_MAX;
		return 0;
	}
	if ((unsigned)call->local[1] >= window)
		call->local[1] = window - 1;
	return 0;
}

static int check_poll(const struct linux_call *call)
{
	const struct pollfd *polls = call->rooms[0].local;

	for (size_t i = 0; polls != NULL && i < call->rooms[0].bytes / sizeof(*polls); i++) {
		/* Of one that is not open Linux says so (POLLNVAL). */
		if (linux_call_is_hidden(call, polls[i].fd) && fcntl(polls[i].fd, F_GETFD) >= 0)
			return -EBADF;
	}
	return 0;
}

int linux_rule_check(struct linux_call *call)
{
	int error = call->kernel->options.policy != NULL ? check_policy(call) : 0;

	if (error != 0)
		return error;
	switch (call->row->number) {
	case SYS_fcntl:
		return check_fcntl(call);
#ifdef SYS_close_range
	case SYS_close_range:
		return check_close_range(call);
#endif
#ifdef SYS_poll
	case SYS_poll:
#endif
	case SYS_ppoll:
		return check_poll(call);
#ifdef SYS_select
	case SYS_select:
#endif
	case SYS_pselect6:
		/* Linux, too, looks at none beyond its table. */
		if (linux_call_is_hidden(call, (int)call->local[0]))
			call->local[0] = (uint64_t)call->kernel->window;
		return 0;
	default:
		return 0;
	}
}

/* A socket that has no address listens at one of Linux's choice. */
static int64_t listen_held(struct linux_call *call, int held)
{
	struct sockaddr_storage name;
	socklen_t bytes = sizeof(name);
	int error = 0;

	if (getsockname(held, (struct sockaddr *)&name, &bytes) == 0)
		error = judged(call,
			linux_policy_listen(call->kernel->options.policy, (struct sockaddr *)&name,
				bytes),
			&name, bytes);
	call->local[0] = (uint64_t)held;
	return error != 0 ? error : linux_call_raw(call);
}

int64_t linux_rule_make(struct linux_call *call)
{
	int64_t value;
	int held;

	if (call->row->number != SYS_listen || call->kernel->options.policy == NULL)
		return linux_call_raw(call);
	held = linux_call_hold(call, (int)call->local[0]);
	if (held < 0)
		return held;
	value = listen_held(call, held);
	(void)close(held);
	return value;
}
