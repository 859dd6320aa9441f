/*
 * UUIDs as NVMe keeps them: 16 bytes in the order in which they are printed.
 */
#ifndef FERRY_BASE_UUID_H
#define FERRY_BASE_UUID_H

#include <stddef.h>
#include <stdint.h>

#define UUID_BYTES      16
#define UUID_TEXT_BYTES 37 /* with NUL */

/** Parse "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" in either case. @return 0 or -EINVAL. */
int uuid_from_text(const char *text, uint8_t ret_uuid[UUID_BYTES])
	__attribute__((warn_unused_result));

/** Write @uuid in lower case. */
void uuid_to_text(const uint8_t uuid[UUID_BYTES], char ret_text[UUID_TEXT_BYTES]);

/** The name-based UUID (RFC 4122, version 5) of @bytes bytes at @name within Ferry's own name
 *  space: the same on every run and machine. */
void uuid_from_name(const void *name, size_t bytes, uint8_t ret_uuid[UUID_BYTES]);

#endif
