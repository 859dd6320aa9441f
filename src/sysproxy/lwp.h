/*
 * An lwp: one thread of a client process, in a call or waiting for one. It is what the public calls of
 * ferry/kernel.h are given; how they reach the client's memory is lwp_copy.c.
 *
 * It belongs to the thread that makes its calls (a lane's, or a worker). The server's loop, which owns
 * what it is embedded in, does nothing with it but to cancel: one call by its number, or all of them for
 * ever (doom) when the client or the lane has gone. A cancelled call that has not begun fails with EINTR
 * and the kernel never sees it; one that has begun is cancelled again and again until it has ended.
 */
#ifndef FERRY_SYSPROXY_LWP_H
#define FERRY_SYSPROXY_LWP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "ferry/kernel.h"
#include "sysproxy/copy.h"
#include "sysproxy/kernel.h"
#include "sysproxy/memory.h"

/* What carries copies to the client and back. */
struct lwp_carrier {
	/* Have @copy answered, which waits for the client; copy->error tells. */
	void (*carry)(struct lwp_carrier *carrier, struct copy *copy);
};

struct ferry_lwp {
	const struct kernel *kernel;
	struct lwp_carrier *carrier;
	void *process_data; /* the kernel's pointer */
	void *data;         /* the kernel's pointer; meaningful if is_made */
	bool is_made;
	bool is_native;   /* the client has said HELLO: its numbers are this machine's */
	bool is_extended; /* the call in progress is one of the extension: memory is in use */
	struct memory memory;

	pthread_mutex_t lock; /* guards what follows; the kernel's cancel() is called with it */
	bool is_calling;
	bool is_interrupted; /* the call in progress is cancelled */
	bool is_doomed;
	bool has_unwanted; /* unwanted is one that was cancelled and has not been seen yet */
	uint64_t number;   /* of the call in progress */
	uint64_t unwanted;
};

/** @param is_native whether the client has said HELLO */
void lwp_init(struct ferry_lwp *lwp, const struct kernel *kernel, void *process_data,
	bool is_native, struct lwp_carrier *carrier);

/** Free what it has; the kernel's lwp has been released. */
void lwp_deinit(struct ferry_lwp *lwp);

/* On its own thread */

/** Make call @number: the kernel's lwp is made if there is none.
 *  @return 0 or -errno of the call. */
int lwp_call(struct ferry_lwp *lwp, uint64_t number, const struct ferry_kernel_call *call,
	int64_t ret_values[2]) __attribute__((warn_unused_result));

/** The kernel's lwp ends, if there is one. */
void lwp_release(struct ferry_lwp *lwp);

/* On the loop's thread */

/** Call @number is not wanted any more. @return whether it is in progress: then lwp_cancel_again() is
 *  due until that returns false. */
bool lwp_cancel(struct ferry_lwp *lwp, uint64_t number);

/** No call is wanted any more. @return as lwp_cancel(). */
bool lwp_doom(struct ferry_lwp *lwp);

/** @return whether a cancelled call is still in progress; it was told again. */
bool lwp_cancel_again(struct ferry_lwp *lwp);

/** @return whether a call is in progress. */
bool lwp_is_calling(struct ferry_lwp *lwp);

#endif
