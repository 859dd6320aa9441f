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
#include "nvme/io_command.h"
#include "nvme/property.h"
#include "tcp/pdu.h"

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

/* One command with up to 1024 bytes in its capsule. @return dword 0 of its completion. */
static uint32_t call(int fd, const void *command, const void *data, uint32_t data_bytes)
{
	struct pdu_command pdu;
	struct pdu_response response;

	memcpy(&pdu.command, command, sizeof(pdu.command));
	pdu.command.flags = NVME_FLAGS_PSDT_SGL;
	pdu.command.sgl = (struct nvme_sgl){.length = le32_of(data_bytes),
		.type = data_bytes > 0 ? NVME_SGL_IN_CAPSULE : NVME_SGL_TRANSPORT};
	pdu_set_common(&pdu.common, PDU_COMMAND, sizeof(pdu), data_bytes > 0 ? sizeof(pdu) : 0,
		(uint32_t)sizeof(pdu) + data_bytes);
	send_all(fd, &pdu, sizeof(pdu));
	if (data_bytes > 0)
		send_all(fd, data, data_bytes);
	receive_all(fd, &response, sizeof(response));
	if (response.common.type != PDU_RESPONSE || le16_get(response.completion.status) != 0) {
		errno = EPROTO;
		die("a command of the set-up failed");
	}
	return le32_get(response.completion.dw0);
}

static uint16_t connect_queue(int fd, const char *nqn, uint16_t qid, uint16_t cntlid)
{
	struct pdu_ic_request ic = {0};
	struct pdu_ic_response answer;
	struct nvme_connect_command command = {.opcode = NVME_ADMIN_FABRICS,
		.fctype = NVME_FABRICS_CONNECT,
		.qid = le16_of(qid),
		.sqsize = le16_of(qid == 0 ? 31 : BENCH_DEPTH_MAX)};
	struct nvme_connect_data data = {.hostid = {1}, .cntlid = le16_of(cntlid)};

	pdu_set_common(&ic.common, PDU_IC_REQUEST, sizeof(ic), 0, sizeof(ic));
	send_all(fd, &ic, sizeof(ic));
	receive_all(fd, &answer, sizeof(answer));
	nvme_nqn_to_field(data.subnqn, nqn);
	nvme_nqn_to_field(data.hostnqn,
		"nqn.2014-08.org.nvmexpress:uuid:"
		"2e6ab4a6-8f9d-4a53-9a9e-0d3d0c3a7d11");
	return (uint16_t)call(fd, &command, &data, sizeof(data));
}

int bench_open_queue(uint16_t port, const char *nqn)
{
	int admin = bench_connect(port), fd = bench_connect(port);
	uint16_t cntlid = connect_queue(admin, nqn, 0, NVME_CNTLID_DYNAMIC);
	struct nvme_property_command enable = {.opcode = NVME_ADMIN_FABRICS,
		.fctype = NVME_FABRICS_PROPERTY_SET,
		.ofst = le32_of(NVME_PROPERTY_CC),
		/* EN, IOSQES 6, IOCQES 4 */
		.value = le64_of(0x460001)};

	(void)call(admin, &enable, NULL, 0);
	(void)connect_queue(fd, nqn, 1, cntlid);
	return fd;
}

static void make_read(struct pdu_command *pdu, struct random *random, uint16_t cid)
{
	uint64_t block = random_below(random, BENCH_STORE_BYTES / BENCH_BLOCK_BYTES);

	*pdu = (struct pdu_command){
		.command = {.opcode = NVME_IO_READ,
			.flags = NVME_FLAGS_PSDT_SGL,
			.cid = le16_of(cid),
			.nsid = le32_of(1),
			.sgl = {.length = le32_of(BENCH_BLOCK_BYTES), .type = NVME_SGL_TRANSPORT}}};
	pdu_set_common(&pdu->common, PDU_COMMAND, sizeof(*pdu), 0, sizeof(*pdu));
	nvme_command_set_range(&pdu->command, block * (BENCH_BLOCK_BYTES / 512),
		BENCH_BLOCK_BYTES / 512, 0);
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
