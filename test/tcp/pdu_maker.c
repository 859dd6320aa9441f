#include "test/tcp/pdu_maker.h"

#include <assert.h>
#include <string.h>

#include "base/crc32c.h"

static uint8_t header_bytes(uint8_t type)
{
	switch ((enum pdu_type)type) {
	case PDU_IC_REQUEST:
	case PDU_IC_RESPONSE:
		return sizeof(struct pdu_ic_request);
	case PDU_COMMAND:
		return sizeof(struct pdu_command);
	case PDU_H2C_TERMINATE:
	case PDU_C2H_TERMINATE:
	case PDU_RESPONSE:
	case PDU_H2C_DATA:
	case PDU_C2H_DATA:
	case PDU_R2T:
		break;
	}
	return sizeof(struct pdu_r2t);
}

static void add(struct pdu_maker *maker, const void *bytes, size_t count)
{
	assert(PDU_MAKER_BYTES - maker->used >= count);
	if (count > 0)
		memcpy(maker->bytes + maker->used, bytes, count);
	maker->used += count;
}

void pdu_maker_add(struct pdu_maker *maker, void *header, const void *data, size_t data_bytes)
{
	static const uint8_t padding[PDU_ALIGNMENT_MAX];
	struct pdu_common common;
	bool has_digests, has_data_digest;
	size_t alignment = (maker->alignment_pda + 1u) * 4, hlen, pdo, plen;
	le32 digest;

	memcpy(&common, header, sizeof(common));
	has_digests = common.type >= PDU_COMMAND;
	has_data_digest = has_digests && maker->has_data_digest && data_bytes > 0;
	hlen = header_bytes(common.type);
	pdo = plen = hlen + (has_digests && maker->has_header_digest ? PDU_DIGEST_BYTES : 0);
	if (has_digests && data_bytes > 0)
		pdo = (plen + alignment - 1) / alignment * alignment;
	common.hlen = (uint8_t)hlen;
	common.pdo = (uint8_t)(has_digests && data_bytes > 0 ? pdo : 0);
	common.plen =
		le32_of((uint32_t)(pdo + data_bytes + (has_data_digest ? PDU_DIGEST_BYTES : 0)));
	if (has_digests && maker->has_header_digest)
		common.flags |= PDU_FLAG_HEADER_DIGEST;
	if (has_data_digest)
		common.flags |= PDU_FLAG_DATA_DIGEST;
	memcpy(header, &common, sizeof(common));

	add(maker, header, hlen);
	digest = le32_of(crc32c(0, header, hlen));
	if (plen > hlen)
		add(maker, &digest, sizeof(digest));
	add(maker, padding, pdo - plen);
	add(maker, data, data_bytes);
	digest = le32_of(crc32c(0, data, data_bytes));
	if (has_data_digest)
		add(maker, &digest, sizeof(digest));
}

void pdu_maker_add_ic_request(struct pdu_maker *maker, uint8_t hpda)
{
	struct pdu_ic_request ic = {
		.common.type = PDU_IC_REQUEST,
		.hpda = hpda,
		.dgst = (uint8_t)((maker->has_header_digest ? PDU_IC_FLAG_HEADER_DIGEST : 0) |
			(maker->has_data_digest ? PDU_IC_FLAG_DATA_DIGEST : 0)),
	};

	pdu_maker_add(maker, &ic, NULL, 0);
}

void pdu_maker_add_command(struct pdu_maker *maker, const struct nvme_command *command,
	const void *data, size_t data_bytes)
{
	struct pdu_command pdu = {.common.type = PDU_COMMAND, .command = *command};

	pdu_maker_add(maker, &pdu, data, data_bytes);
}

void pdu_maker_add_data(struct pdu_maker *maker, const struct pdu_data *header, const void *data)
{
	struct pdu_data pdu = *header;

	pdu_maker_add(maker, &pdu, data, le32_get(pdu.datal));
}
