/*
 * Numbers and names in text: sizes, counts, checked copies into fixed fields.
 */
#ifndef FERRY_BASE_TEXT_H
#define FERRY_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Parse a decimal number in @minimum..@maximum, nothing before or after it.
 *  @return 0, -EINVAL (no number) or -ERANGE. */
int text_parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_value)
	__attribute__((warn_unused_result));

/** Parse a size in bytes: a number with an optional suffix K, M, G, T or P (powers of 1024, either
 *  case, optionally followed by "iB" or "B").
 *  @return 0, -EINVAL or -ERANGE (over 2^63-1). */
int text_parse_size(const char *text, uint64_t *ret_bytes) __attribute__((warn_unused_result));

#define TEXT_SIZE_MAX 16

/** Write @bytes as people read it ("64 MiB", "1.5 GiB", "512 B") to @ret_text. */
void text_from_size(uint64_t bytes, char ret_text[TEXT_SIZE_MAX]);

/** Copy @text to a field of @bytes bytes, cut to fit and padded with @pad; no NUL is added. */
void text_to_field(void *ret_field, size_t bytes, const char *text, char pad);

/** Copy a padded field (NUL or space at its end) to a string of @bytes + 1 bytes; bytes that are
 *  not printable ASCII become '?'. */
void text_from_field(char *ret_text, const void *field, size_t bytes);

/** Copy @text to @ret_to. @return whether it fit, its NUL included; if not, @ret_to is empty. */
bool text_copy(char *ret_to, size_t bytes, const char *text) __attribute__((warn_unused_result));

#define UUID_TEXT_BYTES 37

/** Parse "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" in either case. @return 0 or -EINVAL. */
int uuid_from_text(const char *text, uint8_t ret_uuid[16]) __attribute__((warn_unused_result));
void uuid_to_text(const uint8_t uuid[16], char ret_text[UUID_TEXT_BYTES]);

/** The name-based UUID (RFC 4122, version 5) of @bytes bytes at @name within Ferry's own name
 *  space: the same on every run and machine. */
void uuid_from_name(const void *name, size_t bytes, uint8_t ret_uuid[16]);

#endif
