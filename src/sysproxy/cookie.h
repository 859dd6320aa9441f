/*
 * Cookies: secrets of 16 random bytes that name a process to whoever has been told.
 */
#ifndef FERRY_SYSPROXY_COOKIE_H
#define FERRY_SYSPROXY_COOKIE_H

#include <stdbool.h>

#include "sysproxy/wire.h"

void cookie_make(struct wire_cookie *ret_cookie);

/** Compare in a time that does not depend on the bytes. */
bool cookie_is_equal(const struct wire_cookie *cookie, const struct wire_cookie *other);

#endif
