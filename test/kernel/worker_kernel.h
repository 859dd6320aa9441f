/*
 * The kernel of the workers of tests (worker_bench.h).
 */
#ifndef FERRY_TEST_KERNEL_WORKER_KERNEL_H
#define FERRY_TEST_KERNEL_WORKER_KERNEL_H

#include "kernel/worker_process.h"

extern const struct worker_process_duties worker_kernel_duties;

#endif
