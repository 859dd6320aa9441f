/*
 * What the host sends. A command's data is lent to the stream, never copied: in the capsule if it
 * fits (NVMe/TCP 1.0, 3.3.2), else in H2CData PDUs that answer an R2T. The data of all
 * R2Ts together goes out in a window of HOST_DATA_WINDOW PDUs, which bounds the output however small
 * the controller's MAXH2CDATA is; each returned piece makes place for the next.
 */
#include <assert.h>
#include <string.h>

#include "base/crc32c.h"
#include "tcp/host_queue_private.h"

#define TERMINATE_PIECES 1
#define COMMAND_PIECES   3 /* of a command or an H2CData: what is put, its data, their digest */

size_t host_send_put_bytes(const struct tcp_host_queue *queue)
{
	return (size_t)(queue->options.entries - 1) * (queue->command_pdo + PDU_DIGEST_BYTES) +
		(size_t)HOST_DATA_WINDOW * (queue->data_pdo + PDU_DIGEST_BYTES) +
		sizeof(struct pdu_ic_request) + PDU_TERMINATE_BYTES_MAX;
}

unsigned host_send_pieces(const struct tcp_host_queue *queue)
{
	return (queue->options.entries - 1u + HOST_DATA_WINDOW) * COMMAND_PIECES + TERMINATE_PIECES;
}

bool host_send_has_room(const struct tcp_host_queue *queue)
{
	unsigned data_count = HOST_DATA_WINDOW - queue->unsent_data_count;

	return stream_has_room(queue->stream,
		queue->command_pdo + PDU_DIGEST_BYTES +
			(size_t)data_count * (queue->data_pdo + PDU_DIGEST_BYTES) +
			PDU_TERMINATE_BYTES_MAX,
		(data_count + 1) * COMMAND_PIECES + TERMINATE_PIECES);
}

void host_send_ic_request(struct tcp_host_queue *queue)
{
	struct pdu_ic_request pdu = {
		.dgst = host_queue_digests(queue),
		.maxr2t = le32_of(0), /* one R2T of a command at a time */
	};

	pdu_set_common(&pdu.common, PDU_IC_REQUEST, sizeof(pdu), 0, sizeof(pdu));
	memcpy(stream_put(queue->stream, sizeof(pdu)), &pdu, sizeof(pdu));
}

void host_send_terminate(struct tcp_host_queue *queue, struct pdu_fault fault,
	const uint8_t *header, size_t header_bytes)
{
	uint8_t pdu[PDU_TERMINATE_BYTES_MAX];
	size_t bytes = pdu_make_terminate(false, fault, header, header_bytes, pdu);

	memcpy(stream_put(queue->stream, bytes), pdu, bytes);
}

/* Put a header of @header_bytes, its digest, and padding to @bytes. @header begins with a common
 * header, whose digest flag is set here. */
static void put_header(struct tcp_host_queue *queue, const void *header, size_t header_bytes,
	size_t bytes)
{
	uint8_t *put = stream_put(queue->stream, bytes);

	memcpy(put, header, header_bytes);
	memset(put + header_bytes, 0, bytes - header_bytes);
	if (queue->options.has_header_digest) {
		put[offsetof(struct pdu_common, flags)] |= PDU_FLAG_HEADER_DIGEST;
		pdu_put_header_digest(put, header_bytes);
	}
	queue->put_bytes += bytes;
}

/* The next @bytes bytes of the command's data, and their digest. */
static void put_data(struct host_slot *slot, uint32_t bytes)
{
	struct tcp_host_queue *queue = slot->queue;
	const uint8_t *data = (const uint8_t *)slot->command->data + slot->moved_bytes;

	stream_lend(queue->stream, data, bytes, &slot->lease);
	queue->put_bytes += bytes;
	slot->moved_bytes += bytes;
	slot->lent_count++;
	if (queue->options.has_data_digest) {
		le32 digest = le32_of(crc32c(0, data, bytes));

		memcpy(stream_put(queue->stream, sizeof(digest)), &digest, sizeof(digest));
		queue->put_bytes += sizeof(digest);
	}
}

/* @return the length of a PDU whose data begin at @pdo; the data's digest flag in *ret_flags. */
static uint32_t data_plen(const struct tcp_host_queue *queue, uint8_t pdo, uint32_t bytes,
	uint8_t *ret_flags)
{
	*ret_flags = queue->options.has_data_digest ? PDU_FLAG_DATA_DIGEST : 0;
	return pdo + bytes + (queue->options.has_data_digest ? PDU_DIGEST_BYTES : 0);
}

static uint32_t capsule_limit(const struct tcp_host_queue *queue,
	const struct tcp_host_command *command)
{
	if (queue->options.is_admin)
		return TCP_ADMIN_CAPSULE_BYTES;
	if (command->command.opcode == NVME_IO_FABRICS &&
		queue->options.capsule_data_bytes < TCP_ADMIN_CAPSULE_BYTES)
		return TCP_ADMIN_CAPSULE_BYTES;
	return queue->options.capsule_data_bytes;
}

void host_send_command(struct host_slot *slot)
{
	struct tcp_host_queue *queue = slot->queue;
	struct tcp_host_command *command = slot->command;
	size_t put_bytes = sizeof(struct pdu_command) +
		(queue->options.has_header_digest ? PDU_DIGEST_BYTES : 0);
	struct pdu_command pdu;
	uint8_t flags = 0, pdo = 0;
	uint32_t plen = (uint32_t)put_bytes;

	slot->is_in_capsule = command->transfer == TCP_HOST_WRITE &&
		command->data_bytes <= capsule_limit(queue, command);
	command->command.sgl = slot->is_in_capsule ? nvme_sgl_in_capsule(0, command->data_bytes)
						   : nvme_sgl_transport(command->data_bytes);
	if (slot->is_in_capsule) {
		put_bytes = pdo = queue->command_pdo;
		plen = data_plen(queue, pdo, command->data_bytes, &flags);
	}
	pdu_set_common(&pdu.common, PDU_COMMAND, sizeof(pdu), pdo, plen);
	pdu.common.flags = flags;
	pdu.command = command->command;
	put_header(queue, &pdu, sizeof(pdu), put_bytes);
	if (slot->is_in_capsule)
		put_data(slot, command->data_bytes);
	slot->sent_at = queue->put_bytes;
}

static void send_data_pdu(struct host_slot *slot)
{
	struct tcp_host_queue *queue = slot->queue;
	uint32_t bytes =
		slot->granted_bytes < queue->maxh2cdata ? slot->granted_bytes : queue->maxh2cdata;
	struct pdu_data pdu = {
		.cccid = le16_of(slot->cid),
		.ttag = le16_of(slot->ttag),
		.datao = le32_of(slot->moved_bytes),
		.datal = le32_of(bytes),
	};
	uint8_t flags;
	uint32_t plen = data_plen(queue, queue->data_pdo, bytes, &flags);

	pdu_set_common(&pdu.common, PDU_H2C_DATA, sizeof(pdu), queue->data_pdo, plen);
	pdu.common.flags = (uint8_t)(flags | (bytes == slot->granted_bytes ? PDU_FLAG_LAST : 0));
	put_header(queue, &pdu, sizeof(pdu), queue->data_pdo);
	put_data(slot, bytes);
	slot->granted_bytes -= bytes;
	queue->unsent_data_count++;
}

void host_send_data(struct tcp_host_queue *queue)
{
	while (!list_is_empty(&queue->sending) && queue->unsent_data_count < HOST_DATA_WINDOW) {
		struct host_slot *slot =
			container_of(queue->sending.next, struct host_slot, sending);

		send_data_pdu(slot);
		if (slot->granted_bytes == 0)
			list_remove(&slot->sending);
	}
}

void host_send_returned(struct stream_lease *lease, bool is_sent)
{
	struct host_slot *slot = container_of(lease, struct host_slot, lease);
	struct tcp_host_queue *queue = slot->queue;

	host_queue_enter(queue);
	assert(slot->lent_count > 0);
	slot->lent_count--;
	if (!slot->is_in_capsule)
		queue->unsent_data_count--;
	if (slot->is_completed && slot->lent_count == 0)
		host_slot_end(slot, 0);
	if (is_sent && queue->state == HOST_QUEUE_READY)
		host_send_data(queue);
	host_queue_leave(queue);
}
