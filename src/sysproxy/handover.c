/*
 * A handover is made by a greeting (greeting.c), and placed as if it had been made here
 * (greeting_place.c).
 */
#include "sysproxy/handover.h"

#include <string.h>

#include "sysproxy/greeting.h"
#include "sysproxy/server.h"

bool handover_check(const struct handover *handover)
{
	return handover->kind <= HANDOVER_LANE && handover->is_extended <= 1 &&
		handover->carried_max <= WIRE_CARRIED_MAX && handover->is_cancelled <= 1 &&
		memchr(handover->name, '\0', sizeof(handover->name)) != NULL;
}

int handover_open_router(const char *url, const struct handover_router *router,
	const struct ferry_sysproxy_server_options *options,
	struct ferry_sysproxy_server **ret_server, char ret_error[FERRY_SYSPROXY_ERROR_MAX])
{
	const struct server_setup setup = {.url = url, .options = options, .router = router};

	return server_make(&setup, ret_server, ret_error);
}

int handover_open_adopter(const struct ferry_kernel *kernel, const struct handover_adopter *adopter,
	const struct ferry_sysproxy_server_options *options,
	struct ferry_sysproxy_server **ret_server, char ret_error[FERRY_SYSPROXY_ERROR_MAX])
{
	const struct server_setup setup = {
		.kernel = kernel,
		.options = options,
		.adopter = adopter,
	};

	return server_make(&setup, ret_server, ret_error);
}

void handover_adopt(struct ferry_sysproxy_server *server, int fd, const struct handover *handover)
{
	server->has_adopted = true;
	greeting_adopt(server, fd, handover, WIRE_ERROR_NONE, NULL);
}

void handover_refuse(struct ferry_sysproxy_server *server, int fd, const struct handover *handover,
	enum wire_error code, const char *why)
{
	greeting_adopt(server, fd, handover, code, why);
}
