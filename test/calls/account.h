/*
 * An account: the lines that one side of a comparison writes, in memory that is shared with the process
 * that compares. It outlives a side that dies.
 */
#ifndef FERRY_TEST_CALLS_ACCOUNT_H
#define FERRY_TEST_CALLS_ACCOUNT_H

#include <stddef.h>
#include <stdint.h>

#define ACCOUNT_LINE_MAX 1024u

/* What one call has come to. */
struct account_line {
	int64_t value; /* as Linux returns it */
	char label[160];
	char text[ACCOUNT_LINE_MAX]; /* all else that can be seen of it */
	unsigned is_done;            /* 0: the side is still in the call, or died there */
};

#define ACCOUNT_LINES_MAX 16384u

struct account {
	size_t count;
	unsigned is_complete; /* the side has come to its end */
	char problem[256];    /* why it has not */
	struct account_line lines[ACCOUNT_LINES_MAX];
};

/** @return an empty account, shared with children that are forked later. */
struct account *account_new(void);
void account_free(struct account *account);

/** Forget all lines. */
void account_clear(struct account *account);

#endif
