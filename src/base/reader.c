/*
 * The part of a reader that is not worth inlining.
 */
#include "base/reader.h"

void reader_copy(struct reader *reader, void *ret_to, size_t bytes)
{
	const uint8_t *from = reader_bytes(reader, bytes);

	if (bytes == 0)
		return;
	if (from != NULL)
		memcpy(ret_to, from, bytes);
	else
		memset(ret_to, 0, bytes);
}
