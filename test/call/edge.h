/*
 * Memory for tests: two pages, of which the second is not there.
 */
#ifndef FERRY_TEST_CALL_EDGE_H
#define FERRY_TEST_CALL_EDGE_H

#include <stddef.h>
#include <stdint.h>

struct edge {
	uint8_t *page; /* writable */
	uint8_t *end;  /* the first byte that cannot be touched */
	size_t page_bytes;
};

/** Fails the test if it cannot. */
void edge_init(struct edge *edge);
void edge_deinit(struct edge *edge);

/** Put @bytes bytes right before the end. @return their address. */
uint64_t edge_put(struct edge *edge, const void *from, size_t bytes);

#endif
