/*
 * Deviations: what a call by sysproxy does otherwise than a direct one, on purpose. All that is not here
 * is a mistake, and so is what is here and never happens.
 */
#ifndef FERRY_TEST_CALLS_DEVIATION_H
#define FERRY_TEST_CALLS_DEVIATION_H

#include <stdbool.h>
#include <stddef.h>

#include "test/calls/account.h"

#define DEVIATIONS_MAX 64u

/** @return the index of the deviation that explains the difference of the two lines, or -1. */
int deviation_find(const char *name, const struct account_line *direct,
	const struct account_line *lent);

size_t deviation_count(void);

/** @return why it is so. */
const char *deviation_reason(size_t index);

#endif
