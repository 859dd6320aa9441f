/*
 * The memory of a call: the client's bytes, brought here for Linux to read, and room for those that it
 * writes. What the call carried is used where it lies, and what goes with the reply is written where it
 * goes from; only the rest is copied to blocks of this memory's own.
 *
 * It is used again and again by one lwp, for one call at a time: what an ordinary call needs is kept.
 * Blocks are zeroed when they are made, and hold nothing later on but bytes of the same client.
 */
#ifndef FERRY_KERNEL_LINUX_MEMORY_H
#define FERRY_KERNEL_LINUX_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ferry/kernel.h"

/* An address at which no process has memory: Linux, given this, says EFAULT, and in its own order among
 * other errors. It stands for what the client has not got or has not declared. */
#define LINUX_NOWHERE ((void *)(uintptr_t)-4096)

#define LINUX_BYTES_MAX (4u << 20) /* that one call brings here or takes room for */

struct linux_block;

struct linux_memory {
	struct ferry_lwp *handle;
	struct linux_block *blocks; /* the latest first */
	size_t taken_bytes;
};

/* Room for what Linux writes. */
struct linux_room {
	uint64_t address; /* in the client */
	void *local;
	size_t bytes;
	bool is_placed; /* its bytes go with the reply as they are */
};

/** @param handle the lwp whose client it is */
void linux_memory_init(struct linux_memory *memory, struct ferry_lwp *handle);
void linux_memory_deinit(struct linux_memory *memory);

/** A call, or a part of one, has ended: nothing of what was taken is used any more. */
void linux_memory_end(struct linux_memory *memory);

/** @return room for @bytes bytes, or NULL: no memory, or LINUX_BYTES_MAX is reached. */
void *linux_memory_take(struct linux_memory *memory, size_t bytes)
	__attribute__((warn_unused_result));

/** Bring bytes of the client here.
 *  @return where they are, perhaps LINUX_NOWHERE; NULL as linux_memory_take() */
const void *linux_memory_bring(struct linux_memory *memory, uint64_t address, size_t bytes)
	__attribute__((warn_unused_result));

/** Bring structures, which are looked at here: they are aligned. As above. */
const void *linux_memory_bring_aligned(struct linux_memory *memory, uint64_t address, size_t bytes)
	__attribute__((warn_unused_result));

/** Bring them to a place where they can be changed. As above. */
void *linux_memory_copy(struct linux_memory *memory, uint64_t address, size_t bytes)
	__attribute__((warn_unused_result));

/** Bring a string. @param bytes most that it has, with NUL
 *  @return 0; -ENAMETOOLONG: it has more; -ENOMEM
 *  @param ret_string perhaps LINUX_NOWHERE */
int linux_memory_string(struct linux_memory *memory, uint64_t address, size_t bytes,
	const char **ret_string) __attribute__((warn_unused_result));

/** Take room for what goes to @address. @param is_placed try to have it in the reply: of one room at a
 *  time, between this and linux_memory_give()
 *  @return 0 or -ENOMEM */
int linux_memory_room(struct linux_memory *memory, uint64_t address, size_t bytes, bool is_placed,
	struct linux_room *ret_room) __attribute__((warn_unused_result));

/** The first @bytes bytes of @room are meant for the client. @return 0 or -EFAULT */
int linux_memory_give(struct linux_memory *memory, const struct linux_room *room, size_t bytes)
	__attribute__((warn_unused_result));

#endif
