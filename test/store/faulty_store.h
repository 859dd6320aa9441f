/*
 * A store for tests that wraps another and fails, delays or holds requests as its owner decides. All
 * of it belongs to one loop.
 */
#ifndef FERRY_TEST_STORE_FAULTY_STORE_H
#define FERRY_TEST_STORE_FAULTY_STORE_H

#include "store/store.h"

/* What happens to a request; all 0: it goes to the wrapped store at once. */
struct fault {
	int error;         /* it ends with this errno, the wrapped store is not asked; 0: it is */
	uint64_t delay_ms; /* before either */
	bool is_held;      /* before either, until faulty_store_release() */
};

/** Decide about @request. Called once for each, when it is submitted. */
typedef struct fault fault_decider(void *context, const struct store_request *request);

struct faulty_store;

/** Wrap @inner, which is freed with it. It has the same size, name and uuid, and lends nothing.
 *  @param decide NULL: no faults
 *  @return the wrapper; store_free(faulty_store_store()) frees both. Out of memory fails the test. */
struct faulty_store *faulty_store_new(struct store *inner, fault_decider *decide, void *context);

/** The store to be asked. */
struct store *faulty_store_store(struct faulty_store *faulty);

/** Let all held requests go on, in the order in which they were submitted. */
void faulty_store_release(struct faulty_store *faulty);

/** @return how many are held or delayed. */
unsigned faulty_store_waiting_count(const struct faulty_store *faulty);

/** @return how many of @opcode have been submitted so far. */
unsigned faulty_store_submitted_count(const struct faulty_store *faulty, enum store_opcode opcode);

#endif
