/*
 * What one call of the extension may touch of its client's memory: the ranges that it has declared,
 * the bytes of them that it carried, and the bytes for them that go back with the reply. These are
 * collected as *pieces*; their data lie in an arena that never moves, so that a kernel can fill them in
 * place. What was collected is what the client's memory will be: a call reads back what it has written.
 *
 * A memory is used again and again, by one call at a time: begin, ..., end. It keeps what an ordinary
 * call needs and gives back the rest.
 */
#ifndef FERRY_SYSPROXY_MEMORY_H
#define FERRY_SYSPROXY_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "sysproxy/wire.h"

/* Elements of the reply before the data of the pieces, for the caller to fill. */
#define MEMORY_SPARE 3u

struct memory_range {
	uint64_t address;
	uint64_t bytes;
	const uint8_t
		*carried; /* its first carried_bytes bytes; they are what the client has now */
	uint32_t carried_bytes;
	uint32_t flags; /* WIRE_RANGE_ bits */
};

struct memory_chunk;

struct memory {
	struct memory_range *ranges;
	unsigned range_count, range_room;
	unsigned declared_count; /* ranges that the client knows by their index; they come first */
	unsigned hint;           /* the range that was found last */
	/* Of the pieces: their table as it is sent, and the elements of the reply, in which
	 * MEMORY_SPARE precede the data of the first piece. */
	struct wire_piece *table;
	struct iovec *parts;
	unsigned piece_count, piece_room;
	unsigned placed; /* index + 1 of the piece that memory_place() gave last for
			  * memory_trim(), 0: none */
	size_t collected_bytes, collected_max;
	struct memory_chunk *chunks; /* the latest first; the last one is kept */
};

/** Begin with nothing. */
void memory_init(struct memory *memory);

/** Free what is kept. */
void memory_deinit(struct memory *memory);

/** A call begins. @param view lies in the frame, which lives until memory_end()
 *  @param collected_max bytes that the client takes with the reply
 *  @return 0 or -ENOMEM. */
int memory_begin(struct memory *memory, const struct wire_call_view *view, size_t collected_max)
	__attribute__((warn_unused_result));

/** The reply has been sent. */
void memory_end(struct memory *memory);

/** @return the range with all of WIRE_RANGE_ @flag that has all of the @bytes bytes at @address, or
 *  NULL: the call did not declare them. */
struct memory_range *memory_find(struct memory *memory, uint64_t address, uint64_t bytes,
	uint32_t flag);

/** @return where the @bytes bytes at @address lie in what was carried, with nothing collected for
 *  them, or NULL. They are within @range. */
const void *memory_look(const struct memory *memory, const struct memory_range *range,
	uint64_t address, uint64_t bytes);

/** Collect a piece for @range, which is memory_find()'s.
 *  @return room for its @bytes bytes, or NULL: they do not fit into the reply any more, or there is no
 *  memory. */
void *memory_place(struct memory *memory, const struct memory_range *range, uint64_t address,
	size_t bytes) __attribute__((warn_unused_result));

/** The piece that memory_place() gave last has but @bytes bytes. */
void memory_trim(struct memory *memory, size_t bytes);

/** The client has mapped memory for this call, which may touch it from now on, but by copies only.
 *  @return 0 or -ENOMEM. */
int memory_add_mapped(struct memory *memory, uint64_t address, uint64_t bytes)
	__attribute__((warn_unused_result));

/** Put what was collected for the @bytes bytes at @address over @to, a copy of them. */
void memory_overlay(const struct memory *memory, uint64_t address, void *to, size_t bytes);

/** The client has been sent @bytes bytes for @address now: what was collected or carried for them is
 *  not to undo that. */
void memory_written(struct memory *memory, uint64_t address, const void *from, size_t bytes);

#endif
