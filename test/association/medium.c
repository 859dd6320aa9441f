#include "test/association/medium.h"

#include <errno.h>
#include <stdlib.h>

#include "store/memory_store.h"
#include "test/association/world.h"
#include "test/store/faulty_store.h"

static const struct medium_kind kinds[WORLD_MEDIA] = {
	{.block_bytes = 512, .block_count = 160},
	{.block_bytes = 4096, .block_count = 40, .has_faults = true, .error_one_in = 40},
	{.block_bytes = 512,
		.block_count = 200,
		.has_faults = true,
		.full_one_in = 30,
		.unsynced_one_in = 12},
	{.block_bytes = 4096, .block_count = 24},
};

static int flush_error(struct medium *medium)
{
	if (medium->latch_time == 0 && world_chance(medium->world, medium->kind->unsynced_one_in)) {
		medium->latch_time = ++medium->world->time;
		atomic_store(&medium->store->failed_flush, EIO);
	}
	return medium->latch_time != 0 ? EIO : 0;
}

static int write_error(const struct medium *medium, const struct store_request *request)
{
	if (request->is_durable && medium->latch_time != 0)
		return EIO;
	return world_chance(medium->world, medium->kind->full_one_in) ? ENOSPC : 0;
}

static int draw_error(struct medium *medium, const struct store_request *request)
{
	if (world_chance(medium->world, medium->kind->error_one_in))
		return EIO;
	switch (request->opcode) {
	case STORE_FLUSH:
		return flush_error(medium);
	case STORE_WRITE:
	case STORE_ZERO:
		return write_error(medium, request);
	case STORE_READ:
	case STORE_DISCARD:
		break;
	}
	return 0;
}

static struct fault decide(void *context, const struct store_request *request)
{
	struct medium *medium = context;
	struct fault fault = {.error = draw_error(medium, request)};

	if (world_is_lucky(medium->world, 3))
		fault.delay_ms = world_draw(medium->world, 1, 30);
	return fault;
}

void medium_init(struct medium *medium, struct world *world, unsigned index)
{
	const struct medium_kind *kind = &kinds[index];
	struct store_options options = {.block_bytes = kind->block_bytes};

	medium->world = world;
	medium->kind = kind;
	medium->model = model_new(kind->block_bytes, kind->block_count, index);
	if (memory_store_new((uint64_t)kind->block_bytes * (kind->block_count + 1), &options,
		    &medium->inner) < 0)
		world_fail(world, "no memory for a store");
	medium->store = medium->inner;
	medium->counter.may_be_torn = medium->inner->is_lending && !kind->has_faults;
	if (kind->has_faults)
		medium->store = faulty_store_store(faulty_store_new(medium->inner, decide, medium));
}

void medium_deinit(struct medium *medium)
{
	store_free(medium->store);
	model_free(medium->model);
}

bool medium_may_cause(const struct medium *medium, nvme_status status)
{
	switch (nvme_status_code(status)) {
	case NVME_STATUS_UNRECOVERED_READ_ERROR:
		return medium->kind->error_one_in > 0;
	case NVME_STATUS_WRITE_FAULT:
		return medium->kind->error_one_in > 0 || medium->latch_time != 0;
	case NVME_STATUS_CAPACITY_EXCEEDED:
		return medium->kind->full_one_in > 0;
	}
	return false;
}

static void ignore_done(struct store_request *request)
{
	(void)request;
}

/* A block that may be marked uncorrectable has no contents that matter. */
void medium_check(struct medium *medium)
{
	struct world *world = medium->world;
	struct model *model = medium->model;
	const uint32_t block_bytes = model_block_bytes(model);
	struct store_request request = {
		.done = ignore_done,
		.opcode = STORE_READ,
		.bytes = (size_t)(model_block_count(model) + 1) * block_bytes,
	};
	const char *problem;
	uint64_t number;

	request.data = malloc(request.bytes);
	if (request.data == NULL)
		world_fail(world, "no memory to read a medium");
	store_submit(medium->inner, world->loop, &request);
	world->time++;
	for (uint32_t i = 0; i < model_block_count(model); i++) {
		const struct model_range range = {i, 1};
		uint32_t block;

		if (!model_may_be_bad(model, world->time, range) &&
			!model_allows(model, world->time, range,
				request.data + (size_t)i * block_bytes, &block))
			world_fail(world, "block %u of medium %u is wrong", block,
				(unsigned)(medium - world->media));
	}
	problem = counter_look(&medium->counter, medium->counter.least,
		request.data + (size_t)model_block_count(model) * block_bytes, block_bytes,
		&number);
	if (problem != NULL)
		world_fail(world, "medium %u: %s", (unsigned)(medium - world->media), problem);
	free(request.data);
}
