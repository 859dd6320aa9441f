/*
 * The arguments that Linux was given point at what they were about, and so are what is printed, but for
 * those that were never made.
 */
#include "kernel/linux_trace.h"

#include <string.h>

#include "call/text.h"

static bool is_pointer(enum call_class class)
{
	return class != CALL_SCALAR && class != CALL_FD && class != CALL_DIRFD;
}

/* What is printed must be here, as far as it goes: no pointer of the client's that was not brought, and no
 * length of what Linux would have had to say. */
static void prepare(const struct linux_call *call, uint64_t arguments[CALL_ARGUMENTS_MAX])
{
	memcpy(arguments, call->local, sizeof(call->local));
	for (unsigned i = 0; i < call->row->argument_count; i++) {
		enum call_class class = (enum call_class)call->row->arguments[i].class;
		const struct call_extent *extent = &call->extents[i];

		if (class == CALL_SELECTED)
			class = extent->class;
		if (class == CALL_FD || class == CALL_DIRFD)
			arguments[i] = call->given[i];
		else if (is_pointer(class) && arguments[i] == call->given[i] && arguments[i] != 0)
			arguments[i] = (uint64_t)(uintptr_t)LINUX_NOWHERE;
		if (extent->is_sized && call->rooms[extent->size_index].local != NULL) {
			uint32_t *size = call->rooms[extent->size_index].local;

			if (*size > call->rooms[i].bytes)
				*size = (uint32_t)call->rooms[i].bytes;
		}
	}
}

void linux_trace(const struct linux_call *call, int64_t value)
{
	const struct linux_kernel_options *options = &call->kernel->options;
	uint64_t arguments[CALL_ARGUMENTS_MAX];
	char line[CALL_TEXT_MAX];

	prepare(call, arguments);
	(void)call_print(call->row->number, arguments, value, line, sizeof(line));
	options->trace(options->context, line);
}
