/*
 * Compare and Write pairs of one block, sent on the I/O queue of a fixture.
 */
#ifndef FERRY_TEST_TARGET_FUSED_PAIR_H
#define FERRY_TEST_TARGET_FUSED_PAIR_H

#include "test/target/io_fixture.h"

#define FUSED_SLBA      7
#define FUSED_FIRST_CID 100 /* of the first half; of the second: the next */

enum { FIRST, SECOND };

/* The halves on their way. */
struct fused_pair {
	struct fake_command *halves[2];
};

/** @return a command for the block, with @fuse. */
struct nvme_command fused_half_of(uint8_t opcode, uint8_t fuse, uint32_t nsid);

/** Send @command with all the data it wants, all @letter. */
struct fake_command *fused_send(struct fixture *fixture, const struct nvme_command *command,
	int letter);

struct fake_command *fused_send_first(struct fixture *fixture, uint32_t nsid, int letter);
struct fake_command *fused_send_second(struct fixture *fixture, uint32_t nsid, int letter);

/** Compare with @from, write @to. */
struct fused_pair fused_pair_send(struct fixture *fixture, uint32_t nsid, int from, int to);

/** Wait for both halves, which end so, and free them. */
void fused_pair_end(struct fused_pair *pair, uint16_t first_status, uint16_t second_status);

/** The block @slba is all @letter. */
void fused_assert_block(struct fixture *fixture, uint32_t nsid, uint64_t slba, int letter);

/** A pair does what it should on the fixture's queue. */
void fused_assert_works(struct fixture *fixture);

/** Turn the loops until nothing is under way that does not wait for something. */
void fused_turn(struct fixture *fixture);

#endif
