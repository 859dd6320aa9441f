/*
 * Subjects: for each row of the call table calls that succeed, from whose arguments all others are made.
 */
#ifndef FERRY_TEST_CALLS_SUBJECT_H
#define FERRY_TEST_CALLS_SUBJECT_H

#include "call/table.h"

struct subject {
	const char *name;                          /* of the row */
	const char *words[CALL_ARGUMENTS_MAX + 1]; /* an argument each (word.h), and NULL */
};

/** All subjects; those of one row may be several. */
const struct subject *subjects(size_t *ret_count);

/** @return whether its words are as many as its row has arguments. */
bool subject_is_whole(const struct subject *subject, const struct call_row *row);

#endif
