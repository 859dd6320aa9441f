#include "test/call/edge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

void edge_init(struct edge *edge)
{
	edge->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	edge->page = mmap(NULL, 2 * edge->page_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(edge->page != MAP_FAILED);
	edge->end = edge->page + edge->page_bytes;
	assert_int_equal(mprotect(edge->end, edge->page_bytes, PROT_NONE), 0);
}

void edge_deinit(struct edge *edge)
{
	(void)munmap(edge->page, 2 * edge->page_bytes);
}

uint64_t edge_put(struct edge *edge, const void *from, size_t bytes)
{
	memcpy(edge->end - bytes, from, bytes);
	return (uintptr_t)(edge->end - bytes);
}
