/*
 * Linux gives the lowest number that is free, which is the worker's own when those of the client are all
 * taken.
 */
#include "kernel/linux_made.h"

#include <unistd.h>

void linux_made_close(const struct linux_call *call, int64_t value)
{
	bool is_pair = false;

	for (unsigned i = 0; i < call->row->argument_count; i++) {
		const int *fds = call->rooms[i].local;

		if (call->extents[i].format != CALL_FORMAT_FDS || fds == NULL)
			continue;
		(void)close(fds[0]);
		(void)close(fds[1]);
		is_pair = true;
	}
	if (!is_pair)
		(void)close((int)value);
}

bool linux_made_is_hidden(const struct linux_call *call, int64_t value)
{
	bool is_hidden = linux_call_is_hidden(call, (int)value);

	for (unsigned i = 0; i < call->row->argument_count; i++) {
		const int *fds = call->rooms[i].local;

		if (call->extents[i].format == CALL_FORMAT_FDS && fds != NULL)
			is_hidden = linux_call_is_hidden(call, fds[0]) ||
				linux_call_is_hidden(call, fds[1]);
	}
	return is_hidden;
}

bool linux_made_is_any(const struct linux_call *call)
{
	if ((call->row->flags & CALL_MAKES_FD) != 0)
		return true;
	for (unsigned i = 0; i < call->row->argument_count; i++) {
		if (call->extents[i].code != NULL &&
			(call->extents[i].code->flags & CALL_MAKES_FD) != 0)
			return true;
	}
	return false;
}
