/*
 * Reading memory of this process by addresses that somebody else has chosen: what is not there is EFAULT,
 * not a crash.
 */
#ifndef FERRY_CALL_PEEK_H
#define FERRY_CALL_PEEK_H

#include <stddef.h>
#include <stdint.h>

/** Copy @bytes bytes at @address to @ret_to. @return 0 or -EFAULT; part may have been copied by then. */
int call_peek(void *ret_to, uint64_t address, size_t bytes) __attribute__((warn_unused_result));

/** Measure the string at @address.
 *  @param limit look at no more bytes
 *  @param ret_bytes its bytes with NUL; or @limit, if there is no NUL in so many
 *  @return 0 or -EFAULT: memory ends before the string does. */
int call_peek_string(uint64_t address, size_t limit, size_t *ret_bytes)
	__attribute__((warn_unused_result));

#endif
