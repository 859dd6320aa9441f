/*
 * Many client processes of many threads that end in every way there is, wave after wave, while a
 * bystander's calls go on; then nothing of them is left in the server. And calls that block by the
 * thousand.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sanitizer.h"
#include "test/sysproxy/process_bench.h"

#define GUESTS_LONG  32u /* processes in a wave, a multiple of ENDINGS */
#define GUESTS_SHORT 12u
#define THREADS      8u
#define WAVES_SHORT  3u
#define WAVES_LONG   20u
#define CHANNEL      3u
#define CALLS        5u

#define THREADS_KEPT 16u         /* by the server, for later calls */
#define GROWTH_MAX   (12u << 20) /* bytes of memory in all waves after the second */

#define CROWD       1000u
#define CROWD_STACK (64u << 10)

enum ending {
	END_BY_CLOSE,
	END_BY_EXIT,   /* while other threads call */
	END_BY_SIGNAL, /* SIGTERM, while half of the threads are blocked and the others call */
	END_BY_KILL,   /* SIGKILL, the same */
	ENDINGS,
};

struct guest {
	const char *url;
	bool is_plain;
	enum ending ending;
	struct child_line ready;
	/* In the child */
	struct ferry_sysproxy *client;
	atomic_uint started;
};

static void *block(void *context)
{
	struct guest *guest = context;

	(void)simple_try(guest->client, FAKE_BLOCK, CHANNEL, 0, NULL);
	return NULL;
}

static void *call_for_ever(void *context)
{
	struct guest *guest = context;

	simple_exercise(guest->client, 1);
	if (atomic_fetch_add(&guest->started, 1) + 1 == THREADS / 2)
		child_line_tell(&guest->ready);
	for (;;)
		simple_exercise(guest->client, 1);
	return NULL;
}

static void *call_some(void *context)
{
	struct guest *guest = context;

	simple_exercise(guest->client, CALLS);
	return NULL;
}

/* Until it is ended. */
static void crowd_in(struct guest *guest)
{
	pthread_t thread;

	for (unsigned i = 0; i < THREADS; i++)
		assert(pthread_create(&thread, NULL, i % 2 == 0 ? block : call_for_ever, guest) ==
			0);
	assert(pthread_join(thread, NULL) == 0);
}

static int be_guest(void *context)
{
	struct guest *guest = context;
	pthread_t threads[THREADS];

	guest->client = simple_open(guest->url, guest->is_plain);
	if (guest->ending >= END_BY_SIGNAL)
		crowd_in(guest);
	for (unsigned i = 0; i < THREADS; i++)
		assert(pthread_create(&threads[i], NULL, call_some, guest) == 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert((guest->ending == END_BY_CLOSE || i == 0 ? pthread_join(threads[i], NULL)
								: pthread_detach(threads[i])) == 0);
	if (guest->ending == END_BY_CLOSE)
		ferry_sysproxy_close(guest->client);
	return 0;
}

static void end_guest(const struct guest *guest, pid_t pid)
{
	int signal = guest->ending == END_BY_KILL ? SIGKILL : SIGTERM, status;

	if (guest->ending < END_BY_SIGNAL) {
		assert_int_equal(child_await(pid), 0);
		return;
	}
	assert_int_equal(kill(pid, signal), 0);
	status = child_await(pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signal);
}

static void run_wave(struct process_bench *bench, struct guest *guest)
{
	unsigned count = bench->is_long ? GUESTS_LONG : GUESTS_SHORT;
	pid_t pids[GUESTS_LONG];

	for (unsigned i = 0; i < count; i++) {
		guest->ending = (enum ending)(i % ENDINGS);
		pids[i] = child_start(be_guest, guest);
	}
	child_line_await(&guest->ready, count / 2);
	process_bench_await_blocked(bench, count / 2 * THREADS / 2);
	for (unsigned i = 0; i < count; i++) {
		guest->ending = (enum ending)(i % ENDINGS);
		end_guest(guest, pids[i]);
	}
	/* The test's own and the bystander's are left, with a lane each. */
	process_bench_await_processes(bench, 2);
	process_bench_await_lwps(bench, 2);
	process_bench_await_blocked(bench, 0);
}

/* The bystander */

static volatile sig_atomic_t is_over;

static void note_end(int signal)
{
	(void)signal;
	is_over = 1;
}

static int stand_by(void *context)
{
	const struct guest *guest = context;
	struct ferry_sysproxy *client = simple_open(guest->url, false);
	struct sigaction action = {.sa_handler = note_end};

	assert(sigaction(SIGTERM, &action, NULL) == 0);
	simple_exercise(client, 1);
	child_line_tell(&guest->ready);
	while (!is_over)
		simple_exercise(client, 1);
	ferry_sysproxy_close(client);
	return 0;
}

static void run_waves(struct process_bench *bench, const char *url, bool is_plain)
{
	unsigned waves = bench->is_long ? WAVES_LONG : WAVES_SHORT, descriptors, threads;
	struct guest guest = {.url = bench->server_url, .is_plain = is_plain};
	size_t before = 0, after;
	pid_t bystander;

	process_bench_open(bench, url);
	child_line_open(&guest.ready);
	bystander = child_start(stand_by, &guest);
	child_line_await(&guest.ready, 1);
	process_bench_await_lwps(bench, 2);
	descriptors = process_bench_descriptors(bench);
	threads = process_bench_threads(bench);
	for (unsigned i = 1; i <= waves; i++) {
		run_wave(bench, &guest);
		process_bench_await(bench, descriptors, threads + THREADS_KEPT);
		if (i == 2)
			before = process_bench_resident_bytes(bench);
	}
	after = process_bench_resident_bytes(bench);
	if (!IS_SANITIZED && after > before + GROWTH_MAX)
		fail_msg("%zu bytes have become %zu", before, after);
	assert_int_equal(kill(bystander, SIGTERM), 0);
	assert_int_equal(child_await(bystander), 0);
	child_line_close(&guest.ready);
}

static void test_server_keeps_nothing_when_clients_of_a_unix_socket_have_ended(void **state)
{
	run_waves(*state, NULL, false);
}

static void test_server_keeps_nothing_when_plain_clients_of_a_unix_socket_have_ended(void **state)
{
	run_waves(*state, NULL, true);
}

static void test_server_keeps_nothing_when_clients_of_tcp_have_ended(void **state)
{
	run_waves(*state, "tcp://127.0.0.1:0", false);
}

static void test_server_keeps_nothing_when_plain_clients_of_tcp_have_ended(void **state)
{
	run_waves(*state, "tcp://127.0.0.1:0", true);
}

/* A crowd that waits */

struct crowd {
	const char *url;
	bool is_plain;
	unsigned count;
};

static int be_crowd(void *context)
{
	const struct crowd *crowd = context;
	struct guest guest = {.client = simple_open(crowd->url, crowd->is_plain)};
	pthread_t threads[CROWD];
	pthread_attr_t attributes;
	struct rlimit limit;

	assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	assert(pthread_attr_init(&attributes) == 0);
	assert(pthread_attr_setstacksize(&attributes, CROWD_STACK) == 0);
	for (unsigned i = 0; i < crowd->count; i++)
		assert(pthread_create(&threads[i], &attributes, block, &guest) == 0);
	for (unsigned i = 0; i < crowd->count; i++)
		assert(pthread_join(threads[i], NULL) == 0);
	simple_exercise(guest.client, 1);
	ferry_sysproxy_close(guest.client);
	assert(pthread_attr_destroy(&attributes) == 0);
	return 0;
}

static void check_crowd(struct process_bench *bench, unsigned processes, bool is_plain)
{
	struct crowd crowd = {bench->server_url, is_plain, CROWD / processes};
	struct ferry_sysproxy *late;
	pid_t pids[4];

	for (unsigned i = 0; i < processes; i++)
		pids[i] = child_start(be_crowd, &crowd);
	process_bench_await_blocked(bench, CROWD);
	simple_exercise(bench->client, 100);
	late = simple_open(bench->server_url, is_plain);
	simple_exercise(late, 100);
	ferry_sysproxy_close(late);
	assert_int_equal(simple_call(bench->client, FAKE_WAKE, CHANNEL, 0), CROWD);
	for (unsigned i = 0; i < processes; i++)
		assert_int_equal(child_await(pids[i]), 0);
	process_bench_await_processes(bench, 1);
}

static void test_server_serves_others_when_a_thousand_calls_are_blocked(void **state)
{
	struct process_bench *bench = *state;
	struct rlimit limit;

	/* A descriptor for each at both ends. */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < 2 * CROWD)
		skip();
	process_bench_open(bench, NULL);
	check_crowd(bench, 1, false);
	check_crowd(bench, 4, true);
	if (!bench->is_long)
		return;
	check_crowd(bench, 1, true);
	check_crowd(bench, 4, false);
}

/* Full */

static void test_client_says_that_the_server_is_full_when_it_is(void **state)
{
	struct process_bench *bench = *state;
	char error[FERRY_SYSPROXY_ERROR_MAX] = "";
	struct ferry_sysproxy *second, *third;

	bench->options[0] = "processes_max=2";
	process_bench_open(bench, NULL);
	second = simple_open(bench->server_url, false);
	assert_int_equal(ferry_sysproxy_open(bench->server_url, NULL, &third, error), -ENOMEM);
	if (strstr(error, "full") == NULL)
		fail_msg("\"%s\" does not say why", error);
	simple_exercise(second, 1);
	ferry_sysproxy_close(second);
	process_bench_await_processes(bench, 1);
	ferry_sysproxy_close(simple_open(bench->server_url, true));
}

int main(int argc, char **argv)
{
	struct process_bench bench;
#define TEST(name)                                                          \
	cmocka_unit_test_prestate_setup_teardown(name, process_bench_setup, \
		process_bench_teardown, &bench)
	const struct CMUnitTest tests[] = {
		TEST(test_server_keeps_nothing_when_clients_of_a_unix_socket_have_ended),
		TEST(test_server_keeps_nothing_when_plain_clients_of_a_unix_socket_have_ended),
		TEST(test_server_keeps_nothing_when_clients_of_tcp_have_ended),
		TEST(test_server_keeps_nothing_when_plain_clients_of_tcp_have_ended),
		TEST(test_server_serves_others_when_a_thousand_calls_are_blocked),
		TEST(test_client_says_that_the_server_is_full_when_it_is),
	};

	process_bench_arguments(&bench, argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
