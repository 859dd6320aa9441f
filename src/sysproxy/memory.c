/*
 * Ranges are an array, searched from the one that was found last, since calls use them in order. Pieces
 * are two arrays, the table and the parts of the reply, which are sent as they are.
 */
#include "sysproxy/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define RANGES_KEPT     16u
#define PIECES_KEPT     16u
#define CHUNK_BYTES     (66u << 10) /* 64 KiB of data and something beside it */
#define PLACE_ALIGNMENT 16u

struct memory_chunk {
	struct memory_chunk *before;
	size_t size_bytes, used_bytes;
	_Alignas(PLACE_ALIGNMENT) uint8_t bytes[];
};

void memory_init(struct memory *memory)
{
	*memory = (struct memory){0};
}

static void drop_ranges(struct memory *memory)
{
	free(memory->ranges);
	memory->ranges = NULL;
	memory->range_room = 0;
}

static void drop_pieces(struct memory *memory)
{
	free(memory->table);
	free(memory->parts);
	memory->table = NULL;
	memory->parts = NULL;
	memory->piece_room = 0;
}

/* Free all chunks down to the first, which is kept if it is of the usual size. */
static void drop_chunks(struct memory *memory)
{
	struct memory_chunk *chunk = memory->chunks;

	while (chunk != NULL && (chunk->before != NULL || chunk->size_bytes > CHUNK_BYTES)) {
		struct memory_chunk *before = chunk->before;

		free(chunk);
		chunk = before;
	}
	if (chunk != NULL)
		chunk->used_bytes = 0;
	memory->chunks = chunk;
}

void memory_deinit(struct memory *memory)
{
	drop_ranges(memory);
	drop_pieces(memory);
	drop_chunks(memory);
	free(memory->chunks);
	memory->chunks = NULL;
}

void memory_end(struct memory *memory)
{
	if (memory->range_room > RANGES_KEPT)
		drop_ranges(memory);
	if (memory->piece_room > PIECES_KEPT)
		drop_pieces(memory);
	if (memory->collected_bytes > 0)
		drop_chunks(memory);
	memory->range_count = 0;
	memory->declared_count = 0;
	memory->piece_count = 0;
	memory->placed = 0;
	memory->collected_bytes = 0;
}

static int have_ranges(struct memory *memory, unsigned count)
{
	if (count <= memory->range_room)
		return 0;
	if (count < RANGES_KEPT)
		count = RANGES_KEPT;
	drop_ranges(memory);
	memory->ranges = calloc(count, sizeof(*memory->ranges));
	if (memory->ranges == NULL)
		return -ENOMEM;
	memory->range_room = count;
	return 0;
}

int memory_begin(struct memory *memory, const struct wire_call_view *view, size_t collected_max)
{
	const uint8_t *carried = view->carried;
	int error = have_ranges(memory, view->range_count);

	if (error != 0)
		return error;
	for (unsigned i = 0; i < view->range_count; i++) {
		struct memory_range *range = &memory->ranges[i];
		struct wire_range from;

		memcpy(&from, view->ranges + i * sizeof(from), sizeof(from));
		*range = (struct memory_range){
			.address = le64_get(from.address),
			.bytes = le64_get(from.bytes),
			.carried = carried,
			.carried_bytes = le32_get(from.carried_bytes),
			.flags = le32_get(from.flags),
		};
		carried += range->carried_bytes;
	}
	memory->range_count = view->range_count;
	memory->declared_count = view->range_count;
	memory->hint = 0;
	memory->collected_max = collected_max;
	return 0;
}

int memory_add_mapped(struct memory *memory, uint64_t address, uint64_t bytes)
{
	if (bytes > UINT64_MAX - address)
		return -ENOMEM;
	if (memory->range_count == memory->range_room) {
		unsigned room = memory->range_room + RANGES_KEPT;
		struct memory_range *ranges =
			realloc(memory->ranges, room * sizeof(*memory->ranges));

		if (ranges == NULL)
			return -ENOMEM;
		memory->ranges = ranges;
		memory->range_room = room;
	}
	memory->ranges[memory->range_count++] = (struct memory_range){
		.address = address,
		.bytes = bytes,
		.flags = WIRE_RANGE_IN | WIRE_RANGE_OUT,
	};
	return 0;
}

struct memory_range *memory_find(struct memory *memory, uint64_t address, uint64_t bytes,
	uint32_t flag)
{
	for (unsigned i = 0; i < memory->range_count; i++) {
		unsigned index = memory->hint + i;
		struct memory_range *range;

		if (index >= memory->range_count)
			index -= memory->range_count;
		range = &memory->ranges[index];
		if ((range->flags & flag) == flag && address >= range->address &&
			bytes <= range->bytes && address - range->address <= range->bytes - bytes) {
			memory->hint = index;
			return range;
		}
	}
	return NULL;
}

/* The address at which piece @index begins. */
static uint64_t piece_address(const struct memory *memory, unsigned index)
{
	const struct wire_piece *piece = &memory->table[index];

	return memory->ranges[le32_get(piece->range_index)].address + le64_get(piece->offset);
}

/* Bytes that two stretches of memory have in common. */
struct overlap {
	uint64_t start;
	size_t bytes; /* 0: none */
};

static struct overlap overlap_of(uint64_t address, size_t bytes, uint64_t other, size_t other_bytes)
{
	uint64_t start = address > other ? address : other;
	uint64_t end =
		address + bytes < other + other_bytes ? address + bytes : other + other_bytes;

	return (struct overlap){start, end > start ? (size_t)(end - start) : 0};
}

static struct overlap piece_overlap(const struct memory *memory, unsigned index, uint64_t address,
	size_t bytes)
{
	return overlap_of(address, bytes, piece_address(memory, index),
		memory->parts[MEMORY_SPARE + index].iov_len);
}

const void *memory_look(const struct memory *memory, const struct memory_range *range,
	uint64_t address, uint64_t bytes)
{
	uint64_t offset = address - range->address;

	if (offset > range->carried_bytes || bytes > range->carried_bytes - offset)
		return NULL;
	for (unsigned i = 0; i < memory->piece_count; i++) {
		if (piece_overlap(memory, i, address, bytes).bytes > 0)
			return NULL;
	}
	return range->carried + offset;
}

static bool have_piece(struct memory *memory)
{
	unsigned room = memory->piece_room * 2;
	struct wire_piece *table;
	struct iovec *parts;

	if (memory->piece_count < memory->piece_room)
		return true;
	if (memory->piece_count >= WIRE_REPLIED_MAX)
		return false;
	if (room == 0)
		room = PIECES_KEPT;
	table = realloc(memory->table, room * sizeof(*table));
	if (table == NULL)
		return false;
	memory->table = table;
	parts = realloc(memory->parts, (MEMORY_SPARE + room) * sizeof(*parts));
	if (parts == NULL)
		return false;
	memory->parts = parts;
	memory->piece_room = room;
	return true;
}

/* Room in the arena. */
static uint8_t *have_bytes(struct memory *memory, size_t bytes)
{
	struct memory_chunk *chunk = memory->chunks;
	size_t used_bytes;

	if (chunk == NULL || chunk->size_bytes - chunk->used_bytes < bytes) {
		size_t size_bytes = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;

		size_bytes = (size_bytes + PLACE_ALIGNMENT - 1) & ~(size_t)(PLACE_ALIGNMENT - 1);
		/* Zeroed, since a kernel may fill less than it asked for, and all is sent. What lies
		 * here later on was meant for the same client. */
		chunk = calloc(1, sizeof(*chunk) + size_bytes);
		if (chunk == NULL)
			return NULL;
		chunk->before = memory->chunks;
		chunk->size_bytes = size_bytes;
		memory->chunks = chunk;
	}
	used_bytes = chunk->used_bytes;
	chunk->used_bytes += (bytes + PLACE_ALIGNMENT - 1) & ~(size_t)(PLACE_ALIGNMENT - 1);
	return chunk->bytes + used_bytes;
}

void *memory_place(struct memory *memory, const struct memory_range *range, uint64_t address,
	size_t bytes)
{
	uint32_t index = (uint32_t)(range - memory->ranges);
	uint8_t *data;

	if (index >= memory->declared_count ||
		bytes > memory->collected_max - memory->collected_bytes || !have_piece(memory))
		return NULL;
	data = have_bytes(memory, bytes);
	if (data == NULL)
		return NULL;
	memory->table[memory->piece_count] = (struct wire_piece){
		.range_index = le32_of(index),
		.bytes = le32_of((uint32_t)bytes),
		.offset = le64_of(address - range->address),
	};
	memory->parts[MEMORY_SPARE + memory->piece_count] = (struct iovec){data, bytes};
	memory->piece_count++;
	memory->placed = memory->piece_count;
	memory->collected_bytes += bytes;
	return data;
}

void memory_trim(struct memory *memory, size_t bytes)
{
	struct iovec *part;

	if (memory->placed == 0)
		return;
	part = &memory->parts[MEMORY_SPARE + memory->placed - 1];
	if (bytes >= part->iov_len)
		return;
	/* Its room stays taken. */
	part->iov_len = bytes;
	memory->table[memory->placed - 1].bytes = le32_of((uint32_t)bytes);
}

void memory_overlay(const struct memory *memory, uint64_t address, void *to, size_t bytes)
{
	for (unsigned i = 0; i < memory->piece_count; i++) {
		struct overlap overlap = piece_overlap(memory, i, address, bytes);
		const uint8_t *data = memory->parts[MEMORY_SPARE + i].iov_base;

		if (overlap.bytes > 0)
			memcpy((uint8_t *)to + (overlap.start - address),
				data + (overlap.start - piece_address(memory, i)), overlap.bytes);
	}
}

static void forget_carried(struct memory *memory, uint64_t address, size_t bytes)
{
	for (unsigned i = 0; i < memory->range_count; i++) {
		struct memory_range *range = &memory->ranges[i];
		struct overlap overlap =
			overlap_of(address, bytes, range->address, range->carried_bytes);

		if (overlap.bytes > 0)
			range->carried_bytes = (uint32_t)(overlap.start - range->address);
	}
}

void memory_written(struct memory *memory, uint64_t address, const void *from, size_t bytes)
{
	for (unsigned i = 0; i < memory->piece_count; i++) {
		struct overlap overlap = piece_overlap(memory, i, address, bytes);
		uint8_t *data = memory->parts[MEMORY_SPARE + i].iov_base;

		if (overlap.bytes > 0)
			memcpy(data + (overlap.start - piece_address(memory, i)),
				(const uint8_t *)from + (overlap.start - address), overlap.bytes);
	}
	forget_carried(memory, address, bytes);
}
