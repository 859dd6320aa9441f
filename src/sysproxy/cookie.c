/*
 * Cookies come from the kernel's generator.
 */
#include "sysproxy/cookie.h"

#include "base/clock.h"

void cookie_make(struct wire_cookie *ret_cookie)
{
	random_secret(ret_cookie->bytes, sizeof(ret_cookie->bytes));
}

bool cookie_is_equal(const struct wire_cookie *cookie, const struct wire_cookie *other)
{
	volatile uint8_t difference = 0;

	for (size_t i = 0; i < sizeof(cookie->bytes); i++)
		difference = difference | (uint8_t)(cookie->bytes[i] ^ other->bytes[i]);
	return difference == 0;
}
