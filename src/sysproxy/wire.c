/*
 * The rules of the frames are tables: for each class and sender a row a type.
 */
#include "sysproxy/wire.h"

#include <errno.h>

#include "base/reader.h"

struct wire_frame wire_frame_of(const struct wire_header *header)
{
	return (struct wire_frame){
		.bytes = le64_get(header->bytes),
		.number = le64_get(header->number),
		.aux = le32_get(header->aux),
		.class = le16_get(header->class),
		.type = le16_get(header->type),
	};
}

void wire_header_put(struct wire_header *ret_header, const struct wire_frame *frame,
	size_t payload_bytes)
{
	*ret_header = (struct wire_header){
		.bytes = le64_of(WIRE_HEADER_BYTES + payload_bytes),
		.number = le64_of(frame->number),
		.class = le16_of(frame->class),
		.type = le16_of(frame->type),
		.aux = le32_of(frame->aux),
	};
}

/* What a frame of one class and type may be, header not counted. */
struct rule {
	uint32_t bytes_min;
	uint32_t bytes_max; /* 0 with bytes_min 0: no payload */
	bool is_extension;
	bool is_known;
};

#define RULE(min, max)                                                   \
	{                                                                \
		.bytes_min = (min), .bytes_max = (max), .is_known = true \
	}
#define EXTENSION(min, max)                                                                    \
	{                                                                                      \
		.bytes_min = (min), .bytes_max = (max), .is_known = true, .is_extension = true \
	}

#define RULE_COUNT (WIRE_LANE + 1)
#define CALL_COPY  sizeof(struct wire_call_copy)
#define COPY_REPLY sizeof(struct wire_call_copy_reply)

static const struct rule client_requests[RULE_COUNT] = {
	/* What a handshake of each kind has is the greeting's to check. */
	[WIRE_HANDSHAKE] = RULE(0, WIRE_NAME_MAX),
	[WIRE_SYSCALL] = RULE(0, 8 * WIRE_ARGUMENTS_MAX),
	[WIRE_PREFORK] = RULE(0, 0),
	[WIRE_HELLO] = EXTENSION(sizeof(struct wire_hello), WIRE_NAME_MAX),
	[WIRE_CALL] = EXTENSION(sizeof(struct wire_call), WIRE_CALL_MAX - WIRE_HEADER_BYTES),
	[WIRE_CANCEL] = EXTENSION(sizeof(struct wire_cancel), sizeof(struct wire_cancel)),
	[WIRE_LANE] = EXTENSION(sizeof(struct wire_lane), sizeof(struct wire_lane)),
};

static const struct rule client_responses[RULE_COUNT] = {
	[WIRE_COPYIN] = RULE(0, WIRE_COPY_MAX),
	[WIRE_COPYINSTR] = RULE(0, WIRE_COPY_MAX),
	[WIRE_ANONMMAP] =
		RULE(sizeof(struct wire_anonmmap_reply), sizeof(struct wire_anonmmap_reply)),
	[WIRE_CALL_COPYIN] = EXTENSION(COPY_REPLY, COPY_REPLY + WIRE_COPY_MAX),
	[WIRE_CALL_COPYINSTR] = EXTENSION(COPY_REPLY, COPY_REPLY + WIRE_COPY_MAX),
	[WIRE_CALL_COPYOUT] = EXTENSION(COPY_REPLY, COPY_REPLY),
	[WIRE_CALL_ANONMMAP] = EXTENSION(COPY_REPLY, COPY_REPLY),
};

static const struct rule server_requests[RULE_COUNT] = {
	[WIRE_COPYIN] = RULE(sizeof(struct wire_copy), sizeof(struct wire_copy)),
	[WIRE_COPYINSTR] = RULE(sizeof(struct wire_copy), sizeof(struct wire_copy)),
	[WIRE_COPYOUT] = RULE(sizeof(struct wire_copy), sizeof(struct wire_copy) + WIRE_COPY_MAX),
	[WIRE_COPYOUTSTR] =
		RULE(sizeof(struct wire_copy), sizeof(struct wire_copy) + WIRE_COPY_MAX),
	[WIRE_ANONMMAP] = RULE(sizeof(struct wire_anonmmap), sizeof(struct wire_anonmmap)),
	[WIRE_RAISE] = RULE(0, 0),
	[WIRE_CALL_COPYIN] = EXTENSION(CALL_COPY, CALL_COPY),
	[WIRE_CALL_COPYINSTR] = EXTENSION(CALL_COPY, CALL_COPY),
	[WIRE_CALL_COPYOUT] = EXTENSION(CALL_COPY, CALL_COPY + WIRE_COPY_MAX),
	[WIRE_CALL_ANONMMAP] = EXTENSION(CALL_COPY, CALL_COPY),
};

static const struct rule server_responses[RULE_COUNT] = {
	[WIRE_HANDSHAKE] =
		RULE(sizeof(struct wire_handshake_reply), sizeof(struct wire_session_reply)),
	[WIRE_SYSCALL] = RULE(sizeof(struct wire_syscall_reply), sizeof(struct wire_syscall_reply)),
	[WIRE_PREFORK] = RULE(sizeof(struct wire_cookie), sizeof(struct wire_cookie)),
	[WIRE_HELLO] = EXTENSION(sizeof(struct wire_hello), WIRE_NAME_MAX),
	[WIRE_CALL] = EXTENSION(sizeof(struct wire_call_reply), WIRE_REPLY_MAX - WIRE_HEADER_BYTES),
	[WIRE_LANE] =
		EXTENSION(sizeof(struct wire_handshake_reply), sizeof(struct wire_handshake_reply)),
};

static bool fits(const struct rule *rules, const struct wire_frame *frame, bool is_extended)
{
	const struct rule *rule;
	uint64_t payload_bytes = frame->bytes - WIRE_HEADER_BYTES;

	if (frame->type >= RULE_COUNT)
		return false;
	rule = &rules[frame->type];
	return rule->is_known && (is_extended || !rule->is_extension) &&
		payload_bytes >= rule->bytes_min && payload_bytes <= rule->bytes_max;
}

int wire_check_from_client(const struct wire_frame *frame, bool is_extended)
{
	if (frame->bytes < WIRE_HEADER_BYTES || frame->bytes > WIRE_FRAME_MAX)
		return -EPROTO;
	switch (frame->class) {
	case WIRE_REQUEST:
		return fits(client_requests, frame, is_extended) ? 0 : WIRE_ERROR_MALFORMED;
	case WIRE_RESPONSE:
		return fits(client_responses, frame, is_extended) ? 0 : WIRE_ERROR_MALFORMED;
	default:
		return WIRE_ERROR_MALFORMED;
	}
}

int wire_check_from_server(const struct wire_frame *frame, bool is_extended)
{
	bool is_legal = false;

	if (frame->bytes < WIRE_HEADER_BYTES || frame->bytes > WIRE_FRAME_MAX)
		return -EPROTO;
	switch (frame->class) {
	case WIRE_REQUEST:
		is_legal = fits(server_requests, frame, is_extended);
		break;
	case WIRE_RESPONSE:
		is_legal = fits(server_responses, frame, is_extended);
		break;
	case WIRE_ERROR:
		is_legal = frame->bytes == WIRE_HEADER_BYTES;
		break;
	default:
		break;
	}
	return is_legal ? 0 : -EPROTO;
}

/* @return whether all ranges are well-formed, with the bytes that they carry in all. */
static bool check_ranges(const struct wire_call_view *view, size_t *ret_carried_bytes)
{
	size_t carried_bytes = 0;

	for (unsigned i = 0; i < view->range_count; i++) {
		struct wire_range range;
		uint64_t bytes;
		uint32_t carried, flags;

		memcpy(&range, view->ranges + i * sizeof(range), sizeof(range));
		bytes = le64_get(range.bytes);
		carried = le32_get(range.carried_bytes);
		flags = le32_get(range.flags);
		if (flags == 0 || (flags & ~(WIRE_RANGE_IN | WIRE_RANGE_OUT)) != 0 ||
			bytes > UINT64_MAX - le64_get(range.address) || carried > bytes ||
			carried > WIRE_CARRIED_MAX || (carried > 0 && (flags & WIRE_RANGE_IN) == 0))
			return false;
		carried_bytes += carried;
	}
	*ret_carried_bytes = carried_bytes;
	return true;
}

int wire_call_parse(const void *payload, size_t bytes, struct wire_call_view *ret_view)
{
	struct reader reader = reader_over(payload, bytes);
	struct wire_call_view view = {
		.argument_count = reader_le16(&reader),
		.range_count = reader_le16(&reader),
	};
	uint32_t zero = reader_le32(&reader);

	if (view.argument_count > WIRE_ARGUMENTS_MAX || view.range_count > WIRE_RANGES_MAX ||
		zero != 0)
		return -EPROTO;
	view.arguments = reader_bytes(&reader, sizeof(le64) * view.argument_count);
	view.ranges = reader_bytes(&reader, sizeof(struct wire_range) * view.range_count);
	if (!reader_is_ok(&reader) || !check_ranges(&view, &view.carried_bytes) ||
		view.carried_bytes > WIRE_CARRIED_MAX)
		return -EPROTO;
	view.carried = reader_bytes(&reader, view.carried_bytes);
	if (!reader_is_finished(&reader))
		return -EPROTO;
	*ret_view = view;
	return 0;
}

int wire_reply_parse(const void *payload, size_t bytes, struct wire_reply_view *ret_view)
{
	struct reader reader = reader_over(payload, bytes);
	struct wire_reply_view view = {0};

	view.error = reader_le32(&reader);
	view.piece_count = reader_le32(&reader);
	view.values[0] = reader_le64(&reader);
	view.values[1] = reader_le64(&reader);
	if (view.piece_count > WIRE_REPLIED_MAX || view.error > INT32_MAX)
		return -EPROTO;
	view.pieces = reader_bytes(&reader, sizeof(struct wire_piece) * view.piece_count);
	if (!reader_is_ok(&reader))
		return -EPROTO;
	for (unsigned i = 0; i < view.piece_count; i++) {
		struct wire_piece piece;

		memcpy(&piece, view.pieces + i * sizeof(piece), sizeof(piece));
		view.data_bytes += le32_get(piece.bytes);
	}
	view.data = reader_bytes(&reader, view.data_bytes);
	if (!reader_is_finished(&reader) || view.data_bytes > WIRE_CARRIED_MAX)
		return -EPROTO;
	*ret_view = view;
	return 0;
}
