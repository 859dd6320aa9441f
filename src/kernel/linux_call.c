/*
 * Arguments are brought in their order, the call is made, rooms are given back in their order. A room that
 * is placed in the reply is the first to be given, before anything else is put there.
 *
 * What the client has not declared becomes LINUX_NOWHERE, so that Linux finds errors in its own order.
 */
#include "kernel/linux_call.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/linux_made.h"
#include "kernel/linux_message.h"
#include "kernel/linux_paths.h"
#include "kernel/linux_rule.h"
#include "kernel/linux_trace.h"
#include "kernel/linux_transfer.h"

/* Room for a socket's address or option, whatever the client said there is: more than any of them has, for
 * a size that Linux takes for another number than it looks like. */
#define SIZED_ROOM 4096u

bool linux_call_is_hidden(const struct linux_call *call, int fd)
{
	return fd >= call->kernel->window;
}

int linux_call_hold(const struct linux_call *call, int fd)
{
	int held = fcntl(fd, F_DUPFD_CLOEXEC, call->kernel->window);

	return held >= 0 ? held : -errno;
}

int64_t linux_call_raw(const struct linux_call *call)
{
	const uint64_t *a = call->local;
	long value = syscall((long)call->row->number, a[0], a[1], a[2], a[3], a[4], a[5]);

	return value >= 0 || value < -4095 ? value : -errno;
}

static uint64_t as_argument(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

/* Bringing */

static int bring_fd(struct linux_call *call, unsigned index)
{
	int fd = (int)call->given[index];

	if (linux_call_is_hidden(call, fd))
		return -EBADF;
	call->local[index] = (uint64_t)(int64_t)fd;
	return 0;
}

static int bring_string(struct linux_call *call, unsigned index)
{
	const struct call_extent *extent = &call->extents[index];
	const char *string = NULL;
	int error =
		linux_memory_string(&call->lwp->memory, call->given[index], extent->bytes, &string);

	call->local[index] = as_argument(string);
	/* xattr(7): a name that is too long is ERANGE. */
	return error == -ENAMETOOLONG && extent->bytes < PATH_MAX ? -ERANGE : error;
}

/* Of IN, OUT and IN_OUT with a count: let Linux see no more units than there are.
 * @return whether the memory may be used: a negative count is refused by Linux, whatever the address. */
static bool cut_count(struct linux_call *call, unsigned index)
{
	const struct call_argument *argument = &call->row->arguments[index];
	const struct call_extent *extent = &call->extents[index];
	const struct call_argument *counter;
	uint64_t count;

	if ((argument->class != CALL_IN && argument->class != CALL_OUT &&
		    argument->class != CALL_IN_OUT) ||
		argument->length >= CALL_ARGUMENTS_MAX || extent->is_sized)
		return true;
	counter = &call->row->arguments[argument->length];
	count = call_scalar(counter, call->given[argument->length]);
	if (count == extent->bytes / extent->unit_bytes)
		return true;
	if ((counter->flags & CALL_IS_SIGNED) != 0 && (int64_t)count < 0)
		return false;
	call->local[argument->length] = extent->bytes / extent->unit_bytes;
	return true;
}

/* More than is carried in one go is cut, where less is an ordinary result. */
static void cut_bytes(struct linux_call *call, unsigned index)
{
	const struct call_argument *argument = &call->row->arguments[index];
	struct call_extent *extent = &call->extents[index];

	if ((argument->flags & CALL_IS_CUT) != 0 && extent->bytes > LINUX_PART_MAX)
		extent->bytes = LINUX_PART_MAX - LINUX_PART_MAX % extent->unit_bytes;
}

static int bring_in(struct linux_call *call, unsigned index)
{
	const struct call_extent *extent = &call->extents[index];
	const void *local;

	cut_bytes(call, index);
	if (!cut_count(call, index)) {
		call->local[index] = as_argument(LINUX_NOWHERE);
		return 0;
	}
	local = (extent->bytes <= sizeof(struct sockaddr_storage)
			? linux_memory_bring_aligned
			: linux_memory_bring)(&call->lwp->memory, call->given[index],
		extent->bytes);
	call->local[index] = as_argument(local);
	return local != NULL ? 0 : -ENOMEM;
}

static int bring_in_out(struct linux_call *call, unsigned index)
{
	const struct call_extent *extent = &call->extents[index];
	void *local;

	cut_bytes(call, index);
	if (!cut_count(call, index)) {
		call->local[index] = as_argument(LINUX_NOWHERE);
		return 0;
	}
	local = linux_memory_copy(&call->lwp->memory, call->given[index], extent->bytes);
	call->local[index] = as_argument(local);
	if (local == NULL)
		return -ENOMEM;
	if (local != LINUX_NOWHERE)
		call->rooms[index] =
			(struct linux_room){call->given[index], local, extent->bytes, false};
	return 0;
}

static int bring_size(struct linux_call *call, unsigned index)
{
	call->extents[index] = (struct call_extent){.class = CALL_SIZE,
		.bytes = sizeof(uint32_t),
		.unit_bytes = sizeof(uint32_t)};
	return bring_in_out(call, index);
}

/* What argument size_index says there is room for, with which Linux is told what there is here. */
static int take_size(struct linux_call *call, unsigned size_index, uint64_t *bytes)
{
	int32_t *size;
	int error = bring_size(call, size_index);

	if (error != 0)
		return error;
	size = call->rooms[size_index].local;
	if (size == NULL || *size < 0)
		*bytes = 0; /* which Linux refuses */
	else if ((uint64_t)*size < *bytes)
		*bytes = (uint64_t)*size;
	else
		*size = (int32_t)*bytes;
	return 0;
}

static int bring_out(struct linux_call *call, unsigned index)
{
	struct call_extent *extent = &call->extents[index];
	bool is_placed =
		!call->is_placing && (call->row->arguments[index].flags & CALL_IS_VALUE_LONG) != 0;
	int error = 0;

	if (extent->is_sized)
		error = take_size(call, extent->size_index, &extent->bytes);
	else
		cut_bytes(call, index);
	if (error != 0)
		return error;
	if (!cut_count(call, index)) {
		call->local[index] = as_argument(LINUX_NOWHERE);
		return 0;
	}
	error = linux_memory_room(&call->lwp->memory, call->given[index],
		extent->is_sized && extent->bytes < SIZED_ROOM ? SIZED_ROOM : extent->bytes,
		is_placed, &call->rooms[index]);
	call->rooms[index].bytes = extent->bytes;
	call->is_placing = call->is_placing || call->rooms[index].is_placed;
	call->local[index] = as_argument(call->rooms[index].local);
	return error;
}

/* Of setsockopt(): Linux is told of no more than was brought. */
static void cut_option(struct linux_call *call, unsigned index)
{
	const struct call_extent *extent = &call->extents[index];

	if (extent->code != NULL && call->row->number == SYS_setsockopt &&
		(int32_t)call->given[index + 1] >= 0)
		call->local[index + 1] = extent->bytes;
}

static int bring_memory(struct linux_call *call, unsigned index)
{
	if (call->given[index] == 0) {
		call->local[index] = 0;
		/* Without memory no count can do harm. */
		return 0;
	}
	switch (call->extents[index].class) {
	case CALL_IN:
		return bring_in(call, index);
	case CALL_OUT:
		return bring_out(call, index);
	case CALL_IN_OUT:
		return bring_in_out(call, index);
	case CALL_SIZE:
		/* One that belongs to memory before it was brought with that. */
		return call->rooms[index].local != NULL || call->local[index] != call->given[index]
			? 0
			: bring_size(call, index);
	case CALL_PATH:
	case CALL_STRING:
		return bring_string(call, index);
	case CALL_SCALAR:
	case CALL_FD:
	case CALL_DIRFD:
	case CALL_VECTOR_IN:
	case CALL_VECTOR_OUT:
	case CALL_MESSAGE_IN:
	case CALL_MESSAGE_OUT:
	case CALL_MESSAGES_IN:
	case CALL_MESSAGES_OUT:
	case CALL_SELECTED:
	case CALL_SIGNALS:
		break;
	}
	return 0;
}

static int bring(struct linux_call *call, unsigned index)
{
	int error = call_extent(call->row, call->given, index, &call->extents[index]);

	/* Where there is nothing nobody asks how much it is. */
	if (error != 0 && call->given[index] == 0 && call->row->arguments[index].class == CALL_IN) {
		call->local[index] = 0;
		return 0;
	}
	if (error != 0)
		return error;
	switch (call->extents[index].class) {
	case CALL_SCALAR:
		/* A count may have been cut by what it counts. */
		if (call->local[index] == call->given[index])
			call->local[index] =
				call_scalar(&call->row->arguments[index], call->given[index]);
		return 0;
	case CALL_FD:
	case CALL_DIRFD:
		return bring_fd(call, index);
	case CALL_SIGNALS:
		call->local[index] = 0;
		return 0;
	case CALL_VECTOR_IN:
	case CALL_VECTOR_OUT:
	case CALL_MESSAGE_IN:
	case CALL_MESSAGE_OUT:
	case CALL_MESSAGES_IN:
	case CALL_MESSAGES_OUT:
		return 0; /* by those who make these calls */
	case CALL_PATH:
	case CALL_STRING:
	case CALL_IN:
	case CALL_OUT:
	case CALL_IN_OUT:
	case CALL_SIZE:
	case CALL_SELECTED:
		break;
	}
	error = bring_memory(call, index);
	cut_option(call, index);
	return error;
}

static int bring_all(struct linux_call *call)
{
	int error = 0;

	for (unsigned i = 0; error == 0 && i < call->row->argument_count; i++)
		error = bring(call, i);
	/* A descriptor that is not there is the first that Linux says of any call. */
	if (error != 0 && call->row->argument_count > 0 &&
		call->row->arguments[0].class == CALL_FD && fcntl((int)call->given[0], F_GETFD) < 0)
		return -EBADF;
	return error;
}

/* Giving back */

static uint64_t given_bytes(const struct linux_call *call, unsigned index, int64_t value)
{
	const struct call_extent *extent = &call->extents[index];
	uint64_t bytes = call->rooms[index].bytes;

	if (extent->is_sized) {
		const struct linux_room *size = &call->rooms[extent->size_index];
		uint32_t said = size->local != NULL ? *(const uint32_t *)size->local : 0;

		return said < bytes ? said : bytes;
	}
	if ((call->row->arguments[index].flags & CALL_IS_VALUE_LONG) != 0 &&
		(uint64_t)value < bytes / extent->unit_bytes)
		return (uint64_t)value * extent->unit_bytes;
	return bytes;
}

static bool is_given(const struct linux_call *call, unsigned index, int64_t value)
{
	if (call->rooms[index].local == NULL)
		return false;
	/* A time that is left is told after a failure, too; it was brought, so it can go back. */
	return value >= 0 || call->extents[index].class == CALL_IN_OUT;
}

static int give(struct linux_call *call, unsigned index, int64_t value)
{
	const struct linux_room *room = &call->rooms[index];

	if (is_given(call, index, value))
		return linux_memory_give(&call->lwp->memory, room, given_bytes(call, index, value));
	return room->is_placed ? linux_memory_give(&call->lwp->memory, room, 0) : 0;
}

static int give_all(struct linux_call *call, int64_t value)
{
	int error = 0, first = 0;

	for (unsigned placed = 2; placed-- > 0;) {
		for (unsigned i = 0; i < call->row->argument_count; i++) {
			if (call->rooms[i].is_placed == (placed == 1))
				error = give(call, i, value);
			first = first != 0 ? first : error;
		}
	}
	return first;
}

static int64_t settle(struct linux_call *call, int64_t value)
{
	bool is_new = value >= 0 && linux_made_is_any(call);
	int error;

	if (is_new && linux_made_is_hidden(call, value)) {
		linux_made_close(call, value);
		value = -EMFILE;
		is_new = false;
	}
	error = give_all(call, value);
	if (error == 0 || value < 0)
		return value;
	if (is_new)
		linux_made_close(call, value);
	return error;
}

static int64_t make(struct linux_call *call)
{
	int64_t value;

	if (linux_transfer_is_needed(call))
		return linux_transfer_make(call);
	if (linux_message_is_needed(call))
		return linux_message_make(call);
	value = linux_transfer_align(call, linux_rule_make(call));
	return settle(call, value);
}

/* A signal that the call has caused is raised at the client. */
static void raise_signal(const struct linux_lwp *lwp, int64_t value)
{
	if (value == -EPIPE || value == -EFBIG) {
		int signal = linux_lwp_signal();

		if (signal != 0)
			ferry_raise(lwp->process, signal);
	}
}

/* @param asked the arguments before paths were looked up, which is how they are printed */
static void trace(struct linux_call *call, const uint64_t asked[CALL_ARGUMENTS_MAX], int64_t value)
{
	for (unsigned i = 0; i < call->row->argument_count; i++) {
		if (call->row->arguments[i].class == CALL_PATH)
			call->local[i] = asked[i];
	}
	linux_trace(call, value);
}

/* Make a call, or a part of one that moves many bytes. @return the value, or -errno */
static int64_t make_part(struct linux_call *call)
{
	struct linux_paths paths;
	uint64_t asked[CALL_ARGUMENTS_MAX];
	int64_t value = bring_all(call);

	memcpy(asked, call->local, sizeof(asked));
	linux_paths_init(&paths);
	if (value == 0)
		value = linux_rule_check(call);
	if (value == 0)
		value = linux_paths_begin(call, &paths);
	if (value == 0)
		value = make(call);
	else
		(void)give_all(call, value);
	if (call->kernel->options.trace != NULL)
		trace(call, asked, value);
	linux_paths_end(&paths);
	linux_memory_end(&call->lwp->memory);
	return value;
}

static int64_t make_parts(struct linux_lwp *lwp, const struct call_row *row,
	const uint64_t *arguments)
{
	uint64_t given[CALL_ARGUMENTS_MAX];
	int64_t value, done = 0;

	memcpy(given, arguments, sizeof(given));
	for (;;) {
		struct linux_call call = {.kernel = lwp->kernel,
			.lwp = lwp,
			.row = row,
			.given = given};

		memcpy(call.local, given, sizeof(call.local));
		value = make_part(&call);
		if (value < 0)
			return done > 0 ? done : value;
		done += value;
		if (!linux_transfer_next(&call, given, value))
			return done;
	}
}

int linux_call_make(struct linux_lwp *lwp, const struct ferry_kernel_call *call, int64_t *ret_value)
{
	const struct call_row *row = call->is_extended ? call_find(call->number) : NULL;
	int64_t value;

	if (row == NULL)
		return linux_kernel_unknown(lwp->kernel, call->number);
	atomic_store_explicit(&lwp->is_cancelled, false, memory_order_relaxed);
	value = make_parts(lwp, row, call->arguments);
	raise_signal(lwp, value);
	if (value < 0 && value >= -4095)
		return (int)value;
	*ret_value = value;
	return 0;
}
