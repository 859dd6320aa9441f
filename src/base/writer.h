/*
 * A cursor that fills a buffer of known size. Writing past the end writes nothing and sticks: write
 * all fields first, then ask writer_is_ok() once. used_bytes counts what was written.
 */
#ifndef FERRY_BASE_WRITER_H
#define FERRY_BASE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writer {
	uint8_t *start;
	size_t size_bytes;
	size_t used_bytes;
	bool is_failed;
};

/** A writer that fills @size_bytes bytes at @to, the caller's. */
struct writer writer_over(void *to, size_t size_bytes);

/** @return whether everything written so far had room. */
bool writer_is_ok(const struct writer *writer) __attribute__((warn_unused_result));

void writer_u8(struct writer *writer, uint8_t value);
void writer_le16(struct writer *writer, uint16_t value);
void writer_le32(struct writer *writer, uint32_t value);
void writer_le64(struct writer *writer, uint64_t value);
void writer_zeros(struct writer *writer, size_t bytes);
void writer_copy(struct writer *writer, const void *from, size_t bytes);

#endif
