/*
 * A flush of one namespace or of several, one after the other.
 */
#ifndef FERRY_TARGET_FLUSH_H
#define FERRY_TARGET_FLUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

struct namespace;

/* Embedded in its owner; used again only after done(). */
struct flush {
	void (*done)(struct flush *flush); /* perhaps from within flush_start() */
	int error; /* 0 or the first errno; the others were flushed all the same */
	/* private */
	struct store_request request;
	struct loop *loop;
	const struct namespace *next;
	uint32_t remaining_count;
	bool is_stepping;
	bool is_waiting;
};

/** Flush @count namespaces from @first on. */
void flush_start(struct flush *flush, struct loop *loop, const struct namespace *first,
	uint32_t count, void (*done)(struct flush *flush));

#endif
