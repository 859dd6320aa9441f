/*
 * Connections are taken by a task of the loop, at most LISTENER_BURST in a turn, so that a flood of
 * them does not hold up those that exist. Epoll's edge, the end of a burst and the end of a pause
 * all start that task.
 */
#include "loop/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "loop/loop.h"
#include "loop/timer.h"

#define LISTENER_BURST 64

struct listener {
	struct loop *loop;
	struct loop_watch watch;
	struct loop_task accept;
	struct timer pause;
	listener_accepted *accepted; /* NULL: not started */
	void *context;
	bool is_accepting; /* in its task: listener_free() leaves the memory to it */
	bool is_freed;
	struct sockaddr_storage address; /* with a NUL after a unix path */
	dev_t device;                    /* of the socket file; inode 0: there is none */
	ino_t inode;
};

/* @return the path of a unix address in the file system, NULL if it is none. */
static const char *listener_path(const struct sockaddr_storage *address)
{
	const struct sockaddr_un *unix_address = (const struct sockaddr_un *)address;

	if (address->ss_family != AF_UNIX || unix_address->sun_path[0] == '\0')
		return NULL;
	return unix_address->sun_path;
}

/* Remove a socket file that nobody listens on. @return 0, or -EADDRINUSE for anything else. */
static int listener_remove_stale(const struct sockaddr *address, socklen_t address_bytes,
	const char *path)
{
	CLEANUP(cleanup_close) int fd = -1;
	struct stat status;

	if (lstat(path, &status) || !S_ISSOCK(status.st_mode))
		return -EADDRINUSE;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, address, address_bytes) == 0 || errno != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(path) ? -errno : 0;
}

static int listener_bind(struct listener *listener, const struct sockaddr *address,
	socklen_t address_bytes)
{
	int fd = listener->watch.fd;
	const char *path = listener_path(&listener->address);
	int error;

	if (bind(fd, address, address_bytes) == 0)
		return 0;
	if (errno != EADDRINUSE || !path)
		return -errno;
	error = listener_remove_stale(address, address_bytes, path);
	if (error)
		return error;
	return bind(fd, address, address_bytes) ? -errno : 0;
}

static int listener_set_options(int fd, int family)
{
	if (family != AF_INET && family != AF_INET6)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)))
		return -errno;
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int)))
		return -errno;
	return 0;
}

/* Remember the socket file, to remove at the end no other than that. */
static void listener_note_file(struct listener *listener)
{
	const char *path = listener_path(&listener->address);
	struct stat status;

	if (!path || lstat(path, &status))
		return;
	listener->device = status.st_dev;
	listener->inode = status.st_ino;
}

static void listener_remove_file(const struct listener *listener)
{
	const char *path = listener_path(&listener->address);
	struct stat status;

	if (!path || listener->inode == 0 || lstat(path, &status))
		return;
	if (status.st_dev == listener->device && status.st_ino == listener->inode)
		(void)unlink(path);
}

/* Whether the system has nothing left to accept with; the connection stays in the queue. */
static bool listener_is_exhausted(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Accept one. @return whether to go on now. */
static bool listener_accept(struct listener *listener)
{
	struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
	socklen_t bytes = sizeof(peer);
	int fd = accept4(listener->watch.fd, (struct sockaddr *)&peer, &bytes,
		SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		listener->accepted(listener->context, fd, &peer);
		return !listener->is_freed;
	}
	if (errno == EAGAIN)
		return false;
	if (listener_is_exhausted(errno)) {
		timer_arm_after(&listener->pause, LISTENER_PAUSE_MS);
		return false;
	}
	/* One connection has failed before it was accepted: ECONNABORTED and the like. */
	return true;
}

static void listener_run(struct loop_task *task)
{
	struct listener *listener = container_of(task, struct listener, accept);
	unsigned count = 0;

	if (!listener->accepted || listener->pause.is_armed)
		return;
	listener->is_accepting = true;
	while (count < LISTENER_BURST && listener_accept(listener))
		count++;
	listener->is_accepting = false;
	if (listener->is_freed)
		free(listener);
	else if (count == LISTENER_BURST)
		loop_again(listener->loop, task);
}

static void listener_ready(struct loop_watch *watch, uint32_t epoll_events)
{
	struct listener *listener = container_of(watch, struct listener, watch);

	(void)epoll_events;
	loop_defer(listener->loop, &listener->accept);
}

static void listener_resume(struct timer *timer)
{
	struct listener *listener = container_of(timer, struct listener, pause);

	loop_defer(listener->loop, &listener->accept);
}

static int listener_listen(struct listener *listener, const struct sockaddr *address,
	socklen_t address_bytes)
{
	socklen_t bytes = sizeof(listener->address);
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	listener->watch.fd = fd;
	error = listener_set_options(fd, address->sa_family);
	if (!error)
		error = listener_bind(listener, address, address_bytes);
	if (error)
		return error;
	listener_note_file(listener);
	if (listen(fd, LISTENER_BACKLOG))
		return -errno;
	if (!listener_path(&listener->address) &&
		getsockname(fd, (struct sockaddr *)&listener->address, &bytes))
		return -errno;
	return loop_watch(listener->loop, &listener->watch, EPOLLIN | EPOLLET);
}

int listener_open(struct loop *loop, const struct sockaddr *address, socklen_t address_bytes,
	struct listener **ret_listener)
{
	struct listener *listener;
	int error;

	if (address_bytes < sizeof(sa_family_t) || address_bytes >= sizeof(listener->address))
		return -EINVAL;
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return -ENOMEM;
	listener->loop = loop;
	listener->watch.ready = listener_ready;
	listener->watch.fd = -1;
	loop_task_init(&listener->accept, listener_run);
	timer_init(&listener->pause, loop, listener_resume);
	memcpy(&listener->address, address, address_bytes);
	error = listener_listen(listener, address, address_bytes);
	if (error) {
		listener_free(listener);
		return error;
	}
	*ret_listener = listener;
	return 0;
}

void listener_start(struct listener *listener, listener_accepted *accepted, void *context)
{
	listener->accepted = accepted;
	listener->context = context;
	loop_defer(listener->loop, &listener->accept);
}

void listener_address(const struct listener *listener, struct sockaddr_storage *ret_address)
{
	*ret_address = listener->address;
}

void listener_free(struct listener *listener)
{
	if (!listener)
		return;
	loop_unwatch(&listener->watch);
	loop_task_cancel(&listener->accept);
	timer_disarm(&listener->pause);
	listener_remove_file(listener);
	if (listener->watch.fd >= 0)
		(void)close(listener->watch.fd);
	listener->is_freed = true;
	if (!listener->is_accepting)
		free(listener);
}
