/*
 * bench_sysproxy KERNEL [ROUNDS MILLISECONDS]: calls per second and bandwidth of sysproxy with the kernel of
 * the program KERNEL (the example, or bench_linux_kernel), beside bare blocking threads that send and
 * receive messages of the same sizes over the same kind of socket. Both are measured in turns; the ratio
 * of the medians is the result. FERRY_BENCH_FILES=1: the bare end, too, reads and writes a file.
 *
 *     taskset -c 0 bench_sysproxy KERNEL     on one core
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ferry/sysproxy.h"

#define ROUNDS       7
#define ROUNDS_MAX   101
#define ROUND_MS     300
#define THREADS_MAX  4
#define PAYLOAD_MAX  (64u << 10)
#define REQUEST_HEAD 72 /* bytes beside the payload that a bare request and its reply have */
#define REPLY_HEAD   48

/* What is measured. */
struct work {
	const char *name;
	uint32_t number; /* of the call */
	uint32_t request_payload, reply_payload;
	bool is_opening; /* and closing: two calls */
};

static const struct work works[] = {
	{"null call", SYS_getpid, 0, 0, false},
	{"open, close", SYS_open, 0, 0, true},
	{"read 4 KiB", SYS_pread64, 0, 4096, false},
	{"write 4 KiB", SYS_pwrite64, 4096, 0, false},
	{"read 64 KiB", SYS_pread64, 0, PAYLOAD_MAX, false},
	{"write 64 KiB", SYS_pwrite64, PAYLOAD_MAX, 0, false},
};

static char file_name[] = "ferry-bench-file";

__attribute__((noreturn)) static void die(const char *what)
{
	(void)fprintf(stderr, "bench_sysproxy: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct clock *clock = clock_monotonic();

	return clock->now_ns(clock);
}

/* The bare end: a process with a thread for each connection, which learns the sizes first. */

static void move_all(int fd, void *bytes, size_t count, bool is_sending)
{
	uint8_t *cursor = bytes;

	while (count > 0) {
		ssize_t moved = is_sending ? send(fd, cursor, count, MSG_NOSIGNAL)
					   : recv(fd, cursor, count, 0);

		if (moved <= 0)
			_exit(0); /* the peer is done */
		cursor += moved;
		count -= (size_t)moved;
	}
}

/* @return whether @count bytes came before the end. */
static bool receive_all(int fd, uint8_t *bytes, size_t count)
{
	while (count > 0) {
		ssize_t received = recv(fd, bytes, count, 0);

		if (received <= 0)
			return false;
		bytes += received;
		count -= (size_t)received;
	}
	return true;
}

/* What a kernel of files does for a call of these sizes. */
static void use_file(int file, uint8_t *bytes, const uint32_t sizes[2])
{
	ssize_t used = 0;

	if (sizes[0] > REQUEST_HEAD)
		used = pwrite(file, bytes + REQUEST_HEAD, sizes[0] - REQUEST_HEAD, 0);
	else if (sizes[1] > REPLY_HEAD)
		used = pread(file, bytes + REPLY_HEAD, sizes[1] - REPLY_HEAD, 0);
	if (used < 0)
		_exit(1);
}

/* One connection of the bare end. */
struct bare_connection {
	int fd;
	int file; /* -1: none */
};

static void *answer(void *context)
{
	struct bare_connection *connection = context;
	int fd = connection->fd, file = connection->file;
	uint8_t *bytes = calloc(1, REQUEST_HEAD + PAYLOAD_MAX);
	uint32_t sizes[2];

	free(connection);
	if (bytes == NULL)
		_exit(1);
	if (receive_all(fd, (uint8_t *)sizes, sizeof(sizes))) {
		while (receive_all(fd, bytes, sizes[0])) {
			if (file >= 0)
				use_file(file, bytes, sizes);
			move_all(fd, bytes, sizes[1], true);
		}
	}
	(void)close(fd);
	free(bytes);
	return NULL;
}

/* One for all connections, as the calls have. */
static int make_file(void)
{
	int file = memfd_create("bare", MFD_CLOEXEC);

	if (file < 0 || ftruncate(file, PAYLOAD_MAX) != 0)
		_exit(1);
	return file;
}

static pid_t start_bare(int listener)
{
	pid_t pid = fork();
	int file = -1;

	if (pid != 0)
		return pid;
	if (getenv("FERRY_BENCH_FILES") != NULL)
		file = make_file();
	for (;;) {
		struct bare_connection *connection = malloc(sizeof(*connection));
		int fd = accept(listener, NULL, NULL), one = 1;
		pthread_t thread;

		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (fd < 0 || connection == NULL)
			_exit(1);
		*connection = (struct bare_connection){fd, file};
		if (pthread_create(&thread, NULL, answer, connection) != 0)
			_exit(1);
		(void)pthread_detach(thread);
	}
}

/* One thread's measurement. */

/* How long it is measured. */
struct plan {
	unsigned round_count; /* 1..ROUNDS_MAX */
	uint64_t round_ns;
};

struct job {
	const struct work *work;
	struct ferry_sysproxy *client; /* NULL: bare */
	int64_t file;                  /* descriptor of the client's */
	const struct sockaddr *address;
	socklen_t address_bytes;
	const struct plan *plan;
	pthread_barrier_t *barrier;
	double rate; /* per second */
};

static void *measure_bare(void *context)
{
	struct job *job = context;
	uint32_t sizes[2] = {REQUEST_HEAD + job->work->request_payload,
		REPLY_HEAD + job->work->reply_payload};
	uint8_t *bytes = calloc(1, REQUEST_HEAD + PAYLOAD_MAX);
	int fd = socket(job->address->sa_family, SOCK_STREAM, 0), one = 1;
	uint64_t start_ns, end_ns, count = 0;

	if (bytes == NULL || fd < 0 || connect(fd, job->address, job->address_bytes) != 0)
		die("connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	move_all(fd, sizes, sizeof(sizes), true);
	(void)pthread_barrier_wait(job->barrier);
	start_ns = now_ns();
	do {
		for (unsigned i = 0; i < (job->work->is_opening ? 2 : 1); i++) {
			move_all(fd, bytes, sizes[0], true);
			move_all(fd, bytes, sizes[1], false);
		}
		count++;
		end_ns = now_ns();
	} while (end_ns - start_ns < job->plan->round_ns);
	job->rate = (double)count * 1e9 / (double)(end_ns - start_ns);
	(void)close(fd);
	free(bytes);
	return NULL;
}

static int64_t call(struct ferry_sysproxy *client, uint32_t number, const uint64_t arguments[4],
	const struct ferry_sysproxy_range *range)
{
	struct ferry_sysproxy_call call = {.number = number,
		.argument_count = 4,
		.arguments = arguments,
		.range_count = range != NULL,
		.ranges = range};
	int error = ferry_sysproxy_call(client, &call);

	errno = error != 0 ? -error : call.error;
	if (errno != 0)
		die("call");
	return call.values[0];
}

static void open_and_close(struct ferry_sysproxy *client)
{
	const struct ferry_sysproxy_range name = {file_name, sizeof(file_name), FERRY_SYSPROXY_IN};
	const uint64_t opening[4] = {(uintptr_t)file_name, O_RDONLY, 0, 0};
	const uint64_t closing[4] = {(uint64_t)call(client, SYS_open, opening, &name), 0, 0, 0};

	(void)call(client, SYS_close, closing, NULL);
}

static void *measure_calls(void *context)
{
	struct job *job = context;
	const struct work *work = job->work;
	uint32_t payload = work->request_payload + work->reply_payload;
	uint8_t *bytes = calloc(1, PAYLOAD_MAX);
	struct ferry_sysproxy_range range = {bytes, payload,
		work->reply_payload != 0 ? FERRY_SYSPROXY_OUT : FERRY_SYSPROXY_IN};
	uint64_t arguments[4] = {(uint64_t)job->file, (uintptr_t)bytes, payload, 0};
	uint64_t start_ns, end_ns, count = 0;

	if (bytes == NULL)
		die("memory");
	(void)call(job->client, SYS_getpid, arguments, NULL); /* makes the lane */
	(void)pthread_barrier_wait(job->barrier);
	start_ns = now_ns();
	do {
		if (work->is_opening)
			open_and_close(job->client);
		else
			(void)call(job->client, work->number, arguments,
				payload != 0 ? &range : NULL);
		count++;
		end_ns = now_ns();
	} while (end_ns - start_ns < job->plan->round_ns);
	job->rate = (double)count * 1e9 / (double)(end_ns - start_ns);
	free(bytes);
	return NULL;
}

static double measure(const struct job *like, unsigned thread_count)
{
	pthread_t threads[THREADS_MAX];
	struct job jobs[THREADS_MAX];
	pthread_barrier_t barrier;
	double rate = 0;

	(void)pthread_barrier_init(&barrier, NULL, thread_count);
	for (unsigned i = 0; i < thread_count; i++) {
		jobs[i] = *like;
		jobs[i].barrier = &barrier;
		if (pthread_create(&threads[i], NULL,
			    like->client != NULL ? measure_calls : measure_bare, &jobs[i]) != 0)
			die("thread");
	}
	for (unsigned i = 0; i < thread_count; i++) {
		(void)pthread_join(threads[i], NULL);
		rate += jobs[i].rate;
	}
	(void)pthread_barrier_destroy(&barrier);
	return rate;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static void compare_work(const struct job *bare, const struct job *calls, unsigned thread_count)
{
	double bare_rates[ROUNDS_MAX], call_rates[ROUNDS_MAX], bare_rate, call_rate;
	unsigned round_count = calls->plan->round_count;
	uint32_t payload = calls->work->request_payload + calls->work->reply_payload;

	for (unsigned i = 0; i < round_count; i++) {
		bare_rates[i] = measure(bare, thread_count);
		call_rates[i] = measure(calls, thread_count);
	}
	qsort(bare_rates, round_count, sizeof(double), compare);
	qsort(call_rates, round_count, sizeof(double), compare);
	bare_rate = bare_rates[round_count / 2];
	call_rate = call_rates[round_count / 2];
	printf("%-4s %u thread%s %-13s ferry %8.1f k/s",
		bare->address->sa_family == AF_UNIX ? "unix" : "tcp", thread_count,
		thread_count == 1 ? ", " : "s,", calls->work->name, call_rate / 1e3);
	if (payload != 0)
		printf(" %8.1f MB/s", call_rate * payload / 1e6);
	else
		printf("%14s", "");
	printf(", bare %8.1f k/s, ratio %.2f\n", bare_rate / 1e3, call_rate / bare_rate);
	(void)fflush(stdout);
}

static pid_t start_kernel(const char *program, const char *url, char ret_url[128])
{
	int pipe_fds[2];
	char line[160] = "";
	pid_t pid;

	if (pipe(pipe_fds) != 0 || (pid = fork()) < 0)
		die("fork");
	if (pid == 0) {
		(void)dup2(pipe_fds[1], STDOUT_FILENO);
		(void)execl(program, program, url, NULL);
		die(program);
	}
	(void)close(pipe_fds[1]);
	for (size_t at = 0; at < sizeof(line) - 1 && strchr(line, '\n') == NULL; at++) {
		if (read(pipe_fds[0], line + at, 1) != 1)
			die("the kernel did not start");
	}
	(void)close(pipe_fds[0]);
	(void)snprintf(ret_url, 128, "%.*s", (int)strcspn(line + 6, "\n"), line + 6);
	return pid;
}

/* @return the client's descriptor of a file that is large enough. */
static int64_t prepare_file(struct ferry_sysproxy *client)
{
	static uint8_t bytes[PAYLOAD_MAX];
	struct ferry_sysproxy_range name = {file_name, sizeof(file_name), FERRY_SYSPROXY_IN};
	struct ferry_sysproxy_range data = {bytes, sizeof(bytes), FERRY_SYSPROXY_IN};
	const uint64_t opening[4] = {(uintptr_t)file_name, O_CREAT | O_RDWR, 0600, 0};
	int64_t fd = call(client, SYS_open, opening, &name);
	const uint64_t writing[4] = {(uint64_t)fd, (uintptr_t)bytes, sizeof(bytes), 0};

	(void)call(client, SYS_pwrite64, writing, &data);
	return fd;
}

/* The example kernel cannot; its files end with it. */
static void remove_file(struct ferry_sysproxy *client)
{
	struct ferry_sysproxy_range name = {file_name, sizeof(file_name), FERRY_SYSPROXY_IN};
	const uint64_t arguments[1] = {(uintptr_t)file_name};
	struct ferry_sysproxy_call call = {.number = SYS_unlink,
		.argument_count = 1,
		.arguments = arguments,
		.range_count = 1,
		.ranges = &name};

	if (ferry_sysproxy_call(client, &call) != 0)
		die("unlink");
}

static void bench_family(const char *kernel, const struct plan *plan, const char *url,
	const struct sockaddr *address, socklen_t bytes)
{
	static const unsigned thread_counts[] = {1, THREADS_MAX};
	int listener = socket(address->sa_family, SOCK_STREAM, 0);
	struct sockaddr_storage bound;
	socklen_t bound_bytes = sizeof(bound);
	char at[128], error[FERRY_SYSPROXY_ERROR_MAX];
	struct ferry_sysproxy *client;
	pid_t bare, server;
	int64_t file;

	if (listener < 0 || bind(listener, address, bytes) != 0 || listen(listener, 64) != 0 ||
		getsockname(listener, (struct sockaddr *)&bound, &bound_bytes) != 0)
		die("listen");
	bare = start_bare(listener);
	server = start_kernel(kernel, url, at);
	if (ferry_sysproxy_open(at, NULL, &client, error) != 0) {
		(void)fprintf(stderr, "bench_sysproxy: %s\n", error);
		exit(1);
	}
	file = prepare_file(client);
	for (size_t t = 0; t < ARRAY_LENGTH(thread_counts); t++) {
		for (size_t i = 0; i < ARRAY_LENGTH(works); i++) {
			struct job calls = {.work = &works[i],
				.plan = plan,
				.client = client,
				.file = file};
			struct job bare_job = {.work = &works[i],
				.plan = plan,
				.address = (struct sockaddr *)&bound,
				.address_bytes = bound_bytes};

			calls.address = bare_job.address;
			compare_work(&bare_job, &calls, thread_counts[t]);
		}
	}
	remove_file(client);
	ferry_sysproxy_close(client);
	(void)kill(server, SIGTERM);
	(void)kill(bare, SIGKILL);
	(void)waitpid(server, NULL, 0);
	(void)waitpid(bare, NULL, 0);
	(void)close(listener);
}

static unsigned long number_of(const char *text, unsigned long maximum)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*end != '\0' || number < 1 || number > maximum) {
		(void)fprintf(stderr, "bench_sysproxy: %s: must be in 1..%lu\n", text, maximum);
		exit(2);
	}
	return number;
}

int main(int argc, char **argv)
{
	struct plan plan = {ROUNDS, ROUND_MS * CLOCK_MS_NS};
	struct sockaddr_in ipv4 = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	char url[64];

	if (argc != 2 && argc != 4) {
		(void)fprintf(stderr, "usage: bench_sysproxy KERNEL [ROUNDS MILLISECONDS]\n");
		return 2;
	}
	if (argc == 4) {
		plan.round_count = (unsigned)number_of(argv[2], ROUNDS_MAX);
		plan.round_ns = number_of(argv[3], 60000) * CLOCK_MS_NS;
	}
	/* A name that no file system has to hold. */
	(void)snprintf(local.sun_path + 1, sizeof(local.sun_path) - 1, "ferry-bench-%d", getpid());
	(void)snprintf(url, sizeof(url), "unix:///tmp/ferry-bench-%d.sock", getpid());
	bench_family(argv[1], &plan, url, (struct sockaddr *)&local,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			strlen(local.sun_path + 1)));
	bench_family(argv[1], &plan, "tcp://127.0.0.1:0", (struct sockaddr *)&ipv4, sizeof(ipv4));
	return 0;
}
