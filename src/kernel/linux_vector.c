/*
 * The client's vector is used where it was carried; a portion's two arrays are as long as it may need.
 */
#include "kernel/linux_vector.h"

#include <errno.h>
#include <limits.h>

#include "call/table.h"

int linux_vector_init(struct linux_vector *vector, struct linux_memory *memory, uint64_t address,
	uint64_t count)
{
	const struct iovec *given;
	uint64_t bytes = 0;

	*vector = (struct linux_vector){0};
	given = linux_memory_bring_aligned(memory, address, (size_t)count * sizeof(*given));
	if (given == NULL)
		return -ENOMEM;
	if (given == LINUX_NOWHERE)
		return 0;
	for (uint64_t i = 0; i < count; i++) {
		if (given[i].iov_len > SSIZE_MAX)
			return -EINVAL;
		bytes += given[i].iov_len < CALL_BYTES_MAX - bytes ? given[i].iov_len
								   : CALL_BYTES_MAX - bytes;
	}
	vector->given = given;
	vector->given_count = (unsigned)count;
	vector->given_bytes = bytes;
	return 0;
}

/* Find the buffers of a portion; where they are here is not known yet. */
static int cut(struct linux_vector *vector, struct linux_memory *memory,
	struct linux_portion portion)
{
	uint64_t skipped = portion.skipped_bytes;

	vector->local = linux_memory_take(memory, vector->given_count * sizeof(*vector->local));
	vector->addresses =
		linux_memory_take(memory, vector->given_count * sizeof(*vector->addresses));
	if (vector->local == NULL || vector->addresses == NULL)
		return -ENOMEM;
	vector->count = 0;
	vector->bytes = 0;
	for (unsigned i = 0; i < vector->given_count && vector->bytes < portion.bytes; i++) {
		const struct iovec *given = &vector->given[i];
		size_t bytes = portion.bytes - vector->bytes;

		if (skipped >= given->iov_len) {
			skipped -= given->iov_len;
			continue;
		}
		if (bytes > given->iov_len - skipped)
			bytes = given->iov_len - (size_t)skipped;
		vector->addresses[vector->count] = (uint64_t)(uintptr_t)given->iov_base + skipped;
		vector->local[vector->count++] = (struct iovec){NULL, bytes};
		vector->bytes += bytes;
		skipped = 0;
	}
	return 0;
}

int linux_vector_bring(struct linux_vector *vector, struct linux_memory *memory,
	struct linux_portion portion)
{
	int error = cut(vector, memory, portion);

	for (unsigned i = 0; error == 0 && i < vector->count; i++) {
		const void *bytes =
			linux_memory_bring(memory, vector->addresses[i], vector->local[i].iov_len);

		/* An iovec has no const; Linux only reads. */
		vector->local[i].iov_base = (void *)(uintptr_t)bytes;
		if (bytes == NULL)
			error = -ENOMEM;
	}
	return error;
}

int linux_vector_room(struct linux_vector *vector, struct linux_memory *memory,
	struct linux_portion portion, bool is_placed)
{
	int error = cut(vector, memory, portion);
	uint8_t *at;

	if (error == 0)
		error = linux_memory_room(memory, vector->count > 0 ? vector->addresses[0] : 0,
			vector->bytes, is_placed && vector->count == 1, &vector->room);
	if (error != 0)
		return error;
	at = vector->room.local;
	for (unsigned i = 0; i < vector->count; i++) {
		vector->local[i].iov_base = at;
		at += vector->local[i].iov_len;
	}
	return 0;
}

int linux_vector_give(const struct linux_vector *vector, struct linux_memory *memory, size_t bytes)
{
	int error = 0;

	if (vector->room.is_placed)
		return linux_memory_give(memory, &vector->room, bytes);
	for (unsigned i = 0; error == 0 && bytes > 0 && i < vector->count; i++) {
		size_t filled = bytes < vector->local[i].iov_len ? bytes : vector->local[i].iov_len;

		error = ferry_copyout(memory->handle, vector->local[i].iov_base,
			vector->addresses[i], filled);
		bytes -= filled;
	}
	return error;
}
