/*
 * Both ends of a channel, and raw bytes where an honest end would not send them. Descriptors are counted:
 * whatever comes, none is left.
 */
#include "kernel/channel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log.h"

struct pair {
	int ends[2];
	unsigned fd_count; /* of this process, with the pair */
};

static unsigned count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	assert_int_equal(closedir(directory), 0);
	return count;
}

static int set_up(void **state)
{
	static struct pair pair;

	assert_int_equal(channel_pair(pair.ends), 0);
	pair.fd_count = count_descriptors();
	*state = &pair;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *pair = *state;

	assert_int_equal(count_descriptors(), pair->fd_count);
	for (unsigned i = 0; i < 2; i++)
		cleanup_close(&pair->ends[i]);
	return 0;
}

struct raw_head {
	uint32_t type;
	int32_t value;
	uint64_t id;
};

/* Send any bytes, with so many descriptors. */
static void send_raw(const struct pair *pair, const struct iovec *parts, size_t part_count,
	unsigned fd_count)
{
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct msghdr message = {
		.msg_iov = (struct iovec *)parts,
		.msg_iovlen = part_count,
		.msg_control = fd_count > 0 ? control.bytes : NULL,
		.msg_controllen = fd_count > 0 ? CMSG_SPACE(fd_count * sizeof(int)) : 0,
	};

	memset(&control, 0, sizeof(control));
	control.header.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	for (unsigned i = 0; i < fd_count; i++)
		memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &(int){STDIN_FILENO},
			sizeof(int));
	assert_true(sendmsg(pair->ends[0], &message, MSG_NOSIGNAL) >= 0);
}

static int receive(const struct pair *pair, enum channel_way way,
	struct channel_message *ret_message)
{
	return channel_receive(pair->ends[1], way, MSG_DONTWAIT, ret_message);
}

static const struct handover guest = {
	.number = 7,
	.kind = HANDOVER_GUEST,
	.is_extended = 1,
	.carried_max = 4096,
	.name = "curl",
};

static void test_channel_brings_each_message_as_it_was_sent(void **state)
{
	static const struct wire_cookie cookie = {{1, 2, 3, 16}};
	const struct {
		enum channel_way way;
		struct channel_message message;
	} rows[] = {
		{CHANNEL_TO_SPAWNER, {.type = CHANNEL_SPAWN, .id = UINT64_MAX, .fd = 0}},
		{CHANNEL_TO_SPAWNER, {.type = CHANNEL_KILL, .id = 1, .fd = -1}},
		{CHANNEL_FROM_SPAWNER, {.type = CHANNEL_SANDBOX, .fd = -1, .text = "walls"}},
		{CHANNEL_FROM_SPAWNER,
			{.type = CHANNEL_SANDBOX, .value = -EPERM, .fd = -1, .text = ""}},
		{CHANNEL_FROM_SPAWNER,
			{.type = CHANNEL_SPAWNED, .id = 3, .value = -EAGAIN, .fd = -1}},
		{CHANNEL_FROM_SPAWNER, {.type = CHANNEL_ENDED, .id = 3, .value = 0xff7f, .fd = -1}},
		{CHANNEL_TO_WORKER, {.type = CHANNEL_ADOPT, .handover = guest, .fd = 0}},
		{CHANNEL_TO_WORKER, {.type = CHANNEL_FORK_ANSWER, .value = -EAGAIN, .fd = -1}},
		{CHANNEL_FROM_WORKER, {.type = CHANNEL_COOKIE, .cookie = cookie, .fd = -1}},
		{CHANNEL_FROM_WORKER, {.type = CHANNEL_FORKED, .cookie = cookie, .fd = 0}},
		{CHANNEL_FROM_WORKER,
			{.type = CHANNEL_LOG,
				.value = LOG_LEVEL_DEBUG,
				.text = "a line",
				.fd = -1}},
		{CHANNEL_FROM_WORKER, {.type = CHANNEL_TRACE, .text = "getpid() = 1", .fd = -1}},
		{CHANNEL_FROM_WORKER,
			{.type = CHANNEL_COUNTS, .counts = {3, 2, UINT64_MAX}, .fd = -1}},
	};
	struct pair *pair = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct channel_message *sent = &rows[i].message;
		struct channel_message got;

		assert_int_equal(channel_send(pair->ends[0], sent, 0), 0);
		assert_int_equal(receive(pair, rows[i].way, &got), 0);
		assert_int_equal(got.type, sent->type);
		assert_int_equal(got.value, sent->value);
		assert_int_equal(got.id, sent->id);
		assert_int_equal(got.fd >= 0, sent->fd >= 0);
		assert_memory_equal(&got.cookie, &sent->cookie, sizeof(got.cookie));
		assert_memory_equal(&got.counts, &sent->counts, sizeof(got.counts));
		assert_memory_equal(&got.handover, &sent->handover, sizeof(got.handover));
		assert_string_equal(got.text, sent->text);
		if (got.fd >= 0)
			assert_int_equal(fcntl(got.fd, F_GETFD), FD_CLOEXEC);
		cleanup_close(&got.fd);
	}
}

/* Each type is refused on the ways that do not have it. */
static void test_channel_refuses_a_message_when_its_way_is_another(void **state)
{
	static const enum channel_way ways[] = {
		[CHANNEL_SPAWN] = CHANNEL_TO_SPAWNER,
		[CHANNEL_KILL] = CHANNEL_TO_SPAWNER,
		[CHANNEL_SANDBOX] = CHANNEL_FROM_SPAWNER,
		[CHANNEL_SPAWNED] = CHANNEL_FROM_SPAWNER,
		[CHANNEL_ENDED] = CHANNEL_FROM_SPAWNER,
		[CHANNEL_ADOPT] = CHANNEL_TO_WORKER,
		[CHANNEL_FORK_ANSWER] = CHANNEL_TO_WORKER,
		[CHANNEL_COOKIE] = CHANNEL_FROM_WORKER,
		[CHANNEL_FORKED] = CHANNEL_FROM_WORKER,
		[CHANNEL_LOG] = CHANNEL_FROM_WORKER,
		[CHANNEL_TRACE] = CHANNEL_FROM_WORKER,
		[CHANNEL_COUNTS] = CHANNEL_FROM_WORKER,
	};
	struct pair *pair = *state;

	for (unsigned type = CHANNEL_SPAWN; type < ARRAY_LENGTH(ways); type++) {
		struct channel_message message = {.type = (enum channel_type)type,
			.id = 1,
			.fd = 0,
			.handover = guest};

		if (type > CHANNEL_ENDED || type == CHANNEL_SANDBOX)
			message.id = 0;
		for (unsigned way = CHANNEL_TO_SPAWNER; way <= CHANNEL_FROM_WORKER; way++) {
			struct channel_message got = {.fd = -1};

			assert_int_equal(channel_send(pair->ends[0], &message, 0), 0);
			assert_int_equal(receive(pair, (enum channel_way)way, &got),
				way == ways[type] ? 0 : -EBADMSG);
			cleanup_close(&got.fd);
		}
	}
}

static void test_channel_refuses_a_message_when_its_form_is_wrong(void **state)
{
	static const struct {
		struct raw_head head;
		unsigned body_bytes, fd_count;
		enum channel_way way;
	} rows[] = {
		{{0, 0, 0}, 0, 0, CHANNEL_FROM_WORKER},
		{{CHANNEL_COUNTS + 1, 0, 0}, 24, 0, CHANNEL_FROM_WORKER},
		{{UINT32_MAX, 0, 0}, 0, 0, CHANNEL_FROM_WORKER},
		{{CHANNEL_SPAWN, 0, 0}, 0, 1, CHANNEL_TO_SPAWNER},
		{{CHANNEL_SPAWN, 0, 1}, 0, 0, CHANNEL_TO_SPAWNER},
		{{CHANNEL_SPAWN, 0, 1}, 1, 1, CHANNEL_TO_SPAWNER},
		{{CHANNEL_SPAWN, 1, 1}, 0, 1, CHANNEL_TO_SPAWNER},
		{{CHANNEL_SPAWN, 0, 1}, 0, 2, CHANNEL_TO_SPAWNER},
		{{CHANNEL_SPAWN, 0, 1}, 0, 3, CHANNEL_TO_SPAWNER},
		{{CHANNEL_SPAWN, 0, 1}, 0, 8, CHANNEL_TO_SPAWNER},
		{{CHANNEL_KILL, 0, 1}, 0, 1, CHANNEL_TO_SPAWNER},
		{{CHANNEL_SANDBOX, 1, 0}, 4, 0, CHANNEL_FROM_SPAWNER},
		{{CHANNEL_SANDBOX, -4096, 0}, 4, 0, CHANNEL_FROM_SPAWNER},
		{{CHANNEL_SANDBOX, 0, 1}, 4, 0, CHANNEL_FROM_SPAWNER},
		{{CHANNEL_SPAWNED, 1, 1}, 0, 0, CHANNEL_FROM_SPAWNER},
		{{CHANNEL_ENDED, -1, 1}, 0, 0, CHANNEL_FROM_SPAWNER},
		{{CHANNEL_ENDED, 0x10000, 1}, 0, 0, CHANNEL_FROM_SPAWNER},
		{{CHANNEL_ADOPT, 0, 0}, sizeof(struct handover) - 1, 1, CHANNEL_TO_WORKER},
		{{CHANNEL_ADOPT, 0, 0}, sizeof(struct handover) + 1, 1, CHANNEL_TO_WORKER},
		/* a name without its NUL, and no such kind */
		{{CHANNEL_ADOPT, 0, 0}, sizeof(struct handover), 1, CHANNEL_TO_WORKER},
		{{CHANNEL_COOKIE, 0, 0}, 15, 0, CHANNEL_FROM_WORKER},
		{{CHANNEL_COOKIE, 0, 0}, 17, 0, CHANNEL_FROM_WORKER},
		{{CHANNEL_COOKIE, 0, 0}, 16, 1, CHANNEL_FROM_WORKER},
		{{CHANNEL_FORKED, 0, 0}, 16, 0, CHANNEL_FROM_WORKER},
		{{CHANNEL_LOG, LOG_LEVEL_DEBUG + 1, 0}, 1, 0, CHANNEL_FROM_WORKER},
		{{CHANNEL_LOG, -1, 0}, 1, 0, CHANNEL_FROM_WORKER},
		{{CHANNEL_LOG, 0, 0}, CHANNEL_TEXT_MAX, 0, CHANNEL_FROM_WORKER},
		{{CHANNEL_LOG, 0, 0}, 4096, 0, CHANNEL_FROM_WORKER},
		{{CHANNEL_COUNTS, 0, 0}, 23, 0, CHANNEL_FROM_WORKER},
		{{CHANNEL_COUNTS, 0, 0}, 25, 0, CHANNEL_FROM_WORKER},
	};
	static uint8_t body[4096];
	struct pair *pair = *state;

	memset(body, 'x', sizeof(body));
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct iovec parts[] = {
			{(void *)&rows[i].head, sizeof(rows[i].head)},
			{body, rows[i].body_bytes},
		};
		struct channel_message got = {.fd = -1};

		send_raw(pair, parts, 2, rows[i].fd_count);
		assert_int_equal(receive(pair, rows[i].way, &got), -EBADMSG);
		assert_int_equal(got.fd, -1);
	}
	for (unsigned bytes = 1; bytes < sizeof(struct raw_head); bytes++) {
		const struct raw_head head = {CHANNEL_KILL, 0, 1};
		const struct iovec part = {(void *)&head, bytes};
		struct channel_message got;

		send_raw(pair, &part, 1, bytes % 2);
		assert_int_equal(receive(pair, CHANNEL_TO_SPAWNER, &got), -EBADMSG);
	}
}

static void test_channel_makes_text_printable(void **state)
{
	const struct raw_head head = {CHANNEL_LOG, LOG_LEVEL_INFO, 0};
	char text[] = "a\nb\0c\x1b[31m\x7f\xff~ ";
	const struct iovec parts[] = {{(void *)&head, sizeof(head)}, {text, sizeof(text) - 1}};
	struct pair *pair = *state;
	struct channel_message got;

	send_raw(pair, parts, 2, 0);
	assert_int_equal(receive(pair, CHANNEL_FROM_WORKER, &got), 0);
	assert_string_equal(got.text, "a?b?c?[31m??~ ");
}

static void test_channel_cuts_text_that_is_too_long(void **state)
{
	struct channel_message message = {.type = CHANNEL_TRACE, .fd = -1}, got;
	struct pair *pair = *state;

	memset(message.text, 'y', sizeof(message.text));
	assert_int_equal(channel_send(pair->ends[0], &message, 0), 0);
	assert_int_equal(receive(pair, CHANNEL_FROM_WORKER, &got), 0);
	assert_int_equal(strlen(got.text), CHANNEL_TEXT_MAX - 1);
}

static void test_channel_says_so_when_there_is_nothing_or_nobody(void **state)
{
	const struct channel_message message = {.type = CHANNEL_KILL, .id = 1, .fd = -1};
	struct channel_message got;
	struct pair *pair = *state;
	int error;

	assert_int_equal(receive(pair, CHANNEL_TO_SPAWNER, &got), -EAGAIN);
	do
		error = channel_send(pair->ends[0], &message, MSG_DONTWAIT);
	while (error == 0);
	assert_int_equal(error, -EAGAIN);
	assert_int_equal(shutdown(pair->ends[0], SHUT_WR), 0);
	while ((error = receive(pair, CHANNEL_TO_SPAWNER, &got)) == 0)
		;
	assert_int_equal(error, -EPIPE);
	/* The other way is still open. */
	assert_int_equal(channel_send(pair->ends[1], &message, MSG_DONTWAIT), 0);
	cleanup_close(&pair->ends[1]);
	pair->ends[1] = -1;
	pair->fd_count--;
	assert_int_equal(channel_send(pair->ends[0], &message, MSG_DONTWAIT), -EPIPE);
}

static void test_channel_loses_a_descriptor_when_there_is_no_room(void **state)
{
	const struct channel_message message = {.type = CHANNEL_SPAWN, .id = 1, .fd = 0};
	struct channel_message got = {.fd = -1};
	struct rlimit limit, none;
	struct pair *pair = *state;
	int error;

	assert_int_equal(channel_send(pair->ends[0], &message, 0), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	error = receive(pair, CHANNEL_TO_SPAWNER, &got);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(error, -EMFILE);
	assert_int_equal(got.fd, -1);
}

#define CHANNEL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHANNEL_TEST(test_channel_brings_each_message_as_it_was_sent),
		CHANNEL_TEST(test_channel_refuses_a_message_when_its_way_is_another),
		CHANNEL_TEST(test_channel_refuses_a_message_when_its_form_is_wrong),
		CHANNEL_TEST(test_channel_makes_text_printable),
		CHANNEL_TEST(test_channel_cuts_text_that_is_too_long),
		CHANNEL_TEST(test_channel_says_so_when_there_is_nothing_or_nobody),
		CHANNEL_TEST(test_channel_loses_a_descriptor_when_there_is_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
