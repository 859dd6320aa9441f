/*
 * sysproxy as bytes: protocol 0.4 of the rump kernels and Ferry's extension of it, version 1. The
 * whole protocol is told in doc/sysproxy-protocol.md; here are its structures, numbers and limits.
 *
 * A connection is a sequence of frames. Each begins with a header; the numbers of requests are the
 * sender's own, a response or an error bears the number of what it answers. 0.4 knows one connection
 * a process, on which everything may be outstanding at once. With the extension the first connection
 * of a process is its *session*; further ones are *lanes*, each with at most one call in progress.
 *
 * 0.4 is in the byte order of the machine; all machines this runs on are little-endian.
 */
#ifndef FERRY_SYSPROXY_WIRE_H
#define FERRY_SYSPROXY_WIRE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum wire_class {
	WIRE_REQUEST,
	WIRE_RESPONSE,
	WIRE_ERROR,
};

/* Types of a request; its response has the same but where said. */
enum wire_type {
	/* 0.4 */
	WIRE_HANDSHAKE = 0,  /* client: aux is an enum wire_handshake */
	WIRE_SYSCALL = 1,    /* client: aux is the number of the call */
	WIRE_COPYIN = 2,     /* server: struct wire_copy */
	WIRE_COPYINSTR = 3,  /* server: struct wire_copy; stock clients respond as to COPYIN */
	WIRE_COPYOUT = 4,    /* server: struct wire_copy and the data; no response */
	WIRE_COPYOUTSTR = 5, /* server: as COPYOUT; never sent */
	WIRE_ANONMMAP = 6,   /* server: struct wire_anonmmap */
	WIRE_PREFORK = 7,    /* client */
	WIRE_RAISE = 8,      /* server: aux is the signal; no response */
	/* the extension: only after the server's banner has announced it */
	WIRE_HELLO = 64,          /* client: struct wire_hello; the first frame of a connection */
	WIRE_CALL = 65,           /* client: struct wire_call..., aux is the number of the call */
	WIRE_CALL_COPYIN = 66,    /* server: struct wire_call_copy */
	WIRE_CALL_COPYINSTR = 67, /* server: struct wire_call_copy */
	WIRE_CALL_COPYOUT = 68,   /* server: struct wire_call_copy and the data */
	WIRE_CALL_ANONMMAP =
		69,       /* server: struct wire_call_copy, of which the address means nothing */
	WIRE_CANCEL = 70, /* client, on the session: struct wire_cancel; no response */
	WIRE_LANE = 71,   /* client: struct wire_lane; what follows HELLO instead of HANDSHAKE */
			  /* 96..127: events, sent by the server on a session */
};

enum wire_handshake {
	WIRE_GUEST = 0, /* the program's name, with NUL */
	WIRE_AUTH = 1,  /* never implemented by anybody */
	WIRE_FORK = 2,  /* struct wire_fork */
	WIRE_EXEC = 3,  /* the program's name, with NUL */
};

/* aux of WIRE_ERROR. In brackets what a client makes of it. */
enum wire_error {
	WIRE_ERROR_NONE = 0,
	WIRE_ERROR_TRY_AGAIN = 1,       /* no memory now, ask again [EAGAIN] */
	WIRE_ERROR_AUTH = 2,            /* no handshake yet, or nobody who may [EPERM] */
	WIRE_ERROR_INVALID_PREFORK = 3, /* no such cookie [ESRCH] */
	WIRE_ERROR_RFORK_FAILED = 4,    /* [EIO] */
	WIRE_ERROR_IN_EXEC = 5,         /* an exec is under way [EBUSY] */
	WIRE_ERROR_NO_MEMORY = 6,       /* a limit is reached [ENOMEM] */
	WIRE_ERROR_MALFORMED = 7,       /* [EINVAL] */
};

struct wire_header {
	le64 bytes; /* of the frame, this header included */
	le64 number;
	le16 class;
	le16 type;
	le32 aux;
};
#define WIRE_HEADER_BYTES 24u
static_assert(sizeof(struct wire_header) == WIRE_HEADER_BYTES, "");
static_assert(offsetof(struct wire_header, class) == 16, "");

/* Named limits. A peer that exceeds one is answered MALFORMED or dropped before anything is
 * allocated on its account. */
#define WIRE_BANNER_MAX    95u             /* bytes, the newline included */
#define WIRE_NAME_MAX      4096u           /* of a program, with NUL */
#define WIRE_ARGUMENTS_MAX 16u             /* 8-byte slots of a call */
#define WIRE_RANGES_MAX    1024u           /* that one call declares; readv takes as many */
#define WIRE_CARRIED_MAX   (1u << 20)      /* bytes carried by a call, and by its reply */
#define WIRE_COPY_MAX      (1u << 20)      /* bytes that one copy frame moves */
#define WIRE_REPLIED_MAX   WIRE_RANGES_MAX /* pieces of a reply */

/* 0.4 */

struct wire_handshake_reply {
	le32 error; /* 0 */
};

struct wire_cookie {
	uint8_t bytes[16];
};

struct wire_fork {
	struct wire_cookie cookie;
	le32 is_cancelled; /* not 0: the prefork is not wanted; no reply, the server hangs up */
};
static_assert(sizeof(struct wire_fork) == 20, "");

struct wire_syscall_reply {
	le32 error; /* errno in the kernel's numbers, 0: success */
	le32 zero;
	le64 values[2];
};
static_assert(sizeof(struct wire_syscall_reply) == 24, "");

struct wire_copy {
	le64 bytes; /* of COPYINSTR: at most */
	le64 address;
};
static_assert(sizeof(struct wire_copy) == 16, "");

struct wire_anonmmap {
	le64 bytes;
};

struct wire_anonmmap_reply {
	le64 address; /* 0: failed */
};

/* The extension */

#define WIRE_VERSION 1u

/* HELLO, both ways. The server's answer has what it will keep to; a field more than the peer knows
 * is passed over by its length. */
struct wire_hello {
	le32 version;     /* WIRE_VERSION */
	le32 features;    /* WIRE_FEATURE_ bits: wished for; in the response: granted */
	le32 carried_max; /* bytes, at most WIRE_CARRIED_MAX */
	le32 ranges_max;  /* at most WIRE_RANGES_MAX */
	le32 lanes_max;   /* of one process, in the response */
	le32 calls_max;   /* outstanding on a session at one time, in the response */
	char machine[16]; /* as uname: both ends must have the same; NUL-padded */
};
static_assert(sizeof(struct wire_hello) == 40, "");

#define WIRE_FEATURE_EVENTS 0x1u /* frames of types 96..127 */

/* What GUEST, FORK and EXEC are answered with after a HELLO. */
struct wire_session_reply {
	le32 error; /* 0 */
	le32 zero;
	le64 process_id;         /* the kernel's */
	struct wire_cookie lane; /* names this process to WIRE_LANE; an EXEC changes it */
};
static_assert(sizeof(struct wire_session_reply) == 32, "");

struct wire_lane {
	struct wire_cookie lane;
	le64 id; /* the client's name for the lane, for WIRE_CANCEL: not 0, not in use */
};
static_assert(sizeof(struct wire_lane) == 24, "");

/*
 * A call:      header, struct wire_call, argument_count le64, range_count struct wire_range, and the
 *              carried bytes of the ranges in their order, nothing between them.
 * Its reply:   header, struct wire_call_reply, piece_count struct wire_piece, and the bytes of the
 *              pieces in their order. On a failed call there may be pieces too.
 */
struct wire_call {
	le16 argument_count;
	le16 range_count;
	le32 zero;
};
static_assert(sizeof(struct wire_call) == 8, "");

/* Memory of the client that the call is about: the server may touch no other, but what ANONMMAP made in
 * the course of the call, which is both IN and OUT as long as the call lasts. */
struct wire_range {
	le64 address;
	le64 bytes;
	le32 flags;         /* WIRE_RANGE_ bits */
	le32 carried_bytes; /* of its beginning, that follow; only of one that is IN; at most bytes */
};
static_assert(sizeof(struct wire_range) == 24, "");

#define WIRE_RANGE_IN  0x1u /* the server may read it */
#define WIRE_RANGE_OUT 0x2u /* the server may write it; the client has probed that it can be */

struct wire_call_reply {
	le32 error; /* as in struct wire_syscall_reply */
	le32 piece_count;
	le64 values[2];
};
static_assert(sizeof(struct wire_call_reply) == 24, "");

/* Bytes that go to @offset of a range that is OUT, wholly within it. */
struct wire_piece {
	le32 range_index;
	le32 bytes;
	le64 offset;
};
static_assert(sizeof(struct wire_piece) == 16, "");

/* A copy in the midst of a call. */
struct wire_call_copy {
	le64 call; /* number of the WIRE_CALL in progress on this connection */
	le64 address;
	le64 bytes; /* of COPYINSTR: at most */
};
static_assert(sizeof(struct wire_call_copy) == 24, "");

/* Its response; after a COPYIN or COPYINSTR without error the data follow: all bytes asked for, or a
 * string to its NUL, or as many bytes without one as were allowed. */
struct wire_call_copy_reply {
	le32 error; /* Linux's errno: EFAULT, ENOMEM; 0: success */
	le32 zero;
	le64 address; /* of ANONMMAP */
};
static_assert(sizeof(struct wire_call_copy_reply) == 16, "");

/* A call is no longer worth waiting for: it ends soon, with EINTR or with what it had already done.
 * What names no call in progress is passed over. */
struct wire_cancel {
	le64 lane; /* 0: the session */
	le64 call; /* its number */
};
static_assert(sizeof(struct wire_cancel) == 16, "");

/* The longest frames, by who sends them. */
#define WIRE_CALL_MAX                                                             \
	(WIRE_HEADER_BYTES + sizeof(struct wire_call) + 8u * WIRE_ARGUMENTS_MAX + \
		sizeof(struct wire_range) * WIRE_RANGES_MAX + WIRE_CARRIED_MAX)
#define WIRE_REPLY_MAX                                        \
	(WIRE_HEADER_BYTES + sizeof(struct wire_call_reply) + \
		sizeof(struct wire_piece) * WIRE_REPLIED_MAX + WIRE_CARRIED_MAX)
#define WIRE_FRAME_MAX (WIRE_CALL_MAX > WIRE_REPLY_MAX ? WIRE_CALL_MAX : WIRE_REPLY_MAX)

/* A header as numbers. */
struct wire_frame {
	uint64_t bytes; /* of the frame */
	uint64_t number;
	uint32_t aux;
	uint16_t class;
	uint16_t type;
};

/** @return a header's numbers; nothing is checked. */
struct wire_frame wire_frame_of(const struct wire_header *header);

/** Write a header. @param payload_bytes what follows it */
void wire_header_put(struct wire_header *ret_header, const struct wire_frame *frame,
	size_t payload_bytes);

/** Whether a frame of this header may be received at all, judged by what its sender may say:
 *  class, type and length. @return 0, or the error to answer with; of a frame that is too short to
 *  be one, or too long to be passed over, -EPROTO: hang up. */
int wire_check_from_client(const struct wire_frame *frame, bool is_extended)
	__attribute__((warn_unused_result));

/** As above, of a server. @return 0 or -EPROTO. */
int wire_check_from_server(const struct wire_frame *frame, bool is_extended)
	__attribute__((warn_unused_result));

/* A call taken apart; all of it lies in the frame. */
struct wire_call_view {
	const uint8_t *arguments; /* argument_count le64 */
	const uint8_t *ranges;    /* range_count struct wire_range */
	const uint8_t *carried;
	size_t carried_bytes;
	uint16_t argument_count;
	uint16_t range_count;
};

/** Take the payload of a WIRE_CALL apart: counts, flags, carried bytes against lengths, no range
 *  that wraps around. @return 0 or -EPROTO. */
int wire_call_parse(const void *payload, size_t bytes, struct wire_call_view *ret_view)
	__attribute__((warn_unused_result));

struct wire_reply_view {
	uint64_t values[2];
	const uint8_t *pieces; /* piece_count struct wire_piece */
	const uint8_t *data;
	size_t data_bytes;
	uint32_t error;
	uint32_t piece_count;
};

/** Take the payload of a response to WIRE_CALL apart; whether the pieces lie in ranges is the
 *  caller's to check. @return 0 or -EPROTO. */
int wire_reply_parse(const void *payload, size_t bytes, struct wire_reply_view *ret_view)
	__attribute__((warn_unused_result));

#endif
