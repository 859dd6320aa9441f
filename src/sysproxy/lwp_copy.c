/*
 * The kernel reaches into a client's memory: what the call has carried first, what goes with its reply,
 * and copies over the wire for the rest. All of it belongs to the thread that is in the call.
 *
 * A call of the extension has declared what it is about, and nothing else is asked for. One of 0.4 has
 * not: all of it goes over the wire, and the client has to know.
 */
#include <errno.h>
#include <string.h>

#include "sysproxy/lwp.h"

/* Whether there is memory of that kind at all. */
static bool is_memory(const struct ferry_lwp *lwp, uint64_t address, size_t bytes)
{
	return lwp->is_calling && address != 0 && bytes <= UINT64_MAX - address;
}

static int carry(struct ferry_lwp *lwp, struct copy *copy)
{
	copy->call = lwp->number;
	copy->error = -EFAULT;
	kernel_block(lwp->kernel);
	lwp->carrier->carry(lwp->carrier, copy);
	kernel_unblock(lwp->kernel);
	return copy->error;
}

/* Copy in over the wire, in turns of what one frame may move. */
static int carry_in(struct ferry_lwp *lwp, uint64_t address, void *to, size_t bytes)
{
	int error = 0;

	for (size_t done = 0; error == 0 && done < bytes;) {
		struct copy copy = {
			.type = lwp->is_extended ? WIRE_CALL_COPYIN : WIRE_COPYIN,
			.address = address + done,
			.bytes = bytes - done < WIRE_COPY_MAX ? bytes - done : WIRE_COPY_MAX,
			.to = (uint8_t *)to + done,
		};

		error = carry(lwp, &copy);
		done += copy.bytes;
	}
	return error;
}

static int carry_out(struct ferry_lwp *lwp, const void *from, uint64_t address, size_t bytes)
{
	int error = 0;

	for (size_t done = 0; error == 0 && done < bytes;) {
		struct copy copy = {
			.type = lwp->is_extended ? WIRE_CALL_COPYOUT : WIRE_COPYOUT,
			.address = address + done,
			.bytes = bytes - done < WIRE_COPY_MAX ? bytes - done : WIRE_COPY_MAX,
			.from = (const uint8_t *)from + done,
		};

		error = carry(lwp, &copy);
		done += copy.bytes;
	}
	return error;
}

int ferry_copyin(struct ferry_lwp *lwp, uint64_t address, void *to, size_t bytes)
{
	const struct memory_range *range;
	const void *carried;
	int error;

	if (bytes == 0)
		return 0;
	if (!is_memory(lwp, address, bytes))
		return -EFAULT;
	if (!lwp->is_extended)
		return carry_in(lwp, address, to, bytes);
	range = memory_find(&lwp->memory, address, bytes, WIRE_RANGE_IN);
	if (range == NULL)
		return -EFAULT;
	carried = memory_look(&lwp->memory, range, address, bytes);
	if (carried != NULL) {
		memcpy(to, carried, bytes);
		return 0;
	}
	error = carry_in(lwp, address, to, bytes);
	if (error == 0)
		memory_overlay(&lwp->memory, address, to, bytes);
	return error;
}

/* A string of at most @bytes bytes, of which @found_bytes have come to @to.
 *  @return 0, or -ENAMETOOLONG or -EFAULT for one that has no end. */
static int end_string(const char *to, size_t found_bytes, size_t bytes, size_t *ret_bytes)
{
	const char *end = memchr(to, '\0', found_bytes);

	if (end == NULL)
		return found_bytes == bytes ? -ENAMETOOLONG : -EFAULT;
	if (ret_bytes != NULL)
		*ret_bytes = (size_t)(end - to) + 1;
	return 0;
}

/* A string of 1..WIRE_COPY_MAX bytes over the wire. */
static int carry_string(struct ferry_lwp *lwp, uint64_t address, char *to, size_t bytes,
	size_t *ret_bytes)
{
	struct copy copy = {
		.type = lwp->is_extended ? WIRE_CALL_COPYINSTR : WIRE_COPYINSTR,
		.address = address,
		.bytes = bytes,
		.to = to,
	};
	int error = carry(lwp, &copy);

	if (error != 0)
		return error;
	if (lwp->is_extended)
		memory_overlay(&lwp->memory, address, to, copy.ret_bytes);
	return end_string(to, copy.ret_bytes, bytes, ret_bytes);
}

/* The bytes of @range from @address on that were carried and hold a string to its end, or all that
 * there may be of it. @return NULL: the client has to be asked. */
static const char *carried_string(const struct ferry_lwp *lwp, const struct memory_range *range,
	uint64_t address, size_t bytes)
{
	uint64_t offset = address - range->address;
	size_t carried_bytes;
	const char *carried;

	if (offset >= range->carried_bytes)
		return NULL;
	carried_bytes = range->carried_bytes - (size_t)offset;
	if (carried_bytes > bytes)
		carried_bytes = bytes;
	carried = memory_look(&lwp->memory, range, address, carried_bytes);
	if (carried == NULL)
		return NULL;
	return carried_bytes == bytes || memchr(carried, '\0', carried_bytes) != NULL ? carried
										      : NULL;
}

int ferry_copyinstr(struct ferry_lwp *lwp, uint64_t address, char *to, size_t bytes,
	size_t *ret_bytes)
{
	const struct memory_range *range;
	size_t wanted_bytes = bytes < WIRE_COPY_MAX ? bytes : WIRE_COPY_MAX;
	const char *carried;
	int error;

	if (!is_memory(lwp, address, 1))
		return -EFAULT;
	if (bytes == 0)
		return -ENAMETOOLONG;
	if (!lwp->is_extended)
		return carry_string(lwp, address, to, wanted_bytes, ret_bytes);
	range = memory_find(&lwp->memory, address, 1, WIRE_RANGE_IN);
	if (range == NULL)
		return -EFAULT;
	/* What lies beyond the range is no memory of the call's. */
	bool is_cut = range->bytes - (address - range->address) < wanted_bytes;

	if (is_cut)
		wanted_bytes = (size_t)(range->bytes - (address - range->address));
	carried = carried_string(lwp, range, address, wanted_bytes);
	if (carried != NULL) {
		size_t carried_bytes = strnlen(carried, wanted_bytes);

		memcpy(to, carried,
			carried_bytes < wanted_bytes ? carried_bytes + 1 : wanted_bytes);
		error = end_string(to,
			carried_bytes < wanted_bytes ? carried_bytes + 1 : wanted_bytes,
			wanted_bytes, ret_bytes);
	} else {
		error = carry_string(lwp, address, to, wanted_bytes, ret_bytes);
	}
	return error == -ENAMETOOLONG && is_cut ? -EFAULT : error;
}

int ferry_copyout(struct ferry_lwp *lwp, const void *from, uint64_t address, size_t bytes)
{
	const struct memory_range *range;
	void *place;
	int error;

	if (bytes == 0)
		return 0;
	if (!is_memory(lwp, address, bytes))
		return -EFAULT;
	if (!lwp->is_extended)
		return carry_out(lwp, from, address, bytes);
	range = memory_find(&lwp->memory, address, bytes, WIRE_RANGE_OUT);
	if (range == NULL)
		return -EFAULT;
	place = memory_place(&lwp->memory, range, address, bytes);
	if (place != NULL) {
		memcpy(place, from, bytes);
		lwp->memory.placed = 0;
		return 0;
	}
	error = carry_out(lwp, from, address, bytes);
	if (error == 0)
		memory_written(&lwp->memory, address, from, bytes);
	return error;
}

int ferry_copyoutstr(struct ferry_lwp *lwp, const char *from, uint64_t address, size_t bytes)
{
	size_t length = strnlen(from, bytes);

	if (length == bytes)
		return -ENAMETOOLONG;
	return ferry_copyout(lwp, from, address, length + 1);
}

const void *ferry_copyin_look(struct ferry_lwp *lwp, uint64_t address, size_t bytes)
{
	const struct memory_range *range;

	if (!is_memory(lwp, address, bytes) || !lwp->is_extended)
		return NULL;
	range = memory_find(&lwp->memory, address, bytes, WIRE_RANGE_IN);
	return range == NULL ? NULL : memory_look(&lwp->memory, range, address, bytes);
}

void *ferry_copyout_place(struct ferry_lwp *lwp, uint64_t address, size_t bytes)
{
	const struct memory_range *range;

	if (!is_memory(lwp, address, bytes) || !lwp->is_extended)
		return NULL;
	range = memory_find(&lwp->memory, address, bytes, WIRE_RANGE_OUT);
	return range == NULL ? NULL : memory_place(&lwp->memory, range, address, bytes);
}

void ferry_copyout_trim(struct ferry_lwp *lwp, size_t bytes)
{
	if (lwp->is_extended)
		memory_trim(&lwp->memory, bytes);
}

int ferry_anonmmap(struct ferry_lwp *lwp, size_t bytes, uint64_t *ret_address)
{
	struct copy copy = {
		.type = lwp->is_extended ? WIRE_CALL_ANONMMAP : WIRE_ANONMMAP,
		.bytes = bytes,
	};
	int error;

	if (!lwp->is_calling)
		return -EFAULT;
	error = carry(lwp, &copy);
	if (error == 0 && lwp->is_extended)
		error = memory_add_mapped(&lwp->memory, copy.ret_address, bytes);
	if (error == 0)
		*ret_address = copy.ret_address;
	return error;
}
