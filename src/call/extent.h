/*
 * An extent: which bytes of memory an argument of a certain call is about, by its row and the values of
 * its arguments. Memory itself is not looked at.
 */
#ifndef FERRY_CALL_EXTENT_H
#define FERRY_CALL_EXTENT_H

#include "call/codes.h"
#include "call/table.h"

struct call_extent {
	enum call_class class; /* as in the row; never SELECTED: what the code makes of it */
	enum call_format format;
	/* Bytes of IN, OUT and IN_OUT; the most of them if is_sized, of PATH and STRING. For vectors and
	 * messages: bytes of all their elements, the structures themselves. */
	uint64_t bytes;
	uint32_t unit_bytes; /* bytes is so many times the count */
	/* The true number of bytes is the uint32_t that argument size_index points at. */
	bool is_sized;
	uint8_t size_index;
	const struct call_code *code; /* of CALL_SELECTED, else NULL */
};

/** @param index of the argument, below row->argument_count
 *  @return 0; -EINVAL or -E2BIG: a count is beyond its limit; or as call_code_refusal(). A negative count is none:
 *  the extent has 0 bytes, and Linux will refuse it. */
int call_extent(const struct call_row *row, const uint64_t arguments[CALL_ARGUMENTS_MAX],
	unsigned index, struct call_extent *ret_extent) __attribute__((warn_unused_result));

/** @return the value of a scalar as Linux takes it: cut to 32 bits, or not. */
uint64_t call_scalar(const struct call_argument *argument, uint64_t value);

#endif
