/*
 * A call of Linux's: the call table says what it is about, ferry_sysproxy_call() does the rest. Most
 * calls have few ranges, which lie on the stack; a long vector's are allocated.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "call/codes.h"
#include "call/peek.h"
#include "call/ranges.h"
#include "call/table.h"
#include "ferry/linux.h"
#include "sysproxy/client_private.h"

#define RANGES_INLINE 16u

static_assert(FERRY_SYSPROXY_IN == CALL_RANGE_IN && FERRY_SYSPROXY_OUT == CALL_RANGE_OUT, "");
static_assert(FERRY_LINUX_ARGUMENTS == CALL_ARGUMENTS_MAX, "");

/* @return whether the path at @address means the same to a process that has just begun. */
static bool is_absolute(uint64_t address)
{
	char first;

	return call_peek(&first, address, 1) == 0 && first == '/';
}

/* @return whether the call may be made again by a new process: its descriptors and its working directory
 * are gone with the old one. */
static bool is_repeatable(const struct call_row *row, const uint64_t *arguments)
{
	if ((row->flags & CALL_CAN_REPEAT) == 0)
		return false;
	for (unsigned i = 0; i < row->argument_count; i++) {
		if (row->arguments[i].class == CALL_FD ||
			(row->arguments[i].class == CALL_PATH && !is_absolute(arguments[i])))
			return false;
	}
	return true;
}

static unsigned flags_of(const struct call_row *row, const uint64_t *arguments)
{
	const struct call_code *code = call_select(row, arguments);
	bool is_waiting = ((row->flags | (code != NULL ? code->flags : 0)) & CALL_MAY_BLOCK) != 0;

	return (is_waiting ? FERRY_SYSPROXY_INTERRUPTIBLE : 0) |
		(is_repeatable(row, arguments) ? FERRY_SYSPROXY_REPEATABLE : 0);
}

/* A call on its way. The call table may make a count in `arguments` less. */
struct linux_call {
	const struct call_row *row; /* NULL: not carried, which the kernel shall say */
	struct ferry_sysproxy_call call;
	uint64_t arguments[CALL_ARGUMENTS_MAX];
};

/* Make @linux_call with what @ranges has declared; @places: room for as many. */
static int make(struct ferry_sysproxy *client, struct linux_call *linux_call,
	const struct call_ranges *ranges, struct ferry_sysproxy_range *places)
{
	for (unsigned i = 0; i < ranges->count; i++)
		places[i] =
			(struct ferry_sysproxy_range){(void *)(uintptr_t)ranges->items[i].address,
				(size_t)ranges->items[i].bytes, ranges->items[i].flags};
	linux_call->call.arguments = linux_call->arguments;
	linux_call->call.ranges = places;
	linux_call->call.range_count = ranges->count;
	return ferry_sysproxy_call(client, &linux_call->call);
}

static int make_large(struct ferry_sysproxy *client, struct linux_call *linux_call)
{
	CLEANUP(cleanup_free)
	struct call_range *items = calloc(FERRY_SYSPROXY_RANGES_MAX, sizeof(*items));
	CLEANUP(cleanup_free)
	struct ferry_sysproxy_range *places = calloc(FERRY_SYSPROXY_RANGES_MAX, sizeof(*places));
	struct call_ranges ranges = {items, FERRY_SYSPROXY_RANGES_MAX, 0};
	int error;

	if (items == NULL || places == NULL)
		return -ENOMEM;
	error = call_ranges(linux_call->row, linux_call->arguments, &ranges);
	return error == 0 ? make(client, linux_call, &ranges, places) : error;
}

static int make_any(struct ferry_sysproxy *client, struct linux_call *linux_call)
{
	struct call_range items[RANGES_INLINE];
	struct ferry_sysproxy_range places[RANGES_INLINE];
	struct call_ranges ranges = {items, RANGES_INLINE, 0};
	uint64_t asked[CALL_ARGUMENTS_MAX];
	int error = 0;

	memcpy(asked, linux_call->arguments, sizeof(asked));
	if (linux_call->row != NULL)
		error = call_ranges(linux_call->row, linux_call->arguments, &ranges);
	if (error == -ENOBUFS || memcmp(asked, linux_call->arguments, sizeof(asked)) != 0) {
		memcpy(linux_call->arguments, asked, sizeof(asked));
		return make_large(client, linux_call);
	}
	return error == 0 ? make(client, linux_call, &ranges, places) : error;
}

int ferry_linux_call(struct ferry_sysproxy *client, uint32_t number,
	const uint64_t arguments[FERRY_LINUX_ARGUMENTS], int64_t *ret_value)
{
	struct linux_call linux_call = {.row = call_find(number),
		.call = {.number = number, .argument_count = FERRY_LINUX_ARGUMENTS}};
	int error;

	if (!ferry_sysproxy_is_extended(client))
		return -EOPNOTSUPP;
	memcpy(linux_call.arguments, arguments, sizeof(linux_call.arguments));
	if (linux_call.row != NULL) {
		linux_call.call.argument_count = linux_call.row->argument_count;
		linux_call.call.flags = flags_of(linux_call.row, arguments);
	}
	error = make_any(client, &linux_call);
	if (error == 0)
		*ret_value = linux_call.call.error != 0 ? -linux_call.call.error
							: linux_call.call.values[0];
	else if (error == -EFAULT || error == -ENOBUFS)
		*ret_value = error;
	return error == -EFAULT || error == -ENOBUFS ? 0 : error;
}
