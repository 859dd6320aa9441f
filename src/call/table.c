/*
 * rows.inc is read three times: for the places of the rows, for the rows, and for the way from a number
 * to its place.
 */
#include "call/table.h"

#include <assert.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "call/codes.h"
#include "call/names.h"

/* Places */

enum {
#define CALL(name_, ...) PLACE_##name_,
#include "call/rows.inc"
#undef CALL
	PLACE_COUNT,
};

static_assert(PLACE_COUNT < UINT8_MAX, "a place and one more fit into a byte");

/* Rows. The flags of rows.inc are written without what they begin with. */

enum {
	MAKES_FD = CALL_MAKES_FD,
	MAY_BLOCK = CALL_MAY_BLOCK,
	CAN_REPEAT = CALL_CAN_REPEAT,
	IS_CHUNKED = CALL_IS_CHUNKED,
	FOLLOWED = CALL_IS_FOLLOWED,
};

#define ATTRIBUTE_NAME_MAX 256u        /* XATTR_NAME_MAX and NUL */
#define OPEN_HOW_MAX       4096u       /* as Linux: a page */
#define GROUPS_MAX         (64u << 10) /* NGROUPS_MAX */

/* clang-format off */
#define SCALAR(name_, flags_, names_) \
	{.name = (name_), .class = CALL_SCALAR, .flags = (flags_), .names = (names_)}
#define INT(name_) SCALAR(name_, CALL_IS_WORD | CALL_IS_SIGNED, NULL)
#define UINT(name_) SCALAR(name_, CALL_IS_WORD, NULL)
#define LONG(name_) SCALAR(name_, CALL_IS_SIGNED, NULL)
#define ULONG(name_) SCALAR(name_, 0, NULL)
#define FLAGS(name_, names_) SCALAR(name_, CALL_IS_WORD | CALL_IS_HEXADECIMAL, &call_names_##names_)
#define CODE(name_) SCALAR(name_, CALL_IS_WORD | CALL_IS_HEXADECIMAL, NULL)
#define MODE_AS(name_) SCALAR(name_, CALL_IS_WORD | CALL_IS_OCTAL, NULL)
#define MODE MODE_AS("mode")

#define FD_AS(name_) {.name = (name_), .class = CALL_FD}
#define FD FD_AS("fd")
#define DIRFD_AS(name_) {.name = (name_), .class = CALL_DIRFD}
#define DIRFD DIRFD_AS("dirfd")
#define PATH_AS(name_, flags_) {.name = (name_), .class = CALL_PATH, .flags = (flags_)}
#define PATH(flags_) PATH_AS("pathname", flags_)
#define PATH_OR_NULL PATH(FOLLOWED | CALL_IS_NULLABLE)
#define STRING(name_, bytes_) {.name = (name_), .class = CALL_STRING, .unit_bytes = (bytes_)}
#define ATTRIBUTE STRING("name", ATTRIBUTE_NAME_MAX)
#define TARGET STRING("target", PATH_MAX)

#define MEMORY(class_, name_, length_, flags_, format_, unit_, limit_) \
	{.name = (name_), .class = CALL_##class_, .length = (length_), .flags = (flags_), \
		.format = CALL_FORMAT_##format_, .unit_bytes = (unit_), .limit = (limit_)}
#define ONE(class_, name_, bytes_, format_) MEMORY(class_, name_, CALL_FIXED, 0, format_, bytes_, 1)
#define MAYBE(class_, name_, bytes_, format_) \
	MEMORY(class_, name_, CALL_FIXED, CALL_IS_NULLABLE, format_, bytes_, 1)
#define OFFSET(name_) MAYBE(IN_OUT, name_, 8, LONG)
#define TIME_LEFT(name_, struct_, format_) MAYBE(IN_OUT, name_, sizeof(struct struct_), format_)
#define BYTES_IN(name_, length_) MEMORY(IN, name_, length_, CALL_IS_CUT, BYTES, 1, CALL_BYTES_MAX)
#define BYTES_OUT(name_, length_) \
	MEMORY(OUT, name_, length_, CALL_IS_CUT | CALL_IS_VALUE_LONG, BYTES, 1, CALL_BYTES_MAX)
#define TEXT_OUT(name_, length_) \
	MEMORY(OUT, name_, length_, CALL_IS_CUT | CALL_IS_VALUE_LONG, TEXT, 1, PATH_MAX)
#define VALUE_IN(name_, length_) \
	MEMORY(IN, name_, length_, CALL_IS_NULLABLE | CALL_IS_TOO_BIG, BYTES, 1, CALL_VALUE_MAX)
#define VALUE_OUT(name_, length_) \
	MEMORY(OUT, name_, length_, CALL_IS_NULLABLE | CALL_IS_CUT | CALL_IS_VALUE_LONG, BYTES, 1, \
		CALL_VALUE_MAX)
#define OPEN_HOW(name_, length_) \
	MEMORY(IN, name_, length_, CALL_IS_TOO_BIG, OPEN_HOW, 1, OPEN_HOW_MAX)
#define GROUPS(name_, length_) \
	MEMORY(OUT, name_, length_, CALL_IS_NULLABLE | CALL_IS_CUT | CALL_IS_VALUE_LONG, BYTES, 4, \
		GROUPS_MAX)
#define ADDRESS_IN(name_, length_) MEMORY(IN, name_, length_, 0, ADDRESS, 1, CALL_ADDRESS_MAX)
#define ADDRESS_TO(name_, length_) \
	MEMORY(IN, name_, length_, CALL_IS_NULLABLE, ADDRESS, 1, CALL_ADDRESS_MAX)
#define ADDRESS_OUT(name_, length_) \
	MEMORY(OUT, name_, length_, CALL_IS_NULLABLE | CALL_IS_CUT | CALL_IS_SIZED, ADDRESS, 1, \
		CALL_ADDRESS_MAX)
#define SIZE_AS(name_) {.name = (name_), .class = CALL_SIZE, .flags = CALL_IS_NULLABLE, .unit_bytes = 4}

#define EVENTS \
	MEMORY(OUT, "events", 2, CALL_IS_CUT | CALL_IS_VALUE_LONG, EVENTS, \
		sizeof(struct epoll_event), CALL_POLLED_MAX)
#define POLLED(name_, length_) \
	MEMORY(IN_OUT, name_, length_, CALL_IS_NULLABLE, POLL, sizeof(struct pollfd), CALL_POLLED_MAX)
#define FD_SET_AS(name_) \
	MEMORY(IN_OUT, name_, CALL_FD_SET, CALL_IS_NULLABLE | CALL_IS_CUT, FD_SET, 8, \
		CALL_POLLED_MAX / 64)
#define SIGNALS(name_) {.name = (name_), .class = CALL_SIGNALS, .flags = CALL_IS_NULLABLE}
#define VECTOR(class_, length_) \
	MEMORY(class_, "iov", length_, 0, BYTES, sizeof(struct iovec), CALL_VECTORS_MAX)
#define MESSAGE(class_) MEMORY(class_, "msg", CALL_FIXED, 0, BYTES, sizeof(struct msghdr), 1)
#define MESSAGES(class_, length_) \
	MEMORY(class_, "msgvec", length_, CALL_IS_CUT, BYTES, sizeof(struct mmsghdr), \
		CALL_MESSAGES_MAX)
#define SELECTED(name_, length_, set_) \
	{.name = (name_), .class = CALL_SELECTED, .length = (length_), .flags = CALL_IS_NULLABLE, \
		.unit_bytes = CALL_SET_##set_}
/* clang-format on */

#define CALL(name_, group_, flags_, ...)                                                          \
	[PLACE_##name_] = {.name = #name_,                                                        \
		.number = SYS_##name_,                                                            \
		.group = CALL_GROUP_##group_,                                                     \
		.flags = (flags_),                                                                \
		.argument_count = (uint8_t)ARRAY_LENGTH(((struct call_argument[]){__VA_ARGS__})), \
		.arguments = {__VA_ARGS__}},

static const struct call_row rows[] = {
#include "call/rows.inc"
};
#undef CALL

static_assert(ARRAY_LENGTH(rows) == PLACE_COUNT, "each row has a place");

/* The place, plus 1, of the row of a number. */
static const uint8_t places[] = {
#define CALL(name_, ...) [SYS_##name_] = PLACE_##name_ + 1,
#include "call/rows.inc"
#undef CALL
};

const struct call_row *call_find(uint32_t number)
{
	return number < ARRAY_LENGTH(places) && places[number] != 0 ? &rows[places[number] - 1]
								    : NULL;
}

static int compare_name(const void *name, const void *row)
{
	return strcmp(name, ((const struct call_row *)row)->name);
}

const struct call_row *call_find_name(const char *name)
{
	return bsearch(name, rows, ARRAY_LENGTH(rows), sizeof(rows[0]), compare_name);
}

const struct call_row *call_rows(size_t *ret_count)
{
	*ret_count = ARRAY_LENGTH(rows);
	return rows;
}
