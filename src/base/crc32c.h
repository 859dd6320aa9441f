/*
 * CRC32C (Castagnoli, reflected, initial value and final XOR FFFFFFFF): the NVMe/TCP header and
 * data digest (NVMe/TCP 1.0, 3.3.1.1). ISA-L where it is built in, a table-driven routine else.
 */
#ifndef FERRY_BASE_CRC32C_H
#define FERRY_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/** The CRC32C of @bytes bytes at @from that follow data whose CRC32C is @crc (0 at the start). */
uint32_t crc32c(uint32_t crc, const void *from, size_t bytes);

/** As crc32c(), always by the table-driven routine: for tests and benchmarks. */
uint32_t crc32c_by_table(uint32_t crc, const void *from, size_t bytes);

#endif
