/*
 * Each code of the call table's sets, on descriptors that know it and that do not.
 */
#include <linux/fs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "call/codes.h"
#include "test/calls/variation.h"

#define WORD_BYTES 40u

static void run(struct trial *trial, const struct subject *subject, const struct change *change)
{
	static const struct change nothing = {.kind = CHANGE_NOTHING};
	struct trial of_code = *trial;

	of_code.subject = subject;
	trial_run(&of_code, change != NULL ? change : &nothing);
	trial->is_world_made = of_code.is_world_made;
	trial->number = of_code.number;
}

static void run_places(struct trial *trial, const struct subject *subject, unsigned index)
{
	const struct change changes[] = {
		{.kind = CHANGE_VALUE, .index = index, .value = 0, .name = "NULL"},
		{.kind = CHANGE_VALUE,
			.index = index,
			.value = SIDE_AT(trial->side->arena->nowhere),
			.name = "nowhere"},
		{.kind = CHANGE_VALUE,
			.index = index,
			.value = SIDE_AT(trial->side->arena->constant),
			.name = "constant"},
		{.kind = CHANGE_EDGE, .index = index},
		{.kind = CHANGE_BEYOND, .index = index},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(changes); i++)
		run(trial, subject, &changes[i]);
}

/* ioctl() and fcntl() */

static const char *const numbers[] = {"0", "1", "2", "40", "1024", "5000", "65536", "0x7fffffff",
	"-1"};
static const char *const fds[] = {"other", "99", "-1", "reader"};
static const char *const memories[] = {"int:0", "int:1", "int:-1", "m", "'lo'", "long:1,0,10,0",
	"long:0,10,20,0", "long:2,0,0,0", "long:0x10000,0,0,0", "long:3,1,1,0"};

static void run_request(struct trial *trial, const struct call_code *code, const char *fd)
{
	const char *const *values = memories;
	size_t count = ARRAY_LENGTH(memories);
	char number[WORD_BYTES];
	struct subject subject = {.name = trial->row->name, .words = {fd, number, NULL}};

	(void)snprintf(number, sizeof(number), "0x%x", code->code);
	if (code->class == CALL_SCALAR) {
		values = numbers;
		count = ARRAY_LENGTH(numbers);
	} else if (code->class == CALL_FD) {
		values = fds;
		count = ARRAY_LENGTH(fds);
	} else if (code->class == CALL_OUT) {
		count = 1;
	}
	for (size_t i = 0; i < count; i++) {
		subject.words[2] = values[i];
		run(trial, &subject, NULL);
	}
	if (values == memories)
		run_places(trial, &subject, 2);
}

static void run_requests(struct trial *trial, enum call_set set)
{
	static const char *const on[] = {"file", "folder", "path", "reader", "stream", "tcp", "udp",
		"event", "epoll", "-1", "99"};
	size_t count;
	const struct call_code *codes = call_codes(set, &count);

	for (size_t i = 0; i < count; i++) {
		/* What a file system says of these depends on what it has written by then. */
		if (set == CALL_SET_IOCTL && codes[i].code == (uint32_t)FS_IOC_SETFLAGS) {
			run_request(trial, &codes[i], "reader");
			continue;
		}
		for (size_t k = 0; k < ARRAY_LENGTH(on); k++)
			run_request(trial, &codes[i], on[k]);
	}
}

/* Options */

static const char *const lengths[] = {"0", "1", "2", "3", "4", "5", "8", "15", "16", "17", "64",
	"128", "256", "257", "4096", "-1", "0x7fffffff"};

struct option {
	const struct call_code *code;
	bool is_set; /* setsockopt() */
	char level[WORD_BYTES], name[WORD_BYTES], length[WORD_BYTES];
	struct subject subject;
};

static void run_option_on(struct trial *trial, struct option *option, const char *fd,
	const char *value)
{
	option->subject.words[0] = fd;
	option->subject.words[3] = value;
	run(trial, &option->subject, NULL);
}

static void run_lengths(struct trial *trial, struct option *option)
{
	for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
		(void)snprintf(option->length, sizeof(option->length), "%s%s",
			option->is_set ? "" : "int:", lengths[i]);
		run(trial, &option->subject, NULL);
	}
	(void)snprintf(option->length, sizeof(option->length), "%s%u",
		option->is_set ? "" : "int:", option->code->unit_bytes);
	run_places(trial, &option->subject, 3);
	if (!option->is_set)
		run_places(trial, &option->subject, 4);
}

static void run_option(struct trial *trial, const struct call_code *code, bool is_set)
{
	static const char *const on[] = {"tcp", "udp", "udp6", "stream", "datagram", "file", "99"};
	static const char *const values[] = {"int:0", "int:1", "int:-1", "int:5", "m", "'reno'",
		"long:1,0"};
	struct option option = {.code = code,
		.is_set = is_set,
		.subject = {trial->row->name,
			{NULL, option.level, option.name, NULL, option.length, NULL}}};

	(void)snprintf(option.level, sizeof(option.level), "%d", code->level);
	(void)snprintf(option.name, sizeof(option.name), "%u", code->code);
	(void)snprintf(option.length, sizeof(option.length), "%s%u",
		is_set ? "" : "int:", code->unit_bytes);
	for (size_t i = 0; i < ARRAY_LENGTH(on); i++)
		run_option_on(trial, &option, on[i], "int:1");
	option.subject.words[0] = code->level == IPPROTO_IPV6 ? "udp6"
		: code->level == IPPROTO_UDP                  ? "udp"
							      : "tcp";
	for (size_t i = 0; is_set && i < ARRAY_LENGTH(values); i++)
		run_option_on(trial, &option, option.subject.words[0], values[i]);
	run_lengths(trial, &option);
}

static void run_options(struct trial *trial, bool is_set)
{
	size_t count;
	const struct call_code *codes = call_codes(CALL_SET_OPTION, &count);

	for (size_t i = 0; i < count; i++)
		run_option(trial, &codes[i], is_set);
}

void variation_run_codes(struct trial *trial)
{
	switch (trial->row->number) {
	case SYS_ioctl:
		run_requests(trial, CALL_SET_IOCTL);
		return;
	case SYS_fcntl:
		run_requests(trial, CALL_SET_FCNTL);
		return;
	case SYS_getsockopt:
		run_options(trial, false);
		return;
	case SYS_setsockopt:
		run_options(trial, true);
		return;
	default:
		return;
	}
}
