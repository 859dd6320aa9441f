/*
 * Each part is brought anew: what the call carried lies where it is, and the rest would not fit at once.
 */
#include "kernel/linux_transfer.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kernel/linux_vector.h"

enum { FD, BUFFER, COUNT, OFFSET }; /* arguments of all these calls */

#define NO_OFFSET UINT64_MAX /* of preadv2() and pwritev2(): where the file is */

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
	value = linux_call_raw(call);
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
