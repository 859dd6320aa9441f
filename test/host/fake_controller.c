/*
 * Input is gathered until a PDU is whole. A write whose data are not in the capsule is asked for by
 * one R2T; a connection has one such write at a time, later ones wait in the held list.
 */
#include "test/host/fake_controller.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/uuid.h"
#include "loop/memory_stream.h"
#include "nvme/feature.h"
#include "nvme/io_command.h"
#include "nvme/log_page.h"
#include "nvme/property.h"
#include "tcp/pdu.h"

#define PUT_BYTES  (256u << 10)
#define PIECES     8192
#define MAXH2CDATA 65536u
#define TTAG       0x1234

static void send_response(struct fake_connection *connection, const struct nvme_command *command,
	uint64_t result, nvme_status status)
{
	struct pdu_response pdu = {
		.completion = nvme_completion_of(le16_get(command->cid), status, 0)};

	nvme_completion_set_result(&pdu.completion, result);
	pdu_set_common(&pdu.common, PDU_RESPONSE, sizeof(pdu), 0, sizeof(pdu));
	memcpy(stream_put(connection->stream, sizeof(pdu)), &pdu, sizeof(pdu));
}

static void send_data(struct fake_connection *connection, const struct nvme_command *command,
	const void *data, uint32_t bytes)
{
	struct pdu_data pdu = {.cccid = command->cid, .datal = le32_of(bytes)};
	bool is_success = connection->qid != 0 && !connection->has_flow_control;

	pdu_set_common(&pdu.common, PDU_C2H_DATA, sizeof(pdu), sizeof(pdu),
		(uint32_t)sizeof(pdu) + bytes);
	pdu.common.flags = (uint8_t)(PDU_FLAG_LAST | (is_success ? PDU_FLAG_SUCCESS : 0));
	memcpy(stream_put(connection->stream, sizeof(pdu)), &pdu, sizeof(pdu));
	stream_lend(connection->stream, data, bytes, NULL);
	if (!is_success)
		send_response(connection, command, 0, NVME_STATUS_SUCCESS);
}

static void answer_connect(struct fake_connection *connection, const struct nvme_command *command,
	const uint8_t *data)
{
	struct nvme_connect_command connect = nvme_command_as_connect(command);
	struct fake_controller *controller = connection->controller;
	nvme_status status = controller->connect_status;
	uint32_t dw0 = controller->connect_dw0;

	memcpy(&controller->connect_data, data, sizeof(controller->connect_data));
	connection->qid = le16_get(connect.qid);
	connection->has_flow_control = (connect.cattr & NVME_CATTR_DISABLE_SQFC) == 0;
	if (connection->qid == 0) {
		controller->kato_ms = le32_get(connect.kato);
		send_response(connection, command,
			status == NVME_STATUS_SUCCESS ? dw0 | FAKE_CNTLID : dw0, status);
		return;
	}
	controller->io_connects++;
	status = controller->io_connect_status;
	if (controller->insists_on_flow_control && !connection->has_flow_control)
		status = NVME_STATUS_CONNECT_INVALID_PARAMETERS;
	send_response(connection, command, FAKE_CNTLID, status);
}

static void answer_property(struct fake_connection *connection, const struct nvme_command *command)
{
	struct nvme_property_command property = nvme_command_as_property(command);
	struct fake_controller *controller = connection->controller;
	bool is_shut_down = nvme_cc_shn(controller->cc) != 0 && !controller->never_shuts_down;
	uint64_t value = NVME_VERSION_2_0;

	if (property.fctype == NVME_FABRICS_PROPERTY_SET) {
		controller->cc = (uint32_t)le64_get(property.value);
		value = 0;
	} else if (le32_get(property.ofst) == NVME_PROPERTY_CAP) {
		value = controller->cap;
	} else if (le32_get(property.ofst) == NVME_PROPERTY_CSTS) {
		value = 0;
		if (controller->polls_to_ready == 0)
			value = controller->csts_ready;
		else
			controller->polls_to_ready--;
		if (is_shut_down)
			value = nvme_csts_with_shst((uint32_t)value, NVME_CSTS_SHST_COMPLETE);
	}
	send_response(connection, command, value, NVME_STATUS_SUCCESS);
}

/* What is asked for beyond the log's end reads as zeros: a host that believes any count gets them. */
static void answer_log(struct fake_connection *connection, const struct nvme_command *command)
{
	static const uint8_t nothing[FAKE_LOG_BYTES];
	struct fake_controller *controller = connection->controller;
	struct nvme_get_log_page fields = nvme_command_get_log_page(command);
	uint32_t bytes = le32_get(command->sgl.length);
	const uint8_t *page = nothing;

	assert_int_equal(fields.lid, NVME_LOG_PAGE_DISCOVERY);
	assert_int_equal(fields.length_bytes, bytes);
	assert_true(bytes <= FAKE_LOG_BYTES);
	controller->log_reads++;
	if (bytes > controller->log_bytes_max)
		controller->log_bytes_max = bytes;
	if (controller->resets_at_log)
		memory_stream_reset(connection->stream);
	if (controller->is_silent_to_log || controller->resets_at_log)
		return;
	if (fields.offset > 0 && controller->log_restarts > 0) {
		controller->log_restarts--;
		send_response(connection, command, 0, NVME_STATUS_DISCOVER_RESTART);
		return;
	}
	if (fields.offset == 0 && controller->log_reads > 1 && controller->log_changes > 0) {
		controller->log_changes--;
		controller->log[0]++;
	}
	if (fields.offset + bytes <= FAKE_LOG_BYTES)
		page = controller->log + fields.offset;
	send_data(connection, command, page, bytes);
}

static void answer_admin(struct fake_connection *connection, const struct nvme_command *command)
{
	struct fake_controller *controller = connection->controller;
	const void *page = &controller->identify;

	if (controller->failing_status != 0 && command->opcode == controller->failing_opcode) {
		send_response(connection, command, 0, controller->failing_status);
	} else if (command->opcode == NVME_ADMIN_IDENTIFY) {
		if (nvme_command_cns(command) == NVME_CNS_NAMESPACE)
			page = &controller->identify_namespace;
		else if (nvme_command_cns(command) == NVME_CNS_NAMESPACE_DESCRIPTORS)
			page = controller->descriptors;
		send_data(connection, command, page, NVME_IDENTIFY_BYTES);
	} else if (command->opcode == NVME_ADMIN_GET_LOG_PAGE) {
		answer_log(connection, command);
	} else if (command->opcode == NVME_ADMIN_SET_FEATURES) {
		send_response(connection, command, nvme_queues_of(controller->queues_granted),
			NVME_STATUS_SUCCESS);
	} else if (command->opcode == NVME_ADMIN_KEEP_ALIVE) {
		controller->keep_alives++;
		if (!controller->is_silent_to_keep_alive)
			send_response(connection, command, 0, NVME_STATUS_SUCCESS);
	} else {
		send_response(connection, command, 0, NVME_STATUS_INVALID_OPCODE);
	}
}

static uint8_t *disk_at(struct fake_controller *controller, const struct nvme_command *command)
{
	uint64_t slba = nvme_command_slba(command);

	assert_true(slba + nvme_command_block_count(command) <= FAKE_BLOCKS);
	return controller->disk + slba * FAKE_BLOCK_BYTES;
}

static void hold(struct fake_connection *connection, const struct nvme_command *command)
{
	struct fake_controller *controller = connection->controller;

	assert_true(controller->held_count < FAKE_HELD_MAX);
	controller->held[controller->held_count++] = (struct fake_held){connection, *command};
}

static void begin_write(struct fake_connection *connection, const struct nvme_command *command)
{
	struct pdu_r2t pdu = {.cccid = command->cid,
		.ttag = le16_of(TTAG),
		.r2tl = command->sgl.length};

	if (connection->writing.opcode != 0) {
		hold(connection, command);
		return;
	}
	connection->writing = *command;
	connection->written_bytes = 0;
	pdu_set_common(&pdu.common, PDU_R2T, sizeof(pdu), 0, sizeof(pdu));
	memcpy(stream_put(connection->stream, sizeof(pdu)), &pdu, sizeof(pdu));
}

static void answer_io(struct fake_connection *connection, const struct nvme_command *command,
	const uint8_t *data, size_t bytes)
{
	struct fake_controller *controller = connection->controller;
	uint32_t blocks = nvme_command_block_count(command);

	if (controller->io_status != 0) {
		send_response(connection, command, 0, controller->io_status);
	} else if (command->opcode == NVME_IO_FLUSH) {
		controller->flushes++;
		send_response(connection, command, 0, NVME_STATUS_SUCCESS);
	} else if (command->opcode == NVME_IO_READ) {
		assert_int_equal(le32_get(command->sgl.length), blocks * FAKE_BLOCK_BYTES);
		send_data(connection, command, disk_at(controller, command),
			blocks * FAKE_BLOCK_BYTES);
	} else if (bytes > 0) {
		assert_int_equal(bytes, blocks * FAKE_BLOCK_BYTES);
		memcpy(disk_at(controller, command), data, bytes);
		send_response(connection, command, 0, NVME_STATUS_SUCCESS);
	} else {
		begin_write(connection, command);
	}
}

static void take_io(struct fake_connection *connection, const struct nvme_command *command,
	const uint8_t *data, size_t bytes)
{
	struct fake_controller *controller = connection->controller;
	uint32_t blocks = nvme_command_block_count(command);

	controller->io_commands++;
	if (command->opcode != NVME_IO_FLUSH && blocks > controller->blocks_max)
		controller->blocks_max = blocks;
	if (command->opcode == NVME_IO_WRITE && (le32_get(command->cdw12) & NVME_IO_FUA) != 0)
		controller->fua_writes++;
	if (controller->is_holding && bytes == 0)
		hold(connection, command);
	else
		answer_io(connection, command, data, bytes);
}

static void take_command(struct fake_connection *connection, const uint8_t *pdu, uint32_t plen)
{
	struct pdu_command capsule;
	const struct nvme_command *command = &capsule.command;

	memcpy(&capsule, pdu, sizeof(capsule));
	if (command->opcode == NVME_ADMIN_FABRICS &&
		nvme_command_fctype(command) == NVME_FABRICS_CONNECT)
		answer_connect(connection, command, pdu + capsule.common.pdo);
	else if (command->opcode == NVME_ADMIN_FABRICS)
		answer_property(connection, command);
	else if (connection->qid == 0)
		answer_admin(connection, command);
	else
		take_io(connection, command, pdu + capsule.common.pdo,
			capsule.common.pdo != 0 ? plen - capsule.common.pdo : 0);
}

static void take_write_data(struct fake_connection *connection, const uint8_t *pdu)
{
	struct fake_controller *controller = connection->controller;
	struct nvme_command *writing = &connection->writing;
	struct pdu_data data;

	memcpy(&data, pdu, sizeof(data));
	assert_int_equal(le16_get(data.ttag), TTAG);
	assert_int_equal(le32_get(data.datao), connection->written_bytes);
	memcpy(disk_at(controller, writing) + connection->written_bytes, pdu + data.common.pdo,
		le32_get(data.datal));
	connection->written_bytes += le32_get(data.datal);
	if (connection->written_bytes < le32_get(writing->sgl.length))
		return;
	send_response(connection, writing, 0, NVME_STATUS_SUCCESS);
	writing->opcode = 0;
	if (!controller->is_holding)
		fake_controller_release(controller);
}

static void take_pdu(struct fake_connection *connection, const uint8_t *pdu, uint32_t plen)
{
	struct pdu_ic_response response = {.maxh2cdata = le32_of(MAXH2CDATA)};

	if (connection->controller->is_silent_to_all)
		return;
	if (pdu[0] == PDU_IC_REQUEST) {
		pdu_set_common(&response.common, PDU_IC_RESPONSE, sizeof(response), 0,
			sizeof(response));
		memcpy(stream_put(connection->stream, sizeof(response)), &response,
			sizeof(response));
	} else if (pdu[0] == PDU_COMMAND) {
		take_command(connection, pdu, plen);
	} else if (pdu[0] == PDU_H2C_DATA) {
		take_write_data(connection, pdu);
	} else {
		fail_msg("the host sent a PDU of type %u", pdu[0]);
	}
}

static size_t connection_received(void *context, size_t direct_bytes, const uint8_t *data,
	size_t bytes)
{
	struct fake_connection *connection = context;
	size_t used = 0;

	(void)direct_bytes;
	assert_true(connection->input_bytes + bytes <= FAKE_INPUT_BYTES);
	memcpy(connection->input + connection->input_bytes, data, bytes);
	connection->input_bytes += bytes;
	while (connection->stream != NULL && connection->input_bytes - used >= 8) {
		uint32_t plen = le32_load(connection->input + used + 4);

		if (connection->input_bytes - used < plen)
			break;
		take_pdu(connection, connection->input + used, plen);
		used += plen;
	}
	connection->input_bytes -= used;
	memmove(connection->input, connection->input + used, connection->input_bytes);
	return bytes;
}

static void connection_closed(void *context, int error)
{
	struct fake_connection *connection = context;
	struct stream *stream = connection->stream;

	(void)error;
	connection->stream = NULL;
	stream_free(stream);
}

static const struct stream_handler connection_handler = {
	.received = connection_received,
	.closed = connection_closed,
};

int fake_controller_open(void *context, unsigned attempt, struct stream **ret_stream)
{
	struct fake_controller *controller = context;
	struct fake_connection *connection;
	struct stream *ends[2];

	if (attempt >= FAKE_ADDRESSES)
		return -ENOENT;
	if (attempt < controller->addresses_dead)
		return -ECONNREFUSED;
	assert_true(controller->connection_count < FAKE_CONNECTIONS);
	connection = &controller->connections[controller->connection_count++];
	*connection = (struct fake_connection){.controller = controller};
	connection->input = malloc(FAKE_INPUT_BYTES);
	assert_non_null(connection->input);
	assert_int_equal(memory_stream_pair(controller->loop, NULL, ends), 0);
	connection->stream = ends[1];
	assert_int_equal(stream_reserve(ends[1], PUT_BYTES, PIECES), 0);
	stream_start(ends[1], &connection_handler, connection);
	*ret_stream = ends[0];
	if (attempt < controller->addresses_resetting)
		memory_stream_reset(ends[1]);
	return 0;
}

void fake_controller_release(struct fake_controller *controller)
{
	unsigned count = controller->held_count;
	struct fake_held held[FAKE_HELD_MAX];

	memcpy(held, controller->held, count * sizeof(held[0]));
	controller->held_count = 0;
	for (unsigned i = 0; i < count; i++) {
		if (held[i].connection->stream != NULL)
			answer_io(held[i].connection, &held[i].command, NULL, 0);
	}
}

void fake_controller_reset(struct fake_controller *controller)
{
	for (unsigned i = 0; i < controller->connection_count; i++) {
		if (controller->connections[i].stream != NULL)
			memory_stream_reset(controller->connections[i].stream);
	}
}

void fake_controller_init(struct fake_controller *controller, struct loop *loop)
{
	struct nvme_identify_controller *identify = &controller->identify;
	struct nvme_identify_namespace *ns = &controller->identify_namespace;

	*controller = (struct fake_controller){.loop = loop,
		.cap = nvme_cap_of(1024, 1000, NVME_CAP_CSS_NVM),
		.csts_ready = NVME_CSTS_RDY,
		.queues_granted = 64};
	controller->disk = calloc(FAKE_BLOCKS, FAKE_BLOCK_BYTES);
	assert_non_null(controller->disk);
	memset(identify->sn, ' ',
		sizeof(identify->sn) + sizeof(identify->mn) + sizeof(identify->fr));
	memcpy(identify->sn, "S1", 2);
	memcpy(identify->mn, "Fake disk", 9);
	memcpy(identify->fr, "1.0", 3);
	identify->mdts = 5; /* 128 KiB */
	identify->cntlid = le16_of(FAKE_CNTLID);
	identify->kas = le16_of(10);
	identify->ctratt = le32_of(NVME_CTRATT_TBKAS);
	identify->maxcmd = le16_of(1024);
	identify->vwc = NVME_VWC_PRESENT;
	identify->sgls = le32_of(NVME_SGLS_BYTE_ALIGNED);
	identify->ioccsz = le32_of((64 + 4096) / NVME_CAPSULE_UNIT_BYTES);
	identify->iorcsz = le32_of(1);
	ns->nsze = le64_of(FAKE_BLOCKS);
	ns->lbaf[0].lbads = 9;
	controller->descriptors[0] = NVME_NIDT_UUID;
	controller->descriptors[1] = UUID_BYTES;
	memset(controller->descriptors + 4, 0xab, UUID_BYTES);
}

void fake_controller_deinit(struct fake_controller *controller)
{
	for (unsigned i = 0; i < controller->connection_count; i++) {
		stream_free(controller->connections[i].stream);
		free(controller->connections[i].input);
	}
	free(controller->disk);
}
