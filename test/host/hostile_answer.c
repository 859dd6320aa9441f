/*
 * What a right target answers. Data of a read are a pattern that differs from one command to the
 * next, so that data placed at the wrong request, or twice, are seen.
 */
#include <assert.h>
#include <string.h>

#include "base/text.h"
#include "nvme/discovery.h"
#include "nvme/feature.h"
#include "nvme/identify_namespace.h"
#include "nvme/io_command.h"
#include "nvme/log_page.h"
#include "nvme/nqn.h"
#include "nvme/property.h"
#include "test/host/hostile_target.h"

#define MAXH2CDATA  4096u
#define TTAG        0x1234
#define LOG_RECORDS 20
#define MDTS        1 /* 8 KiB */
#define CAPSULE     4096u

void hostile_target_answer_ic(struct hostile_connection *connection)
{
	const struct hostile_target *target = connection->target;
	struct pdu_ic_response response = {
		.common = {.type = PDU_IC_RESPONSE, .hlen = sizeof(response)},
		.dgst = (uint8_t)((target->has_header_digest ? PDU_IC_FLAG_HEADER_DIGEST : 0) |
			(target->has_data_digest ? PDU_IC_FLAG_DATA_DIGEST : 0)),
		.maxh2cdata = le32_of(MAXH2CDATA),
	};

	hostile_target_send(connection, &response, NULL, 0, NULL);
}

void hostile_target_send_response(struct hostile_command *command, uint64_t result, uint16_t status)
{
	struct pdu_response response = {
		.common = {.type = PDU_RESPONSE, .hlen = sizeof(response)},
		.completion = nvme_completion_of(le16_get(command->command.cid), status, 0),
	};

	nvme_completion_set_result(&response.completion, result);
	command->is_pending = false;
	hostile_target_send(command->connection, &response, NULL, 0, command);
}

static void send_data(struct hostile_command *command, uint8_t flags, uint32_t offset,
	const uint8_t *data, uint32_t bytes)
{
	struct pdu_data header = {
		.common = {.type = PDU_C2H_DATA, .hlen = sizeof(header), .flags = flags},
		.cccid = command->command.cid,
		.datao = le32_of(offset),
		.datal = le32_of(bytes),
	};

	hostile_target_send(command->connection, &header, data, bytes, command);
}

void hostile_target_send_data(struct hostile_command *command, uint8_t flags, uint32_t offset,
	uint32_t bytes)
{
	static uint8_t data[HOSTILE_PDU_MAX];
	unsigned index = (unsigned)(command - command->connection->target->commands);

	assert(bytes <= sizeof(data));
	for (uint32_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)((offset + i) * 7 + ((offset + i) >> 8) + index * 31 + 1);
	if ((flags & PDU_FLAG_SUCCESS) != 0)
		command->is_pending = false;
	send_data(command, flags, offset, data, bytes);
}

void hostile_target_send_r2t(struct hostile_command *command, uint32_t offset, uint32_t bytes)
{
	struct pdu_r2t r2t = {
		.common = {.type = PDU_R2T, .hlen = sizeof(r2t)},
		.cccid = command->command.cid,
		.ttag = le16_of(TTAG),
		.r2to = le32_of(offset),
		.r2tl = le32_of(bytes),
	};

	command->is_granted = true;
	hostile_target_send(command->connection, &r2t, NULL, 0, command);
}

/* Admin */

static void answer_property(struct hostile_command *command)
{
	struct nvme_property_command property = nvme_command_as_property(&command->command);
	struct hostile_target *target = command->connection->target;
	uint64_t value = 0;

	if (property.fctype == NVME_FABRICS_PROPERTY_SET)
		target->is_shut_down = nvme_cc_shn((uint32_t)le64_get(property.value)) != 0;
	else if (le32_get(property.ofst) == NVME_PROPERTY_CAP)
		value = nvme_cap_of(64, 500, NVME_CAP_CSS_NVM);
	else if (le32_get(property.ofst) == NVME_PROPERTY_VS)
		value = NVME_VERSION_2_0;
	else
		value = target->is_shut_down
			? nvme_csts_with_shst(NVME_CSTS_RDY, NVME_CSTS_SHST_COMPLETE)
			: NVME_CSTS_RDY;
	hostile_target_send_response(command, value, 0);
}

/* A page and its completion. */
static void answer_page(struct hostile_command *command, const void *page, uint32_t bytes)
{
	send_data(command, PDU_FLAG_LAST, 0, page, bytes);
	hostile_target_send_response(command, 0, 0);
}

static void answer_identify(struct hostile_command *command)
{
	struct nvme_identify_controller controller = {
		.mdts = MDTS,
		.cntlid = le16_of(HOSTILE_CNTLID),
		.kas = le16_of(10),
		.maxcmd = le16_of(64),
		.vwc = NVME_VWC_PRESENT,
		.sgls = le32_of(NVME_SGLS_BYTE_ALIGNED),
		.ioccsz = le32_of((sizeof(struct nvme_command) + CAPSULE) / 16),
		.iorcsz = le32_of(1),
	};
	struct nvme_identify_namespace ns = {
		.nsze = le64_of(HOSTILE_REQUESTS_MAX * HOSTILE_REQUEST_BLOCKS),
		.lbaf[0].lbads = 9,
	};
	uint8_t descriptors[NVME_IDENTIFY_BYTES] = {NVME_NIDT_UUID, 16, 0, 0, 1};
	const void *page = descriptors;

	if (nvme_command_cns(&command->command) == NVME_CNS_CONTROLLER)
		page = &controller;
	else if (nvme_command_cns(&command->command) == NVME_CNS_NAMESPACE)
		page = &ns;
	answer_page(command, page, NVME_IDENTIFY_BYTES);
}

static void answer_log(struct hostile_command *command)
{
	static uint8_t log[(1 + LOG_RECORDS) * 1024];
	struct nvme_get_log_page fields = nvme_command_get_log_page(&command->command);
	struct nvme_discovery_log header = {
		.genctr = le64_of(1),
		.numrec = le64_of(LOG_RECORDS),
	};
	struct nvme_discovery_record record = {
		.trtype = NVME_TRTYPE_TCP,
		.adrfam = NVME_ADRFAM_IPV4,
		.subtype = NVME_SUBTYPE_NVM,
	};

	text_to_field(record.traddr, sizeof(record.traddr), "192.0.2.1", ' ');
	text_to_field(record.trsvcid, sizeof(record.trsvcid), "4420", ' ');
	nvme_nqn_to_field(record.subnqn, HOSTILE_NQN);
	memcpy(log, &header, sizeof(header));
	for (unsigned i = 1; i <= LOG_RECORDS; i++)
		memcpy(log + i * sizeof(record), &record, sizeof(record));
	/* A host that was told of more records gets the last ones again. */
	if (fields.offset > sizeof(log) - fields.length_bytes)
		fields.offset = sizeof(log) - fields.length_bytes;
	answer_page(command, log + fields.offset, (uint32_t)fields.length_bytes);
}

static void answer_admin(struct hostile_command *command)
{
	if (command->command.opcode == NVME_ADMIN_IDENTIFY)
		answer_identify(command);
	else if (command->command.opcode == NVME_ADMIN_GET_LOG_PAGE)
		answer_log(command);
	else if (command->command.opcode == NVME_ADMIN_SET_FEATURES)
		hostile_target_send_response(command, nvme_queues_of(2), 0);
	else
		hostile_target_send_response(command, 0, 0);
}

/* I/O */

static void answer_read(struct hostile_command *command)
{
	bool is_success = !command->connection->has_flow_control;

	if (command->bytes <= HOSTILE_PDU_MAX)
		hostile_target_send_data(command,
			(uint8_t)(PDU_FLAG_LAST | (is_success ? PDU_FLAG_SUCCESS : 0)), 0,
			command->bytes);
	if (!is_success)
		hostile_target_send_response(command, 0, 0);
}

void hostile_target_answer(struct hostile_command *command)
{
	const struct nvme_command *nvme = &command->command;

	if (nvme->opcode == NVME_ADMIN_FABRICS && nvme_command_fctype(nvme) == NVME_FABRICS_CONNECT)
		hostile_target_send_response(command, HOSTILE_CNTLID, 0);
	else if (nvme->opcode == NVME_ADMIN_FABRICS)
		answer_property(command);
	else if (command->connection->qid == 0)
		answer_admin(command);
	else if (command->request != NULL && !command->request->is_write)
		answer_read(command);
	else if (command->request == NULL || command->received_bytes >= command->bytes)
		hostile_target_send_response(command, 0, 0);
	else
		hostile_target_send_r2t(command, command->received_bytes,
			command->bytes - command->received_bytes);
}
