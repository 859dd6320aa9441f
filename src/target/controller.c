/*
 * Life of a controller and its properties' effects.
 */
#include "target/controller.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "nvme/completion.h"
#include "nvme/log_page.h"
#include "target/discovery.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target_private.h"

static struct log *controller_log(const struct controller *controller)
{
	return controller->subsystem->target->log;
}

/* References */

void controller_ref(struct controller *controller)
{
	atomic_fetch_add_explicit(&controller->reference_count, 1, memory_order_relaxed);
}

void controller_unref(struct controller *controller)
{
	struct target *target;

	if (controller == NULL ||
		atomic_fetch_sub_explicit(&controller->reference_count, 1, memory_order_acq_rel) >
			1)
		return;
	target = controller->subsystem->target;
	error_log_deinit(&controller->errors);
	free(controller->view);
	free(controller);
	target_remove_part(target);
}

static void controller_set_state(struct controller *controller, enum controller_state state)
{
	assert(state == controller->state + 1);
	controller->state = state;
}

/* Keep alive */

/* @return how long a host may be silent, 0: for ever. */
static uint64_t silence_max_ms(const struct controller *controller)
{
	uint64_t units = ((uint64_t)controller->kato_ms + CONTROLLER_KEEP_ALIVE_UNIT_MS - 1) /
		CONTROLLER_KEEP_ALIVE_UNIT_MS;

	if (units == 0 && controller->subsystem->is_discovery)
		return CONTROLLER_DISCOVERY_IDLE_MS;
	return units * CONTROLLER_KEEP_ALIVE_UNIT_MS;
}

static void start_keep_alive(struct controller *controller)
{
	uint64_t silence_ms = silence_max_ms(controller);

	if (silence_ms == 0 || controller->state != CONTROLLER_ALIVE)
		timer_disarm(&controller->keep_alive_timer);
	else
		timer_arm_after(&controller->keep_alive_timer, silence_ms);
}

/* A look at each queue once per KATO (TBKAS: Base 2.0, 3.9.2): a host that falls silent is noticed
 * within twice that time. */
static void keep_alive_fire(struct timer *timer)
{
	struct controller *controller = container_of(timer, struct controller, keep_alive_timer);
	bool is_alive = false;

	for (unsigned i = 0; i <= controller->subsystem->target->limits.io_queues_max; i++) {
		struct target_queue *queue = controller->queues[i];

		if (queue != NULL &&
			atomic_exchange_explicit(&queue->has_traffic, false, memory_order_relaxed))
			is_alive = true;
	}
	if (is_alive) {
		start_keep_alive(controller);
		return;
	}
	if (controller->kato_ms == 0) {
		controller_end(controller, "nobody asks for discovery any more");
		return;
	}
	log_write(controller_log(controller), LOG_LEVEL_WARNING, "keep alive",
		"%s: nothing heard within the keep alive timeout of %" PRIu32 " ms",
		controller->queues[0] != NULL ? controller->queues[0]->name : controller->host.nqn,
		controller->kato_ms);
	controller->csts |= NVME_CSTS_CFS;
	controller_end(controller, "keep alive timeout");
}

void controller_set_keep_alive(struct controller *controller, uint32_t kato_ms)
{
	struct target_queue *admin = controller->queues[0];
	bool is_turned_off = kato_ms == 0 && controller->kato_ms != 0;

	controller->kato_ms = kato_ms;
	start_keep_alive(controller);
	if (is_turned_off && admin != NULL)
		admin->handler->keep_alive_off(admin->context);
}

/* Queues */

static void controller_put_queue(struct controller *controller, struct target_queue *queue)
{
	controller->queues[queue->qid] = queue;
	controller->attached_count++;
	queue->is_attached = true;
	queue->is_kept_alive = controller->kato_ms != 0;
}

bool controller_is_ready(const struct controller *controller)
{
	return (controller->csts & NVME_CSTS_RDY) != 0 && !controller->is_resetting;
}

bool controller_has_io_queue(const struct controller *controller)
{
	return controller->attached_count > (controller->queues[0] != NULL ? 1 : 0);
}

nvme_status controller_attach(struct controller *controller, struct target_queue *queue,
	uint32_t *ret_result)
{
	if (controller->state != CONTROLLER_ALIVE) {
		*ret_result = nvme_connect_result_invalid(true,
			offsetof(struct nvme_connect_data, cntlid));
		return NVME_STATUS_CONNECT_INVALID_PARAMETERS | NVME_STATUS_DNR;
	}
	if (queue->qid > controller->queue_count) {
		*ret_result = nvme_connect_result_invalid(false,
			offsetof(struct nvme_connect_command, qid));
		return NVME_STATUS_CONNECT_INVALID_PARAMETERS | NVME_STATUS_DNR;
	}
	/* Not enabled, entry sizes that are not the only ones there are, a queue that exists. */
	if (!controller_is_ready(controller) || nvme_cc_iosqes(controller->cc) != NVME_IOSQES ||
		nvme_cc_iocqes(controller->cc) != NVME_IOCQES ||
		controller->queues[queue->qid] != NULL)
		return NVME_STATUS_COMMAND_SEQUENCE_ERROR | NVME_STATUS_DNR;
	queue->refusal = subsystem_add_queue(controller->subsystem, controller);
	if (queue->refusal != NULL)
		return NVME_STATUS_CONNECT_CONTROLLER_BUSY;
	controller_put_queue(controller, queue);
	return NVME_STATUS_SUCCESS;
}

static void end_io_queues(struct controller *controller, const char *reason)
{
	for (unsigned i = 1; i <= controller->subsystem->target->limits.io_queues_max; i++) {
		if (controller->queues[i] != NULL)
			target_queue_post_end(controller->queues[i], reason);
	}
}

/* The I/O queues have gone. */
static void controller_finish_reset(struct controller *controller)
{
	controller->is_resetting = false;
	controller->csts = nvme_cc_is_enabled(controller->cc) ? NVME_CSTS_RDY : 0;
}

/* Something has gone: is what was begun finished? */
static void controller_settle(struct controller *controller)
{
	if (controller->is_resetting && !controller_has_io_queue(controller))
		controller_finish_reset(controller);
	if (controller->state != CONTROLLER_DYING || controller->attached_count > 0)
		return;
	controller_set_state(controller, CONTROLLER_GONE);
	log_write(controller_log(controller), LOG_LEVEL_INFO, "controller gone",
		"%s: controller %u of %s is gone", controller->host.nqn, controller->cntlid,
		controller->subsystem->nqn);
	subsystem_leave(controller->subsystem, controller);
	controller_unref(controller);
}

void controller_detach(struct controller *controller, struct target_queue *queue)
{
	assert(controller->queues[queue->qid] == queue);
	controller->queues[queue->qid] = NULL;
	controller->attached_count--;
	queue->is_attached = false;
	if (queue->is_io)
		subsystem_remove_queue(controller->subsystem, controller);
	controller_settle(controller);
}

/* Beginning and end */

static void controller_deliver_end(struct loop_message *message)
{
	struct controller *controller = container_of(message, struct controller, end_message);

	controller_end(controller, "the target shuts down");
	controller_unref(controller);
}

/* Notices */

uint32_t controller_notices(const struct controller *controller)
{
	return controller->subsystem->is_discovery ? NVME_OAES_DISCOVERY_LOG
						   : NVME_OAES_NAMESPACE_ATTRIBUTE;
}

static bool has_any_changed(struct controller *controller)
{
	uint64_t any = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(controller->changed); i++)
		any |= atomic_load_explicit(&controller->changed[i], memory_order_relaxed);
	return any != 0;
}

static void raise_wanted(struct controller *controller, uint32_t wanted)
{
	if ((wanted & NVME_OAES_NAMESPACE_ATTRIBUTE) != 0 && has_any_changed(controller))
		async_events_raise(&controller->events,
			nvme_event_of(NVME_EVENT_NOTICE, NVME_EVENT_NOTICE_NAMESPACE,
				NVME_LOG_PAGE_CHANGED_NAMESPACES));
	if ((wanted & NVME_OAES_DISCOVERY_LOG) != 0 && discovery_log_has_changed(controller))
		async_events_raise(&controller->events,
			nvme_event_of(NVME_EVENT_NOTICE, NVME_EVENT_NOTICE_DISCOVERY,
				NVME_LOG_PAGE_DISCOVERY));
}

static void controller_deliver_notice(struct loop_message *message)
{
	struct controller *controller = container_of(message, struct controller, notice_message);

	atomic_flag_clear(&controller->is_notice_posted);
	if (controller->state == CONTROLLER_ALIVE)
		raise_wanted(controller, controller->features.events);
	controller_unref(controller);
}

static void controller_post_notice(struct controller *controller)
{
	if (atomic_flag_test_and_set(&controller->is_notice_posted))
		return;
	controller_ref(controller);
	loop_post(controller->loop, &controller->notice_message);
}

void controller_note_namespace(struct controller *controller, uint32_t nsid)
{
	atomic_fetch_or(&controller->changed[(nsid - 1) / 64], UINT64_C(1) << (nsid - 1) % 64);
	controller_post_notice(controller);
}

void controller_note_discovery(struct controller *controller)
{
	controller_post_notice(controller);
}

void controller_set_events(struct controller *controller, uint32_t configuration)
{
	uint32_t added = configuration & ~controller->features.events;

	controller->features.events = configuration;
	/* To a host that has not read the discovery log nothing in it is a change. */
	if (controller->view == NULL)
		added &= ~NVME_OAES_DISCOVERY_LOG;
	raise_wanted(controller, added);
}

uint64_t controller_changed(struct controller *controller, size_t index, bool is_kept)
{
	return is_kept ? atomic_load(&controller->changed[index])
		       : atomic_exchange(&controller->changed[index], 0);
}

/* Features and reset */

struct controller_features controller_features_default(void)
{
	return (struct controller_features){
		.arbitration = NVME_ARBITRATION_NO_LIMIT,
		.temperature = {UINT16_MAX, 0},
	};
}

static void controller_reset_features(struct controller *controller)
{
	controller->features = controller_features_default();
	controller->features.timestamp_at_ns = loop_now_ns(controller->loop);
	controller->queue_count = controller->subsystem->target->limits.io_queues_max;
	for (size_t i = 0; i < ARRAY_LENGTH(controller->changed); i++)
		atomic_store_explicit(&controller->changed[i], 0, memory_order_relaxed);
	atomic_store_explicit(&controller->is_write_through, false, memory_order_relaxed);
}

nvme_status controller_new(struct subsystem *subsystem, const struct controller_host *host,
	struct target_queue *queue, uint32_t kato_ms)
{
	size_t queue_count = (size_t)subsystem->target->limits.io_queues_max + 1;
	struct controller *controller =
		calloc(1, sizeof(*controller) + queue_count * sizeof(struct target_queue *));

	if (controller == NULL)
		return NVME_STATUS_INTERNAL_ERROR;
	controller->subsystem = subsystem;
	controller->loop = queue->loop;
	controller->host = *host;
	list_init(&controller->link);
	atomic_init(&controller->reference_count, 2); /* the subsystem's list, the admin queue */
	error_log_init(&controller->errors);
	atomic_flag_clear(&controller->is_end_posted);
	controller->end_message.deliver = controller_deliver_end;
	atomic_flag_clear(&controller->is_notice_posted);
	controller->notice_message.deliver = controller_deliver_notice;
	timer_init(&controller->keep_alive_timer, controller->loop, keep_alive_fire);
	async_events_init(&controller->events);
	controller_reset_features(controller);
	queue->refusal = subsystem_enter(subsystem, controller);
	if (queue->refusal != NULL) {
		error_log_deinit(&controller->errors);
		free(controller);
		return NVME_STATUS_CONNECT_CONTROLLER_BUSY;
	}
	target_add_part(subsystem->target);
	queue->controller = controller;
	controller_set_keep_alive(controller, kato_ms);
	controller_put_queue(controller, queue);
	return NVME_STATUS_SUCCESS;
}

void controller_end(struct controller *controller, const char *reason)
{
	struct target_queue *admin = controller->queues[0];

	if (controller->state != CONTROLLER_ALIVE)
		return;
	log_write(controller_log(controller), LOG_LEVEL_INFO, "controller ends",
		"%s: controller %u of %s ends: %s", controller->host.nqn, controller->cntlid,
		controller->subsystem->nqn, reason);
	controller_ref(controller);
	controller_set_state(controller, CONTROLLER_DYING);
	timer_disarm(&controller->keep_alive_timer);
	end_io_queues(controller, reason);
	if (admin != NULL && admin->state != TARGET_QUEUE_ENDED)
		admin->handler->end(admin->context, reason);
	controller_settle(controller);
	controller_unref(controller);
}

void controller_post_end(struct controller *controller)
{
	if (atomic_flag_test_and_set(&controller->is_end_posted))
		return;
	controller_ref(controller);
	loop_post(controller->loop, &controller->end_message);
}

/* Properties */

static void controller_reset(struct controller *controller)
{
	controller->is_resetting = true;
	controller->csts = nvme_csts_with_shst(controller->csts, NVME_CSTS_SHST_NORMAL);
	controller_reset_features(controller);
	end_io_queues(controller, "the host resets the controller");
	async_events_abort(&controller->events, NVME_STATUS_ABORTED_SQ_DELETION);
	controller_settle(controller);
}

static void shutdown_flushed(struct flush *flush);

static void controller_flush(struct controller *controller)
{
	controller->is_flush_wanted = false;
	controller->is_flushing = true;
	controller_ref(controller);
	flush_start(&controller->shutdown_flush, controller->loop,
		controller->subsystem->namespaces, controller->subsystem->namespace_count,
		shutdown_flushed);
}

static void shutdown_flushed(struct flush *flush)
{
	struct controller *controller = container_of(flush, struct controller, shutdown_flush);
	int error = flush->error;

	controller->is_flushing = false;
	if (controller->is_flush_wanted) {
		controller_flush(controller);
	} else if (nvme_csts_shst(controller->csts) == NVME_CSTS_SHST_IN_PROGRESS && error == 0) {
		controller->csts = nvme_csts_with_shst(controller->csts, NVME_CSTS_SHST_COMPLETE);
	} else if (error != 0) {
		/* A shutdown that is complete would say that all data is safe. */
		controller->csts |= NVME_CSTS_CFS;
		log_write(controller_log(controller), LOG_LEVEL_ERROR, "shutdown",
			"%s: controller %u of %s cannot shut down, flushing failed: %s",
			controller->host.nqn, controller->cntlid, controller->subsystem->nqn,
			strerrordesc_np(error));
	}
	controller_unref(controller);
}

static void controller_shut_down(struct controller *controller)
{
	controller->csts = nvme_csts_with_shst(controller->csts, NVME_CSTS_SHST_IN_PROGRESS);
	if (controller->is_flushing)
		controller->is_flush_wanted = true;
	else
		controller_flush(controller);
}

/* Of the values that enable a controller, those it has: Base 2.0, 3.1.3.5. */
static bool cc_is_supported(uint32_t cc)
{
	uint8_t css = nvme_cc_css(cc);

	return (css == NVME_CC_CSS_NVM || css == NVME_CC_CSS_ALL) && nvme_cc_mps(cc) == 0 &&
		nvme_cc_ams(cc) == 0 && (cc & NVME_CC_CRIME) == 0;
}

nvme_status controller_set_cc(struct controller *controller, uint32_t cc)
{
	uint32_t before = controller->cc;
	bool was_enabled = nvme_cc_is_enabled(before);

	if (nvme_cc_is_enabled(cc) && !was_enabled && !cc_is_supported(cc))
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	controller->cc = cc;
	if (nvme_cc_is_enabled(cc) && !was_enabled && !controller->is_resetting)
		controller->csts = NVME_CSTS_RDY;
	else if (!nvme_cc_is_enabled(cc) && was_enabled)
		controller_reset(controller);
	if (nvme_cc_shn(cc) != NVME_CC_SHN_NONE && nvme_cc_shn(before) == NVME_CC_SHN_NONE)
		controller_shut_down(controller);
	return NVME_STATUS_SUCCESS;
}
