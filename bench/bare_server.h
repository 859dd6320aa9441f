/*
 * The bare loop that a target is compared with: a process that takes messages of the size of a
 * command capsule and answers each with a header, 4096 bytes of a random place in memory and a
 * completion. No protocol, no queue, no check. It spins before it
 * sleeps, as the best loop measured does at depth 1.
 */
#ifndef FERRY_BENCH_BARE_SERVER_H
#define FERRY_BENCH_BARE_SERVER_H

#include <stdint.h>
#include <sys/types.h>

/** Start it in a child process for one connection at a time. @return its pid; exits on failure. */
pid_t bare_server_start(uint16_t *ret_port);

#endif
