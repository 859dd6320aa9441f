/*
 * What the controller sends is judged here. pdu.c has checked the form of each PDU; this file checks
 * it against the command it names, before any of its data is placed. A rule that is broken ends the
 * queue: refuse() keeps the sentence for the owner and gives the fault for the H2CTermReq.
 *
 * A completion's SQHD and SQID are not looked at: SQID is reserved on fabrics (some controllers set
 * it), and a command that is complete has left the submission queue, so that the slots alone bound
 * what is in it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tcp/host_queue_private.h"

static const struct receiver_answer accepted = {.fault = {PDU_FES_NONE, 0}};

static struct receiver_answer refuse(struct tcp_host_queue *queue, struct pdu_fault fault,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

static struct receiver_answer refuse(struct tcp_host_queue *queue, struct pdu_fault fault,
	const char *format, ...)
{
	char text[TCP_HOST_REASON_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	host_queue_say(queue, "the controller broke the protocol: %s", text);
	return (struct receiver_answer){.fault = fault};
}

static struct pdu_fault bad_field(size_t offset)
{
	return (struct pdu_fault){PDU_FES_HEADER_FIELD, (uint32_t)offset};
}

static const struct pdu_fault sequence_fault = {PDU_FES_SEQUENCE, 0};
static const struct pdu_fault range_fault = {PDU_FES_OUT_OF_RANGE, 0};
static const struct pdu_fault limit_fault = {PDU_FES_LIMIT_EXCEEDED, 0};

/* Whether the command's capsule has left. One that is answered before is not outstanding to an
 * honest controller; with this, what is unsent is bounded by the slots. */
static bool is_sent(const struct host_slot *slot)
{
	const struct tcp_host_queue *queue = slot->queue;

	return stream_unsent_bytes(queue->stream) <= queue->put_bytes - slot->sent_at;
}

/* @return the slot of the outstanding command @cid, or NULL. */
static struct host_slot *find_slot(struct tcp_host_queue *queue, uint16_t cid)
{
	unsigned index = cid & HOST_SLOT_MASK;
	struct host_slot *slot;

	if (index >= queue->options.entries - 1u)
		return NULL;
	slot = &queue->slots[index];
	if (slot->command == NULL || slot->cid != cid || slot->is_completed)
		return NULL;
	return is_sent(slot) ? slot : NULL;
}

/* Digests are used as asked for, or the controller is refused. */
static struct receiver_answer check_digests(struct tcp_host_queue *queue, uint8_t dgst)
{
	struct pdu_fault fault = bad_field(offsetof(struct pdu_ic_response, dgst));
	uint8_t asked = host_queue_digests(queue);

	if ((dgst & ~asked) != 0)
		return refuse(queue, fault,
			"its ICResp turns on digests that were not asked for (DGST %u)", dgst);
	if (dgst == asked)
		return accepted;
	host_queue_say(queue, "the controller refuses %s digests",
		(asked & ~dgst & PDU_IC_FLAG_HEADER_DIGEST) != 0 ? "header" : "data");
	fault.fes = PDU_FES_UNSUPPORTED;
	return (struct receiver_answer){.fault = fault};
}

static struct receiver_answer take_ic_response(struct tcp_host_queue *queue, const struct pdu *pdu)
{
	struct pdu_rules *rules = &queue->receiver.rules;
	struct receiver_answer answer;
	struct pdu_ic_response response;
	uint32_t digest_bytes;

	memcpy(&response, pdu->header, sizeof(response));
	if (queue->state != HOST_QUEUE_OPENING)
		return refuse(queue, sequence_fault, "it sent a second ICResp");
	answer = check_digests(queue, response.dgst);
	if (answer.fault.fes != PDU_FES_NONE)
		return answer;
	rules->has_header_digest = queue->options.has_header_digest;
	rules->has_data_digest = queue->options.has_data_digest;
	digest_bytes = rules->has_header_digest ? PDU_DIGEST_BYTES : 0;
	queue->maxh2cdata = le32_get(response.maxh2cdata);
	queue->command_pdo =
		pdu_data_offset(sizeof(struct pdu_command) + digest_bytes, response.cpda);
	queue->data_pdo = pdu_data_offset(sizeof(struct pdu_data) + digest_bytes, response.cpda);
	if (host_queue_become_ready(queue) != 0) {
		host_queue_say(queue, "out of memory");
		host_queue_terminate(queue, -ENOMEM);
	}
	return accepted;
}

/* The controller ends the connection and wants no answer. */
static struct receiver_answer take_terminate(struct tcp_host_queue *queue, const struct pdu *pdu)
{
	struct pdu_terminate terminate;
	unsigned fes;

	memcpy(&terminate, pdu->header, sizeof(terminate));
	fes = le16_get(terminate.fes);
	host_queue_say(queue,
		"the controller ended the connection by C2HTermReq: %s (FES %u, FEI %u)",
		pdu_fes_text(fes), fes, le32_load(terminate.fei));
	host_queue_terminate(queue, -EPROTO);
	return accepted;
}

/* A success before all data has moved is none. */
static bool is_short(const struct host_slot *slot, const struct nvme_completion *completion)
{
	return nvme_status_code(nvme_completion_status(completion)) == NVME_STATUS_SUCCESS &&
		slot->moved_bytes < slot->command->data_bytes;
}

static struct receiver_answer take_response(struct tcp_host_queue *queue, const struct pdu *pdu)
{
	struct pdu_response response;
	struct host_slot *slot;
	uint16_t cid;

	memcpy(&response, pdu->header, sizeof(response));
	cid = le16_get(response.completion.cid);
	slot = find_slot(queue, cid);
	if (slot == NULL)
		return refuse(queue,
			bad_field(offsetof(struct pdu_response, completion) +
				offsetof(struct nvme_completion, cid)),
			"it completed command %04x, which is not outstanding", cid);
	if (is_short(slot, &response.completion))
		return refuse(queue, sequence_fault,
			"it completed a command (opcode %02x) with success after %u of %u bytes",
			slot->command->command.opcode, slot->moved_bytes,
			slot->command->data_bytes);
	host_slot_complete(slot, &response.completion);
	return accepted;
}

static struct receiver_answer check_data_range(struct host_slot *slot, const struct pdu_data *data)
{
	struct tcp_host_queue *queue = slot->queue;
	uint32_t datao = le32_get(data->datao), datal = le32_get(data->datal);

	if (datao != slot->moved_bytes)
		return refuse(queue, range_fault,
			"its C2HData begins at byte %u of a command's data where byte %u is next",
			datao, slot->moved_bytes);
	if (datal > slot->command->data_bytes - slot->moved_bytes)
		return refuse(queue, range_fault,
			"its C2HData of %u bytes at byte %u exceeds the command's %u", datal, datao,
			slot->command->data_bytes);
	return accepted;
}

/* SUCCESS stands for a completion, which then does not come. */
static struct receiver_answer check_success(struct host_slot *slot, const struct pdu *pdu)
{
	struct tcp_host_queue *queue = slot->queue;
	struct pdu_fault fault = bad_field(offsetof(struct pdu_common, flags));

	if (!queue->options.is_flow_control_off)
		return refuse(queue, fault,
			"its C2HData has the SUCCESS flag, though flow control is on");
	if ((pdu->flags & PDU_FLAG_LAST) == 0)
		return refuse(queue, fault, "its C2HData has the SUCCESS flag without LAST_PDU");
	if (slot->moved_bytes + pdu->data_bytes < slot->command->data_bytes)
		return refuse(queue, fault, "its C2HData has the SUCCESS flag after %u of %u bytes",
			slot->moved_bytes + pdu->data_bytes, slot->command->data_bytes);
	return accepted;
}

static struct receiver_answer take_data(struct tcp_host_queue *queue, const struct pdu *pdu)
{
	struct receiver_answer answer;
	struct host_slot *slot;
	struct pdu_data data;
	uint16_t cid;

	memcpy(&data, pdu->header, sizeof(data));
	cid = le16_get(data.cccid);
	slot = find_slot(queue, cid);
	if (slot == NULL)
		return refuse(queue, bad_field(offsetof(struct pdu_data, cccid)),
			"it sent data for command %04x, which is not outstanding", cid);
	if (slot->command->transfer != TCP_HOST_READ)
		return refuse(queue, bad_field(offsetof(struct pdu_data, cccid)),
			"it sent data for a command (opcode %02x) that reads nothing",
			slot->command->command.opcode);
	if (slot->is_last_seen)
		return refuse(queue, sequence_fault, "it sent C2HData after LAST_PDU");
	answer = check_data_range(slot, &data);
	if (answer.fault.fes == PDU_FES_NONE && (pdu->flags & PDU_FLAG_SUCCESS) != 0)
		answer = check_success(slot, pdu);
	if (answer.fault.fes != PDU_FES_NONE)
		return answer;
	slot->is_last_seen = (pdu->flags & PDU_FLAG_LAST) != 0;
	queue->receiving = slot;
	answer.data = (uint8_t *)slot->command->data + slot->moved_bytes;
	return answer;
}

static struct receiver_answer check_r2t_range(struct host_slot *slot, const struct pdu_r2t *r2t)
{
	struct tcp_host_queue *queue = slot->queue;
	uint32_t r2to = le32_get(r2t->r2to), r2tl = le32_get(r2t->r2tl);

	if (slot->granted_bytes > 0)
		return refuse(queue, limit_fault,
			"it sent an R2T while the command's last one is being answered");
	if (r2to != slot->moved_bytes)
		return refuse(queue, range_fault,
			"its R2T begins at byte %u of a command's data where byte %u is next", r2to,
			slot->moved_bytes);
	if (r2tl == 0)
		return refuse(queue, bad_field(offsetof(struct pdu_r2t, r2tl)),
			"its R2T asks for no data");
	if (r2tl > slot->command->data_bytes - slot->moved_bytes)
		return refuse(queue, range_fault,
			"its R2T of %u bytes at byte %u exceeds the command's %u", r2tl, r2to,
			slot->command->data_bytes);
	return accepted;
}

static struct receiver_answer take_r2t(struct tcp_host_queue *queue, const struct pdu *pdu)
{
	struct receiver_answer answer;
	struct host_slot *slot;
	struct pdu_r2t r2t;
	uint16_t cid;

	memcpy(&r2t, pdu->header, sizeof(r2t));
	cid = le16_get(r2t.cccid);
	slot = find_slot(queue, cid);
	if (slot == NULL)
		return refuse(queue, bad_field(offsetof(struct pdu_r2t, cccid)),
			"it sent an R2T for command %04x, which is not outstanding", cid);
	if (slot->command->transfer != TCP_HOST_WRITE || slot->is_in_capsule)
		return refuse(queue, bad_field(offsetof(struct pdu_r2t, cccid)),
			"it sent an R2T for a command (opcode %02x) that has no data to send",
			slot->command->command.opcode);
	answer = check_r2t_range(slot, &r2t);
	if (answer.fault.fes != PDU_FES_NONE)
		return answer;
	slot->ttag = le16_get(r2t.ttag);
	slot->granted_bytes = le32_get(r2t.r2tl);
	list_append(&queue->sending, &slot->sending);
	host_send_data(queue);
	return accepted;
}

static struct receiver_answer take_pdu(void *context, const struct pdu *pdu)
{
	struct tcp_host_queue *queue = context;

	if (pdu->type == PDU_IC_RESPONSE)
		return take_ic_response(queue, pdu);
	if (pdu->type == PDU_C2H_TERMINATE)
		return take_terminate(queue, pdu);
	if (queue->state != HOST_QUEUE_READY)
		return refuse(queue, sequence_fault,
			"its first PDU is of type %02x where ICResp must come", pdu->type);
	if (pdu->type == PDU_RESPONSE)
		return take_response(queue, pdu);
	if (pdu->type == PDU_C2H_DATA)
		return take_data(queue, pdu);
	return take_r2t(queue, pdu);
}

/* The data of the C2HData last accepted is in its place. */
static struct pdu_fault end_data(void *context, const struct pdu *pdu, bool is_intact)
{
	struct tcp_host_queue *queue = context;
	struct host_slot *slot = queue->receiving;

	slot->moved_bytes += pdu->data_bytes;
	if (!is_intact)
		slot->is_damaged = true;
	if ((pdu->flags & PDU_FLAG_SUCCESS) != 0) {
		struct nvme_completion completion =
			nvme_completion_of(slot->cid, NVME_STATUS_SUCCESS, NVME_SQHD_DISABLED);

		host_slot_complete(slot, &completion);
	}
	return accepted.fault;
}

static const char *pdu_name(uint8_t type)
{
	switch (type) {
	case PDU_IC_RESPONSE:
		return "ICResp";
	case PDU_C2H_TERMINATE:
		return "C2HTermReq";
	case PDU_RESPONSE:
		return "CapsuleResp";
	case PDU_C2H_DATA:
		return "C2HData";
	case PDU_R2T:
		return "R2T";
	default:
		return NULL;
	}
}

/* @return the name of the field at @offset of an ICResp, or of the common header of any PDU. */
static const char *field_name(uint8_t type, uint32_t offset)
{
	static const struct {
		uint32_t offset;
		const char *name;
	} fields[] = {
		{offsetof(struct pdu_common, flags), "flags"},
		{offsetof(struct pdu_common, hlen), "HLEN"},
		{offsetof(struct pdu_common, pdo), "PDO"},
		{offsetof(struct pdu_common, plen), "PLEN"},
		{offsetof(struct pdu_ic_response, pfv), "PFV"},
		{offsetof(struct pdu_ic_response, cpda), "CPDA"},
		{offsetof(struct pdu_ic_response, maxh2cdata), "MAXH2CDATA"},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (fields[i].offset == offset &&
			(type == PDU_IC_RESPONSE || offset < sizeof(struct pdu_common)))
			return fields[i].name;
	}
	return type == PDU_C2H_DATA && offset == offsetof(struct pdu_data, datal) ? "DATAL"
										  : "field";
}

/* The words for a fault that pdu.c found. */
static void say_fault(struct tcp_host_queue *queue, struct pdu_fault fault, const uint8_t *header)
{
	const char *name = pdu_name(header[0]);

	if (name == NULL)
		(void)refuse(queue, fault, "it sent a PDU of type %02x, which no host receives",
			header[0]);
	else if (fault.fes == PDU_FES_HEADER_FIELD || fault.fes == PDU_FES_UNSUPPORTED)
		(void)refuse(queue, fault, "%s of its %s (byte %u): %s",
			field_name(header[0], fault.fei), name, fault.fei,
			pdu_fes_text((unsigned)fault.fes));
	else
		(void)refuse(queue, fault, "its %s: %s", name, pdu_fes_text((unsigned)fault.fes));
}

static void take_fault(void *context, struct pdu_fault fault, const uint8_t *header,
	size_t header_bytes)
{
	struct tcp_host_queue *queue = context;

	say_fault(queue, fault, header);
	/* A TermReq is not answered by a TermReq. */
	if (header[0] != PDU_C2H_TERMINATE)
		host_send_terminate(queue, fault, header, header_bytes);
	host_queue_terminate(queue, -EPROTO);
}

const struct receiver_handler host_receiver_handler = {
	.header = take_pdu,
	.data = end_data,
	.fault = take_fault,
};
