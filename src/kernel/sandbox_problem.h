/*
 * What went wrong on the way into the sandbox, in a sentence.
 */
#ifndef FERRY_KERNEL_SANDBOX_PROBLEM_H
#define FERRY_KERNEL_SANDBOX_PROBLEM_H

#include <stddef.h>

struct sandbox_problem {
	char *text;
	size_t bytes;
};

/** Say that @what failed with @error. @return @error, for `return sandbox_fail(...)`. */
int sandbox_fail(const struct sandbox_problem *problem, int error, const char *what);

#endif
