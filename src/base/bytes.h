/*
 * Little-endian integers as they lie on a wire: byte arrays, so that a structure made of them has
 * no padding, no alignment and no byte order of its own, and cannot be read by accident as a native
 * number. NVMe and sysproxy are little-endian throughout.
 */
#ifndef FERRY_BASE_BYTES_H
#define FERRY_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

typedef struct {
	uint8_t bytes[2];
} le16;

typedef struct {
	uint8_t bytes[4];
} le32;

typedef struct {
	uint8_t bytes[8];
} le64;

static inline uint16_t le16_load(const void *from)
{
	uint16_t value;

	memcpy(&value, from, sizeof(value));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : __builtin_bswap16(value);
}

static inline uint32_t le32_load(const void *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : __builtin_bswap32(value);
}

static inline uint64_t le64_load(const void *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : __builtin_bswap64(value);
}

static inline uint16_t le16_get(le16 from)
{
	return le16_load(from.bytes);
}

static inline uint32_t le32_get(le32 from)
{
	return le32_load(from.bytes);
}

static inline uint64_t le64_get(le64 from)
{
	return le64_load(from.bytes);
}

static inline le16 le16_of(uint16_t value)
{
	le16 to;

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		value = __builtin_bswap16(value);
	memcpy(to.bytes, &value, sizeof(value));
	return to;
}

static inline le32 le32_of(uint32_t value)
{
	le32 to;

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		value = __builtin_bswap32(value);
	memcpy(to.bytes, &value, sizeof(value));
	return to;
}

static inline le64 le64_of(uint64_t value)
{
	le64 to;

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		value = __builtin_bswap64(value);
	memcpy(to.bytes, &value, sizeof(value));
	return to;
}

#endif
