/*
 * A private mapping without reserve: a page is taken when it is first written to, and given back
 * when a range with the whole of it is zeroed or discarded.
 */
#include "store/memory_store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/list.h"
#include "store/store_private.h"

/* So many bytes are given back to the system rather than overwritten. */
#define GIVE_BACK_BYTES (64u << 10)

struct memory_store {
	struct store store;
	uint8_t *blocks;
};

static void zero(uint8_t *blocks, size_t bytes)
{
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	size_t before_bytes = -(uintptr_t)blocks & (page_bytes - 1);
	size_t pages_bytes;

	if (bytes < GIVE_BACK_BYTES) {
		memset(blocks, 0, bytes);
		return;
	}
	pages_bytes = (bytes - before_bytes) & ~(page_bytes - 1);
	memset(blocks, 0, before_bytes);
	if (madvise(blocks + before_bytes, pages_bytes, MADV_DONTNEED) != 0)
		memset(blocks + before_bytes, 0, pages_bytes);
	memset(blocks + before_bytes + pages_bytes, 0, bytes - before_bytes - pages_bytes);
}

static void memory_store_submit(struct store *store, struct loop *loop,
	struct store_request *request)
{
	struct memory_store *memory = container_of(store, struct memory_store, store);
	uint8_t *blocks = memory->blocks + request->offset;
	int error = 0;

	(void)loop;
	switch (request->opcode) {
	case STORE_READ:
		memcpy(request->data, blocks, request->bytes);
		break;
	case STORE_WRITE:
		if (store->is_read_only)
			error = EROFS;
		else
			memcpy(blocks, request->data, request->bytes);
		break;
	case STORE_ZERO:
	case STORE_DISCARD:
		if (store->is_read_only)
			error = EROFS;
		else
			zero(blocks, request->bytes);
		break;
	case STORE_FLUSH:
		break;
	}
	store_request_end(request, error);
}

static const uint8_t *memory_store_lend(struct store *store, uint64_t offset, size_t bytes)
{
	struct memory_store *memory = container_of(store, struct memory_store, store);

	assert(offset + bytes <= atomic_load_explicit(&store->size_bytes, memory_order_relaxed));
	return memory->blocks + offset;
}

static void memory_store_free(struct store *store)
{
	struct memory_store *memory = container_of(store, struct memory_store, store);

	(void)munmap(memory->blocks, (size_t)store->size_bytes);
	free(memory);
}

static const struct store_operations memory_operations = {
	.submit = memory_store_submit,
	.lend = memory_store_lend,
	.free = memory_store_free,
};

int memory_store_new(uint64_t size_bytes, const struct store_options *options,
	struct store **ret_store)
{
	struct memory_store *memory;
	void *blocks;

	if (size_bytes > SIZE_MAX)
		return -ENOMEM;
	blocks = mmap(NULL, (size_t)size_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (blocks == MAP_FAILED)
		return -ENOMEM;
	memory = calloc(1, sizeof(*memory));
	if (memory == NULL) {
		(void)munmap(blocks, (size_t)size_bytes);
		return -ENOMEM;
	}
	memory->blocks = blocks;
	memory->store.operations = &memory_operations;
	store_init_volatile(&memory->store, "ram", size_bytes, options);
	memory->store.discard_bytes = GIVE_BACK_BYTES;
	*ret_store = &memory->store;
	return 0;
}
