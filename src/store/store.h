/*
 * A store: what holds the blocks of a namespace. One object for all loops; what it is asked runs on
 * the loop it is asked on. Kinds: memory (memory_store.h), a file or block device (file_store.h),
 * nothing at all (null_store.h).
 *
 * Rules for every kind:
 *   - requests run concurrently and end in any order; done() comes on the loop of the request,
 *     perhaps before store_submit() returns;
 *   - a durable write, and a flush for all writes done before it was submitted, are on stable
 *     storage when done() comes with error 0. Zeroing is writing in all these rules;
 *   - what is discarded is no longer wanted: a store that can (can_discard, known when it is opened)
 *     gives its room back and reads zeros there from then on; should the medium refuse after all,
 *     zeros are written. One that cannot leaves it as it was and reports no error;
 *   - a flush or durable write that failed is latched: every later flush and durable write fails
 *     with the same errno until the store is opened anew. The kernel forgets which pages it could
 *     not write, so a second fsync would claim success for lost data. A durable write that finds no
 *     room (ENOSPC, EDQUOT, EFBIG) is not such a failure unless a flush then fails too;
 *   - a failed or cancelled write leaves its own range undefined and touches nothing else.
 */
#ifndef FERRY_STORE_STORE_H
#define FERRY_STORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/file.h"

struct loop;
struct store;

enum store_opcode {
	STORE_READ,
	STORE_WRITE,
	STORE_FLUSH,
	STORE_ZERO,    /* make the range zeros */
	STORE_DISCARD, /* give the room of the range back */
};
#define STORE_OPCODE_COUNT (STORE_DISCARD + 1)

#define STORE_BYTES_MAX (2u << 20) /* of one read or write */

/* One thing asked of a store, embedded in its owner and the store's until done(). */
struct store_request {
	void (*done)(struct store_request *request);
	enum store_opcode opcode;
	bool is_durable; /* of a write or of zeroing: forced unit access */
	bool may_unmap;  /* of zeroing: the zeros need have no room */
	uint64_t offset; /* bytes, a multiple of the block size; within the size */
	/* a multiple of the block size, 1 block..STORE_BYTES_MAX; of zeroing and discarding: to the
	 * end of the store */
	size_t bytes;
	uint8_t *data; /* of a read or write */
	int error;     /* 0 or a positive errno; ENODATA: the medium ends before the range */
	struct store *store;
	struct file_operation file; /* for the store */
};

struct store_operations {
	void (*submit)(struct store *store, struct loop *loop, struct store_request *request);
	/* Memory holding the blocks at @offset for a read, unchanged but by later writes and valid as
	 * long as the store. Only of a store that is_lending; else NULL. */
	const uint8_t *(*lend)(struct store *store, uint64_t offset, size_t bytes);
	void (*free)(struct store *store);
	/* What a medium whose size may change under us has, else NULL. The bytes it has now... */
	int (*measure)(const struct store *store, uint64_t *ret_bytes);
	/* ...and an inotify watch on it. @return the watch, or -errno. */
	int (*watch)(const struct store *store, int inotify_fd, uint32_t mask);
};

#define STORE_NAME_MAX 512

struct store {
	const struct store_operations *operations;
	/* Capacity in bytes, a multiple of block_bytes; it may change when the medium does. */
	_Atomic uint64_t size_bytes;
	uint32_t block_bytes; /* 512 or 4096 */
	/* What the medium moves well, for NPWG and the like: a power of two, at least block_bytes. */
	uint32_t preferred_bytes;
	/* What it gives back well when discarded, for NPDG and NPDA: likewise. */
	uint32_t discard_bytes;
	bool is_read_only;
	bool is_lending;  /* operations->lend gives memory */
	bool is_volatile; /* contents do not outlive the process */
	bool can_discard; /* STORE_DISCARD and may_unmap give room back, and zeros are read there:
			   * what DLFEAT promises */
	/* Identity of the contents: the same whenever the same medium is opened, random for a
	 * volatile store. */
	uint8_t uuid[16];
	/* The canonical name: "/srv/disk.img", "ram:64M". */
	char name[STORE_NAME_MAX];
	/* errno of the latched failure, 0: none */
	_Atomic int failed_flush;
};

/* What the user asks for when a store is opened. */
struct store_options {
	uint32_t block_bytes; /* 0: 512, or what the device has */
	bool is_read_only;
	bool has_uuid;
	uint8_t uuid[16];
};

/** Open what @text names: `ram:SIZE`, `null:SIZE`, or a path of a regular file or block device,
 *  each with options after commas: `ro`, `lba=512|4096`, `uuid=U`. A path with a comma in its name
 *  is written with the comma doubled.
 *  @return 0 and the store, the caller's, or -errno with @ret_problem a sentence for the user in
 *  memory of @problem_bytes bytes. */
int store_open(const char *text, struct store **ret_store, char *ret_problem, size_t problem_bytes)
	__attribute__((warn_unused_result));

/** Ask. The owner has set done, opcode, is_durable, may_unmap, offset, bytes and data; the range has been
 *  checked against the size. */
static inline void store_submit(struct store *store, struct loop *loop,
	struct store_request *request)
{
	request->store = store;
	store->operations->submit(store, loop, request);
}

/** Look at how large the medium is now, and make that the store's size, rounded down to a multiple
 *  of the block size. It asks for what the machine knows and waits for no server or medium. From any
 *  thread. @return whether the size has changed. */
bool store_measure(struct store *store);

/** Free a store on which nothing is outstanding. NULL is legal. */
void store_free(struct store *store);

#endif
