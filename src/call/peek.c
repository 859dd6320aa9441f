/*
 * The kernel copies from this process to this process, and tells what it could not read. Where it is
 * forbidden to (a filter of system calls), pointers are followed as any program would.
 */
#include "call/peek.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECE_BYTES 256u /* of a string, read at a time; a part of any page */

int call_peek(void *ret_to, uint64_t address, size_t bytes)
{
	struct iovec here = {ret_to, bytes}, there = {(void *)(uintptr_t)address, bytes};
	ssize_t count;

	if (bytes == 0)
		return 0;
	/* The upper half is the kernel's, on every machine. */
	if (address > INT64_MAX)
		return -EFAULT;
	count = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
	if (count >= 0)
		return (size_t)count == bytes ? 0 : -EFAULT;
	if (errno != EPERM && errno != ENOSYS)
		return -EFAULT;
	memcpy(ret_to, (const void *)(uintptr_t)address, bytes);
	return 0;
}

int call_peek_string(uint64_t address, size_t limit, size_t *ret_bytes)
{
	char piece[PIECE_BYTES];

	for (size_t done = 0; done < limit;) {
		size_t bytes = PIECE_BYTES - ((address + done) & (PIECE_BYTES - 1));
		const char *end;

		if (bytes > limit - done)
			bytes = limit - done;
		if (call_peek(piece, address + done, bytes) != 0)
			return -EFAULT;
		end = memchr(piece, '\0', bytes);
		if (end != NULL) {
			*ret_bytes = done + (size_t)(end - piece) + 1;
			return 0;
		}
		done += bytes;
	}
	*ret_bytes = limit;
	return 0;
}
