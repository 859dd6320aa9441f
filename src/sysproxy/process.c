/*
 * The states of a process. Whatever ends (a call, a lane, the steward's work) settles the process, and what
 * waits for all of that to have ended goes on.
 */
#include "sysproxy/process.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "sysproxy/cookie.h"
#include "sysproxy/fork_elsewhere.h"
#include "sysproxy/greeting.h"
#include "sysproxy/lane.h"
#include "sysproxy/session.h"

static void set_state(struct ferry_process *process, enum process_state state)
{
	switch (state) {
	case PROCESS_BEGINNING:
		assert(false);
		break;
	case PROCESS_PARKED:
		assert(process->state == PROCESS_BEGINNING);
		break;
	case PROCESS_RUNNING:
		assert(process->state == PROCESS_BEGINNING || process->state == PROCESS_PARKED ||
			process->state == PROCESS_EXECING);
		break;
	case PROCESS_EXECING:
		assert(process->state == PROCESS_RUNNING);
		break;
	case PROCESS_DYING:
		assert(process->state < PROCESS_DYING);
		break;
	case PROCESS_EXITING:
		assert(process->state == PROCESS_DYING);
		break;
	case PROCESS_ENDED:
		assert(process->state == PROCESS_EXITING);
		break;
	}
	process->state = state;
}

/* The steward's work */

static void job_delivered(struct loop_message *message)
{
	struct ferry_process *process = container_of(message, struct ferry_process, job.message);

	process->job.is_running = false;
	process->job.done(process);
}

static void job_is_done(struct ferry_process *process)
{
	loop_post(process->server->loop, &process->job.message);
}

/* Have the steward do @run, and then the loop @done. */
static void submit(struct ferry_process *process, void (*run)(struct worker_job *job),
	void (*done)(struct ferry_process *process))
{
	int error;

	assert(!process->job.is_running);
	process->job.is_running = true;
	process->job.job.run = run;
	process->job.done = done;
	error = worker_submit(process->server->steward, &process->job.job);
	assert(error == 0);
}

static struct ferry_process *process_of(struct worker_job *job)
{
	return container_of(job, struct ferry_process, job.job);
}

/* Signals */

static void signals_delivered(struct loop_message *message)
{
	struct ferry_process *process =
		container_of(message, struct ferry_process, signals_message);
	struct session *session = process->session;

	signals_heard(&process->signals);
	if (session != NULL && !session->is_ending && !list_is_empty(&session->calls))
		session_send_signals(session);
	if (signals_are_waiting(&process->signals))
		lane_raise(process);
}

void ferry_raise(struct ferry_process *process, int signal)
{
	if (signals_add(&process->signals, signal))
		loop_post(process->server->loop, &process->signals_message);
}

/* Beginnings */

static void prefork_timed_out(struct timer *timer)
{
	process_die(container_of(timer, struct ferry_process, prefork_timer),
		"the child of its fork has not connected in time");
}

static void cancel_again(struct timer *timer)
{
	struct ferry_process *process = container_of(timer, struct ferry_process, cancel_timer);
	bool is_due = process->session != NULL && session_cancel_again(process->session);

	if (lane_cancel_again(process))
		is_due = true;
	if (!is_due)
		return;
	process->cancel_delay_ms *= 2;
	if (process->cancel_delay_ms > PROCESS_CANCEL_MAX_MS)
		process->cancel_delay_ms = PROCESS_CANCEL_MAX_MS;
	timer_arm_after(timer, process->cancel_delay_ms);
}

void process_cancel_later(struct ferry_process *process)
{
	process->cancel_delay_ms = PROCESS_CANCEL_MIN_MS;
	timer_arm_after(&process->cancel_timer, process->cancel_delay_ms);
}

void process_renew_cookie(struct ferry_process *process)
{
	cookie_make(&process->lane_cookie);
}

static void set_name(struct ferry_process *process, const char *name)
{
	size_t bytes = strnlen(name, sizeof(process->name) - 1);

	memcpy(process->name, name, bytes);
	process->name[bytes] = '\0';
}

static void free_now(struct loop_task *task);

/* @return a process that is beginning, or NULL with *ret_error. */
static struct ferry_process *process_new(struct ferry_sysproxy_server *server, const char *name,
	int *ret_error)
{
	struct ferry_process *process = NULL;

	*ret_error = -ENFILE;
	if (atomic_load(&server->process_count) < server->limits.processes_max) {
		*ret_error = -ENOMEM;
		process = calloc(1, sizeof(*process));
	}
	if (process == NULL)
		return NULL;
	process->server = server;
	process->state = PROCESS_BEGINNING;
	process->id = ++server->last_process_id;
	process->job.message.deliver = job_delivered;
	process->signals_message.deliver = signals_delivered;
	set_name(process, name);
	list_init(&process->lanes);
	list_init(&process->children);
	list_init(&process->sibling);
	timer_init(&process->prefork_timer, server->loop, prefork_timed_out);
	timer_init(&process->cancel_timer, server->loop, cancel_again);
	loop_task_init(&process->free, free_now);
	signals_init(&process->signals);
	process_renew_cookie(process);
	list_append(&server->processes, &process->link);
	atomic_fetch_add(&server->process_count, 1);
	return process;
}

static void run_new(struct worker_job *job)
{
	struct ferry_process *process = process_of(job);
	const struct kernel *kernel = &process->server->kernel;

	process->job.error = kernel_process_new(kernel, process, process->name, &process->data);
	if (process->job.error == 0)
		process->id = kernel_process_id(kernel, process->data, process->id);
	job_is_done(process);
}

static void new_done(struct ferry_process *process)
{
	struct greeting *greeting = process->greeting;
	int error = process->job.error;

	process->has_data = error == 0;
	process->greeting = NULL;
	if (greeting != NULL)
		greeting_process_begun(greeting, process, error);
	if (process->state == PROCESS_BEGINNING)
		process_die(process, NULL);
	process_settle(process);
}

int process_begin(struct ferry_sysproxy_server *server, struct greeting *greeting, const char *name,
	struct ferry_process **ret_process)
{
	int error;
	struct ferry_process *process = process_new(server, name, &error);

	if (process == NULL)
		return error;
	process->greeting = greeting;
	submit(process, run_new, new_done);
	*ret_process = process;
	return 0;
}

void process_forget_greeting(struct ferry_process *process)
{
	process->greeting = NULL;
}

static void leave_parent(struct ferry_process *process)
{
	if (process->parent == NULL)
		return;
	list_remove(&process->sibling);
	process->parent->child_count--;
	process->parent = NULL;
}

void process_run(struct ferry_process *process, struct session *session)
{
	leave_parent(process);
	timer_disarm(&process->prefork_timer);
	process->session = session;
	set_state(process, PROCESS_RUNNING);
}

/* Forks */

static void run_fork(struct worker_job *job)
{
	struct ferry_process *process = process_of(job);
	const struct kernel *kernel = &process->server->kernel;

	process->job.error =
		kernel_process_fork(kernel, process->parent->data, process, &process->data);
	if (process->job.error == 0)
		process->id = kernel_process_id(kernel, process->data, process->id);
	job_is_done(process);
}

static void answer_fork(struct ferry_process *parent, const struct ferry_process *child, int error)
{
	const struct wire_frame request = {.number = child->fork_number, .type = WIRE_PREFORK};

	if (error == 0)
		session_respond(parent->session, &request, &child->fork_cookie,
			sizeof(child->fork_cookie));
	else
		session_error(parent->session, request.number,
			error == -ENOMEM ? WIRE_ERROR_NO_MEMORY : WIRE_ERROR_RFORK_FAILED);
}

static void fork_done(struct ferry_process *process)
{
	struct ferry_process *parent = process->parent;
	int error = process->job.error;

	parent->forks_running--;
	process->has_data = error == 0;
	if (parent->state == PROCESS_RUNNING)
		answer_fork(parent, process, error);
	/* Answering may have been the end of the parent, and so of this. */
	if (process->state == PROCESS_BEGINNING) {
		if (error != 0 || parent->state != PROCESS_RUNNING) {
			process_die(process, NULL);
		} else {
			set_state(process, PROCESS_PARKED);
			timer_arm_after(&process->prefork_timer,
				process->server->limits.prefork_timeout_ms);
		}
	}
	if (process->state >= PROCESS_DYING)
		leave_parent(process);
	process_settle(process);
	process_settle(parent);
}

int process_fork(struct ferry_process *parent, uint64_t number)
{
	struct ferry_process *process;
	int error;

	if (parent->server->adopter.fork != NULL)
		return fork_elsewhere(parent, number);
	if (parent->child_count >= PROCESS_CHILDREN_MAX)
		return -ENFILE;
	process = process_new(parent->server, parent->name, &error);
	if (process == NULL)
		return error;
	parent->child_count++;
	process->parent = parent;
	process->fork_number = number;
	cookie_make(&process->fork_cookie);
	list_append(&parent->children, &process->sibling);
	parent->forks_running++;
	submit(process, run_fork, fork_done);
	return 0;
}

/* Exec */

static void run_exec(struct worker_job *job)
{
	struct ferry_process *process = process_of(job);

	kernel_process_exec(&process->server->kernel, process->data, process->name);
	job_is_done(process);
}

static void exec_done(struct ferry_process *process)
{
	if (process->state == PROCESS_EXECING) {
		set_state(process, PROCESS_RUNNING);
		process_renew_cookie(process);
		session_answer_handshake(process->session, process->exec_number);
	}
	process_settle(process);
}

void process_exec(struct ferry_process *process, const char *name, uint64_t number)
{
	set_state(process, PROCESS_EXECING);
	set_name(process, name);
	process->exec_number = number;
	/* The program that would have answered has gone. */
	session_fail_copies(process->session);
	session_doom_calls(process->session);
	lane_end_all(process);
	process_settle(process);
}

/* Ends */

static void process_free(struct ferry_process *process)
{
	struct ferry_sysproxy_server *server = process->server;

	assert(list_is_empty(&process->lanes) && list_is_empty(&process->children));
	log_write(server->log, LOG_LEVEL_INFO, "process gone", "process %llu (%s) has gone",
		(unsigned long long)process->id, process->name);
	session_free(process->session);
	timer_disarm(&process->prefork_timer);
	timer_disarm(&process->cancel_timer);
	signals_deinit(&process->signals);
	list_remove(&process->link);
	free(process);
	atomic_fetch_sub(&server->process_count, 1);
	server_settle(server);
}

static void free_now(struct loop_task *task)
{
	process_free(container_of(task, struct ferry_process, free));
}

static void run_exit(struct worker_job *job)
{
	struct ferry_process *process = process_of(job);

	kernel_process_exit(&process->server->kernel, process->data);
	job_is_done(process);
}

static void exit_done(struct ferry_process *process)
{
	set_state(process, PROCESS_ENDED);
	process_settle(process);
}

/* @return whether nothing is in progress that needs the process. */
static bool is_quiet(const struct ferry_process *process)
{
	return !process->job.is_running && process->lane_count == 0 &&
		(process->session == NULL || list_is_empty(&process->session->calls)) &&
		process->forks_running == 0;
}

/* One that has hung up may still have something to send. */
static bool is_connected(const struct ferry_process *process)
{
	return process->session != NULL && process->session->stream != NULL;
}

void process_settle(struct ferry_process *process)
{
	if (!is_quiet(process))
		return;
	if (process->state == PROCESS_EXECING) {
		submit(process, run_exec, exec_done);
	} else if (process->state == PROCESS_DYING && !is_connected(process)) {
		set_state(process, PROCESS_EXITING);
		if (process->has_data)
			submit(process, run_exit, exit_done);
		else
			exit_done(process);
	} else if (process->state == PROCESS_ENDED && !session_is_lingering(process->session)) {
		loop_defer(process->server->loop, &process->free);
	}
}

static void end_children(struct ferry_process *process)
{
	struct list *link;

	while ((link = list_take_first(&process->children)) != NULL) {
		process_die(container_of(link, struct ferry_process, sibling), NULL);
	}
}

void process_die(struct ferry_process *process, const char *why)
{
	if (process->state >= PROCESS_DYING)
		return;
	if (why != NULL)
		log_write(process->server->log, LOG_LEVEL_WARNING, "process ended",
			"process %llu (%s) is ended: %s", (unsigned long long)process->id,
			process->name, why);
	set_state(process, PROCESS_DYING);
	timer_disarm(&process->prefork_timer);
	/* One that is being made needs its parent a little longer. */
	if (!process->job.is_running)
		leave_parent(process);
	if (process->session != NULL)
		session_doom_calls(process->session);
	lane_end_all(process);
	end_children(process);
	process_settle(process);
}
