/*
 * What a hostile target does, step by step, as bytes that a fuzzer can change: each step is a byte, its
 * low half the step's kind and its high half N, and what follows it. A step that is about a command
 * waits for one to come; when none does it is left out. When the script has ended the target is as its
 * owner makes it.
 *
 *  KIND  STEP AND WHAT FOLLOWS
 *     0  answer the Nth pending command rightly
 *     1  change the PDU that is sent next: 1 byte (bits 1:0 PDUs before it, 4 spoil the header's digest,
 *        8 that of the data), then an offset (2 bytes) and the byte that goes there
 *     2  data of the Nth pending command: flags (1), offset (2), bytes (2)
 *     3  complete it: status (2)
 *     4  R2T for it: offset (2), bytes (2)
 *     5  answer rightly, as they come, so many commands: count (1)
 *     6  the host's user asks for something: kind (1): see its owner
 *     7  wait: 1 byte: 0 for a pending command, 1..127 turns, then 1..128 times 20 ms
 *     8  end the Nth connection, or reset it if N > 7
 *     9  bytes that are no PDU, on the Nth connection: count (1), bytes
 *    10  a PDU on the Nth connection: count (1), so many bytes of a header after its PLEN, whose first
 *        is the type
 *  else  as 0
 */
#ifndef FERRY_TEST_HOST_HOSTILE_SCRIPT_H
#define FERRY_TEST_HOST_HOSTILE_SCRIPT_H

#include "base/reader.h"
#include "loop/timer.h"
#include "test/host/hostile_target.h"

struct hostile_script {
	struct hostile_target *target;
	struct reader reader;
	struct timer timer; /* of the next step */
	unsigned turns_left;
	bool is_waiting; /* for a command, for the step in kind */
	unsigned waited;
	uint8_t step;
	bool is_ended;
	void (*ask)(void *context, uint8_t kind);
	void (*ended)(void *context);
	void *context;
};

/** Begin with the next turn. @script has all but what is the script's own set: target, reader, ask,
 *  ended and context. */
void hostile_script_start(struct hostile_script *script, struct loop *loop);
void hostile_script_stop(struct hostile_script *script);

#endif
