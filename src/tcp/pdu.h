/*
 * PDUs of the NVMe/TCP transport: their layout, the check that each one passes before a field of it
 * is believed, and their encoding (NVMe/TCP 1.0, 3.6; section numbers of the TCP Transport
 * Specification revision 1.0).
 *
 *   common header    OFFSET SIZE  MEANING
 *                    0      1     type
 *                    1      1     flags: 1 HDGSTF, 2 DDGSTF, 4 LAST_PDU, 8 SUCCESS
 *                    2      1     hlen: bytes of the header, without digest
 *                    3      1     pdo: offset of the data, 0 without data
 *                    4      4     plen: bytes of header, digests, padding and data
 *
 *   data PDU         header[hlen] HDGST? PAD data DDGST?
 */
#ifndef FERRY_TCP_PDU_H
#define FERRY_TCP_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "nvme/command.h"
#include "nvme/completion.h"

enum pdu_type {
	PDU_IC_REQUEST = 0x00,
	PDU_IC_RESPONSE = 0x01,
	PDU_H2C_TERMINATE = 0x02,
	PDU_C2H_TERMINATE = 0x03,
	PDU_COMMAND = 0x04,
	PDU_RESPONSE = 0x05,
	PDU_H2C_DATA = 0x06,
	PDU_C2H_DATA = 0x07,
	PDU_R2T = 0x09,
};

enum {
	PDU_FLAG_HEADER_DIGEST = 1 << 0,
	PDU_FLAG_DATA_DIGEST = 1 << 1,
	PDU_FLAG_LAST = 1 << 2,
	PDU_FLAG_SUCCESS = 1 << 3,
};

enum {
	PDU_IC_FLAG_HEADER_DIGEST = 1 << 0, /* of the field dgst in ICReq and ICResp */
	PDU_IC_FLAG_DATA_DIGEST = 1 << 1,
};

#define PDU_DIGEST_BYTES        4u
#define PDU_ALIGNMENT_MAX       128 /* bytes: pda 31 */
#define PDU_PDA_MAX             31
#define PDU_HEADER_MAX          128
#define PDU_TERMINATE_BYTES_MAX (24 + PDU_HEADER_MAX)
#define PDU_MAXH2CDATA_MIN      4096

struct pdu_common {
	uint8_t type;
	uint8_t flags;
	uint8_t hlen;
	uint8_t pdo;
	le32 plen;
};
static_assert(sizeof(struct pdu_common) == 8, "common header");

struct pdu_ic_request {
	struct pdu_common common;
	le16 pfv;
	uint8_t hpda;
	uint8_t dgst;
	le32 maxr2t;
	uint8_t reserved[112];
};
static_assert(sizeof(struct pdu_ic_request) == 128, "ICReq");
static_assert(offsetof(struct pdu_ic_request, maxr2t) == 12, "ICReq MAXR2T");

struct pdu_ic_response {
	struct pdu_common common;
	le16 pfv;
	uint8_t cpda;
	uint8_t dgst;
	le32 maxh2cdata;
	uint8_t reserved[112];
};
static_assert(sizeof(struct pdu_ic_response) == 128, "ICResp");
static_assert(offsetof(struct pdu_ic_response, maxh2cdata) == 12, "ICResp MAXH2CDATA");

/* H2CTermReq and C2HTermReq; the header of the offending PDU follows. */
struct pdu_terminate {
	struct pdu_common common;
	le16 fes;
	uint8_t fei[4]; /* not aligned: a number at byte 10 */
	uint8_t reserved[10];
};
static_assert(sizeof(struct pdu_terminate) == 24, "TermReq");
static_assert(offsetof(struct pdu_terminate, fei) == 10, "TermReq FEI");

struct pdu_command {
	struct pdu_common common;
	struct nvme_command command;
};
static_assert(sizeof(struct pdu_command) == 72, "CapsuleCmd");

struct pdu_response {
	struct pdu_common common;
	struct nvme_completion completion;
};
static_assert(sizeof(struct pdu_response) == 24, "CapsuleResp");

/* H2CData and C2HData; a C2HData's ttag is reserved. */
struct pdu_data {
	struct pdu_common common;
	le16 cccid;
	le16 ttag;
	le32 datao;
	le32 datal;
	uint8_t reserved[4];
};
static_assert(sizeof(struct pdu_data) == 24, "H2CData and C2HData");
static_assert(offsetof(struct pdu_data, datal) == 16, "DATAL");

struct pdu_r2t {
	struct pdu_common common;
	le16 cccid;
	le16 ttag;
	le32 r2to;
	le32 r2tl;
	uint8_t reserved[4];
};
static_assert(sizeof(struct pdu_r2t) == 24, "R2T");
static_assert(offsetof(struct pdu_r2t, r2tl) == 16, "R2TL");

/* Fatal error status of a TermReq (3.6.2.5). */
enum pdu_fes {
	PDU_FES_NONE = 0,           /* no fault */
	PDU_FES_HEADER_FIELD = 1,   /* fei: byte offset of the field */
	PDU_FES_SEQUENCE = 2,       /* fei: 0 */
	PDU_FES_HEADER_DIGEST = 3,  /* fei: the digest received */
	PDU_FES_OUT_OF_RANGE = 4,   /* data transfer outside its range; fei: 0 */
	PDU_FES_LIMIT_EXCEEDED = 5, /* data transfer or R2T limit; fei: 0 */
	PDU_FES_UNSUPPORTED = 6,    /* parameter; fei: byte offset of the field */
};

/* How a peer broke the transport: the connection ends with it. */
struct pdu_fault {
	enum pdu_fes fes; /* PDU_FES_NONE: nothing is wrong */
	uint32_t fei;
};

/* The transport's rules for what one end receives, as negotiated. */
struct pdu_rules {
	bool is_controller; /* we are the controller: H2C types are legal */
	bool has_header_digest;
	bool has_data_digest;
	uint8_t alignment_pda; /* of data we receive: CPDA or HPDA, 0..31 (dwords, 0-based) */
	uint32_t
		capsule_data_max; /* bytes of in-capsule data that are read, then refused politely */
	uint32_t data_max;        /* bytes of data in one H2CData (MAXH2CDATA) or C2HData */
};

/* A checked PDU. */
struct pdu {
	enum pdu_type type;
	uint8_t flags;
	const uint8_t *header;  /* hlen bytes; valid during the call it is passed to */
	uint32_t header_bytes;  /* hlen */
	uint32_t padding_bytes; /* between header (with digest) and data */
	uint32_t data_bytes;
	bool has_data_digest; /* a digest follows the data */
};

/** Check the common header: what can be known from its 8 bytes, before more is awaited.
 *  @return no fault, or what to say in the TermReq (the lowest offending offset). */
struct pdu_fault pdu_check_common(const struct pdu_rules *rules, const struct pdu_common *common)
	__attribute__((warn_unused_result));

/** Check a whole header that passed pdu_check_common(), with its digest behind it if the rules have
 *  one, and describe it. @param header hlen bytes (plus 4) */
struct pdu_fault pdu_check(const struct pdu_rules *rules, const uint8_t *header,
	struct pdu *ret_pdu) __attribute__((warn_unused_result));

/** Bytes of a header that passed pdu_check_common(), its digest included. */
uint32_t pdu_header_bytes(const struct pdu_rules *rules, const struct pdu_common *common);

/** Fill a common header. @param flags digest flags are added by the caller */
void pdu_set_common(struct pdu_common *ret_common, enum pdu_type type, uint8_t hlen, uint8_t pdo,
	uint32_t plen);

/** Put the digest of the @header_bytes at @header behind them, where there is room for it. */
void pdu_put_header_digest(uint8_t *header, size_t header_bytes);

/** @return where data begin behind a header of @header_bytes, its digest included, for a receiver that
 *  wants them aligned by @pda. */
uint8_t pdu_data_offset(uint32_t header_bytes, uint8_t pda);

/** Make a TermReq for @fault at @header (@header_bytes of the offending PDU, at most 128 are sent).
 *  @return its length in bytes. */
size_t pdu_make_terminate(bool is_controller, struct pdu_fault fault, const uint8_t *header,
	size_t header_bytes, uint8_t ret_pdu[PDU_TERMINATE_BYTES_MAX]);

/** @return a sentence for a fatal error status, for messages. */
const char *pdu_fes_text(unsigned fes);

#endif
