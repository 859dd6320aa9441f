/*
 * A user of a store for tests: asks one thing and takes turns of the loop until it is done.
 */
#ifndef FERRY_TEST_STORE_STORE_PROBE_H
#define FERRY_TEST_STORE_STORE_PROBE_H

#include "store/store.h"

/* A request and whether it is done. */
struct store_probe {
	struct store_request request;
	bool is_done;
};

/** Ask @store what @request says (opcode, is_durable, offset, bytes, data), without waiting. */
void store_probe_submit(struct store_probe *probe, struct store *store, struct loop *loop,
	struct store_request request);

/** Take turns until it is done. @return its error. */
int store_probe_wait(struct store_probe *probe, struct loop *loop);

/** Both. */
int store_probe_run(struct store *store, struct loop *loop, struct store_request request);

#endif
