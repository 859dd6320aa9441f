/*
 * Dispatch: an operation sends parts until it has sent all of itself or a queue says no; then it is
 * in the waiting list, whose first operation goes on whenever a part is done. A failure ends what an
 * operation has not yet sent; it is done when all its parts are.
 */
#include "host/operations.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "host/association.h"
#include "host/failure.h"
#include "nvme/io_command.h"

struct operation {
	struct list link; /* of free or waiting; else in no list */
	struct operations *operations;
	struct operation_order order; /* lba, block_count and data are of what is not sent yet */
	unsigned part_count;          /* out */
	int error;                    /* the first */
};

struct part {
	struct tcp_host_command command;
	struct operation *operation;
	struct part *next_free;
};

struct operations {
	struct association *association;
	uint32_t nsid;
	uint32_t part_blocks; /* at most */
	uint8_t block_shift;
	int part_error;
	unsigned outstanding;
	struct list free, waiting;
	struct part *first_free;
	struct part *parts;
	struct operation *pool;
	void (*say)(void *context, const char *text);
	void *context;
};

static void note_failure(struct operations *operations, const struct part *part)
{
	const struct operation_order *order = &part->operation->order;
	const struct nvme_command *command = &part->command.command;
	char text[FAILURE_TEXT_MAX], sentence[FAILURE_TEXT_MAX + 80];

	failure_text(nvme_completion_status(&part->command.completion), text);
	if (order->opcode == NVME_IO_FLUSH)
		(void)snprintf(sentence, sizeof(sentence), "Flush: %s", text);
	else
		(void)snprintf(sentence, sizeof(sentence), "%s of %u blocks at %llu: %s",
			order->opcode == NVME_IO_READ ? "Read" : "Write",
			nvme_command_block_count(command),
			(unsigned long long)nvme_command_slba(command), text);
	operations->say(operations->context, sentence);
}

static void note_end(struct operation *operation, int error)
{
	if (operation->error == 0)
		operation->error = error;
	operation->order.block_count = 0;
	list_remove(&operation->link);
}

static void finish(struct operation *operation)
{
	struct operations *operations = operation->operations;
	struct operation_order order = operation->order;
	int error = operation->error;

	list_append(&operations->free, &operation->link);
	operations->outstanding--;
	order.done(order.context, error);
}

static void part_done(struct tcp_host_command *command);

/* The next part of @operation. @return its blocks, 0 for a flush. */
static uint32_t fill_part(struct operation *operation, struct part *part)
{
	const struct operations *operations = operation->operations;
	const struct operation_order *order = &operation->order;
	uint32_t blocks = order->block_count < operations->part_blocks
		? (uint32_t)order->block_count
		: operations->part_blocks;

	part->operation = operation;
	part->command = (struct tcp_host_command){
		.command = {.opcode = (uint8_t)order->opcode, .nsid = le32_of(operations->nsid)},
		.done = part_done,
	};
	if (order->opcode == NVME_IO_FLUSH)
		return 0;
	part->command.transfer = order->opcode == NVME_IO_READ ? TCP_HOST_READ : TCP_HOST_WRITE;
	part->command.data = order->data;
	part->command.data_bytes = blocks << operations->block_shift;
	nvme_command_set_range(&part->command.command, order->lba, blocks,
		order->is_durable ? NVME_IO_FUA : 0);
	return blocks;
}

/* @return 0 when all of it is sent, -EAGAIN, or -ENOTCONN. */
static int dispatch(struct operation *operation)
{
	struct operations *operations = operation->operations;
	struct operation_order *order = &operation->order;

	while (order->block_count > 0) {
		struct part *part = operations->first_free;
		uint32_t blocks;
		int error;

		if (part == NULL)
			return -EAGAIN;
		blocks = fill_part(operation, part);
		error = association_submit(operations->association, &part->command);
		if (error != 0)
			return error;
		operations->first_free = part->next_free;
		operation->part_count++;
		if (blocks == 0) {
			order->block_count = 0;
			break;
		}
		order->lba += blocks;
		order->block_count -= blocks;
		order->data += part->command.data_bytes;
	}
	return 0;
}

static void dispatch_waiting(struct operations *operations)
{
	while (!list_is_empty(&operations->waiting)) {
		struct operation *operation =
			container_of(operations->waiting.next, struct operation, link);

		if (dispatch(operation) != 0)
			return;
		list_remove(&operation->link);
	}
}

static void part_done(struct tcp_host_command *command)
{
	struct part *part = container_of(command, struct part, command);
	struct operation *operation = part->operation;
	struct operations *operations = operation->operations;

	if (command->error != 0) {
		note_end(operation, operations->part_error);
	} else if (nvme_status_code(nvme_completion_status(&command->completion)) !=
		NVME_STATUS_SUCCESS) {
		note_failure(operations, part);
		note_end(operation, failure_errno(nvme_completion_status(&command->completion)));
	}
	part->next_free = operations->first_free;
	operations->first_free = part;
	operation->part_count--;
	dispatch_waiting(operations);
	if (operation->part_count == 0 && operation->order.block_count == 0)
		finish(operation);
}

int operations_submit(struct operations *operations, const struct operation_order *order)
{
	struct list *link;
	struct operation *operation;
	int error = -EAGAIN;

	if (!association_is_ready(operations->association))
		return -ENOTCONN;
	link = list_take_first(&operations->free);
	if (link == NULL)
		return -EAGAIN;
	operation = container_of(link, struct operation, link);
	operation->order = *order;
	operation->error = 0;
	operation->part_count = 0;
	if (order->opcode == NVME_IO_FLUSH)
		operation->order.block_count = 1;
	if (list_is_empty(&operations->waiting))
		error = dispatch(operation);
	if (error != 0 && error != -EAGAIN && operation->part_count == 0) {
		list_append(&operations->free, &operation->link);
		return error;
	}
	if (error != 0)
		list_append(&operations->waiting, &operation->link);
	operations->outstanding++;
	return 0;
}

void operations_expect_end(struct operations *operations, int part_error)
{
	operations->part_error = part_error;
}

void operations_end_waiting(struct operations *operations, int error)
{
	struct list *link;

	while ((link = list_take_first(&operations->waiting)) != NULL) {
		struct operation *operation = container_of(link, struct operation, link);

		assert(operation->part_count == 0);
		note_end(operation, error);
		finish(operation);
	}
}

unsigned operations_outstanding(const struct operations *operations)
{
	return operations->outstanding;
}

int operations_new(struct association *association, unsigned operation_count,
	void (*say)(void *context, const char *text), void *context,
	struct operations **ret_operations)
{
	const struct association_facts *facts = association_facts(association);
	unsigned part_count = facts->io_queues * (facts->queue_entries - 1u);
	uint32_t part_blocks = facts->transfer_bytes >> facts->block_shift;
	struct operations *operations = calloc(1, sizeof(*operations));

	if (operations == NULL)
		return -ENOMEM;
	operations->association = association;
	operations->say = say;
	operations->context = context;
	operations->nsid = association_nsid(association);
	operations->block_shift = facts->block_shift;
	operations->part_blocks =
		part_blocks < NVME_IO_BLOCKS_MAX ? part_blocks : NVME_IO_BLOCKS_MAX;
	operations->part_error = -EIO;
	list_init(&operations->free);
	list_init(&operations->waiting);
	operations->pool = calloc(operation_count, sizeof(*operations->pool));
	operations->parts = calloc(part_count, sizeof(*operations->parts));
	if (operations->pool == NULL || operations->parts == NULL) {
		operations_free(operations);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < operation_count; i++) {
		operations->pool[i].operations = operations;
		list_append(&operations->free, &operations->pool[i].link);
	}
	for (unsigned i = part_count; i > 0; i--) {
		operations->parts[i - 1].next_free = operations->first_free;
		operations->first_free = &operations->parts[i - 1];
	}
	*ret_operations = operations;
	return 0;
}

void operations_free(struct operations *operations)
{
	if (operations == NULL)
		return;
	assert(operations->outstanding == 0);
	free(operations->pool);
	free(operations->parts);
	free(operations);
}
