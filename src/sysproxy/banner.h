/*
 * The banner: the line of text that a server sends first, `RUMPSP-0.4-OS-RELEASE/MACHINE`. A server
 * that speaks the extension appends ` FERRY-1`; a client of 0.4 passes over all of it.
 */
#ifndef FERRY_SYSPROXY_BANNER_H
#define FERRY_SYSPROXY_BANNER_H

#include <stdbool.h>
#include <stddef.h>

#include "sysproxy/wire.h"

struct banner {
	unsigned major, minor;        /* of the protocol */
	char os[WIRE_BANNER_MAX + 1]; /* "NetBSD-7.99.34", what stands before the machine */
	char machine[sizeof(((struct wire_hello *)0)->machine)]; /* as uname; with NUL */
	unsigned extension; /* the version that is announced, 0: none */
};

/** Write the line of a server, with its newline. Names are cut where they are too long.
 *  @return its bytes, at most WIRE_BANNER_MAX. */
size_t banner_make(const struct banner *banner, char ret_line[WIRE_BANNER_MAX + 1]);

/** Take a line apart, @bytes bytes with the newline at their end.
 *  @return 0, or -EPROTO: that is no sysproxy server. */
int banner_parse(const char *line, size_t bytes, struct banner *ret_banner)
	__attribute__((warn_unused_result));

/** Write this machine's name, as banners and HELLO have it; NULs to the end. */
void banner_machine(char ret_machine[sizeof(((struct wire_hello *)0)->machine)]);

#endif
