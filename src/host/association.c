/*
 * The association ends in one place, association_end(): the state is set first, so that whoever is
 * told on the way finds it ended; then the queues are freed, which ends their commands; then the
 * owner is told.
 */
#include "host/association.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "host/association_private.h"
#include "host/failure.h"
#include "loop/stream.h"

void association_say(struct association *association, const char *format, ...)
{
	va_list arguments;

	if (association->problem[0] != '\0')
		return;
	va_start(arguments, format);
	(void)vsnprintf(association->problem, sizeof(association->problem), format, arguments);
	va_end(arguments);
}

/* The end */

static void drop_queues(struct association *association)
{
	struct tcp_host_queue *queue;

	timer_disarm(&association->deadline);
	timer_disarm(&association->poll);
	timer_disarm(&association->keep_alive_timer);
	loop_task_cancel(&association->begin);
	for (unsigned i = 0; i < ASSOCIATION_IO_QUEUES_MAX; i++) {
		queue = association->io_queues[i].queue;
		association->io_queues[i].queue = NULL;
		tcp_host_queue_free(queue);
	}
	queue = association->admin;
	association->admin = NULL;
	tcp_host_queue_free(queue);
}

/* @param error 0 or -errno, with the sentence said */
static void association_end(struct association *association, int error)
{
	if (association->state == ASSOCIATION_ENDED)
		return;
	if (association->state == ASSOCIATION_SHUTTING_DOWN)
		error = 0;
	association->state = ASSOCIATION_ENDED;
	drop_queues(association);
	association->handler->ended(association->context, error);
}

/* The sequences on the admin queue */

static void step_begin(struct association *association);

static void step_done(struct tcp_host_command *command)
{
	struct association *association = container_of(command, struct association, command);
	const struct association_step *step = association->step;
	nvme_status status = nvme_completion_status(&command->completion);
	int next;

	/* The queue has failed and says so itself, or it was freed. */
	if (command->error != 0)
		return;
	if (nvme_status_code(status) == NVME_STATUS_SUCCESS) {
		next = step->take(association, &command->completion);
	} else if (step->take_failure != NULL) {
		next = step->take_failure(association, &command->completion);
	} else {
		char text[FAILURE_TEXT_MAX];

		failure_text(status, text);
		association_say(association, "the target refuses %s: %s", step->name, text);
		next = failure_errno(status);
	}
	if (next < 0) {
		association_end(association, next);
	} else if (next == STEP_AGAIN) {
		timer_arm_after(&association->poll, ASSOCIATION_POLL_MS);
	} else {
		association->step++;
		step_begin(association);
	}
}

static void step_begin(struct association *association)
{
	int error;

	if (association->step->name == NULL) {
		association->sequence_done(association);
		return;
	}
	association->step->prepare(association, &association->command);
	association->command.done = step_done;
	error = tcp_host_queue_submit(association->admin, &association->command);
	if (error == 0)
		return;
	association_say(association, "%s cannot be sent", association->step->name);
	association_end(association, error);
}

static void poll_fired(struct timer *timer)
{
	step_begin(container_of(timer, struct association, poll));
}

static void deadline_fired(struct timer *timer)
{
	struct association *association = container_of(timer, struct association, deadline);

	association_say(association, "the target did not answer in time (%s)",
		association->is_admin_ready && association->step->name != NULL
			? association->step->name
			: "connection");
	association_end(association, -ETIMEDOUT);
}

/* Keep alive: Base 2.0, 3.9. */

static uint64_t keep_alive_period_ms(const struct association *association)
{
	/* With traffic counted, a sign of life may lie two periods back. */
	return association->options.kato_ms / (association->facts.is_keep_alive_by_traffic ? 4 : 2);
}

static void keep_alive_done(struct tcp_host_command *command)
{
	struct association *association = container_of(command, struct association, keep_alive);

	association->keep_alive_sent_ns = 0;
}

static void keep_alive_send(struct association *association)
{
	association->keep_alive = (struct tcp_host_command){
		.command = {.opcode = NVME_ADMIN_KEEP_ALIVE},
		.done = keep_alive_done,
	};
	if (tcp_host_queue_submit(association->admin, &association->keep_alive) == 0)
		association->keep_alive_sent_ns = loop_now_ns(association->loop);
}

static void keep_alive_fired(struct timer *timer)
{
	struct association *association = container_of(timer, struct association, keep_alive_timer);
	uint64_t kato_ns = (uint64_t)association->options.kato_ms * CLOCK_MS_NS;
	bool is_seen = association->has_traffic && association->facts.is_keep_alive_by_traffic;

	if (association->keep_alive_sent_ns != 0 &&
		loop_now_ns(association->loop) - association->keep_alive_sent_ns >= kato_ns) {
		association_say(association, "the target did not answer Keep Alive for %u ms",
			association->options.kato_ms);
		association_end(association, -ETIMEDOUT);
		return;
	}
	if (association->keep_alive_sent_ns == 0 && !is_seen)
		keep_alive_send(association);
	association->has_traffic = false;
	timer_arm_after(timer, keep_alive_period_ms(association));
}

/* I/O queues */

static void become_ready(struct association *association)
{
	association->state = ASSOCIATION_READY;
	timer_disarm(&association->deadline);
	if (association->options.kato_ms > 0 && association->facts.is_keep_alive_supported)
		timer_arm_after(&association->keep_alive_timer, keep_alive_period_ms(association));
	association->handler->ready(association->context);
}

static int io_queue_open(struct io_queue *io_queue);

static void io_connect_done(struct tcp_host_command *command)
{
	struct io_queue *io_queue = container_of(command, struct io_queue, connect);
	struct association *association = io_queue->association;
	nvme_status status = nvme_completion_status(&command->completion);
	int error;

	if (command->error != 0)
		return;
	if (nvme_status_code(status) == NVME_STATUS_SUCCESS) {
		io_queue->is_connected = true;
		if (++association->connected_count == association->facts.io_queues)
			become_ready(association);
		return;
	}
	if (nvme_status_code(status) == NVME_STATUS_CONNECT_INVALID_PARAMETERS &&
		io_queue->is_flow_control_off) {
		/* Perhaps it insists on flow control: once more, with it. */
		tcp_host_queue_free(io_queue->queue);
		io_queue->queue = NULL;
		io_queue->is_flow_control_off = false;
		error = io_queue_open(io_queue);
	} else {
		error = association_refuse_connect(association, &command->completion,
			io_queue->qid);
	}
	if (error != 0)
		association_end(association, error);
}

static void io_ready(void *context)
{
	struct io_queue *io_queue = context;
	struct association *association = io_queue->association;
	int error;

	association_prepare_connect(association, &io_queue->connect, io_queue->qid,
		association->facts.queue_entries, io_queue->is_flow_control_off);
	io_queue->connect.done = io_connect_done;
	error = tcp_host_queue_submit(io_queue->queue, &io_queue->connect);
	if (error != 0)
		association_end(association, error);
}

static void io_failed(void *context, int error, const char *reason)
{
	struct io_queue *io_queue = context;

	association_say(io_queue->association, "queue %u: %s", io_queue->qid, reason);
	association_end(io_queue->association, error);
}

static const struct tcp_host_queue_handler io_handler = {io_ready, io_failed};

static int io_queue_open(struct io_queue *io_queue)
{
	struct association *association = io_queue->association;
	struct tcp_host_queue_options options = {
		.entries = association->facts.queue_entries,
		.capsule_data_bytes = association->facts.capsule_bytes,
		.is_flow_control_off = io_queue->is_flow_control_off,
		.has_header_digest = association->options.has_header_digest,
		.has_data_digest = association->options.has_data_digest,
	};
	struct stream *stream;
	int error;

	error = association->handler->open_stream(association->context, association->attempt,
		&stream);
	if (error == 0)
		error = tcp_host_queue_new(stream, &options, &io_handler, io_queue,
			&io_queue->queue);
	if (error != 0)
		association_say(association, "queue %u: %s", io_queue->qid,
			strerrordesc_np(-error));
	return error;
}

static void open_io_queues(struct association *association)
{
	for (unsigned i = 0; i < association->facts.io_queues; i++) {
		struct io_queue *io_queue = &association->io_queues[i];
		int error;

		*io_queue = (struct io_queue){.association = association,
			.qid = (uint16_t)(i + 1),
			.is_flow_control_off = true};
		error = io_queue_open(io_queue);
		if (error != 0) {
			association_end(association, error);
			return;
		}
	}
}

/* The admin queue */

static void admin_ready(void *context)
{
	struct association *association = context;

	association->is_admin_ready = true;
	association->step = association->options.is_discovery ? association_discovery_steps
							      : association_connect_steps;
	association->sequence_done =
		association->options.is_discovery ? become_ready : open_io_queues;
	step_begin(association);
}

static int admin_open(struct association *association);

static void admin_failed(void *context, int error, const char *reason)
{
	struct association *association = context;

	if (!association->is_admin_ready) {
		tcp_host_queue_free(association->admin);
		association->admin = NULL;
		association->attempt++;
		if (error != -EPROTO && admin_open(association) == 0)
			return;
		association_say(association, "cannot connect: %s", reason);
	}
	association_say(association, "%s", reason);
	association_end(association, error);
}

static const struct tcp_host_queue_handler admin_handler = {admin_ready, admin_failed};

/* Connect to the first address from the present one on that can be tried. */
static int admin_open(struct association *association)
{
	const struct tcp_host_queue_options options = {
		.is_admin = true,
		.entries = ASSOCIATION_ADMIN_ENTRIES,
		.has_header_digest = association->options.has_header_digest,
		.has_data_digest = association->options.has_data_digest,
	};
	struct stream *stream;
	int error, last_error = 0;

	for (;;) {
		error = association->handler->open_stream(association->context,
			association->attempt, &stream);
		if (error == 0)
			break;
		if (error == -ENOENT)
			return last_error != 0 ? last_error : error;
		last_error = error;
		association->attempt++;
	}
	return tcp_host_queue_new(stream, &options, &admin_handler, association,
		&association->admin);
}

static void begin(struct loop_task *task)
{
	struct association *association = container_of(task, struct association, begin);
	int error = admin_open(association);

	if (error == 0)
		return;
	association_say(association, "cannot connect: %s", strerrordesc_np(-error));
	association_end(association, error);
}

/* For the owner */

int association_new(struct loop *loop, const struct association_options *options,
	const struct association_handler *handler, void *context,
	struct association **ret_association)
{
	struct association *association = calloc(1, sizeof(*association));

	if (association == NULL)
		return -ENOMEM;
	association->loop = loop;
	association->options = *options;
	association->handler = handler;
	association->context = context;
	association->state = ASSOCIATION_CONNECTING;
	timer_init(&association->deadline, loop, deadline_fired);
	timer_init(&association->poll, loop, poll_fired);
	timer_init(&association->keep_alive_timer, loop, keep_alive_fired);
	loop_task_init(&association->begin, begin);
	loop_again(loop, &association->begin);
	timer_arm_after(&association->deadline, options->connect_timeout_ms);
	*ret_association = association;
	return 0;
}

void association_free(struct association *association)
{
	if (association == NULL)
		return;
	association->state = ASSOCIATION_ENDED;
	drop_queues(association);
	free(association);
}

static void shutdown_done(struct association *association)
{
	association_end(association, 0);
}

void association_shutdown(struct association *association)
{
	bool is_ready = association->state == ASSOCIATION_READY;

	if (association->state == ASSOCIATION_ENDED ||
		association->state == ASSOCIATION_SHUTTING_DOWN)
		return;
	association->state = ASSOCIATION_SHUTTING_DOWN;
	if (!is_ready) {
		association_end(association, 0);
		return;
	}
	timer_disarm(&association->keep_alive_timer);
	timer_arm_after(&association->deadline, ASSOCIATION_SHUTDOWN_MS);
	association->step = association_shutdown_steps;
	association->sequence_done = shutdown_done;
	step_begin(association);
}

int association_submit(struct association *association, struct tcp_host_command *command)
{
	unsigned count = association->facts.io_queues;

	if (association->state != ASSOCIATION_READY)
		return -ENOTCONN;
	association->has_traffic = true;
	for (unsigned tried = 0; tried < count; tried++) {
		struct io_queue *io_queue = &association->io_queues[association->next_queue];
		int error = tcp_host_queue_submit(io_queue->queue, command);

		association->next_queue =
			association->next_queue + 1 < count ? association->next_queue + 1 : 0;
		if (error != -EAGAIN)
			return error;
	}
	return -EAGAIN;
}

int association_submit_admin(struct association *association, struct tcp_host_command *command)
{
	if (association->state != ASSOCIATION_READY)
		return -ENOTCONN;
	return tcp_host_queue_submit(association->admin, command);
}

uint32_t association_nsid(const struct association *association)
{
	return association->options.nsid;
}

bool association_is_ready(const struct association *association)
{
	return association->state == ASSOCIATION_READY;
}

const struct association_facts *association_facts(const struct association *association)
{
	return &association->facts;
}

const char *association_problem(const struct association *association)
{
	return association->problem;
}
