/*
 * A vector of buffers (struct iovec) of a client: all of it, or a portion, is brought here for Linux to
 * read or is given room for Linux to fill.
 */
#ifndef FERRY_KERNEL_LINUX_VECTOR_H
#define FERRY_KERNEL_LINUX_VECTOR_H

#include <stdint.h>
#include <sys/uio.h>

#include "kernel/linux_memory.h"

struct linux_vector {
	const struct iovec *given; /* at the client's addresses; NULL: LINUX_NOWHERE */
	unsigned given_count;
	uint64_t given_bytes; /* as Linux counts them: at most CALL_BYTES_MAX */
	/* The portion: buffers here, and where each is in the client. */
	struct iovec *local;
	uint64_t *addresses;
	unsigned count;
	size_t bytes;
	struct linux_room room; /* of all its bytes, if Linux is to fill them; else local is NULL */
};

/** What is to be read or filled. */
struct linux_portion {
	uint64_t skipped_bytes; /* before it */
	size_t bytes;           /* at most; less where the vector ends */
};

/** Bring the vector itself. @param count at most CALL_VECTORS_MAX
 *  @return 0, also if it is nowhere; -EINVAL: a buffer is longer than there can be; -ENOMEM */
int linux_vector_init(struct linux_vector *vector, struct linux_memory *memory, uint64_t address,
	uint64_t count) __attribute__((warn_unused_result));

/** Bring a portion of its bytes. @return 0 or -ENOMEM */
int linux_vector_bring(struct linux_vector *vector, struct linux_memory *memory,
	struct linux_portion portion) __attribute__((warn_unused_result));

/** Take room for a portion. @param is_placed as of linux_memory_room(), if it is one buffer
 *  @return 0 or -ENOMEM */
int linux_vector_room(struct linux_vector *vector, struct linux_memory *memory,
	struct linux_portion portion, bool is_placed) __attribute__((warn_unused_result));

/** Linux has filled the first @bytes bytes of the room. @return 0 or -EFAULT */
int linux_vector_give(const struct linux_vector *vector, struct linux_memory *memory, size_t bytes)
	__attribute__((warn_unused_result));

#endif
