/*
 * Counts meet their limits here, before they are multiplied.
 */
#include "call/extent.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>

uint64_t call_scalar(const struct call_argument *argument, uint64_t value)
{
	if ((argument->flags & CALL_IS_WORD) == 0)
		return value;
	return (argument->flags & CALL_IS_SIGNED) != 0 ? (uint64_t)(int64_t)(int32_t)value
						       : (uint32_t)value;
}

/* The units that argument @index counts; a negative number of them is none. */
static uint64_t count_of(const struct call_row *row, const uint64_t *arguments, unsigned index)
{
	const struct call_argument *counter = &row->arguments[index];
	uint64_t count = call_scalar(counter, arguments[index]);

	return (counter->flags & CALL_IS_SIGNED) != 0 && (int64_t)count < 0 ? 0 : count;
}

/* @return 0 with what is asked for, or -errno: more than the limit. */
static int take_count(const struct call_argument *argument, uint64_t count,
	struct call_extent *extent)
{
	if (count > argument->limit) {
		if ((argument->flags & CALL_IS_CUT) == 0)
			return (argument->flags & CALL_IS_TOO_BIG) != 0 ? -E2BIG : -EINVAL;
		count = argument->limit;
	}
	extent->unit_bytes = argument->unit_bytes;
	extent->bytes = count * argument->unit_bytes;
	return 0;
}

static int take_memory(const struct call_row *row, const uint64_t *arguments,
	const struct call_argument *argument, struct call_extent *extent)
{
	if (argument->length == CALL_FIXED)
		return take_count(argument, 1, extent);
	if (argument->length == CALL_FD_SET)
		return take_count(argument, (count_of(row, arguments, 0) + 63) / 64, extent);
	if ((argument->flags & CALL_IS_SIZED) == 0)
		return take_count(argument, count_of(row, arguments, argument->length), extent);
	extent->is_sized = true;
	extent->size_index = argument->length;
	return take_count(argument, argument->limit, extent);
}

/* The bytes of an option's value: what setsockopt() says, or getsockopt() has room for. */
static int take_option(const struct call_row *row, const uint64_t *arguments, unsigned size_index,
	struct call_extent *extent)
{
	uint64_t bytes;

	extent->unit_bytes = 1;
	extent->bytes = extent->code->unit_bytes;
	if (row->arguments[size_index].class == CALL_SIZE) {
		extent->class = CALL_OUT;
		extent->is_sized = true;
		extent->size_index = (uint8_t)size_index;
		return 0;
	}
	extent->class = CALL_IN;
	bytes = count_of(row, arguments, size_index);
	/* Linux looks at no more than the option has. */
	if (bytes < extent->bytes)
		extent->bytes = bytes;
	return 0;
}

static int take_selected(const struct call_row *row, const uint64_t *arguments, unsigned index,
	struct call_extent *extent)
{
	enum call_set set = (enum call_set)row->arguments[index].unit_bytes;

	extent->code = call_select(row, arguments);
	if (extent->code == NULL)
		return call_code_refusal(set);
	extent->class = (enum call_class)extent->code->class;
	extent->format = (enum call_format)extent->code->format;
	if (set == CALL_SET_OPTION)
		return take_option(row, arguments, index + 1, extent);
	extent->unit_bytes = extent->code->unit_bytes;
	extent->bytes = extent->code->unit_bytes;
	return 0;
}

int call_extent(const struct call_row *row, const uint64_t arguments[CALL_ARGUMENTS_MAX],
	unsigned index, struct call_extent *ret_extent)
{
	const struct call_argument *argument = &row->arguments[index];
	struct call_extent extent = {.class = (enum call_class)argument->class,
		.format = (enum call_format)argument->format};
	int error = 0;

	assert(index < row->argument_count);
	switch (extent.class) {
	case CALL_SCALAR:
	case CALL_FD:
	case CALL_DIRFD:
	case CALL_SIGNALS:
		break;
	case CALL_PATH:
		extent.bytes = PATH_MAX;
		extent.unit_bytes = 1;
		break;
	case CALL_STRING:
		extent.bytes = argument->unit_bytes;
		extent.unit_bytes = 1;
		break;
	case CALL_SIZE:
		extent.bytes = extent.unit_bytes = argument->unit_bytes;
		break;
	case CALL_IN:
	case CALL_OUT:
	case CALL_IN_OUT:
	case CALL_VECTOR_IN:
	case CALL_VECTOR_OUT:
	case CALL_MESSAGE_IN:
	case CALL_MESSAGE_OUT:
	case CALL_MESSAGES_IN:
	case CALL_MESSAGES_OUT:
		error = take_memory(row, arguments, argument, &extent);
		break;
	case CALL_SELECTED:
		error = take_selected(row, arguments, index, &extent);
		break;
	}
	if (error == 0)
		*ret_extent = extent;
	return error;
}
