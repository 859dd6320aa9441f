/*
 * What is left is counted in /proc: descriptors and threads.
 */
#include "test/sysproxy/server_bench.h"

#include <dirent.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_S 60

static unsigned count_entries(const char *path)
{
	DIR *folder = opendir(path);
	unsigned count = 0;

	assert_non_null(folder);
	while (readdir(folder) != NULL)
		count++;
	assert_int_equal(closedir(folder), 0);
	return count;
}

/* A thread that has been joined may be seen for a moment more. */
static void await_entries(const char *path, unsigned wanted)
{
	time_t start = time(NULL);

	while (count_entries(path) != wanted) {
		assert_true(time(NULL) - start < PATIENCE_S);
		(void)sched_yield();
	}
}

static void *tell_id(void *ret_id)
{
	*(pid_t *)ret_id = gettid();
	return NULL;
}

/* A sanitizer begins a thread of its own with the first. */
static void begin_first_thread(void)
{
	time_t start = time(NULL);
	char path[64];
	pthread_t thread;
	pid_t id;

	assert_int_equal(pthread_create(&thread, NULL, tell_id, &id), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d", id);
	/* It must not be counted among those that there are before. */
	while (access(path, F_OK) == 0) {
		assert_true(time(NULL) - start < PATIENCE_S);
		(void)sched_yield();
	}
}

static void note_line(void *context, int level, const char *line)
{
	struct server_bench *bench = context;
	size_t used;

	(void)level;
	(void)pthread_mutex_lock(&bench->log_lock);
	used = strlen(bench->log);
	(void)snprintf(bench->log + used, sizeof(bench->log) - used, "%s\n", line);
	(void)pthread_mutex_unlock(&bench->log_lock);
}

int server_bench_setup(void **state)
{
	struct server_bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	begin_first_thread();
	bench->descriptors = count_entries("/proc/self/fd");
	bench->threads = count_entries("/proc/self/task");
	assert_int_equal(pthread_mutex_init(&bench->log_lock, NULL), 0);
	(void)snprintf(bench->folder, sizeof(bench->folder), "/tmp/ferry-sysproxy-XXXXXX");
	assert_non_null(mkdtemp(bench->folder));
	(void)snprintf(bench->url, sizeof(bench->url), "unix://%s/socket", bench->folder);
	bench->kernel = fake_kernel_new();
	bench->options = (struct ferry_sysproxy_server_options){
		.struct_bytes = sizeof(bench->options),
		.log = note_line,
		.log_context = bench,
	};
	*state = bench;
	return 0;
}

void server_bench_close(struct server_bench *bench)
{
	ferry_sysproxy_server_close(bench->server);
	bench->server = NULL;
}

int server_bench_teardown(void **state)
{
	struct server_bench *bench = *state;

	server_bench_close(bench);
	fake_kernel_free(bench->kernel);
	/* Empty, since the server removes its socket. */
	assert_int_equal(rmdir(bench->folder), 0);
	await_entries("/proc/self/fd", bench->descriptors);
	await_entries("/proc/self/task", bench->threads);
	assert_int_equal(pthread_mutex_destroy(&bench->log_lock), 0);
	free(bench);
	return 0;
}

void server_bench_open(struct server_bench *bench, const char *url)
{
	const struct ferry_kernel face = fake_kernel_face(bench->kernel);
	char error[FERRY_SYSPROXY_ERROR_MAX] = "";

	if (ferry_sysproxy_server_open(url != NULL ? url : bench->url, &face, &bench->options,
		    &bench->server, error) != 0)
		fail_msg("%s", error);
	assert_string_equal(error, "");
}

struct wire_session_reply server_bench_session(struct server_bench *bench, struct raw_peer *peer)
{
	raw_peer_connect(peer, ferry_sysproxy_server_url(bench->server));
	return raw_peer_session(peer, "test");
}

void server_bench_guest(struct server_bench *bench, struct raw_peer *peer)
{
	raw_peer_connect(peer, ferry_sysproxy_server_url(bench->server));
	raw_peer_guest(peer, "test");
}

void server_bench_lane(struct server_bench *bench, struct raw_peer *session, struct raw_peer *lane)
{
	struct wire_session_reply reply = server_bench_session(bench, session);

	raw_peer_connect(lane, ferry_sysproxy_server_url(bench->server));
	raw_peer_lane(lane, &reply.lane, 1);
}

bool server_bench_log_has(struct server_bench *bench, const char *text)
{
	bool has;

	(void)pthread_mutex_lock(&bench->log_lock);
	has = strstr(bench->log, text) != NULL;
	(void)pthread_mutex_unlock(&bench->log_lock);
	return has;
}

void server_bench_await_processes(struct server_bench *bench, unsigned count)
{
	time_t start = time(NULL);

	while (ferry_sysproxy_server_process_count(bench->server) != count) {
		assert_true(time(NULL) - start < PATIENCE_S);
		(void)sched_yield();
	}
}
