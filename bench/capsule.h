/*
 * The PDUs of the benchmarks' hosts, as bytes ready to be sent.
 */
#ifndef FERRY_BENCH_CAPSULE_H
#define FERRY_BENCH_CAPSULE_H

#include <stddef.h>
#include <stdint.h>

#include "tcp/pdu.h"

#define BENCH_BLOCK_BYTES 4096u
#define BENCH_DEPTH_MAX   128u

/* C2HData with its header, and CapsuleResp. */
#define BENCH_ANSWER_BYTES \
	(sizeof(struct pdu_data) + BENCH_BLOCK_BYTES + sizeof(struct pdu_response))

#define BENCH_CAPSULE_MAX (sizeof(struct pdu_command) + BENCH_BLOCK_BYTES)

/** Make an ICReq without options. @return its bytes. */
size_t capsule_ic_request(uint8_t ret_pdu[BENCH_CAPSULE_MAX]);

/** Make Connect of queue @qid of subsystem @nqn. @return its bytes. */
size_t capsule_connect(uint8_t ret_pdu[BENCH_CAPSULE_MAX], const char *nqn, uint16_t qid,
	uint16_t cntlid);

/** Make the Property Set that enables the controller. @return its bytes. */
size_t capsule_enable(uint8_t ret_pdu[BENCH_CAPSULE_MAX]);

/** Make a Read of block @block (of BENCH_BLOCK_BYTES, on a disk of 512-byte blocks). */
void capsule_read(struct pdu_command *ret_pdu, uint64_t block, uint16_t cid);

/** Make a Write of that block with zeros in the capsule. @return its bytes. */
size_t capsule_write(uint8_t ret_pdu[BENCH_CAPSULE_MAX], uint64_t block);

#endif
