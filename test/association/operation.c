/*
 * One command of a host, and what is checked when it ends.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "nvme/io_command.h"
#include "test/association/host.h"

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

__attribute__((noreturn)) static void fail(const struct operation *operation, const char *what)
{
	world_fail(world_of(operation),
		"host %u queue %u subsystem %u: opcode %02x, namespace %x, blocks %u..%u: %s",
		operation->queue->host->index, operation->queue->qid,
		operation->queue->host->subsystem, operation->command.command.opcode,
		le32_get(operation->command.command.nsid), operation->range.first,
		operation->range.first + operation->range.count - 1, what);
}

/* The end of a write */

/* Damaged data must not get to the medium. The era of the operation may have ended before the host
 * hears of it. */
static enum model_end end_of_write(const struct operation *operation)
{
	nvme_status status = nvme_completion_status(&operation->command.completion);
	bool is_completed = operation->command.error == 0;

	if (is_completed && status == NVME_STATUS_SUCCESS)
		return MODEL_ACKNOWLEDGED;
	if (is_completed && nvme_status_code(status) == NVME_STATUS_TRANSIENT_TRANSPORT_ERROR)
		return MODEL_REFUSED;
	if (is_completed || world_of(operation)->eras[operation->queue->era].is_over)
		return MODEL_FAILED;
	return MODEL_LOST;
}

static void end_write(const struct operation *operation)
{
	struct world *world = world_of(operation);
	enum model_end end = end_of_write(operation);

	if (end == MODEL_ACKNOWLEDGED)
		world->counts.acknowledged++;
	else
		world->counts.lost++;
	model_end_write(operation->medium->model, ++world->time, operation->write, end);
}

/* Success */

static void check_read(const struct operation *operation)
{
	struct model *model = operation->medium->model;
	uint32_t block;

	world_of(operation)->counts.reads++;
	if (model_allows(model, operation->start, operation->range, operation->data, &block))
		return;
	model_explain(model, operation->start, block,
		operation->data +
			(size_t)(block - operation->range.first) * model_block_bytes(model));
	fail(operation, "data is wrong");
}

/* @return whether the command is about @medium. */
static bool concerns(const struct operation *operation, const struct medium *medium)
{
	const struct host *host = operation->queue->host;

	if (operation->medium != NULL)
		return operation->medium == medium;
	for (uint32_t nsid = 1; nsid <= WORLD_NAMESPACES; nsid++)
		if (world_medium(host->world, host->subsystem, nsid) == medium)
			return true;
	return false;
}

/* store.h: a failed flush is latched. */
static void check_durable(const struct operation *operation)
{
	struct world *world = world_of(operation);

	for (unsigned i = 0; i < WORLD_MEDIA; i++) {
		const struct medium *medium = &world->media[i];

		if (concerns(operation, medium) && medium->latch_time != 0 &&
			medium->latch_time < operation->start)
			fail(operation, "succeeds though a flush has failed before");
	}
}

static void check_success(const struct operation *operation)
{
	struct model *model = operation->medium != NULL ? operation->medium->model : NULL;

	world_of(operation)->time++;
	switch (operation->kind) {
	case OPERATION_READ:
	case OPERATION_COMPARE:
		check_read(operation);
		break;
	case OPERATION_VERIFY:
		if (model_must_be_bad(model, operation->start, operation->range))
			fail(operation, "verified though blocks are bad");
		break;
	case OPERATION_FLUSH:
		check_durable(operation);
		break;
	case OPERATION_WRITE:
		if (operation->is_durable)
			check_durable(operation);
		break;
	case OPERATION_PLAIN:
	case OPERATION_COUNT:
		break;
	}
}

/* Failure */

static bool may_find_bad_block(const struct operation *operation)
{
	struct model *model;

	if (operation->medium == NULL)
		return false;
	model = operation->medium->model;
	for (unsigned i = 0; i < MODEL_SOURCES; i++)
		if (operation->sources[i].count > 0 &&
			model_may_be_bad(model, operation->start, operation->sources[i]))
			return true;
	return operation->kind != OPERATION_WRITE &&
		model_may_be_bad(model, operation->start, operation->range);
}

static bool medium_is_reason(const struct operation *operation, nvme_status status)
{
	struct world *world = world_of(operation);

	if (operation->kind == OPERATION_PLAIN)
		return false;
	for (unsigned i = 0; i < WORLD_MEDIA; i++)
		if (concerns(operation, &world->media[i]) &&
			medium_may_cause(&world->media[i], status))
			return true;
	return false;
}

/* What differs must have had the possibility. */
static bool may_mismatch(const struct operation *operation)
{
	return operation->kind == OPERATION_COMPARE &&
		!model_requires(operation->medium->model, operation->start, operation->range,
			operation->data);
}

static bool is_damaged(const struct operation *operation)
{
	struct world_era *era = &world_of(operation)->eras[operation->queue->era];

	era->noticed_count++;
	return era->flip_count > 0;
}

static bool has_reason(const struct operation *operation, nvme_status status)
{
	switch (nvme_status_code(status)) {
	case NVME_STATUS_ABORTED_SQ_DELETION:
		return true;
	case NVME_STATUS_ABORT_REQUESTED:
		return operation->queue->is_aborted;
	case NVME_STATUS_AER_LIMIT_EXCEEDED:
		return operation->command.command.opcode == NVME_ADMIN_ASYNC_EVENT;
	case NVME_STATUS_TRANSIENT_TRANSPORT_ERROR:
		return is_damaged(operation);
	case NVME_STATUS_ABORTED_FAILED_FUSED:
	case NVME_STATUS_ABORTED_MISSING_FUSED:
		return (operation->command.command.flags & NVME_FLAGS_FUSE_MASK) != 0;
	case NVME_STATUS_COMPARE_FAILURE:
		return may_mismatch(operation);
	case NVME_STATUS_UNRECOVERED_READ_ERROR:
		if (may_find_bad_block(operation)) {
			world_of(operation)->counts.bad_reads++;
			return true;
		}
		break;
	}
	return medium_is_reason(operation, status);
}

void operation_check_failure(struct operation *operation, nvme_status status)
{
	world_of(operation)->time++;
	if (!has_reason(operation, status))
		fail(operation, nvme_status_text(status));
}

/* The way of a command */

/* What the host got to see. */
static void trace(const struct operation *operation)
{
	const struct tcp_host_command *command = &operation->command;
	const struct host_queue *queue = operation->queue;
	struct world *world = world_of(operation);
	uint64_t word;

	world_trace(world,
		(uint64_t)queue->host->index << 32 | (uint64_t)queue->qid << 16 | command->cid);
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
	if (operation->kind == OPERATION_WRITE)
		end_write(operation);
	if (is_completed && status == NVME_STATUS_SUCCESS)
		check_success(operation);
	operation->is_busy = false;
	operation->data = NULL;
	if (is_completed)
		ended.then(&ended, status);
	free(ended.data);
}

void operation_drop(struct operation *operation)
{
	if (operation == NULL)
		return;
	operation->is_busy = false;
	free(operation->data);
	operation->data = NULL;
}

bool operation_submit(struct operation *operation)
{
	operation->command.done = command_done;
	operation->start_ns = world_of(operation)->clock.time_ns;
	if (operation->queue->transport != NULL &&
		tcp_host_queue_submit(operation->queue->transport, &operation->command) == 0)
		return true;
	if (operation->kind == OPERATION_WRITE)
		model_end_write(operation->medium->model, ++world_of(operation)->time,
			operation->write, MODEL_REFUSED);
	operation_drop(operation);
	return false;
}
