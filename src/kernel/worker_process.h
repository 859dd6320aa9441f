/*
 * A worker process: the process that makes the calls of one client process. It has an adopter (sysproxy/
 * handover.h) with a kernel of its own, and a channel, by which the broker sends it connections and hears
 * of its cookies, lines and counts. Descriptors, the working directory, the umask and all else that a
 * process has are therefore the client's own, and a fork of the client is fork(2) of the worker.
 *
 * Its own descriptors lie in the window (kernel/limits.h), the client's below. One that comes by the
 * channel, and those of a fork's channel, are below for a moment, until they have been moved.
 *
 * It ends when its process has ended, or when the broker has shut the channel down: then it ends its
 * process first.
 */
#ifndef FERRY_KERNEL_WORKER_PROCESS_H
#define FERRY_KERNEL_WORKER_PROCESS_H

#include "base/log.h"
#include "ferry/kernel.h"
#include "ferry/sysproxy.h"
#include "kernel/channel.h"

struct worker_process;

/* What a worker's kernel is. */
struct worker_process_duties {
	/** Make the kernel, once in each process: the child of a fork, too, makes one anew, and leaves
	 *  alone what it has of its parent's. It ends with the process. @return 0 or -errno. */
	int (*kernel_new)(void *context, struct worker_process *worker,
		struct ferry_kernel *ret_kernel);
	/** What the kernel has done; when all calls have ended. */
	void (*kernel_counts)(void *context, const struct ferry_kernel *kernel,
		struct channel_counts *ret_counts);
	void *context;
	uint32_t calls_max, threads_max; /* as of ferry_sysproxy_server_options */
};

/** Be a worker, and all that a fork of it makes. To be called in a process that has one thread, from
 *  which the process then exits with what this returns.
 *  @param duties lasts as long as the process
 *  @param channel taken
 *  @return the exit status: 0 when it has ended in order */
int worker_process_run(const struct worker_process_duties *duties, int channel)
	__attribute__((warn_unused_result));

/** Tell the broker's log a line. From any thread; it does not wait, and the line may be lost. */
void worker_process_log(struct worker_process *worker, enum log_level level, const char *line);

/** Tell the broker a line of the trace. From any thread; it may wait for the broker. */
void worker_process_trace(struct worker_process *worker, const char *line);

#endif
