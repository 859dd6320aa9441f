/*
 * A trial: one call as a subject has it, changed in one place, made by one side, with all that can be seen
 * of it written to the side's account.
 */
#ifndef FERRY_TEST_CALLS_TRIAL_H
#define FERRY_TEST_CALLS_TRIAL_H

#include <stdbool.h>

#include "test/calls/side.h"
#include "test/calls/subject.h"

#define TRIAL_SAMPLE 23u

/* What is changed. */
enum change_kind {
	CHANGE_NOTHING,
	CHANGE_VALUE,    /* the argument becomes `value` */
	CHANGE_MANY,     /* ...and counts more than there is */
	CHANGE_COUNT,    /* it becomes that, and what it counts ends where memory ends */
	CHANGE_SHORT,    /* ...one byte earlier than it should */
	CHANGE_EDGE,     /* what the argument points at ends where memory ends */
	CHANGE_BEYOND,   /* ...one byte earlier than it should */
	CHANGE_ASTRIDE,  /* ...lies on two pages */
	CHANGE_STRING,   /* the argument becomes `text`, whose NUL is the last byte of memory */
	CHANGE_UNENDED,  /* ...without its NUL */
	CHANGE_REPEATED, /* it becomes a path of `value` bytes of `text` again and again */
	CHANGE_FIELD,    /* `bytes` bytes at `offset` of what it points at become `value` */
	CHANGE_ASIDE,    /* ...of what lies in WORD_ASIDE */
};

struct change {
	enum change_kind kind;
	unsigned index; /* of the argument */
	uint64_t value;
	const char *text;
	size_t offset, bytes;
	const char *name; /* for the label; NULL: the value */
};

struct trial {
	struct side *side;
	const struct call_row *row;
	const struct subject *subject;
	bool is_world_made; /* and no call has changed it */
	bool is_sampled;    /* only one in TRIAL_SAMPLE trials is run */
	unsigned number;    /* of the next one */
};

/** Make the call with @change, unless it is left out of the sample, in a world made anew if need be. */
void trial_run(struct trial *trial, const struct change *change);

/** The arguments and memory of the subject as it is, for a look at them. */
void trial_place(const struct trial *trial, uint64_t ret_arguments[CALL_ARGUMENTS_MAX]);

#endif
