/*
 * A file store over a file system that makes no holes and zeroes nothing by itself: fallocate() is
 * refused by a filter. Filters are a thread's and of those that it starts; so each attempt is made
 * in a thread of its own, by a loop that has its file operations done by threads.
 */
#include "store/file_store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/store/store_probe.h"

#define SIZE_BYTES  (4u << 20) /* more than is zeroed at a time */
#define PROBLEM_MAX 256
#define PATH_BYTES  128

enum refusal { REFUSED_FROM_THE_BEGINNING, REFUSED_ONCE_OPENED };

struct attempt {
	/* What is done */
	const char *path;
	enum refusal refusal;
	struct store_request request;
	off_t cut_bytes; /* the file is made so short once it is open; 0: it is not */
	/* What came of it */
	bool has_filter; /* else nothing was done */
	bool can_discard;
	int open_error;
	int error;
};

static bool refuse_fallocate(void)
{
	struct sock_filter instructions[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_fallocate, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		.len = ARRAY_LENGTH(instructions),
		.filter = instructions,
	};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void *make_attempt(void *context)
{
	const struct loop_options options = {.files = LOOP_FILES_THREADS};
	struct attempt *attempt = context;
	char problem[PROBLEM_MAX];
	struct store *store = NULL;
	struct loop *loop = NULL;

	if (attempt->refusal == REFUSED_FROM_THE_BEGINNING)
		attempt->has_filter = refuse_fallocate();
	attempt->open_error = store_open(attempt->path, &store, problem, sizeof(problem));
	if (attempt->open_error != 0)
		return NULL;
	if (attempt->refusal == REFUSED_ONCE_OPENED)
		attempt->has_filter = refuse_fallocate();
	attempt->can_discard = store->can_discard;
	if (attempt->has_filter && loop_new(&options, &loop) == 0) {
		if (attempt->cut_bytes != 0)
			attempt->open_error = truncate(attempt->path, attempt->cut_bytes);
		attempt->error = store_probe_run(store, loop, attempt->request);
		loop_free(loop);
	}
	store_free(store);
	return NULL;
}

static void fill_with_letters(const char *path)
{
	uint8_t *letters = malloc(SIZE_BYTES);
	CLEANUP(cleanup_close) int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_non_null(letters);
	memset(letters, 'x', SIZE_BYTES);
	assert_int_equal(pwrite(fd, letters, SIZE_BYTES, 0), SIZE_BYTES);
	free(letters);
}

/* @return how many bytes of the file are not as they must be: @letter in the range of @request. */
static uint32_t count_wrong(const char *path, const struct store_request *request, int letter)
{
	uint8_t *bytes = malloc(SIZE_BYTES);
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint32_t wrong_count = 0;
	ssize_t count;

	assert_non_null(bytes);
	count = pread(fd, bytes, SIZE_BYTES, 0);
	assert_true(count > 0);
	for (uint32_t i = 0; i < (uint32_t)count; i++)
		wrong_count += bytes[i] != (i - request->offset < request->bytes ? letter : 'x');
	free(bytes);
	return wrong_count;
}

static void test_file_store_keeps_what_it_says_of_discarding_when_holes_are_refused(void **state)
{
	static const struct {
		enum refusal refusal;
		enum store_opcode opcode;
		bool may_unmap, is_durable;
		off_t cut_bytes;
		bool can_discard;
		int error;
		int letter; /* in the range thereafter */
	} rows[] = {
		{REFUSED_FROM_THE_BEGINNING, STORE_DISCARD, false, false, 0, false, 0, 'x'},
		{REFUSED_FROM_THE_BEGINNING, STORE_ZERO, true, false, 0, false, 0, 0},
		{REFUSED_FROM_THE_BEGINNING, STORE_ZERO, false, true, 0, false, 0, 0},
		{REFUSED_ONCE_OPENED, STORE_DISCARD, false, false, 0, true, 0, 0},
		{REFUSED_ONCE_OPENED, STORE_ZERO, true, true, 0, true, 0, 0},
		{REFUSED_ONCE_OPENED, STORE_ZERO, false, false, 0, true, 0, 0},
		{REFUSED_ONCE_OPENED, STORE_DISCARD, false, false, 65536, true, ENODATA, 'x'},
	};
	char path[PATH_BYTES] = "/tmp/ferry-refusing-test.XXXXXX";
	CLEANUP(cleanup_close) int fd = mkstemp(path);

	(void)state;
	assert_return_code(fd, errno);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct attempt attempt = {
			.path = path,
			.refusal = rows[i].refusal,
			.cut_bytes = rows[i].cut_bytes,
			.request = {.opcode = rows[i].opcode,
				.may_unmap = rows[i].may_unmap,
				.is_durable = rows[i].is_durable,
				.offset = 7 * 512,
				.bytes = 3u << 20},
		};
		pthread_t thread;

		fill_with_letters(path);
		assert_int_equal(pthread_create(&thread, NULL, make_attempt, &attempt), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(attempt.open_error, 0);
		if (!attempt.has_filter ||
			(rows[i].refusal == REFUSED_ONCE_OPENED && !attempt.can_discard)) {
			(void)unlink(path);
			print_message("this needs seccomp and a file system that makes holes\n");
			skip();
		}
		assert_int_equal(attempt.can_discard, rows[i].can_discard);
		assert_int_equal(attempt.error, rows[i].error);
		assert_int_equal(count_wrong(path, &attempt.request, rows[i].letter), 0);
	}
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_file_store_keeps_what_it_says_of_discarding_when_holes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
