/*
 * A row of the table is about the calls and labels that match its patterns, and about their results.
 */
#include "test/calls/deviation.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdint.h>

#include "base/cleanup.h"

#define ANY   INT64_MIN       /* value */
#define SAME  (INT64_MIN + 1) /* the same error */
#define FAILS (INT64_MIN + 2) /* an error */

/* Labels of what is about memory that is not there, or is there in part. */
#define BAD_MEMORY                                                                               \
	"*@(nowhere|constant|=last|=kernel|beyond the edge|one more than fit|at the edge aside|" \
	"element at the edge|element of 1 MiB|element of -1|control of -1|too many|"             \
	"more than there is)*"

static const struct deviation {
	const char *name, *label; /* patterns of fnmatch(3) */
	int64_t direct, lent;
	const char *reason;
} deviations[] = {
	{"*", BAD_MEMORY, ANY, -EFAULT,
		"memory is looked at before the call is sent, all that the call is about, and "
		"must be there and be writable if it may be written"},
	{"*", "*", -EFAULT, -EFAULT,
		"a call that meets bad memory may have begun to write and to change things"},
	{"socketpair", "*", ANY, SAME, "numbers are written before the sockets are made"},
	{"recvfrom", "* in memory", ANY, SAME, "bytes are written before the size is found wrong"},
	{"@(write|pwrite64)", "*=67108864, one more than fit", ANY, ANY,
		"parts before bad memory are written, in other steps than Linux takes"},
	{"sendmmsg", "* beyond the edge", ANY, ANY,
		"messages before bad memory are sent, but not one that lies in it in part"},
	{"ioctl", "ioctl(*, 0x8905, int:0) * at the edge", -EFAULT, -ENOTTY,
		"Linux looks for an interface where a socket has no such request"},
	{"close_range", "*[[]2]=2*", 0, -EINVAL, "no thread has a table of its own"},
	{"@(poll|ppoll)", "*=@(4095|4096), which fit", -EINVAL, ANY,
		"as many can be polled as the worker may have, which has some of its own"},
	{"fcntl", "fcntl(file, 1, 0) [[]1]*", ANY, -EINVAL, "commands that are not carried"},
	{"fcntl", "fcntl(*, 0x4, *", ANY, -EPERM, "no signals for events (O_ASYNC)"},
	{"fcntl", "fcntl(@(-1|99), @(0x0|0x406), *", -EBADF, -EINVAL,
		"the number wanted is looked at before the one that there is"},
	{"[gs]etsockopt", "* [[][12]]=*", ANY, -ENOPROTOOPT, "options that are not carried"},
	{"[gs]etsockopt", "*", FAILS, -ENOPROTOOPT, "options that are not carried this way"},
	{"setsockopt", "setsockopt(udp6, 41, 24, *", 0, -ENOPROTOOPT, "to set IPV6_MTU"},
	{"setsockopt", "setsockopt(*, @(0, 50|41, 76), *", -EINVAL, FAILS,
		"what is too long for an option is cut"},
	{"getsockopt", "getsockopt(udp6, 41, *, int:-1) *", 0, 0,
		"a negative size, which is a large one for these, is no room"},
};

static bool is_value(int64_t pattern, int64_t value)
{
	return pattern == ANY || pattern == value || (pattern == FAILS && value < 0);
}

static bool is_about(const struct deviation *deviation, const char *name,
	const struct account_line *direct, const struct account_line *lent)
{
	bool is_same = direct->value < 0 && direct->value == lent->value;

	return fnmatch(deviation->name, name, FNM_EXTMATCH) == 0 &&
		fnmatch(deviation->label, direct->label, FNM_EXTMATCH) == 0 &&
		is_value(deviation->direct, direct->value) &&
		(is_value(deviation->lent, lent->value) || (deviation->lent == SAME && is_same));
}

int deviation_find(const char *name, const struct account_line *direct,
	const struct account_line *lent)
{
	for (size_t i = 0; i < ARRAY_LENGTH(deviations); i++) {
		if (is_about(&deviations[i], name, direct, lent))
			return (int)i;
	}
	return -1;
}

size_t deviation_count(void)
{
	return ARRAY_LENGTH(deviations);
}

const char *deviation_reason(size_t index)
{
	return deviations[index].reason;
}
