/*
 * The signals that the kernel has raised for a process and that its client does not know of yet. One
 * that waits already is not added again, as in any kernel.
 */
#ifndef FERRY_SYSPROXY_SIGNALS_H
#define FERRY_SYSPROXY_SIGNALS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sysproxy/wire.h"

#define SIGNALS_MAX       64u /* that wait; one more is lost */
#define SIGNALS_BYTES_MAX (SIGNALS_MAX * WIRE_HEADER_BYTES)

struct signals {
	pthread_mutex_t lock; /* guards values and changes of count; nothing is called with it */
	atomic_uint count;
	uint32_t values[SIGNALS_MAX];
	atomic_bool is_told; /* the loop knows, or is about to */
};

void signals_init(struct signals *signals);
void signals_deinit(struct signals *signals);

/** From any thread. @return whether the loop has to be told. */
bool signals_add(struct signals *signals, int signal) __attribute__((warn_unused_result));

/** The loop has heard of it. */
void signals_heard(struct signals *signals);

/** @return whether there are any; costs next to nothing. */
static inline bool signals_are_waiting(const struct signals *signals)
{
	return atomic_load_explicit(&signals->count, memory_order_acquire) > 0;
}

/** Take all, as the frames that tell of them. @return their bytes. */
size_t signals_take(struct signals *signals, uint8_t ret_frames[SIGNALS_BYTES_MAX]);

#endif
