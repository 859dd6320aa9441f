/*
 * The namespaces: memory, memory that is read-only, memory in blocks of 4096 bytes, and memory behind
 * faults.
 */
#include "test/target/io_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "store/memory_store.h"

static struct fault decide(void *context, const struct store_request *request)
{
	static const struct fault no_fault;
	struct fixture *fixture = context;

	if (request->opcode != STORE_READ && request->opcode != STORE_FLUSH)
		fixture->was = *request;
	if (fixture->fault_after > 0) {
		fixture->fault_after--;
		return no_fault;
	}
	return fixture->fault;
}

void set_up(struct fixture *fixture)
{
	static const struct store_options options[] = {{0}, {.is_read_only = true},
		{.block_bytes = 4096}, {0}};

	memset(fixture, 0, sizeof(*fixture));
	fake_world_init(&fixture->world, NULL);
	for (unsigned i = 0; i < NAMESPACE_COUNT; i++) {
		struct store **store = &fixture->stores[i];

		assert_int_equal(memory_store_new(STORE_BYTES, &options[i], store), 0);
		if (i + 1 == FAULTY) {
			fixture->faulty = faulty_store_new(*store, decide, fixture);
			*store = faulty_store_store(fixture->faulty);
		}
		assert_int_equal(subsystem_add_namespace(fixture->world.subsystem, *store),
			(int)i + 1);
	}
	target_publish(fixture->world.target);
	fixture->admin = fake_admin(&fixture->world, 0, &fixture->cntlid);
	fixture->io = fake_io(&fixture->world, 1, fixture->cntlid, 1);
}

void tear_down(struct fixture *fixture)
{
	fake_connection_free(fixture->io);
	fake_connection_free(fixture->admin);
	fake_world_deinit(&fixture->world);
	for (unsigned i = 0; i < NAMESPACE_COUNT; i++)
		store_free(fixture->stores[i]);
}

struct nvme_command blocks(uint8_t opcode, uint32_t nsid, uint64_t slba, uint32_t count)
{
	struct nvme_command command = fake_command_of(opcode, nsid);

	nvme_command_set_range(&command, slba, count, 0);
	return command;
}

void write_letters(struct fixture *fixture, uint32_t nsid, uint64_t slba, size_t bytes, int letter)
{
	uint32_t block_bytes = fixture->stores[nsid - 1]->block_bytes;
	struct nvme_command command =
		blocks(NVME_IO_WRITE, nsid, slba, (uint32_t)bytes / block_bytes);
	struct fake_exchange exchange = {.data_bytes = bytes};
	uint8_t *data = malloc(bytes);

	assert_non_null(data);
	memset(data, letter, bytes);
	exchange.data = data;
	assert_int_equal(fake_execute(fixture->io, &command, &exchange), 0);
	free(data);
}

void read_back(struct fixture *fixture, uint32_t nsid, uint64_t slba, size_t bytes, uint8_t *data)
{
	uint32_t block_bytes = fixture->stores[nsid - 1]->block_bytes;
	struct nvme_command command =
		blocks(NVME_IO_READ, nsid, slba, (uint32_t)bytes / block_bytes);
	struct fake_exchange exchange = {.ret_data = data, .data_bytes = bytes};

	assert_int_equal(fake_execute(fixture->io, &command, &exchange), 0);
}

size_t count_others(const uint8_t *data, size_t bytes, int letter)
{
	size_t count = 0;

	for (size_t i = 0; i < bytes; i++)
		count += data[i] != letter;
	return count;
}
