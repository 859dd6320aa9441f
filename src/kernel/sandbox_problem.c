/*
 * See sandbox_problem.h.
 */
#include "kernel/sandbox_problem.h"

#include <stdio.h>
#include <string.h>

int sandbox_fail(const struct sandbox_problem *problem, int error, const char *what)
{
	(void)snprintf(problem->text, problem->bytes, "%s: %s", what, strerrordesc_np(-error));
	return error;
}
