/*
 * Who may connect. On a unix socket the kernel says whose the other end is: the user this program runs
 * as, and others that were named. TCP is bound to loopback only, and a peer must come from there; a
 * connection that was handed over is trusted as whoever handed it over. Keys would be asked for here.
 */
#ifndef FERRY_SYSPROXY_PEER_H
#define FERRY_SYSPROXY_PEER_H

#include <sys/types.h>

/** @param users @user_count others who may connect
 *  @param ret_user whose the peer is, (uid_t)-1: nobody knows
 *  @return 0: the peer of @fd, an accepted connection, may; -EACCES with @ret_why a constant sentence:
 *  it may not. */
int peer_check(int fd, const uid_t *users, unsigned user_count, uid_t *ret_user,
	const char **ret_why) __attribute__((warn_unused_result));

#endif
