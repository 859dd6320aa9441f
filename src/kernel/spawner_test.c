/*
 * The spawner as a process of its own: this program started anew, whose workers do what their first
 * message says.
 */
#include "kernel/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define VERB "spawner"

/* What a worker of the test does, by the name of the guest that it adopts; then it waits for the end of
 * its channel. Its first message tells its process id. */

static int confine(void *context, char ret_text[CHANNEL_TEXT_MAX])
{
	const char *how = context;

	(void)snprintf(ret_text, CHANNEL_TEXT_MAX, "walls are %s", how);
	return strcmp(how, "refused") == 0 ? -EPERM : 0;
}

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void tell_pid(int channel, pid_t pid)
{
	struct channel_message message = {.type = CHANNEL_COUNTS, .fd = -1};

	message.counts.calls = (uint64_t)pid;
	message.counts.failures = (uint64_t)count_descriptors();
	if (channel_send(channel, &message, 0) != 0)
		abort();
}

static int work(void *context, int channel)
{
	struct channel_message message;

	(void)context;
	if (channel_receive(channel, CHANNEL_TO_WORKER, 0, &message) != 0)
		return 9;
	(void)close(message.fd);
	if (strcmp(message.handover.name, "crash") == 0)
		(void)raise(SIGKILL);
	tell_pid(channel, getpid());
	if (strcmp(message.handover.name, "parent") == 0) {
		pid_t child = fork();

		if (child == 0) {
			(void)close(channel);
			for (;;)
				(void)pause();
		}
		tell_pid(channel, child);
	}
	while (channel_receive(channel, CHANNEL_TO_WORKER, 0, &message) != -EPIPE)
		;
	return 7;
}

/* The tests */

static struct spawner start(void)
{
	char *const arguments[] = {(char *)VERB, (char *)VERB, (char *)"up", NULL};
	struct spawner spawner;
	char text[CHANNEL_TEXT_MAX];

	assert_int_equal(spawner_start(arguments, &spawner, text), 0);
	assert_string_equal(text, "walls are up");
	return spawner;
}

static void await(const struct spawner *spawner, enum channel_type type, uint64_t id, int value)
{
	struct channel_message message;

	assert_int_equal(channel_receive(spawner->channel, CHANNEL_FROM_SPAWNER, 0, &message), 0);
	assert_int_equal(message.type, type);
	assert_int_equal(message.id, id);
	assert_int_equal(message.value, value);
}

/* @return the channel of a new worker that acts as @name. */
static int spawn(const struct spawner *spawner, uint64_t id, const char *name)
{
	struct channel_message message = {.type = CHANNEL_SPAWN, .id = id};
	struct channel_message adopt = {.type = CHANNEL_ADOPT, .fd = STDIN_FILENO};
	int fds[2];

	assert_int_equal(channel_pair(fds), 0);
	message.fd = fds[1];
	assert_int_equal(channel_send(spawner->channel, &message, 0), 0);
	assert_int_equal(close(fds[1]), 0);
	await(spawner, CHANNEL_SPAWNED, id, 0);
	adopt.handover.kind = HANDOVER_GUEST;
	(void)snprintf(adopt.handover.name, sizeof(adopt.handover.name), "%s", name);
	assert_int_equal(channel_send(fds[0], &adopt, 0), 0);
	return fds[0];
}

static pid_t receive_pid(int channel)
{
	struct channel_message message;

	assert_int_equal(channel_receive(channel, CHANNEL_FROM_WORKER, 0, &message), 0);
	return (pid_t)message.counts.calls;
}

static void await_end(int channel)
{
	struct channel_message message;

	assert_int_equal(channel_receive(channel, CHANNEL_FROM_WORKER, 0, &message), -EPIPE);
	assert_int_equal(close(channel), 0);
}

static void test_spawner_tells_how_each_worker_ended(void **state)
{
	struct spawner spawner = start();
	int good, crashed, killed;

	(void)state;
	good = spawn(&spawner, 1, "good");
	(void)receive_pid(good);
	assert_int_equal(close(good), 0);
	await(&spawner, CHANNEL_ENDED, 1, 7 << 8);
	crashed = spawn(&spawner, 2, "crash");
	await(&spawner, CHANNEL_ENDED, 2, SIGKILL);
	await_end(crashed);
	killed = spawn(&spawner, UINT64_MAX, "good");
	(void)receive_pid(killed);
	assert_int_equal(channel_send(spawner.channel,
				 &(struct channel_message){.type = CHANNEL_KILL,
					 .id = UINT64_MAX,
					 .fd = -1},
				 0),
		0);
	await(&spawner, CHANNEL_ENDED, UINT64_MAX, SIGKILL);
	await_end(killed);
	spawner_end(&spawner);
}

static void test_spawner_gives_a_worker_nothing_but_its_channel(void **state)
{
	struct spawner spawner = start();
	int first = spawn(&spawner, 1, "good"), second = spawn(&spawner, 2, "good");
	struct channel_message message;

	(void)state;
	assert_int_equal(channel_receive(second, CHANNEL_FROM_WORKER, 0, &message), 0);
	assert_int_equal(message.counts.failures, 4); /* the standard ones, and the channel */
	assert_int_equal(close(first), 0);
	assert_int_equal(close(second), 0);
	spawner_end(&spawner);
}

static void test_spawner_has_all_that_came_of_it_end_with_it(void **state)
{
	static const int ways[] = {0, SIGKILL};

	(void)state;
	/* What the spawner leaves is this program's to bury. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
		struct spawner spawner = start();
		int worker = spawn(&spawner, 1, "parent");
		pid_t pid = receive_pid(worker), child = receive_pid(worker);

		assert_int_equal(kill(child, 0), 0);
		if (ways[i] == 0)
			cleanup_close(&spawner.channel); /* as if the broker had been killed */
		else
			assert_int_equal(kill(spawner.pid, ways[i]), 0);
		if (ways[i] == 0)
			spawner.channel = -1;
		await_end(worker);
		spawner_end(&spawner);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_int_equal(waitpid(child, NULL, 0), child);
	}
}

static void test_spawner_says_why_when_its_walls_cannot_be_put_up(void **state)
{
	char *const arguments[] = {(char *)VERB, (char *)VERB, (char *)"refused", NULL};
	struct spawner spawner = {.channel = -2};
	char text[CHANNEL_TEXT_MAX];

	(void)state;
	assert_int_equal(spawner_start(arguments, &spawner, text), -EPERM);
	assert_string_equal(text, "walls are refused");
	assert_int_equal(spawner.channel, -2);
}

static void test_spawner_does_not_begin_when_the_program_ends_at_once(void **state)
{
	char *const arguments[] = {(char *)VERB, (char *)"exit", NULL};
	struct spawner spawner;
	char text[CHANNEL_TEXT_MAX];

	(void)state;
	assert_int_equal(spawner_start(arguments, &spawner, text), -EPIPE);
	assert_string_equal(text, "it has ended at once");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spawner_tells_how_each_worker_ended),
		cmocka_unit_test(test_spawner_gives_a_worker_nothing_but_its_channel),
		cmocka_unit_test(test_spawner_has_all_that_came_of_it_end_with_it),
		cmocka_unit_test(test_spawner_says_why_when_its_walls_cannot_be_put_up),
		cmocka_unit_test(test_spawner_does_not_begin_when_the_program_ends_at_once),
	};
	const struct spawner_duties duties = {confine, work, argc > 2 ? argv[2] : NULL};

	if (argc > 2 && strcmp(argv[1], VERB) == 0)
		return spawner_run(SPAWNER_CHANNEL_FD, &duties);
	if (argc > 1)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
