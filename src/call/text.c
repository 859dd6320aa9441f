/*
 * What a call has written is shown when it has succeeded; what it reads always.
 */
#include "call/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "call/codes.h"
#include "call/extent.h"
#include "call/format.h"
#include "call/line.h"
#include "call/names.h"
#include "call/peek.h"

#define ELEMENTS_MAX 8u   /* of a vector or of messages */
#define ERROR_MAX    4095 /* of an errno that Linux returns */

struct printer {
	struct call_line line;
	const struct call_row *row;
	const uint64_t *arguments;
	int64_t value;
	bool is_failed;
};

static void add_scalar(struct printer *printer, const struct call_argument *argument,
	uint64_t value)
{
	struct call_line *line = &printer->line;

	value = call_scalar(argument, value);
	if (argument->names != NULL)
		call_line_add_names(line, argument->names, (uint32_t)value);
	else if ((argument->flags & CALL_IS_OCTAL) != 0)
		call_line_add(line, "%#" PRIo64, value);
	else if ((argument->flags & CALL_IS_HEXADECIMAL) != 0)
		call_line_add(line, "%#" PRIx64, value);
	else if ((argument->flags & CALL_IS_SIGNED) != 0)
		call_line_add(line, "%" PRId64, (int64_t)value);
	else
		call_line_add(line, "%" PRIu64, value);
}

/* The scalar @index may be a code of the CALL_SELECTED argument after it. @return whether it was. */
static bool add_code(struct printer *printer, unsigned index)
{
	const struct call_row *row = printer->row;
	const struct call_argument *next = &row->arguments[index + 1];
	uint64_t level = index > 0 ? printer->arguments[index - 1] : 0;
	const struct call_code *code;

	if (index + 1 >= row->argument_count || next->class != CALL_SELECTED ||
		next->length != index)
		return false;
	code = call_code_find((enum call_set)next->unit_bytes,
		next->unit_bytes == CALL_SET_OPTION ? (int32_t)level : 0,
		(uint32_t)printer->arguments[index]);
	if (code != NULL)
		call_line_add(&printer->line, "%s", code->name);
	return code != NULL;
}

/* The third argument of fcntl() where it is a number. */
static void add_plain_code(struct printer *printer, const struct call_code *code, uint64_t value)
{
	bool is_fcntl = printer->row->number == SYS_fcntl;

	if (is_fcntl && code->code == F_SETFL)
		call_line_add_names(&printer->line, &call_names_open, (uint32_t)value);
	else if (is_fcntl && code->code == F_SETFD)
		call_line_add_names(&printer->line, &call_names_fcntl_flags, (uint32_t)value);
	else
		call_line_add(&printer->line, "%" PRId64, (int64_t)value);
}

/* @return how many of the bytes of @extent a call has given. */
static uint64_t given_bytes(const struct printer *printer, const struct call_argument *argument,
	const struct call_extent *extent)
{
	uint64_t bytes = extent->bytes;

	if (extent->is_sized) {
		uint32_t size;

		if (call_peek(&size, printer->arguments[extent->size_index], sizeof(size)) != 0)
			return 0;
		return size < bytes ? size : bytes;
	}
	if ((argument->flags & CALL_IS_VALUE_LONG) != 0) {
		uint64_t given = (uint64_t)printer->value * extent->unit_bytes;

		return given < bytes ? given : bytes;
	}
	return bytes;
}

static void add_memory(struct printer *printer, const struct call_argument *argument,
	const struct call_extent *extent, uint64_t address)
{
	if (extent->class == CALL_OUT && printer->is_failed)
		call_format_add_pointer(&printer->line, address);
	else
		call_format_add(&printer->line, extent->format, address,
			extent->class == CALL_OUT ? given_bytes(printer, argument, extent)
						  : extent->bytes);
}

/* A vector, of which *@left_bytes are to be shown. */
static void add_vector(struct printer *printer, uint64_t address, uint64_t count,
	uint64_t left_bytes)
{
	struct call_line *line = &printer->line;

	if (address == 0 || count > CALL_VECTORS_MAX) {
		call_format_add_pointer(line, address);
		return;
	}
	call_line_add(line, "[");
	for (uint64_t i = 0; i < count && i < ELEMENTS_MAX; i++) {
		struct iovec element;
		uint64_t bytes;

		if (call_peek(&element, address + i * sizeof(element), sizeof(element)) != 0)
			break;
		bytes = element.iov_len < left_bytes ? element.iov_len : left_bytes;
		left_bytes -= bytes;
		call_line_add(line, "%s{iov_base=", i > 0 ? ", " : "");
		call_format_add(line, CALL_FORMAT_BYTES, (uintptr_t)element.iov_base, bytes);
		call_line_add(line, ", iov_len=%zu}", element.iov_len);
	}
	call_line_add(line, count > ELEMENTS_MAX ? ", ...]" : "]");
}

/* @param bytes of its vector that were moved */
static void add_message(struct printer *printer, const struct msghdr *header, uint64_t bytes)
{
	struct call_line *line = &printer->line;

	call_line_add(line, "{msg_name=");
	call_format_add(line, CALL_FORMAT_ADDRESS, (uintptr_t)header->msg_name,
		header->msg_namelen);
	call_line_add(line, ", msg_namelen=%u, msg_iov=", header->msg_namelen);
	add_vector(printer, (uintptr_t)header->msg_iov, header->msg_iovlen, bytes);
	call_line_add(line, ", msg_iovlen=%zu, msg_controllen=%zu, msg_flags=", header->msg_iovlen,
		header->msg_controllen);
	call_line_add_names(line, &call_names_message, (uint32_t)header->msg_flags);
	call_line_add(line, "}");
}

static void add_one_message(struct printer *printer, uint64_t address, bool is_sent)
{
	struct msghdr header;

	if ((!is_sent && printer->is_failed) || call_peek(&header, address, sizeof(header)) != 0)
		call_format_add_pointer(&printer->line, address);
	else
		add_message(printer, &header, is_sent ? UINT64_MAX : (uint64_t)printer->value);
}

static void add_messages(struct printer *printer, uint64_t address, uint64_t count, bool is_sent)
{
	struct call_line *line = &printer->line;

	if (printer->is_failed) {
		call_format_add_pointer(line, address);
		return;
	}
	if (count > (uint64_t)printer->value)
		count = (uint64_t)printer->value;
	call_line_add(line, "[");
	for (uint64_t i = 0; i < count && i < ELEMENTS_MAX; i++) {
		struct mmsghdr message;

		if (call_peek(&message, address + i * sizeof(message), sizeof(message)) != 0)
			break;
		call_line_add(line, "%s{msg_hdr=", i > 0 ? ", " : "");
		add_message(printer, &message.msg_hdr, is_sent ? UINT64_MAX : message.msg_len);
		call_line_add(line, ", msg_len=%u}", message.msg_len);
	}
	call_line_add(line, count > ELEMENTS_MAX ? ", ...]" : "]");
}

static void add_vector_argument(struct printer *printer, const struct call_extent *extent,
	uint64_t address)
{
	bool is_out = extent->class == CALL_VECTOR_OUT;

	if (is_out && printer->is_failed)
		call_format_add_pointer(&printer->line, address);
	else
		add_vector(printer, address, extent->bytes / sizeof(struct iovec),
			is_out ? (uint64_t)printer->value : UINT64_MAX);
}

static void add_extent(struct printer *printer, const struct call_argument *argument,
	const struct call_extent *extent, uint64_t value)
{
	struct call_line *line = &printer->line;

	switch (extent->class) {
	case CALL_SCALAR:
		if (extent->code != NULL)
			add_plain_code(printer, extent->code, value);
		else
			add_scalar(printer, argument, value);
		break;
	case CALL_FD:
		call_line_add(line, "%d", (int)value);
		break;
	case CALL_DIRFD:
		call_line_add(line, (int)value == AT_FDCWD ? "AT_FDCWD" : "%d", (int)value);
		break;
	case CALL_PATH:
	case CALL_STRING:
		call_format_add_string(line, value, (size_t)extent->bytes);
		break;
	case CALL_IN:
	case CALL_OUT:
	case CALL_IN_OUT:
		add_memory(printer, argument, extent, value);
		break;
	case CALL_SIZE:
		call_format_add(line, CALL_FORMAT_INT, value, sizeof(uint32_t));
		break;
	case CALL_VECTOR_IN:
	case CALL_VECTOR_OUT:
		add_vector_argument(printer, extent, value);
		break;
	case CALL_MESSAGE_IN:
	case CALL_MESSAGE_OUT:
		add_one_message(printer, value, extent->class == CALL_MESSAGE_IN);
		break;
	case CALL_MESSAGES_IN:
	case CALL_MESSAGES_OUT:
		add_messages(printer, value, extent->bytes / sizeof(struct mmsghdr),
			extent->class == CALL_MESSAGES_IN);
		break;
	case CALL_SELECTED:
	case CALL_SIGNALS:
		call_format_add_pointer(line, value);
		break;
	}
}

static void add_argument(struct printer *printer, unsigned index)
{
	struct call_extent extent;

	call_line_add(&printer->line, index > 0 ? ", " : "");
	if (add_code(printer, index))
		return;
	if (call_extent(printer->row, printer->arguments, index, &extent) == 0)
		add_extent(printer, &printer->row->arguments[index], &extent,
			printer->arguments[index]);
	else
		call_format_add_pointer(&printer->line, printer->arguments[index]);
}

static void add_arguments(struct printer *printer, uint32_t number)
{
	struct call_line *line = &printer->line;

	if (printer->row == NULL) {
		call_line_add(line, "syscall_%" PRIu32 "(", number);
		for (unsigned i = 0; i < CALL_ARGUMENTS_MAX; i++)
			call_line_add(line, "%s%#" PRIx64, i > 0 ? ", " : "",
				printer->arguments[i]);
	} else {
		call_line_add(line, "%s(", printer->row->name);
		for (unsigned i = 0; i < printer->row->argument_count; i++)
			add_argument(printer, i);
	}
	call_line_add(line, ")");
}

/* @return whether the value is printed as a mode or as flags. */
static bool add_named_value(struct printer *printer)
{
	const struct call_row *row = printer->row;

	if (row == NULL || (row->number != SYS_fcntl && row->number != SYS_umask))
		return false;
	if (row->number == SYS_umask) {
		call_line_add(&printer->line, " = %#" PRIo64, (uint64_t)printer->value);
	} else {
		const struct call_code *code = call_select(row, printer->arguments);

		if (code == NULL || code->code != F_GETFL)
			return false;
		call_line_add(&printer->line, " = %#" PRIx64 " (flags ", (uint64_t)printer->value);
		call_line_add_names(&printer->line, &call_names_open, (uint32_t)printer->value);
		call_line_add(&printer->line, ")");
	}
	return true;
}

static void add_result(struct printer *printer)
{
	struct call_line *line = &printer->line;
	int error = printer->is_failed ? (int)-printer->value : 0;

	if (!printer->is_failed) {
		if (!add_named_value(printer))
			call_line_add(line, " = %" PRId64, printer->value);
	} else if (strerrorname_np(error) != NULL) {
		call_line_add(line, " = -1 %s (%s)", strerrorname_np(error),
			strerrordesc_np(error));
	} else {
		call_line_add(line, " = -1 (errno %d)", error);
	}
}

size_t call_print(uint32_t number, const uint64_t arguments[CALL_ARGUMENTS_MAX], int64_t value,
	char *ret_line, size_t room)
{
	struct printer printer = {.line = call_line_over(ret_line, room),
		.row = call_find(number),
		.arguments = arguments,
		.value = value,
		.is_failed = value < 0 && value >= -ERROR_MAX};

	add_arguments(&printer, number);
	add_result(&printer);
	return printer.line.used;
}
