/*
 * The table-driven routine takes eight bytes a step. slices[k][b] is what byte b adds to the
 * remainder when k more bytes follow it. That is linear in b, so a slice follows from its entries
 * for single bits, highest bit first; over all slices these are the successive remainders of
 * 80, 40, ... in the reflected order, each the one before it shifted by one bit and reduced by the
 * polynomial 82F63B78.
 */
#include "base/crc32c.h"
#include "base/bytes.h"

#ifdef FERRY_HAVE_ISAL
#include <isa-l/crc.h>
#endif

#define BIT(byte, mask, remainder) (((byte) & (mask)) != 0 ? (remainder) : 0)

#define ENTRY(byte, r80, r40, r20, r10, r08, r04, r02, r01)                          \
	(BIT(byte, 0x80, r80) ^ BIT(byte, 0x40, r40) ^ BIT(byte, 0x20, r20) ^        \
		BIT(byte, 0x10, r10) ^ BIT(byte, 0x08, r08) ^ BIT(byte, 0x04, r04) ^ \
		BIT(byte, 0x02, r02) ^ BIT(byte, 0x01, r01))

#define ENTRIES_4(byte, ...)                                        \
	ENTRY((byte), __VA_ARGS__), ENTRY((byte) + 1, __VA_ARGS__), \
		ENTRY((byte) + 2, __VA_ARGS__), ENTRY((byte) + 3, __VA_ARGS__)

#define ENTRIES_16(byte, ...)                                               \
	ENTRIES_4((byte), __VA_ARGS__), ENTRIES_4((byte) + 4, __VA_ARGS__), \
		ENTRIES_4((byte) + 8, __VA_ARGS__), ENTRIES_4((byte) + 12, __VA_ARGS__)

#define ENTRIES_64(byte, ...)                                                  \
	ENTRIES_16((byte), __VA_ARGS__), ENTRIES_16((byte) + 16, __VA_ARGS__), \
		ENTRIES_16((byte) + 32, __VA_ARGS__), ENTRIES_16((byte) + 48, __VA_ARGS__)

#define SLICE(...)                                                                             \
	ENTRIES_64(0, __VA_ARGS__), ENTRIES_64(64, __VA_ARGS__), ENTRIES_64(128, __VA_ARGS__), \
		ENTRIES_64(192, __VA_ARGS__)

static const uint32_t slices[8][256] = {
	{SLICE(0x82f63b78, 0x417b1dbc, 0x20bd8ede, 0x105ec76f, 0x8ad958cf, 0xc79a971f, 0xe13b70f7,
		0xf26b8303)},
	{SLICE(0xfbc3faf9, 0xff17c604, 0x7f8be302, 0x3fc5f181, 0x9d14c3b8, 0x4e8a61dc, 0x274530ee,
		0x13a29877)},
	{SLICE(0x8b277743, 0xc76580d9, 0xe144fb14, 0x70a27d8a, 0x38513ec5, 0x9edea41a, 0x4f6f520d,
		0xa541927e)},
	{SLICE(0x52a0c93f, 0xaba65fe7, 0xd725148b, 0xe964b13d, 0xf64463e6, 0x7b2231f3, 0xbf672381,
		0xdd45aab8)},
	{SLICE(0x6ea2d55c, 0x37516aae, 0x1ba8b557, 0x8f2261d3, 0xc5670b91, 0xe045beb0, 0x7022df58,
		0x38116fac)},
	{SLICE(0x1c08b7d6, 0x0e045beb, 0x85f4168d, 0xc00c303e, 0x6006181f, 0xb2f53777, 0xdb8ca0c3,
		0xef306b19)},
	{SLICE(0xf56e0ef4, 0x7ab7077a, 0x3d5b83bd, 0x9c5bfaa6, 0x4e2dfd53, 0xa5e0c5d1, 0xd0065990,
		0x68032cc8)},
	{SLICE(0x34019664, 0x1a00cb32, 0x0d006599, 0x847609b4, 0x423b04da, 0x211d826d, 0x9278fa4e,
		0x493c7d27)},
};

uint32_t crc32c_by_table(uint32_t crc, const void *from, size_t bytes)
{
	const uint8_t *cursor = from;

	crc = ~crc;
	for (; bytes >= 8; bytes -= 8, cursor += 8) {
		uint32_t low = crc ^ le32_load(cursor);
		uint32_t high = le32_load(cursor + 4);

		crc = slices[7][low & 0xff] ^ slices[6][low >> 8 & 0xff] ^
			slices[5][low >> 16 & 0xff] ^ slices[4][low >> 24] ^
			slices[3][high & 0xff] ^ slices[2][high >> 8 & 0xff] ^
			slices[1][high >> 16 & 0xff] ^ slices[0][high >> 24];
	}
	for (; bytes > 0; bytes--, cursor++)
		crc = crc >> 8 ^ slices[0][(crc ^ *cursor) & 0xff];
	return ~crc;
}

#ifdef FERRY_HAVE_ISAL

#define PIECE_BYTES_MAX ((size_t)1 << 30) /* crc32_iscsi() counts in an int */

uint32_t crc32c(uint32_t crc, const void *from, size_t bytes)
{
	const uint8_t *cursor = from;

	crc = ~crc;
	while (bytes > 0) {
		size_t piece_bytes = bytes < PIECE_BYTES_MAX ? bytes : PIECE_BYTES_MAX;

		/* It only reads; its parameter lacks the const. */
		crc = crc32_iscsi((unsigned char *)cursor, (int)piece_bytes, crc);
		cursor += piece_bytes;
		bytes -= piece_bytes;
	}
	return ~crc;
}

#else

uint32_t crc32c(uint32_t crc, const void *from, size_t bytes)
{
	return crc32c_by_table(crc, from, bytes);
}

#endif
