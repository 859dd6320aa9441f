#include "test/association/host.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"

/* Silence and what is under way before it: long enough for any transfer. */
#define SILENCE_MS (2 * HOST_KATO_MS + 120000)

static void open_queue(struct host_queue *queue);

static void start_later(struct host *host)
{
	if (!host->timer.is_armed)
		timer_arm_after(&host->timer, world_draw(host->world, 1, 50));
}

/* A queue's transport ends; its operations come back meanwhile. */
static void close_queue(struct host_queue *queue)
{
	struct tcp_host_queue *transport = queue->transport;

	queue->transport = NULL;
	queue->is_connected = false;
	tcp_host_queue_free(transport);
}

void host_close_io_queues(struct host *host)
{
	for (unsigned i = 1; i < HOST_QUEUES_MAX; i++)
		close_queue(&host->queues[i]);
}

void host_break_off(struct host *host)
{
	host->state = HOST_OFF;
	host->is_told_changes = false;
	timer_disarm(&host->timer);
	timer_disarm(&host->poll_timer);
	timer_disarm(&host->alive_timer);
	close_queue(&host->queues[0]);
	host_close_io_queues(host);
	if (host->world->operations_left > 0)
		start_later(host);
}

void host_drop_queue(struct host_queue *queue)
{
	close_queue(queue);
	start_later(queue->host);
}

void host_fall_silent(struct host *host)
{
	assert(host->state == HOST_RUNNING && host->kato_ms > 0);
	host->state = HOST_SILENT;
	host->world->counts.silences++;
	timer_disarm(&host->alive_timer);
	timer_disarm(&host->timer);
	timer_arm_after(&host->timer, SILENCE_MS);
}

void host_expect_event(struct host *host, unsigned subsystem, uint32_t nsid)
{
	struct host_change *change = &host->changes[nsid - 1];

	if (!host->is_told_changes || host->subsystem != subsystem || change->is_expected)
		return;
	change->is_expected = true;
	change->time_ns = host->world->clock.time_ns;
}

/* Life of a queue */

static void queue_ready(void *context)
{
	host_queue_connect(context);
}

static void queue_failed(void *context, int error, const char *reason)
{
	struct host_queue *queue = context;
	struct host *host = queue->host;

	/* Each side keeps to the rules, unless what it says is damaged. */
	if (error == -EPROTO && host->world->eras[queue->era].flip_count == 0)
		world_fail(host->world, "queue %u: %s", queue->qid, reason);
	if (queue->qid == 0)
		host_break_off(host);
	else if (host->state == HOST_RUNNING)
		host_drop_queue(queue);
	else
		close_queue(queue);
}

static const struct tcp_host_queue_handler queue_handler = {queue_ready, queue_failed};

static void open_queue(struct host_queue *queue)
{
	struct host *host = queue->host;
	struct world *world = host->world;
	struct tcp_host_queue_options options = {
		.is_admin = queue->qid == 0,
		.entries = (uint16_t)world_draw(world, queue->qid == 0 ? 32 : 2, 32),
		.is_flow_control_off = world_is_lucky(world, 3),
		.has_header_digest = host->has_header_digest,
		.has_data_digest = host->has_data_digest,
	};
	bool may_damage = host->has_header_digest && host->has_data_digest;

	if (world_is_lucky(world, 2))
		options.capsule_data_bytes = target_limits(world->target)->capsule_bytes;
	queue->entries = options.entries;
	queue->is_flow_control_off = options.is_flow_control_off;
	if (tcp_host_queue_new(world_connect(world, may_damage, &queue->era), &options,
		    &queue_handler, queue, &queue->transport) < 0)
		world_fail(world, "no memory for a queue");
}

void host_connect_missing(struct host *host)
{
	for (uint16_t i = 1; i < host->queue_count; i++)
		if (host->queues[i].transport == NULL)
			open_queue(&host->queues[i]);
}

static void start(struct host *host)
{
	static const uint32_t katos[] = {0, HOST_KATO_MS, 60000};
	struct world *world = host->world;

	host->state = HOST_STARTING;
	host->subsystem = world_draw(world, 0, WORLD_SUBSYSTEMS - 1);
	host->kato_ms = katos[world_draw(world, 0, 2)];
	host->queue_count = world_draw(world, 2, HOST_QUEUES_MAX);
	host->has_header_digest = world_is_lucky(world, 2);
	host->has_data_digest = world_is_lucky(world, 2);
	memset(host->changes, 0, sizeof(host->changes));
	for (unsigned i = 0; i < HOST_QUEUES_MAX; i++)
		host->queues[i].is_aborted = false;
	open_queue(&host->queues[0]);
}

static void timer_fired(struct timer *timer)
{
	struct host *host = container_of(timer, struct host, timer);

	if (host->state == HOST_SILENT)
		world_fail(host->world, "host %u was silent and its controller goes on",
			host->index);
	else if (host->state == HOST_RUNNING)
		host_connect_missing(host);
	else if (host->state == HOST_OFF && host->world->operations_left > 0)
		start(host);
}

static void poll_timer_fired(struct timer *timer)
{
	host_poll(container_of(timer, struct host, poll_timer));
}

static void alive_timer_fired(struct timer *timer)
{
	host_keep_alive(container_of(timer, struct host, alive_timer));
}

struct host *host_new(struct world *world, unsigned index)
{
	struct host *host = calloc(1, sizeof(*host));

	assert(host != NULL);
	host->world = world;
	host->index = index;
	for (uint16_t i = 0; i < HOST_QUEUES_MAX; i++) {
		host->queues[i].host = host;
		host->queues[i].qid = i;
		for (unsigned j = 0; j < HOST_OPERATIONS_MAX; j++)
			host->queues[i].operations[j].queue = &host->queues[i];
	}
	timer_init(&host->timer, world->loop, timer_fired);
	timer_init(&host->poll_timer, world->loop, poll_timer_fired);
	timer_init(&host->alive_timer, world->loop, alive_timer_fired);
	start_later(host);
	return host;
}

void host_free(struct host *host)
{
	if (host == NULL)
		return;
	host_break_off(host);
	timer_disarm(&host->timer);
	free(host);
}

bool host_is_busy(const struct host *host)
{
	for (unsigned i = 1; i < HOST_QUEUES_MAX; i++)
		if (host->queues[i].transport != NULL &&
			tcp_host_queue_outstanding(host->queues[i].transport) > 0)
			return true;
	return false;
}

void host_check_damage(const struct host *host)
{
	for (unsigned i = 1; i < HOST_QUEUES_MAX; i++) {
		const struct host_queue *queue = &host->queues[i];
		const struct world_era *era = &host->world->eras[queue->era];

		if (queue->is_connected && !era->is_over && era->flip_count > 0 &&
			era->noticed_count == 0)
			world_fail(host->world, "host %u queue %u: damage was not noticed",
				host->index, queue->qid);
	}
}
