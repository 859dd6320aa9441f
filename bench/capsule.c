#include "bench/capsule.h"

#include <string.h>

#include "nvme/io_command.h"
#include "nvme/property.h"

#define BLOCKS_512 (BENCH_BLOCK_BYTES / 512)

/* A command with @data_bytes of data in its capsule. */
static size_t make(uint8_t *ret_pdu, const void *command, const void *data, uint32_t data_bytes)
{
	struct pdu_command pdu;

	memcpy(&pdu.command, command, sizeof(pdu.command));
	pdu.command.flags = NVME_FLAGS_PSDT_SGL;
	pdu.command.sgl = (struct nvme_sgl){.length = le32_of(data_bytes),
		.type = data_bytes > 0 ? NVME_SGL_IN_CAPSULE : NVME_SGL_TRANSPORT};
	pdu_set_common(&pdu.common, PDU_COMMAND, sizeof(pdu), data_bytes > 0 ? sizeof(pdu) : 0,
		(uint32_t)sizeof(pdu) + data_bytes);
	memcpy(ret_pdu, &pdu, sizeof(pdu));
	if (data_bytes > 0)
		memcpy(ret_pdu + sizeof(pdu), data, data_bytes);
	return sizeof(pdu) + data_bytes;
}

size_t capsule_ic_request(uint8_t ret_pdu[BENCH_CAPSULE_MAX])
{
	struct pdu_ic_request ic = {0};

	pdu_set_common(&ic.common, PDU_IC_REQUEST, sizeof(ic), 0, sizeof(ic));
	memcpy(ret_pdu, &ic, sizeof(ic));
	return sizeof(ic);
}

size_t capsule_connect(uint8_t ret_pdu[BENCH_CAPSULE_MAX], const char *nqn, uint16_t qid,
	uint16_t cntlid)
{
	struct nvme_connect_command command = {.opcode = NVME_ADMIN_FABRICS,
		.fctype = NVME_FABRICS_CONNECT,
		.qid = le16_of(qid),
		.sqsize = le16_of(qid == NVME_QID_ADMIN ? 31 : BENCH_DEPTH_MAX)};
	struct nvme_connect_data data = {.hostid = {1}, .cntlid = le16_of(cntlid)};

	nvme_nqn_to_field(data.subnqn, nqn);
	nvme_nqn_to_field(data.hostnqn,
		NVME_NQN_UUID_PREFIX "2e6ab4a6-8f9d-4a53-9a9e-0d3d0c3a7d11");
	return make(ret_pdu, &command, &data, sizeof(data));
}

size_t capsule_enable(uint8_t ret_pdu[BENCH_CAPSULE_MAX])
{
	struct nvme_property_command command = {.opcode = NVME_ADMIN_FABRICS,
		.fctype = NVME_FABRICS_PROPERTY_SET,
		.ofst = le32_of(NVME_PROPERTY_CC),
		/* EN, IOSQES 6, IOCQES 4 */
		.value = le64_of(0x460001)};

	return make(ret_pdu, &command, NULL, 0);
}

void capsule_read(struct pdu_command *ret_pdu, uint64_t block, uint16_t cid)
{
	*ret_pdu = (struct pdu_command){
		.command = {.opcode = NVME_IO_READ,
			.flags = NVME_FLAGS_PSDT_SGL,
			.cid = le16_of(cid),
			.nsid = le32_of(1),
			.sgl = {.length = le32_of(BENCH_BLOCK_BYTES), .type = NVME_SGL_TRANSPORT}}};
	pdu_set_common(&ret_pdu->common, PDU_COMMAND, sizeof(*ret_pdu), 0, sizeof(*ret_pdu));
	nvme_command_set_range(&ret_pdu->command, block * BLOCKS_512, BLOCKS_512, 0);
}

size_t capsule_write(uint8_t ret_pdu[BENCH_CAPSULE_MAX], uint64_t block)
{
	static const uint8_t zeros[BENCH_BLOCK_BYTES];
	struct nvme_command command = {.opcode = NVME_IO_WRITE, .nsid = le32_of(1)};

	nvme_command_set_range(&command, block * BLOCKS_512, BLOCKS_512, 0);
	return make(ret_pdu, &command, zeros, sizeof(zeros));
}
