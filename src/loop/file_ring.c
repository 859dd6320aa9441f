/*
 * File operations by io_uring. The ring defers its task work to the loop's thread (DEFER_TASKRUN),
 * which makes three things necessary:
 *   - Its own descriptor in epoll is never woken. A registered eventfd is, and is switched on only
 *     while the loop sleeps.
 *   - Completions do not show until the thread asks for them when IORING_SQ_TASKRUN is set.
 *   - It belongs to the thread that enables it: the first turn makes it.
 */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "loop/file_private.h"
#include "loop/loop_private.h"

#define RING_ENTRIES 256 /* of the submission queue; the completion queue has twice as many */

struct file_ring {
	struct io_uring uring;
	bool is_open;
	struct loop_watch completed; /* the eventfd */
	unsigned in_flight_count;
	unsigned in_flight_max; /* the completion queue never overflows */
};

static void completed_ready(struct loop_watch *watch, uint32_t epoll_events)
{
	/* Step 3 of the turn does the work. */
	(void)watch;
	(void)epoll_events;
}

/* Prove with a NOP that entering the ring is allowed too. */
static int ring_probe(struct io_uring *uring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(uring);
	struct io_uring_cqe *cqe;
	int result;

	io_uring_prep_nop(sqe);
	do {
		result = io_uring_submit_and_wait(uring, 1);
	} while (result == -EINTR);
	if (result < 0)
		return result;
	do {
		result = io_uring_wait_cqe(uring, &cqe);
	} while (result == -EINTR);
	if (result == 0)
		io_uring_cqe_seen(uring, cqe);
	return result;
}

static int ring_open(struct file_ring *ring)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG,
	};
	int error = io_uring_queue_init_params(RING_ENTRIES, &ring->uring, &params);

	if (error != 0)
		return error;
	ring->is_open = true;
	ring->in_flight_max = params.cq_entries;
	/* Saves a descriptor look-up; it may be refused. */
	(void)io_uring_register_ring_fd(&ring->uring);
	ring->completed.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->completed.fd < 0)
		return -errno;
	error = io_uring_register_eventfd(&ring->uring, ring->completed.fd);
	if (error == 0)
		error = io_uring_cq_eventfd_toggle(&ring->uring, false);
	if (error == 0)
		error = ring_probe(&ring->uring);
	return error;
}

static void cleanup_ring(struct file_ring **ring)
{
	file_ring_free(*ring);
}

int file_ring_new(struct loop *loop, struct file_ring **ret_ring)
{
	CLEANUP(cleanup_ring) struct file_ring *ring = calloc(1, sizeof(*ring));
	int error;

	if (ring == NULL)
		return -ENOMEM;
	ring->completed.fd = -1;
	ring->completed.ready = completed_ready;
	error = ring_open(ring);
	if (error == 0)
		error = loop_watch(loop, &ring->completed, EPOLLIN);
	if (error != 0)
		return error;
	*ret_ring = TAKE(ring);
	return 0;
}

void file_ring_free(struct file_ring *ring)
{
	if (ring == NULL)
		return;
	assert(ring->in_flight_count == 0);
	loop_unwatch(&ring->completed);
	if (ring->is_open)
		io_uring_queue_exit(&ring->uring);
	if (ring->completed.fd >= 0)
		(void)close(ring->completed.fd);
	free(ring);
}

/* The part of a transfer that is left. */
static void prepare_transfer(struct io_uring_sqe *sqe, const struct file_operation *operation)
{
	size_t moved_bytes = operation->moved_bytes;
	void *buffer = operation->buffer;
	unsigned bytes = (unsigned)(operation->bytes - moved_bytes);
	uint64_t offset = operation->offset + moved_bytes;

	if (moved_bytes > 0)
		buffer = (char *)buffer + moved_bytes;
	if (operation->opcode == FILE_READ)
		io_uring_prep_read(sqe, operation->fd, buffer, bytes, offset);
	else
		io_uring_prep_write(sqe, operation->fd, buffer, bytes, offset);
	if (operation->opcode == FILE_WRITE && (operation->flags & FILE_DURABLE) != 0)
		sqe->rw_flags = RWF_DSYNC;
}

static void prepare_sqe(struct io_uring_sqe *sqe, struct file_operation *operation)
{
	switch (operation->opcode) {
	case FILE_READ:
	case FILE_WRITE:
		prepare_transfer(sqe, operation);
		break;
	case FILE_SYNC:
		io_uring_prep_fsync(sqe, operation->fd, IORING_FSYNC_DATASYNC);
		break;
	case FILE_ALLOCATE:
		io_uring_prep_fallocate(sqe, operation->fd, (int)operation->flags,
			(off_t)operation->offset, (off_t)operation->length_bytes);
		break;
	}
	io_uring_sqe_set_data(sqe, operation);
}

bool file_ring_prepare(struct file_ring *ring, struct file_operation *operation)
{
	struct io_uring_sqe *sqe;

	if (ring->in_flight_count == ring->in_flight_max)
		return false;
	sqe = io_uring_get_sqe(&ring->uring);
	if (sqe == NULL) {
		file_ring_submit(ring);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	if (sqe == NULL)
		return false;
	prepare_sqe(sqe, operation);
	ring->in_flight_count++;
	return true;
}

void file_ring_submit(struct file_ring *ring)
{
	int result;

	if (io_uring_sq_ready(&ring->uring) == 0)
		return;
	/* On these failures they stay in the queue, file_ring_is_ready() keeps the loop from
	 * sleeping, and the next turn tries again. */
	result = io_uring_submit(&ring->uring);
	assert(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY ||
		result == -ENOMEM);
}

static bool ring_has_task_work(const struct file_ring *ring)
{
	return (__atomic_load_n(ring->uring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN) != 0;
}

bool file_ring_is_ready(const struct file_ring *ring)
{
	return ring->in_flight_count > 0 &&
		(ring_has_task_work(ring) || io_uring_cq_ready(&ring->uring) > 0 ||
			io_uring_sq_ready(&ring->uring) > 0);
}

/* Take @result in. @return whether @operation is finished. */
static bool settle(struct file_operation *operation, int result)
{
	bool is_transfer = operation->opcode == FILE_READ || operation->opcode == FILE_WRITE;

	if (result == -EINTR || result == -EAGAIN)
		return false;
	if (result < 0 || !is_transfer) {
		operation->result = result;
		return true;
	}
	operation->moved_bytes += (size_t)result;
	operation->result = (int64_t)operation->moved_bytes;
	if (operation->moved_bytes == operation->bytes)
		return true;
	if (result > 0)
		return false;
	if (operation->opcode == FILE_WRITE)
		operation->result = -EIO;
	return true;
}

void file_ring_reap(struct file_ring *ring, struct list *finished, struct list *queued)
{
	struct io_uring_cqe *cqe;
	unsigned head;
	unsigned count = 0;

	if (ring->in_flight_count == 0)
		return;
	if (ring_has_task_work(ring))
		(void)io_uring_get_events(&ring->uring);
	io_uring_for_each_cqe(&ring->uring, head, cqe)
	{
		struct file_operation *operation = io_uring_cqe_get_data(cqe);

		list_append(settle(operation, cqe->res) ? finished : queued, &operation->link);
		count++;
	}
	io_uring_cq_advance(&ring->uring, count);
	ring->in_flight_count -= count;
}

bool file_ring_fall_asleep(struct file_ring *ring)
{
	if (ring->in_flight_count == 0)
		return true;
	(void)io_uring_cq_eventfd_toggle(&ring->uring, true);
	/* The kernel looks at the switch after it has set the flag; here it is the other way round. */
	atomic_thread_fence(memory_order_seq_cst);
	return !file_ring_is_ready(ring);
}

void file_ring_wake_up(struct file_ring *ring)
{
	(void)io_uring_cq_eventfd_toggle(&ring->uring, false);
}
