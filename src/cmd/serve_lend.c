/*
 * The order matters: the spawner is started with the rights of whoever started the program, and before
 * any store is open; another user is become after that, when all listeners of disks are there.
 */
#include "cmd/serve_lend.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "base/log.h"
#include "cmd/message.h"
#include "kernel/sandbox.h"
#include "loop/loop.h"

#define VERB "serve"

/* The spawner */

int serve_lend_start(struct serve_lend *lend, const struct serve_options *options)
{
	/* ferry spawner [--trace] [--user NAME] VALUE... NULL */
	const char *arguments[SPAWNER_ARGUMENTS_MAX];
	size_t count = 0;
	int error;

	lend->options = options;
	lend->spawner = (struct spawner){.channel = -1};
	lend->has_ended = true;
	if (options->lent.count == 0)
		return 0;
	arguments[count++] = "ferry";
	arguments[count++] = SERVE_SPAWNER_VERB;
	if (options->is_traced)
		arguments[count++] = "--trace";
	if (options->user != NULL) {
		arguments[count++] = "--user";
		arguments[count++] = options->user;
	}
	arguments[count++] = "--";
	for (size_t i = 0; i < options->lent.count; i++)
		arguments[count++] = options->lent.items[i];
	arguments[count] = NULL;
	error = spawner_start((char *const *)arguments, &lend->spawner, lend->walls);
	if (error < 0)
		complain(VERB, "nothing can be lent: %s", lend->walls);
	return error;
}

/* Clients */

static int become_user(const char *name)
{
	struct sandbox_options user = {.has_user = false};
	int error = sandbox_find_user(name, &user);

	if (error == 0 &&
		(setgroups(user.group_count, user.groups) != 0 ||
			setresgid(user.gid, user.gid, user.gid) != 0 ||
			setresuid(user.uid, user.uid, user.uid) != 0))
		error = -errno;
	if (error != 0)
		complain(VERB, "--user=%s: cannot become that user: %s", name,
			strerrordesc_np(-error));
	return error;
}

/* A directory of this user's alone. */
static int make_directory(const char *path)
{
	struct stat status;

	if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST)
		return -errno;
	if (lstat(path, &status) != 0)
		return -errno;
	return S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
			(status.st_mode & (S_IRWXG | S_IRWXO)) == 0
		? 0
		: -EPERM;
}

static int make_default_url(const struct serve_options *options, char *ret_url, size_t bytes)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char directory[64];
	int error;

	/* It is that of whoever started the program. */
	if (runtime != NULL && runtime[0] == '/' && options->user == NULL) {
		(void)snprintf(ret_url, bytes, "unix://%s/ferry.sock", runtime);
		return 0;
	}
	(void)snprintf(directory, sizeof(directory), "/tmp/ferry-%u", (unsigned)geteuid());
	error = make_directory(directory);
	if (error != 0)
		complain(VERB,
			"%s: not a directory of this user's alone: choose a place with --calls",
			directory);
	(void)snprintf(ret_url, bytes, "unix://%s/ferry.sock", directory);
	return error;
}

static int listen_at(struct serve_lend *lend, const char *url)
{
	char problem[FERRY_SYSPROXY_ERROR_MAX];
	int error = broker_listen(lend->broker, url, &lend->urls[lend->url_count], problem);

	if (error == 0)
		lend->url_count++;
	else
		complain(VERB, "%s", problem);
	return error;
}

static void end_with_stdio(struct loop_message *message)
{
	serve_lend_stop(container_of(message, struct serve_lend, hung_up));
}

static void stdio_ended(void *context)
{
	struct serve_lend *lend = context;

	lend->hung_up.deliver = end_with_stdio;
	loop_post(lend->loop, &lend->hung_up);
}

static int take_stdio(struct serve_lend *lend)
{
	const char *url;
	char text[32], problem[FERRY_SYSPROXY_ERROR_MAX];
	int fd, error;

	lend->pump.ended = stdio_ended;
	lend->pump.context = lend;
	error = stdio_pump_start(&lend->pump, STDIN_FILENO, STDOUT_FILENO, &fd);
	if (error == 0) {
		(void)snprintf(text, sizeof(text), "fd://%d", fd);
		error = broker_listen(lend->broker, text, &url, problem);
	}
	if (error != 0)
		complain(VERB, "--stdio: %s", strerrordesc_np(-error));
	return error;
}

static int listen_at_all(struct serve_lend *lend)
{
	const struct option_list *urls = &lend->options->calls;
	char url[512];
	int error = 0;

	for (size_t i = 0; error == 0 && i < urls->count; i++)
		error = listen_at(lend, urls->items[i]);
	if (error == 0 && lend->options->is_stdio)
		return take_stdio(lend);
	if (error == 0 && urls->count == 0) {
		error = make_default_url(lend->options, url, sizeof(url));
		if (error == 0)
			error = listen_at(lend, url);
	}
	return error;
}

static void write_trace(void *context, const char *line)
{
	struct serve_lend *lend = context;

	log_output_write(&lend->trace, LOG_LEVEL_INFO, line);
}

static void ended(void *context, bool is_failed)
{
	struct serve_lend *lend = context;

	lend->has_ended = true;
	lend->is_failed = is_failed;
	lend->ended(lend->context);
}

int serve_lend_open(struct serve_lend *lend, struct loop *loop, struct log *log)
{
	const uid_t starter = geteuid();
	const struct broker_options options = {
		.loop = loop,
		.log = log,
		/* Who started it may use it, whoever it is now. */
		.users = &starter,
		.user_count = 1,
		.trace = lend->options->is_traced ? write_trace : NULL,
		.ended = ended,
		.context = lend,
	};
	int error = 0;

	if (lend->options->lent.count == 0)
		return 0;
	lend->loop = loop;
	lend->log = log;
	log_output_init(&lend->trace, STDERR_FILENO, false);
	lend->trace.is_plain = true;
	if (lend->options->user != NULL)
		error = become_user(lend->options->user);
	else if (starter == 0)
		log_write(log, LOG_LEVEL_WARNING, NULL,
			"calls are made as root: --user NAME makes them as somebody else");
	if (error == 0)
		error = broker_new(&options, &lend->spawner, &lend->broker);
	if (error != 0)
		return error;
	lend->has_ended = false;
	error = listen_at_all(lend);
	log_write(log, LOG_LEVEL_INFO, NULL, "what makes calls is walled in by: %s", lend->walls);
	return error;
}

void serve_lend_print(const struct serve_lend *lend, FILE *output)
{
	const struct option_list *lent = &lend->options->lent;

	for (size_t i = 0; i < lent->count; i++)
		(void)fprintf(output, "Lending %s\n", lent->items[i]);
	if (lent->count == 0)
		return;
	(void)fprintf(output, "  walled in by: %s\n", lend->walls);
	if (lend->url_count > 0)
		(void)fprintf(output, "Make a call there:\n  ferry call %s uname [390]\n",
			lend->urls[0]);
}

void serve_lend_print_ready(const struct serve_lend *lend, FILE *output)
{
	for (unsigned i = 0; i < lend->url_count; i++)
		(void)fprintf(output, "ready %s\n", lend->urls[i]);
}

/* Ends */

void serve_lend_stop(struct serve_lend *lend)
{
	if (lend->broker != NULL)
		broker_stop(lend->broker);
}

void serve_lend_close(struct serve_lend *lend)
{
	if (lend->options == NULL)
		return;
	serve_lend_stop(lend);
	while (lend->broker != NULL && !lend->has_ended) {
		if (loop_turn(lend->loop, -1) < 0)
			break;
	}
	broker_free(lend->broker);
	lend->broker = NULL;
	stdio_pump_stop(&lend->pump);
	spawner_end(&lend->spawner);
	if (lend->log != NULL)
		log_output_deinit(&lend->trace);
}
