/*
 * A cursor over bytes that came from a peer. Reading past the end yields zeros and sticks: read all
 * fields first, then ask reader_is_ok() once. The bytes stay the caller's and must outlive what
 * reader_bytes() returned.
 */
#ifndef FERRY_BASE_READER_H
#define FERRY_BASE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
	const uint8_t *cursor;
	size_t left_bytes;
	bool is_failed;
};

/** A reader over @bytes bytes at @from (@from may be NULL when @bytes is 0). */
struct reader reader_over(const void *from, size_t bytes);

/** @return whether every read so far lay within the bytes. */
bool reader_is_ok(const struct reader *reader) __attribute__((warn_unused_result));

/** @return whether every read lay within the bytes and none is left. */
bool reader_is_finished(const struct reader *reader) __attribute__((warn_unused_result));

uint8_t reader_u8(struct reader *reader);
uint16_t reader_le16(struct reader *reader);
uint32_t reader_le32(struct reader *reader);
uint64_t reader_le64(struct reader *reader);

/** Pass over @bytes bytes. */
void reader_skip(struct reader *reader, size_t bytes);

/** @return the next @bytes bytes where they lie, or NULL if fewer are left. */
const uint8_t *reader_bytes(struct reader *reader, size_t bytes);

/** Copy the next @bytes bytes to @ret_to; if fewer are left @ret_to is zeroed. */
void reader_copy(struct reader *reader, void *ret_to, size_t bytes);

#endif
