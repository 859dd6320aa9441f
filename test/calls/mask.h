/*
 * Masks: what cannot be the same on both sides, since the two are different processes, at different times,
 * with files of different numbers.
 */
#ifndef FERRY_TEST_CALLS_MASK_H
#define FERRY_TEST_CALLS_MASK_H

#include "test/calls/side.h"

/** Make equal what the call has written and need not be. */
void mask_memory(struct side *side, const struct call_row *row,
	const uint64_t arguments[CALL_ARGUMENTS_MAX], int64_t value);

/** @return the value, or 1 for one that need only be greater than 0: ids of processes. */
int64_t mask_value(const struct call_row *row, int64_t value);

#endif
