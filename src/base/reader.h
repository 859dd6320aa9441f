/*
 * A cursor over bytes that came from a peer. Reading past the end yields zeros and sticks: read all
 * fields first, then ask reader_is_ok() once. The bytes stay the caller's and must outlive what
 * reader_bytes() returned. A failed reader has no bytes left.
 */
#ifndef FERRY_BASE_READER_H
#define FERRY_BASE_READER_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
	const uint8_t *cursor;
	size_t left_bytes;
	bool is_failed;
};

/** A reader over @bytes bytes at @from (@from may be NULL when @bytes is 0). */
static inline struct reader reader_over(const void *from, size_t bytes)
{
	/* No NULL cursor: an empty read from it has to differ from a failed one. */
	return (struct reader){.cursor = from != NULL ? from : "", .left_bytes = bytes};
}

/** @return whether every read so far lay within the bytes. */
__attribute__((warn_unused_result)) static inline bool reader_is_ok(const struct reader *reader)
{
	return !reader->is_failed;
}

/** @return whether every read lay within the bytes and none is left. */
__attribute__((warn_unused_result)) static inline bool reader_is_finished(
	const struct reader *reader)
{
	return !reader->is_failed && reader->left_bytes == 0;
}

/** @return the next @bytes bytes where they lie, or NULL if fewer are left. */
static inline const uint8_t *reader_bytes(struct reader *reader, size_t bytes)
{
	const uint8_t *start = reader->cursor;

	if (__builtin_expect(bytes > reader->left_bytes || (bytes == 0 && reader->is_failed), 0)) {
		reader->left_bytes = 0;
		reader->is_failed = true;
		return NULL;
	}
	reader->cursor += bytes;
	reader->left_bytes -= bytes;
	return start;
}

static inline uint8_t reader_u8(struct reader *reader)
{
	const uint8_t *from = reader_bytes(reader, sizeof(uint8_t));

	return from != NULL ? *from : 0;
}

static inline uint16_t reader_le16(struct reader *reader)
{
	const uint8_t *from = reader_bytes(reader, sizeof(le16));

	return from != NULL ? le16_load(from) : 0;
}

static inline uint32_t reader_le32(struct reader *reader)
{
	const uint8_t *from = reader_bytes(reader, sizeof(le32));

	return from != NULL ? le32_load(from) : 0;
}

static inline uint64_t reader_le64(struct reader *reader)
{
	const uint8_t *from = reader_bytes(reader, sizeof(le64));

	return from != NULL ? le64_load(from) : 0;
}

/** Pass over @bytes bytes. */
static inline void reader_skip(struct reader *reader, size_t bytes)
{
	(void)reader_bytes(reader, bytes);
}

/** Copy the next @bytes bytes to @ret_to; if fewer are left @ret_to is zeroed. */
void reader_copy(struct reader *reader, void *ret_to, size_t bytes);

#endif
