/*
 * Elements of a vector that lie one after the other in memory become one range: a vector of as many
 * elements as Linux takes has one range too many otherwise.
 */
#include "call/ranges.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "call/extent.h"
#include "call/peek.h"

#define PIECE_COUNT 16u /* elements of a vector that are looked at together */

static int add(struct call_ranges *ranges, uint64_t address, uint64_t bytes, unsigned flags)
{
	struct call_range *last = ranges->count > 0 ? &ranges->items[ranges->count - 1] : NULL;

	if (address == 0 || bytes == 0)
		return 0;
	if (last != NULL && last->flags == flags && last->address + last->bytes == address &&
		bytes <= CALL_BYTES_MAX - last->bytes) {
		last->bytes += bytes;
		return 0;
	}
	if (ranges->count == ranges->limit)
		return -ENOBUFS;
	ranges->items[ranges->count++] = (struct call_range){address, bytes, flags};
	return 0;
}

static int add_string(struct call_ranges *ranges, uint64_t address, size_t limit)
{
	size_t bytes;

	if (address == 0)
		return 0;
	return call_peek_string(address, limit, &bytes) != 0
		? -EFAULT
		: add(ranges, address, bytes, CALL_RANGE_IN);
}

/* Add @count elements that have been copied here. @left_bytes: of them all, no more are moved. */
static int add_elements(struct call_ranges *ranges, const struct iovec *elements, size_t count,
	unsigned flags, uint64_t *left_bytes)
{
	int error = 0;

	for (size_t i = 0; i < count && error == 0; i++) {
		uint64_t bytes =
			elements[i].iov_len < *left_bytes ? elements[i].iov_len : *left_bytes;

		*left_bytes -= bytes;
		error = add(ranges, (uintptr_t)elements[i].iov_base, bytes, flags);
	}
	return error;
}

/* A vector of @count elements, which lies at @address, and what they point at. One that is too long is
 * left out. */
static int add_vector(struct call_ranges *ranges, uint64_t address, uint64_t count, unsigned flags)
{
	uint64_t left_bytes = CALL_BYTES_MAX;
	int error;

	if (address == 0 || count > CALL_VECTORS_MAX)
		return 0;
	error = add(ranges, address, count * sizeof(struct iovec), CALL_RANGE_IN);
	while (error == 0 && count > 0) {
		struct iovec elements[PIECE_COUNT];
		size_t piece = count < PIECE_COUNT ? (size_t)count : PIECE_COUNT;

		if (call_peek(elements, address, piece * sizeof(elements[0])) != 0)
			return -EFAULT;
		error = add_elements(ranges, elements, piece, flags, &left_bytes);
		address += piece * sizeof(elements[0]);
		count -= piece;
	}
	return error;
}

/* What the message @header, itself declared already, points at. */
static int add_message_parts(struct call_ranges *ranges, const struct msghdr *header, bool is_sent)
{
	unsigned flags = is_sent ? CALL_RANGE_IN : CALL_RANGE_OUT;
	/* A negative length Linux refuses. */
	uint64_t name_bytes = header->msg_namelen <= CALL_ADDRESS_MAX ? header->msg_namelen
		: (int32_t)header->msg_namelen < 0                    ? 0
								      : CALL_ADDRESS_MAX;
	uint64_t control_bytes = header->msg_controllen < CALL_CONTROL_MAX ? header->msg_controllen
									   : CALL_CONTROL_MAX;
	int error = add(ranges, (uintptr_t)header->msg_name, name_bytes, flags);

	if (error == 0)
		error = add(ranges, (uintptr_t)header->msg_control, control_bytes, flags);
	return error == 0
		? add_vector(ranges, (uintptr_t)header->msg_iov, header->msg_iovlen, flags)
		: error;
}

static int add_message(struct call_ranges *ranges, uint64_t address, bool is_sent)
{
	struct msghdr header = {0};
	int error;

	if (address == 0)
		return 0;
	if (call_peek(&header, address, sizeof(header)) != 0)
		return -EFAULT;
	error = add(ranges, address, sizeof(header),
		is_sent ? CALL_RANGE_IN : CALL_RANGE_IN | CALL_RANGE_OUT);
	return error == 0 ? add_message_parts(ranges, &header, is_sent) : error;
}

/* As many of *@count messages as fit. Where memory ends those before are taken, as Linux does. */
static int add_messages(struct call_ranges *ranges, uint64_t address, uint64_t *count, bool is_sent)
{
	unsigned vector = ranges->count;
	uint64_t done = 0;
	int error = 0;

	if (address == 0 || *count == 0)
		return 0;
	/* The range of the vector itself comes first; how long it is shows at the end. */
	error = add(ranges, address, 1, CALL_RANGE_IN | CALL_RANGE_OUT);
	while (error == 0 && done < *count) {
		unsigned before = ranges->count;
		struct mmsghdr message;

		error = call_peek(&message, address + done * sizeof(message), sizeof(message));
		if (error == 0)
			error = add_message_parts(ranges, &message.msg_hdr, is_sent);
		if (error == 0)
			done++;
		else
			ranges->count = before;
	}
	if (done == 0)
		return error;
	ranges->items[vector].bytes = done * sizeof(struct mmsghdr);
	*count = done;
	return 0;
}

/* Memory whose length is a uint32_t in memory. One that is no number of bytes, Linux will refuse. */
static int add_sized(struct call_ranges *ranges, const struct call_extent *extent, uint64_t address,
	uint64_t size_address)
{
	int32_t room;

	if (address == 0 || size_address == 0)
		return 0;
	if (call_peek(&room, size_address, sizeof(room)) != 0)
		return -EFAULT;
	if (room <= 0)
		return 0;
	return add(ranges, address, (uint64_t)room < extent->bytes ? (uint64_t)room : extent->bytes,
		CALL_RANGE_OUT);
}

/* The size itself: not looked at by Linux if there is no room that it is about. */
static int add_size(struct call_ranges *ranges, uint64_t address, uint64_t room_address)
{
	uint32_t size;

	if (address == 0 || (room_address == 0 && call_peek(&size, address, sizeof(size)) != 0))
		return 0;
	return add(ranges, address, sizeof(size), CALL_RANGE_IN | CALL_RANGE_OUT);
}

/* @return the flags of memory of this class. */
static unsigned flags_of(enum call_class class)
{
	if (class == CALL_IN_OUT)
		return CALL_RANGE_IN | CALL_RANGE_OUT;
	return class == CALL_IN || class == CALL_VECTOR_IN ? CALL_RANGE_IN : CALL_RANGE_OUT;
}

static int add_argument(struct call_ranges *ranges, const struct call_argument *argument,
	const struct call_extent *extent, uint64_t *arguments, unsigned index)
{
	uint64_t address = arguments[index];

	switch (extent->class) {
	case CALL_SCALAR:
	case CALL_FD:
	case CALL_DIRFD:
	case CALL_SIGNALS:
	case CALL_SELECTED:
		return 0;
	case CALL_PATH:
	case CALL_STRING:
		return add_string(ranges, address, (size_t)extent->bytes);
	case CALL_IN:
	case CALL_OUT:
	case CALL_IN_OUT:
		if (extent->is_sized)
			return add_sized(ranges, extent, address, arguments[extent->size_index]);
		return add(ranges, address, extent->bytes, flags_of(extent->class));
	case CALL_SIZE:
		return add_size(ranges, address, arguments[index - 1]);
	case CALL_VECTOR_IN:
	case CALL_VECTOR_OUT:
		return add_vector(ranges, address, extent->bytes / sizeof(struct iovec),
			flags_of(extent->class));
	case CALL_MESSAGE_IN:
	case CALL_MESSAGE_OUT:
		return add_message(ranges, address, extent->class == CALL_MESSAGE_IN);
	case CALL_MESSAGES_IN:
	case CALL_MESSAGES_OUT:
		arguments[argument->length] = extent->bytes / sizeof(struct mmsghdr);
		return add_messages(ranges, address, &arguments[argument->length],
			extent->class == CALL_MESSAGES_IN);
	}
	return 0;
}

int call_ranges(const struct call_row *row, uint64_t arguments[CALL_ARGUMENTS_MAX],
	struct call_ranges *ranges)
{
	int error = 0;

	for (unsigned i = 0; i < row->argument_count && error == 0; i++) {
		struct call_extent extent;

		if (call_extent(row, arguments, i, &extent) == 0)
			error = add_argument(ranges, &row->arguments[i], &extent, arguments, i);
	}
	return error;
}
