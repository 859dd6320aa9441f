/*
 * What a host does with namespaces, and how it keeps its queues busy.
 */
#include <assert.h>
#include <string.h>

#include "nvme/io_command.h"
#include "test/association/host.h"

/* Overlapping ranges are wanted: few blocks, and mostly few of them at a time. */
static void choose_range(struct operation *operation)
{
	struct host *host = operation->queue->host;
	struct world *world = host->world;
	uint32_t nsid = world_draw(world, 1, WORLD_NAMESPACES);
	struct medium *medium = world_medium(world, host->subsystem, nsid);
	uint32_t bytes = TARGET_MDTS_UNIT << target_limits(world->target)->mdts;
	uint32_t count;

	if (bytes > HOST_OPERATION_BYTES)
		bytes = HOST_OPERATION_BYTES;
	count = bytes / model_block_bytes(medium->model);
	if (count > model_block_count(medium->model))
		count = model_block_count(medium->model);
	if (count > 4 && !world_is_lucky(world, 4))
		count = 4;
	operation->medium = medium;
	operation->range.count = world_draw(world, 1, count);
	operation->range.first =
		world_draw(world, 0, model_block_count(medium->model) - operation->range.count);
	operation->command.command.nsid = le32_of(nsid);
}

static struct operation *take(struct host_queue *queue, uint8_t opcode, enum operation_kind kind)
{
	struct operation *operation = operation_take(queue, opcode);

	if (operation == NULL)
		return NULL;
	operation->kind = kind;
	operation->start = ++queue->host->world->time;
	operation->then = host_queue_work_done;
	choose_range(operation);
	return operation;
}

/* @return the flags of a write. */
static uint32_t draw_durability(struct operation *operation)
{
	operation->is_durable = world_is_lucky(operation->queue->host->world, 4);
	return operation->is_durable ? NVME_IO_FUA : 0;
}

static void submit_read(struct host_queue *queue)
{
	struct operation *operation = take(queue, NVME_IO_READ, OPERATION_READ);

	if (operation == NULL)
		return;
	nvme_command_set_range(&operation->command.command, operation->range.first,
		operation->range.count, 0);
	operation_set_data(operation, TCP_HOST_READ,
		operation->range.count * model_block_bytes(operation->medium->model));
	(void)operation_submit(operation);
}

static void submit_write(struct host_queue *queue)
{
	struct operation *operation = take(queue, NVME_IO_WRITE, OPERATION_WRITE);

	if (operation == NULL)
		return;
	nvme_command_set_range(&operation->command.command, operation->range.first,
		operation->range.count, draw_durability(operation));
	operation_set_data(operation, TCP_HOST_WRITE,
		operation->range.count * model_block_bytes(operation->medium->model));
	operation->write = model_begin_write(operation->medium->model, operation->start, queue->era,
		operation->range, operation->data);
	(void)operation_submit(operation);
}

void host_queue_compare(const struct operation *read)
{
	struct operation *operation = operation_take(read->queue, NVME_IO_COMPARE);
	uint32_t bytes = read->command.data_bytes;

	if (operation == NULL)
		return;
	operation->command.command.nsid = read->command.command.nsid;
	operation->kind = OPERATION_COMPARE;
	operation->medium = read->medium;
	operation->range = read->range;
	operation->start = ++read->queue->host->world->time;
	operation->then = host_queue_work_done;
	nvme_command_set_range(&operation->command.command, read->range.first, read->range.count,
		0);
	operation_set_data(operation, TCP_HOST_WRITE, bytes);
	memcpy(operation->data, read->data, bytes);
	(void)operation_submit(operation);
}

/* The range in one piece or in two. */
static void fill_dataset(struct operation *operation)
{
	struct world *world = operation->queue->host->world;
	struct nvme_dsm_range ranges[2] = {0};
	uint32_t first_count = operation->range.count;
	uint32_t range_count = 1;

	if (first_count > 1 && world_is_lucky(world, 2)) {
		first_count = world_draw(world, 1, operation->range.count - 1);
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

static void submit_write_zeroes(struct host_queue *queue)
{
	struct operation *operation = take(queue, NVME_IO_WRITE_ZEROES, OPERATION_WRITE);
	uint32_t flags;

	if (operation == NULL)
		return;
	flags = draw_durability(operation);
	nvme_command_set_range(&operation->command.command, operation->range.first,
		operation->range.count,
		flags | (world_is_lucky(queue->host->world, 2) ? NVME_IO_DEAC : 0));
	operation->write = model_begin_write(operation->medium->model, operation->start, queue->era,
		operation->range, NULL);
	(void)operation_submit(operation);
}

/* Deallocated memory reads zeros. */
static void submit_dataset(struct host_queue *queue)
{
	struct operation *operation = take(queue, NVME_IO_DATASET_MANAGEMENT, OPERATION_WRITE);

	if (operation == NULL)
		return;
	fill_dataset(operation);
	operation->write = model_begin_write(operation->medium->model, operation->start, queue->era,
		operation->range, NULL);
	(void)operation_submit(operation);
}

/* Of few blocks: most reads are to find data. */
static void submit_mark(struct host_queue *queue)
{
	struct operation *operation = take(queue, NVME_IO_WRITE_UNCORRECTABLE, OPERATION_WRITE);

	if (operation == NULL)
		return;
	if (operation->range.count > 2)
		operation->range.count = 2;
	nvme_command_set_range(&operation->command.command, operation->range.first,
		operation->range.count, 0);
	operation->write = model_begin_mark(operation->medium->model, operation->start, queue->era,
		operation->range);
	(void)operation_submit(operation);
}

static bool overlaps(struct model_range some, struct model_range others)
{
	return some.first < others.first + others.count && others.first < some.first + some.count;
}

/* One or two ranges that together are as long as the operation's, which they do not touch.
 * @return whether there are any. */
static bool choose_sources(struct operation *operation)
{
	struct world *world = operation->queue->host->world;
	uint32_t block_count = model_block_count(operation->medium->model);
	uint32_t left = operation->range.count;

	for (unsigned i = 0; i < MODEL_SOURCES; i++) {
		struct model_range *source = &operation->sources[i];

		source->count = i + 1 == MODEL_SOURCES ? left : world_draw(world, 1, left);
		source->first = world_draw(world, 0, block_count - source->count);
		left -= source->count;
		if (source->count > 0 && overlaps(*source, operation->range))
			return false;
	}
	return true;
}

static void fill_copy(struct operation *operation)
{
	struct nvme_copy_range ranges[MODEL_SOURCES] = {0};
	struct nvme_command *command = &operation->command.command;
	uint32_t range_count = operation->sources[1].count > 0 ? 2 : 1;

	for (uint32_t i = 0; i < range_count; i++) {
		ranges[i].slba = le64_of(operation->sources[i].first);
		ranges[i].nlb = le16_of((uint16_t)(operation->sources[i].count - 1));
	}
	nvme_command_set_slba(command, operation->range.first);
	command->cdw12 = le32_of((range_count - 1) | draw_durability(operation));
	operation_set_data(operation, TCP_HOST_WRITE, range_count * (uint32_t)sizeof(ranges[0]));
	memcpy(operation->data, ranges, range_count * sizeof(ranges[0]));
}

static void submit_copy(struct host_queue *queue)
{
	struct operation *operation = take(queue, NVME_IO_COPY, OPERATION_WRITE);

	if (operation == NULL)
		return;
	if (!choose_sources(operation)) {
		operation_drop(operation);
		submit_read(queue);
		return;
	}
	fill_copy(operation);
	operation->write = model_begin_copy(operation->medium->model, operation->start, queue->era,
		operation->range.first, operation->sources);
	(void)operation_submit(operation);
}

static void submit_verify(struct host_queue *queue)
{
	struct operation *operation = take(queue, NVME_IO_VERIFY, OPERATION_VERIFY);

	if (operation == NULL)
		return;
	nvme_command_set_range(&operation->command.command, operation->range.first,
		operation->range.count, 0);
	(void)operation_submit(operation);
}

static void submit_flush(struct host_queue *queue)
{
	struct operation *operation = take(queue, NVME_IO_FLUSH, OPERATION_FLUSH);

	if (operation == NULL)
		return;
	if (world_is_lucky(queue->host->world, 4)) {
		operation->medium = NULL; /* all of the subsystem's */
		operation->command.command.nsid = le32_of(NVME_NSID_BROADCAST);
	}
	(void)operation_submit(operation);
}

void host_queue_work_io(struct host_queue *queue)
{
	static void (*const rare[])(struct host_queue * queue) = {
		submit_flush,
		submit_verify,
		submit_write_zeroes,
		submit_dataset,
		submit_copy,
		submit_copy,
		submit_mark,
		host_queue_count,
		host_queue_count,
	};
	const uint32_t rare_count = sizeof(rare) / sizeof(rare[0]);
	uint32_t choice = world_draw(queue->host->world, 0, rare_count + 19);

	if (choice < rare_count)
		rare[choice](queue);
	else if (choice < rare_count + 10)
		submit_write(queue);
	else
		submit_read(queue);
}

/* What a host does beside its work, seldom. */
static void disturb(struct host_queue *queue)
{
	struct host *host = queue->host;
	struct world *world = host->world;

	if (world_is_lucky(world, 40))
		world_change_medium(world);
	if (host->state != HOST_RUNNING)
		return;
	if (world_is_lucky(world, 150))
		host_break_off(host);
	else if (queue->qid > 0 && world_is_lucky(world, 100))
		host_drop_queue(queue);
	else if (world_is_lucky(world, 150))
		host_reset_controller(host);
	else if (world_is_lucky(world, 300))
		host_shut_down(host);
	else if (host->kato_ms == HOST_KATO_MS && world_is_lucky(world, 200))
		host_fall_silent(host);
}

void host_queue_work_done(struct operation *operation, nvme_status status)
{
	struct host_queue *queue = operation->queue;

	if (status != NVME_STATUS_SUCCESS)
		operation_check_failure(operation, status);
	else if (operation->kind == OPERATION_READ && world_is_lucky(queue->host->world, 6))
		host_queue_compare(operation);
	disturb(queue);
	host_queue_work(queue);
}

void host_queue_work(struct host_queue *queue)
{
	struct world *world = queue->host->world;
	unsigned wanted;

	if (!queue->is_connected || queue->host->state != HOST_RUNNING)
		return;
	wanted = world_draw(world, 1, queue->qid == 0 ? 4 : HOST_OPERATIONS_MAX);
	while (world->operations_left > 0 &&
		tcp_host_queue_outstanding(queue->transport) < wanted) {
		unsigned before = tcp_host_queue_outstanding(queue->transport);

		if (queue->qid == 0)
			host_queue_work_admin(queue);
		else
			host_queue_work_io(queue);
		if (tcp_host_queue_outstanding(queue->transport) == before)
			return;
		if (queue->qid > 0)
			world->operations_left--;
	}
}
