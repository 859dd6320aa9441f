/*
 * A side of a comparison: calls are made directly, or through a client of sysproxy. A side is a process,
 * of which nothing but the standard descriptors is open when it begins.
 */
#ifndef FERRY_TEST_CALLS_SIDE_H
#define FERRY_TEST_CALLS_SIDE_H

#include <signal.h>
#include <stdint.h>

#include "call/table.h"
#include "ferry/linux.h"
#include "test/calls/account.h"
#include "test/calls/arena.h"

struct side {
	struct ferry_sysproxy *client; /* NULL: direct */
	struct arena *arena;
	struct account *account;
	char folder
		[96]; /* absolute; empty at first, the same for both sides, one after the other */
	volatile sig_atomic_t *signal_count; /* that the process has been sent */
};

/** Make a call. A side whose call is not answered ends, with its account. @return as Linux */
int64_t side_call(struct side *side, uint32_t number, const uint64_t arguments[CALL_ARGUMENTS_MAX]);

#define SIDE_CALL(side_, number_, ...) \
	side_call(side_, number_, (const uint64_t[CALL_ARGUMENTS_MAX]){__VA_ARGS__})
#define SIDE_AT(pointer_) ((uint64_t)(uintptr_t)(pointer_))

/** End this process, with a sentence in the account. */
_Noreturn void side_fail(struct side *side, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
