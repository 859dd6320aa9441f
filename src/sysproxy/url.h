/*
 * Where a sysproxy server is: unix://PATH, tcp://HOST:PORT or fd://NUMBER.
 */
#ifndef FERRY_SYSPROXY_URL_H
#define FERRY_SYSPROXY_URL_H

#include "loop/address.h"

enum sysproxy_url_kind {
	SYSPROXY_URL_UNIX,
	SYSPROXY_URL_TCP,
	SYSPROXY_URL_FD,
};

struct sysproxy_url {
	enum sysproxy_url_kind kind;
	int fd;                 /* of fd:// */
	unsigned address_count; /* of unix:// 1, of tcp:// as many as the name has */
	struct address addresses[ADDRESS_RESOLVE_MAX];
	/* The URL again, so that it means the same after chdir(): a unix path is absolute. */
	char text[URL_ADDRESS_TEXT_MAX + 16];
};

/** Parse @text and look its host up, which may block. A tcp:// host must be this machine, since nobody
 *  is authenticated there yet; its addresses are loopback ones. Port 0 is legal.
 *  @return 0, or -errno with @ret_problem a constant sentence: -EINVAL, -ENAMETOOLONG (a unix path of
 *  more than 107 bytes), -EACCES (not loopback), or the resolver's. */
int sysproxy_url_parse(const char *text, struct sysproxy_url *ret_url, const char **ret_problem)
	__attribute__((warn_unused_result));

#endif
