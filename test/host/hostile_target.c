/*
 * The account and the connections: what is sent, noted, and what the host sends, checked.
 */
#include "test/host/hostile_target.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "nvme/io_command.h"

#define PUT_BYTES (160u << 10)
#define PIECES    4096
#define PDU_BYTES (PDU_HEADER_MAX + HOSTILE_PDU_MAX + 2 * PDU_DIGEST_BYTES)

/* The account */

static void become_unknown(struct hostile_connection *connection)
{
	struct hostile_target *target = connection->target;

	connection->is_unknown = true;
	for (unsigned i = 0; i < target->command_count; i++) {
		struct hostile_command *command = &target->commands[i];

		if (command->connection == connection && command->request != NULL)
			command->request->is_unknown = true;
	}
}

/* A header with a wrong digest is on its way: nothing behind it may be accepted. */
static void become_broken(struct hostile_connection *connection)
{
	struct hostile_target *target = connection->target;

	connection->is_broken = true;
	for (unsigned i = 0; i < target->command_count; i++) {
		struct hostile_command *command = &target->commands[i];

		if (command->connection == connection && command->request != NULL &&
			!command->is_completed)
			command->request->must_fail = true;
	}
}

/* A PDU as it goes out. */
struct outgoing {
	const uint8_t *header, *data;
	uint32_t data_bytes;
	bool is_data_spoilt;
};

/* The host takes data in order and once, so what was sent first for a byte is all that it may have. */
static void witness(struct hostile_command *command, const struct outgoing *pdu)
{
	struct hostile_request *request = command->request;
	struct pdu_data header;
	uint32_t datao;

	memcpy(&header, pdu->header, sizeof(header));
	datao = le32_get(header.datao);
	if (request == NULL || command->is_completed)
		return;
	if (pdu->is_data_spoilt)
		request->must_fail = true;
	for (uint32_t i = 0; i < pdu->data_bytes && (uint64_t)datao + i < command->bytes; i++) {
		uint32_t at = command->offset + datao + i;

		if (request->is_write || request->is_sent[at])
			continue;
		request->is_sent[at] = 1;
		request->sent[at] = pdu->data[i];
	}
	if ((header.common.flags & PDU_FLAG_SUCCESS) != 0)
		command->is_completed = true;
}

static void keep_account(struct hostile_connection *connection, const struct outgoing *pdu,
	struct hostile_command *command)
{
	size_t cid_offset = offsetof(struct pdu_data, cccid);

	if (connection->is_broken)
		return;
	if (pdu->header[0] == PDU_RESPONSE)
		cid_offset = offsetof(struct pdu_response, completion) +
			offsetof(struct nvme_completion, cid);
	else if (pdu->header[0] != PDU_C2H_DATA)
		return;
	if (command == NULL ||
		le16_load(pdu->header + cid_offset) != le16_get(command->command.cid))
		become_unknown(connection);
	else if (pdu->header[0] == PDU_C2H_DATA)
		witness(command, pdu);
	else
		command->is_completed = true;
}

/* Sending */

static void put(struct hostile_connection *connection, const uint8_t *bytes, size_t count)
{
	while (count > 0) {
		size_t part = count < STREAM_PUT_MAX ? count : STREAM_PUT_MAX;

		memcpy(stream_put(connection->stream, part), bytes, part);
		bytes += part;
		count -= part;
	}
}

static bool has_room(const struct hostile_connection *connection, size_t bytes)
{
	return connection->stream != NULL &&
		stream_has_room(connection->stream, bytes, (unsigned)(bytes / STREAM_PUT_MAX) + 1);
}

/* @return whether the PDU's lengths, type and digest flags are still what they were. */
static bool apply_changes(const struct hostile_changes *changes, uint8_t *header,
	uint32_t header_bytes, uint8_t *data, uint32_t data_bytes)
{
	struct pdu_common before, after;

	memcpy(&before, header, sizeof(before));
	for (unsigned i = 0; i < changes->count; i++) {
		uint32_t offset = changes->changes[i].offset % (header_bytes + data_bytes);

		if (offset < header_bytes)
			header[offset] = changes->changes[i].value;
		else
			data[offset - header_bytes] = changes->changes[i].value;
	}
	memcpy(&after, header, sizeof(after));
	before.flags &= PDU_FLAG_HEADER_DIGEST | PDU_FLAG_DATA_DIGEST;
	after.flags &= PDU_FLAG_HEADER_DIGEST | PDU_FLAG_DATA_DIGEST;
	return memcmp(&before, &after, sizeof(before)) == 0;
}

/* The digest at @digest is that of the bytes before it. */
static void put_digest(uint8_t *digest, const uint8_t *bytes, uint32_t count, bool is_spoilt)
{
	le32 value = le32_of(crc32c(0, bytes, count) ^ (is_spoilt ? 1 : 0));

	memcpy(digest, &value, sizeof(value));
}

/* Set what is common to all PDUs. @return the PDU's length. */
static uint32_t frame(const struct hostile_target *target, uint8_t *pdu, uint32_t data_bytes)
{
	struct pdu_common common;
	bool has_digests = pdu[0] >= PDU_COMMAND;
	uint32_t pdo, plen;

	memcpy(&common, pdu, sizeof(common));
	pdo = common.hlen;
	if (has_digests && target->has_header_digest) {
		common.flags |= PDU_FLAG_HEADER_DIGEST;
		pdo += PDU_DIGEST_BYTES;
	}
	plen = pdo + data_bytes;
	if (has_digests && target->has_data_digest && data_bytes > 0) {
		common.flags |= PDU_FLAG_DATA_DIGEST;
		plen += PDU_DIGEST_BYTES;
	}
	common.pdo = data_bytes > 0 ? (uint8_t)pdo : 0;
	common.plen = le32_of(plen);
	memcpy(pdu, &common, sizeof(common));
	return plen;
}

static struct hostile_changes take_changes(struct hostile_target *target)
{
	struct hostile_changes changes = target->changes;

	if (changes.skip > 0) {
		target->changes.skip--;
		return (struct hostile_changes){0};
	}
	target->changes = (struct hostile_changes){0};
	return changes;
}

void hostile_target_send(struct hostile_connection *connection, const void *header,
	const void *data, uint32_t data_bytes, struct hostile_command *command)
{
	struct hostile_target *target = connection->target;
	uint8_t *pdu = target->scratch, hlen = ((const uint8_t *)header)[2];
	struct hostile_changes changes;
	struct outgoing outgoing;
	uint32_t plen, pdo;

	assert(data_bytes <= HOSTILE_PDU_MAX && hlen <= PDU_HEADER_MAX);
	memcpy(pdu, header, hlen);
	plen = frame(target, pdu, data_bytes);
	if (!has_room(connection, plen))
		return;
	pdo = hlen + ((pdu[1] & PDU_FLAG_HEADER_DIGEST) != 0 ? PDU_DIGEST_BYTES : 0);
	if (data_bytes > 0)
		memcpy(pdu + pdo, data, data_bytes);
	changes = take_changes(target);
	if (!apply_changes(&changes, pdu, hlen, pdu + pdo, data_bytes))
		become_unknown(connection);
	outgoing = (struct outgoing){pdu, pdu + pdo, data_bytes, false};
	if (pdo > hlen && changes.is_header_spoilt)
		become_broken(connection);
	if (pdo > hlen)
		put_digest(pdu + hlen, pdu, hlen, changes.is_header_spoilt);
	if (plen > pdo + data_bytes) {
		outgoing.is_data_spoilt = changes.is_data_spoilt;
		put_digest(pdu + pdo + data_bytes, pdu + pdo, data_bytes, changes.is_data_spoilt);
	}
	keep_account(connection, &outgoing, command);
	put(connection, pdu, plen);
}

void hostile_target_send_raw(struct hostile_connection *connection, const uint8_t *bytes,
	size_t count)
{
	if (!has_room(connection, count))
		return;
	become_unknown(connection);
	put(connection, bytes, count);
}

/* Receiving: the host is right, or that is what is found. */

static void note_connect(struct hostile_command *command)
{
	struct nvme_connect_command connect = nvme_command_as_connect(&command->command);

	if (connect.fctype != NVME_FABRICS_CONNECT)
		return;
	command->connection->qid = le16_get(connect.qid);
	command->connection->has_flow_control = (connect.cattr & NVME_CATTR_DISABLE_SQFC) == 0;
}

static void note_request(struct hostile_command *command)
{
	struct hostile_target *target = command->connection->target;
	uint64_t slba = nvme_command_slba(&command->command);
	uint64_t index = slba / HOSTILE_REQUEST_BLOCKS;
	uint8_t opcode = command->command.opcode;

	if (opcode != NVME_IO_READ && opcode != NVME_IO_WRITE)
		return;
	assert(index < target->request_count);
	command->request = &target->requests[index];
	command->offset = (uint32_t)(slba % HOSTILE_REQUEST_BLOCKS) * target->block_bytes;
	command->bytes = nvme_command_block_count(&command->command) * target->block_bytes;
	assert(command->request->is_write == (opcode == NVME_IO_WRITE));
	assert(le32_get(command->command.sgl.length) == command->bytes);
	assert(command->offset + command->bytes <= command->request->bytes);
	command->request->is_unknown |= command->connection->is_unknown;
	command->request->must_fail |= command->connection->is_broken;
}

/* Data of a write are those of the request, and no others. */
static void check_data(struct hostile_command *command, uint32_t at, const uint8_t *data,
	uint32_t bytes)
{
	struct hostile_request *request = command->request;

	assert(at <= command->bytes && bytes <= command->bytes - at);
	assert(request->buffer != NULL);
	assert(memcmp(request->buffer + command->offset + at, data, bytes) == 0);
	command->received_bytes += bytes;
}

static void take_command(struct hostile_connection *connection, const uint8_t *pdu,
	const uint8_t *data, uint32_t data_bytes)
{
	struct hostile_target *target = connection->target;
	struct hostile_command *command;
	struct pdu_command capsule;

	if (target->command_count == HOSTILE_COMMANDS_MAX)
		return;
	command = &target->commands[target->command_count++];
	memcpy(&capsule, pdu, sizeof(capsule));
	*command = (struct hostile_command){
		.connection = connection,
		.command = capsule.command,
		.is_pending = true,
	};
	if (capsule.command.opcode == NVME_ADMIN_FABRICS)
		note_connect(command);
	else if (connection->qid != 0)
		note_request(command);
	if (command->request != NULL && data_bytes > 0)
		check_data(command, 0, data, data_bytes);
	if (target->auto_count > 0) {
		target->auto_count--;
		hostile_target_answer(command);
	}
}

static void take_write_data(struct hostile_connection *connection, const uint8_t *pdu,
	const uint8_t *bytes, uint32_t count)
{
	struct hostile_target *target = connection->target;
	struct hostile_command *command = NULL;
	struct pdu_data data;

	memcpy(&data, pdu, sizeof(data));
	for (unsigned i = target->command_count; i > 0 && command == NULL; i--) {
		struct hostile_command *other = &target->commands[i - 1];

		if (other->connection == connection &&
			le16_get(other->command.cid) == le16_get(data.cccid))
			command = other;
	}
	assert(command != NULL && command->request != NULL && command->request->is_write);
	assert(le32_get(data.datal) == count);
	check_data(command, le32_get(data.datao), bytes, count);
	if (command->is_pending && command->is_granted && command->received_bytes >= command->bytes)
		hostile_target_send_response(command, 0, 0);
}

static void take_pdu(struct hostile_connection *connection, const uint8_t *pdu)
{
	struct hostile_target *target = connection->target;
	struct pdu_common common;
	bool has_digests = pdu[0] >= PDU_COMMAND;
	const uint8_t *data;
	uint32_t data_bytes = 0;

	memcpy(&common, pdu, sizeof(common));
	if (has_digests && target->has_header_digest)
		assert(crc32c(0, pdu, common.hlen) == le32_load(pdu + common.hlen));
	data = pdu + common.pdo;
	if (common.pdo != 0)
		data_bytes = le32_get(common.plen) - common.pdo;
	if (data_bytes > 0 && has_digests && target->has_data_digest) {
		data_bytes -= PDU_DIGEST_BYTES;
		assert(crc32c(0, data, data_bytes) == le32_load(data + data_bytes));
	}
	if (common.type == PDU_IC_REQUEST)
		hostile_target_answer_ic(connection);
	else if (common.type == PDU_COMMAND)
		take_command(connection, pdu, data, data_bytes);
	else if (common.type == PDU_H2C_DATA)
		take_write_data(connection, pdu, data, data_bytes);
	else
		assert(common.type == PDU_H2C_TERMINATE);
}

static size_t received(void *context, size_t direct_bytes, const uint8_t *data, size_t bytes)
{
	struct hostile_connection *connection = context;
	size_t used = 0;

	(void)direct_bytes;
	assert(connection->input_bytes + bytes <= HOSTILE_INPUT_BYTES);
	memcpy(connection->input + connection->input_bytes, data, bytes);
	connection->input_bytes += bytes;
	while (connection->input_bytes - used >= sizeof(struct pdu_common)) {
		uint32_t plen = le32_load(connection->input + used + 4);

		if (connection->input_bytes - used < plen)
			break;
		take_pdu(connection, connection->input + used);
		used += plen;
	}
	connection->input_bytes -= used;
	memmove(connection->input, connection->input + used, connection->input_bytes);
	return bytes;
}

static void closed(void *context, int error)
{
	struct hostile_connection *connection = context;
	struct hostile_target *target = connection->target;
	struct stream *stream = connection->stream;

	(void)error;
	connection->stream = NULL;
	stream_free(stream);
	for (unsigned i = 0; i < target->command_count; i++) {
		if (target->commands[i].connection == connection)
			target->commands[i].is_pending = false;
	}
}

static const struct stream_handler handler = {.received = received, .closed = closed};

int hostile_target_open(void *context, unsigned attempt, struct stream **ret_stream)
{
	struct hostile_target *target = context;
	struct hostile_connection *connection;
	struct stream *ends[2];
	int error;

	if (attempt > 0 || target->connection_count == HOSTILE_CONNECTIONS)
		return -ENOENT;
	connection = &target->connections[target->connection_count++];
	*connection = (struct hostile_connection){.target = target};
	connection->input = malloc(HOSTILE_INPUT_BYTES);
	error = memory_stream_pair(target->loop, &target->faults, ends);
	assert(error == 0 && connection->input != NULL);
	connection->stream = ends[1];
	error = stream_reserve(ends[1], PUT_BYTES, PIECES);
	assert(error == 0);
	stream_start(ends[1], &handler, connection);
	*ret_stream = ends[0];
	return 0;
}

struct hostile_command *hostile_target_pending(struct hostile_target *target, unsigned index)
{
	struct hostile_command *found[HOSTILE_COMMANDS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < target->command_count; i++) {
		if (target->commands[i].is_pending)
			found[count++] = &target->commands[i];
	}
	return count > 0 ? found[index % count] : NULL;
}

void hostile_target_init(struct hostile_target *target, struct loop *loop,
	const struct memory_stream_faults *faults)
{
	*target = (struct hostile_target){.loop = loop,
		.faults = *faults,
		.block_bytes = HOSTILE_BLOCK_BYTES};
	target->scratch = malloc(PDU_BYTES);
	assert(target->scratch != NULL);
}

void hostile_target_deinit(struct hostile_target *target)
{
	for (unsigned i = 0; i < target->connection_count; i++) {
		stream_free(target->connections[i].stream);
		free(target->connections[i].input);
	}
	free(target->scratch);
}
