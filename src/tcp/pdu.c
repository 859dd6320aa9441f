/*
 * Checks are made in the order of the fields, so that the fault reported is the lowest offending
 * offset (NVMe/TCP 1.0, 3.5.1).
 */
#include "tcp/pdu.h"

#include <string.h>

#include "base/crc32c.h"

enum {
	OFFSET_TYPE = 0,
	OFFSET_FLAGS = 1,
	OFFSET_HLEN = 2,
	OFFSET_PDO = 3,
	OFFSET_PLEN = 4,
};

enum pdu_direction { TO_CONTROLLER, TO_HOST };

/* What the specification fixes for each type (3.6.2). */
struct pdu_kind {
	bool is_known;
	enum pdu_direction direction;
	bool has_digests; /* ICReq, ICResp and TermReq never carry one */
	bool may_have_data;
	uint8_t hlen;
};

static const struct pdu_kind kinds[] = {
	[PDU_IC_REQUEST] = {true, TO_CONTROLLER, false, false, sizeof(struct pdu_ic_request)},
	[PDU_IC_RESPONSE] = {true, TO_HOST, false, false, sizeof(struct pdu_ic_response)},
	[PDU_H2C_TERMINATE] = {true, TO_CONTROLLER, false, true, sizeof(struct pdu_terminate)},
	[PDU_C2H_TERMINATE] = {true, TO_HOST, false, true, sizeof(struct pdu_terminate)},
	[PDU_COMMAND] = {true, TO_CONTROLLER, true, true, sizeof(struct pdu_command)},
	[PDU_RESPONSE] = {true, TO_HOST, true, false, sizeof(struct pdu_response)},
	[PDU_H2C_DATA] = {true, TO_CONTROLLER, true, true, sizeof(struct pdu_data)},
	[PDU_C2H_DATA] = {true, TO_HOST, true, true, sizeof(struct pdu_data)},
	[PDU_R2T] = {true, TO_HOST, true, false, sizeof(struct pdu_r2t)},
};

static const struct pdu_fault no_fault = {PDU_FES_NONE, 0};

static struct pdu_fault bad_field(uint32_t offset)
{
	return (struct pdu_fault){PDU_FES_HEADER_FIELD, offset};
}

static const struct pdu_kind *kind_of(const struct pdu_common *common)
{
	return &kinds[common->type];
}

static uint32_t header_bytes_of(const struct pdu_rules *rules, const struct pdu_kind *kind,
	uint8_t hlen)
{
	return hlen + (rules->has_header_digest && kind->has_digests ? PDU_DIGEST_BYTES : 0);
}

uint32_t pdu_header_bytes(const struct pdu_rules *rules, const struct pdu_common *common)
{
	return header_bytes_of(rules, kind_of(common), common->hlen);
}

/* The most data a PDU of this type may bring. */
static uint32_t data_limit(const struct pdu_rules *rules, uint8_t type)
{
	if (type == PDU_COMMAND)
		return rules->capsule_data_max;
	if (type == PDU_H2C_DATA || type == PDU_C2H_DATA)
		return rules->data_max;
	return PDU_HEADER_MAX; /* the header that a TermReq quotes */
}

static struct pdu_fault check_data_place(const struct pdu_rules *rules,
	const struct pdu_common *common, uint32_t header_bytes)
{
	uint32_t plen = le32_get(common->plen);
	uint32_t alignment = (rules->alignment_pda + 1u) * 4;
	uint32_t digest_bytes = rules->has_data_digest ? PDU_DIGEST_BYTES : 0;

	if (!kind_of(common)->has_digests)
		return plen - header_bytes > PDU_HEADER_MAX ? bad_field(OFFSET_PLEN) : no_fault;
	if (common->pdo < header_bytes || common->pdo % alignment != 0 ||
		common->pdo - header_bytes >= PDU_ALIGNMENT_MAX)
		return bad_field(OFFSET_PDO);
	if (plen <= common->pdo + digest_bytes)
		return bad_field(OFFSET_PLEN);
	if (plen - common->pdo - digest_bytes > data_limit(rules, common->type))
		return common->type == PDU_COMMAND ? bad_field(OFFSET_PLEN)
						   : (struct pdu_fault){PDU_FES_LIMIT_EXCEEDED, 0};
	return no_fault;
}

struct pdu_fault pdu_check_common(const struct pdu_rules *rules, const struct pdu_common *common)
{
	const struct pdu_kind *kind;
	uint32_t header_bytes, plen = le32_get(common->plen);
	bool has_data, has_flag;

	if (common->type >= sizeof(kinds) / sizeof(kinds[0]))
		return bad_field(OFFSET_TYPE);
	kind = kind_of(common);
	if (!kind->is_known || (kind->direction == TO_CONTROLLER) != rules->is_controller)
		return bad_field(OFFSET_TYPE);

	/* By what hlen has to be: a wrong one must not make the flags before it look wrong. */
	header_bytes = header_bytes_of(rules, kind, kind->hlen);
	has_data = kind->may_have_data && plen > header_bytes;
	if (kind->has_digests) {
		has_flag = (common->flags & PDU_FLAG_HEADER_DIGEST) != 0;
		if (has_flag != rules->has_header_digest)
			return bad_field(OFFSET_FLAGS);
		has_flag = (common->flags & PDU_FLAG_DATA_DIGEST) != 0;
		if (has_flag != (rules->has_data_digest && has_data))
			return bad_field(OFFSET_FLAGS);
	}
	if (common->hlen != kind->hlen)
		return bad_field(OFFSET_HLEN);
	if (has_data)
		return check_data_place(rules, common, header_bytes);
	if (plen != header_bytes)
		return bad_field(OFFSET_PLEN);
	return no_fault;
}

static struct pdu_fault check_ic_request(const struct pdu_ic_request *pdu)
{
	if (le16_get(pdu->pfv) != 0)
		return (struct pdu_fault){PDU_FES_UNSUPPORTED,
			offsetof(struct pdu_ic_request, pfv)};
	if (pdu->hpda > PDU_PDA_MAX)
		return bad_field(offsetof(struct pdu_ic_request, hpda));
	return no_fault;
}

static struct pdu_fault check_ic_response(const struct pdu_ic_response *pdu)
{
	uint32_t maxh2cdata = le32_get(pdu->maxh2cdata);

	if (le16_get(pdu->pfv) != 0)
		return (struct pdu_fault){PDU_FES_UNSUPPORTED,
			offsetof(struct pdu_ic_response, pfv)};
	if (pdu->cpda > PDU_PDA_MAX)
		return bad_field(offsetof(struct pdu_ic_response, cpda));
	if (maxh2cdata < PDU_MAXH2CDATA_MIN || maxh2cdata % 4 != 0)
		return bad_field(offsetof(struct pdu_ic_response, maxh2cdata));
	return no_fault;
}

/* The fields behind the common header that can be judged without knowing the command. */
static struct pdu_fault check_fields(const struct pdu *pdu)
{
	struct pdu_data data;
	struct pdu_ic_request request;
	struct pdu_ic_response response;

	switch (pdu->type) {
	case PDU_IC_REQUEST:
		memcpy(&request, pdu->header, sizeof(request));
		return check_ic_request(&request);
	case PDU_IC_RESPONSE:
		memcpy(&response, pdu->header, sizeof(response));
		return check_ic_response(&response);
	case PDU_H2C_DATA:
	case PDU_C2H_DATA:
		memcpy(&data, pdu->header, sizeof(data));
		/* A data PDU without data has nothing to say; 3.6.2.7: DATAL counts the data. */
		if (pdu->data_bytes == 0)
			return bad_field(OFFSET_PLEN);
		if (le32_get(data.datal) != pdu->data_bytes)
			return bad_field(offsetof(struct pdu_data, datal));
		return no_fault;
	case PDU_H2C_TERMINATE:
	case PDU_C2H_TERMINATE:
	case PDU_COMMAND:
	case PDU_RESPONSE:
	case PDU_R2T:
		return no_fault;
	}
	return no_fault;
}

struct pdu_fault pdu_check(const struct pdu_rules *rules, const uint8_t *header,
	struct pdu *ret_pdu)
{
	struct pdu_common common;
	struct pdu pdu;
	uint32_t header_bytes, plen, received;

	memcpy(&common, header, sizeof(common));
	header_bytes = pdu_header_bytes(rules, &common);
	plen = le32_get(common.plen);
	if (header_bytes > common.hlen) {
		received = le32_load(header + common.hlen);
		if (crc32c(0, header, common.hlen) != received)
			return (struct pdu_fault){PDU_FES_HEADER_DIGEST, received};
	}
	pdu = (struct pdu){
		.type = (enum pdu_type)common.type,
		.flags = common.flags,
		.header = header,
		.header_bytes = common.hlen,
	};
	if (plen > header_bytes && kind_of(&common)->has_digests) {
		pdu.has_data_digest = rules->has_data_digest;
		pdu.padding_bytes = common.pdo - header_bytes;
		pdu.data_bytes = plen - common.pdo - (pdu.has_data_digest ? PDU_DIGEST_BYTES : 0);
	} else {
		pdu.data_bytes = plen - header_bytes;
	}
	*ret_pdu = pdu;
	return check_fields(&pdu);
}

void pdu_set_common(struct pdu_common *ret_common, enum pdu_type type, uint8_t hlen, uint8_t pdo,
	uint32_t plen)
{
	*ret_common = (struct pdu_common){.type = (uint8_t)type,
		.hlen = hlen,
		.pdo = pdo,
		.plen = le32_of(plen)};
}

void pdu_put_header_digest(uint8_t *header, size_t header_bytes)
{
	le32 digest = le32_of(crc32c(0, header, header_bytes));

	memcpy(header + header_bytes, &digest, sizeof(digest));
}

uint8_t pdu_data_offset(uint32_t header_bytes, uint8_t pda)
{
	uint32_t alignment = (pda + 1u) * 4;

	return (uint8_t)((header_bytes + alignment - 1) / alignment * alignment);
}

size_t pdu_make_terminate(bool is_controller, struct pdu_fault fault, const uint8_t *header,
	size_t header_bytes, uint8_t ret_pdu[PDU_TERMINATE_BYTES_MAX])
{
	struct pdu_terminate pdu = {.fes = le16_of((uint16_t)fault.fes)};
	le32 fei = le32_of(fault.fei);
	size_t quoted_bytes = header_bytes < PDU_HEADER_MAX ? header_bytes : PDU_HEADER_MAX;

	pdu_set_common(&pdu.common, is_controller ? PDU_C2H_TERMINATE : PDU_H2C_TERMINATE,
		sizeof(pdu), 0, (uint32_t)(sizeof(pdu) + quoted_bytes));
	memcpy(pdu.fei, fei.bytes, sizeof(pdu.fei));
	memcpy(ret_pdu, &pdu, sizeof(pdu));
	memcpy(ret_pdu + sizeof(pdu), header, quoted_bytes);
	return sizeof(pdu) + quoted_bytes;
}

const char *pdu_fes_text(unsigned fes)
{
	switch (fes) {
	case PDU_FES_HEADER_FIELD:
		return "invalid PDU header field";
	case PDU_FES_SEQUENCE:
		return "PDU sequence error";
	case PDU_FES_HEADER_DIGEST:
		return "header digest error";
	case PDU_FES_OUT_OF_RANGE:
		return "data transfer out of range";
	case PDU_FES_LIMIT_EXCEEDED:
		return "data transfer or R2T limit exceeded";
	case PDU_FES_UNSUPPORTED:
		return "unsupported parameter";
	default:
		return "unknown fatal error";
	}
}
