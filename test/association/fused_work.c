/*
 * How a host counts: it reads the counter of a namespace, the block behind all others, and has it
 * one more by fused Compare and Write. The two halves are submitted together.
 */
#include <string.h>

#include "nvme/io_command.h"
#include "test/association/host.h"

static void fail(const struct operation *operation, const char *what)
{
	world_fail(operation->queue->host->world, "host %u queue %u: opcode %02x of number %u: %s",
		operation->queue->host->index, operation->queue->qid,
		operation->command.command.opcode, (unsigned)operation->number, what);
}

static struct operation *take(struct host_queue *queue, uint8_t opcode, struct medium *medium,
	uint32_t nsid)
{
	struct operation *operation = operation_take(queue, opcode);

	if (operation == NULL)
		return NULL;
	operation->kind = OPERATION_COUNT;
	operation->medium = medium;
	operation->command.command.nsid = le32_of(nsid);
	nvme_command_set_range(&operation->command.command, model_block_count(medium->model), 1, 0);
	operation_set_data(operation, opcode == NVME_IO_READ ? TCP_HOST_READ : TCP_HOST_WRITE,
		model_block_bytes(medium->model));
	return operation;
}

/* @return whether a half has come as far as being executed with the other. */
static bool has_run(nvme_status status)
{
	switch (nvme_status_code(status)) {
	case NVME_STATUS_ABORT_REQUESTED:
	case NVME_STATUS_ABORTED_FAILED_FUSED:
	case NVME_STATUS_ABORTED_MISSING_FUSED:
	case NVME_STATUS_TRANSIENT_TRANSPORT_ERROR:
		return false;
	}
	return true;
}

/* What the end of one half, the Compare or the Write, says of the other. */
static void tell_partner(const struct operation *half, nvme_status status)
{
	struct operation *partner = half->partner;
	bool is_write = half->command.command.opcode == NVME_IO_WRITE;
	bool has_succeeded = status == NVME_STATUS_SUCCESS;

	if (!partner->is_busy || partner->partner_id != half->partner_id)
		return;
	partner->must_fail = is_write ? !has_run(status) : !has_succeeded;
	partner->must_run = has_succeeded;
}

static void half_done(struct operation *half, nvme_status status)
{
	struct counter *counter = &half->medium->counter;
	bool is_write = half->command.command.opcode == NVME_IO_WRITE;
	bool has_succeeded = status == NVME_STATUS_SUCCESS;

	if (nvme_status_code(status) == NVME_STATUS_COMPARE_FAILURE) {
		if (is_write || !counter_may_be_taken(counter, half->number))
			fail(half, "does not compare");
	} else if (!has_succeeded) {
		operation_check_failure(half, status);
	}
	if (has_succeeded && half->must_fail)
		fail(half, "has succeeded though the other half has failed");
	if (half->must_run && (is_write ? !has_run(status) : !has_succeeded))
		fail(half, "was not executed though the other half has succeeded");
	if (has_succeeded && is_write && !counter_acknowledge(counter, half->number))
		fail(half, "an update is lost");
	tell_partner(half, status);
	half->queue->host->world->counts.increments += has_succeeded && is_write;
	host_queue_work(half->queue);
}

static void join(struct operation *half, struct operation *partner, uint64_t number, uint64_t id)
{
	half->partner = partner;
	half->partner_id = id;
	half->number = number;
	half->then = half_done;
}

static void submit_pair(const struct operation *read, uint64_t number)
{
	struct host_queue *queue = read->queue;
	uint32_t nsid = le32_get(read->command.command.nsid);
	struct operation *compare = take(queue, NVME_IO_COMPARE, read->medium, nsid);
	struct operation *write = take(queue, NVME_IO_WRITE, read->medium, nsid);
	uint64_t id = ++queue->host->world->time;

	if (compare == NULL || write == NULL ||
		tcp_host_queue_outstanding(queue->transport) + 2u > queue->entries - 1u) {
		operation_drop(compare);
		operation_drop(write);
		return;
	}
	join(compare, write, number, id);
	join(write, compare, number, id);
	compare->command.command.flags = NVME_FLAGS_FUSE_FIRST;
	write->command.command.flags = NVME_FLAGS_FUSE_SECOND;
	counter_fill(number, compare->data, compare->command.data_bytes);
	counter_fill(number + 1, write->data, write->command.data_bytes);
	counter_try(&read->medium->counter, number);
	if (!operation_submit(compare))
		operation_drop(write);
	else if (!operation_submit(write))
		host_drop_queue(queue); /* nobody waits for the other half */
}

static void counter_read(struct operation *operation, nvme_status status)
{
	struct host_queue *queue = operation->queue;
	const char *problem;
	uint64_t number;

	if (status != NVME_STATUS_SUCCESS) {
		operation_check_failure(operation, status);
		host_queue_work(queue);
		return;
	}
	problem = counter_look(&operation->medium->counter, operation->number, operation->data,
		operation->command.data_bytes, &number);
	if (problem != NULL)
		fail(operation, problem);
	if (number != COUNTER_TORN && queue->is_connected && queue->host->state == HOST_RUNNING)
		submit_pair(operation, number);
	host_queue_work(queue);
}

void host_queue_count(struct host_queue *queue)
{
	struct host *host = queue->host;
	uint32_t nsid = world_draw(host->world, 1, WORLD_NAMESPACES);
	struct medium *medium = world_medium(host->world, host->subsystem, nsid);
	struct operation *operation = take(queue, NVME_IO_READ, medium, nsid);

	if (operation == NULL)
		return;
	operation->number = medium->counter.least;
	operation->then = counter_read;
	(void)operation_submit(operation);
}
