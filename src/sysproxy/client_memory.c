/*
 * The server is not trusted: it reads and writes what the call in progress has declared, nothing else.
 * The program is not trusted to know its pointers either: what is no memory is EFAULT, not a crash.
 * Memory is probed by populating it (MADV_POPULATE_READ, _WRITE), which changes no byte.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "sysproxy/client_private.h"

/* Linux 5.14; older C libraries do not name them. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

static_assert(FERRY_SYSPROXY_IN == WIRE_RANGE_IN && FERRY_SYSPROXY_OUT == WIRE_RANGE_OUT, "");
static_assert(FERRY_SYSPROXY_ARGUMENTS_MAX == WIRE_ARGUMENTS_MAX, "");
static_assert(FERRY_SYSPROXY_RANGES_MAX == WIRE_RANGES_MAX, "");

/* On kernels that cannot populate, and for memory that cannot be: one byte of each page is read, and
 * for writing written back as it was. */
static bool probe_pages(uint8_t *first, const uint8_t *end, size_t page_bytes, bool is_write)
{
	for (uint8_t *at = first; at < end; at += page_bytes - ((uintptr_t)at & (page_bytes - 1))) {
		uint8_t byte;
		struct iovec here = {&byte, 1}, there = {at, 1};

		if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) != 1)
			return false;
		if (is_write && process_vm_writev(getpid(), &here, 1, &there, 1, 0) != 1)
			return false;
	}
	return true;
}

static bool probe(uintptr_t address, size_t bytes, bool is_write)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = address & ~(uintptr_t)(page_bytes - 1);

	if (bytes == 0)
		return true;
	if (address > UINTPTR_MAX - bytes)
		return false;
	if (madvise((void *)first, address + bytes - first,
		    is_write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0)
		return true;
	if (errno != EINVAL)
		return false;
	return probe_pages((uint8_t *)address, (const uint8_t *)address + bytes, page_bytes,
		is_write);
}

bool client_memory_is_writable(void *address, size_t bytes)
{
	return probe((uintptr_t)address, bytes, true);
}

bool client_memory_is_readable(const void *address, size_t bytes)
{
	return probe((uintptr_t)address, bytes, false);
}

/* How much of @range travels with the call, of @left_bytes that still may. */
static size_t carried_bytes(const struct ferry_sysproxy_range *range, size_t left_bytes)
{
	if ((range->flags & FERRY_SYSPROXY_IN) == 0)
		return 0;
	return range->bytes < left_bytes ? range->bytes : left_bytes;
}

int client_memory_check(const struct ferry_sysproxy_call *call, const struct client_grant *grant,
	bool is_in_checked)
{
	const unsigned flags = FERRY_SYSPROXY_IN | FERRY_SYSPROXY_OUT;

	if (call->argument_count > FERRY_SYSPROXY_ARGUMENTS_MAX ||
		call->range_count > grant->ranges_max)
		return -EINVAL;
	for (unsigned i = 0; i < call->range_count; i++) {
		const struct ferry_sysproxy_range *range = &call->ranges[i];
		size_t bytes =
			range->bytes < grant->carried_max ? range->bytes : grant->carried_max;

		if (range->flags == 0 || (range->flags & ~flags) != 0)
			return -EINVAL;
		if ((uintptr_t)range->address > UINTPTR_MAX - range->bytes)
			return -EFAULT;
		if ((range->flags & FERRY_SYSPROXY_OUT) != 0
				? !client_memory_is_writable(range->address, bytes)
				: is_in_checked &&
					!client_memory_is_readable(range->address, bytes))
			return -EFAULT;
	}
	return 0;
}

/* @return the end of @memory if @address lies in it, else NULL. */
static const uint8_t *end_of(const struct iovec *memory, uint64_t address)
{
	uint64_t start = (uintptr_t)memory->iov_base;

	return address >= start && address - start < memory->iov_len
		? (const uint8_t *)memory->iov_base + memory->iov_len
		: NULL;
}

const uint8_t *client_memory_end(const struct client_memory_scope *scope, uint64_t address,
	unsigned flag)
{
	const uint8_t *end = NULL;

	for (unsigned i = 0; i < scope->call->range_count && end == NULL; i++) {
		const struct ferry_sysproxy_range *range = &scope->call->ranges[i];

		if ((range->flags & flag) != 0)
			end = end_of(&(struct iovec){range->address, range->bytes}, address);
	}
	for (unsigned i = 0; i < scope->mapped_count && end == NULL; i++)
		end = end_of(&scope->mapped[i], address);
	return end;
}

/* The frame of a call */

int client_memory_request_init(struct client_memory_request *request,
	const struct ferry_sysproxy_call *call, uint64_t number, const struct client_grant *grant)
{
	bool is_extended = grant->is_extended;
	unsigned range_count = is_extended ? call->range_count : 0;
	struct wire_frame frame = {.number = number,
		.class = WIRE_REQUEST,
		.type = is_extended ? WIRE_CALL : WIRE_SYSCALL,
		.aux = call->number};
	size_t head_bytes = WIRE_HEADER_BYTES + (is_extended ? sizeof(struct wire_call) : 0) +
		8 * (size_t)call->argument_count + sizeof(struct wire_range) * (size_t)range_count;
	size_t left_bytes = grant->carried_max;
	uint8_t *cursor;

	request->bytes = request->inline_bytes;
	request->parts = request->inline_parts;
	if (range_count > CLIENT_RANGES_INLINE) {
		request->bytes = malloc(head_bytes);
		request->parts = calloc(range_count + 1, sizeof(*request->parts));
		if (request->bytes == NULL || request->parts == NULL) {
			client_memory_request_deinit(request);
			return -ENOMEM;
		}
	}
	cursor = request->bytes + WIRE_HEADER_BYTES;
	if (is_extended) {
		struct wire_call head = {le16_of((uint16_t)call->argument_count),
			le16_of((uint16_t)range_count), le32_of(0)};

		memcpy(cursor, &head, sizeof(head));
		cursor += sizeof(head);
	}
	for (unsigned i = 0; i < call->argument_count; i++, cursor += sizeof(le64)) {
		le64 argument = le64_of(call->arguments[i]);

		memcpy(cursor, &argument, sizeof(argument));
	}
	request->parts[0] = (struct iovec){request->bytes, head_bytes};
	request->part_count = 1;
	for (unsigned i = 0; i < range_count; i++, cursor += sizeof(struct wire_range)) {
		const struct ferry_sysproxy_range *range = &call->ranges[i];
		size_t carried = carried_bytes(range, left_bytes);
		struct wire_range wire = {le64_of((uintptr_t)range->address), le64_of(range->bytes),
			le32_of(range->flags), le32_of((uint32_t)carried)};

		memcpy(cursor, &wire, sizeof(wire));
		left_bytes -= carried;
		if (carried > 0)
			request->parts[request->part_count++] =
				(struct iovec){range->address, carried};
	}
	wire_header_put((struct wire_header *)request->bytes, &frame,
		head_bytes - WIRE_HEADER_BYTES + grant->carried_max - left_bytes);
	return 0;
}

void client_memory_request_deinit(struct client_memory_request *request)
{
	if (request->bytes != request->inline_bytes)
		free(request->bytes);
	if (request->parts != request->inline_parts)
		free(request->parts);
}

/* Copies that the server asks for */

static bool is_call_copy(const struct wire_frame *frame)
{
	return frame->type >= WIRE_CALL_COPYIN && frame->type <= WIRE_CALL_ANONMMAP;
}

int client_memory_take_copy(struct link *link, const struct wire_frame *frame,
	struct client_memory_copy *ret_copy)
{
	le64 fields[3] = {0};
	size_t count = is_call_copy(frame) ? 3 : frame->type == WIRE_ANONMMAP ? 1 : 2;
	int error = link_read(link, fields, count * sizeof(fields[0]));

	if (error != 0)
		return error;
	if (is_call_copy(frame))
		*ret_copy = (struct client_memory_copy){.call = le64_get(fields[0]),
			.address = le64_get(fields[1]),
			.bytes = le64_get(fields[2])};
	else
		*ret_copy = (struct client_memory_copy){.address = le64_get(fields[1]),
			.bytes = le64_get(fields[0])};
	return 0;
}

/* What both kinds of COPYIN send. @return 0 or EFAULT. */
static uint32_t serve_copyin(const struct wire_frame *frame, const struct client_memory_copy *copy,
	const struct client_memory_scope *scope, struct iovec *data)
{
	const uint8_t *start = (const uint8_t *)(uintptr_t)copy->address, *end = NULL, *nul;
	bool is_string = frame->type == WIRE_COPYINSTR || frame->type == WIRE_CALL_COPYINSTR;
	size_t bytes;

	if (scope != NULL)
		end = client_memory_end(scope, copy->address, FERRY_SYSPROXY_IN);
	if (end == NULL)
		return copy->bytes == 0 ? 0 : EFAULT;
	bytes = (size_t)(end - start);
	if (copy->bytes < bytes)
		bytes = copy->bytes;
	if (!client_memory_is_readable(start, bytes))
		return EFAULT;
	nul = is_string ? memchr(start, '\0', bytes) : NULL;
	if (nul != NULL)
		bytes = (size_t)(nul + 1 - start);
	else if (bytes < copy->bytes)
		return EFAULT;
	*data = (struct iovec){(void *)(uintptr_t)start, bytes};
	return 0;
}

/* Pass over data that have no place. */
static int discard(struct link *link, size_t bytes)
{
	uint8_t nowhere[4096];
	int error = 0;

	while (bytes > 0 && error == 0) {
		size_t part = bytes < sizeof(nowhere) ? bytes : sizeof(nowhere);

		error = link_read(link, nowhere, part);
		bytes -= part;
	}
	return error;
}

static int serve_copyout(struct link *link, const struct client_memory_copy *copy,
	const struct client_memory_scope *scope, uint32_t *ret_error)
{
	uint8_t *start = (uint8_t *)(uintptr_t)copy->address;
	const uint8_t *end = NULL;

	if (scope != NULL)
		end = client_memory_end(scope, copy->address, FERRY_SYSPROXY_OUT);
	*ret_error = EFAULT;
	if (end == NULL || copy->bytes > (size_t)(end - start) ||
		!client_memory_is_writable(start, copy->bytes))
		return discard(link, copy->bytes);
	*ret_error = 0;
	return link_read(link, start, copy->bytes);
}

static uint32_t serve_anonmmap(const struct client_memory_copy *copy,
	struct client_memory_scope *scope, uint64_t *ret_address)
{
	void *memory = MAP_FAILED;

	*ret_address = 0;
	if (scope != NULL && scope->mapped_count < CLIENT_MAPPED_MAX && copy->bytes > 0 &&
		copy->bytes <= CLIENT_ANONMMAP_MAX)
		memory = mmap(NULL, copy->bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return ENOMEM;
	scope->mapped[scope->mapped_count++] = (struct iovec){memory, copy->bytes};
	*ret_address = (uintptr_t)memory;
	return 0;
}

/* Lay out an answer: the header, what the extension or 0.4 has for this type, and @data. */
static void finish_answer(struct client_memory_answer *answer, const struct wire_frame *frame,
	const struct iovec *data)
{
	struct wire_frame response = {.number = frame->number,
		.class = WIRE_RESPONSE,
		.type = frame->type};
	size_t payload_bytes = data->iov_len;

	answer->parts[0] = (struct iovec){&answer->header, sizeof(answer->header)};
	answer->part_count = 1;
	if (is_call_copy(frame)) {
		answer->parts[answer->part_count++] =
			(struct iovec){&answer->reply, sizeof(answer->reply)};
		payload_bytes += sizeof(answer->reply);
	} else if (frame->type == WIRE_ANONMMAP) {
		answer->parts[answer->part_count++] =
			(struct iovec){&answer->address, sizeof(answer->address)};
		payload_bytes += sizeof(answer->address);
	} else if (frame->type == WIRE_COPYINSTR) {
		response.type = WIRE_COPYIN; /* as stock clients have it */
	}
	if (data->iov_len > 0)
		answer->parts[answer->part_count++] = *data;
	wire_header_put(&answer->header, &response, payload_bytes);
}

int client_memory_serve(struct link *link, const struct wire_frame *frame,
	const struct client_memory_copy *copy, struct client_memory_scope *scope,
	struct client_memory_answer *ret_answer)
{
	struct iovec data = {0};
	uint64_t address = 0;
	uint32_t failure = EFAULT;
	int error = 0;

	ret_answer->part_count = 0;
	switch ((enum wire_type)frame->type) {
	case WIRE_COPYIN:
	case WIRE_COPYINSTR:
	case WIRE_CALL_COPYIN:
	case WIRE_CALL_COPYINSTR:
		/* 0.4 has no word for EFAULT: an answer that is too short. */
		failure = serve_copyin(frame, copy, scope, &data);
		if (data.iov_len > WIRE_COPY_MAX)
			return -EPROTO;
		break;
	case WIRE_COPYOUT:
	case WIRE_COPYOUTSTR:
	case WIRE_CALL_COPYOUT:
		if (copy->bytes +
				(is_call_copy(frame) ? sizeof(struct wire_call_copy)
						     : sizeof(struct wire_copy)) !=
			frame->bytes - WIRE_HEADER_BYTES)
			return -EPROTO;
		error = serve_copyout(link, copy, scope, &failure);
		break;
	case WIRE_ANONMMAP:
	case WIRE_CALL_ANONMMAP:
		failure = serve_anonmmap(copy, scope, &address);
		break;
	case WIRE_HANDSHAKE:
	case WIRE_SYSCALL:
	case WIRE_PREFORK:
	case WIRE_RAISE:
	case WIRE_HELLO:
	case WIRE_CALL:
	case WIRE_CANCEL:
	case WIRE_LANE:
		return -EPROTO;
	}
	if (error != 0 || frame->type == WIRE_COPYOUT || frame->type == WIRE_COPYOUTSTR)
		return error;
	ret_answer->reply = (struct wire_call_copy_reply){.error = le32_of(failure),
		.address = le64_of(address)};
	ret_answer->address = le64_of(address);
	finish_answer(ret_answer, frame, &data);
	return 0;
}

/* The reply of a call */

static int take_plain_reply(struct link *link, const struct wire_frame *frame,
	struct ferry_sysproxy_call *call)
{
	struct wire_syscall_reply reply;
	int error;

	if (frame->bytes != WIRE_HEADER_BYTES + sizeof(reply))
		return -EPROTO;
	error = link_read(link, &reply, sizeof(reply));
	if (error != 0)
		return error;
	call->error = (int)le32_get(reply.error);
	call->values[0] = (int64_t)le64_get(reply.values[0]);
	call->values[1] = (int64_t)le64_get(reply.values[1]);
	return 0;
}

/* Receive one piece to where it belongs. @return 0 or -errno. */
static int take_piece(struct link *link, const struct wire_piece *piece,
	const struct ferry_sysproxy_call *call)
{
	uint32_t index = le32_get(piece->range_index), bytes = le32_get(piece->bytes);
	uint64_t offset = le64_get(piece->offset);
	const struct ferry_sysproxy_range *range;
	uint8_t *place;

	if (index >= call->range_count)
		return -EPROTO;
	range = &call->ranges[index];
	if ((range->flags & FERRY_SYSPROXY_OUT) == 0 || offset > range->bytes ||
		bytes > range->bytes - offset)
		return -EPROTO;
	place = (uint8_t *)range->address + offset;
	/* The beginning was probed before the call was sent. */
	if (offset + bytes > WIRE_CARRIED_MAX && !client_memory_is_writable(place, bytes))
		return -EPROTO;
	return link_read(link, place, bytes);
}

static int take_pieces(struct link *link, const struct wire_frame *frame, uint32_t piece_count,
	const struct ferry_sysproxy_call *call)
{
	uint64_t left_bytes = frame->bytes - WIRE_HEADER_BYTES - sizeof(struct wire_call_reply);
	size_t list_bytes = piece_count * sizeof(struct wire_piece);
	CLEANUP(cleanup_free) struct wire_piece *pieces = NULL;
	struct wire_piece one[4];
	int error;

	if (piece_count > WIRE_REPLIED_MAX || list_bytes > left_bytes)
		return -EPROTO;
	if (piece_count > ARRAY_LENGTH(one)) {
		pieces = malloc(list_bytes);
		if (pieces == NULL)
			return -ENOMEM;
	}
	error = link_read(link, pieces != NULL ? pieces : one, list_bytes);
	left_bytes -= list_bytes;
	for (uint32_t i = 0; i < piece_count && error == 0; i++) {
		const struct wire_piece *piece = &(pieces != NULL ? pieces : one)[i];

		if (le32_get(piece->bytes) > left_bytes)
			return -EPROTO;
		left_bytes -= le32_get(piece->bytes);
		error = take_piece(link, piece, call);
	}
	if (error == 0 && left_bytes != 0)
		error = -EPROTO;
	return error;
}

int client_memory_take_reply(struct link *link, const struct wire_frame *frame,
	struct ferry_sysproxy_call *call)
{
	struct wire_call_reply reply;
	int error;

	if (frame->type == WIRE_SYSCALL)
		return take_plain_reply(link, frame, call);
	error = link_read(link, &reply, sizeof(reply));
	if (error == 0)
		error = take_pieces(link, frame, le32_get(reply.piece_count), call);
	if (error != 0)
		return error;
	call->error = (int)le32_get(reply.error);
	call->values[0] = (int64_t)le64_get(reply.values[0]);
	call->values[1] = (int64_t)le64_get(reply.values[1]);
	return 0;
}
