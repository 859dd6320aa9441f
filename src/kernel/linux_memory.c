/*
 * Blocks are taken from by moving a mark; there is seldom more than one.
 */
#include "kernel/linux_memory.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (68u << 10) /* 64 KiB of data and something beside them */
#define ALIGNMENT   16u

struct linux_block {
	struct linux_block *before;
	size_t size_bytes, used_bytes;
	_Alignas(ALIGNMENT) uint8_t bytes[];
};

void linux_memory_init(struct linux_memory *memory, struct ferry_lwp *handle)
{
	*memory = (struct linux_memory){.handle = handle};
}

void linux_memory_end(struct linux_memory *memory)
{
	struct linux_block *block = memory->blocks;

	while (block != NULL && (block->before != NULL || block->size_bytes > BLOCK_BYTES)) {
		struct linux_block *before = block->before;

		free(block);
		block = before;
	}
	if (block != NULL)
		block->used_bytes = 0;
	memory->blocks = block;
	memory->taken_bytes = 0;
}

void linux_memory_deinit(struct linux_memory *memory)
{
	linux_memory_end(memory);
	free(memory->blocks);
	memory->blocks = NULL;
}

void *linux_memory_take(struct linux_memory *memory, size_t bytes)
{
	struct linux_block *block = memory->blocks;
	void *taken;

	if (bytes > LINUX_BYTES_MAX - memory->taken_bytes)
		return NULL;
	/* Nothing is somewhere, too. */
	bytes = bytes == 0 ? ALIGNMENT : (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (block == NULL || block->size_bytes - block->used_bytes < bytes) {
		size_t size_bytes = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;

		block = calloc(1, sizeof(*block) + size_bytes);
		if (block == NULL)
			return NULL;
		block->before = memory->blocks;
		block->size_bytes = size_bytes;
		memory->blocks = block;
	}
	taken = block->bytes + block->used_bytes;
	block->used_bytes += bytes;
	memory->taken_bytes += bytes < LINUX_BYTES_MAX - memory->taken_bytes
		? bytes
		: LINUX_BYTES_MAX - memory->taken_bytes;
	return taken;
}

void *linux_memory_copy(struct linux_memory *memory, uint64_t address, size_t bytes)
{
	void *copy = linux_memory_take(memory, bytes);

	if (copy == NULL)
		return NULL;
	return ferry_copyin(memory->handle, address, copy, bytes) == 0 ? copy : LINUX_NOWHERE;
}

const void *linux_memory_bring(struct linux_memory *memory, uint64_t address, size_t bytes)
{
	const void *carried = bytes > 0 ? ferry_copyin_look(memory->handle, address, bytes) : NULL;

	return carried != NULL ? carried : linux_memory_copy(memory, address, bytes);
}

const void *linux_memory_bring_aligned(struct linux_memory *memory, uint64_t address, size_t bytes)
{
	const void *here = linux_memory_bring(memory, address, bytes);

	if (here == NULL || here == LINUX_NOWHERE || (uintptr_t)here % alignof(max_align_t) == 0)
		return here;
	return linux_memory_copy(memory, address, bytes);
}

int linux_memory_string(struct linux_memory *memory, uint64_t address, size_t bytes,
	const char **ret_string)
{
	char *string = linux_memory_take(memory, bytes);
	int error;

	if (string == NULL)
		return -ENOMEM;
	error = ferry_copyinstr(memory->handle, address, string, bytes, NULL);
	if (error == 0)
		*ret_string = string;
	else if (error == -EFAULT)
		*ret_string = LINUX_NOWHERE;
	return error == -EFAULT ? 0 : error;
}

int linux_memory_room(struct linux_memory *memory, uint64_t address, size_t bytes, bool is_placed,
	struct linux_room *ret_room)
{
	struct linux_room room = {.address = address, .bytes = bytes};

	if (is_placed && bytes > 0)
		room.local = ferry_copyout_place(memory->handle, address, bytes);
	room.is_placed = room.local != NULL;
	if (!room.is_placed)
		room.local = linux_memory_take(memory, bytes);
	if (room.local == NULL)
		return -ENOMEM;
	*ret_room = room;
	return 0;
}

int linux_memory_give(struct linux_memory *memory, const struct linux_room *room, size_t bytes)
{
	assert(bytes <= room->bytes);
	if (!room->is_placed)
		return ferry_copyout(memory->handle, room->local, room->address, bytes);
	ferry_copyout_trim(memory->handle, bytes);
	return 0;
}
