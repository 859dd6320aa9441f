#include "bench/bare_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/thin_host.h"
#include "nvme/io_command.h"
#include "tcp/pdu.h"

#define COMMANDS_MAX BENCH_DEPTH_MAX
#define SPIN_NS      100000u

struct answer_header {
	struct pdu_response completion; /* of the answer before */
	struct pdu_data data;
};

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "bench: bare server: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* Answer @count commands with one sendmsg: completion and next header in one piece, the payload
 * straight from memory. */
static void answer(int fd, const struct pdu_command *commands, size_t count, uint8_t *store)
{
	static struct answer_header headers[COMMANDS_MAX + 1];
	static struct iovec pieces[2 * COMMANDS_MAX + 1];
	struct msghdr message = {.msg_iov = pieces};

	for (size_t i = 0; i < count; i++) {
		uint64_t offset = nvme_command_slba(&commands[i].command) * 512;

		headers[i].data = (struct pdu_data){.cccid = commands[i].command.cid};
		headers[i + 1].completion = (struct pdu_response){.common.type = PDU_RESPONSE,
			.completion.cid = commands[i].command.cid};
		pieces[2 * i] = i == 0 ? (struct iovec){&headers[0].data, sizeof(headers[0].data)}
				       : (struct iovec){&headers[i], sizeof(headers[i])};
		pieces[2 * i + 1] =
			(struct iovec){store + offset % BENCH_STORE_BYTES, BENCH_BLOCK_BYTES};
	}
	pieces[2 * count] =
		(struct iovec){&headers[count].completion, sizeof(headers[count].completion)};
	message.msg_iovlen = 2 * count + 1;
	if (sendmsg(fd, &message, MSG_NOSIGNAL) != (ssize_t)(count * BENCH_ANSWER_BYTES))
		die("send");
}

/* Spin for as long as a target would, then sleep: two programs that only spin starve each other as
 * soon as a third wants a core. @return as recv(). */
static ssize_t receive(int fd, void *to, size_t bytes)
{
	struct clock *clock = clock_monotonic();
	uint64_t end_ns = clock->now_ns(clock) + SPIN_NS;
	ssize_t got;

	do {
		got = recv(fd, to, bytes, MSG_DONTWAIT);
		if (got >= 0 || (errno != EAGAIN && errno != EINTR))
			return got;
	} while (clock->now_ns(clock) < end_ns);
	return recv(fd, to, bytes, 0);
}

static void serve(int fd, uint8_t *store)
{
	static struct pdu_command commands[COMMANDS_MAX];
	size_t used = 0;

	for (;;) {
		ssize_t got = receive(fd, (uint8_t *)commands + used, sizeof(commands) - used);
		size_t count;

		if (got <= 0)
			return;
		used += (size_t)got;
		count = used / sizeof(commands[0]);
		if (count > 0)
			answer(fd, commands, count, store);
		memmove(commands, commands + count, used - count * sizeof(commands[0]));
		used -= count * sizeof(commands[0]);
	}
}

static _Noreturn void run(int listener)
{
	uint8_t *store = mmap(NULL, BENCH_STORE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int one = 1;

	if (store == MAP_FAILED)
		die("memory");
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			die("accept");
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		serve(fd, store);
		(void)close(fd);
	}
}

pid_t bare_server_start(uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t bytes = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, (const struct sockaddr *)&address, bytes) < 0 ||
		listen(listener, 1) < 0 ||
		getsockname(listener, (struct sockaddr *)&address, &bytes) < 0)
		die("listen");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(listener);
	}
	(void)close(listener);
	*ret_port = ntohs(address.sin_port);
	return pid;
}
