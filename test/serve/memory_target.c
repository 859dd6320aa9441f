#include "test/serve/memory_target.h"

#include <assert.h>
#include <string.h>

#include "loop/loop.h"
#include "loop/pool.h"
#include "nvme/property.h"
#include "store/memory_store.h"
#include "store/null_store.h"
#include "store/store.h"

#define ENTRIES 32 /* of each queue */

static void established(void *context, struct connection *connection)
{
	struct memory_target *target = context;

	assert(connection_is_established(connection));
	target->established_count++;
}

static void ended(void *context, struct connection *connection)
{
	struct memory_target *target = context;

	(void)connection;
	target->live_count--;
}

/* Hosts */

static void hear(struct memory_host *host)
{
	struct pdu_response response;

	if (host->input[0] == PDU_C2H_DATA) {
		host->data_count++;
		host->success_count += (host->input[1] & PDU_FLAG_SUCCESS) != 0;
	}
	if (host->input[0] == PDU_R2T) {
		host->ttag = le16_load(host->input + offsetof(struct pdu_r2t, ttag));
		host->r2t_count++;
	}
	if (host->input[0] != PDU_RESPONSE)
		return;
	memcpy(&response, host->input, sizeof(response));
	host->completion = response.completion;
	host->response_count++;
	host->success_count += nvme_completion_status(&response.completion) == NVME_STATUS_SUCCESS;
}

/* The target's PDUs are well-formed; of each the header is kept. */
static void hear_byte(struct memory_host *host, uint8_t byte)
{
	if (host->pdu_used < sizeof(host->input))
		host->input[host->pdu_used] = byte;
	host->pdu_used++;
	if (host->pdu_used == sizeof(struct pdu_common)) {
		host->plen = le32_load(host->input + offsetof(struct pdu_common, plen));
		assert(host->plen > sizeof(struct pdu_common));
	}
	if (host->pdu_used < sizeof(struct pdu_common) || host->pdu_used < host->plen)
		return;
	hear(host);
	host->pdu_used = 0;
}

static size_t received(void *context, size_t direct_bytes, const uint8_t *data, size_t bytes)
{
	struct memory_host *host = context;

	(void)direct_bytes;
	for (size_t i = 0; i < bytes; i++)
		hear_byte(host, data[i]);
	return bytes;
}

static void closed(void *context, int error)
{
	(void)context;
	(void)error;
}

static const struct stream_handler host_handler = {.received = received, .closed = closed};

struct memory_host *memory_target_connect(struct memory_target *target, unsigned index,
	const struct memory_stream_faults *faults)
{
	struct memory_host *host = &target->hosts[index];
	struct connection *connection;
	struct stream *ends[2];
	int error = memory_stream_pair(target->loop, faults, ends);

	assert(error == 0 && host->stream == NULL);
	error = stream_reserve(ends[0], 8192, 64);
	assert(error == 0);
	*host = (struct memory_host){.stream = ends[0]};
	stream_start(ends[0], &host_handler, host);
	error = connection_new(&target->setting, ends[1], &connection);
	assert(error == 0);
	target->live_count++;
	return host;
}

void memory_host_put(struct memory_host *host, const void *bytes, size_t count)
{
	const uint8_t *from = bytes;

	while (count > 0) {
		size_t part = count < STREAM_PUT_MAX ? count : STREAM_PUT_MAX;

		memcpy(stream_put(host->stream, part), from, part);
		from += part;
		count -= part;
	}
}

void memory_host_put_ic(struct memory_host *host, uint8_t dgst)
{
	struct pdu_ic_request pdu = {.dgst = dgst};

	pdu_set_common(&pdu.common, PDU_IC_REQUEST, sizeof(pdu), 0, sizeof(pdu));
	memory_host_put(host, &pdu, sizeof(pdu));
}

void memory_host_put_capsule(struct memory_host *host, const void *command, const void *data,
	size_t data_bytes)
{
	struct pdu_command pdu;

	pdu_set_common(&pdu.common, PDU_COMMAND, sizeof(pdu), data_bytes > 0 ? sizeof(pdu) : 0,
		(uint32_t)(sizeof(pdu) + data_bytes));
	memcpy(&pdu.command, command, sizeof(pdu.command));
	memory_host_put(host, &pdu, sizeof(pdu));
	memory_host_put(host, data, data_bytes);
}

struct nvme_connect_command memory_target_connect_of(uint16_t qid, uint16_t cntlid,
	struct nvme_connect_data *ret_data)
{
	*ret_data = (struct nvme_connect_data){.hostid = {1}, .cntlid = le16_of(cntlid)};
	nvme_nqn_to_field(ret_data->subnqn, MEMORY_TARGET_NQN);
	nvme_nqn_to_field(ret_data->hostnqn, MEMORY_TARGET_HOST_NQN);
	return (struct nvme_connect_command){
		.opcode = NVME_ADMIN_FABRICS,
		.flags = NVME_FLAGS_PSDT_SGL,
		.fctype = NVME_FABRICS_CONNECT,
		.sgl = nvme_sgl_in_capsule(0, sizeof(struct nvme_connect_data)),
		.qid = le16_of(qid),
		.sqsize = le16_of(ENTRIES - 1),
	};
}

void memory_host_put_enable(struct memory_host *host)
{
	const struct nvme_property_command set = {
		.opcode = NVME_ADMIN_FABRICS,
		.flags = NVME_FLAGS_PSDT_SGL,
		.cid = le16_of(1),
		.fctype = NVME_FABRICS_PROPERTY_SET,
		.ofst = le32_of(NVME_PROPERTY_CC),
		.value = le64_of(nvme_cc_of_enabled(NVME_CC_CSS_NVM)),
	};

	memory_host_put_capsule(host, &set, NULL, 0);
}

/* The target */

void memory_target_turn(struct memory_target *target, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		int error = loop_turn(target->loop, 0);

		assert(error == 0);
	}
}

bool memory_target_await(struct memory_target *target, const struct memory_host *host,
	unsigned response_count)
{
	for (unsigned i = 0; host->response_count < response_count && i < 2000; i++)
		memory_target_turn(target, 1);
	return host->response_count >= response_count;
}

void memory_target_init(struct memory_target *target, uint64_t seed)
{
	const struct store_options options = {.block_bytes = 512};
	struct loop_options loop_options = {.pool_bytes = 2 * POOL_BUFFER_MAX};
	int error;

	*target = (struct memory_target){0};
	random_init(&target->random, seed);
	simulated_clock_init(&target->clock, CLOCK_SECOND_NS);
	loop_options.clock = &target->clock.clock;
	error = loop_new(&loop_options, &target->loop);
	assert(error == 0);
	error = memory_store_new(MEMORY_TARGET_STORE_BYTES, &options, &target->stores[0]);
	assert(error == 0);
	error = null_store_new(MEMORY_TARGET_STORE_BYTES, &options, &target->stores[1]);
	assert(error == 0);
	error = target_new(NULL, NULL, &target->target);
	assert(error == 0);
	error = target_add_subsystem(target->target, MEMORY_TARGET_NQN, &target->subsystem);
	assert(error == 0);
	for (unsigned i = 0; i < 2; i++) {
		error = subsystem_add_namespace(target->subsystem, target->stores[i]);
		assert(error > 0);
	}
	target->setting = (struct connection_setting){
		.target = target->target,
		.deadlines = tcp_deadlines_default(),
		.data_max = 65536,
		.established = established,
		.ended = ended,
		.context = target,
	};
}

void memory_target_deinit(struct memory_target *target, bool is_reset)
{
	for (unsigned i = MEMORY_TARGET_HOSTS; i > 0; i--) {
		struct stream *stream = target->hosts[i - 1].stream;

		if (stream != NULL && is_reset)
			memory_stream_reset(stream);
		stream_free(stream);
	}
	for (unsigned i = 0; target->live_count > 0 || !target_is_idle(target->target); i++) {
		int error = loop_turn(target->loop, 1000);

		assert(error == 0 && i < MEMORY_TARGET_TURNS_MAX);
	}
	assert(pool_held_bytes(loop_pool(target->loop)) == 0);
	target_free(target->target);
	for (unsigned i = 0; i < 2; i++)
		store_free(target->stores[i]);
	loop_free(target->loop);
}
