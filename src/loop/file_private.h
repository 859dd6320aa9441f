/*
 * How file operations are served: by the ring of the loop (file_ring.c), by threads
 * (file_threads.c), or under a simulated clock by the loop itself. One of the three is chosen when
 * the loop begins and stays, but for a ring that the kernel or a filter refuses from some time on:
 * threads follow it, and carry out again what it had not told the end of. That is right for all
 * operations, none of which depends on what was there before; only an error of the first attempt at
 * a FILE_SYNC is never heard of.
 *
 * An operation goes from queued (step 7 of the turn begins it) over being carried out to finished
 * (step 3 of a turn calls done). The threads return theirs as a message instead (step 4).
 */
#ifndef FERRY_LOOP_FILE_PRIVATE_H
#define FERRY_LOOP_FILE_PRIVATE_H

#include "base/list.h"
#include "loop/file.h"

struct file_ring;
struct file_threads;

struct files {
	struct loop *loop;
	struct list queued;
	struct list finished;
	struct file_ring *ring;       /* or */
	struct file_threads *threads; /* or neither: executed by the loop itself */
	struct file_ring *refused;    /* a former ring, while the kernel may use its operations */
};

void files_init(struct files *files, struct loop *loop);
void files_deinit(struct files *files);

/** Choose who serves, on the loop's thread. @return 0 or -errno. */
int files_begin(struct files *files, enum loop_files how) __attribute__((warn_unused_result));

/** Begin what is queued. */
void files_flush(struct files *files);

/** Call done() of what has finished. */
void files_complete(struct files *files);

/** @return whether there is something to do without waiting. */
bool files_are_ready(const struct files *files);

/** Before the loop sleeps: let completions wake it. @return false if there is one already. */
bool files_fall_asleep(struct files *files);
void files_wake_up(struct files *files);

/** Carry @operation out, blocking, and set its result. */
void file_execute(struct file_operation *operation);

/* The ring. It is made on the loop's thread and belongs to it. */

/** @return 0, or -errno: among others where the kernel or a filter refuses io_uring. */
int file_ring_new(struct loop *loop, struct file_ring **ret_ring)
	__attribute__((warn_unused_result));
void file_ring_free(struct file_ring *ring);

/** Take @operation out of its list and prepare it for the next file_ring_submit().
 *  @return false: full, try again later. */
bool file_ring_prepare(struct file_ring *ring, struct file_operation *operation)
	__attribute__((warn_unused_result));

/** @return 0, or -errno when the ring is refused: file_ring_give_up(). */
int file_ring_submit(struct file_ring *ring) __attribute__((warn_unused_result));

/** Collect completions: finished operations go to @finished, the rest of short transfers to
 *  @queued. @return as file_ring_submit(). */
int file_ring_reap(struct file_ring *ring, struct list *finished, struct list *queued)
	__attribute__((warn_unused_result));

/** Close the ring, which is used no more. When the kernel has let go of all it was given,
 *  files_take_back() is called, from the loop. */
void file_ring_give_up(struct file_ring *ring);

/** What a ring that was given up has not finished is queued again; the ring is freed. */
void files_take_back(struct files *files, struct list *unfinished);

bool file_ring_is_ready(const struct file_ring *ring);
bool file_ring_fall_asleep(struct file_ring *ring);
void file_ring_wake_up(struct file_ring *ring);

/* The threads: started with the first operation. */

#define FILE_THREAD_COUNT 8

int file_threads_new(struct loop *loop, struct file_threads **ret_threads)
	__attribute__((warn_unused_result));

/** End the threads, after what they are doing. NULL is legal. */
void file_threads_free(struct file_threads *threads);
void file_threads_start(struct file_threads *threads, struct file_operation *operation);

#endif
