/*
 * Requests with a flag.
 */
#include "test/store/store_probe.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/list.h"

static void probe_done(struct store_request *request)
{
	struct store_probe *probe = container_of(request, struct store_probe, request);

	assert_false(probe->is_done);
	probe->is_done = true;
}

void store_probe_submit(struct store_probe *probe, struct store *store, struct loop *loop,
	struct store_request request)
{
	probe->request = request;
	probe->request.done = probe_done;
	probe->request.error = -1; /* the store sets it in every case */
	probe->is_done = false;
	store_submit(store, loop, &probe->request);
}

int store_probe_wait(struct store_probe *probe, struct loop *loop)
{
	while (!probe->is_done)
		assert_int_equal(loop_turn(loop, -1), 0);
	return probe->request.error;
}

int store_probe_run(struct store *store, struct loop *loop, struct store_request request)
{
	struct store_probe probe;

	store_probe_submit(&probe, store, loop, request);
	return store_probe_wait(&probe, loop);
}
