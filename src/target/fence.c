/*
 * The rounds of messages. Each part has one message, for a fence stands over one range at a time:
 * it is posted again only when all loops have answered the round before.
 */
#include "target/fence.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "target/io.h"
#include "target/queue.h"
#include "target/target_private.h"
#include "target/target_request.h"

void fences_init(struct fences *fences, struct target *target)
{
	*fences = (struct fences){.target = target};
	(void)pthread_mutex_init(&fences->mutex, NULL);
	list_init(&fences->sites);
}

void fences_deinit(struct fences *fences)
{
	struct list *link;

	while ((link = list_take_first(&fences->sites)) != NULL)
		free(container_of(link, struct fence_site, link));
	for (unsigned i = 0; i < fences->fence_count; i++) {
		assert(!fences->fences[i]->is_taken);
		free(fences->fences[i]);
	}
	free(fences->fences);
	(void)pthread_mutex_destroy(&fences->mutex);
}

static void deliver_raised(struct loop_message *message)
{
	struct fence *fence = container_of(message, struct fence, message);

	fence->turn->raised(fence->turn);
}

int fences_add(struct fences *fences, const struct store *store, struct fence **ret_fence)
{
	struct fence **all;
	struct fence *fence;

	for (unsigned i = 0; i < fences->fence_count; i++) {
		if (fences->fences[i]->store == store) {
			*ret_fence = fences->fences[i];
			return 0;
		}
	}
	all = reallocarray(fences->fences, fences->fence_count + 1, sizeof(struct fence *));
	if (all == NULL)
		return -ENOMEM;
	fences->fences = all;
	fence = calloc(1, sizeof(*fence));
	if (fence == NULL)
		return -ENOMEM;
	fence->fences = fences;
	fence->store = store;
	fence->index = fences->fence_count;
	fence->message.deliver = deliver_raised;
	list_init(&fence->waiting);
	all[fences->fence_count++] = fence;
	*ret_fence = fence;
	return 0;
}

/* Sites */

/* The mutex is held. */
static struct fence_site *find_site(const struct fences *fences, const struct loop *loop)
{
	struct list *link;

	list_for_each (link, &fences->sites) {
		struct fence_site *site = container_of(link, struct fence_site, link);

		if (site->loop == loop)
			return site;
	}
	return NULL;
}

/* The mutex is held. A fence that is raised already holds what comes on this loop too: it need not
 * wait for an answer where nothing has entered. */
static struct fence_site *make_site(struct fences *fences, struct loop *loop)
{
	struct fence_site *site =
		calloc(1, sizeof(*site) + fences->fence_count * sizeof(site->parts[0]));

	if (site == NULL)
		return NULL;
	site->loop = loop;
	for (unsigned i = 0; i < fences->fence_count; i++) {
		struct fence *fence = fences->fences[i];
		struct fence_part *part = &site->parts[i];

		list_init(&part->changing);
		list_init(&part->held);
		part->fence = fence;
		part->is_up = fence->is_raised;
		part->slba = fence->slba;
		part->block_count = fence->block_count;
	}
	list_append(&fences->sites, &site->link);
	fences->site_count++;
	return site;
}

struct fence_site *fences_site(struct fences *fences, struct loop *loop)
{
	struct fence_site *site;

	(void)pthread_mutex_lock(&fences->mutex);
	site = find_site(fences, loop);
	if (site == NULL)
		site = make_site(fences, loop);
	(void)pthread_mutex_unlock(&fences->mutex);
	return site;
}

/* The mutex is held. Tell all loops. */
static void tell_sites(struct fence *fence, void (*deliver)(struct loop_message *message))
{
	struct list *link;

	atomic_store_explicit(&fence->pending_count, fence->fences->site_count,
		memory_order_relaxed);
	list_for_each (link, &fence->fences->sites) {
		struct fence_site *site = container_of(link, struct fence_site, link);
		struct fence_part *part = fence_site_part(site, fence);

		part->message.deliver = deliver;
		loop_post(site->loop, &part->message);
	}
}

/* A loop has answered. @return whether it was the last. */
static bool is_last_answer(struct fence *fence)
{
	return atomic_fetch_sub_explicit(&fence->pending_count, 1, memory_order_acq_rel) == 1;
}

/* Raising */

static void answer_raise(struct fence *fence)
{
	if (is_last_answer(fence))
		loop_post(fence->turn->loop, &fence->message);
}

static void deliver_raise(struct loop_message *message)
{
	struct fence_part *part = container_of(message, struct fence_part, message);
	struct fence *fence = part->fence;
	struct list *link;

	part->is_up = true;
	part->slba = fence->slba;
	part->block_count = fence->block_count;
	list_for_each (link, &part->changing) {
		struct target_request *request =
			container_of(link, struct target_request, change.link);

		if (!io_changes(request, part->slba, part->block_count))
			continue;
		request->change.is_awaited = true;
		part->awaited_count++;
	}
	if (part->awaited_count == 0)
		answer_raise(fence);
}

void fence_settle(struct fence_part *part)
{
	part->awaited_count--;
	if (part->awaited_count == 0)
		answer_raise(part->fence);
}

/* The mutex is held. */
static void begin_turn(struct fence *fence, struct fence_turn *turn)
{
	fence->turn = turn;
	fence->is_raised = true;
	fence->slba = turn->slba;
	fence->block_count = turn->block_count;
	tell_sites(fence, deliver_raise);
}

void fence_raise(struct fence *fence, struct fence_turn *turn)
{
	struct fences *fences = fence->fences;

	(void)pthread_mutex_lock(&fences->mutex);
	if (fence->is_taken) {
		list_append(&fence->waiting, &turn->link);
	} else {
		fence->is_taken = true;
		target_add_part(fences->target);
		begin_turn(fence, turn);
	}
	(void)pthread_mutex_unlock(&fences->mutex);
}

bool fence_hold_overlapping(struct fence_part *part, struct target_request *request)
{
	if (!io_changes(request, part->slba, part->block_count))
		return false;
	list_append(&part->held, &request->change.link);
	return true;
}

/* Lowering */

/* All loops know that the fence is down. */
static void end_turn(struct fence *fence)
{
	struct fences *fences = fence->fences;
	struct list *link;

	(void)pthread_mutex_lock(&fences->mutex);
	link = list_take_first(&fence->waiting);
	if (link != NULL)
		begin_turn(fence, container_of(link, struct fence_turn, link));
	else
		fence->is_taken = false;
	(void)pthread_mutex_unlock(&fences->mutex);
	if (link == NULL)
		target_remove_part(fences->target);
}

static void deliver_lower(struct loop_message *message)
{
	struct fence_part *part = container_of(message, struct fence_part, message);
	struct fence *fence = part->fence;
	struct list *link;

	part->is_up = false;
	while ((link = list_take_first(&part->held)) != NULL) {
		struct target_request *request =
			container_of(link, struct target_request, change.link);

		target_queue_execute(request->queue, &request->base);
	}
	if (is_last_answer(fence))
		end_turn(fence);
}

void fence_lower(struct fence *fence)
{
	struct fences *fences = fence->fences;

	(void)pthread_mutex_lock(&fences->mutex);
	fence->is_raised = false;
	tell_sites(fence, deliver_lower);
	(void)pthread_mutex_unlock(&fences->mutex);
}
