/*
 * The operations of a host's queues, and what is checked of them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "nvme/identify.h"
#include "nvme/io_command.h"
#include "test/association/host.h"
#include "test/association/world.h"

#define RAM_NAMESPACE 0

static struct world *world_of(const struct operation *operation)
{
	return operation->queue->host->world;
}

struct operation *operation_take(struct host_queue *queue, uint8_t opcode)
{
	for (unsigned i = 0; i < HOST_OPERATIONS_MAX; i++) {
		struct operation *operation = &queue->operations[i];

		if (operation->is_busy)
			continue;
		*operation = (struct operation){.queue = queue, .is_busy = true};
		operation->command.command.opcode = opcode;
		return operation;
	}
	return NULL;
}

void operation_set_data(struct operation *operation, enum tcp_host_transfer transfer,
	uint32_t bytes)
{
	/* As large as it must be, so that a sanitizer sees a byte too many. */
	operation->data = calloc(1, bytes);
	assert(operation->data != NULL);
	operation->command.transfer = transfer;
	operation->command.data = operation->data;
	operation->command.data_bytes = bytes;
}

/* The era of the operation may have ended before the host hears of it. */
static void end_write(struct operation *operation, bool is_acknowledged, bool is_completed)
{
	struct world *world = world_of(operation);
	bool is_over = is_completed || world->eras[operation->queue->era].is_over;
	enum model_end end = is_over ? MODEL_FAILED : MODEL_LOST;

	if (is_acknowledged)
		world->acknowledged_count++;
	else
		world->lost_count++;
	model_end_write(operation->model, ++world->time, operation->write,
		is_acknowledged ? MODEL_ACKNOWLEDGED : end);
}

static void check_read(struct operation *operation)
{
	struct world *world = world_of(operation);
	uint32_t block;

	world->time++;
	world->read_count++;
	if (!model_allows(operation->model, operation->start, operation->range, operation->data,
		    &block))
		world_fail(world, "host %u queue %u: block %u of namespace %u is wrong",
			operation->queue->host->index, operation->queue->qid, block,
			le32_get(operation->command.command.nsid));
}

/* What differs must have had the possibility. */
static void check_mismatch(const struct operation *operation)
{
	struct world *world = world_of(operation);

	world->time++;
	if (model_requires(operation->model, operation->start, operation->range, operation->data))
		world_fail(world, "host %u queue %u: block %u of namespace %u does not compare",
			operation->queue->host->index, operation->queue->qid,
			operation->range.first, le32_get(operation->command.command.nsid));
}

/* A failure must have a reason. */
static void check_failure(const struct operation *operation, nvme_status status)
{
	const struct world *world = world_of(operation);
	uint32_t nsid = le32_get(operation->command.command.nsid);

	switch (nvme_status_code(status)) {
	case NVME_STATUS_ABORTED_SQ_DELETION:
		return;
	case NVME_STATUS_COMPARE_FAILURE:
		if (operation->kind == OPERATION_COMPARE)
			return;
		break;
	case NVME_STATUS_ABORT_REQUESTED:
		if (operation->queue->is_aborted)
			return;
		break;
	case NVME_STATUS_UNRECOVERED_READ_ERROR:
	case NVME_STATUS_WRITE_FAULT:
		if (nsid != RAM_NAMESPACE + 1)
			return;
		break;
	}
	world_fail(world, "host %u queue %u: opcode %02x of namespace %u ended with %s",
		operation->queue->host->index, operation->queue->qid,
		operation->command.command.opcode, nsid, nvme_status_text(status));
}

/* What the host got to see. */
static void trace(const struct operation *operation)
{
	const struct tcp_host_command *command = &operation->command;
	struct world *world = world_of(operation);
	uint64_t word;

	world_trace(world,
		(uint64_t)operation->queue->host->index << 32 |
			(uint64_t)operation->queue->qid << 16 | command->cid);
	world_trace(world, (uint64_t)command->error);
	if (command->error != 0)
		return;
	memcpy(&word, &command->completion, sizeof(word));
	world_trace(world, word);
	world_trace(world, nvme_completion_status(&command->completion));
	if (operation->kind == OPERATION_READ) {
		memcpy(&word, operation->data, sizeof(word));
		world_trace(world, word);
	}
}

static void command_done(struct tcp_host_command *command)
{
	struct operation *operation = (struct operation *)command;
	struct operation ended = *operation;
	nvme_status status = nvme_completion_status(&command->completion);
	bool is_completed = command->error == 0;

	trace(operation);
	if (ended.kind == OPERATION_WRITE)
		end_write(operation, is_completed && status == 0, is_completed);
	if ((ended.kind == OPERATION_READ || ended.kind == OPERATION_COMPARE) && is_completed &&
		status == 0)
		check_read(operation);
	if (ended.kind == OPERATION_COMPARE && is_completed &&
		nvme_status_code(status) == NVME_STATUS_COMPARE_FAILURE)
		check_mismatch(operation);
	operation->is_busy = false;
	operation->data = NULL;
	if (is_completed)
		ended.then(&ended, status);
	free(ended.data);
}

bool operation_submit(struct operation *operation)
{
	operation->command.done = command_done;
	if (operation->queue->transport != NULL &&
		tcp_host_queue_submit(operation->queue->transport, &operation->command) == 0)
		return true;
	if (operation->kind == OPERATION_WRITE)
		model_end_write(operation->model, ++world_of(operation)->time, operation->write,
			MODEL_FAILED);
	operation->is_busy = false;
	free(operation->data);
	operation->data = NULL;
	return false;
}

/* What a host does beside its work, seldom. */
static void disturb(struct host_queue *queue)
{
	struct world *world = queue->host->world;
	struct host *host = queue->host;

	if (host->state != HOST_RUNNING)
		return;
	if (world_is_lucky(world, 150))
		host_break_off(host);
	else if (queue->qid > 0 && world_is_lucky(world, 100))
		host_drop_queue(queue);
	else if (world_is_lucky(world, 150))
		host_reset_controller(host);
}

static void submit_compare(const struct operation *read);

static void work_done(struct operation *operation, nvme_status status)
{
	struct host_queue *queue = operation->queue;

	if (status != NVME_STATUS_SUCCESS)
		check_failure(operation, status);
	else if (operation->kind == OPERATION_READ && world_is_lucky(queue->host->world, 6))
		submit_compare(operation);
	disturb(queue);
	host_queue_work(queue);
}

/* Overlapping ranges are wanted: a few blocks, and mostly few of them. */
static void choose_range(struct operation *operation)
{
	struct world *world = world_of(operation);
	unsigned index = world_draw(world, 0, WORLD_NAMESPACES - 1);
	struct model *model = world->models[index];
	uint32_t count = HOST_OPERATION_BYTES / model_block_bytes(model);

	if (count > model_block_count(model))
		count = model_block_count(model);
	if (!world_is_lucky(world, 4))
		count = count > 4 ? 4 : count;
	operation->model = model;
	operation->range.count = world_draw(world, 1, count);
	operation->range.first =
		world_draw(world, 0, model_block_count(model) - operation->range.count);
	operation->command.command.nsid = le32_of(index + 1);
}

static void submit_blocks(struct host_queue *queue, bool is_write)
{
	struct operation *operation =
		operation_take(queue, is_write ? NVME_IO_WRITE : NVME_IO_READ);
	struct world *world = queue->host->world;
	uint32_t bytes;

	if (operation == NULL)
		return;
	choose_range(operation);
	bytes = operation->range.count * model_block_bytes(operation->model);
	nvme_command_set_range(&operation->command.command, operation->range.first,
		operation->range.count, is_write && world_is_lucky(world, 4) ? NVME_IO_FUA : 0);
	operation_set_data(operation, is_write ? TCP_HOST_WRITE : TCP_HOST_READ, bytes);
	operation->kind = is_write ? OPERATION_WRITE : OPERATION_READ;
	operation->start = ++world->time;
	if (is_write)
		operation->write = model_begin_write(operation->model, operation->start, queue->era,
			operation->range, operation->data);
	operation->then = work_done;
	(void)operation_submit(operation);
}

/* What a read has found, perhaps still there. */
static void submit_compare(const struct operation *read)
{
	struct operation *operation = operation_take(read->queue, NVME_IO_COMPARE);
	uint32_t bytes = read->command.data_bytes;

	if (operation == NULL)
		return;
	operation->command.command.nsid = read->command.command.nsid;
	operation->kind = OPERATION_COMPARE;
	operation->model = read->model;
	operation->range = read->range;
	nvme_command_set_range(&operation->command.command, read->range.first, read->range.count,
		0);
	operation_set_data(operation, TCP_HOST_WRITE, bytes);
	memcpy(operation->data, read->data, bytes);
	operation->start = ++world_of(read)->time;
	operation->then = work_done;
	(void)operation_submit(operation);
}

/* The range in one piece or in two. */
static void fill_dataset(struct operation *operation)
{
	struct nvme_dsm_range ranges[2] = {0};
	uint32_t first_count = operation->range.count;
	uint32_t range_count = 1;

	if (first_count > 1 && world_is_lucky(world_of(operation), 2)) {
		first_count = world_draw(world_of(operation), 1, operation->range.count - 1);
		range_count = 2;
	}
	ranges[0].slba = le64_of(operation->range.first);
	ranges[0].block_count = le32_of(first_count);
	ranges[1].slba = le64_of(operation->range.first + first_count);
	ranges[1].block_count = le32_of(operation->range.count - first_count);
	nvme_command_set_dsm(&operation->command.command, range_count, NVME_DSM_AD);
	operation_set_data(operation, TCP_HOST_WRITE, range_count * (uint32_t)sizeof(ranges[0]));
	memcpy(operation->data, ranges, range_count * sizeof(ranges[0]));
}

/* Deallocated memory reads zeros. */
static void submit_erasure(struct host_queue *queue, uint8_t opcode)
{
	struct operation *operation = operation_take(queue, opcode);
	struct world *world = queue->host->world;

	if (operation == NULL)
		return;
	choose_range(operation);
	if (opcode == NVME_IO_DATASET_MANAGEMENT)
		fill_dataset(operation);
	else
		nvme_command_set_range(&operation->command.command, operation->range.first,
			operation->range.count, world_is_lucky(world, 2) ? NVME_IO_DEAC : 0);
	operation->kind = OPERATION_WRITE;
	operation->write = model_begin_write(operation->model, ++world->time, queue->era,
		operation->range, NULL);
	operation->then = work_done;
	(void)operation_submit(operation);
}

static void submit_verify(struct host_queue *queue)
{
	struct operation *operation = operation_take(queue, NVME_IO_VERIFY);

	if (operation == NULL)
		return;
	choose_range(operation);
	nvme_command_set_range(&operation->command.command, operation->range.first,
		operation->range.count, 0);
	operation->then = work_done;
	(void)operation_submit(operation);
}

static void submit_flush(struct host_queue *queue)
{
	struct operation *operation = operation_take(queue, NVME_IO_FLUSH);

	if (operation == NULL)
		return;
	operation->command.command.nsid =
		le32_of(world_draw(queue->host->world, 1, WORLD_NAMESPACES));
	operation->then = work_done;
	(void)operation_submit(operation);
}

static void submit_abort(struct host_queue *admin)
{
	struct host *host = admin->host;
	struct host_queue *queue = &host->queues[world_draw(host->world, 1, host->queue_count - 1)];
	const struct operation *victim =
		&queue->operations[world_draw(host->world, 0, HOST_OPERATIONS_MAX - 1)];
	struct operation *operation = operation_take(admin, NVME_ADMIN_ABORT);

	if (operation == NULL)
		return;
	queue->is_aborted = true;
	nvme_command_set_abort(&operation->command.command, queue->qid, victim->command.cid);
	operation->then = work_done;
	(void)operation_submit(operation);
}

static void submit_identify(struct host_queue *queue)
{
	struct operation *operation = operation_take(queue, NVME_ADMIN_IDENTIFY);

	if (operation == NULL)
		return;
	operation->command.command.cdw10 = le32_of(NVME_CNS_CONTROLLER);
	operation_set_data(operation, TCP_HOST_READ, NVME_IDENTIFY_BYTES);
	operation->then = work_done;
	(void)operation_submit(operation);
}

static void event_came(struct operation *operation, nvme_status status)
{
	(void)operation;
	(void)status;
}

static void submit_simple(struct host_queue *queue, uint8_t opcode)
{
	struct operation *operation = operation_take(queue, opcode);

	if (operation == NULL)
		return;
	operation->then = opcode == NVME_ADMIN_ASYNC_EVENT ? event_came : work_done;
	(void)operation_submit(operation);
}

static void submit_admin(struct host_queue *queue)
{
	switch (world_draw(queue->host->world, 0, 5)) {
	case 0:
		submit_abort(queue);
		break;
	case 1:
		submit_simple(queue, NVME_ADMIN_ASYNC_EVENT);
		break;
	case 2:
		submit_simple(queue, NVME_ADMIN_KEEP_ALIVE);
		break;
	default:
		submit_identify(queue);
	}
}

static void submit_io(struct host_queue *queue)
{
	uint32_t choice = world_draw(queue->host->world, 0, 22);

	if (choice == 0)
		submit_flush(queue);
	else if (choice == 1)
		submit_verify(queue);
	else if (choice < 4)
		submit_erasure(queue,
			choice == 2 ? NVME_IO_WRITE_ZEROES : NVME_IO_DATASET_MANAGEMENT);
	else
		submit_blocks(queue, choice < 13);
}

void host_queue_work(struct host_queue *queue)
{
	struct world *world = queue->host->world;
	unsigned wanted;

	if (!queue->is_connected || queue->host->state != HOST_RUNNING)
		return;
	wanted = world_draw(world, 1, queue->qid == 0 ? 2 : HOST_OPERATIONS_MAX);
	while (world->operations_left > 0 &&
		tcp_host_queue_outstanding(queue->transport) < wanted) {
		unsigned before = tcp_host_queue_outstanding(queue->transport);

		if (queue->qid == 0)
			submit_admin(queue);
		else
			submit_io(queue);
		if (tcp_host_queue_outstanding(queue->transport) == before)
			return;
		if (queue->qid > 0)
			world->operations_left--;
	}
}
