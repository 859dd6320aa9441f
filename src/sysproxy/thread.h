/*
 * Threads of the library: all signals are blocked in them, so that they are the embedder's to handle.
 */
#ifndef FERRY_SYSPROXY_THREAD_H
#define FERRY_SYSPROXY_THREAD_H

#include <pthread.h>
#include <stddef.h>

#define THREAD_STACK_MIN (64u << 10)

/** @param stack_bytes 0: the system's default; at least THREAD_STACK_MIN are taken
 *  @return 0 and a thread to be joined, or -errno. */
int thread_start(size_t stack_bytes, void *(*run)(void *argument), void *argument,
	pthread_t *ret_thread) __attribute__((warn_unused_result));

#endif
