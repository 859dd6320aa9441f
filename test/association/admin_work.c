/*
 * What a host does on its admin queue: it identifies, reads log pages and features, aborts, keeps
 * alive, and has events told, each of which it answers by reading the log page.
 */
#include <string.h>

#include "nvme/feature.h"
#include "nvme/identify.h"
#include "nvme/io_command.h"
#include "nvme/log_page.h"
#include "test/association/host.h"

#define NAMESPACE_NOTICE (UINT32_C(1) << 8)

static void fail(const struct operation *operation, const char *what)
{
	world_fail(operation->queue->host->world, "host %u: admin opcode %02x, dword 10 %08x: %s",
		operation->queue->host->index, operation->command.command.opcode,
		le32_get(operation->command.command.cdw10), what);
}

static struct operation *take(struct host_queue *queue, uint8_t opcode)
{
	struct operation *operation = operation_take(queue, opcode);

	if (operation != NULL)
		operation->then = host_queue_work_done;
	return operation;
}

/* Of any queue, the admin queue too, whether it is outstanding or not. */
static void submit_abort(struct host_queue *admin)
{
	struct host *host = admin->host;
	struct host_queue *queue = &host->queues[world_draw(host->world, 0, host->queue_count - 1)];
	const struct operation *victim =
		&queue->operations[world_draw(host->world, 0, HOST_OPERATIONS_MAX - 1)];
	struct operation *operation = take(admin, NVME_ADMIN_ABORT);

	if (operation == NULL)
		return;
	queue->is_aborted = true;
	nvme_command_set_abort(&operation->command.command, queue->qid, victim->command.cid);
	(void)operation_submit(operation);
}

static void submit_identify(struct host_queue *queue)
{
	static const struct {
		uint32_t cns;
		bool has_nsid;
	} rows[] = {{NVME_CNS_CONTROLLER, false}, {NVME_CNS_NAMESPACE, true}};
	uint32_t row = world_draw(queue->host->world, 0, 1);
	struct operation *operation = take(queue, NVME_ADMIN_IDENTIFY);

	if (operation == NULL)
		return;
	operation->command.command.cdw10 = le32_of(rows[row].cns);
	if (rows[row].has_nsid)
		operation->command.command.nsid =
			le32_of(world_draw(queue->host->world, 1, WORLD_NAMESPACES));
	operation_set_data(operation, TCP_HOST_READ, NVME_IDENTIFY_BYTES);
	(void)operation_submit(operation);
}

static void submit_get_feature(struct host_queue *queue)
{
	static const uint8_t features[] = {
		NVME_FEATURE_ARBITRATION,
		NVME_FEATURE_POWER_MANAGEMENT,
		NVME_FEATURE_VOLATILE_WRITE_CACHE,
		NVME_FEATURE_QUEUES,
		NVME_FEATURE_EVENT_CONFIGURATION,
		NVME_FEATURE_KEEP_ALIVE,
	};
	struct operation *operation = take(queue, NVME_ADMIN_GET_FEATURES);

	if (operation == NULL)
		return;
	operation->command.command.cdw10 =
		le32_of(features[world_draw(queue->host->world, 0, sizeof(features) - 1)]);
	(void)operation_submit(operation);
}

static void submit_set_cache(struct host_queue *queue)
{
	struct operation *operation = take(queue, NVME_ADMIN_SET_FEATURES);

	if (operation == NULL)
		return;
	nvme_command_set_feature(&operation->command.command, NVME_FEATURE_VOLATILE_WRITE_CACHE,
		world_draw(queue->host->world, 0, 1));
	(void)operation_submit(operation);
}

/* Log pages */

/* @return whether the page lists @nsid. */
static bool lists(const struct operation *operation, uint32_t nsid)
{
	struct nvme_nsid_list page;

	memcpy(&page, operation->data, sizeof(page));
	for (size_t i = 0; i < NVME_NSID_LIST_MAX && le32_get(page.nsid[i]) != 0; i++)
		if (le32_get(page.nsid[i]) == nsid)
			return true;
	return false;
}

/* What changed before the page was asked for stands in it, unless it was told before. */
static void changes_came(struct operation *operation, nvme_status status)
{
	struct nvme_get_log_page fields = nvme_command_get_log_page(&operation->command.command);
	struct host *host = operation->queue->host;

	for (uint32_t nsid = 1; nsid <= WORLD_NAMESPACES; nsid++) {
		struct host_change *change = &host->changes[nsid - 1];
		bool is_listed = status == NVME_STATUS_SUCCESS && lists(operation, nsid);

		if (status == NVME_STATUS_SUCCESS && change->is_expected && !is_listed &&
			change->time_ns < operation->start_ns)
			fail(operation, "a namespace has changed that is not listed");
		/* It may have been told in a page that did not come. */
		if (!fields.is_event_retained && (is_listed || status != NVME_STATUS_SUCCESS))
			change->is_expected = false;
	}
	host_queue_work_done(operation, status);
}

static void submit_get_log(struct host_queue *queue, uint8_t lid, uint32_t length_bytes)
{
	struct nvme_get_log_page fields = {
		.lid = lid,
		.is_event_retained = world_is_lucky(queue->host->world, 3),
		.length_bytes = length_bytes,
	};
	struct operation *operation = take(queue, NVME_ADMIN_GET_LOG_PAGE);

	if (operation == NULL)
		return;
	if (lid == NVME_LOG_PAGE_CHANGED_NAMESPACES)
		operation->then = changes_came;
	nvme_command_set_get_log_page(&operation->command.command, &fields);
	operation_set_data(operation, TCP_HOST_READ, length_bytes);
	(void)operation_submit(operation);
}

static void submit_get_changes(struct host_queue *queue)
{
	submit_get_log(queue, NVME_LOG_PAGE_CHANGED_NAMESPACES, sizeof(struct nvme_nsid_list));
}

static void submit_get_any_log(struct host_queue *queue)
{
	static const uint8_t pages[] = {
		NVME_LOG_PAGE_SUPPORTED,
		NVME_LOG_PAGE_ERROR,
		NVME_LOG_PAGE_SMART,
		NVME_LOG_PAGE_FIRMWARE_SLOT,
		NVME_LOG_PAGE_EFFECTS,
	};
	struct world *world = queue->host->world;
	uint8_t lid = pages[world_draw(world, 0, sizeof(pages) - 1)];

	submit_get_log(queue, lid, 4 * world_draw(world, 1, 1024));
}

/* Events */

static void event_came(struct operation *operation, nvme_status status)
{
	struct host_queue *queue = operation->queue;
	uint32_t dw0 = le32_get(operation->command.completion.dw0);

	if (status != NVME_STATUS_SUCCESS) {
		operation_check_failure(operation, status);
		return;
	}
	if (dw0 !=
		nvme_event_of(NVME_EVENT_NOTICE, NVME_EVENT_NOTICE_NAMESPACE,
			NVME_LOG_PAGE_CHANGED_NAMESPACES))
		fail(operation, "an event that nobody asked for");
	queue->host->world->counts.events++;
	if (queue->host->state == HOST_RUNNING)
		submit_get_changes(queue);
}

static void submit_event_request(struct host_queue *queue)
{
	struct operation *operation = take(queue, NVME_ADMIN_ASYNC_EVENT);

	if (operation == NULL)
		return;
	operation->then = event_came;
	(void)operation_submit(operation);
}

static void events_asked_for(struct operation *operation, nvme_status status)
{
	struct host *host = operation->queue->host;

	if (status != NVME_STATUS_SUCCESS)
		operation_check_failure(operation, status);
	else if (host->state == HOST_RUNNING)
		host->is_told_changes = true;
}

void host_ask_for_events(struct host *host)
{
	struct operation *operation = take(&host->queues[0], NVME_ADMIN_SET_FEATURES);

	if (operation == NULL)
		return;
	nvme_command_set_feature(&operation->command.command, NVME_FEATURE_EVENT_CONFIGURATION,
		NAMESPACE_NOTICE);
	operation->then = events_asked_for;
	(void)operation_submit(operation);
}

/* Keep Alive */

static void kept_alive(struct operation *operation, nvme_status status)
{
	if (status != NVME_STATUS_SUCCESS)
		operation_check_failure(operation, status);
}

void host_keep_alive(struct host *host)
{
	struct operation *operation;

	if (host->state != HOST_RUNNING)
		return;
	timer_arm_after(&host->alive_timer, HOST_KATO_MS / 4);
	operation = take(&host->queues[0], NVME_ADMIN_KEEP_ALIVE);
	if (operation == NULL)
		return;
	operation->then = kept_alive;
	(void)operation_submit(operation);
}

void host_queue_work_admin(struct host_queue *queue)
{
	static void (*const choices[])(struct host_queue * queue) = {
		submit_abort,
		submit_abort,
		submit_identify,
		submit_get_feature,
		submit_set_cache,
		submit_get_any_log,
		submit_get_changes,
		submit_event_request,
		submit_event_request,
	};

	choices[world_draw(queue->host->world, 0, sizeof(choices) / sizeof(choices[0]) - 1)](queue);
}
