/*
 * File operations by io_uring. The ring defers its task work to the loop's thread (DEFER_TASKRUN),
 * which makes three things necessary:
 *   - Its own descriptor in epoll is never woken. A registered eventfd is, and is switched on only
 *     while the loop sleeps.
 *   - Completions do not show until the thread asks for them when IORING_SQ_TASKRUN is set.
 *   - It belongs to the thread that enables it: the first turn makes it.
 *
 * A ring may be refused later (a filter, no memory). Its operations are then in the kernel's hands
 * and their ends are not told any more. So the kernel is given, as a registered file, the only
 * writing end of a pipe: it closes that last of all, when no request of the ring is left, and the
 * pipe's end tells that buffers are ours again. (Nothing else may hold the ring then: its descriptor
 * is not registered with the thread, which would need a system call to undo.)
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
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
	struct loop_watch gone;      /* the pipe that ends with the ring */
	struct files *files;
	struct list in_flight;
	unsigned in_flight_count;
	unsigned in_flight_max; /* the completion queue never overflows */
};

static void completed_ready(struct loop_watch *watch, uint32_t epoll_events)
{
	/* Step 3 of the turn does the work. */
	(void)watch;
	(void)epoll_events;
}

static void gone_ready(struct loop_watch *watch, uint32_t epoll_events)
{
	struct file_ring *ring = container_of(watch, struct file_ring, gone);

	(void)epoll_events;
	ring->in_flight_count = 0;
	files_take_back(ring->files, &ring->in_flight);
}

/* Let the kernel have the writing end of a pipe, alone. */
static int ring_register_pipe(struct file_ring *ring)
{
	int ends[2];
	int error;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	ring->gone.fd = ends[0];
	error = io_uring_register_files(&ring->uring, &ends[1], 1);
	(void)close(ends[1]);
	return error;
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
	ring->completed.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->completed.fd < 0)
		return -errno;
	error = io_uring_register_eventfd(&ring->uring, ring->completed.fd);
	if (error == 0)
		error = io_uring_cq_eventfd_toggle(&ring->uring, false);
	if (error == 0)
		error = ring_register_pipe(ring);
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
	ring->files = &loop->files;
	list_init(&ring->in_flight);
	ring->completed.fd = -1;
	ring->completed.ready = completed_ready;
	ring->gone.fd = -1;
	ring->gone.ready = gone_ready;
	error = ring_open(ring);
	if (error == 0)
		error = loop_watch(loop, &ring->completed, EPOLLIN);
	if (error == 0)
		error = loop_watch(loop, &ring->gone, EPOLLIN);
	if (error != 0)
		return error;
	*ret_ring = TAKE(ring);
	return 0;
}

static void ring_close(struct file_ring *ring)
{
	loop_unwatch(&ring->completed);
	if (ring->is_open)
		io_uring_queue_exit(&ring->uring);
	ring->is_open = false;
	if (ring->completed.fd >= 0)
		(void)close(ring->completed.fd);
	ring->completed.fd = -1;
}

void file_ring_free(struct file_ring *ring)
{
	if (ring == NULL)
		return;
	assert(ring->in_flight_count == 0);
	ring_close(ring);
	loop_unwatch(&ring->gone);
	if (ring->gone.fd >= 0)
		(void)close(ring->gone.fd);
	free(ring);
}

void file_ring_give_up(struct file_ring *ring)
{
	ring_close(ring);
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
	if (sqe == NULL && file_ring_submit(ring) == 0)
		sqe = io_uring_get_sqe(&ring->uring);
	if (sqe == NULL)
		return false;
	prepare_sqe(sqe, operation);
	list_remove(&operation->link);
	list_append(&ring->in_flight, &operation->link);
	ring->in_flight_count++;
	return true;
}

/* On these failures what was to be done stays, file_ring_is_ready() keeps the loop from sleeping, and
 * the next turn tries again. All others are taken for lasting. */
static int refusal_of(int result)
{
	return result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY ? 0
											: result;
}

int file_ring_submit(struct file_ring *ring)
{
	if (io_uring_sq_ready(&ring->uring) == 0)
		return 0;
	return refusal_of(io_uring_submit(&ring->uring));
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

int file_ring_reap(struct file_ring *ring, struct list *finished, struct list *queued)
{
	struct io_uring_cqe *cqe;
	unsigned head;
	unsigned count = 0;
	int error = 0;

	if (ring->in_flight_count == 0)
		return 0;
	if (ring_has_task_work(ring))
		error = refusal_of(io_uring_get_events(&ring->uring));
	io_uring_for_each_cqe(&ring->uring, head, cqe)
	{
		struct file_operation *operation = io_uring_cqe_get_data(cqe);

		list_remove(&operation->link);
		list_append(settle(operation, cqe->res) ? finished : queued, &operation->link);
		count++;
	}
	io_uring_cq_advance(&ring->uring, count);
	ring->in_flight_count -= count;
	return error;
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
