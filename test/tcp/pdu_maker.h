/*
 * Makes PDUs as a peer would send them, one behind the other in one buffer, with digests and padding
 * to order.
 */
#ifndef FERRY_TEST_TCP_PDU_MAKER_H
#define FERRY_TEST_TCP_PDU_MAKER_H

#include "tcp/pdu.h"

#define PDU_MAKER_BYTES (1u << 20)

struct pdu_maker {
	uint8_t *bytes; /* PDU_MAKER_BYTES of the caller's */
	size_t used;
	bool has_header_digest, has_data_digest;
	uint8_t alignment_pda;
};

/** Append a PDU of @data_bytes bytes of data; of @header only what the type itself defines need be
 *  set, and flags but for those of digests. */
void pdu_maker_add(struct pdu_maker *maker, void *header, const void *data, size_t data_bytes);

/** ICReq, which asks for the digests that the maker makes. */
void pdu_maker_add_ic_request(struct pdu_maker *maker, uint8_t hpda);
void pdu_maker_add_command(struct pdu_maker *maker, const struct nvme_command *command,
	const void *data, size_t data_bytes);
void pdu_maker_add_data(struct pdu_maker *maker, const struct pdu_data *header, const void *data);

#endif
