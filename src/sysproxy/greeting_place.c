/*
 * What a connection asks to be: given away by a router, otherwise a session or a lane. Each function
 * returns with the greeting changed, or gone.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "sysproxy/greeting_private.h"
#include "sysproxy/lane.h"
#include "sysproxy/process.h"
#include "sysproxy/session.h"

static void be_session(struct greeting *greeting, struct ferry_process *process)
{
	struct ferry_sysproxy_server *server = greeting->server;
	uint64_t number = greeting->handover.number;
	int fd = greeting->watch.fd;
	int error;

	process->is_extended = greeting->handover.is_extended != 0;
	process->carried_max = greeting->handover.carried_max;
	loop_unwatch(&greeting->watch);
	greeting->process = NULL;
	greeting_release(greeting);
	error = session_new(process, fd);
	if (error != 0) {
		process_die(process, strerrordesc_np(-error));
		return;
	}
	log_write(server->log, LOG_LEVEL_INFO, "process", "process %llu is %s",
		(unsigned long long)process->id, process->name);
	session_answer_handshake(process->session, number);
	session_start(process->session);
}

void greeting_process_begun(struct greeting *greeting, struct ferry_process *process, int error)
{
	greeting->process = NULL;
	if (error == 0) {
		be_session(greeting, process);
		return;
	}
	switch (error) {
	case -ENOMEM:
		greeting_refuse(greeting, WIRE_ERROR_NO_MEMORY, "the kernel has no memory");
		break;
	case -EAGAIN:
		greeting_refuse(greeting, WIRE_ERROR_TRY_AGAIN, "the kernel wants it to try again");
		break;
	default:
		greeting_refuse(greeting, WIRE_ERROR_AUTH, "the kernel does not want it");
		break;
	}
}

static void be_new(struct greeting *greeting)
{
	int error = process_begin(greeting->server, greeting, greeting->handover.name,
		&greeting->process);

	if (error == -ENFILE) {
		greeting_refuse(greeting, WIRE_ERROR_NO_MEMORY,
			"there are as many processes as may be");
	} else if (error != 0) {
		greeting_refuse(greeting, WIRE_ERROR_TRY_AGAIN, "out of memory");
	} else {
		greeting->state = GREETING_WAITING;
		timer_disarm(&greeting->timer);
	}
}

static void be_forked(struct greeting *greeting)
{
	struct ferry_process *process =
		server_find_fork_cookie(greeting->server, &greeting->handover.cookie);

	if (process == NULL) {
		greeting_refuse(greeting, WIRE_ERROR_INVALID_PREFORK,
			"there is no fork of that cookie");
	} else if (greeting->handover.is_cancelled) {
		process_die(process, NULL);
		greeting_free(greeting);
	} else {
		be_session(greeting, process);
	}
}

/* The fork was made elsewhere, and this server for what comes of it. */
static void be_forked_elsewhere(struct greeting *greeting)
{
	if (greeting->handover.is_cancelled)
		greeting_free(greeting);
	else
		be_new(greeting);
}

static void watch_again(struct greeting *greeting, enum wire_error code, const char *why)
{
	if (loop_watch(greeting->server->loop, &greeting->watch, EPOLLIN | EPOLLRDHUP) != 0)
		greeting_free(greeting);
	else
		greeting_refuse(greeting, code, why);
}

static void be_lane(struct greeting *greeting)
{
	const struct lane_request request = {
		.number = greeting->handover.number,
		.id = greeting->handover.lane_id,
	};
	struct ferry_process *process =
		server_find_lane_cookie(greeting->server, &greeting->handover.cookie);
	int error;

	if (process == NULL) {
		greeting_refuse(greeting, WIRE_ERROR_INVALID_PREFORK, "a lane of no process");
		return;
	}
	loop_unwatch(&greeting->watch);
	error = request.id == 0 ? -EINVAL : lane_new(process, greeting->watch.fd, &request);
	if (error == 0)
		greeting_release(greeting);
	else if (error == -EEXIST || error == -EINVAL)
		watch_again(greeting, WIRE_ERROR_MALFORMED, "a lane whose id is in use");
	else
		watch_again(greeting, WIRE_ERROR_NO_MEMORY, "there are as many lanes as may be");
}

static void be_routed(struct greeting *greeting)
{
	const struct handover_router *router = &greeting->server->router;
	const char *why = "it has no place";
	enum wire_error error;

	loop_unwatch(&greeting->watch);
	error = router->route(router->context, greeting->watch.fd, &greeting->handover, &why);
	if (error == WIRE_ERROR_NONE)
		greeting_release(greeting);
	else
		watch_again(greeting, error, why);
}

void greeting_place(struct greeting *greeting)
{
	const struct ferry_sysproxy_server *server = greeting->server;

	if (server->router.route != NULL) {
		be_routed(greeting);
		return;
	}
	switch ((enum handover_kind)greeting->handover.kind) {
	case HANDOVER_GUEST:
		be_new(greeting);
		break;
	case HANDOVER_FORK:
		if (server->adopter.fork != NULL)
			be_forked_elsewhere(greeting);
		else
			be_forked(greeting);
		break;
	case HANDOVER_LANE:
		be_lane(greeting);
		break;
	}
}
