/*
 * Requests see to it that their end does not come from within the call that makes them.
 */
#include "test/host/host_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loop/loop.h"

void host_bench_init(struct host_bench *bench)
{
	*bench = (struct host_bench){.options = {.struct_bytes = sizeof(bench->options),
					     .host_nqn = "nqn.2014-08.org.example:host"}};
	simulated_clock_init(&bench->clock, 0);
	assert_int_equal(loop_new(&(struct loop_options){.clock = &bench->clock.clock},
				 &bench->loop),
		0);
	fake_controller_init(&bench->controller, bench->loop);
}

static struct host_plan bench_plan(struct host_bench *bench,
	const struct ferry_host_handler *handler)
{
	return (struct host_plan){
		.url = FAKE_URL,
		.options = &bench->options,
		.handler = handler,
		.seat = {bench->loop, fake_controller_open, &bench->controller},
	};
}

int host_bench_open(struct host_bench *bench)
{
	const struct host_plan plan = bench_plan(bench, NULL);

	return host_open(&plan, &bench->host, bench->error);
}

int host_bench_discover(struct host_bench *bench, struct ferry_host_discovery **ret_discovery)
{
	struct host_plan plan = bench_plan(bench, NULL);

	plan.url = FAKE_DISCOVERY_URL;
	return host_discover(&plan, ret_discovery, bench->error);
}

void host_bench_end(struct host_bench *bench)
{
	ferry_host_close(bench->host);
	fake_controller_deinit(&bench->controller);
	loop_free(bench->loop);
}

static void bench_ready(void *context, int error)
{
	struct host_bench *bench = context;

	bench->ready_calls++;
	bench->ready_error = error;
}

static void bench_lost(void *context, int error)
{
	struct host_bench *bench = context;

	bench->lost_calls++;
	bench->lost_error = error;
}

void host_bench_start(struct host_bench *bench)
{
	const struct ferry_host_handler handler = {bench_ready, bench_lost, bench};
	const struct host_plan plan = bench_plan(bench, &handler);

	assert_int_equal(host_start(&plan, &bench->host, bench->error), 0);
}

void host_bench_start_and_wait(struct host_bench *bench)
{
	host_bench_start(bench);
	while (bench->ready_calls == 0)
		assert_int_equal(ferry_host_process(bench->host, -1), 0);
}

static void asked_done(void *context, int error)
{
	struct asked *asked = context;

	assert_false(asked->is_within_call);
	asked->done_calls++;
	asked->error = error;
	if (asked->order != NULL)
		asked->place = (*asked->order)++;
}

int host_bench_ask(struct host_bench *bench, struct asked *asked,
	int (*call)(struct ferry_host *, const struct ferry_host_request *))
{
	int error;

	asked->request.done = asked_done;
	asked->request.context = asked;
	asked->is_within_call = true;
	error = call(bench->host, &asked->request);
	asked->is_within_call = false;
	return error;
}

void expect_words(const char *text, const char *words)
{
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", text, words);
}
