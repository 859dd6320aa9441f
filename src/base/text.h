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

/** Parse a size in bytes: a number with an optional suffix K, M, G, T or P (powers of 1024),
 *  which "iB" or "B" may follow; either case.
 *  @return 0, -EINVAL or -ERANGE (over 2^63-1). */
int text_parse_size(const char *text, uint64_t *ret_bytes) __attribute__((warn_unused_result));

#define TEXT_SIZE_MAX 32

/** Write @bytes as people read it ("64 MiB", "1.5 GiB", "512 B") to @ret_text, rounded down
 *  to a tenth of the unit. */
void text_from_size(uint64_t bytes, char ret_text[TEXT_SIZE_MAX]);

/** Copy @text to a field of @bytes bytes, cut to fit and padded with @pad; no NUL is added. */
void text_to_field(void *ret_field, size_t bytes, const char *text, char pad);

/** Copy a padded field (NUL or space at its end) to a string of @bytes + 1 bytes; bytes that are
 *  not printable ASCII become '?'. */
void text_from_field(char *ret_text, const void *field, size_t bytes);

/** Copy @text to @bytes bytes at @ret_to. @return whether it fit, its NUL included; if not, @ret_to is empty. */
bool text_copy(char *ret_to, size_t bytes, const char *text) __attribute__((warn_unused_result));

#endif
