/*
 * A cursor that fills a buffer of known size. Writing past the end writes nothing and sticks: write
 * all fields first, then ask writer_is_ok() once. used_bytes counts what was written.
 */
#ifndef FERRY_BASE_WRITER_H
#define FERRY_BASE_WRITER_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writer {
	uint8_t *start;
	size_t size_bytes;
	size_t used_bytes;
	bool is_failed;
};

/** A writer that fills @size_bytes bytes at @to, the caller's (NULL when @size_bytes is 0). */
static inline struct writer writer_over(void *to, size_t size_bytes)
{
	return (struct writer){.start = to, .size_bytes = size_bytes};
}

/** @return whether everything written so far had room. */
__attribute__((warn_unused_result)) static inline bool writer_is_ok(const struct writer *writer)
{
	return !writer->is_failed;
}

/** Copy @bytes bytes at @from (NULL when @bytes is 0). */
static inline void writer_copy(struct writer *writer, const void *from, size_t bytes)
{
	if (__builtin_expect(bytes > writer->size_bytes - writer->used_bytes, 0))
		writer->is_failed = true;
	if (writer->is_failed || bytes == 0)
		return;
	memcpy(writer->start + writer->used_bytes, from, bytes);
	writer->used_bytes += bytes;
}

static inline void writer_u8(struct writer *writer, uint8_t value)
{
	writer_copy(writer, &value, sizeof(value));
}

static inline void writer_le16(struct writer *writer, uint16_t value)
{
	le16 bytes = le16_of(value);

	writer_copy(writer, &bytes, sizeof(bytes));
}

static inline void writer_le32(struct writer *writer, uint32_t value)
{
	le32 bytes = le32_of(value);

	writer_copy(writer, &bytes, sizeof(bytes));
}

static inline void writer_le64(struct writer *writer, uint64_t value)
{
	le64 bytes = le64_of(value);

	writer_copy(writer, &bytes, sizeof(bytes));
}

void writer_zeros(struct writer *writer, size_t bytes);

#endif
