/*
 * A client's process forks, or becomes another program.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sysproxy/client_private.h"

#define NO_PARENT_STATUS 127

static_assert(sizeof(struct ferry_sysproxy_cookie) == sizeof(struct wire_cookie), "");

static struct client_session *take_session(struct ferry_sysproxy *client)
{
	struct client_session *session;

	if (!client_is_own(client))
		return NULL;
	(void)pthread_mutex_lock(&client->mutex);
	session = client->session;
	if (session != NULL)
		client_session_ref(session);
	(void)pthread_mutex_unlock(&client->mutex);
	return session;
}

int ferry_sysproxy_fork_prepare(struct ferry_sysproxy *client,
	struct ferry_sysproxy_cookie *ret_cookie)
{
	struct client_session *session = take_session(client);
	struct wire_cookie cookie;
	int error;

	if (session == NULL)
		return -ENOTCONN;
	error = client_session_prefork(session, &cookie);
	client_session_unref(session);
	if (error == 0)
		memcpy(ret_cookie->bytes, cookie.bytes, sizeof(cookie));
	return error;
}

/* What the child has of its parent's is of no use, and may be locked by threads that are not here. */
static void forget_parent(struct ferry_sysproxy *client)
{
	*client->is_own = 1;
	(void)pthread_mutex_init(&client->mutex, NULL);
	(void)pthread_setspecific(client->lane_key, NULL);
	while (!list_is_empty(&client->lanes))
		client_lane_free(container_of(client->lanes.next, struct client_lane, entry));
	if (client->session != NULL)
		client_session_abandon(TAKE(client->session));
}

int ferry_sysproxy_fork_child(struct ferry_sysproxy *client,
	const struct ferry_sysproxy_cookie *cookie)
{
	struct wire_cookie wire;
	char problem[CLIENT_ERROR_MAX];

	forget_parent(client);
	memcpy(wire.bytes, cookie->bytes, sizeof(wire));
	return client_begin(client,
		&(struct client_greeting){.handshake = WIRE_FORK, .cookie = &wire}, problem);
}

void ferry_sysproxy_fork_cancel(struct ferry_sysproxy *client,
	const struct ferry_sysproxy_cookie *cookie)
{
	struct client_greeting greeting = {.handshake = WIRE_FORK,
		.is_fork_cancelled = true,
		.is_plain = client->is_plain,
		.timeout_ms = client->connect_timeout_ms};
	struct link link = link_none();
	struct client_grant grant;
	struct wire_cookie wire;
	char problem[CLIENT_ERROR_MAX];

	memcpy(wire.bytes, cookie->bytes, sizeof(wire));
	greeting.cookie = &wire;
	/* The server answers by hanging up. */
	if (client_connect(&client->url, &greeting, &link, &grant, problem) == 0)
		link_deinit(&link);
}

pid_t ferry_sysproxy_fork(struct ferry_sysproxy *client)
{
	struct ferry_sysproxy_cookie cookie;
	int error = ferry_sysproxy_fork_prepare(client, &cookie);
	pid_t pid;

	if (error != 0) {
		errno = -error;
		return -1;
	}
	/* The lists are whole in the child, too. */
	(void)pthread_mutex_lock(&client->mutex);
	pid = fork();
	error = errno;
	(void)pthread_mutex_unlock(&client->mutex);
	if (pid == 0) {
		if (ferry_sysproxy_fork_child(client, &cookie) != 0)
			_exit(NO_PARENT_STATUS);
		return 0;
	}
	if (pid < 0)
		ferry_sysproxy_fork_cancel(client, &cookie);
	errno = error;
	return pid;
}

/* Exec: the environment tells the next program which descriptor is its connection, and what was
 * agreed on it. */

static bool is_variable(const char *entry)
{
	return strncmp(entry, CLIENT_FD_VARIABLE "=", strlen(CLIENT_FD_VARIABLE "=")) == 0;
}

/* @return @environment with @entry in place of what it had, to be freed; NULL without memory. */
static char **with_entry(char *const environment[], char *entry)
{
	size_t count = 0, used = 0;
	char **copy;

	while (environment != NULL && environment[count] != NULL)
		count++;
	copy = calloc(count + 2, sizeof(*copy));
	if (copy == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (!is_variable(environment[i]))
			copy[used++] = environment[i];
	}
	copy[used] = entry;
	return copy;
}

int ferry_sysproxy_exec(struct ferry_sysproxy *client, const char *path, char *const arguments[],
	char *const environment[])
{
	struct client_session *session = take_session(client);
	const struct client_grant *grant = &client->grant;
	CLEANUP(cleanup_free) char **copy = NULL;
	char entry[128 + sizeof(client->url.text)];
	int error = 0, fd;

	if (session == NULL)
		return -ENOTCONN;
	fd = client_session_freeze(session);
	(void)snprintf(entry, sizeof(entry),
		CLIENT_FD_VARIABLE "=%d,%d,%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%s", fd,
		grant->is_extended, grant->carried_max, grant->ranges_max, grant->lanes_max,
		grant->calls_max, client->url.text);
	copy = with_entry(environment, entry);
	if (copy == NULL) {
		error = -ENOMEM;
	} else if (fcntl(fd, F_SETFD, 0) != 0) {
		error = -errno;
	} else {
		(void)execve(path, arguments, copy);
		error = -errno;
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	client_session_thaw(session);
	client_session_unref(session);
	return error;
}

/* Take a number and the comma after it off the start of @cursor. @return whether they were there. */
static bool take_number(const char **cursor, uint32_t maximum, uint32_t *ret_number)
{
	char digits[sizeof("4294967295")];
	size_t length = strcspn(*cursor, ",");
	uint64_t number;

	if ((*cursor)[length] != ',' || length >= sizeof(digits))
		return false;
	memcpy(digits, *cursor, length);
	digits[length] = '\0';
	if (text_parse_number(digits, 0, maximum, &number) != 0)
		return false;
	*cursor += length + 1;
	*ret_number = (uint32_t)number;
	return true;
}

/* @return whether @text is what ferry_sysproxy_exec() wrote. */
static bool parse_variable(const char *text, int *ret_fd, struct client_grant *ret_grant,
	const char **ret_url)
{
	struct client_grant grant = {0};
	uint32_t fd, is_extended;

	if (!take_number(&text, INT_MAX, &fd) || !take_number(&text, 1, &is_extended) ||
		!take_number(&text, WIRE_CARRIED_MAX, &grant.carried_max) ||
		!take_number(&text, WIRE_RANGES_MAX, &grant.ranges_max) ||
		!take_number(&text, UINT32_MAX, &grant.lanes_max) ||
		!take_number(&text, UINT32_MAX, &grant.calls_max) || grant.calls_max == 0)
		return false;
	grant.is_extended = is_extended != 0;
	*ret_fd = (int)fd;
	*ret_grant = grant;
	*ret_url = text;
	return true;
}

static bool is_socket(int fd)
{
	socklen_t bytes = sizeof(int);
	int type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type == SOCK_STREAM;
}

static int greet_after_exec(struct ferry_sysproxy *client, int fd, struct client_grant *grant)
{
	struct client_greeting greeting = {.handshake = WIRE_EXEC,
		.name = client->name,
		.timeout_ms = client->connect_timeout_ms};
	struct link link;
	int error = link_init(&link, fd, 0);

	if (error != 0)
		return error;
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	error = client_greet(&link, &greeting, grant);
	if (error != 0) {
		link_deinit(&link);
		return error;
	}
	return client_adopt(client, &link, grant);
}

bool client_inherit(struct ferry_sysproxy *client, int *ret_error, char ret_text[CLIENT_ERROR_MAX])
{
	const char *text = getenv(CLIENT_FD_VARIABLE), *url, *problem = "";
	struct client_grant grant;
	int fd;

	if (text == NULL || !parse_variable(text, &fd, &grant, &url) || !is_socket(fd))
		return false;
	*ret_error = sysproxy_url_parse(url, &client->url, &problem);
	if (*ret_error == 0)
		*ret_error = greet_after_exec(client, fd, &grant);
	if (*ret_error != 0)
		(void)snprintf(ret_text, CLIENT_ERROR_MAX,
			"%s: the connection from before exec cannot be used: %s (%s)", url, problem,
			strerrordesc_np(-*ret_error));
	(void)unsetenv(CLIENT_FD_VARIABLE);
	return true;
}
