/*
 * Variations: from a subject and its row of the call table all the changes that are to be tried.
 */
#ifndef FERRY_TEST_CALLS_VARIATION_H
#define FERRY_TEST_CALLS_VARIATION_H

#include "test/calls/trial.h"

/** Run all trials of a subject. */
void variation_run(struct trial *trial);

/** Run those of each code of a row that has codes: ioctl(), fcntl(), getsockopt(), setsockopt(). Does
 *  nothing for others. */
void variation_run_codes(struct trial *trial);

#endif
