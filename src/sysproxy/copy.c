/*
 * Frames of copies and what may answer them, of 0.4 and of the extension.
 */
#include "sysproxy/copy.h"

#include <errno.h>
#include <string.h>

static bool is_extended(const struct copy *copy)
{
	return copy->type >= WIRE_CALL_COPYIN;
}

size_t copy_frame(const struct copy *copy, uint64_t number, uint8_t ret_frame[COPY_FRAME_MAX])
{
	const struct wire_frame frame = {
		.number = number,
		.class = WIRE_REQUEST,
		.type = copy->type,
	};
	struct wire_header header;
	size_t bytes;

	if (is_extended(copy)) {
		struct wire_call_copy request = {
			.call = le64_of(copy->call),
			.address = le64_of(copy->address),
			.bytes = le64_of(copy->bytes),
		};

		bytes = sizeof(request);
		memcpy(ret_frame + WIRE_HEADER_BYTES, &request, bytes);
	} else if (copy->type == WIRE_ANONMMAP) {
		struct wire_anonmmap request = {.bytes = le64_of(copy->bytes)};

		bytes = sizeof(request);
		memcpy(ret_frame + WIRE_HEADER_BYTES, &request, bytes);
	} else {
		struct wire_copy request = {
			.bytes = le64_of(copy->bytes),
			.address = le64_of(copy->address),
		};

		bytes = sizeof(request);
		memcpy(ret_frame + WIRE_HEADER_BYTES, &request, bytes);
	}
	wire_header_put(&header, &frame, bytes + copy_data_bytes(copy));
	memcpy(ret_frame, &header, sizeof(header));
	return WIRE_HEADER_BYTES + bytes;
}

size_t copy_head_bytes(const struct copy *copy)
{
	if (is_extended(copy))
		return sizeof(struct wire_call_copy_reply);
	return copy->type == WIRE_ANONMMAP ? sizeof(struct wire_anonmmap_reply) : 0;
}

static bool has_data(const struct copy *copy)
{
	return copy->type == WIRE_COPYIN || copy->type == WIRE_COPYINSTR ||
		copy->type == WIRE_CALL_COPYIN || copy->type == WIRE_CALL_COPYINSTR;
}

bool copy_takes(const struct copy *copy, uint64_t payload_bytes)
{
	size_t head_bytes = copy_head_bytes(copy);

	return payload_bytes >= head_bytes &&
		payload_bytes - head_bytes <= (has_data(copy) ? copy->bytes : 0);
}

/* The error that the head of an extended answer tells. */
static int head_error(const struct copy *copy)
{
	uint32_t error = le32_load(copy->head);

	if (error == 0)
		return 0;
	return error == ENOMEM && copy->type == WIRE_CALL_ANONMMAP ? -ENOMEM : -EFAULT;
}

void copy_answered(struct copy *copy, size_t payload_bytes)
{
	size_t data_bytes = payload_bytes - copy_head_bytes(copy);

	copy->error = is_extended(copy) ? head_error(copy) : 0;
	if (copy->error != 0)
		return;
	copy->ret_bytes = data_bytes;
	switch (copy->type) {
	case WIRE_COPYIN:
	case WIRE_CALL_COPYIN:
		if (data_bytes != copy->bytes)
			copy->error = -EFAULT;
		break;
	case WIRE_COPYINSTR:
	case WIRE_CALL_COPYINSTR:
		if (data_bytes == 0)
			copy->error = -EFAULT;
		break;
	case WIRE_ANONMMAP:
		copy->ret_address = le64_load(copy->head);
		break;
	case WIRE_CALL_ANONMMAP:
		copy->ret_address =
			le64_load(copy->head + offsetof(struct wire_call_copy_reply, address));
		break;
	default:
		break;
	}
	if ((copy->type == WIRE_ANONMMAP || copy->type == WIRE_CALL_ANONMMAP) &&
		copy->ret_address == 0)
		copy->error = -ENOMEM;
}
