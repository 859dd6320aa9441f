/*
 * Each part is brought anew: what the call carried lies where it is, and the rest would not fit at once.
 */
#include "kernel/linux_transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kernel/linux_vector.h"

enum { FD, BUFFER, COUNT, OFFSET }; /* arguments of all these calls */

/* With O_DIRECT: what satisfies every file, and the least that a client's buffers have. */
#define DIRECT_ALIGNMENT 4096u
#define DIRECT_CLIENT    512u

#define NO_OFFSET UINT64_MAX /* of preadv2() and pwritev2(): where the file is */

struct buffers {
	const struct iovec *items;
	unsigned count;
	size_t bytes; /* of all */
};

static bool has_offset(const struct linux_call *call)
{
	switch (call->row->number) {
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_preadv:
	case SYS_pwritev:
		return true;
	case SYS_preadv2:
	case SYS_pwritev2:
		return call->given[OFFSET] != NO_OFFSET;
	default:
		return false;
	}
}

static bool is_writing(const struct linux_call *call)
{
	return call->row->arguments[BUFFER].class == CALL_IN ||
		call->row->arguments[BUFFER].class == CALL_VECTOR_IN;
}

/* Whether Linux goes on after a part that was moved wholly. */
static bool goes_on(const struct linux_call *call)
{
	struct stat about;

	if (atomic_load_explicit(&call->lwp->is_cancelled, memory_order_relaxed))
		return false;
	return is_writing(call) || has_offset(call) ||
		(fstat((int)call->given[FD], &about) == 0 &&
			(S_ISREG(about.st_mode) || S_ISBLK(about.st_mode)));
}

bool linux_transfer_next(const struct linux_call *call, uint64_t given[CALL_ARGUMENTS_MAX],
	int64_t value)
{
	bool is_send = call->row->number == SYS_sendto && given[4] == 0;

	if (value != (int64_t)LINUX_PART_MAX ||
		((call->row->flags & CALL_IS_CHUNKED) == 0 && !is_send) ||
		given[COUNT] <= LINUX_PART_MAX || !goes_on(call))
		return false;
	given[BUFFER] += LINUX_PART_MAX;
	given[COUNT] -= LINUX_PART_MAX;
	if (has_offset(call))
		given[OFFSET] += LINUX_PART_MAX;
	return true;
}

bool linux_transfer_is_needed(const struct linux_call *call)
{
	return call->row->argument_count > BUFFER &&
		(call->row->arguments[BUFFER].class == CALL_VECTOR_IN ||
			call->row->arguments[BUFFER].class == CALL_VECTOR_OUT);
}

/* O_DIRECT */

/* @return whether @value may be for buffers here that are not aligned as those of the client are. */
static bool is_misaligned(const struct linux_call *call, int64_t value, uint64_t address)
{
	if (value != -EINVAL || address % DIRECT_CLIENT != 0)
		return false;
	return (fcntl((int)call->given[FD], F_GETFL) & O_DIRECT) != 0;
}

/* Copy buffers to one place, or back from there. */
static void copy_buffers(const struct buffers *buffers, uint8_t *place, size_t bytes,
	bool is_writing)
{
	for (unsigned i = 0; bytes > 0 && i < buffers->count; i++) {
		const struct iovec *at = &buffers->items[i];
		size_t copied = at->iov_len < bytes ? at->iov_len : bytes;

		if (is_writing)
			memcpy(place, at->iov_base, copied);
		else
			memcpy(at->iov_base, place, copied);
		place += copied;
		bytes -= copied;
	}
}

/* Make the call again by one buffer that is aligned, whatever there were. */
static int64_t make_aligned(struct linux_call *call, const struct buffers *buffers)
{
	struct linux_memory *memory = &call->lwp->memory;
	const uint64_t buffer = call->local[BUFFER], count = call->local[COUNT];
	struct iovec *one = linux_memory_take(memory, sizeof(*one));
	uint8_t *place = linux_memory_take(memory, buffers->bytes + DIRECT_ALIGNMENT);
	int64_t value;

	if (one == NULL || place == NULL)
		return -EINVAL;
	place += DIRECT_ALIGNMENT - (uintptr_t)place % DIRECT_ALIGNMENT;
	if (is_writing(call))
		copy_buffers(buffers, place, buffers->bytes, true);
	*one = (struct iovec){place, buffers->bytes};
	call->local[BUFFER] = (uint64_t)(uintptr_t)place;
	if (linux_transfer_is_needed(call)) {
		call->local[BUFFER] = (uint64_t)(uintptr_t)one;
		call->local[COUNT] = 1;
	}
	value = linux_call_raw(call);
	call->local[BUFFER] = buffer;
	call->local[COUNT] = count;
	if (!is_writing(call) && value > 0)
		copy_buffers(buffers, place, (size_t)value, false);
	return value;
}

int64_t linux_transfer_align(struct linux_call *call, int64_t value)
{
	struct iovec buffer;

	if ((call->row->flags & CALL_IS_CHUNKED) == 0 || call->local[BUFFER] == 0 ||
		!is_misaligned(call, value, call->given[BUFFER]) ||
		call->local[BUFFER] == (uint64_t)(uintptr_t)LINUX_NOWHERE)
		return value;
	buffer = (struct iovec){(void *)(uintptr_t)call->local[BUFFER],
		(size_t)call->extents[BUFFER].bytes};
	return make_aligned(call, &(const struct buffers){&buffer, 1, buffer.iov_len});
}

static int64_t align_vector(struct linux_call *call, const struct linux_vector *vector,
	int64_t value)
{
	for (unsigned i = 0; i < vector->count; i++) {
		if (!is_misaligned(call, value, vector->addresses[i]) ||
			vector->local[i].iov_base == LINUX_NOWHERE)
			return value;
	}
	return vector->count == 0
		? value
		: make_aligned(call,
			  &(const struct buffers){vector->local, vector->count, vector->bytes});
}

/* Move the portion of a vector that begins at @done. @return bytes, or -errno */
static int64_t move(struct linux_call *call, uint64_t done, uint64_t *ret_wanted)
{
	struct linux_memory *memory = &call->lwp->memory;
	struct linux_portion portion = {done, LINUX_PART_MAX};
	struct linux_vector vector;
	int64_t value;
	int error = linux_vector_init(&vector, memory, call->given[BUFFER],
		call->extents[BUFFER].bytes / sizeof(struct iovec));

	if (error != 0)
		return error;
	/* Linux moves no more than this, however much there is. */
	if (portion.bytes > vector.given_bytes - done)
		portion.bytes = (size_t)(vector.given_bytes - done);
	error = is_writing(call) ? linux_vector_bring(&vector, memory, portion)
				 : linux_vector_room(&vector, memory, portion, true);
	if (error != 0)
		return error;
	call->local[BUFFER] =
		(uint64_t)(uintptr_t)(vector.given != NULL ? vector.local : LINUX_NOWHERE);
	if (vector.given != NULL)
		call->local[COUNT] = vector.count;
	if (has_offset(call))
		call->local[OFFSET] = call->given[OFFSET] + done;
	value = align_vector(call, &vector, linux_call_raw(call));
	*ret_wanted = vector.bytes;
	if (is_writing(call))
		return value;
	error = linux_vector_give(&vector, memory, value > 0 ? (size_t)value : 0);
	return error != 0 ? error : value;
}

int64_t linux_transfer_make(struct linux_call *call)
{
	uint64_t done = 0, wanted = 0;

	for (;;) {
		int64_t value = move(call, done, &wanted);

		if (value < 0)
			return done > 0 ? (int64_t)done : value;
		done += (uint64_t)value;
		if ((uint64_t)value < wanted || wanted < LINUX_PART_MAX || !goes_on(call))
			return (int64_t)done;
		linux_memory_end(&call->lwp->memory);
	}
}
