/*
 * By what an argument is, or by the call or code where that does not say it.
 */
#include "test/calls/mask.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "call/codes.h"
#include "call/extent.h"

#define RECORD_BYTES_AT 16u /* of linux_dirent and linux_dirent64: the record's length */

static void clear(uint8_t *at, size_t offset, size_t bytes)
{
	memset(at + offset, 0, bytes);
}

static void mask_stat(uint8_t *at)
{
	clear(at, offsetof(struct stat, st_ino), sizeof(((struct stat *)0)->st_ino));
	clear(at, offsetof(struct stat, st_atim), 3 * sizeof(struct timespec));
}

static void mask_statx(uint8_t *at)
{
	clear(at, offsetof(struct statx, stx_ino), 8);
	clear(at, offsetof(struct statx, stx_atime), 4 * sizeof(struct statx_timestamp));
}

/* The port that Linux has chosen. */
static void mask_address(uint8_t *at, size_t bytes)
{
	sa_family_t family;

	if (bytes < 4)
		return;
	memcpy(&family, at, sizeof(family));
	if (family == AF_INET || family == AF_INET6)
		clear(at, 2, 2);
}

/* Numbers and places of files. */
static void mask_entries(uint8_t *at, size_t bytes)
{
	while (bytes >= RECORD_BYTES_AT + 2) {
		uint16_t record_bytes;

		memcpy(&record_bytes, at + RECORD_BYTES_AT, sizeof(record_bytes));
		if (record_bytes < RECORD_BYTES_AT + 2 || record_bytes > bytes)
			return;
		clear(at, 0, RECORD_BYTES_AT);
		at += record_bytes;
		bytes -= record_bytes;
	}
}

static bool is_different(const struct call_code *code)
{
	if (code->level == SOL_SOCKET)
		return code->code == SO_COOKIE || code->code == SO_INCOMING_CPU ||
			code->code == SO_PEERCRED || code->code == SO_MEMINFO;
	if (code->level == IPPROTO_TCP)
		return code->code == TCP_INFO || code->code == TCP_CC_INFO ||
			code->code == TCP_TIMESTAMP;
	/* Files without a name have one hint for the whole machine. */
	return code->level == 0 &&
		(code->code == (uint32_t)FS_IOC_GETVERSION || code->code == F_GET_RW_HINT);
}

static void mask_argument(const struct call_row *row, const struct call_extent *extent, uint8_t *at,
	int64_t value)
{
	size_t bytes = (size_t)extent->bytes;

	switch (row->number) {
#ifdef SYS_getdents
	case SYS_getdents:
#endif
	case SYS_getdents64:
		mask_entries(at, value > 0 && (size_t)value < bytes ? (size_t)value : 0);
		return;
	case SYS_statfs:
	case SYS_fstatfs:
	case SYS_sysinfo:
		if (value == 0)
			clear(at, 0, bytes);
		return;
	default:
		break;
	}
	if (extent->code != NULL && is_different(extent->code))
		clear(at, 0, bytes);
	else if (extent->format == CALL_FORMAT_STAT)
		mask_stat(at);
	else if (extent->format == CALL_FORMAT_STATX)
		mask_statx(at);
	else if (extent->format == CALL_FORMAT_ADDRESS && extent->class == CALL_OUT)
		mask_address(at, bytes);
	else if (extent->class == CALL_IN_OUT &&
		(extent->format == CALL_FORMAT_TIMESPEC || extent->format == CALL_FORMAT_TIMEVAL) &&
		value >= 0)
		clear(at, 0, bytes);
}

void mask_memory(struct side *side, const struct call_row *row,
	const uint64_t arguments[CALL_ARGUMENTS_MAX], int64_t value)
{
	for (unsigned i = 0; i < row->argument_count; i++) {
		struct call_extent extent;

		if (call_extent(row, arguments, i, &extent) != 0)
			continue;
		if (extent.class != CALL_OUT && extent.class != CALL_IN_OUT)
			continue;
		if (extent.is_sized && arena_has(side->arena, arguments[extent.size_index], 4)) {
			uint32_t size;

			memcpy(&size, (const void *)(uintptr_t)arguments[extent.size_index],
				sizeof(size));
			if (size < extent.bytes)
				extent.bytes = size;
		}
		if (extent.bytes > 0 && arena_has(side->arena, arguments[i], (size_t)extent.bytes))
			mask_argument(row, &extent, (uint8_t *)(uintptr_t)arguments[i], value);
	}
}

int64_t mask_value(const struct call_row *row, int64_t value)
{
	switch (row->number) {
	case SYS_getpid:
	case SYS_getppid:
	case SYS_getpgid:
#ifdef SYS_getpgrp
	case SYS_getpgrp:
#endif
	case SYS_getsid:
		return value > 0 ? 1 : value;
	default:
		return value;
	}
}
