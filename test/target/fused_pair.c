/*
 * Every block is one letter, so that what is there shows.
 */
#include "test/target/fused_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BLOCK_MAX 4096

struct nvme_command fused_half_of(uint8_t opcode, uint8_t fuse, uint32_t nsid)
{
	struct nvme_command command = blocks(opcode, nsid, FUSED_SLBA, 1);

	command.flags |= fuse;
	return command;
}

struct fake_command *fused_send(struct fixture *fixture, const struct nvme_command *command,
	int letter)
{
	uint8_t data[2 * BLOCK_MAX];
	uint32_t nsid = le32_get(command->nsid);
	uint32_t block_bytes =
		nsid >= 1 && nsid <= NAMESPACE_COUNT ? fixture->stores[nsid - 1]->block_bytes : 512;

	memset(data, letter, sizeof(data));
	return fake_send(fixture->io, command, data,
		nvme_command_block_count(command) * block_bytes);
}

struct fake_command *fused_send_first(struct fixture *fixture, uint32_t nsid, int letter)
{
	struct nvme_command command = fused_half_of(NVME_IO_COMPARE, NVME_FLAGS_FUSE_FIRST, nsid);

	command.cid = le16_of(FUSED_FIRST_CID);
	return fused_send(fixture, &command, letter);
}

struct fake_command *fused_send_second(struct fixture *fixture, uint32_t nsid, int letter)
{
	struct nvme_command command = fused_half_of(NVME_IO_WRITE, NVME_FLAGS_FUSE_SECOND, nsid);

	command.cid = le16_of(FUSED_FIRST_CID + SECOND);
	return fused_send(fixture, &command, letter);
}

struct fused_pair fused_pair_send(struct fixture *fixture, uint32_t nsid, int from, int to)
{
	struct fused_pair pair = {{fused_send_first(fixture, nsid, from)}};

	pair.halves[SECOND] = fused_send_second(fixture, nsid, to);
	return pair;
}

void fused_pair_end(struct fused_pair *pair, uint16_t first_status, uint16_t second_status)
{
	assert_int_equal(fake_wait(pair->halves[FIRST]), first_status);
	assert_int_equal(fake_wait(pair->halves[SECOND]), second_status);
	fake_command_free(pair->halves[FIRST]);
	fake_command_free(pair->halves[SECOND]);
}

void fused_assert_block(struct fixture *fixture, uint32_t nsid, uint64_t slba, int letter)
{
	uint32_t block_bytes = fixture->stores[nsid - 1]->block_bytes;
	uint8_t data[BLOCK_MAX];

	read_back(fixture, nsid, slba, block_bytes, data);
	assert_int_equal(count_others(data, block_bytes, letter), 0);
}

void fused_assert_works(struct fixture *fixture)
{
	struct fused_pair pair;

	write_letters(fixture, MEMORY, FUSED_SLBA, 512, 'o');
	pair = fused_pair_send(fixture, MEMORY, 'o', 'n');
	fused_pair_end(&pair, 0, 0);
	fused_assert_block(fixture, MEMORY, FUSED_SLBA, 'n');
}

void fused_turn(struct fixture *fixture)
{
	for (unsigned i = 0; i < 20; i++)
		fake_world_turn(&fixture->world);
}
