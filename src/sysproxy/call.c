/*
 * The reply is put together where its parts lie: a head here, the pieces of lwp->memory behind it.
 */
#include "sysproxy/call.h"

#include <errno.h>
#include <string.h>

static_assert(sizeof(struct wire_syscall_reply) == sizeof(struct wire_call_reply), "");
static_assert(MEMORY_SPARE == 3, "what precedes, head and table");

static void take_arguments(struct call *call, const uint8_t *arguments, size_t count)
{
	call->argument_count = (uint32_t)count;
	for (size_t i = 0; i < count; i++)
		call->arguments[i] = le64_load(arguments + i * sizeof(le64));
}

static int take_extended(struct call *call, const void *payload, size_t bytes, size_t collected_max)
{
	struct wire_call_view view;
	int error = wire_call_parse(payload, bytes, &view);

	if (error != 0)
		return error;
	take_arguments(call, view.arguments, view.argument_count);
	return memory_begin(&call->lwp->memory, &view, collected_max);
}

int call_begin(struct call *call, struct ferry_lwp *lwp, const struct wire_frame *frame,
	const void *payload, size_t collected_max)
{
	size_t bytes = (size_t)(frame->bytes - WIRE_HEADER_BYTES);

	call->lwp = lwp;
	call->number = frame->number;
	call->wanted = frame->aux;
	/* What the client has not sent is zero to the kernel. */
	memset(call->arguments, 0, sizeof(call->arguments));
	lwp->is_extended = frame->type == WIRE_CALL;
	if (lwp->is_extended)
		return take_extended(call, payload, bytes, collected_max);
	if (bytes > sizeof(call->arguments) || bytes % sizeof(le64) != 0)
		return -EPROTO;
	take_arguments(call, payload, bytes / sizeof(le64));
	return 0;
}

void call_make(struct call *call)
{
	struct ferry_lwp *lwp = call->lwp;
	const struct ferry_kernel_call kernel_call = {
		.number = call->wanted,
		.argument_count = call->argument_count,
		.arguments = call->arguments,
		.is_extended = lwp->is_native,
	};
	const struct wire_frame frame = {
		.number = call->number,
		.class = WIRE_RESPONSE,
		.type = lwp->is_extended ? WIRE_CALL : WIRE_SYSCALL,
	};
	int64_t values[2] = {0, 0};
	int error = lwp_call(lwp, call->number, &kernel_call, values);
	struct wire_call_reply reply = {
		.error = le32_of((uint32_t)-error),
		.piece_count = le32_of(lwp->is_extended ? lwp->memory.piece_count : 0),
	};
	struct wire_header header;
	size_t bytes = sizeof(reply);

	/* What a kernel leaves there when it fails may be anything. */
	for (unsigned i = 0; i < 2; i++)
		reply.values[i] = le64_of(error == 0 ? (uint64_t)values[i] : 0);
	for (unsigned i = 0; i < lwp->memory.piece_count; i++)
		bytes += sizeof(struct wire_piece) + lwp->memory.parts[MEMORY_SPARE + i].iov_len;
	wire_header_put(&header, &frame, bytes);
	memcpy(call->head, &header, sizeof(header));
	memcpy(call->head + sizeof(header), &reply, sizeof(reply));
}

unsigned call_reply(struct call *call, const void *before, size_t before_bytes,
	struct iovec **ret_parts)
{
	struct memory *memory = &call->lwp->memory;
	struct iovec *parts = memory->piece_count > 0 ? memory->parts : call->parts;

	/* An iovec has no const; sending only reads. */
	parts[0] = (struct iovec){(void *)(uintptr_t)before, before_bytes};
	parts[1] = (struct iovec){call->head, sizeof(call->head)};
	parts[2] = (struct iovec){memory->table, memory->piece_count * sizeof(struct wire_piece)};
	*ret_parts = parts;
	return MEMORY_SPARE + memory->piece_count;
}

void call_end(struct call *call)
{
	memory_end(&call->lwp->memory);
}
