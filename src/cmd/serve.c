/*
 * ferry serve: opens the stores, names them as one subsystem, listens, says so, and serves until a
 * signal; then it drains, flushes and exits. A second signal ends it at once. Lent calls are served beside
 * them on loop 0, or alone on a loop of their own.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "cmd/log_output.h"
#include "cmd/message.h"
#include "cmd/notify.h"
#include "cmd/serve_lend.h"
#include "cmd/serve_listeners.h"
#include "cmd/serve_options.h"
#include "cmd/serve_sizes.h"
#include "cmd/verb.h"
#include "loop/loop.h"
#include "serve/identity.h"
#include "serve/server.h"
#include "store/size_watch.h"
#include "store/store.h"
#include "target/target.h"

#define VERB "serve"

#define INSTANCES_MAX 64 /* servers of the same volatile stores, told apart by their names */
#define FLUSH_MS      5000

struct daemon {
	struct serve_options options;
	struct log_output log_output;
	struct log *log;
	struct store **stores;
	size_t store_count;
	struct target *target; /* NULL: no disks, and so of the server */
	struct server *server;
	struct loop *own_loop; /* without a server */
	struct serve_lend lend;
	FILE *output; /* what is said goes there */
	int nqn_fd;
	char nqn[NVME_NQN_TEXT_MAX];
	struct serve_listeners listeners;
	struct serve_sizes sizes;
	struct loop_watch signals;
	int signal_fd;
};

static struct loop *loop_of(const struct daemon *daemon)
{
	return daemon->server != NULL ? server_loop(daemon->server) : daemon->own_loop;
}

static int open_stores(struct daemon *daemon)
{
	const struct option_list *names = &daemon->options.stores;
	char problem[STORE_NAME_MAX + 128];

	daemon->stores = calloc(names->count, sizeof(*daemon->stores));
	if (daemon->stores == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < names->count; i++) {
		int error =
			store_open(names->items[i], &daemon->stores[i], problem, sizeof(problem));

		if (error < 0) {
			complain(VERB, "%s", problem);
			return error;
		}
		daemon->store_count++;
	}
	return 0;
}

static bool are_volatile(const struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->store_count; i++) {
		if (!daemon->stores[i]->is_volatile)
			return false;
	}
	return true;
}

/* Find the subsystem's name and hold it. */
static int take_name(struct daemon *daemon)
{
	unsigned instances =
		daemon->options.nqn == NULL && are_volatile(daemon) ? INSTANCES_MAX : 1;
	int fd = -EADDRINUSE, error = 0;

	for (unsigned i = 0; fd == -EADDRINUSE && i < instances; i++) {
		if (daemon->options.nqn != NULL)
			(void)snprintf(daemon->nqn, sizeof(daemon->nqn), "%s", daemon->options.nqn);
		else
			error = identity_default_nqn(daemon->stores, daemon->store_count, i,
				daemon->nqn);
		fd = error < 0 ? error : identity_hold_nqn(daemon->nqn);
	}
	if (fd == -EADDRINUSE)
		complain(VERB,
			"%s is served by another process already: two disks of one name would be mixed "
			"up; choose another with --nqn",
			daemon->nqn);
	else if (fd < 0)
		complain(VERB, "%s: cannot be held: %s", daemon->nqn, strerror(-fd));
	daemon->nqn_fd = fd < 0 ? -1 : fd;
	return fd < 0 ? fd : 0;
}

static int fill_subsystem(struct daemon *daemon)
{
	struct serve_options *options = &daemon->options;
	struct subsystem *subsystem;
	int error = target_add_subsystem(daemon->target, daemon->nqn, &subsystem);

	for (size_t i = 0; error >= 0 && i < daemon->store_count; i++)
		error = subsystem_add_namespace(subsystem, daemon->stores[i]);
	if (error >= 0 && options->is_any_host)
		subsystem_allow_any_host(subsystem);
	for (size_t i = 0; error >= 0 && i < options->allowed_hosts.count; i++)
		error = subsystem_allow_host(subsystem, options->allowed_hosts.items[i]);
	if (error < 0)
		complain(VERB, "%s: cannot be served: %s", daemon->nqn, strerror(-error));
	return error < 0 ? error : 0;
}

static sigset_t ending_signals(void)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	return signals;
}

/* Whatever the loops do: from here on the kernel ends the program at the next signal. */
static void end_at_next_signal(void)
{
	sigset_t signals = ending_signals();

	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

/* The server stops when it has drained; calls end meanwhile, or after that in serve_lend_close(). */
static void begin_end(struct daemon *daemon)
{
	serve_lend_stop(&daemon->lend);
	if (daemon->server != NULL)
		server_stop(daemon->server);
	else if (daemon->lend.has_ended)
		loop_stop(daemon->own_loop);
}

/* Calls are lent no more. Disks are still served, unless all of it was for one program. */
static void lending_ended(void *context)
{
	struct daemon *daemon = context;

	if (daemon->server == NULL)
		loop_stop(daemon->own_loop);
	else if (daemon->options.is_stdio)
		server_stop(daemon->server);
}

static void take_signal(struct loop_watch *watch, uint32_t events)
{
	struct daemon *daemon = container_of(watch, struct daemon, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(daemon->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	log_write(daemon->log, LOG_LEVEL_INFO, NULL, "%s: draining; another signal ends it at once",
		strsignal((int)info.ssi_signo));
	notify_manager("STOPPING=1");
	end_at_next_signal();
	begin_end(daemon);
}

/* Signals come to loop 0; blocked before any thread starts, so that none is interrupted. */
static int watch_signals(struct daemon *daemon)
{
	sigset_t signals = ending_signals();

	/* A write past a file size limit, or to a closed standard output, is an error like others. */
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0)
		return -errno;
	daemon->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (daemon->signal_fd < 0)
		return -errno;
	daemon->signals = (struct loop_watch){.ready = take_signal, .fd = daemon->signal_fd};
	return loop_watch(loop_of(daemon), &daemon->signals, EPOLLIN);
}

static void size_changed(void *context, struct store *store)
{
	struct daemon *daemon = context;
	char size[TEXT_SIZE_MAX];

	text_from_size(atomic_load(&store->size_bytes), size);
	log_write(daemon->log, LOG_LEVEL_INFO, NULL, "%s: has now %s", store->name, size);
	target_note_store(daemon->target, store);
}

static void watch_sizes(struct daemon *daemon)
{
	const struct size_watch_handler handler = {size_changed, daemon};
	int error =
		serve_sizes_start(&daemon->sizes, daemon->stores, daemon->store_count, &handler);

	if (error < 0)
		log_write(daemon->log, LOG_LEVEL_WARNING, NULL,
			"disks that become larger or smaller will not be noticed: %s",
			strerror(-error));
}

static void print_stores(const struct daemon *daemon)
{
	FILE *output = daemon->output;

	(void)fprintf(output, "Serving %s\n", daemon->nqn);
	for (size_t i = 0; i < daemon->store_count; i++) {
		const struct store *store = daemon->stores[i];
		char size[TEXT_SIZE_MAX];

		text_from_size(atomic_load(&store->size_bytes), size);
		(void)fprintf(output, "  namespace %zu: %s, %s, %u-byte blocks%s\n", i + 1,
			store->name, size, store->block_bytes,
			store->is_read_only ? ", read-only" : "");
	}
	if (daemon->options.is_any_host)
		(void)fprintf(output, "  to any host that can reach it\n");
	for (size_t i = 0; i < daemon->options.allowed_hosts.count; i++)
		(void)fprintf(output, "  to host %s\n", daemon->options.allowed_hosts.items[i]);
}

static void print_uses(const struct daemon *daemon)
{
	const struct serve_listeners *listeners = &daemon->listeners;
	FILE *output = daemon->output;
	char host[ADDRESS_TEXT_MAX], text[ADDRESS_TEXT_MAX];

	address_host_to_text(&listeners->addresses[0], host);
	address_to_text(&listeners->addresses[0], text);
	for (unsigned i = 0; i < listeners->discovery_count; i++) {
		char discovery[ADDRESS_TEXT_MAX];

		address_to_text(&listeners->discovery[i], discovery);
		(void)fprintf(output, "  discovery also at %s\n", discovery);
	}
	(void)fprintf(output, "Use it without root:\n  ferry disk info nvme-tcp://%s/%s\n", text,
		daemon->nqn);
	(void)fprintf(output,
		"Use it as a disk of a kernel:\n"
		"  nvme connect -t tcp -a %s -s %u -n %s\n",
		host, address_port(&listeners->addresses[0]), daemon->nqn);
	for (unsigned i = 0; i < listeners->address_count; i++) {
		address_to_text(&listeners->addresses[i], text);
		(void)fprintf(output, "ready nvme-tcp://%s/%s\n", text, daemon->nqn);
	}
}

static void print_all(const struct daemon *daemon)
{
	if (daemon->server != NULL)
		print_stores(daemon);
	serve_lend_print(&daemon->lend, daemon->output);
	if (daemon->server != NULL)
		print_uses(daemon);
	serve_lend_print_ready(&daemon->lend, daemon->output);
	(void)fflush(daemon->output);
	notify_manager("READY=1");
}

/* One connection is one descriptor. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

struct last_flush {
	struct store_request request;
	bool is_done;
};

static void flush_done(struct store_request *request)
{
	container_of(request, struct last_flush, request)->is_done = true;
}

/* What was acknowledged and not flushed is flushed now: no host is there to ask for it. */
static int flush_stores(struct daemon *daemon)
{
	struct loop *loop = loop_of(daemon);
	uint64_t deadline_ns =
		clock_monotonic()->now_ns(clock_monotonic()) + (uint64_t)FLUSH_MS * CLOCK_MS_NS;
	int status = 0;

	for (size_t i = 0; i < daemon->store_count; i++) {
		struct last_flush flush = {.request = {.done = flush_done, .opcode = STORE_FLUSH}};

		store_submit(daemon->stores[i], loop, &flush.request);
		while (!flush.is_done &&
			clock_monotonic()->now_ns(clock_monotonic()) < deadline_ns) {
			if (loop_turn(loop, 100) < 0)
				break;
		}
		if (!flush.is_done) {
			complain(VERB, "%s: could not be flushed in %d s", daemon->stores[i]->name,
				FLUSH_MS / 1000);
			_exit(EXIT_STATUS_FAILED); /* the flush still uses our memory */
		}
		if (flush.request.error != 0) {
			complain(VERB, "%s: could not be flushed: %s", daemon->stores[i]->name,
				strerror(flush.request.error));
			status = -flush.request.error;
		}
	}
	return status;
}

static int serve(struct daemon *daemon)
{
	int error =
		daemon->server != NULL ? server_run(daemon->server) : loop_run(daemon->own_loop);
	int flush_error;

	if (error < 0 && error != -ETIMEDOUT) {
		complain(VERB, "the server has failed: %s", strerror(-error));
		_exit(EXIT_STATUS_FAILED);
	}
	serve_lend_close(&daemon->lend);
	flush_error = flush_stores(daemon);
	if (daemon->lend.is_failed)
		flush_error = -EIO;
	if (error == -ETIMEDOUT) {
		log_write(daemon->log, LOG_LEVEL_WARNING, NULL,
			"connections were left when the time to drain was over");
		_exit(flush_error < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK);
	}
	return flush_error;
}

static int set_up_disks(struct daemon *daemon)
{
	const struct serve_options *options = &daemon->options;
	int error = open_stores(daemon);

	if (error == 0)
		error = take_name(daemon);
	if (error < 0)
		return error;
	error = target_new(&options->limits, daemon->log, &daemon->target);
	if (error == 0)
		error = server_new(daemon->target, daemon->log, &options->server, &daemon->server);
	if (error < 0) {
		complain(VERB, "cannot start: %s", strerror(-error));
		return error;
	}
	error = fill_subsystem(daemon);
	if (error == 0)
		error = serve_listeners_open(&daemon->listeners, options, daemon->server,
			daemon->target, daemon->log);
	return error;
}

static int set_up(struct daemon *daemon)
{
	int error;

	raise_descriptor_limit();
	error = serve_lend_start(&daemon->lend, &daemon->options);
	if (error == 0 && daemon->options.stores.count > 0)
		error = set_up_disks(daemon);
	if (error < 0)
		return error;
	if (daemon->server == NULL)
		error = loop_new(NULL, &daemon->own_loop);
	if (error == 0)
		error = watch_signals(daemon);
	if (error < 0) {
		complain(VERB, "cannot start: %s", strerror(-error));
		return error;
	}
	daemon->lend.ended = lending_ended;
	daemon->lend.context = daemon;
	return serve_lend_open(&daemon->lend, loop_of(daemon), daemon->log);
}

static void tear_down(struct daemon *daemon, int status)
{
	if (!serve_sizes_stop(&daemon->sizes)) {
		log_write(daemon->log, LOG_LEVEL_WARNING, NULL, "a file system does not answer");
		_exit(status); /* what watches it still uses our memory */
	}
	serve_lend_close(&daemon->lend);
	loop_unwatch(&daemon->signals);
	server_free(daemon->server);
	loop_free(daemon->own_loop);
	target_free(daemon->target);
	for (size_t i = 0; i < daemon->store_count; i++)
		store_free(daemon->stores[i]);
	free(daemon->stores);
	cleanup_close(&daemon->nqn_fd);
	cleanup_close(&daemon->signal_fd);
	log_free(daemon->log);
	log_output_deinit(&daemon->log_output);
	serve_options_deinit(&daemon->options);
}

int verb_serve(int argc, char **argv)
{
	struct daemon daemon = {.nqn_fd = -1, .signal_fd = -1};
	enum option_outcome outcome;
	int error, status;

	outcome = serve_options_parse(argc, argv, &daemon.options);
	if (outcome != OPTION_PARSED)
		return option_exit_status(outcome);
	log_output_init(&daemon.log_output, STDERR_FILENO, getenv("JOURNAL_STREAM") != NULL);
	daemon.log = log_new(daemon.options.log_level, log_output_write, &daemon.log_output,
		clock_monotonic());
	/* Standard output is the client's, with --stdio. */
	daemon.output = daemon.options.is_stdio ? stderr : stdout;
	error = daemon.log == NULL ? -ENOMEM : set_up(&daemon);
	if (error == 0) {
		if (daemon.server != NULL) {
			target_publish(daemon.target);
			watch_sizes(&daemon);
		}
		print_all(&daemon);
		error = serve(&daemon);
	}
	status = error < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
	tear_down(&daemon, status);
	return status;
}
