/*
 * What the kinds of store and store_open() share.
 */
#ifndef FERRY_STORE_STORE_PRIVATE_H
#define FERRY_STORE_STORE_PRIVATE_H

#include "store/store.h"

/* Where the sentence goes that tells the user why a store cannot be opened. */
struct store_problem {
	char *text;
	size_t bytes;
};

/** Say why. @return @error, a negative errno. */
int store_problem_say(const struct store_problem *problem, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Fill in a store of memory, but for its operations.
 *  @param kind "ram" or "null": what its name begins with
 *  @param size_bytes a multiple of the block size */
void store_init_volatile(struct store *store, const char *kind, uint64_t size_bytes,
	const struct store_options *options);

/** The request has ended with @error, 0 or a positive errno. */
static inline void store_request_end(struct store_request *request, int error)
{
	request->error = error;
	request->done(request);
}

#endif
