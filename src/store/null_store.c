/*
 * Zeros to read and to lend.
 */
#include "store/null_store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/list.h"
#include "store/store_private.h"

struct null_store {
	struct store store;
	/* STORE_BYTES_MAX of them, never written to: the kernel's one page of zeros many times. */
	uint8_t *zeros;
};

static void null_store_submit(struct store *store, struct loop *loop, struct store_request *request)
{
	int error = 0;

	(void)loop;
	switch (request->opcode) {
	case STORE_READ:
		memset(request->data, 0, request->bytes);
		break;
	case STORE_WRITE:
	case STORE_ZERO:
	case STORE_DISCARD:
		error = store->is_read_only ? EROFS : 0;
		break;
	case STORE_FLUSH:
		break;
	}
	store_request_end(request, error);
}

static const uint8_t *null_store_lend(struct store *store, uint64_t offset, size_t bytes)
{
	struct null_store *null = container_of(store, struct null_store, store);

	(void)offset;
	assert(bytes <= STORE_BYTES_MAX);
	return null->zeros;
}

static void null_store_free(struct store *store)
{
	struct null_store *null = container_of(store, struct null_store, store);

	(void)munmap(null->zeros, STORE_BYTES_MAX);
	free(null);
}

static const struct store_operations null_operations = {
	.submit = null_store_submit,
	.lend = null_store_lend,
	.free = null_store_free,
};

int null_store_new(uint64_t size_bytes, const struct store_options *options,
	struct store **ret_store)
{
	struct null_store *null;
	void *zeros = mmap(NULL, STORE_BYTES_MAX, PROT_READ,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (zeros == MAP_FAILED)
		return -ENOMEM;
	null = calloc(1, sizeof(*null));
	if (null == NULL) {
		(void)munmap(zeros, STORE_BYTES_MAX);
		return -ENOMEM;
	}
	null->zeros = zeros;
	null->store.operations = &null_operations;
	store_init_volatile(&null->store, "null", size_bytes, options);
	*ret_store = &null->store;
	return 0;
}
