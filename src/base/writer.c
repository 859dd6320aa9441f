/*
 * The part of a writer that is not worth inlining.
 */
#include "base/writer.h"

void writer_zeros(struct writer *writer, size_t bytes)
{
	if (bytes > writer->size_bytes - writer->used_bytes)
		writer->is_failed = true;
	if (writer->is_failed || bytes == 0)
		return;
	memset(writer->start + writer->used_bytes, 0, bytes);
	writer->used_bytes += bytes;
}
