#include "bench/thin_host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

int bench_connect(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		die("TCP_NODELAY");
	return fd;
}

static void send_all(int fd, const void *data, size_t bytes)
{
	if (send(fd, data, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
		die("send");
}

static void receive_all(int fd, void *data, size_t bytes)
{
	if (recv(fd, data, bytes, MSG_WAITALL) != (ssize_t)bytes)
		die("receive");
}

/* Send a capsule and await its completion. @return dword 0. */
static uint32_t call(int fd, const uint8_t *capsule, size_t bytes)
{
	struct pdu_response response;

	send_all(fd, capsule, bytes);
	receive_all(fd, &response, sizeof(response));
	if (response.common.type != PDU_RESPONSE || le16_get(response.completion.status) != 0) {
		errno = EPROTO;
		die("a command failed");
	}
	return le32_get(response.completion.dw0);
}

static uint16_t connect_queue(int fd, const char *nqn, uint16_t qid, uint16_t cntlid)
{
	uint8_t pdu[BENCH_CAPSULE_MAX];
	struct pdu_ic_response answer;

	send_all(fd, pdu, capsule_ic_request(pdu));
	receive_all(fd, &answer, sizeof(answer));
	return (uint16_t)call(fd, pdu, capsule_connect(pdu, nqn, qid, cntlid));
}

int bench_open_queue(uint16_t port, const char *nqn)
{
	int admin = bench_connect(port), fd = bench_connect(port);
	uint16_t cntlid = connect_queue(admin, nqn, NVME_QID_ADMIN, NVME_CNTLID_DYNAMIC);
	uint8_t pdu[BENCH_CAPSULE_MAX];

	(void)call(admin, pdu, capsule_enable(pdu));
	(void)connect_queue(fd, nqn, 1, cntlid);
	return fd;
}

void bench_fill(int fd)
{
	uint8_t pdu[BENCH_CAPSULE_MAX];

	for (uint64_t block = 0; block < BENCH_STORE_BYTES / BENCH_BLOCK_BYTES; block++)
		(void)call(fd, pdu, capsule_write(pdu, block));
}

static void make_read(struct pdu_command *ret_pdu, struct random *random, uint16_t cid)
{
	capsule_read(ret_pdu, random_below(random, BENCH_STORE_BYTES / BENCH_BLOCK_BYTES), cid);
}

/* Check the completion at the end of an answer. @return the command it ends. */
static uint16_t check_answer(const uint8_t *answer)
{
	struct pdu_response response;

	memcpy(&response, answer + BENCH_ANSWER_BYTES - sizeof(response), sizeof(response));
	if (response.common.type != PDU_RESPONSE || le16_get(response.completion.status) != 0) {
		errno = EPROTO;
		die("a read failed");
	}
	return le16_get(response.completion.cid);
}

double bench_read(int fd, unsigned depth, double seconds)
{
	static uint8_t answers[(BENCH_DEPTH_MAX + 1) * BENCH_ANSWER_BYTES];
	static struct pdu_command commands[BENCH_DEPTH_MAX];
	struct clock *clock = clock_monotonic();
	uint64_t start_ns = clock->now_ns(clock), done = 0;
	uint64_t end_ns = start_ns + (uint64_t)(seconds * 1e9), now_ns = start_ns;
	size_t used = 0, outstanding = depth;
	struct random random;

	random_init(&random, 1);
	for (unsigned i = 0; i < depth; i++)
		make_read(&commands[i], &random, (uint16_t)i);
	send_all(fd, commands, depth * sizeof(commands[0]));
	while (outstanding > 0) {
		ssize_t got = recv(fd, answers + used, sizeof(answers) - used, MSG_DONTWAIT);
		size_t count = 0, taken = 0;

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0)
			die("receive");
		used += (size_t)got;
		now_ns = clock->now_ns(clock);
		for (; used - taken >= BENCH_ANSWER_BYTES; taken += BENCH_ANSWER_BYTES) {
			uint16_t cid = check_answer(answers + taken);

			outstanding--;
			done++;
			if (now_ns < end_ns)
				make_read(&commands[count++], &random, cid);
		}
		memmove(answers, answers + taken, used - taken);
		used -= taken;
		outstanding += count;
		if (count > 0)
			send_all(fd, commands, count * sizeof(commands[0]));
	}
	return (double)done * 1e9 / (double)(now_ns - start_ns);
}
