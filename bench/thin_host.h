/*
 * The thinnest NVMe/TCP host: blocking set-up of one admin and one I/O queue, then commands made
 * ahead of time and fired at a given depth. It checks only that each completion is a success, so
 * that what is measured is the other end. The same code drives a bare server that knows no protocol
 * but answers with messages of the same sizes.
 */
#ifndef FERRY_BENCH_THIN_HOST_H
#define FERRY_BENCH_THIN_HOST_H

#include <stdint.h>

#include "bench/capsule.h"

#define BENCH_STORE_BYTES (256u << 20)

/** Connect to 127.0.0.1:@port; sets TCP_NODELAY. @return the socket, or exits with a message. */
int bench_connect(uint16_t port);

/** Set up one admin and one I/O queue of subsystem @nqn at @port. @return the I/O queue's socket; the
 *  admin queue's is left open. Exits with a message on failure. */
int bench_open_queue(uint16_t port, const char *nqn);

/** Write every block of the store once, so that its memory is there as the bare loop's is. */
void bench_fill(int fd);

/** Read random blocks through @fd for @seconds at @depth. @return reads per second. */
double bench_read(int fd, unsigned depth, double seconds);

#endif
