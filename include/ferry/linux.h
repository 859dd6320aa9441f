/*
 * libferry: Linux's system calls, made in a Linux kernel elsewhere by a client of sysproxy.h. What a
 * call is about in this program's memory is found from its arguments, so that they are all that a caller
 * gives. ferry-calls(7) has the calls that are carried.
 *
 * The process over there has descriptors, a working directory and a umask of its own, with numbers of
 * its own. Signals are this program's concern: a mask that ppoll() and its like are given is not set.
 */
#ifndef FERRY_LINUX_H
#define FERRY_LINUX_H

#include <stdint.h>

#include <ferry/sysproxy.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FERRY_LINUX_ARGUMENTS 6

/** Make a system call. From any thread; one that blocks holds up no other.
 *
 *  A call that may block ends with EINTR when this thread handles a signal, also if its handler was
 *  installed with SA_RESTART. When the server was lost in its midst (and @client shall reconnect) a call
 *  that does the same again, has no descriptor and only absolute paths is made again.
 *  Pointers are as the call has them, bad ones are EFAULT; memory that another thread changes meanwhile
 *  may be seen in either state. A vector that is in more than
 *  FERRY_SYSPROXY_RANGES_MAX places is ENOBUFS; of messages only as many are taken as fit.
 *
 *  @param number of this machine, as SYS_openat
 *  @param ret_value as Linux returns it: -4095..-1 is -errno; untouched unless 0 is returned
 *  @return 0 when the call was made, or was refused for its arguments; or as ferry_sysproxy_call(), and
 *  -EOPNOTSUPP: the server speaks plain sysproxy, whose calls are not Linux's; -ENOMEM. */
int ferry_linux_call(struct ferry_sysproxy *client, uint32_t number,
	const uint64_t arguments[FERRY_LINUX_ARGUMENTS], int64_t *ret_value)
	__attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif

#endif
