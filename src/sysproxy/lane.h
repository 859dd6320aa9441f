/*
 * A lane: a connection of one thread of a client, with a thread here that receives a call, has the
 * kernel answer it, and sends the reply; at most one call is in progress. Nothing is handed over, and
 * when a lane is busy both ends spin for a while before they sleep.
 *
 * The thread waits for nobody but its own client. The loop, which owns the lane, watches the socket for
 * a hang-up, so that a call ends whose client has gone; it wakes the thread by shutting the socket
 * down, and closes it only when the thread has ended.
 */
#ifndef FERRY_SYSPROXY_LANE_H
#define FERRY_SYSPROXY_LANE_H

#include "sysproxy/process.h"

struct lane;

/* A request to be a lane of a process. */
struct lane_request {
	uint64_t number; /* of the frame */
	uint64_t id;
};

/** Make a lane of @fd, which it takes on success only. The client is answered by it.
 *  @return 0; -EAGAIN: a limit is reached; -EEXIST: that id is in use; or -errno. */
int lane_new(struct ferry_process *process, int fd, const struct lane_request *request)
	__attribute__((warn_unused_result));

/** End it: the call in progress is cancelled, and the process told when it has gone. */
void lane_end(struct lane *lane);

/** End all lanes. */
void lane_end_all(struct ferry_process *process);

/** Cancel call @number on lane @id, if there is such a lane. */
void lane_cancel(struct ferry_process *process, uint64_t id, uint64_t number);

/** Cancel again what was cancelled. @return whether that is due once more. */
bool lane_cancel_again(struct ferry_process *process);

/** Tell one lane that is in a call of the waiting signals. */
void lane_raise(struct ferry_process *process);

#endif
