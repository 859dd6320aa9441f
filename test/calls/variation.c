/*
 * One argument is changed at a time, by its class.
 */
#include "test/calls/variation.h"

#include <limits.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "call/extent.h"
#include "test/calls/word.h"
#include "test/calls/world.h"

#define VECTOR_AT 4096u /* in WORD_ASIDE */

static void run_value(struct trial *trial, unsigned index, uint64_t value, const char *name)
{
	trial_run(trial,
		&(struct change){.kind = CHANGE_VALUE,
			.index = index,
			.value = value,
			.name = name});
}

static void run_kind(struct trial *trial, unsigned index, enum change_kind kind)
{
	trial_run(trial, &(struct change){.kind = kind, .index = index});
}

/* Places that are no good for anything. */
static void run_addresses(struct trial *trial, unsigned index)
{
	const struct arena *arena = trial->side->arena;

	run_value(trial, index, 0, "NULL");
	run_value(trial, index, SIDE_AT(arena->nowhere), "nowhere");
	run_value(trial, index, SIDE_AT(arena->constant), "constant");
	run_value(trial, index, UINT64_MAX, "last");
	run_value(trial, index, UINT64_C(0xffff800000000000), "kernel");
}

static void run_descriptors(struct trial *trial, unsigned index)
{
	static const int64_t values[] = {-1, 99, 0, 1023, INT_MAX, INT_MIN, INT64_C(1) << 32 | 99,
		INT64_C(1) << 32 | WORLD_FILE, -100};

	for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
		run_value(trial, index, (uint64_t)values[i], NULL);
	for (int fd = WORLD_FILE; fd < WORLD_END; fd++)
		run_value(trial, index, (uint64_t)fd, NULL);
}

static bool counts(const struct call_row *row, unsigned index)
{
	for (unsigned i = 0; i < row->argument_count; i++) {
		enum call_class class = (enum call_class)row->arguments[i].class;

		if ((class == CALL_IN || class == CALL_OUT || class == CALL_IN_OUT) &&
			row->arguments[i].length == index)
			return true;
	}
	return false;
}

static void run_scalars(struct trial *trial, unsigned index)
{
	static const int64_t values[] = {0, 1, 2, 3, 4, 7, 8, 9, 16, 100, 127, 128, 129, 255, 256,
		257, 1023, 1024, 1025, 4095, 4096, 4097, 16384, 16385, 65535, 65536, 65537, 1 << 20,
		64 << 20, INT_MAX, INT64_C(1) << 31, UINT32_MAX, INT64_C(1) << 32,
		INT64_C(1) << 32 | 1, INT64_MAX, INT64_MIN, -1, -2};

	for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
		struct change change = {.kind = CHANGE_VALUE,
			.index = index,
			.value = (uint64_t)values[i]};

		if (counts(trial->row, index) && (values[i] < 0 || values[i] > 64 << 20)) {
			change.kind = CHANGE_MANY;
		} else if (counts(trial->row, index)) {
			change.kind = CHANGE_SHORT;
			trial_run(trial, &change);
			change.kind = CHANGE_COUNT;
		}
		trial_run(trial, &change);
	}
}

static void run_memory(struct trial *trial, unsigned index)
{
	run_addresses(trial, index);
	run_kind(trial, index, CHANGE_EDGE);
	run_kind(trial, index, CHANGE_BEYOND);
	run_kind(trial, index, CHANGE_ASTRIDE);
}

static void run_strings(struct trial *trial, unsigned index)
{
	static const char *const texts[] = {"", ".", "..", "./file", "file", "file/", "file/x",
		"folder", "folder/", "folder/../file", "link", "loop", "missing", "missing/x",
		"user.a", "user.", "other.x", "\xff\xfe"};
	static const struct {
		const char *text;
		uint64_t bytes;
	} long_ones[] = {{"a", 255}, {"a", 256}, {"a", 257}, {"./", 4094}, {"./", 4095},
		{"./", 4096}, {"./", 4097}, {"/", 4095}, {"/", 4096}};

	run_addresses(trial, index);
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		trial_run(trial,
			&(struct change){.kind = CHANGE_STRING, .index = index, .text = texts[i]});
	trial_run(trial, &(struct change){.kind = CHANGE_UNENDED, .index = index, .text = "file"});
	/* "////" is the root, which not every call should be tried at. */
	for (size_t i = 0; i < ARRAY_LENGTH(long_ones) - 2; i++)
		trial_run(trial,
			&(struct change){.kind = CHANGE_REPEATED,
				.index = index,
				.text = long_ones[i].text,
				.value = long_ones[i].bytes});
}

static void run_sizes(struct trial *trial, unsigned index)
{
	static const int64_t sizes[] = {0, 1, 2, 3, 4, 15, 16, 17, 110, 127, 129, 4096, INT_MAX,
		INT_MIN, -1};

	run_memory(trial, index);
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++)
		trial_run(trial,
			&(struct change){.kind = CHANGE_FIELD,
				.index = index,
				.value = (uint64_t)sizes[i],
				.bytes = 4});
}

/* Changes of a structure in memory. */
struct field {
	enum change_kind kind;
	size_t offset, bytes;
	uint64_t value;
	const char *name;
};

static void run_fields(struct trial *trial, unsigned index, const struct field *fields,
	size_t count)
{
	for (size_t i = 0; i < count; i++)
		trial_run(trial,
			&(struct change){.kind = fields[i].kind,
				.index = index,
				.offset = fields[i].offset,
				.bytes = fields[i].bytes,
				.value = fields[i].value,
				.name = fields[i].name});
}

static void run_elements(struct trial *trial, unsigned index, enum change_kind kind, size_t at)
{
	const struct arena *arena = trial->side->arena;
	const size_t base = at, length = at + offsetof(struct iovec, iov_len);
	const size_t second = length + sizeof(struct iovec);
	const struct field fields[] = {
		{kind, base, 8, 0, "element NULL"},
		{kind, base, 8, SIDE_AT(arena->nowhere), "element nowhere"},
		{kind, base, 8, SIDE_AT(arena->constant), "element constant"},
		{kind, base, 8, SIDE_AT(arena_end(arena, WORD_BUFFERS) - 1), "element at the edge"},
		{kind, base, 8, UINT64_MAX, "element last"},
		{kind, length, 8, 0, "element of 0"},
		{kind, length, 8, 1, "element of 1"},
		{kind, length, 8, 1 << 20, "element of 1 MiB"},
		{kind, length, 8, UINT64_MAX, "element of -1"},
		{kind, length, 8, INT64_MAX, "element of too many"},
		{kind, second, 8, 0, "second element of 0"},
		{kind, second, 8, UINT64_MAX, "second element of -1"},
		{kind, second, 8, INT64_MAX, "second element of too many"},
		{kind, second - 8, 8, SIDE_AT(arena->nowhere), "second element nowhere"},
	};

	run_fields(trial, index, fields, ARRAY_LENGTH(fields));
}

#define MEMBER(member_) CHANGE_FIELD, offsetof(struct msghdr, member_), sizeof(message->member_)

static void run_messages(struct trial *trial, unsigned index)
{
	const struct msghdr *const message = NULL;
	const uint64_t nowhere = SIDE_AT(trial->side->arena->nowhere);
	const struct field fields[] = {
		{MEMBER(msg_name), 0, "name NULL"},
		{MEMBER(msg_name), nowhere, "name nowhere"},
		{MEMBER(msg_namelen), 0, "name of 0"},
		{MEMBER(msg_namelen), 1, "name of 1"},
		{MEMBER(msg_namelen), 15, "name of 15"},
		{MEMBER(msg_namelen), 129, "name of 129"},
		{MEMBER(msg_namelen), INT_MAX, "name of too many"},
		{MEMBER(msg_namelen), UINT32_MAX, "name of -1"},
		{MEMBER(msg_iov), 0, "iov NULL"},
		{MEMBER(msg_iov), nowhere, "iov nowhere"},
		{MEMBER(msg_iovlen), 0, "iov of 0"},
		{MEMBER(msg_iovlen), 1, "iov of 1"},
		{MEMBER(msg_iovlen), 500, "iov of 500"},
		{MEMBER(msg_iovlen), 1025, "iov of 1025"},
		{MEMBER(msg_iovlen), UINT64_MAX, "iov of -1"},
		{MEMBER(msg_control), 0, "control NULL"},
		{MEMBER(msg_control), nowhere, "control nowhere"},
		{MEMBER(msg_controllen), 0, "control of 0"},
		{MEMBER(msg_controllen), 1, "control of 1"},
		{MEMBER(msg_controllen), 15, "control of 15"},
		{MEMBER(msg_controllen), 16, "control of 16"},
		{MEMBER(msg_controllen), UINT64_MAX, "control of -1"},
		{MEMBER(msg_flags), 1, "flags 1"},
		{MEMBER(msg_flags), UINT32_MAX, "flags -1"},
	};

	run_fields(trial, index, fields, ARRAY_LENGTH(fields));
	run_elements(trial, index, CHANGE_ASIDE, VECTOR_AT);
}

static void run_argument(struct trial *trial, unsigned index)
{
	switch ((enum call_class)trial->row->arguments[index].class) {
	case CALL_SCALAR:
		run_scalars(trial, index);
		return;
	case CALL_FD:
	case CALL_DIRFD:
		run_descriptors(trial, index);
		return;
	case CALL_PATH:
	case CALL_STRING:
		run_strings(trial, index);
		return;
	case CALL_IN:
	case CALL_OUT:
	case CALL_IN_OUT:
		run_memory(trial, index);
		return;
	case CALL_SIZE:
		run_sizes(trial, index);
		return;
	case CALL_VECTOR_IN:
	case CALL_VECTOR_OUT:
		run_memory(trial, index);
		run_elements(trial, index, CHANGE_FIELD, 0);
		return;
	case CALL_MESSAGE_IN:
	case CALL_MESSAGE_OUT:
	case CALL_MESSAGES_IN:
	case CALL_MESSAGES_OUT:
		run_memory(trial, index);
		run_messages(trial, index);
		return;
	case CALL_SELECTED:
		run_addresses(trial, index);
		return;
	case CALL_SIGNALS:
		run_value(trial, index, 0, "NULL");
		return;
	}
}

void variation_run(struct trial *trial)
{
	bool is_sampled = trial->is_sampled;

	trial->is_sampled = false;
	trial_run(trial, &(struct change){.kind = CHANGE_NOTHING});
	trial->is_sampled = is_sampled;
	for (unsigned i = 0; i < trial->row->argument_count; i++)
		run_argument(trial, i);
}
