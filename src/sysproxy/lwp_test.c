/*
 * When a call is begun, and when it is cancelled, with a kernel that does nothing else. What one thread
 * does in the midst of another's call is done here by the call itself.
 */
#include "sysproxy/lwp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct bench {
	struct kernel kernel;
	struct ferry_lwp lwp;
	struct lwp_carrier carrier;
	int new_error;
	unsigned made, released, called, cancelled, depth;
	void (*in_call)(struct bench *bench); /* what happens in the midst of a call */
};

static void bench_schedule(void *context)
{
	struct bench *bench = context;

	bench->depth++;
}

static void bench_unschedule(void *context)
{
	struct bench *bench = context;

	assert_int_equal(bench->depth, 1);
	bench->depth--;
}

static int bench_lwp_new(void *context, void *process, struct ferry_lwp *lwp, void **ret_data)
{
	struct bench *bench = context;

	assert_ptr_equal(process, bench);
	assert_ptr_equal(lwp, &bench->lwp);
	assert_int_equal(bench->depth, 1);
	if (bench->new_error != 0)
		return bench->new_error;
	bench->made++;
	*ret_data = &bench->made;
	return 0;
}

static void bench_lwp_release(void *context, void *lwp)
{
	struct bench *bench = context;

	assert_ptr_equal(lwp, &bench->made);
	bench->released++;
}

static int bench_call(void *context, void *lwp, struct ferry_lwp *handle,
	const struct ferry_kernel_call *call, int64_t ret_values[2])
{
	struct bench *bench = context;

	(void)call;
	assert_ptr_equal(lwp, &bench->made);
	assert_ptr_equal(handle, &bench->lwp);
	assert_int_equal(bench->depth, 1);
	bench->called++;
	if (bench->in_call != NULL)
		bench->in_call(bench);
	ret_values[0] = 5;
	return bench->cancelled > 0 ? -EINTR : 0;
}

static void bench_cancel(void *context, void *lwp)
{
	struct bench *bench = context;

	assert_ptr_equal(lwp, &bench->made);
	bench->cancelled++;
}

static void bench_init(struct bench *bench)
{
	static const struct ferry_kernel_operations operations = {
		.struct_bytes = sizeof(operations),
		.lwp_new = bench_lwp_new,
		.lwp_release = bench_lwp_release,
		.call = bench_call,
		.cancel = bench_cancel,
		.schedule = bench_schedule,
		.unschedule = bench_unschedule,
	};
	const struct ferry_kernel face = {.operations = &operations, .data = bench};

	*bench = (struct bench){0};
	assert_int_equal(kernel_init(&bench->kernel, &face), 0);
	lwp_init(&bench->lwp, &bench->kernel, bench, true, &bench->carrier);
}

static void bench_deinit(struct bench *bench)
{
	lwp_release(&bench->lwp);
	assert_int_equal(bench->made, bench->released);
	assert_int_equal(bench->depth, 0);
	lwp_deinit(&bench->lwp);
}

static int make_call(struct bench *bench, uint64_t number)
{
	const struct ferry_kernel_call call = {0};
	int64_t values[2];

	return lwp_call(&bench->lwp, number, &call, values);
}

static void test_lwp_is_made_once_when_it_makes_calls(void **state)
{
	struct bench bench;

	(void)state;
	bench_init(&bench);
	bench.new_error = -EMFILE;
	assert_int_equal(make_call(&bench, 1), -EMFILE);
	assert_int_equal(bench.called, 0);
	bench.new_error = 0;
	assert_int_equal(make_call(&bench, 2), 0);
	assert_int_equal(make_call(&bench, 3), 0);
	assert_int_equal(bench.made, 1);
	assert_int_equal(bench.called, 2);
	bench_deinit(&bench);
}

static void test_lwp_begins_no_call_when_that_was_cancelled_before(void **state)
{
	struct bench bench;

	(void)state;
	bench_init(&bench);
	assert_false(lwp_cancel(&bench.lwp, 7));
	assert_false(lwp_cancel_again(&bench.lwp));
	assert_int_equal(make_call(&bench, 7), -EINTR);
	assert_int_equal(bench.called, 0);
	/* It counts once, and for the call that comes next only. */
	assert_int_equal(make_call(&bench, 7), 0);
	assert_false(lwp_cancel(&bench.lwp, 7));
	assert_int_equal(make_call(&bench, 8), 0);
	assert_int_equal(make_call(&bench, 7), 0);
	assert_int_equal(bench.cancelled, 0);
	bench_deinit(&bench);
}

static void cancel_three_times(struct bench *bench)
{
	assert_true(lwp_is_calling(&bench->lwp));
	/* Another one. */
	assert_false(lwp_cancel(&bench->lwp, 6));
	assert_false(lwp_cancel_again(&bench->lwp));
	assert_int_equal(bench->cancelled, 0);
	assert_true(lwp_cancel(&bench->lwp, 7));
	assert_true(lwp_cancel_again(&bench->lwp));
	assert_true(lwp_cancel_again(&bench->lwp));
	assert_int_equal(bench->cancelled, 3);
}

static void test_lwp_is_cancelled_until_the_call_ends_when_it_is_in_progress(void **state)
{
	struct bench bench;

	(void)state;
	bench_init(&bench);
	bench.in_call = cancel_three_times;
	assert_int_equal(make_call(&bench, 7), -EINTR);
	assert_false(lwp_is_calling(&bench.lwp));
	assert_false(lwp_cancel_again(&bench.lwp));
	assert_int_equal(bench.cancelled, 3);
	bench_deinit(&bench);
}

static void doom(struct bench *bench)
{
	assert_true(lwp_doom(&bench->lwp));
}

static void test_lwp_begins_no_call_any_more_when_it_is_doomed(void **state)
{
	struct bench bench;

	(void)state;
	bench_init(&bench);
	bench.in_call = doom;
	assert_int_equal(make_call(&bench, 1), -EINTR);
	assert_int_equal(make_call(&bench, 2), -EINTR);
	assert_int_equal(bench.called, 1);
	assert_false(lwp_doom(&bench.lwp));
	bench_deinit(&bench);
}

static void test_lwp_reaches_no_memory_when_no_call_is_in_progress(void **state)
{
	struct bench bench;
	uint64_t address;
	char bytes[4] = "";

	(void)state;
	bench_init(&bench);
	assert_int_equal(ferry_copyin(&bench.lwp, 0x1000, bytes, 4), -EFAULT);
	assert_int_equal(ferry_copyinstr(&bench.lwp, 0x1000, bytes, 4, NULL), -EFAULT);
	assert_int_equal(ferry_copyout(&bench.lwp, bytes, 0x1000, 4), -EFAULT);
	assert_int_equal(ferry_copyoutstr(&bench.lwp, bytes, 0x1000, 4), -EFAULT);
	assert_null(ferry_copyin_look(&bench.lwp, 0x1000, 4));
	assert_null(ferry_copyout_place(&bench.lwp, 0x1000, 4));
	assert_int_equal(ferry_anonmmap(&bench.lwp, 4096, &address), -EFAULT);
	bench_deinit(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lwp_is_made_once_when_it_makes_calls),
		cmocka_unit_test(test_lwp_begins_no_call_when_that_was_cancelled_before),
		cmocka_unit_test(test_lwp_is_cancelled_until_the_call_ends_when_it_is_in_progress),
		cmocka_unit_test(test_lwp_begins_no_call_any_more_when_it_is_doomed),
		cmocka_unit_test(test_lwp_reaches_no_memory_when_no_call_is_in_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
