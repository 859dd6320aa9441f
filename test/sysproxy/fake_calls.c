/*
 * The calls of the fake kernel, each answered with its lock held.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/sysproxy/fake_kernel_private.h"

static uint64_t sum_of(const uint8_t *bytes, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += bytes[i];
	return sum;
}

static void fill(uint8_t *bytes, size_t count, uint64_t seed)
{
	for (size_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)(seed + i);
}

static int call_copyin(struct fake_lwp *lwp, const uint64_t *arguments, int64_t *ret_values)
{
	uint8_t *bytes = malloc(arguments[1] + 1);
	int error;

	assert(bytes != NULL);
	error = ferry_copyin(lwp->handle, arguments[0], bytes, arguments[1]);
	if (error == 0)
		ret_values[0] = (int64_t)sum_of(bytes, arguments[1]);
	free(bytes);
	return error;
}

static int call_copyinstr(struct fake_kernel *kernel, struct fake_lwp *lwp,
	const uint64_t *arguments, int64_t *ret_values)
{
	char text[FAKE_TEXT_MAX];
	size_t bytes = 0;
	int error = ferry_copyinstr(lwp->handle, arguments[0], text,
		arguments[1] < sizeof(text) ? arguments[1] : sizeof(text), &bytes);

	if (error == 0) {
		assert(bytes == strlen(text) + 1);
		fake_kernel_note(kernel, text);
		ret_values[0] = (int64_t)bytes;
	}
	return error;
}

static int call_copyout(struct fake_lwp *lwp, const uint64_t *arguments, uint64_t address,
	uint64_t seed)
{
	uint8_t *bytes = malloc(arguments[1] + 1);
	int error;

	assert(bytes != NULL);
	fill(bytes, arguments[1], seed);
	error = ferry_copyout(lwp->handle, bytes, address, arguments[1]);
	free(bytes);
	return error;
}

static int call_copyoutstr(struct fake_kernel *kernel, struct fake_lwp *lwp,
	const uint64_t *arguments)
{
	char text[FAKE_TEXT_MAX];

	/* The lock is given up in between. */
	memcpy(text, kernel->text, sizeof(text));
	return ferry_copyoutstr(lwp->handle, text, arguments[0], arguments[1]);
}

static int call_look(struct fake_lwp *lwp, const uint64_t *arguments, int64_t *ret_values)
{
	const uint8_t *bytes = ferry_copyin_look(lwp->handle, arguments[0], arguments[1]);

	if (bytes == NULL)
		return -ENOENT;
	ret_values[0] = (int64_t)sum_of(bytes, arguments[1]);
	return 0;
}

static int call_place(struct fake_lwp *lwp, const uint64_t *arguments)
{
	uint8_t *place = ferry_copyout_place(lwp->handle, arguments[0], arguments[1]);

	if (place == NULL)
		return -ENOENT;
	fill(place, arguments[1], arguments[2]);
	ferry_copyout_trim(lwp->handle, arguments[1] - arguments[3]);
	return 0;
}

static int call_mmap(struct fake_lwp *lwp, const uint64_t *arguments, int64_t *ret_values)
{
	const uint64_t out[2] = {0, arguments[0]};
	uint64_t address = 0;
	int error = ferry_anonmmap(lwp->handle, arguments[0], &address);

	if (error == 0)
		error = call_copyout(lwp, out, address, arguments[1]);
	if (error == 0)
		ret_values[0] = (int64_t)address;
	return error;
}

static int call_list(struct fake_lwp *lwp, const uint64_t *arguments)
{
	int error = 0;

	for (uint64_t i = 0; error == 0 && i < arguments[1]; i++) {
		uint8_t byte = (uint8_t)i;

		error = ferry_copyout(lwp->handle, &byte, arguments[0] + 2 * i, 1);
	}
	return error;
}

static int call_block(struct fake_kernel *kernel, struct fake_lwp *lwp, uint64_t channel)
{
	lwp->is_blocked = true;
	lwp->channel = channel;
	list_append(&kernel->blocked, &lwp->link);
	kernel->blocked_count++;
	fake_kernel_tell(kernel);
	while (lwp->is_blocked && lwp->cancel_count == 0)
		fake_kernel_sleep_on(kernel, &lwp->wake);
	if (!lwp->is_blocked)
		return 0;
	lwp->is_blocked = false;
	list_remove(&lwp->link);
	kernel->blocked_count--;
	return -EINTR;
}

static int call_stubborn(struct fake_kernel *kernel, struct fake_lwp *lwp, uint64_t count)
{
	unsigned release_count = kernel->release_count;

	kernel->blocked_count++;
	fake_kernel_tell(kernel);
	while (lwp->cancel_count < count && kernel->release_count == release_count)
		fake_kernel_sleep(kernel);
	kernel->blocked_count--;
	return -EINTR;
}

static int64_t wake(struct fake_kernel *kernel, uint64_t channel)
{
	struct list *link, *following;
	int64_t woken = 0;

	list_for_each_safe (link, following, &kernel->blocked) {
		struct fake_lwp *lwp = container_of(link, struct fake_lwp, link);

		if (lwp->channel != channel)
			continue;
		list_remove(link);
		lwp->is_blocked = false;
		assert(pthread_cond_signal(&lwp->wake) == 0);
		kernel->blocked_count--;
		woken++;
	}
	fake_kernel_tell(kernel);
	return woken;
}

static int call_sum(const struct ferry_kernel_call *call, int64_t *ret_values)
{
	for (unsigned i = 0; i < 16; i++)
		ret_values[0] += (int64_t)call->arguments[i];
	ret_values[1] = call->argument_count;
	return 0;
}

/* Wait until pipe @index is full, or is not. @return 0, or -EINTR. */
static int await_pipe(struct fake_kernel *kernel, struct fake_lwp *lwp, uint64_t index,
	bool is_full)
{
	if (index >= FAKE_PIPES)
		return -EINVAL;
	while (kernel->pipes[index].is_full != is_full) {
		if (lwp->cancel_count > 0)
			return -EINTR;
		fake_kernel_sleep(kernel);
	}
	kernel->pipes[index].is_full = !is_full;
	fake_kernel_tell(kernel);
	return 0;
}

static int call_put(struct fake_kernel *kernel, struct fake_lwp *lwp, const uint64_t *arguments)
{
	int error = await_pipe(kernel, lwp, arguments[0], false);

	if (error == 0)
		kernel->pipes[arguments[0]].value = arguments[1];
	return error;
}

static int call_take(struct fake_kernel *kernel, struct fake_lwp *lwp, uint64_t index,
	int64_t *ret_values)
{
	int error = await_pipe(kernel, lwp, index, true);

	if (error == 0)
		ret_values[0] = (int64_t)kernel->pipes[index].value;
	return error;
}

static int call_tally(struct fake_kernel *kernel, uint64_t index)
{
	if (index >= kernel->tally_count)
		return -ENOSPC;
	kernel->tally[index]++;
	return 0;
}

/* What asks for the state of the kernel, or changes another process's. */
static int answer_about_all(struct fake_kernel *kernel, struct fake_lwp *lwp,
	const struct ferry_kernel_call *call, int64_t *ret_values)
{
	const uint64_t *arguments = call->arguments;

	switch (call->number) {
	case FAKE_CENSUS:
		ret_values[0] = kernel->process_count;
		ret_values[1] = kernel->lwp_count;
		return 0;
	case FAKE_BLOCKED:
		ret_values[0] = kernel->blocked_count;
		return 0;
	case FAKE_PUT:
		return call_put(kernel, lwp, arguments);
	case FAKE_TAKE:
		return call_take(kernel, lwp, arguments[0], ret_values);
	case FAKE_RAISE_FOR:
		return fake_kernel_raise_for(kernel, arguments[0], (int)arguments[1]) ? 0 : -ESRCH;
	case FAKE_TALLY:
		return call_tally(kernel, arguments[0]);
	default:
		return -ENOSYS;
	}
}

int fake_kernel_answer(struct fake_kernel *kernel, struct fake_lwp *lwp,
	const struct ferry_kernel_call *call, int64_t *ret_values)
{
	const uint64_t *arguments = call->arguments;
	int error = 0;

	switch (call->number) {
	case FAKE_NULL:
		ret_values[0] = (int64_t)arguments[0];
		ret_values[1] = (int64_t)arguments[1];
		return 0;
	case FAKE_GETPID:
		ret_values[0] = (int64_t)lwp->process->id;
		ret_values[1] = (int64_t)lwp->process->parent_id;
		return 0;
	case FAKE_COPYIN:
		return call_copyin(lwp, arguments, ret_values);
	case FAKE_COPYINSTR:
		return call_copyinstr(kernel, lwp, arguments, ret_values);
	case FAKE_COPYOUT:
		return call_copyout(lwp, arguments, arguments[0], arguments[2]);
	case FAKE_COPYOUTSTR:
		return call_copyoutstr(kernel, lwp, arguments);
	case FAKE_LOOK:
		return call_look(lwp, arguments, ret_values);
	case FAKE_PLACE:
		return call_place(lwp, arguments);
	case FAKE_MMAP:
		return call_mmap(lwp, arguments, ret_values);
	case FAKE_RAISE:
		ferry_raise(lwp->process->handle, (int)arguments[0]);
		return 0;
	case FAKE_BLOCK:
		return call_block(kernel, lwp, arguments[0]);
	case FAKE_WAKE:
		ret_values[0] = wake(kernel, arguments[0]);
		return 0;
	case FAKE_STUBBORN:
		return call_stubborn(kernel, lwp, arguments[0]);
	case FAKE_SUM:
		return call_sum(call, ret_values);
	case FAKE_ECHO_BACK:
		error = call_copyout(lwp, arguments, arguments[0], 1);
		return error != 0 ? error : call_copyin(lwp, arguments, ret_values);
	case FAKE_LIST:
		return call_list(lwp, arguments);
	case FAKE_EXTENDED:
		ret_values[0] = call->is_extended;
		return 0;
	default:
		return answer_about_all(kernel, lwp, call, ret_values);
	}
}
