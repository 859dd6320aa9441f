/*
 * The memory that calls of a test are about: slots, each followed by a page that is not there; one large
 * slot; a page that cannot be written. Both sides of a comparison have it at the same addresses, because
 * both are forks of the process that made it.
 */
#ifndef FERRY_TEST_CALLS_ARENA_H
#define FERRY_TEST_CALLS_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_SLOTS       8u /* one for each argument, and two for what they point at */
#define ARENA_SLOT_BYTES  (16u << 10)
#define ARENA_LARGE_BYTES ((64u << 20) + ARENA_SLOT_BYTES)

struct arena {
	uint8_t *slots[ARENA_SLOTS];
	uint8_t *before; /* copies of the slots, one after the other */
	uint8_t *large;
	uint8_t *constant; /* a page to be read only */
	uint8_t *nowhere;  /* a page that is not there */
};

/** Make it, once in a test. */
void arena_init(struct arena *arena);
void arena_deinit(struct arena *arena);

/** Fill it as at first. */
void arena_reset(struct arena *arena);

/** Remember what is in it. */
void arena_remember(struct arena *arena);

/** @return the first byte after a slot. */
uint8_t *arena_end(const struct arena *arena, unsigned slot);

/** @return whether @bytes bytes at @address are all in slots or in the large one. */
bool arena_has(const struct arena *arena, uint64_t address, size_t bytes);

/** Write what has changed since arena_remember(), as text. @return the bytes of text without NUL. */
size_t arena_describe(const struct arena *arena, char *text, size_t bytes);

#endif
