/*
 * The public discovery: a host whose association has an admin queue only, on which the log is read,
 * one command at a time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "host/discovery.h"
#include "host/failure.h"
#include "host/host_private.h"
#include "loop/loop.h"
#include "loop/timer.h"

struct ferry_host_discovery {
	struct discovery log;
};

/* A reading of the log. */
struct discoverer {
	struct ferry_host *host;
	struct discovery *log;
	struct tcp_host_command command;
	struct timer deadline;
	bool is_done;
	int error;
	uint8_t page[DISCOVERY_PIECE_MAX];
};

static void finish(struct discoverer *discoverer, int error, const char *problem)
{
	if (problem != NULL)
		host_say(discoverer->host, problem);
	discoverer->error = error;
	discoverer->is_done = true;
}

static void ask(struct discoverer *discoverer);

/* @return 0 when there is more to ask for, or nothing; else -errno and the sentence was said. */
static int take_answer(struct discoverer *discoverer)
{
	nvme_status status = nvme_completion_status(&discoverer->command.completion);
	char text[FAILURE_TEXT_MAX], sentence[FAILURE_TEXT_MAX + 64];
	int error;

	if (nvme_status_code(status) == NVME_STATUS_SUCCESS) {
		error = discovery_take(discoverer->log, discoverer->page);
	} else if (nvme_status_code(status) == NVME_STATUS_DISCOVER_RESTART) {
		error = discovery_restart(discoverer->log);
	} else {
		failure_text(status, text);
		(void)snprintf(sentence, sizeof(sentence),
			"the target refuses to show its discovery log: %s", text);
		host_say(discoverer->host, sentence);
		return failure_errno(status);
	}
	if (error != 0)
		host_say(discoverer->host, discoverer->log->problem);
	return error;
}

static void answered(struct tcp_host_command *command)
{
	struct discoverer *discoverer = container_of(command, struct discoverer, command);
	int error;

	/* The association has ended and says why. */
	if (command->error != 0 || discoverer->is_done)
		return;
	error = take_answer(discoverer);
	if (error != 0 || discoverer->log->state == DISCOVERY_COMPLETE)
		finish(discoverer, error, NULL);
	else
		ask(discoverer);
}

static void ask(struct discoverer *discoverer)
{
	struct nvme_get_log_page fields;
	int error;

	discovery_next(discoverer->log, &fields);
	discoverer->command = (struct tcp_host_command){
		.command = {.opcode = NVME_ADMIN_GET_LOG_PAGE},
		.transfer = TCP_HOST_READ,
		.data = discoverer->page,
		.data_bytes = (uint32_t)fields.length_bytes,
		.done = answered,
	};
	nvme_command_set_get_log_page(&discoverer->command.command, &fields);
	error = association_submit_admin(discoverer->host->association, &discoverer->command);
	if (error != 0)
		finish(discoverer, error, "Get Log Page cannot be sent");
}

static void deadline_fired(struct timer *timer)
{
	finish(container_of(timer, struct discoverer, deadline), -ETIMEDOUT,
		"the target did not show its discovery log in time");
}

/* Read the log over @host, which is ready. @return 0, or -errno and the host has the sentence. */
static int read_log(struct discoverer *discoverer)
{
	struct ferry_host *host = discoverer->host;
	int error;

	discovery_init(discoverer->log, association_facts(host->association)->transfer_bytes);
	timer_init(&discoverer->deadline, host->loop, deadline_fired);
	timer_arm_after(&discoverer->deadline, host->options.connect_timeout_ms);
	ask(discoverer);
	while (!discoverer->is_done && host->state == HOST_READY) {
		error = loop_turn(host->loop, -1);
		if (error != 0)
			host_give_up(host, error);
	}
	timer_disarm(&discoverer->deadline);
	if (discoverer->is_done)
		return discoverer->error;
	return host->error;
}

int host_discover(const struct host_plan *plan, struct ferry_host_discovery **ret_discovery,
	char ret_error[FERRY_HOST_ERROR_MAX])
{
	CLEANUP(cleanup_free) struct discoverer *discoverer = calloc(1, sizeof(*discoverer));
	struct ferry_host_discovery *discovery = calloc(1, sizeof(*discovery));
	struct host_plan discovery_plan = *plan;
	int error;

	discovery_plan.is_discovery = true;
	if (discoverer == NULL || discovery == NULL) {
		ferry_host_discovery_free(discovery);
		return host_refuse(ret_error, -ENOMEM, plan->url, "out of memory");
	}
	error = host_open(&discovery_plan, &discoverer->host, ret_error);
	if (error == 0) {
		discoverer->log = &discovery->log;
		error = read_log(discoverer);
		if (error != 0 && ret_error != NULL)
			memcpy(ret_error, discoverer->host->error_text, FERRY_HOST_ERROR_MAX);
		ferry_host_close(discoverer->host);
	}
	if (error != 0) {
		ferry_host_discovery_free(discovery);
		return error;
	}
	*ret_discovery = discovery;
	return 0;
}

int ferry_host_discover(const char *url, const struct ferry_host_options *options,
	struct ferry_host_discovery **ret_discovery, char ret_error[FERRY_HOST_ERROR_MAX])
{
	const struct host_plan plan = {.url = url, .options = options};

	return host_discover(&plan, ret_discovery, ret_error);
}

void ferry_host_discovery_free(struct ferry_host_discovery *discovery)
{
	if (discovery == NULL)
		return;
	discovery_deinit(&discovery->log);
	free(discovery);
}

uint64_t ferry_host_discovery_generation(const struct ferry_host_discovery *discovery)
{
	return discovery->log.generation;
}

uint32_t ferry_host_discovery_count(const struct ferry_host_discovery *discovery)
{
	return discovery->log.record_count;
}

uint32_t ferry_host_discovery_left_out(const struct ferry_host_discovery *discovery)
{
	return discovery->log.left_out_count;
}

int ferry_host_discovery_record(const struct ferry_host_discovery *discovery, uint32_t index,
	struct ferry_host_record *ret_record)
{
	size_t bytes = ret_record->struct_bytes;

	if (index >= discovery->log.record_count)
		return -ERANGE;
	if (bytes > sizeof(*ret_record))
		bytes = sizeof(*ret_record);
	if (bytes <= sizeof(ret_record->struct_bytes))
		return -EINVAL;
	memcpy((uint8_t *)ret_record + sizeof(ret_record->struct_bytes),
		(const uint8_t *)&discovery->log.records[index] + sizeof(ret_record->struct_bytes),
		bytes - sizeof(ret_record->struct_bytes));
	return 0;
}
