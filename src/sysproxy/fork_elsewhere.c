/*
 * It lives from the request until the loop has heard from the steward. In a child that the owner makes by
 * fork(2) nothing of this goes on.
 */
#include "sysproxy/fork_elsewhere.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sysproxy/cookie.h"
#include "sysproxy/session.h"

struct fork_elsewhere {
	struct ferry_process *parent;
	struct worker_job job;
	struct loop_message done;
	uint64_t number; /* of the request */
	struct wire_cookie cookie;
	char name[PROCESS_NAME_MAX]; /* a copy: an exec changes that of the process */
	int error;
};

static void run(struct worker_job *job)
{
	struct fork_elsewhere *fork = container_of(job, struct fork_elsewhere, job);
	struct ferry_sysproxy_server *server = fork->parent->server;
	const struct handover_adopter *adopter = &server->adopter;

	fork->error = adopter->fork(adopter->context, &fork->cookie, fork->name);
	loop_post(server->loop, &fork->done);
}

static enum wire_error error_code(int error)
{
	switch (error) {
	case -ENOMEM:
	case -ENFILE:
		return WIRE_ERROR_NO_MEMORY;
	case -EAGAIN:
		return WIRE_ERROR_TRY_AGAIN;
	default:
		return WIRE_ERROR_RFORK_FAILED;
	}
}

static void done(struct loop_message *message)
{
	struct fork_elsewhere *fork = container_of(message, struct fork_elsewhere, done);
	struct ferry_process *parent = fork->parent;
	const struct wire_frame request = {.number = fork->number, .type = WIRE_PREFORK};

	parent->forks_running--;
	if (parent->state == PROCESS_RUNNING && fork->error == 0)
		session_respond(parent->session, &request, &fork->cookie, sizeof(fork->cookie));
	else if (parent->state == PROCESS_RUNNING)
		session_error(parent->session, fork->number, error_code(fork->error));
	free(fork);
	process_settle(parent);
}

int fork_elsewhere(struct ferry_process *parent, uint64_t number)
{
	struct fork_elsewhere *fork;
	int error;

	if (parent->forks_running >= PROCESS_CHILDREN_MAX)
		return -ENFILE;
	fork = calloc(1, sizeof(*fork));
	if (fork == NULL)
		return -ENOMEM;
	fork->parent = parent;
	fork->job.run = run;
	fork->done.deliver = done;
	fork->number = number;
	cookie_make(&fork->cookie);
	memcpy(fork->name, parent->name, sizeof(fork->name));
	error = worker_submit(parent->server->steward, &fork->job);
	if (error != 0) {
		free(fork);
		return error;
	}
	parent->forks_running++;
	return 0;
}
