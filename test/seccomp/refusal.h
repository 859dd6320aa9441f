/*
 * A process for which the kernel has no io_uring, or no namespaces, or that may not read memory
 * as a debugger does: a seccomp filter refuses the system calls.
 */
#ifndef FERRY_TEST_SECCOMP_REFUSAL_H
#define FERRY_TEST_SECCOMP_REFUSAL_H

/** Refuse io_uring_setup, io_uring_enter and io_uring_register from now on, to this thread and all
 *  that it starts, for ever.
 *  @param error the errno they fail with
 *  @return 0, or -errno where filters are not possible. */
int refuse_io_uring(int error) __attribute__((warn_unused_result));

/** Refuse unshare() likewise. */
int refuse_namespaces(int error) __attribute__((warn_unused_result));

/** Refuse process_vm_readv() likewise. */
int refuse_peeking(int error) __attribute__((warn_unused_result));

#endif
