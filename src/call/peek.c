/*
 * The kernel copies from this process to this process, and tells what it could not read. Where it is
 * forbidden to (a filter of system calls), it is asked for each page whether it can be read.
 */
#include "call/peek.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE_BYTES  4096u /* the least there is */
#define WORD_BYTES  8u    /* of a set of signals */
#define PIECE_BYTES 256u  /* of a string, read at a time; a part of any page */

/* Whether the kernel can read the word at @address, by a call that reads it and does nothing. */
static bool is_word_readable(uint64_t address)
{
	enum { NO_SUCH_HOW = -1 };
	long value = syscall(SYS_rt_sigprocmask, NO_SUCH_HOW, (uintptr_t)address, NULL, WORD_BYTES);

	return value == 0 || errno != EFAULT;
}

/* A page can be read as a whole or not at all. */
static bool is_readable(uint64_t address, size_t bytes)
{
	uint64_t last = (address + bytes - 1) & ~(uint64_t)(WORD_BYTES - 1);

	if (address > UINT64_MAX - bytes)
		return false;
	for (uint64_t at = address & ~(uint64_t)(PAGE_BYTES - 1); at <= last; at += PAGE_BYTES) {
		if (!is_word_readable(at + WORD_BYTES)) /* at 0 nothing would be read */
			return false;
	}
	return true;
}

int call_peek(void *ret_to, uint64_t address, size_t bytes)
{
	struct iovec here = {.iov_len = bytes}, there = {(void *)(uintptr_t)address, bytes};
	ssize_t count;

	if (bytes == 0)
		return 0;
	/* The upper half is the kernel's, on every machine. */
	if (address > INT64_MAX)
		return -EFAULT;
	here.iov_base = ret_to;
	count = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
	if (count >= 0)
		return (size_t)count == bytes ? 0 : -EFAULT;
	if (errno != EPERM && errno != ENOSYS)
		return -EFAULT;
	if (!is_readable(address, bytes))
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
