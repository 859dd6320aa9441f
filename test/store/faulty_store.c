/*
 * A request that waits is remembered beside it: its own fields are left to the wrapped store.
 */
#include "test/store/faulty_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"
#include "loop/timer.h"

struct faulty_store {
	struct store store;
	struct store *inner;
	fault_decider *decide;
	void *context;
	struct list held;
	unsigned waiting_count;
	unsigned submitted_counts[STORE_OPCODE_COUNT];
};

struct waiting {
	struct list link; /* held */
	struct timer timer;
	struct faulty_store *faulty;
	struct loop *loop;
	struct store_request *request;
	int error;
};

static void go_on(struct faulty_store *faulty, struct loop *loop, struct store_request *request,
	int error)
{
	if (error == 0) {
		store_submit(faulty->inner, loop, request);
		return;
	}
	request->error = error;
	request->done(request);
}

static void waiting_end(struct waiting *waiting)
{
	const struct waiting ended = *waiting;

	free(waiting);
	ended.faulty->waiting_count--;
	go_on(ended.faulty, ended.loop, ended.request, ended.error);
}

static void delay_over(struct timer *timer)
{
	waiting_end(container_of(timer, struct waiting, timer));
}

static void faulty_store_submit(struct store *store, struct loop *loop,
	struct store_request *request)
{
	struct faulty_store *faulty = container_of(store, struct faulty_store, store);
	struct fault fault = {0};
	struct waiting *waiting;

	faulty->submitted_counts[request->opcode]++;
	if (faulty->decide != NULL)
		fault = faulty->decide(faulty->context, request);
	if (!fault.is_held && fault.delay_ms == 0) {
		go_on(faulty, loop, request, fault.error);
		return;
	}
	waiting = calloc(1, sizeof(*waiting));
	assert_non_null(waiting);
	waiting->faulty = faulty;
	waiting->loop = loop;
	waiting->request = request;
	waiting->error = fault.error;
	faulty->waiting_count++;
	if (fault.is_held) {
		list_append(&faulty->held, &waiting->link);
		return;
	}
	timer_init(&waiting->timer, loop, delay_over);
	timer_arm_after(&waiting->timer, fault.delay_ms);
}

static void faulty_store_free(struct store *store)
{
	struct faulty_store *faulty = container_of(store, struct faulty_store, store);

	assert_int_equal(faulty->waiting_count, 0);
	store_free(faulty->inner);
	free(faulty);
}

static const struct store_operations faulty_operations = {
	.submit = faulty_store_submit,
	.free = faulty_store_free,
};

struct faulty_store *faulty_store_new(struct store *inner, fault_decider *decide, void *context)
{
	struct faulty_store *faulty = calloc(1, sizeof(*faulty));
	struct store *store;

	assert_non_null(faulty);
	store = &faulty->store;
	store->operations = &faulty_operations;
	atomic_init(&store->size_bytes, atomic_load(&inner->size_bytes));
	atomic_init(&store->failed_flush, 0);
	store->block_bytes = inner->block_bytes;
	store->preferred_bytes = inner->preferred_bytes;
	store->discard_bytes = inner->discard_bytes;
	store->is_read_only = inner->is_read_only;
	store->is_volatile = inner->is_volatile;
	store->can_discard = inner->can_discard;
	memcpy(store->uuid, inner->uuid, sizeof(store->uuid));
	memcpy(store->name, inner->name, sizeof(store->name));
	faulty->inner = inner;
	faulty->decide = decide;
	faulty->context = context;
	list_init(&faulty->held);
	return faulty;
}

struct store *faulty_store_store(struct faulty_store *faulty)
{
	return &faulty->store;
}

void faulty_store_release(struct faulty_store *faulty)
{
	struct list released;
	struct list *link;

	/* What is submitted and held meanwhile waits for the next release. */
	list_init(&released);
	while ((link = list_take_first(&faulty->held)) != NULL)
		list_append(&released, link);
	while ((link = list_take_first(&released)) != NULL)
		waiting_end(container_of(link, struct waiting, link));
}

unsigned faulty_store_waiting_count(const struct faulty_store *faulty)
{
	return faulty->waiting_count;
}

unsigned faulty_store_submitted_count(const struct faulty_store *faulty, enum store_opcode opcode)
{
	return faulty->submitted_counts[opcode];
}
