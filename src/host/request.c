/*
 * What is asked of a host: checked here, carried out by the operations. The blocking calls take
 * turns of the loop until their own request is done; others may end on the way.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/host_private.h"
#include "loop/loop.h"

static int submit(struct ferry_host *host, const struct operation_order *order)
{
	int error;

	/* What ended the host is still in its error's text. */
	if (host->state == HOST_ENDED)
		return -ENOTCONN;
	if (host->state == HOST_CONNECTING) {
		host_say(host, "it is not connected yet");
		return -ENOTCONN;
	}
	error = operations_submit(host->operations, order);
	if (error == -EAGAIN)
		host_say(host, "too many requests are out");
	return error;
}

static int check_range(struct ferry_host *host, const struct operation_order *order)
{
	uint64_t block_count;
	char text[128];

	if (host->state != HOST_READY)
		return 0;
	block_count = association_facts(host->association)->block_count;
	if (order->lba < block_count && order->block_count <= block_count - order->lba)
		return 0;
	(void)snprintf(text, sizeof(text), "%llu blocks at %llu: the disk ends at %llu",
		(unsigned long long)order->block_count, (unsigned long long)order->lba,
		(unsigned long long)block_count);
	host_say(host, text);
	return -ERANGE;
}

static int submit_request(struct ferry_host *host, enum nvme_io_opcode opcode,
	const struct ferry_host_request *request)
{
	const struct operation_order order = {
		.opcode = opcode,
		.is_durable = (request->flags & FERRY_HOST_FUA) != 0,
		.lba = request->lba,
		.block_count = request->block_count,
		.data = request->buffer,
		.done = request->done,
		.context = request->context,
	};
	unsigned legal_flags = opcode == NVME_IO_WRITE ? FERRY_HOST_FUA : 0;
	int error;

	if (order.block_count == 0 || order.data == NULL) {
		host_say(host, "a request without blocks or without memory");
		return -EINVAL;
	}
	if ((request->flags & ~legal_flags) != 0) {
		host_say(host, "a request with a flag that does not belong");
		return -EINVAL;
	}
	error = check_range(host, &order);
	return error != 0 ? error : submit(host, &order);
}

int ferry_host_read(struct ferry_host *host, const struct ferry_host_request *request)
{
	return submit_request(host, NVME_IO_READ, request);
}

int ferry_host_write(struct ferry_host *host, const struct ferry_host_request *request)
{
	return submit_request(host, NVME_IO_WRITE, request);
}

int ferry_host_flush(struct ferry_host *host, const struct ferry_host_request *request)
{
	const struct operation_order order = {
		.opcode = NVME_IO_FLUSH,
		.done = request->done,
		.context = request->context,
	};

	return submit(host, &order);
}

/* Blocking */

struct waiter {
	bool is_done;
	int error;
};

static void waiter_done(void *context, int error)
{
	struct waiter *waiter = context;

	waiter->is_done = true;
	waiter->error = error;
}

static void turn(struct ferry_host *host)
{
	int error = loop_turn(host->loop, -1);

	if (error != 0)
		host_give_up(host, error);
}

static int run(struct ferry_host *host, struct operation_order order)
{
	struct waiter waiter = {.is_done = false};
	int error;

	order.done = waiter_done;
	order.context = &waiter;
	while ((error = submit(host, &order)) == -EAGAIN)
		turn(host);
	while (error == 0 && !waiter.is_done)
		turn(host);
	return error != 0 ? error : waiter.error;
}

static int run_bytes(struct ferry_host *host, struct operation_order order, size_t bytes,
	uint64_t offset)
{
	uint8_t block_shift;
	uint64_t mask;
	int error;

	if (host->state == HOST_READY) {
		block_shift = association_facts(host->association)->block_shift;
		mask = (UINT64_C(1) << block_shift) - 1;
		if (((bytes | offset) & mask) != 0) {
			host_say(host, "a range that is not a multiple of the block size");
			return -EINVAL;
		}
		if (bytes == 0)
			return 0;
		order.lba = offset >> block_shift;
		order.block_count = bytes >> block_shift;
		error = check_range(host, &order);
		if (error != 0)
			return error;
	}
	return run(host, order);
}

int ferry_host_pread(struct ferry_host *host, void *buffer, size_t bytes, uint64_t offset)
{
	return run_bytes(host, (struct operation_order){.opcode = NVME_IO_READ, .data = buffer},
		bytes, offset);
}

int ferry_host_pwrite(struct ferry_host *host, const void *buffer, size_t bytes, uint64_t offset)
{
	/* A write only reads it. */
	uint8_t *data = (uint8_t *)(uintptr_t)buffer;

	return run_bytes(host, (struct operation_order){.opcode = NVME_IO_WRITE, .data = data},
		bytes, offset);
}

int ferry_host_sync(struct ferry_host *host)
{
	return run(host, (struct operation_order){.opcode = NVME_IO_FLUSH});
}
