/*
 * A target to which a host connects: right Connect commands and their data, changed by the input, one
 * after the other until the connection has ended. What succeeds is what the rules allow (NVMe Base
 * 2.0, 6.3), and the target is idle again when the host has gone. Deepest: a Connect that was refused,
 * then one that succeeded, on one connection.
 *
 *  OFFSET  SIZE  MEANING
 *       0     1  1 an I/O queue, of a controller that is there; 2 only this host is allowed; 4 of the
 *                discovery subsystem; 8 header digests, 16 data digests, 32 the data are sent when
 *                asked for by R2T, 64 reset at the end, 128 small pieces
 *       1     1  seed of the pieces
 *       2     -  for each Connect: a byte (3:0 changes; 7:4 how many times 64 bytes of the data are
 *                missing), then for each change where it is (2 bytes, modulo the sizes of both: first
 *                the command, then the data), its length and its bytes
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/reader.h"
#include "nvme/completion.h"
#include "target/subsystem.h"
#include "test/serve/memory_target.h"
#include "test/tcp/pdu_maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);
bool fuzz_is_deep(void);

#define BYTES_MAX    8192
#define CONNECTS_MAX 8

enum {
	IO_QUEUE = 1,
	ALLOW_ONE = 2,
	OF_DISCOVERY = 4,
	HEADER_DIGEST = 8,
	DATA_DIGEST = 16,
	BY_R2T = 32,
	RESET = 64,
	SMALL_PIECES = 128,
};

struct connect {
	struct nvme_connect_command command;
	struct nvme_connect_data data;
};
static_assert(offsetof(struct connect, data) == sizeof(struct nvme_connect_command), "no gap");

struct fuzz {
	uint8_t set;
	struct memory_target target;
	struct memory_host *host;
	struct pdu_maker maker;
	uint16_t cntlid; /* of the controller that is there */
	bool is_live;
	unsigned refused_count;
};

static bool is_deep;

bool fuzz_is_deep(void)
{
	return is_deep;
}

/* What is sent */

static struct connect right_connect(const struct fuzz *fuzz)
{
	bool is_io = (fuzz->set & IO_QUEUE) != 0;
	struct connect connect;

	connect.command = memory_target_connect_of(is_io ? 1 : 0,
		is_io ? fuzz->cntlid : NVME_CNTLID_DYNAMIC, &connect.data);
	if ((fuzz->set & OF_DISCOVERY) != 0)
		nvme_nqn_to_field(connect.data.subnqn, NVME_NQN_DISCOVERY);
	if ((fuzz->set & BY_R2T) != 0)
		connect.command.sgl = nvme_sgl_transport(sizeof(connect.data));
	return connect;
}

static void change(struct reader *reader, unsigned count, struct connect *connect)
{
	for (unsigned i = 0; i < count; i++) {
		size_t offset = reader_le16(reader) % sizeof(*connect);
		size_t bytes = reader_u8(reader);
		const uint8_t *from;

		if (bytes > sizeof(*connect) - offset)
			bytes = sizeof(*connect) - offset;
		from = reader_bytes(reader, bytes);
		if (from != NULL)
			memcpy((uint8_t *)connect + offset, from, bytes);
	}
}

static void put_made(struct fuzz *fuzz)
{
	memory_host_put(fuzz->host, fuzz->maker.bytes, fuzz->maker.used);
	fuzz->maker.used = 0;
}

/* @return whether it was answered. */
static bool exchange(struct fuzz *fuzz, const struct connect *connect, size_t data_bytes)
{
	struct memory_host *host = fuzz->host;
	unsigned response_count = host->response_count, r2t_count = host->r2t_count;
	bool is_by_r2t = (fuzz->set & BY_R2T) != 0;
	struct nvme_command command = nvme_command_of_fabrics(&connect->command);
	struct pdu_data header = {
		.common = {.type = PDU_H2C_DATA, .flags = PDU_FLAG_LAST},
		.cccid = command.cid,
		.datal = le32_of((uint32_t)data_bytes),
	};

	pdu_maker_add_command(&fuzz->maker, &command, &connect->data, is_by_r2t ? 0 : data_bytes);
	put_made(fuzz);
	if (memory_target_await(&fuzz->target, host, response_count + 1))
		return true;
	if (host->r2t_count == r2t_count)
		return false;
	header.ttag = le16_of(host->ttag);
	pdu_maker_add_data(&fuzz->maker, &header, &connect->data);
	put_made(fuzz);
	return memory_target_await(&fuzz->target, host, response_count + 1);
}

/* What is answered */

static bool is_zero(const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

static void check_accepted(const struct fuzz *fuzz, const struct connect *connect)
{
	const struct nvme_connect_command *command = &connect->command;
	const struct nvme_connect_data *data = &connect->data;
	char subnqn[NVME_NQN_TEXT_MAX], hostnqn[NVME_NQN_TEXT_MAX];
	bool is_admin = le16_get(command->qid) == 0, is_discovery;
	int error = nvme_nqn_from_field(data->subnqn, subnqn);

	error |= nvme_nqn_from_field(data->hostnqn, hostnqn);
	assert(error == 0);
	is_discovery = strcmp(subnqn, NVME_NQN_DISCOVERY) == 0;
	assert(command->opcode == NVME_ADMIN_FABRICS && command->fctype == NVME_FABRICS_CONNECT);
	assert(le16_get(command->recfmt) == 0 && le16_get(command->sqsize) >= 1);
	assert(is_discovery || strcmp(subnqn, MEMORY_TARGET_NQN) == 0);
	assert(!is_zero(data->hostid, sizeof(data->hostid)));
	if ((fuzz->set & ALLOW_ONE) != 0 && !is_discovery)
		assert(strcmp(hostnqn, MEMORY_TARGET_HOST_NQN) == 0);
	if (is_admin) {
		assert(le16_get(data->cntlid) == NVME_CNTLID_DYNAMIC);
		return;
	}
	/* The controller's host, and its subsystem. */
	assert((fuzz->set & IO_QUEUE) != 0 && !is_discovery);
	assert(le16_get(data->cntlid) == fuzz->cntlid);
	assert(strcmp(hostnqn, MEMORY_TARGET_HOST_NQN) == 0);
	assert(data->hostid[0] == 1 && is_zero(data->hostid + 1, sizeof(data->hostid) - 1));
}

static void judge(struct fuzz *fuzz, const struct connect *connect, bool is_changed)
{
	nvme_status status = nvme_completion_status(&fuzz->host->completion);
	bool is_success = status == NVME_STATUS_SUCCESS;
	bool is_connect = connect->command.opcode == NVME_ADMIN_FABRICS &&
		connect->command.fctype == NVME_FABRICS_CONNECT;

	assert(le16_get(fuzz->host->completion.cid) == le16_get(connect->command.cid));
	if (fuzz->is_live) {
		assert(!is_success || !is_connect);
		return;
	}
	assert(is_success || is_changed);
	if (is_success) {
		check_accepted(fuzz, connect);
		fuzz->is_live = true;
		is_deep = fuzz->refused_count > 0;
	} else {
		fuzz->refused_count++;
	}
}

/* The run */

/* A controller of the host, whose I/O queue is to be connected. */
static void make_controller(struct fuzz *fuzz)
{
	struct memory_host *host = memory_target_connect(&fuzz->target, 0, NULL);
	struct nvme_connect_data data;
	struct nvme_connect_command connect =
		memory_target_connect_of(0, NVME_CNTLID_DYNAMIC, &data);
	bool is_heard;

	memory_host_put_ic(host, 0);
	memory_host_put_capsule(host, &connect, &data, sizeof(data));
	is_heard = memory_target_await(&fuzz->target, host, 1);
	fuzz->cntlid = nvme_connect_result_cntlid(le32_get(host->completion.dw0));
	memory_host_put_enable(host);
	is_heard = is_heard && memory_target_await(&fuzz->target, host, 2);
	assert(is_heard && host->success_count == 2);
}

static void start(struct fuzz *fuzz, uint8_t seed)
{
	const struct memory_stream_faults faults = {
		.random = &fuzz->target.random,
		.delivery_max_bytes = (fuzz->set & SMALL_PIECES) != 0 ? 64 : 0,
	};
	int error = 0;

	memory_target_init(&fuzz->target, seed);
	if ((fuzz->set & ALLOW_ONE) != 0)
		error = subsystem_allow_host(fuzz->target.subsystem, MEMORY_TARGET_HOST_NQN);
	else
		subsystem_allow_any_host(fuzz->target.subsystem);
	assert(error == 0);
	target_publish(fuzz->target.target);
	if ((fuzz->set & IO_QUEUE) != 0)
		make_controller(fuzz);
	fuzz->host = memory_target_connect(&fuzz->target, 1, &faults);
	fuzz->maker.has_header_digest = (fuzz->set & HEADER_DIGEST) != 0;
	fuzz->maker.has_data_digest = (fuzz->set & DATA_DIGEST) != 0;
	fuzz->maker.bytes = malloc(PDU_MAKER_BYTES);
	assert(fuzz->maker.bytes != NULL);
	pdu_maker_add_ic_request(&fuzz->maker, 0);
	put_made(fuzz);
}

static void run(struct fuzz *fuzz, struct reader *reader)
{
	bool is_answered = true;

	for (unsigned i = 0; i < CONNECTS_MAX && is_answered; i++) {
		uint8_t how = reader_u8(reader);
		struct connect connect = right_connect(fuzz);
		bool is_changed = how != 0 ||
			(fuzz->set & (IO_QUEUE | OF_DISCOVERY)) == (IO_QUEUE | OF_DISCOVERY);

		change(reader, how & 15, &connect);
		is_answered =
			exchange(fuzz, &connect, sizeof(connect.data) - (how >> 4) * (size_t)64);
		if (is_answered)
			judge(fuzz, &connect, is_changed);
		else
			assert(is_changed || fuzz->refused_count > 0 || fuzz->is_live);
		if (reader->left_bytes == 0)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	struct reader reader = reader_over(data, data_bytes);
	struct fuzz *fuzz;

	is_deep = false;
	if (data_bytes < 2 || data_bytes > BYTES_MAX)
		return 0;
	fuzz = calloc(1, sizeof(*fuzz));
	assert(fuzz != NULL);
	fuzz->set = reader_u8(&reader);
	start(fuzz, reader_u8(&reader));
	run(fuzz, &reader);
	memory_target_deinit(&fuzz->target, (fuzz->set & RESET) != 0);
	free(fuzz->maker.bytes);
	free(fuzz);
	return 0;
}
