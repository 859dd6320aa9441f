/*
 * One thread, which waits for the broker and for the ends of its children. It is a subreaper: children
 * of workers that have ended become its own, and leave no zombies.
 */
#include "kernel/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PROGRAM         "/proc/self/exe"
#define ENVIRONMENT_MAX 16

/* A worker that has not ended. */
struct spawned {
	pid_t pid;
	uint64_t id;
};

struct spawning {
	const struct spawner_duties *duties;
	int channel;
	int signal_fd;
	pid_t pid;
	sigset_t signals; /* of whoever called */
	struct spawned *workers;
	size_t worker_count, worker_room;
};

/* The spawner's side */

__attribute__((noreturn)) static void end_with_all(void)
{
	(void)kill(0, SIGKILL);
	_exit(EXIT_FAILURE); /* the first process of a namespace is not killed by itself */
}

/* Without its broker it is of no use to anybody. */
static void tell(const struct spawning *spawning, const struct channel_message *message)
{
	if (channel_send(spawning->channel, message, 0) != 0)
		end_with_all();
}

static int make_room(struct spawning *spawning)
{
	size_t room = spawning->worker_room == 0 ? 64 : 2 * spawning->worker_room;
	struct spawned *workers;

	if (spawning->worker_count < spawning->worker_room)
		return 0;
	if (spawning->worker_room >= SPAWNER_WORKERS_MAX)
		return -EAGAIN;
	workers = reallocarray(spawning->workers, room, sizeof(*workers));
	if (workers == NULL)
		return -ENOMEM;
	spawning->workers = workers;
	spawning->worker_room = room;
	return 0;
}

static void be_worker(const struct spawning *spawning, int channel)
{
	const struct spawner_duties *duties = spawning->duties;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != spawning->pid)
		_exit(EXIT_FAILURE);
	(void)close(spawning->channel);
	(void)close(spawning->signal_fd);
	free(spawning->workers);
	(void)sigprocmask(SIG_SETMASK, &spawning->signals, NULL);
	_exit(duties->work(duties->context, channel));
}

static int fork_worker(struct spawning *spawning, const struct channel_message *message)
{
	int error = make_room(spawning);
	pid_t pid;

	if (error != 0)
		return error;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		be_worker(spawning, message->fd);
	spawning->workers[spawning->worker_count++] = (struct spawned){pid, message->id};
	return 0;
}

static void kill_worker(const struct spawning *spawning, uint64_t id)
{
	for (size_t i = 0; i < spawning->worker_count; i++) {
		if (spawning->workers[i].id == id)
			(void)kill(spawning->workers[i].pid, SIGKILL);
	}
}

static void obey(struct spawning *spawning)
{
	struct channel_message message;
	int error = channel_receive(spawning->channel, CHANNEL_TO_SPAWNER, 0, &message);

	/* A descriptor without room here: its worker cannot be told by its number. */
	if (error == -EBADMSG)
		return;
	if (error != 0)
		end_with_all();
	if (message.type == CHANNEL_KILL) {
		kill_worker(spawning, message.id);
	} else {
		const struct channel_message answer = {
			.type = CHANNEL_SPAWNED,
			.id = message.id,
			.value = fork_worker(spawning, &message),
			.fd = -1,
		};

		(void)close(message.fd);
		tell(spawning, &answer);
	}
}

static void tell_end(struct spawning *spawning, pid_t pid, int status)
{
	struct channel_message ended = {.type = CHANNEL_ENDED, .value = status & 0xffff, .fd = -1};

	for (size_t i = 0; i < spawning->worker_count; i++) {
		if (spawning->workers[i].pid != pid)
			continue;
		ended.id = spawning->workers[i].id;
		spawning->workers[i] = spawning->workers[--spawning->worker_count];
		tell(spawning, &ended);
		return;
	}
}

static void reap(struct spawning *spawning)
{
	struct signalfd_siginfo waste;
	int status;
	pid_t pid;

	(void)!read(spawning->signal_fd, &waste, sizeof(waste));
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		tell_end(spawning, pid, status);
}

static int watch_children(struct spawning *spawning)
{
	sigset_t child;

	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &child, &spawning->signals) != 0)
		return -errno;
	spawning->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	return spawning->signal_fd >= 0 ? 0 : -errno;
}

/* Alone with its channel, and leader of its group. */
static int set_up(int channel)
{
	if (getpgrp() != getpid() && setpgid(0, 0) != 0)
		return -errno;
	if (channel > STDERR_FILENO + 1 &&
		close_range(STDERR_FILENO + 1, (unsigned)channel - 1, 0) != 0)
		return -errno;
	if (close_range((unsigned)channel + 1, UINT32_MAX, 0) != 0 ||
		fcntl(channel, F_SETFD, FD_CLOEXEC) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		return -errno;
	return 0;
}

int spawner_run(int channel, const struct spawner_duties *duties)
{
	struct spawning spawning = {.duties = duties,
		.channel = channel,
		.signal_fd = -1,
		.pid = getpid()};
	struct channel_message walls = {.type = CHANNEL_SANDBOX, .fd = -1};

	walls.value = set_up(channel);
	if (walls.value == 0)
		walls.value = watch_children(&spawning);
	if (walls.value != 0)
		(void)snprintf(walls.text, sizeof(walls.text), "it cannot start: %s",
			strerrordesc_np(-walls.value));
	else
		walls.value = duties->confine(duties->context, walls.text);
	tell(&spawning, &walls);
	if (walls.value != 0)
		return EXIT_FAILURE;
	spawning.pid = getpid();
	for (;;) {
		struct pollfd watched[] = {
			{.fd = channel, .events = POLLIN},
			{.fd = spawning.signal_fd, .events = POLLIN},
		};

		if (poll(watched, ARRAY_LENGTH(watched), -1) < 0)
			continue;
		/* Ends first: they make room. */
		if (watched[1].revents != 0)
			reap(&spawning);
		if (watched[0].revents != 0)
			obey(&spawning);
	}
}

/* The broker's side */

/* What the new program may know: nothing but how it is to be tested. */
static void take_environment(char *ret_environment[ENVIRONMENT_MAX + 1])
{
	static const char *const wanted[] = {"FERRY_LOOP=", "FERRY_WALLS=", "ASAN_OPTIONS=",
		"LSAN_OPTIONS=", "TSAN_OPTIONS=", "UBSAN_OPTIONS="};
	size_t count = 0;

	for (char **variable = environ; *variable != NULL && count < ENVIRONMENT_MAX; variable++) {
		for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
			if (strncmp(*variable, wanted[i], strlen(wanted[i])) != 0)
				continue;
			ret_environment[count++] = *variable;
			break;
		}
	}
	ret_environment[count] = NULL;
}

static int set_actions(posix_spawn_file_actions_t *actions, int channel)
{
	int error =
		-posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);

	if (error == 0)
		error = -posix_spawn_file_actions_adddup2(actions, STDIN_FILENO, STDOUT_FILENO);
	if (error == 0)
		error = -posix_spawn_file_actions_adddup2(actions, STDIN_FILENO, STDERR_FILENO);
	if (error == 0)
		error = -posix_spawn_file_actions_adddup2(actions, channel, SPAWNER_CHANNEL_FD);
	return error;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int error;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	error = -posix_spawnattr_setflags(attributes,
		POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (error == 0)
		error = -posix_spawnattr_setpgroup(attributes, 0);
	if (error == 0)
		error = -posix_spawnattr_setsigmask(attributes, &none);
	if (error == 0)
		error = -posix_spawnattr_setsigdefault(attributes, &all);
	return error;
}

static int start_program(char *const arguments[], int channel, pid_t *ret_pid)
{
	char *environment[ENVIRONMENT_MAX + 1];
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int error;

	take_environment(environment);
	error = -posix_spawn_file_actions_init(&actions);
	if (error != 0)
		return error;
	error = -posix_spawnattr_init(&attributes);
	if (error == 0) {
		error = set_actions(&actions, channel);
		if (error == 0)
			error = set_attributes(&attributes);
		if (error == 0)
			error = -posix_spawn(ret_pid, PROGRAM, &actions, &attributes, arguments,
				environment);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return error;
}

int spawner_start(char *const arguments[], struct spawner *ret_spawner,
	char ret_text[CHANNEL_TEXT_MAX])
{
	struct spawner spawner = {.channel = -1};
	struct channel_message walls;
	int fds[2], error = channel_pair(fds);

	if (error == 0) {
		spawner.channel = fds[0];
		error = start_program(arguments, fds[1], &spawner.pid);
		(void)close(fds[1]);
	}
	if (error != 0) {
		(void)snprintf(ret_text, CHANNEL_TEXT_MAX, "no process can be started: %s",
			strerrordesc_np(-error));
	} else {
		error = channel_receive(spawner.channel, CHANNEL_FROM_SPAWNER, 0, &walls);
		(void)snprintf(ret_text, CHANNEL_TEXT_MAX, "%s",
			error == 0 ? walls.text : "it has ended at once");
		if (error == 0)
			error = walls.type == CHANNEL_SANDBOX ? walls.value : -EPROTO;
	}
	if (error == 0)
		*ret_spawner = spawner;
	else
		spawner_end(&spawner);
	return error;
}

void spawner_end(struct spawner *spawner)
{
	/* It has not been waited for, so the number is still its own. */
	if (spawner->pid != 0) {
		(void)kill(-spawner->pid, SIGKILL);
		while (waitpid(spawner->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	cleanup_close(&spawner->channel);
	*spawner = (struct spawner){.channel = -1};
}
