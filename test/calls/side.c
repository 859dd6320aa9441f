/*
 * A raw system call returns -1 for every error; errno says which.
 */
#include "test/calls/side.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void side_fail(struct side *side, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(side->account->problem, sizeof(side->account->problem), format, arguments);
	va_end(arguments);
	_exit(1);
}

int64_t side_call(struct side *side, uint32_t number, const uint64_t a[CALL_ARGUMENTS_MAX])
{
	int64_t value = 0;
	int error;

	if (side->client == NULL) {
		value = syscall((long)number, a[0], a[1], a[2], a[3], a[4], a[5]);
		return value >= 0 || value < -4095 ? value : -errno;
	}
	error = ferry_linux_call(side->client, number, a, &value);
	if (error != 0)
		side_fail(side, "call %u was not answered: %s", number, strerror(-error));
	return value;
}
