/*
 * A target with a namespace of each kind, an admin and an I/O queue on two loops, for tests of I/O
 * commands.
 */
#ifndef FERRY_TEST_TARGET_IO_FIXTURE_H
#define FERRY_TEST_TARGET_IO_FIXTURE_H

#include "nvme/io_command.h"
#include "nvme/status.h"
#include "store/store.h"
#include "test/store/faulty_store.h"
#include "test/target/fake_host.h"

#define DNR         NVME_STATUS_DNR
#define STORE_BYTES (4u << 20)
#define BLOCKS      (STORE_BYTES / 512)
#define DATA_MAX    (1u << 20) /* of a command: MDTS 8 */

enum { MEMORY = 1, READ_ONLY, BIG_BLOCKS, FAULTY, NAMESPACE_COUNT = FAULTY };

struct fixture {
	struct fake_world world;
	struct store *stores[NAMESPACE_COUNT];
	struct faulty_store *faulty;
	struct fault fault;       /* of every request to FAULTY */
	struct store_request was; /* the last that was not a read or a flush of FAULTY */
	unsigned fault_after;     /* so many requests to FAULTY go well before */
	struct fake_connection *admin, *io;
	uint16_t cntlid; /* of both */
};

void set_up(struct fixture *fixture);
void tear_down(struct fixture *fixture);

/** @return a command with a range of blocks. */
struct nvme_command blocks(uint8_t opcode, uint32_t nsid, uint64_t slba, uint32_t count);

/** Write @bytes bytes, all @letter, at @slba, or read as many. */
void write_letters(struct fixture *fixture, uint32_t nsid, uint64_t slba, size_t bytes, int letter);
void read_back(struct fixture *fixture, uint32_t nsid, uint64_t slba, size_t bytes, uint8_t *data);

/** @return how many bytes of @data are not @letter. */
size_t count_others(const uint8_t *data, size_t bytes, int letter);

#endif
