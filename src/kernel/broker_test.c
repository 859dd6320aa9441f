/*
 * The broker with workers of the test's own (test/kernel/strange_worker.h). The broker's loop has a thread; clients are raw peers of the test's.
 */
#include "kernel/broker.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "loop/loop.h"
#include "test/kernel/strange_worker.h"
#include "test/sysproxy/raw_peer.h"

#define VERB     "spawner"
#define WAIT_S   30
#define TEXT_MAX (256u << 10)

static int confine(void *context, char ret_text[CHANNEL_TEXT_MAX])
{
	(void)context;
	ret_text[0] = '\0';
	return 0;
}

/* The broker under test */

struct fixture {
	struct broker *broker;
	struct loop *loop;
	struct log *log;
	pthread_t thread;
	struct loop_message message;
	pid_t spawner;
	const char *url;
	bool has_stopped;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	char text[TEXT_MAX]; /* what was logged and traced */
	size_t text_bytes;
	unsigned ended_count;
	bool is_failed;
};

static void note(struct fixture *fixture, const char *prefix, const char *line)
{
	(void)pthread_mutex_lock(&fixture->lock);
	fixture->text_bytes += (size_t)snprintf(fixture->text + fixture->text_bytes,
		sizeof(fixture->text) - fixture->text_bytes, "%s%s\n", prefix, line);
	(void)pthread_cond_broadcast(&fixture->changed);
	(void)pthread_mutex_unlock(&fixture->lock);
}

static void note_log(void *context, enum log_level level, const char *line)
{
	(void)level;
	note(context, "log: ", line);
}

static void note_trace(void *context, const char *line)
{
	note(context, "trace: ", line);
}

static void note_end(void *context, bool is_failed)
{
	struct fixture *fixture = context;

	(void)pthread_mutex_lock(&fixture->lock);
	fixture->ended_count++;
	fixture->is_failed = is_failed;
	(void)pthread_cond_broadcast(&fixture->changed);
	(void)pthread_mutex_unlock(&fixture->lock);
	loop_stop(fixture->loop);
}

static bool has_line(struct fixture *fixture, const char *text)
{
	return strstr(fixture->text, text) != NULL;
}

/* Wait until something with @text has been said. */
static void await_line(struct fixture *fixture, const char *text)
{
	struct timespec end;
	int error = 0;

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &end), 0);
	end.tv_sec += WAIT_S;
	(void)pthread_mutex_lock(&fixture->lock);
	while (!has_line(fixture, text) && error == 0)
		error = pthread_cond_timedwait(&fixture->changed, &fixture->lock, &end);
	if (error != 0)
		fail_msg("no line has '%s':\n%s", text, fixture->text);
	(void)pthread_mutex_unlock(&fixture->lock);
}

static void *run(void *argument)
{
	struct fixture *fixture = argument;

	if (loop_run(fixture->loop) != 0)
		abort();
	return NULL;
}

static void begin_with(struct fixture *fixture, const struct broker_options *wanted)
{
	char *const arguments[] = {(char *)VERB, (char *)VERB, NULL};
	struct broker_options options = *wanted;
	char error[FERRY_SYSPROXY_ERROR_MAX], text[CHANNEL_TEXT_MAX], url[64];
	struct spawner spawner;

	memset(fixture, 0, sizeof(*fixture));
	(void)pthread_mutex_init(&fixture->lock, NULL);
	(void)pthread_cond_init(&fixture->changed, NULL);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(spawner_start(arguments, &spawner, text), 0);
	fixture->spawner = spawner.pid;
	assert_int_equal(loop_new(NULL, &fixture->loop), 0);
	fixture->log = log_new(LOG_LEVEL_DEBUG, note_log, fixture, clock_monotonic());
	assert_non_null(fixture->log);
	options.loop = fixture->loop;
	options.log = fixture->log;
	options.trace = note_trace;
	options.ended = note_end;
	options.context = fixture;
	assert_int_equal(broker_new(&options, &spawner, &fixture->broker), 0);
	(void)snprintf(url, sizeof(url), "unix:///tmp/ferry-broker-test-%d", getpid());
	assert_int_equal(broker_listen(fixture->broker, url, &fixture->url, error), 0);
	assert_string_equal(fixture->url, url);
	assert_int_equal(pthread_create(&fixture->thread, NULL, run, fixture), 0);
}

static void begin(struct fixture *fixture)
{
	begin_with(fixture, &(struct broker_options){0});
}

static void stop(struct loop_message *message)
{
	broker_stop(container_of(message, struct fixture, message)->broker);
}

static void tell_to_stop(struct fixture *fixture)
{
	fixture->message.deliver = stop;
	loop_post(fixture->loop, &fixture->message);
}

/* Wait until the broker has ended by itself, and free all. */
static void finish(struct fixture *fixture)
{
	assert_int_equal(pthread_join(fixture->thread, NULL), 0);
	assert_int_equal(fixture->ended_count, 1);
	assert_int_equal(broker_guest_count(fixture->broker), 0);
	broker_free(fixture->broker);
	assert_int_equal(fixture->ended_count, 1);
	/* What the spawner has left is dead, and this program's to bury. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	assert_int_equal(errno, ECHILD);
	log_free(fixture->log);
	loop_free(fixture->loop);
	(void)pthread_mutex_destroy(&fixture->lock);
	(void)pthread_cond_destroy(&fixture->changed);
}

static void end(struct fixture *fixture)
{
	tell_to_stop(fixture);
	finish(fixture);
	assert_false(fixture->is_failed);
}

static void connect_guest(struct fixture *fixture, struct raw_peer *peer, const char *name)
{
	raw_peer_connect(peer, fixture->url);
	raw_peer_guest(peer, name);
}

/* Connect and say who it is; what comes of that is not awaited. */
static void begin_guest(struct fixture *fixture, struct raw_peer *peer, const char *name)
{
	const struct wire_frame frame = {.number = 1,
		.class = WIRE_REQUEST,
		.type = WIRE_HANDSHAKE,
		.aux = WIRE_GUEST};

	raw_peer_connect(peer, fixture->url);
	raw_peer_send(peer, &frame, name, strlen(name) + 1);
}

static void send_fork(struct fixture *fixture, struct raw_peer *peer,
	const struct wire_cookie *cookie, bool is_cancelled)
{
	const struct wire_frame frame = {.number = 4,
		.class = WIRE_REQUEST,
		.type = WIRE_HANDSHAKE,
		.aux = WIRE_FORK};
	const struct wire_fork said = {*cookie, le32_of(is_cancelled)};

	raw_peer_connect(peer, fixture->url);
	raw_peer_send(peer, &frame, &said, sizeof(said));
}

/* Say which lane of which process it is. */
static void send_lane(struct fixture *fixture, struct raw_peer *peer,
	const struct wire_cookie *cookie)
{
	const struct wire_frame frame = {.number = 5, .class = WIRE_REQUEST, .type = WIRE_LANE};
	const struct wire_lane wanted = {.lane = *cookie, .id = le64_of(1)};

	raw_peer_connect(peer, fixture->url);
	(void)raw_peer_hello(peer);
	raw_peer_send(peer, &frame, &wanted, sizeof(wanted));
}

/* The tests */

static struct fixture fixture;

static void test_broker_gives_each_process_a_worker(void **state)
{
	struct raw_peer first, second;

	(void)state;
	begin(&fixture);
	connect_guest(&fixture, &first, "first");
	connect_guest(&fixture, &second, "second");
	await_line(&fixture, "process 1 is first");
	await_line(&fixture, "process 2 is second");
	end(&fixture);
	assert_true(has_line(&fixture, "process 1, first: went: 3 calls, 2 failed, 1 refused"));
	assert_true(has_line(&fixture, "process 2, second: went"));
	raw_peer_end(&first);
	raw_peer_end(&second);
}

static void test_broker_forgets_a_guest_when_its_worker_ends(void **state)
{
	struct raw_peer leaving, staying;

	(void)state;
	begin(&fixture);
	connect_guest(&fixture, &staying, "staying");
	begin_guest(&fixture, &leaving, "leaving");
	raw_peer_expect_end(&leaving);
	await_line(&fixture, "process 2, leaving: went");
	end(&fixture);
	raw_peer_end(&leaving);
	raw_peer_end(&staying);
}

static void test_broker_serves_others_when_a_worker_misbehaves(void **state)
{
	static const struct {
		const char *name, *line;
	} rows[] = {
		{"crashing", "crashing: its worker was killed by signal 9"},
		{"lying", "lying: its worker is cut off: it breaks the rules of its channel"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct raw_peer bad, good;

		begin(&fixture);
		begin_guest(&fixture, &bad, rows[i].name);
		raw_peer_expect_end(&bad);
		await_line(&fixture, rows[i].line);
		connect_guest(&fixture, &good, "good");
		end(&fixture);
		raw_peer_end(&bad);
		raw_peer_end(&good);
	}
}

static void test_broker_kills_a_worker_when_it_does_not_end(void **state)
{
	struct raw_peer peer;

	(void)state;
	begin(&fixture);
	begin_guest(&fixture, &peer, "stuck");
	await_line(&fixture, "process 1 is stuck");
	end(&fixture);
	assert_true(has_line(&fixture, "process 1, stuck: its worker was killed by signal 9"));
	raw_peer_expect_end(&peer);
	raw_peer_end(&peer);
}

static void test_broker_writes_few_lines_when_a_worker_is_noisy(void **state)
{
	struct raw_peer peer;
	unsigned count = 0;

	(void)state;
	begin(&fixture);
	connect_guest(&fixture, &peer, "noisy");
	await_line(&fixture, "trace: [1] getpid() = 1\n");
	end(&fixture);
	for (const char *at = fixture.text; (at = strstr(at, "noisy: no?ise\n")) != NULL; at++)
		count++;
	assert_in_range(count, 10, 500);
	assert_false(has_line(&fixture, "no\nise"));
	raw_peer_end(&peer);
}

static void test_broker_routes_a_lane_by_its_cookie(void **state)
{
	static const struct wire_cookie other = {{9, 9, 8}};
	struct raw_peer session, lane, stray;

	(void)state;
	begin(&fixture);
	connect_guest(&fixture, &session, "laned");
	send_lane(&fixture, &lane, &strange_lane_cookie);
	raw_peer_expect(&lane, WIRE_RESPONSE, WIRE_LANE, 5);
	send_lane(&fixture, &stray, &other);
	raw_peer_expect_error(&stray, 5, WIRE_ERROR_INVALID_PREFORK);
	end(&fixture);
	raw_peer_end(&session);
	raw_peer_end(&lane);
	raw_peer_end(&stray);
}

static void test_broker_gives_a_child_to_the_client_that_has_its_cookie(void **state)
{
	struct raw_peer parent, child, late, lane;

	(void)state;
	begin(&fixture);
	connect_guest(&fixture, &parent, "forking");
	await_line(&fixture, "answered 0");
	/* What waits for a client is no process that lanes could be of. */
	send_lane(&fixture, &lane, &strange_fork_cookie);
	raw_peer_expect_error(&lane, 5, WIRE_ERROR_INVALID_PREFORK);
	send_fork(&fixture, &child, &strange_fork_cookie, false);
	raw_peer_expect(&child, WIRE_RESPONSE, WIRE_HANDSHAKE, 4);
	send_fork(&fixture, &late, &strange_fork_cookie, false);
	raw_peer_expect_error(&late, 4, WIRE_ERROR_INVALID_PREFORK);
	end(&fixture);
	raw_peer_end(&parent);
	raw_peer_end(&child);
	raw_peer_end(&late);
	raw_peer_end(&lane);
}

static void test_broker_ends_a_child_when_nobody_comes_for_it(void **state)
{
	struct raw_peer parent, other;

	(void)state;
	/* Given up by its client. */
	begin(&fixture);
	connect_guest(&fixture, &parent, "forking");
	send_fork(&fixture, &other, &strange_fork_cookie, true);
	raw_peer_expect_end(&other);
	await_line(&fixture, "process 2, forking: went");
	raw_peer_end(&other);
	end(&fixture);
	raw_peer_end(&parent);
	/* Not in time. */
	begin_with(&fixture, &(struct broker_options){.prefork_timeout_ms = 1});
	connect_guest(&fixture, &parent, "forking");
	await_line(&fixture, "process 2, forking: went");
	end(&fixture);
	raw_peer_end(&parent);
}

static void test_broker_refuses_one_more_when_it_is_full(void **state)
{
	struct raw_peer first, second;

	(void)state;
	begin_with(&fixture, &(struct broker_options){.guests_max = 1});
	connect_guest(&fixture, &first, "forking");
	await_line(&fixture, "answered -11");
	begin_guest(&fixture, &second, "second");
	raw_peer_expect_error(&second, 1, WIRE_ERROR_NO_MEMORY);
	end(&fixture);
	raw_peer_end(&first);
	raw_peer_end(&second);
}

static void test_broker_ends_when_its_spawner_has_gone(void **state)
{
	struct raw_peer peer;

	(void)state;
	begin(&fixture);
	connect_guest(&fixture, &peer, "good");
	assert_int_equal(kill(fixture.spawner, SIGKILL), 0);
	raw_peer_expect_end(&peer);
	finish(&fixture);
	assert_true(fixture.is_failed);
	raw_peer_end(&peer);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_broker_gives_each_process_a_worker),
		cmocka_unit_test(test_broker_forgets_a_guest_when_its_worker_ends),
		cmocka_unit_test(test_broker_serves_others_when_a_worker_misbehaves),
		cmocka_unit_test(test_broker_kills_a_worker_when_it_does_not_end),
		cmocka_unit_test(test_broker_writes_few_lines_when_a_worker_is_noisy),
		cmocka_unit_test(test_broker_routes_a_lane_by_its_cookie),
		cmocka_unit_test(test_broker_gives_a_child_to_the_client_that_has_its_cookie),
		cmocka_unit_test(test_broker_ends_a_child_when_nobody_comes_for_it),
		cmocka_unit_test(test_broker_refuses_one_more_when_it_is_full),
		cmocka_unit_test(test_broker_ends_when_its_spawner_has_gone),
	};
	const struct spawner_duties duties = {.confine = confine, .work = strange_worker};

	if (argc > 1 && strcmp(argv[1], VERB) == 0)
		return spawner_run(SPAWNER_CHANNEL_FD, &duties);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
