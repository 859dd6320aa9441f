/*
 * One mapping; what is not there is a part of it without any right.
 */
#include "test/calls/arena.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/crc32c.h"

#define PAGE_BYTES  4096u
#define SHOWN_BYTES 40u /* of what has changed */

/* Each part is followed by a page that is not there. */
#define SLOT_ROOM   (ARENA_SLOT_BYTES + PAGE_BYTES)
#define TOTAL_BYTES (ARENA_SLOTS * SLOT_ROOM + (ARENA_LARGE_BYTES + PAGE_BYTES) + 2 * PAGE_BYTES)

/* Where it is wanted: with a gibibyte and more to the end of what a program can have, which some calls
 * compare with all that could be meant, and where sanitizers leave room. */
#define WANTED ((void *)(uintptr_t)0x7e9000000000)

void arena_init(struct arena *arena)
{
	uint8_t *at = mmap(WANTED, TOTAL_BYTES, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *before = mmap(NULL, ARENA_SLOTS * ARENA_SLOT_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert(at != MAP_FAILED && before != MAP_FAILED);
	arena->before = before;
	for (unsigned i = 0; i < ARENA_SLOTS; i++, at += SLOT_ROOM) {
		arena->slots[i] = at;
		assert(mprotect(at, ARENA_SLOT_BYTES, PROT_READ | PROT_WRITE) == 0);
	}
	arena->large = at;
	assert(mprotect(at, ARENA_LARGE_BYTES, PROT_READ | PROT_WRITE) == 0);
	arena->constant = at + ARENA_LARGE_BYTES + PAGE_BYTES;
	assert(mprotect(arena->constant, PAGE_BYTES, PROT_READ) == 0);
	arena->nowhere = arena->constant + PAGE_BYTES;
}

void arena_deinit(struct arena *arena)
{
	(void)munmap(arena->slots[0], TOTAL_BYTES);
	(void)munmap(arena->before, ARENA_SLOTS * ARENA_SLOT_BYTES);
}

void arena_reset(struct arena *arena)
{
	for (unsigned i = 0; i < ARENA_SLOTS; i++)
		memset(arena->slots[i], 0, ARENA_SLOT_BYTES);
	/* Seldom used: pages that were become zeros. */
	(void)madvise(arena->large, ARENA_LARGE_BYTES, MADV_DONTNEED);
}

void arena_remember(struct arena *arena)
{
	for (size_t i = 0; i < ARENA_SLOTS; i++)
		memcpy(arena->before + i * ARENA_SLOT_BYTES, arena->slots[i], ARENA_SLOT_BYTES);
}

uint8_t *arena_end(const struct arena *arena, unsigned slot)
{
	return arena->slots[slot] + ARENA_SLOT_BYTES;
}

static bool is_within(uint64_t address, size_t bytes, const uint8_t *part, size_t part_bytes)
{
	uint64_t offset = address - (uintptr_t)part;

	return offset <= part_bytes && bytes <= part_bytes - offset;
}

bool arena_has(const struct arena *arena, uint64_t address, size_t bytes)
{
	for (unsigned i = 0; i < ARENA_SLOTS; i++) {
		if (is_within(address, bytes, arena->slots[i], ARENA_SLOT_BYTES))
			return true;
	}
	return is_within(address, bytes, arena->large, ARENA_LARGE_BYTES);
}

static size_t describe_slot(const struct arena *arena, unsigned slot, char *text, size_t bytes)
{
	const uint8_t *now = arena->slots[slot];
	const uint8_t *before = arena->before + (size_t)slot * ARENA_SLOT_BYTES;
	size_t first = 0, last = ARENA_SLOT_BYTES, used;

	while (first < last && now[first] == before[first])
		first++;
	if (first == last)
		return 0;
	while (now[last - 1] == before[last - 1])
		last--;
	used = (size_t)snprintf(text, bytes, " slot %u+%zu-%zu crc %08x:", slot, first, last,
		crc32c(0, now, ARENA_SLOT_BYTES));
	for (size_t i = first; i < last && i < first + SHOWN_BYTES; i++)
		used += (size_t)snprintf(text + used, bytes - used, "%s%02x",
			(i - first) % 4 == 0 ? " " : "", now[i]);
	return used;
}

size_t arena_describe(const struct arena *arena, char *text, size_t bytes)
{
	size_t used = 0;

	for (unsigned i = 0; i < ARENA_SLOTS; i++)
		used += describe_slot(arena, i, text + used, bytes - used);
	return used;
}
