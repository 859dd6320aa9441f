/*
 * Neither a store that is done at once nor a series that ends at once may make the stack deeper for
 * each one that follows: both are loops that notice.
 */
#include "target/series.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void series_buffer_init(struct series_buffer *buffer)
{
	*buffer = (struct series_buffer){0};
	list_init(&buffer->waiting);
}

void series_buffer_deinit(struct series_buffer *buffer)
{
	assert(!buffer->is_taken && list_is_empty(&buffer->waiting));
	free(buffer->bytes);
}

static void renew_budget(struct loop_task *task)
{
	container_of(task, struct series_budget, renew)->left_bytes = SERIES_TURN_BYTES;
}

void series_budget_init(struct series_budget *budget)
{
	loop_task_init(&budget->renew, renew_budget);
	budget->left_bytes = SERIES_TURN_BYTES;
}

void series_budget_deinit(struct series_budget *budget)
{
	loop_task_cancel(&budget->renew);
}

/* A request was done at once. What is zeroed or discarded costs no more for being long. */
static void charge(struct series *series)
{
	struct series_budget *budget = series->budget;
	size_t bytes = series->store.bytes < SERIES_BUFFER_BYTES ? series->store.bytes
								 : SERIES_BUFFER_BYTES;

	bytes += SERIES_REQUEST_BYTES;
	budget->left_bytes -= bytes < budget->left_bytes ? bytes : budget->left_bytes;
	/* Before all that stop in this turn. */
	loop_again(series->loop, &budget->renew);
}

static void step(struct series *series);

static void run_go_on(struct loop_task *task)
{
	step(container_of(task, struct series, go_on));
}

static void take_buffer(struct series *series)
{
	struct series_buffer *buffer = series->buffer;

	buffer->is_taken = true;
	if (buffer->bytes == NULL)
		buffer->bytes = malloc(SERIES_BUFFER_BYTES);
	step(series);
}

static void give_buffer(struct series_buffer *buffer)
{
	struct list *link;

	buffer->is_taken = false;
	if (buffer->is_passing_on)
		return;
	buffer->is_passing_on = true;
	while (!buffer->is_taken && (link = list_take_first(&buffer->waiting)) != NULL)
		take_buffer(container_of(link, struct series, link));
	buffer->is_passing_on = false;
}

/* The owner hears last: with its command its queue may go. */
static void end(struct series *series, int error)
{
	if (series->buffer != NULL)
		give_buffer(series->buffer);
	series->done(series, error);
}

static void request_done(struct store_request *request)
{
	struct series *series = container_of(request, struct series, store);

	series->is_waiting = false;
	if (!series->is_stepping)
		step(series);
}

static void step(struct series *series)
{
	struct store_request *request = &series->store;

	if (series->buffer != NULL && series->buffer->bytes == NULL) {
		end(series, ENOMEM);
		return;
	}
	series->is_stepping = true;
	while (request->error == 0) {
		if (series->budget->left_bytes == 0) {
			series->is_stepping = false;
			loop_again(series->loop, &series->go_on);
			return;
		}
		if (!series->next(series))
			break;
		request->done = request_done;
		request->error = 0;
		series->is_waiting = true;
		store_submit(series->medium, series->loop, request);
		if (series->is_waiting) {
			series->is_stepping = false;
			return;
		}
		charge(series);
	}
	end(series, request->error);
}

void series_start(struct series *series)
{
	series->store.error = 0;
	series->is_stepping = false;
	loop_task_init(&series->go_on, run_go_on);
	if (series->buffer == NULL)
		step(series);
	else if (series->buffer->is_taken)
		list_append(&series->buffer->waiting, &series->link);
	else
		take_buffer(series);
}
